"""The workflows: what they call exists, and none can hang or write what it need not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = sorted((Path(__file__).resolve().parents[2] / ".github" / "workflows").glob("*.yml"))
EXPRESSION = re.compile(r"\$\{\{.*?\}\}")


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.stem}.{name}", job


def lines() -> list[str]:
    """Every command line of every step, expressions replaced by a word.

    A whole script in a step is compared with its file in tests/bench/init.
    """
    return [
        EXPRESSION.sub("HEAD", line.strip())
        for _, job in jobs()
        for step in job["steps"]
        for line in re.sub(r"cat >.*^SCRIPT$", "", step.get("run", ""), flags=re.DOTALL | re.M)
        .strip()
        .splitlines()
    ]


@pytest.mark.parametrize("line", sorted({x for x in lines() if x.startswith("make ")}))
def test_every_target_of_make_exists(checkout: Path, line: str) -> None:
    command = line.split(">>", maxsplit=1)[0].split()
    done = subprocess.run([*command, "--dry-run"], cwd=checkout, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_is_of_a_kind_that_is_tried_by_hand() -> None:
    known = (
        "make ", ".venv/bin/python -m ", "sudo apt-get ", "cat runs/", "echo ",
        "python -m pip install ", "bench init ci ", "bash ", "sudo .venv/bin/python -m pytest ",
    )  # fmt: skip
    assert [line for line in lines() if not line.startswith(known)] == []


@pytest.mark.parametrize("name", [name for name, _ in jobs()])
def test_every_job_ends_and_writes_only_where_it_must(name: str) -> None:
    job = dict(jobs())[name]
    assert job["timeout-minutes"] <= 24 * 60
    writes = [scope for scope, right in job.get("permissions", {}).items() if right == "write"]
    assert writes == (["contents"] if name in {"regression.history", "gate.history"} else [])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_grants_reading_alone(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(
    ("benchmarks", "gate", "ended"), [(0, 0, True), (1, 0, True), (1, 3, False), (3, 0, False)]
)
def test_quality_is_judged_whatever_the_benchmarks_do(
    tmp_path: Path, checkout: Path, benchmarks: int, gate: int, ended: bool
) -> None:
    """The interpreter is a script that ends as told; with 3 pytest says that it broke itself."""
    said, python = tmp_path / "said", tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!/bin/sh\necho "$2 $3" >> {said}\n'
        f'case "$2 $3" in "pytest "*) exit {benchmarks};; "bench gate") exit {gate};; esac\n'
    )
    python.chmod(0o755)
    (tmp_path / "venv" / ".installed").touch()
    folders = [f"VENV={tmp_path / 'venv'}", f"REGRESSION={tmp_path / 'regression'}"]
    command = ["make", "regression", *folders]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is ended, done.stdout + done.stderr
    lines = said.read_text().splitlines()
    assert lines[:2] == ["bench run", "pytest -q"]
    assert ("bench gate" in lines) is (benchmarks != 3)
