"""Write `metrics/reference_values.json` anew: `python -m tests.metrics.reference_values`.

To be done when a metric is added or when its scores change on purpose; read the difference first.

**Tolerances** are derived from the format and the depth of what is computed, not from what some
machine gave. Every product of matrices, convolution or transform in a row of `depth` sums at most
`terms` numbers of float32, whose rounding errors add up like a random walk: 2^-24 sqrt(depth terms)
of a unit vector, eight times as much for the tails and for the two sides of a cosine. Where a
resampled sound is brought to 16 bits, machines whose resamplers differ in the last digit may choose
neighbouring levels: a noise of at most 2^-15 / sqrt(12) beside the level of the sound.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from torch import nn

from bench.api import Entry, Metric, Profile
from bench.doctor.reference import TABLE, WRITER, nothing_remembered, outputs, sounds
from bench.plugins.catalog import describe, metrics
from bench.plugins.opening import open_metric
from bench.weights import is_here
from metrics.chroma import ChromaSimilarity
from metrics.clap.embedder import load_embedder
from metrics.clap.preprocess import LEVEL_DBFS
from metrics.clap.scores import ClapMetric
from metrics.target import FLOOR_DB, LEVEL, N_FFT, TargetChroma, TargetMel

PROFILES: tuple[Profile, ...] = get_args(Profile)
UNIT, TAILS = 2.0**-24, 8.0
# Of chroma: the resampler's filter and a transform of 13 stages, each a sum of two.
CHROMA_DEPTH, CHROMA_TERMS = 2, 256


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two machines may be apart, and why.

    `unit` is what a rounding error counts for in the score: 1 for a cosine.
    """

    format: str
    depth: int
    terms: int
    level_dbfs: float | None  # of what is brought to 16 bits; None where nothing is
    unit: float = 1.0

    @property
    def value(self) -> float:
        """The largest difference of a score."""
        rounding = TAILS * UNIT * self.unit * float((self.depth * self.terms) ** 0.5)
        if self.level_dbfs is None:
            return rounding
        return rounding + 2.0**-15 / 12**0.5 / 10 ** (self.level_dbfs / 20)


def tolerance_of(metric: Metric) -> Tolerance:
    """The tolerance of a loaded metric.

    Raises:
        TypeError: Nobody has derived one for metrics of this kind.
    """
    if isinstance(metric, ClapMetric):
        layers = list(_products(metric.embedder._towers.model))  # type: ignore[attr-defined]  # ours has them
        return Tolerance("float32", len(layers), max(layers), _level_dbfs(metric))
    if isinstance(metric, ChromaSimilarity | TargetChroma):
        return Tolerance("float32", CHROMA_DEPTH, CHROMA_TERMS, None)
    if isinstance(metric, TargetMel):
        # An error beside the level of the clip, in dB of a band at the floor, on both sides; it is
        # spread over the bins of a frame.
        floor = 10 ** (FLOOR_DB / 20) * (N_FFT / 2) ** 0.5
        unit = 2 * 20 / math.log(10) * LEVEL / floor
        return Tolerance("float32", CHROMA_DEPTH, CHROMA_TERMS, None, unit)
    raise TypeError(f"no tolerance has been derived for {type(metric).__name__}; derive it here.")


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
    tolerance = tolerance_of(metric)
    return {
        "fingerprint": dict(metric.fingerprint()),
        "scores": [{"value": one.value, "raw": one.raw} for one in metric.score(outputs())],
        "tolerance": {**_facts(tolerance), "value": tolerance.value},
    }


def table() -> dict[str, Any]:
    """The whole table."""
    load_embedder.cache_clear()
    with nothing_remembered():
        rows = {
            name: {profile: row(entry, profile) for profile in PROFILES}
            for name, entry in metrics().items()
        }
    load_embedder.cache_clear()
    return {
        "about": f"written by {WRITER}; see bench/doctor/reference.py",
        "sounds": {name: audio.digest for name, audio in sounds().items()},
        "metrics": rows,
    }


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), indent=1) + "\n", encoding="utf-8")
