"""A page as one PDF file, printed by a browser of the Chromium family without a window.

The browser gets a profile of its own for one print, reads files alone and reaches no host, so that
a browser which is open changes nothing and nothing waits for a network. What is on paper is the
business of `print.css`. The file takes its place when it is whole, so that an earlier one stays
where printing fails.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from bench.api import ConfigError
from bench.files import replace_file

PROGRAMS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "chrome-headless-shell", "microsoft-edge",
)  # fmt: skip
LIMIT_S = 300.0  # a page of 20 printed pages takes two seconds
LAST_WORDS = 300  # characters of what a browser said
_FLAGS = (
    "--headless", "--disable-gpu", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer",
)  # fmt: skip


def find_browser() -> str:
    """The program that prints: the first of `PROGRAMS` on PATH, else the one playwright installed.

    Raises:
        ConfigError: There is neither.
    """
    found = next((path for path in map(shutil.which, PROGRAMS) if path), None) or _of_playwright()
    if found is None:
        raise ConfigError(
            f"--pdf needs a browser, and there is none: neither {', '.join(PROGRAMS)} on PATH nor "
            "one that the package playwright installed. Install Chromium (`apt install chromium`, "
            "or `pip install playwright` and `playwright install chromium`), or leave --pdf out "
            "and print the page from any browser: it has a form for paper."
        )
    return found


def _of_playwright() -> str | None:
    """Chromium as `playwright install` leaves it; None where it was not asked for."""
    if importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = playwright.chromium.executable_path
    return program if Path(program).is_file() else None


def write_pdf(page: Path, target: Path, browser: str, limit_s: float = LIMIT_S) -> Path:
    """Print a page into a file and return the file.

    Args:
        page: The `index.html` of a page, see `reports.page.write`.
        target: The PDF.
        browser: The program, see `find_browser`.
        limit_s: Seconds after which the browser is ended.

    Raises:
        ConfigError: The browser takes longer, or ends without a PDF.
        LinkError: A symbolic link stands where the file should be.
    """
    with tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True) as scratch:
        printed = Path(scratch, "page.pdf")
        said = _print(page, printed, [browser, f"--user-data-dir={scratch}/profile"], limit_s)
        content = printed.read_bytes() if printed.is_file() else b""
    if not (content.startswith(b"%PDF") and content.rstrip().endswith(b"%%EOF")):
        raise _failed(page, browser, f"ended without a PDF ({said or 'it said nothing'})")
    replace_file(target, content)
    return target


def _print(page: Path, printed: Path, begin: list[str], limit_s: float) -> str:
    """Let a browser print, and return the last that it said; it and its children end here."""
    # A browser that root started refuses its sandbox; the page is ours and may load files alone.
    unboxed = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [*begin, *_FLAGS, *unboxed, f"--print-to-pdf={printed}", page.resolve().as_uri()]
    log = printed.with_name("log")
    with log.open("wb") as words:
        process = subprocess.Popen(  # noqa: S603 - a browser found by its name, and our page
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise _failed(page, begin[0], f"did not end within {limit_s:g} s") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return " ".join(log.read_text(errors="replace").split())[-LAST_WORDS:]


def _failed(page: Path, browser: str, what: str) -> ConfigError:
    return ConfigError(
        f"{page}: {browser} {what}. The page and the tables are written; print the page from a "
        "browser, which gives the same."
    )
