"""Rendering one content in one style, for people who just want the sound.

The request becomes a plan of a single cell, which is worked through as in a run and with the same
cache keys: a fit that a run has learnt is taken from the cache, and the other way round, and the
sound is the one that a run would record for this cell. The content's rate and length are kept; the
output is mono.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.api import BenchError, ConfigError, DatasetError, Json, Progress, UnsupportedError
from bench.audio import (
    BEYOND,
    DEFAULT_SUBTYPE,
    fits_integer,
    is_beyond_full_scale,
    peak_of,
    peak_words,
    read_audio,
    require_format,
    write_audio,
)
from bench.cache import Cache
from bench.data.clips import ClipSource, Dataset, StyleSource, inspect
from bench.data.folders import read_style
from bench.data.material import Material
from bench.device import resolve_device
from bench.failure import Failure
from bench.outside.names import composed, on_disk, require_utf8
from bench.plan.plan import (
    Plan,
    PlannedMethod,
    describe_styles,
    make_sounding_plan,
    prepare_methods,
)
from bench.plan.suite import Suite, default_suite, load_suite
from bench.plugins.choices import parse_method
from bench.records.schema import CellRecord, PlannedCell, left_out_words
from bench.run.chunks import render_chunk
from bench.run.context import RunContext
from bench.run.keys import digest
from bench.run.stopwatch import Stopwatch
from bench.run.studio import Fitted, Studio, open_studio
from bench.weights import quiet_loaders

# Where the parameters of a profile come from, beside the method's own defaults.
SUITE_OF_PROFILE = {"mini": "mini", "full": "table2"}
FIT_SHARE = 0.9  # of the progress shown, where learning the style is most of the work


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """What was asked for on the command line; None where nothing was said.

    Args:
        method: A name or `file.py:Class`, with parameters in brackets where wanted.
        content: The audio file whose music is kept.
        out: The file to write; its suffix picks the format.
        style: A folder of clips of the style, or one clip.
        text: The style in words, for methods that are given text.
        style_to: Where to go from the style within the piece: a folder, a clip, or words.
        start: Where to begin in the content, seconds.
        duration: How much of the content to take, seconds; None takes all.
        profile: "mini" or "full"; None takes "full" where CUDA is present.
        device: auto, cpu, cuda, cuda:N or mps.
        seed: Another number gives another rendering, and another fit.
    """

    method: str
    content: Path
    out: Path
    style: Path | None = None
    text: str | None = None
    style_to: str | None = None
    start: float = 0.0
    duration: float | None = None
    profile: str | None = None
    device: str = "auto"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PreparedSingle:
    """A request that has passed every check that needs no model."""

    plan: Plan
    device: str
    why_profile: str
    out: Path
    watch: Stopwatch

    @property
    def announcement(self) -> str:
        """What will be done, before it starts."""
        cell, suite = self.plan.cells[0], self.plan.suite
        content = self.plan.contents[0]
        way = " to ".join(repr(cell.style) for cell in self.plan.cells)
        told = (
            f"{cell.method}, profile {suite.profile} ({self.why_profile}) on {self.device}: "
            f"{content.path.name} ({content.duration_s:.2f} s) in the style {way}"
        )
        left_out = left_out_words(describe_styles(self.plan))
        return "\n".join([told, *(f"warning: {words}" for words in left_out)])


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file that was written, and the record of its cell."""

    path: Path
    record: CellRecord

    @property
    def words(self) -> str:
        """One line for the terminal."""
        facts = self.record
        fit = "style fit from the cache" if facts.fit_cached else f"style fit {facts.fit_s:.1f} s"
        sound = (
            "sound from the cache" if facts.transfer_cached else f"sound {facts.transfer_s:.1f} s"
        )
        return (
            f"wrote {self.path}: {facts.duration_s:.2f} s, {facts.sample_rate} Hz, mono "
            f"({fit}, {sound}){self._peak_words}"
        )

    @property
    def _peak_words(self) -> str:
        peak = self.record.peak or 0.0
        beyond = is_beyond_full_scale(peak)
        return f"; its peak is {peak_words(peak)}, {BEYOND}" if beyond else ""


