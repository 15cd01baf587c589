"""False alarms and power of the gate on the committed baseline, through the gate's own code.

`python tests/regression/power.py [--gates 1000] [-o FILE]` reads how much the scores of every
method vary between fits and between outputs in the baseline's repetitions, draws both sides of a
comparison anew with that noise (the worst case: a change that moves every random number), and
judges each pair with `bench.gate.judge.judge`. `power.txt` beside it is such a file.

A cell's score is taken as its mean over repetitions, plus normal noise of its fit (where a method
fits per style), plus normal noise of its own; both standard deviations are estimated per method,
metric and style.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.gate.judge import judge  # noqa: E402 - needs the path above
from bench.gate.power import foresee  # noqa: E402 - needs the path above
from bench.gate.snapshot import MeasuredCell, Snapshot, read_snapshot  # noqa: E402 - needs the path
from bench.gate.verdict import Verdict  # noqa: E402 - needs the path above

BASELINE = Path(__file__).with_name("baseline.json")
DROP = 0.04  # over all styles
STYLE_DROP = 0.2  # in a single one
PRIMARY = ("cp", "sf.heldout")
Place = tuple[str, str, str]  # method, metric and style, which is empty for all styles


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Means of the cells of one method, metric and style, and the noise around them.

    Args:
        style: The style.
        cells: Index into the baseline's cells, shape (content, repetition).
        means: Mean over the repetitions, shape (content,).
        fit: Standard deviation that all cells of one fit share.
        own: Standard deviation of one output.
    """

    style: str
    cells: np.ndarray
    means: np.ndarray
    fit: float
    own: float


def models(baseline: Snapshot) -> dict[tuple[str, str], list[Model]]:
    """The models of every method and metric, one per style that has numbers."""
    places: dict[tuple[str, str], dict[str, dict[int, int]]] = {}
    for number, cell in enumerate(baseline.cells):
        if cell.status == "ok":
            style = places.setdefault((cell.method, cell.style), {})
            style.setdefault(cell.content, {})[cell.repetition] = number
    found: dict[tuple[str, str], list[Model]] = {}
    for (method, style), contents in places.items():
        for metric in baseline.metrics:
            table = np.array([[own[k] for k in sorted(own)] for own in contents.values()])
            values = np.array(
                [[baseline.cells[i].values.get(metric) for i in row] for row in table], dtype=float
            )
            if np.isfinite(values).all():
                fits = baseline.methods[method].fits_per_style
                found.setdefault((method, metric), []).append(
                    _model(style, table, values, fits=fits)
                )
    return found


def _model(style: str, table: np.ndarray, values: np.ndarray, *, fits: bool) -> Model:
    """Noise by the mean squares of contents x repetitions (two-way analysis of variance)."""
    contents, repetitions = values.shape
    means = values.mean(axis=1)
    left = values - means[:, None]
    if not fits:
        own = float((left**2).sum() / (contents * (repetitions - 1)))
        return Model(style, table, means, 0.0, math.sqrt(own))
    shared = left.mean(axis=0)
    own = float(((left - shared) ** 2).sum() / ((contents - 1) * (repetitions - 1)))
    between = float((shared**2).sum() / (repetitions - 1))
    return Model(style, table, means, math.sqrt(max(0.0, between - own / contents)), math.sqrt(own))


def drawn(
    known: Snapshot,
    found: Mapping[tuple[str, str], list[Model]],
    generator: np.random.Generator,
    drops: Mapping[Place, float],
) -> Snapshot:
    """The baseline with all noise drawn anew, and some means lowered."""
    values: list[dict[str, float]] = [{} for _ in known.cells]
    for (method, metric), parts in found.items():
        for part in parts:
            fit = generator.normal(0, part.fit, part.cells.shape[1])
            own = generator.normal(0, part.own, part.cells.shape)
            fallen = sum(drops.get((method, metric, style), 0.0) for style in ("", part.style))
            scores = part.means[:, None] + fit + own - fallen
            for number, score in zip(part.cells.ravel(), scores.ravel(), strict=True):
                values[number][metric] = float(score)
    moves = {method for (method, _), parts in found.items() for p in parts if p.fit + p.own > 0}
    mark = int(generator.integers(2**62))
    cells = tuple(
        _renewed(cell, own, mark if cell.method in moves else 0)
        for cell, own in zip(known.cells, values, strict=True)
    )
    return known.model_copy(update={"cells": cells})


def _renewed(cell: MeasuredCell, values: dict[str, float], mark: int) -> MeasuredCell:
    digest = f"{cell.audio_digest}-{mark}" if mark else cell.audio_digest
    kept = {**cell.values, **values}
    return cell.model_copy(update={"audio_digest": digest, "values": kept})


def quality(verdicts: list[Verdict]) -> Iterator[Verdict]:
    """The verdicts on quality: other audio is certain here and says nothing."""
    return (verdict for verdict in verdicts if verdict.lane in {"quality", "style"})


def simulate(
    known: Snapshot, gates: int, drops: Mapping[Place, float], seed: int = 0
) -> list[list[Verdict]]:
    """The verdicts on quality, over all styles and on each, of so many gates drawn anew."""
    found = models(known)
    generator = np.random.default_rng(seed)
    return [
        list(
            quality(
                judge(drawn(known, found, generator, drops), drawn(known, found, generator, {}))
            )
        )
        for _ in range(gates)
    ]


def share(gates: list[list[Verdict]], place: Place | None = None) -> float:
    """Share of gates with a red verdict: any, or that of one lane."""
    return float(np.mean([
        any(v.red and place in (None, (v.method, v.subject, v.style)) for v in gate)
        for gate in gates
    ]))  # fmt: skip


def lines(known: Snapshot, gates: int) -> Iterator[str]:
    """The figures, one line each."""
    yield f"suite {known.suite_name}, digest {known.suite_digest[:12]}, baseline {known.run_id}"
    yield "Standard deviations in the baseline (all styles pooled): fit, output"
    for (method, metric), parts in models(known).items():
        fit, own = (
            math.sqrt(np.mean([getattr(p, kind) ** 2 for p in parts])) for kind in ("fit", "own")
        )
        if fit + own > 0:
            yield f"{method} {metric}: {fit:.4f} {own:.4f}"
    false = share(simulate(known, gates, {}))
    yield f"False alarms of the whole gate, all noise drawn anew: {false:.4f} of {gates}"
    yield f"Power for a drop of {DROP} on all styles or {STYLE_DROP} on one, and what it would find"
    for one in foresee(known):
        single = one.style and known.methods[one.method].control  # of no interest by itself
        if one.drop and one.metric in PRIMARY and not single:
            place = (one.method, one.metric, one.style)
            drop = STYLE_DROP if one.style else DROP
            found = share(simulate(known, gates // 4, {place: drop}), place)
            name = f"{one.method} {one.metric}{f' on {one.style}' if one.style else ''}"
            yield f"{name}: {found:.3f} of {gates // 4}, would find {one.drop:.4f}"


def main(say: Callable[[str], object] = sys.stdout.write) -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    parser.add_argument("--gates", type=int, default=1000)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    text = ""
    for line in lines(read_snapshot(arguments.baseline), arguments.gates):
        say(line + "\n")
        text += line + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
