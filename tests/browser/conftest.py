"""A real Chromium that may open nothing but files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the extra `dev` brings playwright")
sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from playwright.sync_api import Browser, Page, sync_playwright

Opener = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless; where there is none, the one that playwright installs."""
    program = shutil.which("chromium")
    with sync_playwright() as playwright:
        if program is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no chromium; `playwright install chromium`, or Debian's package")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Opener]:
    """Opens a file and fails at the end if it asked for anything else, or complained."""
    faults: list[str] = []
    contexts = []

    def note_request(address: str) -> None:
        if not address.startswith(("file:", "data:", "blob:")):
            faults.append(f"request: {address}")

    def opening(path: Path, fragment: str = "", **settings: object) -> Page:
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: note_request(request.url))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                faults.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.goto(path.resolve().as_uri() + fragment)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert faults == []
