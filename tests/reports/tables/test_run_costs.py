"""What a run says about its costs, against plain arithmetic."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import number, simple

from reports.tables.run_costs import run_costs, session_costs


def test_timing_counts_each_fit_once_and_divides_by_the_duration() -> None:
    table = run_costs(simple(tve=0.5))
    assert number(table, "transfer_s") == 1.0
    assert number(table, "real_time_factor") == 0.25
    assert table.column("total_s")[0] == 2 + 2 * 10 + 8 * 1
    assert table.column("peak_mib")[0] == 100


def test_cached_stages_are_marked() -> None:
    run = simple(tve=0.5)
    cells = {k: c.model_copy(update={"fit_cached": True}) for k, c in run.cells.items()}
    assert run_costs(replace(run, cells=cells)).column("cached")[0] == "fit 2/2"


def test_the_account_of_a_session_adds_up() -> None:
    account = {"load metrics": 2.0, "fit tve": 20.0, "transfer tve": 12.0, "score": 8.0}
    around = {"prepare": 0.5, "report": 1.25, "other": 0.25, "total": 44.0}
    table = session_costs({**account, **around})
    beside = ("planning and checks", "tables and page", "reading and writing")
    assert table.column("part") == ("metrics", "tve", *beside, "total")
    assert table.column("total_s") == (10.0, 32.0, 0.5, 1.25, 0.25, 44.0)
    assert table.column("score_s")[0] == 8.0
