"""Write `metrics/reference_values.json` anew: `python -m tests.metrics.reference_values`.

To be done when a metric is added or when its scores change on purpose; read the difference first.

**Tolerances** are derived from the format and the depth of what is computed, not from what some
machine gave. Every product of matrices, convolution or transform in a row of `depth` sums at most
`terms` numbers of float32, whose rounding errors add up like a random walk: 2^-24 sqrt(depth terms)
of a unit vector, eight times as much for the tails and for the two sides of a cosine. Where a
resampled sound is brought to 16 bits, machines whose resamplers differ in the last digit may choose
neighbouring levels: a noise of at most 2^-15 / sqrt(12) beside the level of the sound. A margin is
the difference of two cosines.

What counts (frames whose pitch is right, cells that sound) is a share of `parts`, and the rounding
errors of the model may take one that lies at a threshold to its other side.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any, get_args

from safetensors.numpy import load_file
from torch import nn

from bench.api import Entry, Output, Profile
from bench.doctor.reference import TABLE, WRITER, nothing_remembered, outputs, sounds
from bench.plugins.catalog import describe, metrics
from bench.plugins.opening import open_metric
from bench.weights import is_here
from metrics.chroma import ChromaSimilarity
from metrics.clap import embedder as clap
from metrics.clap.lpaps import LpapsMetric
from metrics.clap.preprocess import LEVEL_DBFS
from metrics.clap.scores import ClapMetric
from metrics.cqt1_pcc import LoudestBinCorrelation
from metrics.lsd import RANGE_DB, LogSpectralDistance
from metrics.musicnn import embedder as musicnn
from metrics.musicnn.checkpoints import FILE, FOLDER
from metrics.musicnn.scores import MusicnnMetric
from metrics.nearness import NearnessMetric, heldout_rivalry, seen_rivalry
from metrics.pitch.contours import voiced
from metrics.pitch.metric import PitchMetric
from metrics.pitch.note_maps import unpacked
from metrics.pitch.notes import NoteMetric, Notes, folded
from metrics.target import (
    FLOOR_DB,
    LEVEL,
    N_FFT,
    TargetChroma,
    TargetMel,
    TargetNotes,
    as_content,
)

PROFILES: tuple[Profile, ...] = get_args(Profile)
UNIT, TAILS = 2.0**-24, 8.0
# Of chroma: the resampler's filter and a transform of 13 stages, each a sum of two.
CHROMA_DEPTH, CHROMA_TERMS = 2, 256
# Of the note judges, at most. It only says how near to a threshold a part must lie: within 1e-4,
# where a sound has none (`test_reference_values.py`), so that one part is room enough.
PITCH_LAYERS = (32, 1024)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two machines may be apart, and why.

    `unit` is what a rounding error counts for in the score: 1 for a cosine.
    """

    format: str
    depth: int
    terms: int
    level_dbfs: float | None  # of what is brought to 16 bits; None where nothing is
    cosines: int = 1  # that a score is made of
    parts: int | None = None  # of a score that counts; None for one that does not
    unit: float = 1.0  # of the score, in terms of the sums

    @property
    def rounding(self) -> float:
        """The largest difference of a number that is no count."""
        return TAILS * UNIT * self.unit * float((self.depth * self.terms) ** 0.5)

    @property
    def value(self) -> float:
        """The largest difference of a score."""
        if self.parts is not None:
            return 1 / self.parts
        if self.level_dbfs is None:
            return self.cosines * self.rounding
        noise = 2.0**-15 / 12**0.5 / 10 ** (self.level_dbfs / 20)
        return self.cosines * (self.rounding + noise)


@singledispatch
def tolerance_of(metric: object) -> Tolerance:
    """The tolerance of a loaded metric.

    Raises:
        TypeError: Nobody has derived one for metrics of this kind.
    """
    raise TypeError(f"no tolerance has been derived for {type(metric).__name__}; derive it here.")


@tolerance_of.register
def _of_clap(metric: ClapMetric) -> Tolerance:
    layers = list(_products(metric.embedder._towers.model))  # type: ignore[attr-defined]  # ours has them
    return Tolerance("float32", len(layers), max(layers), _level_dbfs(metric), _cosines(metric))


@tolerance_of.register
def _of_musicnn(metric: MusicnnMetric) -> Tolerance:
    layers = _musicnn_products()
    return Tolerance("float32", len(layers), max(layers), None, _cosines(metric))


@tolerance_of.register
def _of_pitch(metric: PitchMetric) -> Tolerance:
    return Tolerance("float32", *PITCH_LAYERS, None, parts=_parts(metric, outputs()))


@tolerance_of.register
def _of_target_notes(metric: TargetNotes) -> Tolerance:
    asked = [as_content(one, one.target) for one in outputs() if one.target is not None]
    return Tolerance("float32", *PITCH_LAYERS, None, parts=_parts(metric._notes, asked))


@tolerance_of.register
def _of_chroma(_: ChromaSimilarity | TargetChroma) -> Tolerance:
    return Tolerance("float32", CHROMA_DEPTH, CHROMA_TERMS, None)


