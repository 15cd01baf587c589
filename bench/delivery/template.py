"""What is handed to somebody who makes outputs elsewhere: the sounds of a run, and a list to fill.

**Layout**: `README.txt`, `contents/<content>.wav`, `styles/<style>/<clip>.wav` with `text.txt`,
`clips.csv` (which clip each file is), and `outputs/outputs.csv` with a line for each output that
the run plans. The files go where that list says, or elsewhere in `outputs`, and the list with them.

Of the styles only the clips are there that methods of the run learn from: what is kept for scoring
is kept from everybody. Clips that their card does not allow to pass on are left out unless they are
asked for; `clips.csv` then tells somebody who has the data set which they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import ConfigError, RecordError
from bench.audio import write_audio
from bench.data.cards import load_dataset
from bench.data.clips import ClipSource
from bench.delivery.checking import planned_places
from bench.delivery.listing import LIST, Place, list_text, place_words
from bench.files import renewed_folder
from bench.plan.plan import Plan, make_sounding_plan
from bench.plan.suite import RETIRED, Suite
from bench.records.store import load_run

OUTPUTS, CLIPS, README = "outputs", "clips.csv", "README.txt"
LONGEST_PART = 100  # bytes of a name of a file
_README = """\
Outputs for a comparison of music style-transfer methods
========================================================

Each line of {outputs}/{list} names a style, a content, a repetition and a path. For each of them,
render the content in the style, and put the sound where the path says (seen from {outputs}/). Other
suffixes and other names are fine if the list says so; wav, flac, aiff, ogg, opus and mp3 are read.

* An output is as long as its content. A difference of at most 50 ms is cut or filled; more counts
  as a failure. Any sample rate; of several channels the mean is taken.
* Repetitions are independent renderings (other random draws) of the same task.
* Of a style, use the clips in styles/<style>/ and the words in text.txt, and no other recordings.
* What you leave out is reported as not delivered, and the means of all methods are then compared on
  the outputs that you did deliver. Do not choose among several renderings of one task.
* Say under which licence the outputs may be passed on, and what the method was given.

{sounds}
They are of the data set {dataset} ({licence}).
"""
_WITH = "contents/ and styles/ hold the sounds; clips.csv says which clip each file is."
_WITHOUT = (
    "The sounds are not here, as they may not be passed on; clips.csv says which clips they are, "
    "where\nthey begin, how long they are, and the SHA-256 of their files."
)


@dataclass(frozen=True, slots=True)
class Template:
    """What was written.

    Args:
        folder: Where.
        outputs: How many outputs are asked for.
        sounds: How many sounds lie in it; 0 where they are left out.
        why: Why they are left out, in words; empty otherwise.
    """

    folder: Path
    outputs: int
    sounds: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Handed:
    """A clip that goes with a template: its kind, the name it stands for, its folder and file."""

    kind: str
    name: str
    clip: ClipSource
    folder: str
    file: str

    @property
    def place(self) -> str:
        """Its path in the template."""
        return f"{self.folder}/{self.file}.wav"


def write_template(run: Path, out: Path, *, with_sounds: bool | None = None) -> Template:
    """Write what somebody needs who makes the outputs of a run elsewhere.

    Args:
        run: The folder of the run, whose data set must be here.
        out: The folder to write, which is new or empty; or the same template, beside which all that
            was added stays.
        with_sounds: Whether the sounds go with it; None asks the card of the data set.

    Raises:
        ConfigError: The folder holds something.
        RecordError: The run cannot be read, or its clips have changed since.
    """
    loaded = load_run(run)
    places, header = planned_places(loaded), loaded.header
    rows = list_text(zip(places, _paths(places), strict=True))
    _require_free(out, rows)
    plan = _plan_of(run, header.suite, str(header.dataset["digest"]))
    sounds = plan.dataset.redistributable if with_sounds is None else with_sounds
    handed = list(_handed(plan, places))
    with renewed_folder(out) as fresh:
        (fresh / README).write_text(_readme(plan, sounds=sounds), encoding="utf-8")
        (fresh / CLIPS).write_text(_clip_list(handed, plan.suite.duration_s), encoding="utf-8")
        (fresh / OUTPUTS).mkdir()
        (fresh / OUTPUTS / LIST).write_text(rows, encoding="utf-8")
        if sounds:
            _write_sounds(fresh, plan, handed)
    words = f"dataset {plan.dataset.name} ({plan.dataset.licence}) may not be passed on"
    return Template(out, len(places), len(handed) * sounds, "" if sounds else words)


def _require_free(out: Path, rows: str) -> None:
    """Refuse a folder that holds anything but this very template, whose list nobody has edited."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    there = out / OUTPUTS / LIST
    if not there.is_file() or there.read_bytes() != rows.encode():
        raise ConfigError(
            f"{out} holds something; a template is written into a new or empty folder, so that "
            "outputs of somebody's are never lost. Name another with -o."
        )


