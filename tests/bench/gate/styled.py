"""Runs of two methods on four styles whose levels are chosen, for tests of the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bench.gate.snapshot import MeasuredCell, MeasuredMethod, MeasuredMetric, Snapshot

STYLES = ("bells", "flute", "rain", "viola")
METHODS = {
    "tve": MeasuredMethod(version="1", fits_per_style=True, control=False),
    "musicgen": MeasuredMethod(version="1", fits_per_style=False, control=False),
}
SF = MeasuredMetric(fingerprint="f", direction="maximize", range=(0.0, 1.0))
FIT, OWN = 0.01, 0.03  # standard deviations of a fit and of one output
Level = Callable[[str, str], float | None]  # of a method and style


def even(_method: str, _style: str) -> float:
    """Half of the range, everywhere."""
    return 0.5


def levels(**of_styles: float | None) -> Level:
    """Some styles of both methods at other levels."""
    return lambda _method, style: of_styles.get(style, 0.5)


def run(
    seed: int,
    level: Level = even,
    *,
    size: tuple[int, int] = (8, 3),
    metric: MeasuredMetric = SF,
    fewer: Mapping[str, int] | None = None,
    drawn: bool = True,
) -> Snapshot:
    """A run of so many contents and seeds with noise of its own, its scores inside the range.

    `fewer` has the contents of single styles; with `drawn` false there is no noise.
    """
    rng = np.random.default_rng(seed)
    cells = []
    for method in METHODS:
        for style in STYLES:
            mean = level(method, style)
            for k in range(size[1]):
                fit = rng.normal(0, FIT) if method == "tve" and drawn else 0.0
                for c in range((fewer or {}).get(style, size[0])):
                    noise = fit + (rng.normal(0, OWN) if drawn else 0.0)
                    value = None if mean is None else float(np.clip(mean + noise, 0, 1))
                    cells.append(MeasuredCell(
                        method=method, style=style, content=f"c{c}", category="x", repetition=k,
                        seed=seed, status="ok", audio_digest=f"{method}{style}{k}{c}-{seed}",
                        values={"sf": value},
                    ))  # fmt: skip
    return Snapshot(
        suite_name="toy", suite_digest="s", profile="mini", dataset="d", created_at="t",
        run_id="r", commit="c", reason="x", platform="p", machine="m", device="cpu",
        methods=METHODS, metrics={"sf": metric}, cells=tuple(cells),
    )  # fmt: skip