def prepare_single(request: SingleRequest) -> PreparedSingle:
    """Check a request; nothing is computed and nothing is written.

    Raises:
        BenchError: Anything that the user can fix; the message says how.
    """
    watch = Stopwatch()
    require_utf8(request.content)
    request = replace(request, content=on_disk(request.content))
    with watch.measure("prepare"):
        device = resolve_device(request.device)
        suite, why = _suite(request, device)
        (method,) = prepare_methods(suite)
        _require_conditions(method, request)
        styles, content = _styles(request, method), _content(request)
        _require_place(request, styles)
        dataset = Dataset("transfer", "unknown", False, (content,), styles)
        plan = make_sounding_plan(suite, dataset, (method,))
        _require_clips(plan)
    return PreparedSingle(plan, device, why, request.out, watch)


def _suite(request: SingleRequest, device: str) -> tuple[Suite, str]:
    """The suite of the profile, for its parameters, cut down to one method and all its clips."""
    name, why = default_suite(device.startswith("cuda"))
    if request.profile is not None:
        name, why = SUITE_OF_PROFILE[request.profile], "as asked"
    one: dict[str, Json | tuple[str, ...]] = {
        "methods": (parse_method(request.method).label,),
        "controls": (),
        "metrics": (),
        "styles": None,
        "contents": None,
        "seeds": 1,
        "base_seed": request.seed,
        "style_clips": "all",
        "duration_s": None,
    }
    return load_suite(name).model_copy(update=one), why


def _require_conditions(method: PlannedMethod, request: SingleRequest) -> None:
    """Require what the method is conditioned on, and refuse what it would not look at."""
    label, given = method.choice.label, method.info.conditioned_on
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


def _style(request: SingleRequest) -> StyleSource:
    if request.style is not None:
        return read_style(request.style, request.text)
    words = request.text or ""
    return StyleSource(words, "instrument", words, ())


def _styles(request: SingleRequest, method: PlannedMethod) -> tuple[StyleSource, ...]:
    """The style, and the one it goes to where one was named."""
    first, words = _style(request), request.style_to
    if words is None:
        return (first,)
    there = on_disk(Path(words)).exists()
    in_words = "style audio" not in method.info.conditioned_on and not there
    second = StyleSource(words, "instrument", words, ()) if in_words else read_style(Path(words))
    if second.id == first.id:
        raise ConfigError(
            f"--style and --style-to are both {first.id!r}; they must be two styles. Leave "
            "--style-to out."
        )
    return first, second


def _require_clips(plan: Plan) -> None:
    """Refuse a folder of clips of which none can be used: there is no style to go by."""
    for split in plan.splits.values():
        if split.left_out and not split.clips:
            why = "; ".join(f"{one.clip} {one.reason}" for one in split.left_out)
            raise DatasetError(
                f"style {split.id!r} has no clip that can be used: {why}. Name another folder or "
                "clip."
            )


def _content(request: SingleRequest) -> ClipSource:
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


def _require_place(request: SingleRequest, styles: Sequence[StyleSource]) -> None:
    """Check the output's format and place before minutes are spent on its sound."""
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
    there = next(folder for folder in out.resolve().parents if folder.exists())
    if not os.access(there, os.W_OK):
        raise ConfigError(f"output {out} cannot be written: no right to write in {there}.")