@tolerance_of.register
def _of_lpaps(metric: LpapsMetric) -> Tolerance:
    """A squared distance of unit vectors moves by up to 4 times their error, in each stage."""
    layers = list(_products(metric.token_maps._tower))
    cosines = 4 * metric.token_maps.stages
    return Tolerance("float32", len(layers), max(layers), None, cosines)


@tolerance_of.register
def _of_bins(_: LoudestBinCorrelation) -> Tolerance:
    return Tolerance("float64 of whole numbers", 1, 1, None)  # no maximum is nearly a tie


@tolerance_of.register
def _of_lsd(_: LogSpectralDistance) -> Tolerance:
    """A rounding beside the loudest is as much more of what is as far below as is heard."""
    return Tolerance("float64 after a resampler", 1, round(10 ** (RANGE_DB / 10)), None)


@tolerance_of.register
def _of_mel(_: TargetMel) -> Tolerance:
    """An error beside the level of the clip, in dB of a band at the floor, on both sides.

    It is spread over the bins of a frame.
    """
    floor = 10 ** (FLOOR_DB / 20) * (N_FFT / 2) ** 0.5
    unit = 2 * 20 / math.log(10) * LEVEL / floor
    return Tolerance("float32", CHROMA_DEPTH, CHROMA_TERMS, None, unit=unit)


def _parts(metric: PitchMetric, asked: Sequence[Output]) -> int:
    """The fewest parts that the score of a sound counts: half the cells of F1, or the frames."""
    hearing = metric._require_hearing()
    pairs = [
        (hearing.of(one.content.audio), hearing.of(one.audio))
        for one, score in zip(asked, metric.score(asked), strict=True)
        if score.value is not None
    ]
    if isinstance(metric, NoteMetric):
        return min(int(_cells(metric, one) + _cells(metric, two)) // 2 for one, two in pairs)
    return min(int(voiced(content).sum()) for content, _ in pairs)


def _cells(metric: NoteMetric, bits: Any) -> int:  # noqa: ANN401 - a note map as it is stored
    notes = unpacked(bits)
    return int((folded(notes) if isinstance(metric, Notes) else notes).sum())


def _cosines(metric: NearnessMetric[Any]) -> int:
    """How many cosines a score is made of."""
    return 2 if metric.reference in (heldout_rivalry, seen_rivalry) else 1


def _facts(tolerance: Tolerance) -> dict[str, object]:
    """A tolerance as the table has it: without a unit that is 1."""
    return {key: value for key, value in asdict(tolerance).items() if (key, value) != ("unit", 1.0)}


def _level_dbfs(metric: ClapMetric) -> float:
    """The level at which a metric brings the quietest of the sounds to 16 bits."""
    facts: Any = metric.fingerprint()["preprocessing"]
    if facts["mode"] == "version_1":
        return LEVEL_DBFS
    quietest = min(float((audio.waveform.astype(float) ** 2).mean()) for audio in sounds().values())
    return round(10 * math.log10(quietest), 3)


def _products(model: nn.Module) -> Iterator[int]:
    """The number of terms in the sums of each layer: more layers than any one path has."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            yield int(module.weight[0].numel())


def _musicnn_products() -> list[int]:
    """The same of MusicNN, whose layers are arrays: the last axis of each kernel is its outputs."""
    arrays = load_file(FOLDER / FILE)
    return [a[..., 0].size for name, a in arrays.items() if name.endswith("/kernel")]


def forget() -> None:
    """Forget embedders with what they have embedded."""
    clap.load_embedder.cache_clear()
    musicnn.load_embedder.cache_clear()


def row(entry: Entry, profile: Profile) -> dict[str, Any]:
    """What a metric gives in a profile, or why that is not known here."""
    if entry.environment is not None:
        return {"not_here": f"it runs in an environment of its own, {entry.environment}"}
    wanted = describe(entry, profile)
    loaded = [one for one in wanted.checkpoints if one.name in wanted.weights]
    absent = [one.title for one in loaded if not is_here(one)]
    if absent:
        return {"not_here": f"{', '.join(absent)} was not on the machine that wrote the table"}
    metric = open_metric(entry, Path(os.devnull))
    metric.load(profile, "cpu")
    scores = metric.score(outputs())
    if all(one.status == "unsupported" for one in scores):
        return {"not_here": scores[0].reason}
    tolerance = tolerance_of(metric)
    return {
        "fingerprint": dict(metric.fingerprint()),
        "scores": [{"value": one.value, "raw": one.raw} for one in scores],
        "tolerance": {**_facts(tolerance), "value": tolerance.value},
    }


def table() -> dict[str, Any]:
    """The whole table."""
    forget()
    with nothing_remembered():
        rows = {
            name: {profile: row(entry, profile) for profile in PROFILES}
            for name, entry in metrics().items()
        }
    forget()
    return {
        "about": f"written by {WRITER}; see bench/doctor/reference.py",
        "sounds": {name: audio.digest for name, audio in sounds().items()},
        "metrics": rows,
    }


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), indent=1) + "\n", encoding="utf-8")
