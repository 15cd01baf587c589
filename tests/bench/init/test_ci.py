"""`init ci`: what it writes, and what it leaves alone."""

from __future__ import annotations

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
from bench.init.ci import CiRequest, ci_files, next_steps, write_ci

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
