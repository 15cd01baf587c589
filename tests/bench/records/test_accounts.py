"""The account of a session: its parts, the share of the device, and a log that others may spoil."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.records.accounts import (
    FILE,
    OTHERS,
    append_account,
    at_work_s,
    device_share,
    read_accounts,
    share_words,
    wall_s,
)

ACCOUNT = {
    "load tve": 5.0, "fit tve": 20.0, "transfer tve": 12.0, "score": 8.0, "prepare": 1.0,
    "other": 4.0, "total": 50.0,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path


def test_work_is_fits_transfers_and_scores_and_the_rest_is_not() -> None:
    rest = {stage: s for stage, s in ACCOUNT.items() if stage != "total"}
    work = {stage: rest.pop(stage) for stage in ("fit tve", "transfer tve", "score")}
    assert at_work_s(ACCOUNT) == sum(work.values()) == 40.0
    assert at_work_s(rest) == 0.0
    assert at_work_s(ACCOUNT) + sum(rest.values()) == wall_s(ACCOUNT) == ACCOUNT["total"]
    assert device_share([ACCOUNT]) == 0.8
    assert share_words(0.8) == "the device worked 80 % of the wall time"


def test_the_work_of_other_processes_is_left_out_on_both_sides() -> None:
    several = {**ACCOUNT, OTHERS: 1000.0, "total": 1050.0}
    assert device_share([several]) == device_share([ACCOUNT])


def test_sessions_are_weighed_by_their_length() -> None:
    idle = {"other": 50.0, "total": 50.0}
    assert device_share([ACCOUNT, idle]) == pytest.approx(0.4)
    assert device_share([]) is None
    assert device_share([{"total": 0.0}]) is None


def test_what_is_appended_is_read_again(folder: Path) -> None:
    append_account(folder, ACCOUNT)
    append_account(folder, {"other": 0.00049, "total": 0.00051})
    assert read_accounts(folder) == [ACCOUNT, {"other": 0.0, "total": 0.001}]
    lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["device_share"] == 0.8


@pytest.mark.parametrize(
    "line",
    [
        "",
        "no JSON",
        "[1, 2]",
        "[" * 100_000,
        '{"total": "long"}',
        '{"fit tve": NaN, "total": NaN}',
        '{"fit tve": Infinity, "total": Infinity}',
        '{"fit tve": 5.0, "total": 1.0}',
        '{"fit tve": 5.0}',
        '{"fit tve": -5.0, "other": 6.0, "total": 1.0}',
        '{"fit tve": null, "total": 0.0}',
    ],
)
def test_a_line_that_is_no_account_is_left_out(folder: Path, line: str) -> None:
    append_account(folder, ACCOUNT)
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    append_account(folder, ACCOUNT)
    assert read_accounts(folder) == [ACCOUNT, ACCOUNT]


def test_a_log_that_cannot_be_read_has_no_account(folder: Path) -> None:
    assert read_accounts(folder) == []
    (folder / FILE).write_bytes(b"\xff\xfe\x00")
    assert read_accounts(folder) == []
