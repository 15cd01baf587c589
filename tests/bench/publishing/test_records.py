"""Which records of a run are published, and what is said where they lie in several places."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "reports"))

from building import save, toy

from bench.api import RecordError
from bench.publishing.records import record_items
from bench.records.merging import merge
from bench.records.parts import part_folder
from bench.records.store import RECORDS, load_run


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A run whose records lie in the folder of its only shard."""
    folder = save(toy(), tmp_path / "shared")
    part = part_folder(folder, 1, 1)
    part.mkdir(parents=True)
    for name in RECORDS[1:]:
        (folder / name).rename(part / name)
    return folder


def test_a_folder_of_shards_is_to_be_merged_and_what_comes_of_that_is_published(
    shared: Path, tmp_path: Path
) -> None:
    with pytest.raises(RecordError, match=r"1 folder\(s\) of shards.*merge .*shared -o WHOLE`"):
        record_items(load_run(shared))
    merge([shared], tmp_path / "whole", records_only=True)
    whole = load_run(tmp_path / "whole")
    assert {item.place for item in record_items(whole)} >= set(RECORDS)
    assert whole.cells == load_run(shared).cells


def test_own_records_beside_those_of_shards_are_not_published_alone(
    shared: Path, tmp_path: Path
) -> None:
    merge([shared], shared, records_only=True)
    assert (shared / "plan.jsonl").exists()
    with pytest.raises(RecordError, match="in one place"):
        record_items(load_run(shared))
    merge([shared], tmp_path / "whole", records_only=True)
    assert record_items(load_run(tmp_path / "whole"))
