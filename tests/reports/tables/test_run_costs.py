"""What a run says about its costs, against plain arithmetic."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import number, simple

from bench.records.accounts import append_account
from reports.tables.run_costs import run_costs, session_costs
from reports.text.result_table import Missing


def test_timing_counts_each_fit_once_and_divides_by_the_duration() -> None:
    table = run_costs(simple(tve=0.5))
    assert number(table, "transfer_s") == 1.0
    assert number(table, "real_time_factor") == 0.25
    assert table.column("total_s")[0] == 2 + 2 * 10 + 8 * 1
    assert table.column("peak_mib")[0] == 100


def test_the_peak_of_the_process_is_not_that_of_a_control() -> None:
    table = run_costs(simple(tve=0.5, noise=0.1))
    shown = table.column("peak_mib")[1]
    assert isinstance(shown, Missing)
    assert "process of the methods" in shown.reason
    assert f"— under Peak memory (MiB): {shown.reason}" in table.notes


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
    # (20 + 12 + 8) of 44 seconds.
    assert table.notes == ("the device worked 91 % of the wall time: fits, transfers and scores",)


def test_the_processes_of_several_devices_have_a_row_and_no_part_in_the_share() -> None:
    account = {"score": 3.0, "processes": 90.0, "other": 1.0, "total": 94.0}
    table = session_costs(account)
    assert table.column("part") == ("metrics", "several devices", "reading and writing", "total")
    assert table.column("total_s") == (3.0, 90.0, 1.0, 94.0)
    assert "worked 75 % of" in table.notes[0]


def test_a_table_of_a_run_says_what_its_device_did(tmp_path: Path) -> None:
    run = replace(simple(tve=0.5), folder=tmp_path)
    (tmp_path / "logs").mkdir()
    assert not [note for note in run_costs(run).notes if "device worked" in note]
    for seconds in (1.0, 2.0):
        append_account(tmp_path, {"fit tve": seconds, "other": 3 - seconds, "total": 3.0})
    (said,) = [note for note in run_costs(run).notes if "device worked" in note]
    assert said == "the device worked 50 % of the wall time, 6.0 s in 2 sessions"
