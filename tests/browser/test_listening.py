"""A listening test as a listener does it: heard, rated, downloaded; then imported into the run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from sounding import sounding_run

from bench.cli.main import cli
from bench.records.store import Run
from reports.listening.export import Audience, Exported, export
from reports.listening.handing_in import HandIn
from reports.listening.records import BlindKey, Ratings, read_json
from tests.browser.listener import FASTER, Listener, accessible

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SETS = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sounding_run(tmp_path_factory.mktemp("listening") / "run")


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(run.folder, tmp_path_factory.mktemp("test") / "test", SETS, 0)


@pytest.fixture
def listener(made: Exported, visit: Opener) -> Listener:
    """Somebody who has come as far as the practice."""
    page = visit(made.folder / "index.html", script=FASTER, accept_downloads=True)
    one = Listener(page, read_json(made.key, BlindKey))
    one.begin("ada")
    one.check_sound()
    return one


def test_a_test_is_taken_downloaded_and_imported(
    tmp_path: Path, visit: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    run = sounding_run(tmp_path / "run")
    made = export(run.folder, tmp_path / "test", SETS, 0)
    page = visit(made.folder / "index.html", script=FASTER, accept_downloads=True)
    one = Listener(page, read_json(made.key, BlindKey))
    accessible(page)
    one.begin("Ada \U0001f3b5 </script>")
    accessible(page)
    one.check_sound()
    for title in ("Practice", f"Set 1 of {SETS}", f"Set 2 of {SETS}"):
        expect(page.locator("#where")).to_have_text(title)
        expect(page.locator("#forward")).to_be_disabled()
        accessible(page)
        one.rate_set()
        page.locator("#forward").click()
    accessible(page)
    page.get_by_label("anything you want to tell").fill("<b>loud</b>")
    page.get_by_role("button", name="Finish").click()
    accessible(page)
    path = one.download(tmp_path / "ratings.json")
    ratings = read_json(path, Ratings)
    assert len(ratings.answers) == SETS * 6
    assert all(0.9 <= (answer.heard or 0) <= 1 for answer in ratings.answers)
    assert len(ratings.sets) == SETS
    assert all(0 < time.time_s < 60 and time.started_at for time in ratings.sets)
    assert (ratings.headphones, ratings.comment, ratings.block) == (3, "<b>loud</b>", None)
    cli.main(["listen", "import", str(path), "--run", str(run.folder)], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "human.cp" in shown
    assert "1 listener, 8 clips rated" in " ".join(shown.split())
    assert "rti" in (run.folder / "report" / "listening.md").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_questions_and_words_of_the_scale_are_seen(
    made: Exported, visit: Opener, scheme: str, width: int
) -> None:
    page = visit(made.folder / "index.html", script=FASTER, color_scheme=scheme,
                 viewport={"width": width, "height": 800})  # fmt: skip
    one = Listener(page, read_json(made.key, BlindKey))
    one.begin("ada")
    one.check_sound()
    item = page.locator(".item").first
    for words in ("its melody, its rhythm", "its timbre and its typical sounds", "fuse into one?"):
        expect(item.get_by_text(words)).to_be_visible()
    for word in ("bad", "poor", "fair", "good", "excellent"):
        assert item.get_by_text(word, exact=True).count() == 3
        expect(item.get_by_text(word, exact=True).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    accessible(page)


def shade(button: Locator) -> str:
    return str(button.evaluate("one => getComputedStyle(one).backgroundColor"))


def test_next_looks_as_it_is_and_leads_to_what_is_missing(listener: Listener) -> None:
    page, forward = listener.page, listener.page.locator("#forward")
    off = shade(forward)
    expect(forward).to_have_css("cursor", "not-allowed")
    left = page.locator("#left")
    expect(left).to_have_text("Missing: hear the content to its end (and 4 more things below).")
    forward.click(force=True)
    expect(page.locator("#content")).to_be_focused()
    listener.hear(page.locator("#content"), page.locator("#style"))
    expect(left).to_contain_text("Missing: result A: hear it to its end and rate Content, Style, O")
    items = page.locator(".item").all()
    for item in items:
        listener.rate(item)
    items[1].get_by_role("button").wait_for()
    expect(left).to_have_text("All are heard and rated.")
    expect(forward).to_be_enabled()
    assert shade(forward) != off
    forward.click()
    expect(page.locator("#where")).to_have_text("Set 1 of 2")


def test_heard_and_rated_are_ticked_one_by_one(listener: Listener) -> None:
    item = listener.page.locator(".item").first
    expect(item).to_contain_text("heard 0 %")
    expect(item).to_contain_text("rated 0 of 3")
    listener.hear(item.get_by_role("button"))
    expect(item).to_contain_text("✓ heard")
    listener.mark(item, {"cp": 3, "sf": 4})
    expect(item).to_contain_text("rated 2 of 3")
    listener.page.locator("#forward").focus()
    listener.mark(item, {"ovl": 1})
    expect(item).to_contain_text("✓ rated")


def test_a_clip_that_was_begun_is_not_heard(made: Exported, visit: Opener) -> None:
    page = visit(made.folder / "index.html")  # at its own speed
    one = Listener(page, read_json(made.key, BlindKey))
    one.begin("ada")
    one.check_sound()
    item = page.locator(".item").first
    button = item.get_by_role("button")
    for _ in range(2):  # the same beginning twice, or what comes after it
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(300)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "false")
    expect(item.locator(".heard")).not_to_have_text("heard 0 %")
    expect(item.locator(".heard")).not_to_have_text("✓ heard")
    one.mark(item, {"cp": 3, "sf": 3, "ovl": 3})
    (state,) = kept(page).values()
    assert [0 < one["share"] < 0.9 for one in json.loads(state)["heard"].values()] == [True]


def test_what_was_heard_and_rated_survives_a_reload_and_going_back(listener: Listener) -> None:
    page = listener.page
    listener.rate_set()
    page.reload()
    expect(page.locator("#where")).to_have_text("Practice")
    expect(page.locator("#left")).to_have_text("All are heard and rated.")
    expect(page.locator(".item").first).to_contain_text("✓ heard")
    expect(page.locator("#content")).to_contain_text("✓")
    page.locator("#forward").click()
    expect(page.locator("#where")).to_have_text("Set 1 of 2")
    listener.rate(page.locator(".item").first)
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#left")).to_have_text("All are heard and rated.")
    expect(page.get_by_role("button", name="Back")).to_be_hidden()
    page.locator("#forward").click()
    expect(page.locator(".item").first).to_contain_text("✓ rated")
    expect(page.locator(".item").nth(1)).to_contain_text("rated 0 of 3")


def test_a_set_can_be_done_with_the_keyboard_alone(listener: Listener) -> None:
    page = listener.page
    for _ in range(8):
        missing = page.locator("#left").text_content() or ""
        if missing.startswith("All"):
            break
        page.locator("#forward").focus()
        page.keyboard.press("Enter")  # leads to what is missing first
        if "hear" in missing.partition(" and rate")[0]:
            named = page.evaluate("document.activeElement.textContent")
            assert "Play" in named
            page.keyboard.press("Space")
            for count in (1, 0):  # it plays, and has played
                expect(page.locator('[aria-pressed="true"]')).to_have_count(count)
        else:
            for _question in range(3):
                page.keyboard.press("Space")
                page.keyboard.press("ArrowRight")
                page.keyboard.press("Tab")
    expect(page.locator("#left")).to_have_text("All are heard and rated.")
    page.locator("#forward").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#where")).to_have_text("Set 1 of 2")
    expect(page.locator("#where")).to_be_focused()


def test_the_headphones_are_checked_and_nobody_is_sent_away(made: Exported, visit: Opener) -> None:
    page = visit(made.folder / "index.html", script=FASTER)
    one = Listener(page, read_json(made.key, BlindKey))
    one.begin("ada")
    expect(page.get_by_role("button", name="Go on")).to_be_disabled()
    one.answer_trials(right=False)
    expect(page.locator("#headphones")).to_contain_text("0 of 3 right")
    expect(page.get_by_role("button", name="Go on")).to_be_enabled()
    one.answer_trials(right=True)
    expect(page.locator("#headphones")).to_contain_text("these sound like headphones")
    page.get_by_role("button", name="Play a clip").click()
    expect(page.locator("#volume")).to_have_attribute("aria-pressed", "true")


def kept(page: Page) -> dict[str, Any]:
    return dict(page.evaluate("({...localStorage})"))


def test_nothing_is_kept_before_somebody_agrees(made: Exported, visit: Opener) -> None:
    page = visit(made.folder / "index.html", "?PROLIFIC_PID=5f3c0ffee&STUDY_ID=s1&SESSION_ID=e1")
    page.get_by_label("A code of your choice").fill("ada")
    page.get_by_label("Musical training").select_option("none")
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("#intro")).to_be_visible()  # for want of consent
    assert kept(page) == {}
    assert "under my code" in (page.locator("label[class=tick]").first.text_content() or "")
    expect(page.get_by_text("my id of Prolific (5f3c0ffee)")).to_be_visible()


@pytest.mark.parametrize("agrees", [True, False])
def test_the_id_of_a_service_is_kept_with_consent_alone(
    run: Run, tmp_path: Path, visit: Opener, agrees: bool
) -> None:
    back = HandIn(code="C0FFEE7", code_url="https://app.example.org/done?cc=C0FFEE7")
    made = export(run.folder, tmp_path / "test", 1, 0, audience=Audience(hand_in=back))
    page = visit(made.folder / "index.html", "?workerId=W1&assignmentId=A1&hitId=H1",
                 script=FASTER, accept_downloads=True)  # fmt: skip
    one = Listener(page, read_json(made.key, BlindKey))
    one.begin("", service=agrees)
    one.take()
    expect(page.get_by_text("C0FFEE7")).to_have_count(0)
    ratings = read_json(one.download(tmp_path / "r.json"), Ratings)
    expect(page.get_by_text("C0FFEE7")).to_be_visible()
    expect(page.get_by_role("link", name="Go back to the study")).to_have_attribute(
        "href", back.code_url
    )
    expect(page.get_by_role("button", name="Start for the next person")).to_be_hidden()
    told = ratings.participant and (ratings.participant.person, ratings.participant.study)
    assert told == (("W1", "H1") if agrees else None)
    assert ratings.rater.startswith("listener ")
    assert ("W1" in str(kept(page))) == agrees


def test_nothing_that_listeners_get_names_a_method(run: Run, made: Exported) -> None:
    texts = [p for p in made.folder.rglob("*") if p.suffix in {".html", ".js", ".yaml", ".css"}]
    assert {path.suffix for path in texts} >= {".html", ".js", ".yaml"}
    for path in texts:
        for word in ("tve", "rti", "copy-", "harp", run.header.run_id + '"'):
            found = re.search(rf"(?<![a-z]){re.escape(word)}", path.read_text(encoding="utf-8"))
            assert found is None, (path.name, word)  # "participant" is no name of a method


def test_the_configuration_of_beaqlejs_is_a_script_whose_sounds_play(
    tmp_path: Path, visit: Opener
) -> None:
    run = sounding_run(tmp_path / "run")
    made = export(run.folder, tmp_path / "test", SETS, 0, audience=Audience(form="opus"))
    page_file = made.folder / "beaqle.html"
    page_file.write_text("<!doctype html><script src='beaqlejs-config.js'></script>")
    page = visit(page_file)
    assert page.evaluate("TestConfig.Testsets.length") == SETS * 3
    lengths = page.evaluate(
        """() => Promise.all(TestConfig.Testsets.flatMap(one => Object.values(one.Files)).map(
            file => new Promise((resolve, reject) => {
                const sound = new Audio(TestConfig.AudioRoot + file);
                sound.onloadedmetadata = () => resolve(sound.duration);
                sound.onerror = () => reject(file);
            })))"""
    )
    assert {round(length, 1) for length in lengths} == {2.0}
