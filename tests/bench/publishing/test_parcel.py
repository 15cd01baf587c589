"""What goes into a publication, before a hub is asked: names, files, kinds of values, refusals."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[2] / "reports"))

from building import save, toy

from bench.api import BenchError, ConfigError, RecordError
from bench.cli.main import cli
from bench.files import LinkError
from bench.publishing.columns import table_items
from bench.publishing.hub import parse_target
from bench.publishing.parcel import Item, LeftOut, make_parcel, parcel_lines, text_items
from bench.publishing.publication import (
    MARKER,
    Publication,
    parse_publication,
    read_publication,
)
from bench.publishing.records import record_items
from bench.records.store import EMBEDDINGS, load_run

OF = Publication(repository="a/b", run_id="r", suite="s", setting="0", tool="t", files={})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save(toy(), tmp_path / "run")


@pytest.mark.parametrize(
    "text",
    ["", "run", "a/", "/b", "a/b/c", "a b/c", "a/..", "../b", "a/b--c", "-a/b", "a/b.git", "a/ü"],
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names no repository; it is OWNER/NAME"):
        parse_target(text)


@pytest.mark.parametrize("text", ["a/b", "Alice-1/mini.run_2"])
def test_a_repository_is_owner_and_name(text: str) -> None:
    assert parse_target(text).id == text


def test_the_marker_has_the_digest_of_every_other_file(tmp_path: Path) -> None:
    (tmp_path / "sound").write_bytes(b"tone")
    items = [*text_items({"b.txt": "words"}), Item("audio/a.flac", tmp_path / "sound")]
    parcel = make_parcel(OF, items, [])
    *others, marker = parcel.items
    assert [item.place for item in others] == ["b.txt", "audio/a.flac"]
    assert isinstance(marker.content, bytes)
    assert json.loads(marker.content)["files"] == {
        "b.txt": hashlib.sha256(b"words").hexdigest(),
        "audio/a.flac": hashlib.sha256(b"tone").hexdigest(),
    }
    assert parse_publication(marker.content, MARKER) == parcel.publication


def test_one_place_has_one_file() -> None:
    with pytest.raises(ValueError, match=r"a\.txt is there twice"):
        make_parcel(OF, [Item("a.txt", b""), Item("a.txt", b"")], [])


def test_many_files_of_a_folder_are_one_line_and_what_is_left_out_has_its_reason() -> None:
    items = [Item(f"audio/{n}.flac", bytes(1000)) for n in range(12)]
    lines = parcel_lines(make_parcel(OF, [Item("run.json", b"{}"), *items], [LeftOut("x", "why")]))
    assert [line.split() for line in lines if "audio" in line] == [
        ["audio/", "(12", "files)", "12.0", "kB"]
    ]
    assert lines[-2:] == ["left out:", "  x: why"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff"])
def test_what_is_no_marker_is_refused(content: bytes) -> None:
    with pytest.raises(RecordError, match="it names the run and the digests of its files"):
        parse_publication(content, "there")


def test_records_go_as_they_are_without_a_torn_last_line(folder: Path) -> None:
    whole = {item.place: item.content for item in record_items(load_run(folder))}
    with (folder / "cells.jsonl").open("ab") as file:
        file.write(b'{"cell_id": "torn')
    assert {item.place: item.content for item in record_items(load_run(folder))} == whole
    assert whole["plan.jsonl"] == (folder / "plan.jsonl").read_bytes()


def test_a_link_in_place_of_records_is_not_followed(folder: Path, tmp_path: Path) -> None:
    run = load_run(folder)
    (tmp_path / "secret").write_text("key")
    (folder / "scores.jsonl").unlink()
    (folder / "scores.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(LinkError):
        record_items(run)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "packages-x.txt"])
def test_a_header_cannot_name_files_outside(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("key")
    header = json.loads((folder / "run.json").read_text())
    header["provenance"]["package_lists"] = [{"file": name}, "odd", {"file": 3}]
    (folder / "run.json").write_text(json.dumps(header))
    run = load_run(folder)
    if name.startswith("packages"):
        assert len(record_items(run)) == 4  # it is not there
    else:
        with pytest.raises(LinkError):
            record_items(run)


def test_values_of_several_kinds_become_text_in_parquet(folder: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `publish` brings pyarrow")
    given: list[dict[str, Any]] = [{"a": 1, "b": "x"}, {"a": True, "b": 2.5}, {"a": None, "b": [1]}]
    plan = (folder / "plan.jsonl").read_text().splitlines()
    lines = [
        json.dumps(json.loads(line) | {"parameters": given[place % 3]})
        for place, line in enumerate(plan)
    ]
    (folder / "plan.jsonl").write_text("".join(f"{line}\n" for line in lines))
    cells, _ = table_items(load_run(folder))
    assert isinstance(cells.content, bytes)
    table = pd.read_parquet(io.BytesIO(cells.content))
    assert table["parameter.b"].tolist()[:3] == ["x", "2.5", "[1]"]
    assert table["parameter.a"].fillna("none").tolist()[:3] == ["1", "true", "none"]


def publish(*words: object) -> Result:
    return CliRunner().invoke(cli, ["publish", *map(str, words), "--to", "a/b", "--dry-run"])


def refusal(done: Result) -> str:
    assert isinstance(done.exception, BenchError)
    return str(done.exception)


def test_without_the_library_the_extra_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = refusal(publish(folder, "--records-only"))
    assert "pyarrow is not installed" in said
    assert "[publish]" in said


def test_options_that_contradict_the_run_or_each_other_are_refused(folder: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `publish` brings pyarrow")
    done = publish(folder, "--audio", "--records-only")
    assert (done.exit_code, "does not look at" in done.output) == (2, True)
    assert "no identifier of the hub" in refusal(
        publish(folder, "--records-only", "--licence", "CC BY")
    )
    assert "names no audio" in refusal(publish(folder))


def test_a_full_run_has_results_for_model_pages_and_an_empty_one_has_none(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `publish` brings pyarrow")
    run = toy()
    full = replace(run, header=run.header.model_copy(update={"profile": "full"}))
    done = publish(save(full, tmp_path / "full"), "--records-only")
    assert [name in done.output for name in ("  .eval_results/tve.yaml ", "mini models")] == [1, 0]
    nothing = replace(full, plan=(), cells={}, scores={})
    done = publish(save(nothing, tmp_path / "nothing"), "--records-only")
    assert (done.exit_code, ".eval_results" in done.output) == (0, False)


def test_vectors_may_be_absent_from_what_came_back_but_not_altered(tmp_path: Path) -> None:
    run = save(toy(), tmp_path / "run")
    (run / EMBEDDINGS).write_bytes(b"{}\n")
    marker = make_parcel(OF, record_items(load_run(run)), []).items[-1].content
    assert isinstance(marker, bytes)
    (run / MARKER).write_bytes(marker)
    assert read_publication(run) is not None
    (run / EMBEDDINGS).write_bytes(b"{ }\n")
    with pytest.raises(RecordError, match=rf"{EMBEDDINGS} is not what was published"):
        read_publication(run)
    (run / EMBEDDINGS).unlink()  # as where only tables of scores are asked for
    assert read_publication(run) is not None
