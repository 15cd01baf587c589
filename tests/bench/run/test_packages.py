"""The list of installed packages: complete, without secrets, kept and hashed with the run."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2] / "reports"))

from building import header, method

from bench.cli.main import cli
from bench.records.store import read_header
from bench.run.header import merge_headers
from bench.run.provenance import PACKAGES, installed_packages, packages_file


def install(folder: Path, name: str, version: str, origin: object = None) -> None:
    """Write what pip writes about a package."""
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    if origin is not None:
        (about / "direct_url.json").write_text(
            origin if isinstance(origin, str) else json.dumps(origin), encoding="utf-8"
        )


def listed() -> dict[str, str]:
    """The lines by the name that they begin with."""
    return {
        line.partition("==")[0].partition(" @")[0]: line
        for line in installed_packages().splitlines()
    }


def test_every_installed_package_has_a_line_with_its_version() -> None:
    lines = listed()
    everything = {str(package.metadata["Name"]) for package in metadata.distributions()}
    assert everything == set(lines)
    assert len(lines) > 3 * len(PACKAGES)
    assert lines["numpy"] == f"numpy=={metadata.version('numpy')}"
    names = [name.lower().replace("_", "-") for name in lines]
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, "odd-one==1.2"),
        ({"url": "https://user:secret@host.example/a.git?token=x", "vcs_info":
          {"vcs": "git", "commit_id": "abc123"}}, "odd-one @ git+https://host.example/a.git@abc123"),
        ({"url": "https://host.example/a-1.2.whl", "archive_info": {}},
         "odd-one @ https://host.example/a-1.2.whl"),
        ({"url": "file:///home/somebody/odd", "dir_info": {"editable": True}},
         "odd-one==1.2  # from this machine"),
        ("{", "odd-one==1.2  # its origin cannot be read"),
        ({"url": 7}, "odd-one @ 7"),
        ([1], "odd-one==1.2  # its origin cannot be read"),
    ],
)  # fmt: skip
def test_an_origin_is_told_without_secrets_and_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: object, line: str
) -> None:
    install(tmp_path, "odd-one", "1.2", origin)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert listed()["odd-one"] == line


def test_of_two_packages_of_one_name_the_first_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "second", "twice", "1.0")
    install(tmp_path / "first", "Twice", "2.0")
    monkeypatch.syspath_prepend(str(tmp_path / "second"))
    monkeypatch.syspath_prepend(str(tmp_path / "first"))
    lines = [line for line in installed_packages().splitlines() if line.lower().startswith("twice")]
    assert lines == [f"Twice=={metadata.version('twice')}"] == ["Twice==2.0"]


def test_a_name_that_breaks_lines_stays_on_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "esc\x1b[31m", "1")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "esc\\x1b[31m==1" in installed_packages().splitlines()


def test_a_run_keeps_the_list_and_its_digest(tmp_path: Path) -> None:
    words = ["run", "--methods", "copy-content", "--suite", "mini", "--styles", "bells"]
    words += ["--contents", "1", "--metrics", "chroma", "--duration", "1", "--out", str(tmp_path)]
    words.append("--no-html")
    assert CliRunner().invoke(cli, words).exit_code == 0
    (kept,) = read_header(tmp_path).provenance["package_lists"]
    data = (tmp_path / kept["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == kept["sha256"]
    assert data.decode() == installed_packages()
    assert set(read_header(tmp_path).provenance["packages"]) <= set(listed())
    assert "package_lists" not in (tmp_path / "report" / "table2.md").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.glob("packages*")) == [kept["file"]]


def test_an_extended_run_keeps_the_lists_of_all_its_sessions() -> None:
    lists = [packages_file(text) for text in ("a==1\n", "a==2\n")]
    first, second = (
        header([method("tve")], provenance={"device": "cpu", "package_lists": [one]})
        for one in lists
    )
    merged = merge_headers(first, second)
    assert merged.provenance["package_lists"] == lists
    assert merge_headers(merged, first).provenance["package_lists"] == lists
    older = header([method("tve")], provenance={"device": "cpu"})
    assert merge_headers(older, second).provenance["package_lists"] == [lists[1]]
