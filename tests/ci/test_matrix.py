"""What is promised of Python and systems is what CI runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet

VERSION = "Programming Language :: Python :: "


def rows(checkout: Path) -> list[dict[str, Any]]:
    """The rows of the matrix of the tests, by what GitHub makes of them."""
    text = (checkout / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    matrix = yaml.safe_load(text)["jobs"]["test"]["strategy"]["matrix"]
    crossed = [{"os": os, "python": python} for os in matrix["os"] for python in matrix["python"]]
    return [*crossed, *matrix["include"]]


def project(checkout: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))
    return found["project"]  # type: ignore[no-any-return] # of a table


def test_every_version_that_is_named_is_run_and_no_other(checkout: Path) -> None:
    named = {
        word.removeprefix(VERSION)
        for word in project(checkout)["classifiers"]
        if word.startswith(VERSION)
    }
    proven = [row for row in rows(checkout) if not row.get("unproven")]
    assert {row["python"] for row in proven} == named
    allowed = SpecifierSet(project(checkout)["requires-python"])
    assert all(row["python"] in allowed for row in rows(checkout))
    oldest = min(named, key=lambda version: int(version.partition(".")[2]))
    assert f"3.{int(oldest.partition('.')[2]) - 1}" not in allowed


def test_linux_and_macos_are_run(checkout: Path) -> None:
    assert {row["os"] for row in rows(checkout)} == {"ubuntu-latest", "macos-latest"}
    named = {
        word.split(" :: ")[-1] for word in project(checkout)["classifiers"] if "System" in word
    }
    assert named == {"Linux", "MacOS"}


def test_the_page_says_the_same(checkout: Path) -> None:
    page = (checkout / "docs" / "how-to" / "install.md").read_text("utf-8")
    for row in rows(checkout):
        assert row["python"] in page