def _plan_of(run: Path, suite: dict[str, object], digest: str) -> Plan:
    """Contents and styles as the run had them."""
    same = Suite.model_validate({key: v for key, v in suite.items() if key not in RETIRED})
    plan = make_sounding_plan(same, load_dataset(same.dataset), ())
    if plan.dataset.digest != digest:
        raise RecordError(
            f"{run} was made with other clips of dataset {same.dataset} than there are now; what "
            "is handed out must be what the run had. Put the clips back, or run again."
        )
    return plan


def _handed(plan: Plan, places: Sequence[Place]) -> Iterator[_Handed]:
    wanted = {content for _, content, _ in places}
    contents = [clip for clip in plan.contents if clip.id in wanted]
    names = _distinct((_plain(clip.id), f"content-{n}") for n, clip in enumerate(contents, 1))
    for clip, name in zip(contents, names, strict=True):
        yield _Handed("content", clip.id, clip, "contents", name)
    styles = list(dict.fromkeys(style for style, _, _ in places))
    folders = _distinct((_plain(style), f"style-{n}") for n, style in enumerate(styles, 1))
    for style, folder in zip(styles, folders, strict=True):
        clips = plan.splits[style].clips
        names = _distinct((_plain(clip.id), f"clip-{n}") for n, clip in enumerate(clips, 1))
        for clip, name in zip(clips, names, strict=True):
            yield _Handed("style", style, clip, f"styles/{folder}", name)


def _write_sounds(folder: Path, plan: Plan, handed: Sequence[_Handed]) -> None:
    for one in handed:
        place = folder / one.place
        place.parent.mkdir(parents=True, exist_ok=True)
        write_audio(place, one.clip.read(plan.suite.duration_s).audio)
        text = plan.splits[one.name].text if one.kind == "style" else None
        if text is not None:
            (folder / one.folder / "text.txt").write_text(f"{text}\n", encoding="utf-8")


def _paths(places: Sequence[Place]) -> list[str]:
    """Where outputs are to be put: called as their cells, or numbered where no file could be."""
    named = (
        (_plain(f"{place_words(place)}.wav"), f"numbered/{number}.wav")
        for number, place in enumerate(places, 1)
    )
    return _distinct(named)


def _distinct(named: Iterable[tuple[str, str]]) -> list[str]:
    """Names of which no two are alike, capitals aside: the second of a pair where the first fails.

    Example:
        >>> _distinct([("a", "clip-1"), ("A", "clip-2"), ("", "clip-3")])
        ['a', 'clip-2', 'clip-3']
    """
    taken: dict[str, str] = {}
    for name, numbered in named:
        chosen = name if name and name.casefold() not in taken else numbered
        while chosen.casefold() in taken:  # somebody's clip is called "clip-2"
            chosen += "_"
        taken[chosen.casefold()] = chosen
    return list(taken.values())


def _plain(name: str) -> str:
    """A name if files can be called so everywhere, with `/` between folders; else an empty text."""
    parts = name.split("/")
    fits = all(
        part.isprintable()
        and part.strip(" .") == part
        and not part.startswith("__")
        and 0 < len(part.encode()) <= LONGEST_PART
        and not set(part) & set('<>:"\\\\|?*')
        for part in parts
    )
    return name if fits else ""


def _readme(plan: Plan, *, sounds: bool) -> str:
    return _README.format(
        outputs=OUTPUTS,
        list=LIST,
        sounds=_WITH if sounds else _WITHOUT,
        dataset=plan.dataset.name,
        licence=plan.dataset.licence,
    )


def _clip_list(handed: Sequence[_Handed], longest_s: float | None) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("kind", "name", "clip", "path", "start_s", "seconds", "sha256"))
    for one in handed:
        clip = one.clip
        seconds = clip.duration_s if longest_s is None else min(clip.duration_s, longest_s)
        facts = (f"{clip.start_s:g}", f"{seconds:.6g}", clip.digest)
        writer.writerow((one.kind, one.name, clip.id, one.place, *facts))
    return text.getvalue()
