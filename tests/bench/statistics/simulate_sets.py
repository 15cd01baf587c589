"""Simulated sets of sounds whose KAD is known: its bias, and how often intervals hold the truth.

`python tests/bench/statistics/simulate_sets.py -o tests/bench/statistics/sets.txt` writes the whole
table; `test_set_distance.py` runs fewer experiments of the same.

An output is a place of its style, plus a step of its content, plus noise; a clip is the place of
its style plus noise of the same size as both, so that a method that moves nothing has the
distribution of the clips. All steps are normal, so the mean of the kernel over independent sounds
has a closed form.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bench.statistics.set_distance import SCALE, SoundSet, bandwidth, kad, kad_interval

DIMENSIONS = 16
BETWEEN = 1.0  # variance of the places of styles, in each dimension
NOISE = 0.5  # variance of a sound about its style
WHOLE = 600


@dataclass(frozen=True, slots=True)
class Sizes:
    """A run of so many styles and contents, and clips of each style.

    Args:
        styles: How many styles.
        contents: How many contents.
        clips: How many clips each style has; the first one has twice as many if `uneven`.
        of_content: Share of the noise of an output that its content decides.
        shift: How far the method misses its styles, along each dimension.
        uneven: Whether styles have unlike numbers of clips.
    """

    styles: int
    contents: int
    clips: int
    of_content: float = 0.5
    shift: float = 0.0
    uneven: bool = False

    @property
    def words(self) -> str:
        """Its row in the table."""
        what = f"{self.styles} x {self.contents}, {self.clips} clips{', uneven' * self.uneven}"
        return f"{what:<28}{self.of_content:>8}{self.shift:>8}"


@dataclass(frozen=True, slots=True)
class Sampled:
    """The sets of one experiment with the places of its styles, shape (style, dimension)."""

    outputs: SoundSet
    references: SoundSet
    places: np.ndarray


def draw(sizes: Sizes, rng: np.random.Generator) -> Sampled:
    """One experiment."""
    n, m = sizes.styles, sizes.contents
    places = rng.normal(0, BETWEEN**0.5, (n, DIMENSIONS))
    steps = rng.normal(0, (NOISE * sizes.of_content) ** 0.5, (m, DIMENSIONS))
    own = rng.normal(0, (NOISE * (1 - sizes.of_content)) ** 0.5, (n, m, DIMENSIONS))
    made = places[:, None] + steps + own + sizes.shift
    counts = [sizes.clips * (1 + (sizes.uneven and style == 0)) for style in range(n)]
    of_clips = np.repeat(np.arange(n), counts)
    clips = places[of_clips] + rng.normal(0, NOISE**0.5, (len(of_clips), DIMENSIONS))
    styles, contents = np.divmod(np.arange(n * m), m)
    return Sampled(
        named(made.reshape(-1, DIMENSIONS), styles, contents),
        named(clips, of_clips, np.arange(len(clips))),
        places,
    )


def named(vectors: np.ndarray, styles: np.ndarray, sources: np.ndarray) -> SoundSet:
    """A set with names for numbers."""
    names = [np.array([f"{n:05d}" for n in one.tolist()]) for one in (styles, sources)]
    return SoundSet(vectors, *names, np.full(len(vectors), "all"))


def mean_kernel(gap: np.ndarray, variance: float, s: float) -> np.ndarray:
    """Mean of k where two sounds differ by `gap` and noise of a variance in each dimension."""
    wide = s**2 + variance
    squared = np.sum(gap**2, axis=-1)
    return (s**2 / wide) ** (gap.shape[-1] / 2) * np.exp(-squared / (2 * wide))


def truth(sizes: Sizes, sampled: Sampled, s: float) -> float:
    """KAD of all that could have been drawn: on these styles, or with five or more on any."""
    shift = np.full(DIMENSIONS, sizes.shift)
    if sizes.styles < 5:
        gaps = sampled.places[:, None] - sampled.places
        own, across = (mean_kernel(gap, 2 * NOISE, s).mean() for gap in (gaps, gaps + shift))
        return float(SCALE * (2 * own - 2 * across))
    share = 1 / sizes.styles
    variances = {share: 2 * NOISE, 1 - share: 2 * NOISE + 2 * BETWEEN}
    parts = [
        weight * (mean_kernel(0 * shift, v, s) - mean_kernel(shift, v, s))
        for weight, v in variances.items()
    ]
    return float(SCALE * 2 * sum(parts))


@dataclass(frozen=True, slots=True)
class Found:
    """What came of many experiments: means over them, and the share of intervals that held."""

    true: float
    mean: float
    as_published: float
    sd: float
    held: float
    width: float
    zero_outside: float

    @property
    def words(self) -> str:
        """The end of a row."""
        numbers = (self.true, self.mean, self.as_published, self.sd, self.width)
        shares = f"{self.held:>8.3f}{self.zero_outside:>8.3f}"
        return "".join(f"{number:>10.2f}" for number in numbers) + shares


def simulate(sizes: Sizes, count: int, resamples: int = 400) -> Found:
    """Repeat the experiment."""
    rng = np.random.default_rng(1)
    rows = []
    for _ in range(count):
        sampled = draw(sizes, rng)
        s = bandwidth(sampled.references.vectors)
        found = kad_interval(sampled.outputs, sampled.references, s, resamples=resamples)
        plain = kad(sampled.outputs.vectors, sampled.references.vectors, s)
        true = truth(sizes, sampled, s)
        held, apart = found.low <= true <= found.high, found.low > 0
        rows.append((true, found.mean, plain, held, found.high - found.low, apart))
    true, mean, plain, held, width, apart = np.mean(rows, axis=0)
    return Found(true, mean, plain, np.std([r[1] - r[0] for r in rows]), held, width, apart)


def cases() -> Iterator[Sizes]:
    """The rows of the table."""
    for styles, contents, clips in (
        (1, 16, 16),
        (1, 40, 40),
        (4, 8, 4),
        (4, 20, 12),
        (8, 12, 4),
        (18, 20, 4),
    ):
        for shift in (0.0, 0.25, 0.75):
            for of_content in (0.0, 0.5):
                if styles > 1 or not of_content:
                    yield Sizes(styles, contents, clips, of_content, shift)
    yield Sizes(8, 12, 4, 0.5, 0.0, uneven=True)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", type=Path)
    parser.add_argument("--count", type=int, default=WHOLE)
    options = parser.parse_args()
    columns = ("true", "mean", "plain", "sd", "width")
    head = f"{'design':<28}{'content':>8}{'shift':>8}" + "".join(f"{c:>10}" for c in columns)
    lines = [f"{head}{'held':>8}{'above 0':>8}"]
    for sizes in cases():
        lines.append(sizes.words + simulate(sizes, options.count).words)
        sys.stderr.write(lines[-1] + "\n")
    text = "\n".join(lines) + "\n"
    if options.o:
        options.o.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
