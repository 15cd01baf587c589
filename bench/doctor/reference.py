"""Reference values: what each metric scores on five frozen sounds, and whether it does so here.

The same audio has been scored 9 by one tool and .03 by another. So the scores that our metrics gave
where they were developed are shipped with them (`metrics/reference_values.json`), and any machine
can be asked whether it gives them too: `python -m bench doctor --scores`.

The sounds are made by integer arithmetic, so that their samples are the same everywhere. Three are
unlike each other, and each is once the output, once the content and once the style. Two are
variations of one of these, a melody: what hears nothing but melodies has a number for them alone.

**Conventions**: sounds are 16-bit PCM, three seconds at 32 kHz; a tolerance is absolute, on scores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Clip, Json, Metric, Output, Profile, Score, Style
from bench.checkout import CHECKOUT

TABLE = CHECKOUT / "metrics" / "reference_values.json"
WRITER = "python -m tests.metrics.reference_values"
SAMPLE_RATE, NUM_SAMPLES = 32_000, 96_000
TEXT = "accordion"  # a word that the mini CLAP model knows
_HALF_SCALE, _NOTE = 8192, 16_000
Samples = NDArray[np.int64]


def _triangle(place: Samples, period: int) -> Samples:
    """A triangle between -8192 and 8192, by the number of each sample."""
    phase: Samples = place % period * (4 * _HALF_SCALE) // period
    triangle: Samples = np.abs(phase - 2 * _HALF_SCALE) - _HALF_SCALE
    return triangle


def _decay(place: Samples, length: int) -> Samples:
    """256 at the start of each note, falling to 0 at its end."""
    left: Samples = (length - place % length) * 256 // length
    return left


def _chord(place: Samples) -> Samples:
    """Three notes at once, struck every half second: 220.7, 278.3 and 329.9 Hz."""
    notes = _triangle(place, 145) + _triangle(place, 115) + _triangle(place, 97)
    return notes * _decay(place, _NOTE) >> 8


def _melody(place: Samples, periods: Sequence[int] = (122, 109, 97, 91, 81, 122)) -> Samples:
    """Hollow notes, one every half second: a pulse and its own octave. A period of 0 is a rest."""
    period = np.array(periods)[place // _NOTE]
    step = np.maximum(period, 1)
    pulse = np.where(place % step * 2 < step, _HALF_SCALE, -_HALF_SCALE)
    half = _HALF_SCALE // 2
    octave = np.where(place % step * 4 // step % 2 == 0, half, -half)
    return (pulse + octave) * (64 + _decay(place, _NOTE) // 2) // 256 * (period > 0)


def _varied(place: Samples) -> Samples:
    """The melody with its second and fifth note moved, and its third and last left out."""
    return _melody(place, (122, 102, 0, 91, 64, 0))


def _lowered(place: Samples) -> Samples:
    """The melody an octave down."""
    return _melody(place, (244, 218, 194, 182, 162, 244))


def _rain(place: Samples) -> Samples:
    """Noise whose bursts follow each other every eighth of a second, by mixing bits."""
    mixed = (place + 1) * 2_654_435_761 & 0xFFFFFFFF
    for shift, factor in ((16, 2_246_822_507), (13, 3_266_489_909)):
        mixed = (mixed ^ mixed >> shift) * factor & 0xFFFFFFFF
    noise = (mixed ^ mixed >> 16) % (4 * _HALF_SCALE) - 2 * _HALF_SCALE
    return noise * _decay(place, _NOTE // 4) >> 8


_SOUNDS = {
    "chord": _chord,
    "melody": _melody,
    "rain": _rain,
    "varied": _varied,
    "lowered": _lowered,
}
# Each sound once as an output: the content, and the style.
_PAIRED = {
    "chord": ("melody", "rain"),
    "melody": ("rain", "chord"),
    "rain": ("chord", "melody"),
    "varied": ("melody", "lowered"),
    "lowered": ("melody", "varied"),
}


def sounds() -> dict[str, Audio]:
    """The sounds by name, (1, sample)."""
    place = np.arange(NUM_SAMPLES, dtype=np.int64)
    return {
        name: Audio((make(place) / 32_768).astype(np.float32)[None], SAMPLE_RATE)
        for name, make in _SOUNDS.items()
    }


def outputs() -> list[Output]:
    """Each sound once as an output, in the order of the table.

    The style's held-out clips are both others, so that no metric gives the numbers of another. Its
    only rival sounds like the content, and the style's clip is what the output should have been.
    """
    clips = {name: Clip(name, "reference", audio) for name, audio in sounds().items()}
    made = []
    for name, (named_content, named_style) in _PAIRED.items():
        content, style = clips[named_content], clips[named_style]
        wanted = Style("reference", (style,), (content, style), TEXT)
        rival = Style("rival", (content,), (content,))
        made.append(Output(content, wanted, clips[name].audio, (rival,), style.audio))
    return made


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says of a metric in a profile.

    Args:
        not_here: Why there are no scores; empty where there are.
        fingerprint: What decided them: `Metric.fingerprint`.
        scores: (value, raw) of each output; None where the metric declines it.
        tolerance: Largest difference between machines.
    """

    not_here: str = ""
    fingerprint: Mapping[str, Json] | None = None
    scores: tuple[tuple[float, float] | None, ...] = ()
    tolerance: float = 0.0


