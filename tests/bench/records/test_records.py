"""Records: what is written is read back, and a kill within a line loses only that line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api import RecordError
from bench.records import store
from bench.records.schema import CellRecord


def cell(name: str, status: str = "ok") -> CellRecord:
    return CellRecord.model_validate({"cell_id": name, "status": status})


def test_records_come_back_in_order(tmp_path: Path) -> None:
    log = tmp_path / "cells.jsonl"
    store.append(log, [cell("a"), cell("b")])
    store.append(log, [cell("a", "error")])
    assert [(r.cell_id, r.status) for r in store.read(log, CellRecord)] == [
        ("a", "ok"),
        ("b", "ok"),
        ("a", "error"),
    ]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_ignored_and_cut_by_the_next_append(tmp_path: Path, cut: int) -> None:
    log = tmp_path / "cells.jsonl"
    store.append(log, [cell("a"), cell("b")])
    log.write_bytes(log.read_bytes()[:-cut])
    assert [r.cell_id for r in store.read(log, CellRecord)] == ["a"]
    store.append(log, [cell("c")])
    assert [r.cell_id for r in store.read(log, CellRecord)] == ["a", "c"]


def test_a_file_that_is_one_torn_line_is_empty(tmp_path: Path) -> None:
    log = tmp_path / "cells.jsonl"
    log.write_bytes(b'{"schema_version":1,"cell')
    assert store.read(log, CellRecord) == []
    store.append(log, [cell("a")])
    assert len(store.read(log, CellRecord)) == 1


def test_a_whole_line_of_nonsense_is_named(tmp_path: Path) -> None:
    log = tmp_path / "cells.jsonl"
    log.write_text('{"cell_id": "a", "status": "fine"}\n')
    with pytest.raises(RecordError, match=r"cells\.jsonl:1 is not a CellRecord"):
        store.read(log, CellRecord)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"holds no run\.json"):
        store.load_run(tmp_path)
