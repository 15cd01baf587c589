"""`bench/init/assets/history` keeps the history on a branch of its own, one commit per run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

BRANCH = "benchmark-history"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def clone(tmp_path: Path, checkout: Path) -> Path:
    """A clone of an empty origin with the script and one commit on main."""
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    git(tmp_path, "clone", "--quiet", "origin.git", "clone")
    folder = tmp_path / "clone"
    shutil.copy(checkout / "bench" / "init" / "assets" / "history", folder / "history")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-m", "first")
    return folder


def script(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "history", *arguments],  # noqa: S607 - any bash
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_run_adds_a_commit_with_the_whole_file(clone: Path) -> None:
    kept = clone / "runs" / "history.jsonl"
    first = script(clone, "fetch", "runs/history.jsonl")
    assert "the history begins with this run" in first.stdout
    for lines in ("one\n", "one\ntwo\n"):
        kept.write_text(lines)
        assert script(clone, "push", "runs/history.jsonl").returncode == 0
        kept.unlink()
        assert script(clone, "fetch", "runs/history.jsonl").returncode == 0
        assert kept.read_text() == lines
    assert len(git(clone, "log", "--format=%h", f"origin/{BRANCH}").split()) == 2
    assert git(clone, "branch", "--list", BRANCH) == ""


def test_a_line_that_is_there_is_not_added_again(clone: Path) -> None:
    kept = clone / "line.jsonl"
    for line in ("one\n", "one\n", "-e\n", "on\n", "one\n"):
        kept.write_text(line)
        assert script(clone, "push", "line.jsonl").returncode == 0
    script(clone, "fetch", "whole.jsonl")
    assert (clone / "whole.jsonl").read_text() == "one\n-e\non\n"
    assert len(git(clone, "log", "--format=%h", f"origin/{BRANCH}").split()) == 3


def test_what_somebody_else_pushed_meanwhile_stays(clone: Path) -> None:
    """The other push lands between the look at the branch and our own push."""
    (clone / "line.jsonl").write_text("one\n")
    assert script(clone, "push", "line.jsonl").returncode == 0
    other = clone.parent / "other"
    git(clone.parent, "clone", "--quiet", "origin.git", "other")
    shutil.copy(clone / "history", other / "history")
    (other / "line.jsonl").write_text("theirs\n")
    hook = clone / ".git" / "hooks" / "pre-push"
    begun = f"cd {other} && env -u GIT_DIR bash history push line.jsonl"
    hook.write_text(f"#!/bin/sh\nrm -f {hook}\n{begun}\n")
    hook.chmod(0o755)
    (clone / "line.jsonl").write_text("ours\n")
    done = script(clone, "push", "line.jsonl")
    assert done.returncode == 0, done.stderr
    script(clone, "fetch", "whole.jsonl")
    assert (clone / "whole.jsonl").read_text() == "one\ntheirs\nours\n"


def test_another_word_is_refused(clone: Path) -> None:
    done = script(clone, "pull", "runs/history.jsonl")
    assert (done.returncode, done.stderr) == (2, "history: pull is neither fetch nor push\n")
