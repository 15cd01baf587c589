"""What `transfer` was asked for, and every check of it that needs no model.

Nothing here imports a method's module: what is wrong with a file, a place or an option is said in
the first second.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.api import ConfigError, DatasetError, Json, MethodInfo
from bench.audio import require_format
from bench.data.clips import ClipSource, StyleSource, inspect
from bench.data.folders import read_style
from bench.device import resolve_device
from bench.outside.names import composed, on_disk
from bench.plan.plan import require_parameters
from bench.plan.suite import Suite, default_suite, load_suite
from bench.plugins.choices import MethodChoice

# Where the parameters of a profile come from, beside the method's own defaults.
SUITE_OF_PROFILE = {"mini": "mini", "full": "table2"}
Level = Literal["content", "as-is"]


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """What was asked for on the command line; None where nothing was said.

    Args:
        method: A name or `file.py:Class`, with parameters in brackets where wanted; None takes
            that of the fit.
        content: The audio file whose music is kept.
        out: The file to write; its suffix picks the format.
        style: A folder of clips of the style, or one clip.
        text: The style in words, for methods that are given text.
        style_to: Where to go from the style within the piece: a folder, a clip, or words.
        fit: A file of `fit export`, in place of a style.
        start: Where to begin in the content, seconds.
        duration: How much of the content to take, seconds; None takes all.
        level: "content" makes the output as loud as the content; "as-is" leaves what the method
            gives.
        profile: "mini" or "full"; None takes "full" where CUDA is present.
        device: auto, cpu, cuda, cuda:N or mps.
        seed: Another number gives another rendering, and another fit.
        anyway: Whether a fit of other code or weights is taken.
    """

    method: str | None
    content: Path
    out: Path
    style: Path | None = None
    text: str | None = None
    style_to: str | None = None
    fit: Path | None = None
    start: float = 0.0
    duration: float | None = None
    level: Level = "content"
    profile: str | None = None
    device: str = "auto"
    seed: int = 0
    anyway: bool = False


def suite_of(profile: str | None, seed: int, device: str) -> tuple[Suite, str]:
    """The suite of a profile, for its parameters, without its contents and styles; and why it.

    Args:
        profile: "mini" or "full"; None asks whether the device is CUDA, which takes torch.
        seed: Where all seeds start from.
        device: As the user typed it.
    """
    if profile is None:
        name, why = default_suite(resolve_device(device).startswith("cuda"))
    else:
        name, why = SUITE_OF_PROFILE[profile], "as asked"
    one: dict[str, Json | tuple[str, ...]] = {
        "controls": (),
        "metrics": (),
        "styles": None,
        "contents": None,
        "pairs": None,
        "seeds": 1,
        "base_seed": seed,
        "style_clips": "all",
        "duration_s": None,
    }
    return load_suite(name).model_copy(update=one), why


def require_settings(choice: MethodChoice, profile: str | None) -> None:
    """Check the parameters that were set by hand, before torch is asked for the profile.

    Raises:
        BenchError: A parameter is not known, or a value breaks a rule.
    """
    profiles = SUITE_OF_PROFILE if profile is None else (profile,)
    require_parameters([choice], [load_suite(SUITE_OF_PROFILE[one]) for one in profiles])


def require_conditions(label: str, info: MethodInfo, request: SingleRequest) -> None:
    """Require what the method is conditioned on, and refuse what it would not look at.

    Raises:
        ConfigError: Something is missing, or would change nothing.
    """
    given = info.conditioned_on
    if "style audio" in given and request.style is None:
        raise ConfigError(
            f"{label} is given style audio; --style is missing. Name a folder of clips."
        )
    if request.style is None and request.text is None:
        raise ConfigError(
            f"{label} is given {', '.join(given)}; neither --style nor --text was given. Give one."
        )
    if request.text is not None and "style text" not in given:
        raise ConfigError(
            f"{label} is given {', '.join(given)}, no text; --text {request.text!r} would change "
            "nothing. Leave it out."
        )


def require_fit_alone(request: SingleRequest) -> None:
    """Refuse what a fit says already.

    Raises:
        ConfigError: A style was named beside the fit.
    """
    beside = {"--style": request.style, "--text": request.text, "--style-to": request.style_to}
    named = [option for option, value in beside.items() if value is not None]
    if named:
        raise ConfigError(
            f"--fit {request.fit} holds a style; {named[0]} names another. Leave one of them out."
        )


def styles_of(choice: MethodChoice, info: MethodInfo, request: SingleRequest) -> list[StyleSource]:
    """The style, and the one it goes to where one was named; their clips are not read yet.

    Raises:
        DatasetError: A style does not exist, or has no clip.
        ConfigError: The method would not look at it, or both are the same.
    """
    require_conditions(choice.label, info, request)
    first, words = _style(request), request.style_to
    if words is None:
        return [first]
    there = on_disk(Path(words)).exists()
    in_words = "style audio" not in info.conditioned_on and not there
    second = StyleSource(words, "instrument", words, ()) if in_words else read_style(Path(words))
    if second.id == first.id:
        raise ConfigError(
            f"--style and --style-to are both {first.id!r}; they must be two styles. Leave "
            "--style-to out."
        )
    return [first, second]


def _style(request: SingleRequest) -> StyleSource:
    if request.style is not None:
        return read_style(request.style, request.text)
    words = request.text or ""
    return StyleSource(words, "instrument", words, ())


def require_clips(styles: Sequence[StyleSource]) -> None:
    """Refuse a folder of clips of which none can be used: there is no style to go by.

    Raises:
        DatasetError: A style has clips, and all are left out.
    """
    for style in styles:
        if style.left_out and not style.clips:
            why = "; ".join(f"{one.clip} {one.reason}" for one in style.left_out)
            raise DatasetError(
                f"style {style.id!r} has no clip that can be used: {why}. Name another folder or "
                "clip."
            )


def content_of(request: SingleRequest) -> ClipSource:
    """The content, which is looked at and not read yet.

    Raises:
        DatasetError: It is no audio file, or the part that was asked for is too short.
    """
    path = request.content
    if not path.is_file():
        raise DatasetError(
            f"content {path} is not a file; an audio file is wanted. Check the path."
        )
    file = inspect(path, request.start, request.duration)
    name = composed(path.stem)
    return ClipSource(
        name,
        "content",
        path,
        name,
        request.start,
        file.duration_s,
        file.digest,
        file.channels,
    )


def require_place(request: SingleRequest, styles: Sequence[StyleSource]) -> None:
    """Check the output's format and place before minutes are spent on its sound.

    Raises:
        ConfigError: The file cannot be written there or in that format, or something would be lost.
    """
    out = request.out
    if out.is_dir():
        raise ConfigError(f"output {out} is a folder; a file is wanted. Write {out / 'out.wav'}.")
    require_format(out, inspect(request.content, request.start, request.duration).sample_rate)
    taken = [clip.path.resolve() for style in styles for clip in style.clips]
    if out.resolve() in {request.content.resolve(), *taken}:
        raise ConfigError(f"output {out} is one of the inputs; it would be lost. Name another.")
    if out.resolve().parent in {path.parent for path in taken}:
        raise ConfigError(
            f"output {out} lies among the clips of the style; it would be learnt from the next "
            "time. Write it elsewhere."
        )
    require_writable_place(out)


def require_writable_place(out: Path) -> None:
    """Check that a file can be written.

    Raises:
        ConfigError: There is no right to write in its folder.
    """
    there = next(folder for folder in out.resolve().parents if folder.exists())
    if not os.access(there, os.W_OK):
        raise ConfigError(f"output {out} cannot be written: no right to write in {there}.")
