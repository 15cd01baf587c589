"""The page as a PDF: which browser prints it, what is said where none can, and what stays."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))

from building import header, method, save

from bench.api import ConfigError
from bench.cli.main import cli
from bench.records.store import Run
from reports.page.pdf import find_browser, write_pdf

PRINTS = 'printf "%%PDF-1.4 of $last\\n%%%%EOF\\n" > "$target"'


def browser(folder: Path, does: str) -> Path:
    """A program called chromium that finds its target and its page and does something with them."""
    program = folder / "chromium"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(
        "#!/bin/sh\n"
        "for last; do\n"
        '  case "$last" in --print-to-pdf=*) target="${last#*=}";; esac\n'
        "done\n"
        f"{does}\n"
    )
    program.chmod(0o755)
    return program


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page" / "index.html"
    path.parent.mkdir()
    path.write_text("<p>a page</p>")
    return path


def alone_on_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Only the programs of a folder are found, and playwright has installed nothing."""
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(folder / "none"))


def test_the_browser_is_the_first_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = browser(tmp_path / "bin", PRINTS)
    program.with_name("google-chrome").symlink_to(program)
    alone_on_path(monkeypatch, program.parent)
    assert find_browser() == str(program)


def test_the_page_is_printed_into_the_file(tmp_path: Path, page: Path) -> None:
    target = tmp_path / "report.pdf"
    assert write_pdf(page, target, str(browser(tmp_path, PRINTS))) == target
    assert target.read_text() == f"%PDF-1.4 of {page.as_uri()}\n%%EOF\n"


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("echo no display >&2; exit 1", r"chromium ended without a PDF \(no display\)"),
        ('printf "%%PDF-1.4 half" > "$target"', r"ended without a PDF \(it said nothing\)"),
    ],
)
def test_a_browser_that_fails_is_told_of_and_the_former_file_stays(
    tmp_path: Path, page: Path, does: str, message: str
) -> None:
    target = tmp_path / "report.pdf"
    target.write_text("former")
    with pytest.raises(ConfigError, match=message):
        write_pdf(page, target, str(browser(tmp_path, does)))
    assert target.read_text() == "former"


def test_a_browser_that_takes_too_long_ends_with_its_children(tmp_path: Path, page: Path) -> None:
    noted = tmp_path / "children"
    slow = browser(tmp_path, f"sleep 600 & echo $! > {noted}; wait")
    with pytest.raises(ConfigError, match="did not end within 3 s"):
        write_pdf(page, tmp_path / "report.pdf", str(slow), limit_s=3)
    assert _ends(int(noted.read_text()))


def _ends(process: int) -> bool:
    """Whether a process that is no child of ours has been told to end: it may take a moment."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 60)[0])
    finally:
        os.close(handle)


def empty_run(folder: Path) -> Path:
    """A run in which nothing was planned."""
    return save(Run(folder, header([method("tve")]), (), {}, {}), folder)


def bench(*arguments: object) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_without_a_browser_it_is_said_before_the_work_what_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone_on_path(monkeypatch, tmp_path)
    run = empty_run(tmp_path / "run")
    done = bench("report", run, "--pdf")
    assert isinstance(done.exception, ConfigError)
    assert "neither chromium, chromium-browser, google-chrome" in str(done.exception)
    assert "print the page from any browser" in str(done.exception)
    assert not (run / "report").exists()


def test_the_command_prints_beside_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone_on_path(monkeypatch, browser(tmp_path / "bin", PRINTS).parent)
    run = empty_run(tmp_path / "run")
    done = bench("report", run, "--pdf")
    assert done.exit_code == 0, done.output
    assert f"PDF: {run / 'report' / 'report.pdf'}" in done.stdout
    assert (run / "report" / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_page_that_is_not_written_is_not_printed() -> None:
    done = bench("report", "run", "--pdf", "--no-html")
    assert done.exit_code == 2
    assert "leave --no-html out" in done.stderr
