"""Records: what is written is read back, and a kill within a line loses only that line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.api import RecordError
from bench.records import store
from bench.records.schema import CellRecord, IdentityFacts, ScoreRecord

A, B, C = (letter * 16 for letter in "abc")


def cell(name: str, status: str = "ok") -> CellRecord:
    return CellRecord.model_validate({"cell_id": name, "status": status})


def test_records_come_back_in_order(tmp_path: Path) -> None:
    log = tmp_path / "cells.jsonl"
    store.append(log, [cell(A), cell(B)])
    store.append(log, [cell(A, "error")])
    assert [(r.cell_id, r.status) for r in store.read(log, CellRecord)] == [
        (A, "ok"),
        (B, "ok"),
        (A, "error"),
    ]


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_torn_last_line_is_ignored_and_cut_by_the_next_append(tmp_path: Path, cut: int) -> None:
    log = tmp_path / "cells.jsonl"
    store.append(log, [cell(A), cell(B)])
    log.write_bytes(log.read_bytes()[:-cut])
    assert [r.cell_id for r in store.read(log, CellRecord)] == [A]
    store.append(log, [cell(C)])
    assert [r.cell_id for r in store.read(log, CellRecord)] == [A, C]


def test_a_file_that_is_one_torn_line_is_empty(tmp_path: Path) -> None:
    log = tmp_path / "cells.jsonl"
    log.write_bytes(b'{"schema_version":1,"cell')
    assert store.read(log, CellRecord) == []
    store.append(log, [cell(A)])
    assert len(store.read(log, CellRecord)) == 1


GOOD = {"cell_id": A, "status": "ok", "audio": f"audio/{A}.flac", "audio_digest": "0" * 64}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "fine"}, "Input should be"),
        ({"cell_id": "../../x"}, "cell_id is '../../x' and not 16 hex digits"),
        ({"cell_id": A + "\n"}, "not 16 hex digits"),
        ({"cell_id": A.upper()}, "not 16 hex digits"),
        ({"audio": "/etc/passwd"}, "audio is '/etc/passwd' and not audio/<name> of this run"),
        ({"audio": "audio/../../x.flac"}, "not audio/<name>"),
        ({"audio": "audio/.."}, "not audio/<name>"),
        ({"audio": "audio/sub/x.flac"}, "not audio/<name>"),
        ({"audio": "audio\\x.flac"}, "not audio/<name>"),
        ({"audio": "audio/x\x00.flac"}, "not audio/<name>"),
        ({"audio": "audio/"}, "not audio/<name>"),
        ({"audio_digest": "/home/x"}, "audio_digest is '/home/x' and not 64 hex digits"),
        ({"audio_digest": "../" * 21 + "x"}, "not 64 hex digits"),
        ({"audio_digest": "0" * 63}, "not 64 hex digits"),
        ({"fit_key": "../../fit"}, "not 32 hex digits"),
        ({"identity": "../../code"}, "identity is '../../code' and not 32 hex digits"),
        ({"identity": "0" * 33}, "not 32 hex digits"),
        ({"duration_s": float("inf")}, "duration_s is inf"),
        ({"peak": float("nan")}, "peak is nan"),
        ({"attempt": 10**30}, "attempt has a number beyond"),
        ({"operations": {"stft": -(10**30)}}, "operations has a number beyond"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_a_line_that_breaks_a_rule_costs_that_line_and_is_named(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    log, faults = tmp_path / "cells.jsonl", []
    lines = [GOOD, GOOD | change, GOOD | {"cell_id": C}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    read = store.read(log, CellRecord, faults)
    assert [record.cell_id for record in read] == [A, C]
    (fault,) = faults
    assert fault.startswith(f"{log}:2 is left out, since it is not a CellRecord (")
    assert words in fault
    with pytest.raises(RecordError, match=r"cells\.jsonl:2 is not a CellRecord"):
        store.read_strictly(log, CellRecord)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 64 + "\n", "../" * 21 + "x", "A" * 64])
def test_a_score_of_audio_without_a_digest_costs_that_line(tmp_path: Path, digest: str) -> None:
    log, faults = tmp_path / "scores.jsonl", []
    score = {"metric": "cp", "value": 0.5, "raw": 0.5, "status": "ok", "fingerprint": "f"}
    lines = [score | {"cell_id": A, "audio_digest": d} for d in (digest, None, "0" * 64)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept = [one.audio_digest for one in store.read(log, ScoreRecord, faults)]
    assert kept == [None, "0" * 64]
    assert "not 64 hex digits" in faults[0]


def test_words_of_a_header_from_elsewhere_are_bounded() -> None:
    facts = IdentityFacts(version="v" * 9999, source="\x1b[2J", weights={"w" * 9999: "d" * 9999})
    ((name, digest),) = facts.weights.items()
    assert max(len(facts.version), len(facts.source), len(name), len(digest)) <= 300
    assert facts.source.isprintable()


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[" * 100_000, b"\xff\xfe", b'{"cell_id":' * 5000, b"9" * 100_000, b"\0" * 99],
)
def test_a_line_that_is_no_record_at_all_costs_that_line(tmp_path: Path, line: bytes) -> None:
    log, faults = tmp_path / "cells.jsonl", []
    log.write_bytes(line + b"\n" + cell(B).model_dump_json().encode() + b"\n")
    assert [record.cell_id for record in store.read(log, CellRecord, faults)] == [B]
    assert len(faults) == 1
    assert len(faults[0]) < 400


def test_a_fault_is_said_once_however_often_the_file_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "cells.jsonl"
    log.write_text("{}\n")
    for _ in range(3):
        assert store.read(log, CellRecord) == []
    assert [record.getMessage().split(" is left out")[0] for record in caplog.records] == [
        f"{log}:1"
    ]


def test_a_pipe_and_a_folder_in_the_place_of_records_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cells.jsonl")
    (tmp_path / "plan.jsonl").mkdir()
    for name in ("cells.jsonl", "plan.jsonl"):
        with pytest.raises(RecordError, match=rf"{name} is not a file"):
            store.read(tmp_path / name, CellRecord)


@pytest.mark.parametrize("name", [*store.WRITTEN, "logs/tve.log"])
def test_a_run_does_not_write_through_a_link(tmp_path: Path, name: str) -> None:
    folder, victim = tmp_path / "run", tmp_path / "victim"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).symlink_to(victim)
    with pytest.raises(OSError, match="nothing is written or deleted through one"):
        store.require_plain_run(folder)
    with pytest.raises(OSError, match="nothing is written or deleted through one"):
        store.append(folder / name, [cell(A)])
    assert not victim.exists()


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"holds no run\.json"):
        store.load_run(tmp_path)
