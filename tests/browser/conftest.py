"""A real Chromium that may open nothing but files, and the one server that a test names."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin

import pytest

pytest.importorskip("playwright", reason="the extra `dev` brings playwright")
sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))

from playwright.sync_api import Browser, Page, expect, sync_playwright

Opener = Callable[..., Page]

# On a machine with much else to do, a sound took longer than the usual 5 s to begin.
expect.set_options(timeout=60_000)


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


class Quiet(SimpleHTTPRequestHandler):
    """What `python -m http.server` answers with: whole files, whatever part is asked for."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def served() -> Iterator[Callable[[Path], str]]:
    """Serves a folder and returns its address."""
    servers = []

    def serving(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield serving
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Opener]:
    """Opens a file or an address, and fails at the end if that asked for another, or complained.

    `reaching` begins the addresses that may be asked beside files and the server of the page; what
    the browser says of one that cannot be had is left to the test. `script` runs before those of
    the page.
    """
    faults: list[str] = []
    contexts = []

    def note_request(address: str, own: str, reaching: str) -> None:
        allowed = (own, "data:", "blob:", *([reaching] if reaching else []))
        if not address.startswith(allowed):
            faults.append(f"request: {address}")

    def note_words(words: str, reaching: str) -> None:
        theirs = ("Failed to load", "Access to fetch", "The ScriptProcessorNode is deprecated")
        if not (reaching and words.startswith(theirs)):
            faults.append(words)

    def opening(
        place: Path | str, fragment: str = "", *, reaching: str = "", script: str = "",
        **settings: object,
    ) -> Page:  # fmt: skip
        address = place if isinstance(place, str) else place.resolve().as_uri()
        own = "file:" if address.startswith("file:") else urljoin(address, "/")
        context = chromium.new_context(**settings)
        contexts.append(context)
        context.add_init_script(script)
        page = context.new_page()
        page.on("request", lambda request: note_request(request.url, own, reaching))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                note_words(message.text, reaching) if message.type in {"error", "warning"} else None
            ),
        )
        page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
        page.goto(address + fragment)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert faults == []
