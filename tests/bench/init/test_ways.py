"""The ways to the gate of another repository: one script, and rights only where they are needed.

They are the workflow that `init ci` writes, the composite action, and the reusable workflow; the
rules hold for the other workflows of this project too.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from bench.init.ci import ACTIONS, ASSETS, WORKFLOW, CiRequest, ci_files

PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def documents(checkout: Path) -> dict[str, Any]:
    """Every workflow of this project, the action, and the workflow that is written for others."""
    paths = [*sorted((checkout / ".github" / "workflows").glob("*.yml")), checkout / "action.yml"]
    return {path.name: yaml.safe_load(path.read_text("utf-8")) for path in paths} | {
        "written": yaml.safe_load(ci_files(CiRequest(Path()))[WORKFLOW])
    }


def steps_of(document: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a document
    jobs = [*document.get("jobs", {}).values(), document.get("runs", {})]
    return [step for job in jobs for step in job.get("steps", [])]


def test_every_action_is_named_by_its_commit(checkout: Path) -> None:
    used = {
        step["uses"]
        for document in documents(checkout).values()
        for step in steps_of(document)
        if "uses" in step
    }
    assert all(PINNED.fullmatch(name) for name in used), used
    assert used == {name.split(" #")[0] for name in ACTIONS.values()}


def test_a_job_that_may_write_runs_git_alone(checkout: Path) -> None:
    """No package is installed there, and of the project only the script that pushes is run."""
    found = {
        f"{name}.{title}": [step["run"] for step in job["steps"] if "run" in step]
        for name, document in documents(checkout).items()
        for title, job in document.get("jobs", {}).items()
        if "write" in job.get("permissions", {}).values()
    }
    assert sorted(found) == ["gate.yml.history", "regression.yml.history", "written.history"]
    assert found["regression.yml.history"] == ["make history-push"]
    assert found["written.history"] == ["bash .github/bench/history push runs/ci/history.jsonl"]
    (script,) = found["gate.yml.history"]
    begin, _, rest = script.partition("<<'SCRIPT'\n")
    body, _, end = rest.partition("SCRIPT\n")
    assert begin == 'cat >"$RUNNER_TEMP/history" '
    assert body == (ASSETS / "history").read_text("utf-8")
    assert end == 'bash "$RUNNER_TEMP/history" push runs/ci/history.jsonl\n'
    plan = subprocess.run(
        ["make", "--no-print-directory", "history-push", "--dry-run"],  # noqa: S607 - any make
        cwd=checkout, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert plan.stdout.split()[:3] == ["bash", "bench/init/assets/history", "push"]


def test_no_step_pastes_an_input_into_its_script(checkout: Path) -> None:
    """What a caller says goes through the environment, where it is no code."""
    for name in ("gate.yml", "action.yml", "written"):
        for step in steps_of(documents(checkout)[name]):
            assert "${{" not in step.get("run", ""), step


def test_the_action_and_the_workflow_run_the_same_script(checkout: Path) -> None:
    found = documents(checkout)
    lines = [
        step["run"] for name in ("action.yml", "gate.yml", "written")
        for step in steps_of(found[name]) if "/gate" in step.get("run", "")
    ]  # fmt: skip
    assert [line.split()[1].strip('"').rpartition("/")[2] for line in lines] == ["gate"] * 3
    assert (checkout / "bench/init/assets/gate").is_file()
    inputs = found["gate.yml"][True]["workflow_call"]["inputs"]
    shared = {"suite", "baseline", "requirements", "options"}
    given = found["action.yml"]["inputs"]
    assert {key: inputs[key]["default"] for key in shared} == {
        key: given[key]["default"] for key in shared
    }
