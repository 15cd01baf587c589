"""The leaderboard: which runs may stand on it, its rows, its numbers, and its page."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import fail, header, method, metric, run_of, save, toy
from click.testing import CliRunner

from bench.api import RecordError
from bench.cli.main import cli
from bench.records.store import Run
from reports.board.rows import Board, Entrant, build_board
from reports.board.write import page, plain_board, write_board
from reports.tables.table2 import table2
from reports.text.result_table import Estimate


def named(run: Run, run_id: str, **changes: object) -> Run:
    update = {"run_id": run_id, **changes}
    return replace(run, folder=Path(run_id), header=run.header.model_copy(update=update))


def board(*runs: Run) -> Board:
    return build_board([Entrant(run, "local", str(run.folder)) for run in runs])


def numbers(found: Board, metric: str = "cp") -> list[float]:
    values = [row.placed.values[metric] for row in found.rows]
    return [value.value for value in values if isinstance(value, Estimate)]


def test_the_board_of_one_run_is_its_table_two() -> None:
    found = board(named(toy(), "r1"))
    assert [row.name for row in found.rows] == ["tve", "rti", "musicgen"]
    assert [row.placed.values["cp"] for row in found.rows] == list(table2(toy()).column("cp"))


def test_methods_of_two_runs_stand_side_by_side() -> None:
    both = board(named(toy(tve=0.5), "r1"), named(toy(rti=0.4), "r2"))
    apart = [numbers(board(named(toy(**{name: level}), "x")))[0] for name, level in
             (("tve", 0.5), ("rti", 0.4))]  # fmt: skip
    assert numbers(both) == apart
    assert [row.entrant.run.header.run_id for row in both.rows] == ["r1", "r2"]


def test_reruns_of_one_method_are_two_rows_with_their_own_numbers() -> None:
    found = board(named(toy(tve=0.5), "r1"), named(toy(tve=0.3), "r2"))
    assert [row.name for row in found.rows] == ["tve", "tve"]
    assert [row.rerun for row in found.rows] == [True, True]
    first, second = numbers(found)
    assert first - second == pytest.approx(0.2)
    assert [row.placed.label for row in found.rows] == ["tve (r1)", "tve (r2)"]


def test_a_failure_of_one_run_stays_with_that_run() -> None:
    lost = fail(toy(tve=0.5), "tve/style0/c0/0")
    found = board(named(toy(tve=0.5), "r1"), named(lost, "r2"))
    assert [row.placed.failed for row in found.rows] == ["", "1 failed"]
    assert [row.placed.coverage for row in found.rows] == ["48/48", "47/48"]
    whole, less = numbers(found)
    assert less < whole


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"suite": {"name": "toy", "seeds": 3}}, "seeds"),
        ({"dataset": {"name": "other", "digest": "0" * 64}}, "clips"),
    ],
)
def test_unlike_settings_are_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError, match=rf"differ in (family, )?{words}"):
        board(named(toy(), "r1"), named(toy(), "r2", **changes))


def test_unlike_measures_are_refused() -> None:
    other = metric("cp").model_copy(update={"fingerprint": "another"})
    changed = named(toy(), "r2", metrics=[other, metric("sf.heldout")])
    with pytest.raises(RecordError, match="'cp' differs between r1 and r2 in fingerprint"):
        board(named(toy(), "r1"), changed)


def test_one_run_is_not_named_twice() -> None:
    with pytest.raises(RecordError, match="r1 and elsewhere are one run, r1"):
        build_board([Entrant(named(toy(), "r1"), "local", place) for place in ("r1", "elsewhere")])


def test_methods_with_unlike_cells_stand_once_more_on_the_common_ones() -> None:
    head = header([method("tve"), method("rti")], metrics=("cp",))
    run = run_of(head, {"tve": {"cp": 0.5}, "rti": {"cp": 0.4}})
    declined = {
        name: cell.model_copy(update={"status": "unsupported"})
        for name, cell in run.cells.items()
        if name.startswith("rti/bird")
    }
    kept = {key: score for key, score in run.scores.items() if key[0] not in declined}
    found = board(replace(run, cells=run.cells | declined, scores=kept))
    tve, rti = ([row.placed.values["cp"], row.placed.common["cp"]] for row in found.rows)
    assert isinstance(tve[1], Estimate)
    assert isinstance(rti[0], Estimate)
    assert tve[1].value == pytest.approx(0.5 + 0.015)  # the harp alone
    assert rti[0].value == pytest.approx(0.4 + 0.015)
    assert [(row.placed.n, row.placed.common_n) for row in found.rows] == [(8, 4), (4, 4)]
    assert "On the cells that all judged methods have" in page(found)


def controlled() -> Run:
    head = header([method("tve"), method("mix", control=True)], metrics=("cp",))
    return run_of(head, {"tve": {"cp": 0.5}, "mix": {"cp": 0.8}})


def test_controls_are_marked_and_stand_apart(tmp_path: Path) -> None:
    found = board(named(controlled(), "r1"))
    text = page(found)
    methods, controls = text.split('scope="rowgroup"')[1:]
    assert "(control)" not in methods
    assert controls.count("<small>(control)</small>") == 1
    index, numbers_file = write_board(found, tmp_path / "board")
    assert index.read_text(encoding="utf-8") == text
    assert numbers_file.read_text(encoding="utf-8").count("\n") == 3
    assert [row.group for row in plain_board(found).rows] == ["", "controls"]


def test_the_policy_of_the_page_allows_its_own_style_and_script_alone() -> None:
    text = page(board(named(toy(), "r1")))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    for kind in ("style", "script"):
        (inside,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]
    assert re.findall(r'(?:src|href)="(?!#|data:|board\.csv)', text) == []


def test_words_of_strangers_are_text() -> None:
    hostile = method("<script>alert(1)</script>\x1b[2J")
    run = run_of(header([hostile], metrics=("cp",)), {hostile.label: {"cp": 0.5}})
    text = page(build_board([Entrant(run, "<b>me", "hf:<i>")]))
    assert "<script>alert" not in text
    assert "<b>me" not in text
    assert "\x1b" not in text


def test_the_command_writes_the_page_and_says_where(tmp_path: Path) -> None:
    runs = [save(named(toy(**one), run_id), tmp_path / run_id)
            for run_id, one in (("r1", {"tve": 0.5}), ("r2", {"rti": 0.4}))]  # fmt: skip
    out = tmp_path / "board"
    done = CliRunner().invoke(cli, ["board", *map(str, runs), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output == f"Board: {out}/index.html\nNumbers: {out}/board.csv\n"
