"""An exported test taken in BeaqleJS, in webMUSHRA and in Go Listen, by their own code.

None is part of this project, and tests use no network: the folders of their checkouts are named by
the variables BEAQLEJS, WEBMUSHRA and GOLISTEN, and without these there is nothing to test. Go
Listen's client is built there before (`npm ci` and `npm run build` in its `listening-test-react`).
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answering import COLUMNS, deserved
from golisten_server import MISSING, serving
from playwright.sync_api import Page
from sounding import RATE, sounding_run

from bench.api import Audio
from bench.audio import write_audio
from reports.listening.chance import HIGH_SCORES, LOW_SCORES
from reports.listening.design import QUESTIONS
from reports.listening.export import Exported, export
from reports.listening.golisten import OPTIONS, PLAYED
from reports.listening.mushra.export import export_mushra
from reports.listening.mushra.marks import marked
from reports.listening.mushra.records import OWN, REFERENCE, MushraKey
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey, read_json

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SETS = 2


def needs(tool: str) -> pytest.MarkDecorator:
    """Leave a test out where no checkout of a tool is named."""
    return pytest.mark.skipif(tool not in os.environ, reason=f"{tool} names no checkout of it")


def checkout_of(tool: str, folder: Path) -> Path:
    """A copy of the checkout of a tool."""
    shutil.copytree(os.environ[tool], folder)
    return folder


@contextmanager
def served(folder: Path, sent: list[str]) -> Iterator[str]:
    """Serve a folder, and note what is posted: the part of webMUSHRA's service that keeps it."""

    class Handler(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def made(tmp_path: Path) -> tuple[Exported, BlindKey, Path]:
    run = sounding_run(tmp_path / "run")
    done = export(run.folder, tmp_path / "test", SETS, 0)
    return done, read_json(done.key, BlindKey), run.folder


def mark_of(key: BlindKey, item: str, question: str) -> int:
    """What a clip deserves, by its token."""
    (one,) = (given.items[item] for given in key.sets.values() if item in given.items)
    return deserved(one, question)


def require_careful(folder: Path, rater: str) -> None:
    """The ratings of one who hears the copies have come in whole and are kept."""
    said = heard([folder])
    assert (said.raters, said.excluded) == ((rater,), ())
    assert len(said.ratings) == SETS * 4
    copies = said.judged[0].care.copies
    assert copies.reached == 6 * max(HIGH_SCORES) + 12 * max(LOW_SCORES)
    assert said.judged[0].care.flags == ()


@needs("BEAQLEJS")
def test_beaqlejs_takes_the_test_and_its_file_comes_back(
    tmp_path: Path, visit: Opener, made: tuple[Exported, BlindKey, Path]
) -> None:
    done, key, run = made
    tool = checkout_of("BEAQLEJS", tmp_path / "tool")
    shutil.copy(done.folder / "beaqlejs-config.js", tool)
    shutil.copytree(done.folder / "sounds", tool / "sounds")
    index = tool / "index.html"
    text = index.read_text(encoding="utf-8")
    index.write_text(text.replace("config/example_config_mushra.js", "beaqlejs-config.js"), "utf-8")
    with served(tool, []) as address:
        agreed = "window.confirm = () => true;"  # the last test: do you want to finish?
        page = visit(address, reaching=address, accept_downloads=True, script=agreed)
        page.locator("#BtnStartTest").click()
        for _ in range(SETS * 3):
            page.wait_for_function("!$('#LoadOverlay').is(':visible')")
            place = page.evaluate(
                "testHandle.TestState.TestSequence[testHandle.TestState.CurrentTest]"
            )
            config = page.evaluate(f"TestConfig.Testsets[{place}]")
            shown = page.evaluate(f"testHandle.TestState.FileMappings[{place}]")
            question = config["TestID"].split("-")[2]
            assert sorted(shown) == sorted(config["Files"])
            for label in shown:
                if label != "Reference":  # hidden among the clips by the tool itself
                    mark = mark_of(key, Path(config["Files"][label]).stem, question)
                    page.evaluate(f"$('#slider{label}').slider('value', {mark})")
            page.locator("#BtnNextTest").click()
        page.locator("#UserName").fill("bea")
        with page.expect_download() as download:
            page.locator("#BtnDownloadData").click()
        download.value.save_as(tmp_path / "bea.txt")
    import_ratings([tmp_path / "bea.txt"], run)
    require_careful(run, "bea")


@needs("WEBMUSHRA")
def test_webmushra_takes_the_test_and_what_it_sends_comes_back(
    tmp_path: Path, visit: Opener, made: tuple[Exported, BlindKey, Path]
) -> None:
    done, key, run = made
    tool = checkout_of("WEBMUSHRA", tmp_path / "tool")
    shutil.copy(done.folder / "webmushra.yaml", tool / "configs")
    shutil.copytree(done.folder / "sounds", tool / "configs" / "resources" / "sounds")
    sent: list[str] = []
    with served(tool, sent) as address:
        page = visit(f"{address}?config=webmushra.yaml", reaching=address)
        page.locator("#__button_next").click()
        for _ in range(SETS * 3):
            take_page(page, key)
        page.locator("#rater").fill("wim")
        page.locator("#send_results").click()
        page.wait_for_function("$('#popupDialog').parent().hasClass('ui-popup-active')")
    path = tmp_path / "lms.csv"
    path.write_text(kept_by_service(json.loads(sent[0].removeprefix("sessionJSON="))), "utf-8")
    import_ratings([path], run)
    require_careful(run, "wim")


def take_page(page: Page, key: BlindKey) -> None:
    """Hear each clip to its end, which unlocks its scale, and mark it."""
    page.wait_for_selector("input[type=radio]", state="attached")
    facts: dict[str, Any] = page.evaluate(
        """() => { const one = pageManager.getCurrentPage();
        return {id: one.pageConfig.id, items: one.stimuli.map(s => s.id)}; }"""
    )
    question = facts["id"].split("-")[1]
    for place, item in enumerate(facts["items"]):
        page.locator(f"#playCondition{place}").click()
        name = f"{place}__response"
        page.wait_for_function(f"!$(\"input[name='{name}']\").first().prop('disabled')")
        mark = mark_of(key, item, question)
        page.evaluate(f"$(\"input[name='{name}'][value='{mark}']\").click()")
    page.locator("#__button_next").click()
    page.wait_for_timeout(200)


def kept_by_service(session: dict[str, Any]) -> str:
    """The lines that webMUSHRA's service writes to lms.csv, which PHP would write."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    who = session["participant"]
    rows.writerow(["session_test_id", *who["name"], "trial_id", "stimuli_rating", "stimuli",
                   "rating_time"])  # fmt: skip
    for trial in session["trials"]:
        for one in trial["responses"]:
            rows.writerow([session["testId"], *who["response"], trial["id"],
                           f" {one['stimulusRating']} ", one["stimulus"], one["time"]])  # fmt: skip
    return out.getvalue()


MUSHRA_MARKS = {"tve[strength=0.5]": 40, "rti": 20, REFERENCE: 100, "anchor35": 60, "anchor70": 80}
SPECTRA = """() => pageManager.getCurrentPage().mushraAudioControl.conditions.map(one => {
  const data = one.getAudioBuffer().getChannelData(0), rate = one.getAudioBuffer().sampleRate;
  const at = hertz => {
    let re = 0, im = 0;
    for (let n = rate; n < data.length; n++) {
      re += data[n] * Math.cos(2 * Math.PI * hertz * n / rate);
      im += data[n] * Math.sin(2 * Math.PI * hertz * n / rate);
    }
    return 2 * Math.hypot(re, im) / (data.length - rate);
  };
  return [one.id, [1000, 5000, 7500].map(at)];
})"""


@pytest.fixture
def chords(tmp_path: Path) -> Path:
    """A run whose contents have a part below, between and above the limits of the anchors."""
    run = sounding_run(tmp_path / "chords", ("harp",), ("a", "b"), figures=False)
    time = np.arange(2 * RATE) / RATE
    for cell in run.plan:
        path = run.folder / str(run.cells[cell.cell_id].audio)
        parts = [np.sin(2 * np.pi * hertz * time) for hertz in (1000, 5000, 7500)]
        write_audio(path, Audio(0.1 * np.sum(parts, axis=0, dtype=np.float32)[None], RATE))
    return run.folder


@needs("WEBMUSHRA")
def test_webmushra_makes_the_anchors_and_its_marks_come_back(
    tmp_path: Path, visit: Opener, chords: Path
) -> None:
    done = export_mushra(chords, tmp_path / "test", SETS, 0)
    key = read_json(done.key, MushraKey)
    tool = checkout_of("WEBMUSHRA", tmp_path / "tool")
    shutil.copy(done.folder / "webmushra.yaml", tool / "configs")
    shutil.copytree(done.folder / "sounds", tool / "configs" / "resources" / "sounds")
    sent: list[str] = []
    with served(tool, sent) as address:
        page = visit(f"{address}?config=webmushra.yaml", reaching=address)
        page.locator("#__button_next").click()
        for _ in range(SETS):
            take_mushra_page(page, key)
        page.locator("#rater").fill("mia")
        page.locator("#send_results").click()
        page.wait_for_function("$('#popupDialog').parent().hasClass('ui-popup-active')")
    path = tmp_path / "mushra.csv"
    path.write_text(mushra_by_service(json.loads(sent[0].removeprefix("sessionJSON="))), "utf-8")
    import_ratings([path], chords)
    said = marked([chords])
    assert {one.flags for one in said.screened.values()} == {()}
    found = {(one.own or one.method, one.mark) for one in said.marks}
    assert found == set(MUSHRA_MARKS.items())
    assert len(said.marks) == SETS * len(MUSHRA_MARKS)


def take_mushra_page(page: Page, key: MushraKey) -> None:
    """Look at what the tool made of the reference, play each clip, and move its slider."""
    page.wait_for_selector("#buttonConditions0")
    assert page.evaluate("errorHandler.getErrors()") == []
    name = page.evaluate("pageManager.getCurrentPage().pageConfig.id")
    methods = {token: one.method for token, one in key.sets[name].items.items()}
    spectra = dict(page.evaluate(SPECTRA))
    assert set(spectra) == {*methods, *OWN}
    whole = spectra[REFERENCE]
    for anchor, kept in (("anchor35", (True, False, False)), ("anchor70", (True, True, False))):
        shares = [part / of for part, of in zip(spectra[anchor], whole, strict=True)]
        for share, is_kept in zip(shares, kept, strict=True):
            assert 0.8 < share < 1.2 if is_kept else share < 0.1, (anchor, shares)
    for place, item in enumerate(page.evaluate("$('.scales').get().map(one => one.name)")):
        page.locator(f"#buttonConditions{place}").click()
        mark = MUSHRA_MARKS[methods.get(item, item)]
        page.evaluate(f"$('.scales').eq({place}).val({mark}).slider('refresh')")
    page.locator("#__button_next").click()
    page.wait_for_timeout(200)


def mushra_by_service(session: dict[str, Any]) -> str:
    """The lines that webMUSHRA's service writes to mushra.csv, which PHP would write."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    who = session["participant"]
    first, _, *rest = COLUMNS
    rows.writerow([first, *who["name"], *rest])
    for trial in session["trials"]:
        assert trial["type"] == "mushra"
        for one in trial["responses"]:
            rows.writerow([session["testId"], *who["response"], session.get("uuid"), trial["id"],
                           one["stimulus"], one["score"], one["time"], one["comment"]])  # fmt: skip
    return out.getvalue()


CLIENT = Path(os.environ.get("GOLISTEN", "."), "listening-test-react", "build")


@needs("GOLISTEN")
@pytest.mark.skipif(bool(MISSING), reason=f"its server needs {', '.join(MISSING)}")
@pytest.mark.skipif(not (CLIENT / "index.html").exists(), reason="its client is not built")
def test_golisten_takes_the_test_in_its_client_and_its_responses_come_back(
    tmp_path: Path, visit: Opener
) -> None:
    run = sounding_run(tmp_path / "run", seconds=0.6, figures=False)
    done = export(run.folder, tmp_path / "test", SETS, 0)
    key = read_json(done.key, BlindKey)
    shutil.copytree(CLIENT, tmp_path / "client")
    index = tmp_path / "client" / "index.html"
    text = index.read_text("utf-8")
    index.write_text(re.sub(r"<link[^>]*fonts.googleapis.com[^>]*>", "", text), "utf-8")
    with serving(Path(os.environ["GOLISTEN"]), tmp_path / "server", index.parent) as address:
        sent = subprocess.run(
            ["sh", str(done.folder / "golisten.sh"), address, "admin@yourdomain.com"],  # noqa: S607
            input="123456\n", text=True, check=True, timeout=120, stdout=subprocess.PIPE,
        )  # fmt: skip
        place = sent.stdout.split()[-1]
        page = visit(place, reaching=address)
        page.get_by_role("button", name="Next", exact=True).click()
        page.locator("input[type=text]:visible").fill("gil")
        page.get_by_role("alert").get_by_role("button").click()  # about cookies
        items = {
            Path(media["src"]).name: one["id"].rpartition("-")[2]
            for one in json.loads((done.folder / "golisten.json").read_text("utf-8"))["items"][2:]
            for media in one["example"]["medias"][-1:]
        }
        assert len(items) == sum(len(one.items) for one in key.sets.values())
        for _ in items:
            page.locator("button:visible", has_text="Next Question").click()
            take_golisten_page(page, key, items)
        page.locator("button:visible", has_text="Submit").click()
        page.get_by_text("Thank you for taking part in this test").wait_for()
        responses = page.evaluate(RESPONSES, place.rpartition("/")[2])
    path = tmp_path / "responses.json"
    path.write_text(responses, encoding="utf-8")
    import_ratings([path], run.folder)
    require_careful(run.folder, "gil")


RESPONSES = """async test => {  // as its owner downloads them, who logs in
  const token = () => document.cookie.match(/_xsrf=([^;]*)/)[1];
  await fetch("/api/login", {method: "POST", headers: {"X-XSRFToken": token()}, body:
    JSON.stringify({email: "admin@yourdomain.com", password: "e10adc3949ba59abbe56e057f20f883e"})});
  const found = await fetch(`/api/response?testType=ab-test&testId=${test}&downloadable=1`);
  return found.text();
}"""


def take_golisten_page(page: Page, key: BlindKey, items: Mapping[str, str]) -> None:
    """Play the content to its end, then style and result, and answer the three questions."""
    buttons = {name: page.locator("button:visible", has_text=name) for name in PLAYED}
    buttons["Content"].evaluate(
        """one => new Promise(done => {
          one.previousElementSibling.addEventListener("ended", done, {once: true});
          one.click();
        })"""
    )
    for name in ("Style", "Result"):
        buttons[name].click()
        sounding = "one => [one.previousElementSibling.paused, one.previousElementSibling.volume]"
        assert buttons[name].evaluate(sounding) == [False, 1]
    source = buttons["Result"].evaluate("one => one.previousElementSibling.src")
    groups = page.locator("[role=radiogroup]:visible")
    for place, question in enumerate(QUESTIONS):
        mark = mark_of(key, items[Path(source).name], question)
        groups.nth(place).get_by_label(OPTIONS[mark - 1]).check()
