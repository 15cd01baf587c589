"""The history of the main branch: lines, series, steps, and what is worse than it was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.api import RecordError
from bench.gate.history import HistoryLine, Trend, add, line_of, read_history, series_of, trend
from bench.gate.snapshot import MeasuredCell, MeasuredMethod, MeasuredMetric, Snapshot
from bench.records.benchmarks import Benchmark
from bench.statistics.change_points import noise_scale, steps


def line(day: int, **changes: object) -> HistoryLine:
    """One run per day of a method with two metrics and one stage."""
    facts = {
        "created_at": f"2026-01-01T{day:04d}", "run_id": f"r{day}", "commit": f"c{day}",
        "suite_name": "toy", "setting": "s", "machine": "m",
        "fingerprints": {"cp": "f", "distance": "g"},
        "directions": {"cp": "maximize", "distance": "minimize"},
        "levels": {"tve": {"cp": 0.5, "distance": 0.5}}, "times": {"tve": {"transfer": 10.0}},
    }  # fmt: skip
    return HistoryLine.model_validate(facts | changes)


def drifted(values: list[float], subject: str = "cp", times: list[float] | None = None) -> Trend:
    """The trend of one quantity whose values are given, one run each."""
    lines = [
        line(day, levels={"tve": {subject: value}}, times={"tve": {"transfer": pace}})
        for day, (value, pace) in enumerate(zip(values, times or [10.0] * len(values), strict=True))
    ]
    wanted = "transfer" if times else subject
    [found] = [trend(one) for one in series_of(lines) if one.subject == wanted]
    return found


def test_a_step_is_found_where_it_is_and_outliers_are_none() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 30)
    stepped = np.repeat([0.0, 1.0], 15) + noise
    assert steps(list(stepped)) == (0, 15)
    noise[7] += 3
    assert steps(list(noise)) == (0,)


def test_numbers_that_never_vary_show_their_smallest_step() -> None:
    assert steps([0.5] * 5 + [0.499] * 5) == (0, 5)
    assert steps([0.5] * 5 + [0.499] * 5, finest=0.01) == (0,)
    assert steps([0.5] * 4) == (0,)


def test_the_noise_of_a_series_is_that_of_neighbours() -> None:
    noise = np.random.default_rng(1).normal(0, 2.0, 4000)
    assert noise_scale(noise) == pytest.approx(2.0, rel=0.05)
    assert noise_scale(noise + np.repeat([0.0, 50.0], 2000)) == pytest.approx(2.0, rel=0.05)


def test_a_steady_series_seldom_steps_and_a_large_step_is_found() -> None:
    generator = np.random.default_rng(2)
    series = generator.normal(0, 1, (100, 24))
    false = np.mean([len(steps(list(one))) > 1 for one in series])
    series[:, -8:] -= 3
    found = np.mean([len(steps(list(one))) > 1 for one in series])
    assert false <= 0.05
    assert found >= 0.8


def test_many_small_drops_are_worse_than_the_best_level() -> None:
    slow = [0.5 - 0.004 * (day // 5) for day in range(25)]
    found = drifted(slow)
    assert found.word == "worse"
    assert found.change == pytest.approx(-0.016)
    assert found.levels[0] == 0.5


@pytest.mark.parametrize(
    ("subject", "later", "word"),
    [("cp", 0.45, "worse"), ("cp", 0.55, "better"), ("cp", 0.495, "steady"),
     ("distance", 0.55, "worse"), ("distance", 0.45, "better")],
)  # fmt: skip
def test_the_direction_of_a_metric_decides(subject: str, later: float, word: str) -> None:
    assert drifted([0.5] * 6 + [later] * 4, subject).word == word


@pytest.mark.parametrize(
    ("subject", "levels", "word", "change"),
    [("cp", (0.5, 0.6, 0.55), "worse", -0.05), ("distance", (0.5, 0.4, 0.45), "worse", 0.05),
     ("cp", (0.6, 0.5, 0.65), "better", 0.05), ("distance", (0.4, 0.5, 0.35), "better", -0.05)],
)  # fmt: skip
def test_the_newest_level_is_held_against_the_best_before_it(
    subject: str, levels: tuple[float, ...], word: str, change: float
) -> None:
    found = drifted([level for level in levels for _ in range(6)], subject)
    assert found.levels == pytest.approx(levels)
    assert (found.word, found.change) == (word, pytest.approx(change))


def test_times_change_by_ratios() -> None:
    found = drifted([0.5] * 10, times=[10.0] * 6 + [13.0] * 4)
    assert (found.word, found.change) == ("worse", pytest.approx(1.3))
    assert drifted([0.5] * 10, times=[10.0] * 6 + [11.0] * 4).word == "steady"


@pytest.mark.parametrize(
    ("change", "points"),
    [({"setting": "other"}, (1, 1)), ({"machine": "other"}, (4, 1)),
     ({"fingerprints": {"cp": "new", "distance": "g"}}, (1, 4))],
)  # fmt: skip
def test_only_comparable_runs_form_a_series(
    change: dict[str, object], points: tuple[int, int]
) -> None:
    lines = [*(line(day) for day in range(3)), line(3, **change)]
    found = {one.subject: len(one.values) for one in series_of(lines)}
    assert (found["cp"], found["transfer"]) == points


def test_a_run_is_added_once_and_lines_are_sorted(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "history.jsonl"
    assert [add(path, line(day)) for day in (2, 1, 2)] == [True, True, False]
    assert [one.commit for one in read_history(path)] == ["c1", "c2"]


def test_an_empty_or_foreign_history_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no run"):
        read_history(tmp_path / "absent.jsonl")
    (tmp_path / "other.jsonl").write_text("{}\n")
    with pytest.raises(RecordError, match="is not a HistoryLine"):
        read_history(tmp_path / "other.jsonl")


def measured(content: str, kernel_s: float, cp: float = 0.3, status: str = "ok") -> MeasuredCell:
    return MeasuredCell(
        method="tve", style="s", content=content, category="piano", repetition=0, seed=0,
        status=status, values={"cp": cp}, transfer_s=1.0, calibration_s=kernel_s,
    )  # fmt: skip


def taken(cells: Sequence[MeasuredCell], benchmarks: tuple[Benchmark, ...] = ()) -> Snapshot:
    return Snapshot(
        suite_name="toy", suite_digest="d", profile="mini", dataset="x", created_at="t",
        run_id="r", commit="c", platform="p", machine="m", device="cpu",
        methods={"tve": MeasuredMethod(version="1", fits_per_style=False, control=False)},
        metrics={"cp": MeasuredMetric(fingerprint="f", direction="maximize")}, cells=tuple(cells),
        benchmarks=benchmarks,
    )  # fmt: skip


def test_a_line_holds_means_and_times_in_kernels() -> None:
    values = [(0.2, "ok"), (0.4, "ok"), (0.9, "oom")]
    cells = [measured(f"c{i}", 0.1, *value) for i, value in enumerate(values)]
    found = line_of(taken(cells))
    assert found.levels["tve"]["cp"] == pytest.approx(0.3)
    assert math.isclose(found.times["tve"]["transfer"], 10.0)


def test_times_of_a_disturbed_machine_are_no_level() -> None:
    """Neither a function's nor a stage's; metrics count all the same."""
    cells = [measured(style, kernel_s) for style, kernel_s in (("a", 0.1), ("b", 0.2))]
    busy = Benchmark(name="f", machine="m", median_s=1.0, disturbed="load average 9.0 on 2 cores")
    late = Benchmark(name="g", machine="m", median_s=None, limit_s=120.0)
    well = Benchmark(name="h", machine="m", median_s=1.0)
    found = line_of(taken(cells, (busy, late, well)))
    assert found.times == {}
    assert found.benchmarks == {"h": 1.0}
    assert found.levels["tve"]["cp"] == pytest.approx(0.3)
