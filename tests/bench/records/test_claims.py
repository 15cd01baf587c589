"""Claims: one process at a time, dead owners, and races for the same file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.files import LinkError
from bench.records import claims
from bench.records.claims import LIFE_S, Claim, Owner, claimed, holder, kept, take, this_machine


def write(path: Path, **changes: object) -> None:
    """A claim of somebody else: a process of another machine, unless `changes` say otherwise."""
    said = {"token": "t", "machine": "elsewhere", "process": 1, "since": "today"} | changes
    path.write_text(json.dumps(said), encoding="utf-8")


def let_pass(path: Path, seconds: float) -> None:
    """Make a file so much older."""
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def not_to_be_called(_path: Path, _target: Path) -> None:
    pytest.fail("a claim was out of its place for a moment, in which a third may take it")


def test_a_claim_is_held_once_and_free_again_when_released(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "claim"
    assert holder(path) is None
    claim = take(path)
    assert claim is not None
    assert holder(path) == claim.owner
    assert (claim.owner.process, claim.owner.machine) == (os.getpid(), this_machine())
    assert take(path) is None
    claim.release()
    assert list(path.parent.iterdir()) == []
    assert take(path) is not None


def test_a_claim_that_nobody_renews_dies_and_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    write(path)
    assert holder(path) == Owner("t", "elsewhere", 1, "today")
    let_pass(path, LIFE_S / 2)
    assert take(path) is None
    let_pass(path, LIFE_S / 2)
    assert holder(path) is None
    claim = take(path)
    assert claim is not None
    assert holder(path) == claim.owner
    assert [one.name for one in tmp_path.iterdir()] == ["claim"]


def test_renewing_keeps_a_claim_alive_but_not_that_of_another(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    claim = take(path)
    assert claim is not None
    let_pass(path, LIFE_S - 1)
    assert claim.renew()
    let_pass(path, LIFE_S - 1)
    assert holder(path) == claim.owner
    write(path)
    let_pass(path, LIFE_S + 1)
    assert not claim.renew()
    assert holder(path) is None
    claim.release()
    assert path.exists()


def test_a_dead_process_of_this_machine_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    write(path, machine=this_machine(), process=process.pid)
    assert holder(path) is None
    assert take(path) is not None


def test_a_claim_that_follows_a_dead_one_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner took it while another process found out that the owner before is gone."""
    path = tmp_path / "claim"
    write(path, machine=this_machine(), process=77)

    def end_and_follow(_process: int, _signal: int) -> None:
        write(path, token="of the next")
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", end_and_follow)
    monkeypatch.setattr(Path, "rename", not_to_be_called)
    assert take(path) is None
    assert holder(path) == Owner("of the next", "elsewhere", 1, "today")
    assert [one.name for one in tmp_path.iterdir()] == ["claim"]


def test_where_a_claim_was_just_released_the_next_one_is_left_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is there when it is looked at: that is no dead claim, which may be moved away."""
    path, made = tmp_path / "claim", claims._made
    write(path)

    def release_meanwhile(claim: Claim) -> bool:
        if path.exists():
            path.unlink()
            return False
        return made(claim)

    monkeypatch.setattr(claims, "_made", release_meanwhile)
    monkeypatch.setattr(Path, "rename", not_to_be_called)
    assert take(path) is not None


def test_a_claim_that_is_being_written_is_not_the_spoilt_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = tmp_path / "claim", claims._now
    path.write_text("{")
    let_pass(path, LIFE_S)

    def another_takes_it(folder: Path) -> float:
        path.unlink()
        path.touch()
        return now(folder)

    monkeypatch.setattr(claims, "_now", another_takes_it)
    monkeypatch.setattr(Path, "rename", not_to_be_called)
    assert take(path) is None
    assert path.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 1}', "null", '"x"', "\udcff"])
def test_a_spoilt_claim_is_somebodys_until_it_is_old(tmp_path: Path, text: str) -> None:
    path = tmp_path / "claim"
    path.write_bytes(text.encode(errors="surrogateescape"))
    assert holder(path) is not None
    assert take(path) is None
    let_pass(path, LIFE_S)
    assert take(path) is not None


def test_a_claim_is_not_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "claim").symlink_to(tmp_path / "victim")
    with pytest.raises(LinkError, match="link to"):
        take(tmp_path / "claim")
    assert not (tmp_path / "victim").exists()


def test_waiting_says_for_whom_and_ends_when_the_claim_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "POLL_S", 0.0)
    path, said = tmp_path / "claim", []
    write(path, process=77)

    def wait(owner: Owner) -> None:
        said.append(owner.words)
        if len(said) == 3:
            path.unlink()

    with claimed(path, wait):
        assert take(path) is None
    assert said == ["process 77 of machine elsewhere, since today"] * 3
    assert not path.exists()


def test_a_kept_claim_is_renewed_while_its_owner_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RENEW_S", 0.01)
    claim = take(tmp_path / "claim")
    assert claim is not None
    let_pass(claim.path, LIFE_S)
    with kept(claim):
        while time.time() - claim.path.stat().st_mtime > LIFE_S / 2:
            time.sleep(0.01)
    assert not claim.path.exists()


@pytest.mark.parametrize("left_over", [False, True])
def test_processes_that_race_for_a_claim_hold_it_one_by_one(
    tmp_path: Path, checkout: Path, *, left_over: bool
) -> None:
    """Where all of them first find a dead claim, two may hold it once, and all come to an end."""
    path, notes = tmp_path / "claim", tmp_path / "notes"
    notes.mkdir()
    if left_over:
        write(path)
        let_pass(path, LIFE_S)
    program = Path(__file__).with_name("claim_race.py")
    words = [str(path), str(notes), "40", "together" if left_over else "alone"]
    surrounding = os.environ | {"PYTHONPATH": str(checkout)}
    processes = [
        subprocess.Popen([sys.executable, str(program), *words], env=surrounding) for _ in range(4)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert [one.name for one in tmp_path.iterdir()] == ["notes"]
