"""Publishing a run through the hub's real client, and reading what was published."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from clerk import Answer, Clerk, at_work
from machines import Machine
from server import Hub, Repository, serving
from uploads import ALICE, BOB, NEW

pytest.importorskip("pyarrow", reason="the extra `publish` brings pyarrow")
sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

import pandas as pd
from building import save, toy
from sounding import sounding_run

from bench import load_records
from bench.publishing.publication import MARKER
from bench.records.store import RECORDS
from reports.write import read_report

RUN = "alice/run"
HELD = f"datasets/{RUN}"


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Clerk]]:
    """A hub, and somebody who types at a machine that is connected to it."""
    with serving({}) as running:
        machine = Machine(tmp_path_factory.mktemp("machine"), running.url)
        plain = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        variables = machine.environment(**plain)  # large files as the hub takes them without Xet
        with at_work({k: v for k, v in variables.items() if k != "HF_TOKEN"}) as clerk:
            yield running, clerk


@pytest.fixture
def hub(connected: tuple[Hub, Clerk]) -> Hub:
    """The hub, as if new."""
    running, _ = connected
    for state in (running.repositories, running.uploads.large, running.uploads.hurried):
        state.clear()
    running.seen.clear()
    return running


@pytest.fixture
def clerk(connected: tuple[Hub, Clerk]) -> Clerk:
    return connected[1]


@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with audio that its card allows to pass on."""
    return sounding_run(tmp_path_factory.mktemp("sounding") / "run", ("bell",), ("c1", "c2")).folder


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records alone, of clips that may not be passed on."""
    return save(toy(), tmp_path_factory.mktemp("silent") / "run")


def publish(clerk: Clerk, folder: Path, *words: str, token: str | None = ALICE) -> Answer:
    return clerk.types("publish", folder, "--to", RUN, *words, token=token)


def renamed(folder: Path, copy: Path, run_id: str = "r2") -> Path:
    """A copy of a run under another id, as another run of the same has it."""
    shutil.copytree(folder, copy)
    header = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(header | {"run_id": run_id}))
    return copy


def written(hub: Hub) -> list[str]:
    return [f"{one.method} {one.path}" for one in hub.seen if one.method in {"POST", "PUT"}]


def downloaded(hub: Hub, folder: Path) -> Path:
    """The files of the repository in a folder, as any client of the hub gets them."""
    for name, content in hub.repositories[HELD].files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_what_was_published_gives_the_same_tables_and_records(
    clerk: Clerk, hub: Hub, sounding: Path, tmp_path: Path
) -> None:
    done = publish(clerk, sounding, "--audio", "--private")
    assert done.code == 0, done.err
    assert f"{hub.url}/{HELD}" in done.out
    assert hub.repositories[HELD].private
    back = downloaded(hub, tmp_path / "back")
    ours, theirs = (
        [table.rows for table in read_report(folder).tables] for folder in (sounding, back)
    )
    assert repr(ours) == repr(theirs)  # an interval that is not known is NaN, unlike itself
    pd.testing.assert_frame_equal(load_records(back), load_records(sounding))
    checked = clerk.types("report", back, "--verify", "--no-html")
    assert (checked.code, "faults: none" in checked.out) == (0, True)


def test_the_parquet_files_hold_what_the_records_hold(
    clerk: Clerk, hub: Hub, sounding: Path
) -> None:
    assert publish(clerk, sounding).code == 0
    files = hub.repositories[HELD].files
    cells = pd.read_parquet(io.BytesIO(files["data/cells.parquet"]))
    records = load_records(sounding)
    assert cells["cell_id"].tolist() == records["cell_id"].tolist()
    np.testing.assert_array_equal(cells["cp"], records["cp"].astype(float))
    scores = pd.read_parquet(io.BytesIO(files["data/scores.parquet"]))
    lines = [json.loads(line) for line in files["scores.jsonl"].splitlines()]
    found = {(row.cell_id, row.metric): (row.value, row.status) for row in scores.itertuples()}
    assert found.keys() == {(line["cell_id"], line["metric"]) for line in lines}
    for line in lines:  # one that a metric may not give counts nowhere
        value, status = found[line["cell_id"], line["metric"]]
        if line["value"] <= 1:
            assert (value, status) == (line["value"], line["status"])
        else:
            assert (np.isnan(value), status) == (True, "invalid_score")


def test_the_same_command_again_commits_nothing_and_without_audio_takes_it_away(
    clerk: Clerk, hub: Hub, sounding: Path
) -> None:
    assert publish(clerk, sounding, "--audio").code == 0
    first = hub.repositories[HELD].commit
    again = publish(clerk, sounding, "--audio")
    assert (again.code, hub.repositories[HELD].commit) == (0, first)
    assert "holds this run already" in again.out
    hub.repositories[HELD].files["notes.txt"] = b"somebody's"
    assert publish(clerk, sounding).code == 0
    left = hub.repositories[HELD].files
    assert [name for name in left if name.startswith("audio/")] == []
    assert left["notes.txt"] == b"somebody's"


def test_a_dry_run_lists_everything_and_asks_nothing(clerk: Clerk, hub: Hub, silent: Path) -> None:
    done = publish(clerk, silent, "--records-only", "--dry-run", token=None)
    assert done.code == 0, done.err
    assert hub.seen == []
    for name in (*RECORDS, MARKER, "README.md", "data/cells.parquet"):
        assert f"  {name} " in done.out
    assert "  tables/" in done.out
    assert "does not allow to pass its clips on" in done.out
    assert ".eval_results/: results of mini models" in done.out


def test_without_a_token_nothing_is_asked(clerk: Clerk, hub: Hub, silent: Path) -> None:
    refused = publish(clerk, silent, "--records-only", token=None)
    assert refused.code == 2
    assert "there is no token for the hub" in refused.err
    assert hub.seen == []


def test_a_token_of_somebody_else_is_refused(clerk: Clerk, hub: Hub, silent: Path) -> None:
    refused = publish(clerk, silent, "--records-only", token=BOB)
    assert refused.code == 2
    assert "the hub refuses (403" in refused.err
    assert HELD not in hub.repositories


def test_another_run_is_not_overwritten_unless_asked(
    clerk: Clerk, hub: Hub, silent: Path, sounding: Path, tmp_path: Path
) -> None:
    other = renamed(sounding, tmp_path / "other")
    assert publish(clerk, other).code == 0
    before, asked = dict(hub.repositories[HELD].files), len(written(hub))
    refused = publish(clerk, silent, "--records-only")
    assert refused.code == 2
    assert "alice/run holds another run, r2 of suite hand" in refused.err
    assert (hub.repositories[HELD].files, len(written(hub))) == (before, asked)
    assert publish(clerk, silent, "--records-only", "--replace").code == 0
    assert json.loads(hub.repositories[HELD].files["run.json"])["run_id"] == "r1"


def test_files_of_other_origin_are_not_overwritten_and_a_new_repository_is_filled(
    clerk: Clerk, hub: Hub, silent: Path
) -> None:
    hub.repositories[HELD] = Repository({NEW: b"", "README.md": b"---\n---\nmine"})
    refused = publish(clerk, silent, "--records-only")
    assert refused.code == 2
    assert "files that `publish` has not written (README.md)" in refused.err
    del hub.repositories[HELD].files["README.md"]
    assert publish(clerk, silent, "--records-only").code == 0


def test_a_commit_of_somebody_in_between_is_not_lost(clerk: Clerk, hub: Hub, silent: Path) -> None:
    hub.repositories[HELD] = Repository({NEW: b""})
    hub.uploads.hurried.add(RUN)
    refused = publish(clerk, silent, "--records-only")
    assert refused.code == 2
    assert "it was changed meanwhile" in refused.err
    assert list(hub.repositories[HELD].files) == [NEW]


def test_altered_audio_is_not_published(
    clerk: Clerk, hub: Hub, sounding: Path, tmp_path: Path
) -> None:
    altered = shutil.copytree(sounding, tmp_path / "altered")
    first, second, *_ = sorted((altered / "audio").iterdir())
    shutil.copy(second, first)
    refused = publish(clerk, altered)
    assert refused.code == 2
    assert "is not the sound that was recorded" in refused.err
    assert hub.seen == []


def test_a_board_reads_a_published_run_and_a_folder(
    clerk: Clerk, hub: Hub, sounding: Path, tmp_path: Path
) -> None:
    assert publish(clerk, sounding).code == 0
    mine = renamed(sounding, tmp_path / "mine")
    done = clerk.types("board", f"hf:{RUN}", mine, "-o", tmp_path / "board")
    assert done.code == 0, done.err
    page = (tmp_path / "board" / "index.html").read_text()
    for words in (f"hf:{RUN}", "alice", "local", "run r1", "run r2"):
        assert words in page
    assert [one for one in hub.downloads("cells.parquet") if one.method == "GET"] == []


def test_a_board_refuses_records_that_did_not_come_whole(
    clerk: Clerk, hub: Hub, sounding: Path, tmp_path: Path
) -> None:
    assert publish(clerk, sounding).code == 0
    back = downloaded(hub, tmp_path / "back")
    for name in RECORDS:
        whole = (back / name).read_bytes()
        (back / name).write_bytes(whole[:-40])
        refused = clerk.types("board", back, "-o", tmp_path / "board")
        assert refused.code == 2
        assert f"{name} is not what was published" in refused.err
        (back / name).write_bytes(whole)
    assert clerk.types("board", back, "-o", tmp_path / "board").code == 0


def test_a_board_names_what_is_not_there(clerk: Clerk, hub: Hub, tmp_path: Path) -> None:
    hub.repositories["datasets/alice/other"] = Repository({"README.md": b"no run"})
    refused = clerk.types("board", "hf:alice/other", "-o", tmp_path / "board")
    assert refused.code == 2
    assert "hf:alice/other has no run.json, plan.jsonl, cells.jsonl, and 1 more" in refused.err
    refused = clerk.types("board", "hf:alice/nothing", "-o", tmp_path / "board")
    assert refused.code == 2
    assert "the hub has no such dataset" in refused.err