def read_table(path: Path = TABLE) -> dict[tuple[str, Profile], Row]:
    """The rows of the table by metric and profile."""
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        (name, profile): _row(cells)
        for name, profiles in stored["metrics"].items()
        for profile, cells in profiles.items()
    }


def _row(cells: Mapping[str, Any]) -> Row:
    if "not_here" in cells:
        return Row(not_here=cells["not_here"])
    scores = tuple(
        None if one["value"] is None else (one["value"], one["raw"]) for one in cells["scores"]
    )
    return Row("", cells["fingerprint"], scores, cells["tolerance"]["value"])


@contextmanager
def nothing_remembered() -> Iterator[None]:
    """Keep embeddings of other days and machines out of a measurement.

    A metric takes its cache when it is first loaded, so this must come before.
    """
    former = os.environ.get("BENCH_CACHE")
    with TemporaryDirectory() as folder:
        os.environ["BENCH_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("BENCH_CACHE")
            if former is not None:
                os.environ["BENCH_CACHE"] = former


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of comparing a metric with its row.

    Args:
        fault: What is wrong; empty if the metric gives its reference values.
        largest: The largest difference of a value or raw number.
        libraries: Libraries with another version than where the table was written.
    """

    fault: str
    largest: float = 0.0
    libraries: tuple[str, ...] = ()


def compare(row: Row, metric: Metric) -> Verdict:
    """Score the sounds with a loaded metric and hold the result against its row.

    Libraries may have other versions, because scores must not depend on them beyond the tolerance.

    Raises:
        UnsupportedError: The metric needs something that is not here.
    """
    scores = metric.score(outputs())  # first: what needs an optional library declines here
    here, there = dict(metric.fingerprint()), dict(row.fingerprint or {})
    libraries = _unlike(here.pop("libraries", None), there.pop("libraries", None))
    unlike = [key for key in sorted({*here, *there}) if here.get(key) != there.get(key)]
    if unlike:
        facts = ", ".join(f"{key} is {here.get(key)}, not {there.get(key)}" for key in unlike)
        return Verdict(f"another metric than the table's: {facts}", libraries=libraries)
    return _judge(row, scores, libraries)


def _judge(row: Row, scores: Sequence[Score], libraries: tuple[str, ...]) -> Verdict:
    largest = 0.0
    for name, score, expected in zip(_PAIRED, scores, row.scores, strict=True):
        if expected is None and score.status == "unsupported":
            continue
        if score.value is None or score.raw is None:
            return Verdict(f"{name}: {score.status} ({score.reason})", libraries=libraries)
        if expected is None:
            return Verdict(f"{name} scores {score.raw:.6f}, and nothing in the table", largest)
        value, raw = expected
        largest = max(largest, abs(score.value - value), abs(score.raw - raw))
        if not largest <= row.tolerance:
            return Verdict(
                f"{name} scores {score.raw:.6f}, not {raw:.6f} within {row.tolerance:.1e}",
                largest,
                libraries,
            )
    return Verdict("", largest, libraries)


def _unlike(here: Json, there: Json) -> tuple[str, ...]:
    mine, theirs = (dict(one) if isinstance(one, Mapping) else {} for one in (here, there))
    return tuple(
        f"{name} {mine.get(name)}, not {theirs.get(name)}"
        for name in sorted({*mine, *theirs})
        if mine.get(name) != theirs.get(name)
    )
