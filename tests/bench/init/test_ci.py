"""`init ci`: what it writes and leaves alone, and the other ways to the same gate."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bench import __version__
from bench.api import ConfigError
from bench.cli.main import cli
from bench.files import LinkError
from bench.init.ci import ACTIONS, ASSETS, CiRequest, ci_files, next_steps, write_ci

PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")
EXAMPLE = Path(__file__).parents[2] / "ci" / "example"
WRITTEN = (
    ".github/bench/gate",
    ".github/bench/history",
    ".github/bench/requirements.txt",
    ".github/workflows/bench.yml",
)


def workflow(**changes: str) -> Any:  # noqa: ANN401 - a document
    request = replace(CiRequest(Path()), **changes)
    return yaml.safe_load(ci_files(request)[".github/workflows/bench.yml"])


def test_the_example_holds_what_is_written() -> None:
    """Written by `bench init ci` in its folder."""
    files = ci_files(CiRequest(EXAMPLE))
    assert sorted(files) == list(WRITTEN)
    for name, text in files.items():
        assert (EXAMPLE / name).read_text("utf-8") == text, name
    assert write_ci(CiRequest(EXAMPLE)) == []


def test_the_workflow_is_one(tmp_path: Path) -> None:
    write_ci(CiRequest(tmp_path))
    subprocess.run(
        [
            *(sys.executable, "-m", "check_jsonschema", "--builtin-schema"),
            *("vendor.github-workflows", tmp_path / WRITTEN[-1]),
        ],
        check=True,
        capture_output=True,
    )


def test_what_was_asked_stands_in_it() -> None:
    odd = 'a "b" <c>: #d.toml'
    found = workflow(suite=odd, baseline="ci/known.json", branch="release/1")
    assert found["jobs"]["gate"]["env"] == {"SUITE": odd, "BASELINE": "ci/known.json"}
    assert found[True]["push"]["branches"] == ["release/1"]  # YAML reads `on` as true


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"branch": "main]\nx"}, "letters, digits"),
        ({"branch": "-x"}, "letters, digits"),
        ({"suite": "/etc/suite.toml"}, "no place in a repository"),
        ({"suite": "../suite.toml"}, "no place in a repository"),
        ({"baseline": ""}, "no place in a repository"),
        ({"suite": "a\nb"}, "no place in a repository"),
        ({"suite": "${{ secrets.A }}"}, "no place in a repository"),
    ],
)
def test_what_cannot_be_written_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        workflow(**changes)


def test_files_of_others_are_left_alone_unless_forced(tmp_path: Path) -> None:
    request = CiRequest(tmp_path)
    assert len(write_ci(request)) == len(WRITTEN)
    script, flow = tmp_path / WRITTEN[0], tmp_path / WRITTEN[3]
    script.write_text("echo mine\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bench/gate, .*bench\.yml would be replaced.*--force"):
        write_ci(replace(request, branch="trunk"))
    assert "trunk" not in flow.read_text("utf-8")  # nothing was written
    assert write_ci(replace(request, force=True)) == [script]


def test_of_requirements_the_line_of_the_bench_alone_is_renewed(tmp_path: Path) -> None:
    own = tmp_path / WRITTEN[2]
    write_ci(CiRequest(tmp_path))
    own.write_text("# mine\nmusic-style-bench >= 0.0\nmusic-style-bench-extras\n", encoding="utf-8")
    assert write_ci(CiRequest(tmp_path)) == [own]
    assert own.read_text("utf-8").splitlines() == [
        f"music-style-bench=={__version__}", "# mine", "music-style-bench-extras"
    ]  # fmt: skip


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine", encoding="utf-8")
    (tmp_path / "repository/.github/bench").mkdir(parents=True)
    (tmp_path / "repository/.github/bench/gate").symlink_to(elsewhere)
    with pytest.raises(LinkError, match="gate"):
        write_ci(CiRequest(tmp_path / "repository", force=True))
    assert elsewhere.read_text("utf-8") == "mine"


def test_the_command_says_what_is_left_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["init", "ci", "--folder", str(tmp_path)])
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if line.startswith("Written: ")] == [
        f"Written: {tmp_path / name}" for name in WRITTEN
    ]
    assert 'baseline runs/first --reason "first run" -o baseline.json' in done.output
    (tmp_path / "baseline.json").touch()
    assert "baseline" not in next_steps(CiRequest(tmp_path))
    quiet = CliRunner().invoke(cli, ["init", "ci", "--folder", str(tmp_path), "--quiet"])
    assert (quiet.exit_code, quiet.output) == (0, "")


def documents(checkout: Path) -> dict[str, Any]:
    """Every workflow of this project, the action, and the workflow that is written for others."""
    paths = [*sorted((checkout / ".github" / "workflows").glob("*.yml")), checkout / "action.yml"]
    return {path.name: yaml.safe_load(path.read_text("utf-8")) for path in paths} | {
        "written": workflow()
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
        ["make", "history-push", "--dry-run"],  # noqa: S607 - any make
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
