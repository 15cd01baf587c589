"""The trends of the main branch: the numbers of the figure, the figure, and the commands."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from bench.api import RecordError
from bench.gate.history import HistoryLine, add, read_history, series_of, trend
from reports.figures import trends
from reports.gate import history


def lines(values: list[float]) -> list[HistoryLine]:
    """One run per value of cp, at a steady pace."""
    return [
        HistoryLine(
            created_at=f"2026-01-01T{day:04d}", run_id=f"r{day}", commit=f"c{day}" * 8,
            suite_name="toy", setting="s", machine="m", fingerprints={"cp": "f"},
            directions={"cp": "maximize"}, levels={"tve": {"cp": value}},
            times={"tve": {"transfer": 10.0}},
        )
        for day, value in enumerate(values)
    ]  # fmt: skip


def written(folder: Path, values: list[float]) -> Path:
    path = folder / "history.jsonl"
    for line in lines(values):
        add(path, line)
    return path


def test_a_panel_per_quantity_holds_points_and_levels() -> None:
    shown = trends.panels([trend(one) for one in series_of(lines([0.5] * 5 + [0.4] * 4))])
    cp, transfer = shown
    assert (cp.subject, cp.unit, transfer.unit) == ("cp", "mean", "kernels")
    assert cp.lines[0].levels == ((0, 5, 0.5), (5, 9, 0.4))
    assert cp.lines[0].worse
    assert not transfer.lines[0].worse


def test_the_numbers_of_the_figure_are_every_point_with_its_level() -> None:
    shown = trends.panels([trend(one) for one in series_of(lines([0.5] * 5 + [0.4] * 4))])
    rows = list(csv.DictReader(trends.panels_csv(shown).splitlines()))
    assert len(rows) == 18
    assert rows[8] == {"subject": "cp", "method": "tve", "run": "8", "value": "0.4", "level": "0.4"}


def test_the_figure_is_the_same_each_time(tmp_path: Path) -> None:
    found = [trend(one) for one in series_of(lines([0.5] * 5 + [0.4] * 4))]
    for name in ("a.svg", "b.svg"):
        trends.write(tmp_path / name, found)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"runs of the main branch" in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(RecordError, match="figures are"):
        trends.write(tmp_path / "a.gif", found)


def test_a_drift_is_shown_with_the_commit_it_began_at(tmp_path: Path) -> None:
    text, code = history.show(written(tmp_path, [0.5] * 5 + [0.4] * 4), tmp_path / "report")
    assert code == 3
    worse = next(line for line in text.splitlines() if line.startswith("worse"))
    assert worse.split()[1:] == ["tve", "cp", "9", "0.40", "-0.10", "c5c5c5c5c5c5"]
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "trends.md", "trends.svg", "trends.csv"
    }  # fmt: skip


def test_a_steady_history_passes(tmp_path: Path) -> None:
    assert history.show(written(tmp_path, [0.5] * 9))[1] == 0


def test_the_commands_need_no_torch(tmp_path: Path) -> None:
    path = written(tmp_path, [0.5] * 5 + [0.4] * 4)
    code = (
        "import sys; from bench.cli.main import cli\n"
        "try: cli.main(sys.argv[1:], standalone_mode=True)\n"
        "except SystemExit as end: print('torch' in sys.modules, end.code)"
    )
    command = [sys.executable, "-c", code, "history", "show", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False 3"
    assert len(read_history(path)) == 9
