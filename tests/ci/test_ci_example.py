"""A repository of its own judges its changes: the steps of its workflow, run as they stand.

The bench is installed from a wheel into an environment of its own, which borrows the packages that
the bench needs from this one and nothing of this checkout. GitHub's own actions are played by what
they do to files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.building import make_environment, ran

pytestmark = [pytest.mark.slow, pytest.mark.network]  # building a wheel needs its build back end

EXAMPLE = Path(__file__).with_name("example")
BRANCH = "benchmark-history"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment without the bench, and with all that it needs."""
    return make_environment(tmp_path_factory.mktemp("environment"))


@dataclass(frozen=True)
class Runner:
    """A machine that runs jobs of a workflow in a clone."""

    clone: Path
    artifacts: Path
    summary: Path
    variables: dict[str, str]

    def job(self, name: str) -> int:
        """Run a job; the first exit code that is not 0, after which only `always()` steps run."""
        path = self.clone / ".github" / "workflows" / "bench.yml"
        job = yaml.safe_load(path.read_text("utf-8"))["jobs"][name]
        code = 0
        for step in job["steps"]:
            if code == 0 or "always()" in step.get("if", ""):
                code = self.step(step, job.get("env", {})) or code
        return code

    def step(self, step: dict[str, Any], variables: dict[str, str]) -> int:
        if "run" in step:
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],  # noqa: S607 - as on GitHub
                cwd=self.clone, env=self.variables | variables, check=False,
            )  # fmt: skip
            return done.returncode
        kind, given = step["uses"].partition("@")[0], step.get("with", {})
        if kind == "actions/upload-artifact":
            self.upload(given["path"].split())
        elif kind == "actions/download-artifact":
            shutil.copytree(self.artifacts, self.clone / given["path"], dirs_exist_ok=True)
        else:
            assert kind in {"actions/checkout", "actions/setup-python"}
        return 0

    def upload(self, patterns: list[str]) -> None:
        """What is named, by its path from the folder that all of it shares."""
        shutil.rmtree(self.artifacts, ignore_errors=True)
        found = [path for pattern in patterns for path in self.clone.glob(pattern)]
        shared = Path(os.path.commonpath(found)) if found else self.clone
        for path in found:
            target = self.artifacts / path.relative_to(shared)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(path, target) if path.is_dir() else shutil.copy(path, target)


@pytest.fixture
def runner(tmp_path: Path, environment: Path, built: Path) -> Runner:
    """The example as a clone of an origin, on a fresh machine."""
    ran("git", "init", "--quiet", "--bare", "-b", "main", "origin.git", cwd=tmp_path)
    ran("git", "clone", "--quiet", "origin.git", "clone", cwd=tmp_path)
    clone = tmp_path / "clone"
    shutil.copytree(EXAMPLE, clone, dirs_exist_ok=True)
    commit(clone, "first")
    summary = tmp_path / "summary.md"
    variables = {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path), "BENCH_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1", "GITHUB_STEP_SUMMARY": str(summary),
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(built),
    }  # fmt: skip
    return Runner(clone, tmp_path / "artifacts", summary, variables)


def commit(clone: Path, words: str) -> None:
    ran("git", "add", ".", cwd=clone)
    ran("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", words, cwd=clone)


def history(clone: Path) -> list[dict[str, Any]]:
    ran("git", "fetch", "--quiet", "origin", f"+{BRANCH}:refs/{BRANCH}", cwd=clone)
    lines = ran("git", "show", f"refs/{BRANCH}:history.jsonl", cwd=clone).splitlines()
    return [json.loads(line) for line in lines]


def plant(clone: Path) -> None:
    """Let the method play its content backwards."""
    file = clone / "blend.py"
    text = file.read_text("utf-8")
    right = "(1 - share) * content.waveform +"
    assert text.count(right) == 1
    file.write_text(text.replace(right, "(1 - share) * content.waveform[:, ::-1] +"), "utf-8")
    commit(clone, "a fault")


def test_the_steps_are_green_and_red_after_a_planted_fault(runner: Runner, checkout: Path) -> None:
    assert runner.job("gate") == 0
    where = ran(
        Path(runner.variables["PATH"].split(os.pathsep)[0]) / "python", "-c",
        "import music_style_bench, bench; print(music_style_bench.__file__, bench.__file__)",
        cwd=runner.clone,
    )  # fmt: skip
    assert str(checkout) not in where
    assert "Gate: passed" in runner.summary.read_text("utf-8")
    assert "<failure" not in (runner.artifacts / "gate" / "junit.xml").read_text("utf-8")
    for name in ("gate/verdicts.json", "report/table2.md", "run.json", "cells.jsonl"):
        assert (runner.artifacts / name).is_file(), name
    assert runner.job("history") == 0
    (first,) = history(runner.clone)

    plant(runner.clone)
    runner.summary.unlink()
    assert runner.job("gate") == 3
    assert "Gate: regressed" in runner.summary.read_text("utf-8")
    assert "<failure" in (runner.artifacts / "gate" / "junit.xml").read_text("utf-8")
    assert runner.job("history") == 0
    assert history(runner.clone)[0] == first
    assert len(history(runner.clone)) == 2
    assert runner.job("history") == 0  # the same line again adds nothing
    assert len(history(runner.clone)) == 2
