"""Simulated gates whose truth is known: false alarms of whole gates, and power.

`python tests/bench/gate/simulate_gates.py -o tests/bench/gate/simulations.txt` writes the whole
table (`make simulations`); `test_gate_simulation.py` runs fewer gates of the same.

A gate is `METHODS` methods (every second one fits per style) with `METRICS` metrics each. All cells
have other audio than the baseline, as after a change that moves every random number: the worst
case, since unchanged audio passes at once. The numbers go through the rule as it stands.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from bench.gate.lanes import MetricCells, Paired
from bench.gate.quality import judge_numbers
from bench.gate.reach import EVERYTHING
from bench.gate.snapshot import LEAST_DROP, MeasuredMethod, MeasuredMetric
from bench.gate.verdict import Verdict

METHODS, METRICS = 10, 5
WHOLE = 5000  # gates for a rate of false alarms
PART = 250  # gates drawn at a time
POWER_GATES = 300  # for a power
DROP, STYLE_DROP = 0.04, 0.2
MIDDLE = 0.5
LOUD = 3.0  # how many times noisier one style is, where one is

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SHAPES: dict[str, Draw] = {  # standard deviation 1
    "normal": lambda rng, size: rng.normal(size=size),
    "exponential": lambda rng, size: rng.exponential(size=size) - 1,
    "heavy": lambda rng, size: rng.standard_t(4, size=size) / math.sqrt(2),
}


@dataclass(frozen=True, slots=True)
class World:
    """What is simulated.

    Args:
        styles: How many styles.
        contents: Contents of a style.
        seeds: Repetitions.
        fit: Standard deviation that the cells of one fit share.
        own: Standard deviation of one output.
        shape: Distribution of both.
        loud: Whether one style is `LOUD` times noisier than the others.
        level: Mean of all scores, which are cut to [0, 1].
        methods: How many methods.
        metrics: How many metrics each.
    """

    styles: int
    contents: int
    seeds: int
    fit: float = 0.02
    own: float = 0.045
    shape: str = "normal"
    loud: bool = False
    level: float = MIDDLE
    methods: int = METHODS
    metrics: int = METRICS

    def __str__(self) -> str:
        """In words, as the table has it."""
        words = [
            f"{self.methods} x {self.metrics}",
            f"{self.styles} styles x {self.contents} contents x {self.seeds} seeds",
            f"fit {self.fit:g}, output {self.own:g}",
            self.shape,
        ]
        words += ["one style three times as noisy"] if self.loud else []
        words += [f"scores at {self.level:g}"] if self.level != MIDDLE else []
        return ", ".join(words)


ALARMS = (
    World(2, 8, 10),
    World(3, 4, 2),
    World(4, 8, 3),
    World(4, 8, 3, shape="exponential"),
    World(2, 8, 3, loud=True),
    World(4, 8, 3, shape="heavy", loud=True),
    World(3, 8, 2, level=0.02, loud=True),
)
POWERS = (
    World(2, 8, 10, methods=3, metrics=2),
    World(2, 8, 10, fit=0.03, methods=3, metrics=2),
    World(2, 8, 10, fit=0.03),
    World(4, 8, 3, methods=3, metrics=2),
    World(4, 8, 3),
    World(4, 8, 6),
    World(3, 4, 2, methods=3, metrics=2),
    World(3, 4, 3, methods=3, metrics=2),
)


def gate(
    world: World,
    rng: np.random.Generator,
    *,
    everywhere: float = 0.0,
    in_style: float = 0.0,
    least_drop: float = LEAST_DROP,
) -> list[Verdict]:
    """One gate: everything is drawn anew; the first metric of the first two methods may fall.

    Args:
        world: What is simulated.
        rng: Where the noise comes from.
        everywhere: By how much it falls on all styles.
        in_style: By how much it falls on the first style alone.
        least_drop: What is asked of a lane, which decides no red verdict.
    """
    scores = _scores(world, rng)
    scores[0, :2, 0] -= everywhere
    scores[0, :2, 0, 0] -= in_style
    scores = np.clip(scores, 0, 1)
    places = np.array(list(itertools.product(*map(range, scores.shape[3:]))))
    styles, contents = (places[:, i].astype(np.str_) for i in (0, 1))
    return judge_numbers(
        [
            (
                _part(method, metric),
                Paired(
                    scores[0, method, metric].ravel(), scores[1, method, metric].ravel(),
                    np.zeros(len(places), bool), styles, contents, places[:, 2].astype(np.intp),
                ),
            )
            for method, metric in itertools.product(range(world.methods), range(world.metrics))
        ],
        same_platform=True,
        least_drop=least_drop,
    )  # fmt: skip


def _scores(world: World, rng: np.random.Generator) -> np.ndarray:
    """Scores, shape (side, method, metric, style, content, seed)."""
    many = (2, world.methods, world.metrics, world.styles)
    draw = SHAPES[world.shape]
    noise = world.own * draw(rng, (*many, world.contents, world.seeds))
    fits = world.fit * draw(rng, (*many, 1, world.seeds))
    fits[:, 1::2] = 0
    noise += fits
    noise[:, :, :, -1] *= LOUD if world.loud else 1
    return world.level + noise


def _part(method: int, metric: int) -> MetricCells:
    return MetricCells(
        f"m{method}",
        f"s{metric}",
        MeasuredMetric(fingerprint="f", direction="maximize", range=(0.0, 1.0)),
        MeasuredMethod(version="1", fits_per_style=method % 2 == 0, control=False),
        (),
    )


def alarms(world: World, gates: int, seed: int = 0) -> int:
    """In how many gates anything is red, with nothing changed but chance."""
    rng = np.random.default_rng(seed)
    return sum(
        any(verdict.red for verdict in gate(world, rng, least_drop=EVERYTHING))
        for _ in range(gates)
    )


def rates(gates: int, processes: int) -> Iterator[float]:
    """The share of gates with a false alarm in each of `ALARMS`, whatever the processes."""
    parts = range(gates // PART)
    with ProcessPoolExecutor(processes) as pool:
        waiting = [[pool.submit(alarms, world, PART, seed) for seed in parts] for world in ALARMS]
        for found in waiting:
            yield sum(one.result() for one in found) / (PART * len(parts))


@dataclass(frozen=True, slots=True)
class Power:
    """What gates found of a method: shares of red verdicts, and the median drop they say."""

    method: str
    everywhere: float
    says: float
    in_style: float
    says_in_style: float


def powers(world: World, gates: int, seed: int = 0) -> list[Power]:
    """Power for `DROP` on all styles, and for `STYLE_DROP` on one, with a fit per style or not."""
    rng = np.random.default_rng(seed)
    fallen = [gate(world, rng, everywhere=DROP) for _ in range(gates)]
    one = [gate(world, rng, in_style=STYLE_DROP) for _ in range(gates)]
    return [
        Power(
            method,
            *_found(fallen, method, "quality", ""),
            *_found(one, method, "style", "0"),
        )
        for method in ("m0", "m1")
    ]


def _found(
    gates: Sequence[Sequence[Verdict]], method: str, lane: str, style: str
) -> tuple[float, float]:
    place = (lane, method, "s0", style)
    own = [v for found in gates for v in found if (v.lane, v.method, v.subject, v.style) == place]
    return float(np.mean([v.red for v in own])), float(np.median([v.detectable for v in own]))


def lines(gates: int, power_gates: int, processes: int) -> Iterator[str]:
    """The table."""
    yield f"False alarms of whole gates without any real drop, {gates} gates each; at most .02"
    for world, rate in zip(ALARMS, rates(gates, processes), strict=True):
        yield f"{rate:.4f}  {world}"
    yield ""
    yield f"Power for a drop of {DROP} on all styles and of {STYLE_DROP} on one, with the smallest"
    yield f"drop that the verdict says would be found (median), {power_gates} gates each"
    for world in POWERS:
        both = powers(world, power_gates)
        for kind, one in zip(("a fit per style", "no fits"), both, strict=True):
            yield (
                f"all {one.everywhere:.3f} (finds {one.says:.3f})  one {one.in_style:.3f} "
                f"(finds {one.says_in_style:.3f})  {world}, {kind}"
            )


def main(say: Callable[[str], object] = sys.stdout.write) -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=WHOLE)
    parser.add_argument("--power-gates", type=int, default=POWER_GATES)
    parser.add_argument("-j", "--processes", type=int, default=2)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    text, begun = "", time.monotonic()
    for line in lines(arguments.gates, arguments.power_gates, arguments.processes):
        say(f"{line}\n")
        sys.stdout.flush()
        text += f"{line}\n"
    say(f"({time.monotonic() - begun:.0f} s)\n")
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