def render_single(prepared: PreparedSingle, progress: Progress) -> Rendered | Failure:
    """Fit the style, or take its fit from the cache, render the content and write the file.

    Returns:
        The written file, or why there is none; the reason names a file with the traceback.

    Raises:
        UnsupportedError: The method declines this style or content.
        ConfigError: The output is louder than the format of the file can hold.
        BenchError: The file cannot be written.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-transfer-"))
    logs = folder / "logs"
    for inside in (folder / "audio", logs):
        inside.mkdir()
    try:
        return _result(_work(prepared, folder, progress), prepared, folder)
    finally:
        if not _told(logs):
            shutil.rmtree(folder)


def _result(record: CellRecord, prepared: PreparedSingle, folder: Path) -> Rendered | Failure:
    if record.status == "ok":
        _write(folder / str(record.audio), prepared.out)
        return Rendered(prepared.out, record)
    if record.status == "unsupported":
        raise UnsupportedError(f"{prepared.plan.cells[0].method} declines: {record.reason}")
    logs = [f"; its output is in {log}" for log in _told(folder / "logs")]
    return Failure(record.status, f"{record.reason}{''.join(logs)}")


def _told(logs: Path) -> list[Path]:
    """The logs in which anything stands: the output of workers, and tracebacks."""
    return [log for log in logs.iterdir() if log.stat().st_size]


def _work(prepared: PreparedSingle, folder: Path, progress: Progress) -> CellRecord:
    """Fit the plan's style or styles and render its first cell."""
    studio = _studio(prepared, folder, progress)
    try:
        return _carry_out(prepared.plan.cells, studio, progress)
    finally:
        studio.close()


def _carry_out(cells: Sequence[PlannedCell], studio: Studio, progress: Progress) -> CellRecord:
    cell = cells[0]
    share = FIT_SHARE if studio.learns else 0.0
    progress(0.0, f"{cell.method}: loading")
    learnt = []
    for number, one in enumerate(cells):  # one by one, as the cache may hold one of them

        def advance(part: float, text: str, begun: int = number) -> None:
            progress((begun + part) / len(cells) * share, f"{cell.method}: {text}")

        learnt.append(studio.fit([one], advance)[one.style])
    progress(share, f"{cell.method}: rendering")
    fitted = learnt[0] if len(learnt) == 1 else _transition(studio, learnt)
    (record,) = render_chunk(studio, [cell], fitted, 1)
    progress(1.0, f"{cell.method}: done")
    return record


def _transition(studio: Studio, learnt: Sequence[Fitted]) -> Fitted:
    """One fit for a piece that goes from the first style to the second, or the fit that failed."""
    first, second = learnt
    if isinstance(first.result, Failure):
        return first
    if isinstance(second.result, Failure):
        return second
    return Fitted(
        key=digest([first.key, second.key]),
        result=studio.kind.transition(first.result, second.result),
        cost_s=first.cost_s + second.cost_s,
        cached=first.cached and second.cached,
    )


def _studio(prepared: PreparedSingle, folder: Path, progress: Progress) -> Studio:
    plan, (method,) = prepared.plan, prepared.plan.methods
    context = RunContext(
        folder=folder,
        cache=Cache.default(),
        material=Material(plan.dataset, plan.splits, None),
        profile=plan.suite.profile,
        device=prepared.device,
        watch=prepared.watch,
        progress=progress,
    )
    if method.profile.weights:
        quiet_loaders()
    return open_studio(context, method)


def _write(made: Path, out: Path) -> None:
    """Write the rendered sound in the format of `out`, at its own level."""
    audio = read_audio(made)
    if DEFAULT_SUBTYPE[out.suffix.lower()].startswith("PCM") and not fits_integer(audio):
        raise ConfigError(
            f"output {out}: its peak is {peak_words(peak_of(audio))}, beyond full scale, which "
            f"{out.suffix} would clip. Name it "
            f"{out.with_suffix('.wav').name}; what was computed is kept, so that takes no time."
        )
    try:
        write_audio(out, audio)
    except OSError as error:
        raise BenchError(
            f"output {out} cannot be written ({error.strerror}); what was computed is kept. Name "
            "another place."
        ) from error
