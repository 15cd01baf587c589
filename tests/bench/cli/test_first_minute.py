"""What a newcomer meets first: misspelt words, lists, and output that a script can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.cli.everyday import SHELLS
from bench.cli.main import COMMANDS, cli
from bench.data.cards import datasets
from bench.doctor.findings import Finding
from bench.doctor.report import SCORES, Diagnosis
from bench.errors import ExitCode
from bench.plan.suite import load_suite, suites
from bench.plugins.catalog import methods, metrics


def ran(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def answer(*words: str) -> Any:  # noqa: ANN401 - whatever was printed
    """Standard output as JSON, of which it holds nothing else."""
    done = ran(*words)
    assert done.exit_code == ExitCode.DONE, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["rnu"], "run"),
        (["tranfser"], "transfer"),
        (["HISTORY"], "history"),
        (["history", "sohw"], "show"),
        (["listen", "exprot"], "export"),
        (["list", "sutes"], "suites"),
        (["run", "--profile", "ful"], "full"),
        (["completion", "zhs"], "zsh"),
    ],
)
def test_a_misspelt_word_gets_the_nearest(words: list[str], meant: str) -> None:
    done = ran(*words)
    assert done.exit_code == ExitCode.BAD_INPUT
    assert done.output.rstrip().endswith(f"Did you mean '{meant}'?")


def test_a_word_that_is_near_to_none_gets_all() -> None:
    output = ran("xyzzy").output
    assert "Did you mean" not in output
    assert all(str(command.name) in output for command in COMMANDS)


def test_a_list_of_suites_says_what_they_are_for() -> None:
    lines = ran("list", "suites").output.splitlines()
    for line, name in zip(lines, suites(), strict=True):
        assert line.split()[0] == name
        assert load_suite(name).description in line


KEYS = {
    "methods": {"title", "control", "conditioned_on", "fits_per_style", "source"},
    "metrics": {"title", "direction", "range", "source"},
    "datasets": {"here", "contents", "styles"},
    "suites": {"profile", "dataset", "methods"},
}
NAMES = {"methods": methods, "metrics": metrics, "datasets": datasets, "suites": suites}


@pytest.mark.parametrize("what", list(KEYS))
def test_a_list_as_json_has_the_form_that_its_help_describes(what: str) -> None:
    listed = answer("list", what, "--json")
    assert (listed["schema_version"], listed["kind"]) == (1, what)
    assert [item["name"] for item in listed["items"]] == list(NAMES[what]())
    assert {frozenset(item) for item in listed["items"]} == {
        frozenset({"name", "description", *KEYS[what]})
    }
    words = ran("list", "--help").output
    assert all(key in words for key in ("schema_version", "kind", "items", *KEYS[what]))
    lines = [line.split(maxsplit=1) for line in ran("list", what).output.splitlines()]
    # Outputs that were made elsewhere stand in no catalog, and have a line for people to find.
    named = [line for line in lines if not line[0].startswith("outputs:")]
    assert [words for _, words in named] == [item["description"] for item in listed["items"]]
    assert len(lines) - len(named) == (what == "methods")


@pytest.mark.parametrize("what", list(KEYS))
def test_a_quiet_list_is_its_names(what: str) -> None:
    assert ran("list", what, "--quiet").output.splitlines() == list(NAMES[what]())


def test_the_doctor_as_json_says_what_the_text_says() -> None:
    found = answer("doctor", "--json")
    assert set(found) == {"schema_version", "mini_can_run", "scores_hold", "findings"}
    assert (found["schema_version"], found["mini_can_run"], found["scores_hold"]) == (1, True, None)
    keys = ("section", "topic", "text", "severity", "fix")
    assert {frozenset(finding) for finding in found["findings"]} == {frozenset(keys)}
    words = ran("doctor", "--help").output
    assert all(key in words for key in (*found, *keys))


def test_a_quiet_doctor_says_nothing_of_the_well() -> None:
    done = ran("doctor", "--quiet")
    assert (done.exit_code, done.output) == (ExitCode.DONE, "")


def test_a_quiet_doctor_says_what_is_wrong_and_how_to_mend_it() -> None:
    fine, wrong = Finding("disk", "plenty"), Finding("memory", "1 MB", "wrong", "buy some")
    diagnosis = Diagnosis({"machine": [fine, wrong], SCORES: [fine]})
    assert "plenty" not in diagnosis.problems
    assert diagnosis.problems.splitlines()[:2] == [
        "  wrong  memory  1 MB", "                 -> buy some"
    ]  # fmt: skip
    assert json.loads(diagnosis.json)["scores_hold"] is True


def test_an_error_leaves_standard_output_empty() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "report", "nowhere", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (ExitCode.BAD_INPUT, "")
    assert "nowhere" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_is_given_the_words_of_the_command_line(shell: str, checkout: Path) -> None:
    script = ran("completion", shell).output
    assert "_BENCH_COMPLETE" in script
    # What these scripts ask of the program when a word has been begun; fish hands over the word.
    asked = {
        "COMP_WORDS": "bench re", "COMP_CWORD": "re" if shell == "fish" else "1",
        "_BENCH_COMPLETE": f"{shell}_complete",
    }  # fmt: skip
    begin = "import sys; sys.argv = ['bench']; from bench.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", begin], cwd=checkout, env=os.environ | asked, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "report" in done.stdout
    assert "history" not in done.stdout


def test_bash_takes_its_script() -> None:
    script = ran("completion", "bash").output
    done = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p bench"],  # noqa: S607 - any bash
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "complete -o nosort -F _bench_completion bench\n"
