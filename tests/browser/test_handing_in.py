"""How ratings leave the page: to an address, to a collector of a lab, and what becomes of them."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from answering import deserved, sheet
from playwright.sync_api import Browser, Page, Route, expect
from sounding import sounding_run

from bench.records.store import Run
from reports.listening.collector import Collector
from reports.listening.export import Audience, Exported, export
from reports.listening.handing_in import HandIn
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey, Ratings, read_json
from reports.write import read_report
from tests.browser.listener import FASTER, Listener, accessible

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
FORM = "https://forms.example.org/"
POST = f"{FORM}take?form=7"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sounding_run(tmp_path_factory.mktemp("handing in") / "run")


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A test of one set that is sent to a form."""
    back = HandIn(post=POST, email="lab@example.org", code="C0FFEE7")
    whom = Audience(listeners=2, hand_in=back)
    return export(run.folder, tmp_path_factory.mktemp("test") / "test", 1, 0, audience=whom)


@pytest.fixture(scope="module")
def shared(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A test of six sets of which each of three listeners rates two."""
    whom = Audience(listeners=3, minutes=5.5)
    done = export(run.folder, tmp_path_factory.mktemp("lab") / "test", 6, 0, audience=whom)
    assert {len(block) for block in done.plan} == {2}
    return done


def taken(made: Exported, visit: Opener, answer: Callable[[Route], None]) -> Listener:
    """A listener who has finished, where the form answers so."""
    page = visit(made.folder / "index.html", reaching=FORM, script=FASTER, accept_downloads=True)
    page.route(f"{FORM}**", answer)
    one = Listener(page, read_json(made.key, BlindKey))
    expect(page.locator("#told-where")).to_have_text("forms.example.org")
    one.begin("ada")
    one.take()
    return one


def test_ratings_are_sent_as_plain_text_and_the_code_is_shown_when_they_have_arrived(
    made: Exported, visit: Opener
) -> None:
    requests = []

    def answer(route: Route) -> None:
        requests.append(route.request)
        route.fulfill(status=200, headers={"Access-Control-Allow-Origin": "*"}, body="kept")

    page = taken(made, visit, answer).page
    expect(page.locator("#arrival")).to_have_text("Your ratings have arrived.")
    expect(page.get_by_text("C0FFEE7")).to_be_visible()
    expect(page.locator("#by-hand")).to_be_hidden()
    accessible(page)
    (request,) = requests  # no question before it
    assert (request.method, request.url) == ("POST", POST)
    assert request.headers["content-type"] == "text/plain;charset=UTF-8"
    assert "cookie" not in request.headers
    ratings = Ratings.model_validate_json(request.post_data or "")
    assert (ratings.rater, len(ratings.answers)) == ("ada", 6)
    page.reload()
    expect(page.locator("#arrival")).to_have_text("Your ratings have arrived.")
    assert len(requests) == 1
    page.get_by_role("button", name="Start for the next person").click()
    expect(page.locator("#intro")).to_be_visible()
    assert "answers" not in str(page.evaluate("({...localStorage})"))


@pytest.mark.parametrize("fault", ["refused", "gone"])
def test_what_cannot_be_sent_is_kept_tried_again_and_offered_as_a_file(
    made: Exported, visit: Opener, tmp_path: Path, fault: str
) -> None:
    works = False

    def answer(route: Route) -> None:
        if fault == "gone" and not works:
            route.abort()
        else:
            headers = {"Access-Control-Allow-Origin": "*"}
            route.fulfill(status=200 if works else 503, headers=headers)

    one = taken(made, visit, answer)
    page = one.page
    expect(page.locator("#arrival")).to_contain_text("could not be sent")
    expect(page.locator("#completion")).to_be_hidden()
    expect(page.locator("#restart")).to_be_hidden()
    link = page.get_by_role("link", name="lab@example.org")
    assert (link.get_attribute("href") or "").startswith("mailto:lab@example.org?subject=Ratings")
    accessible(page)
    page.reload()  # nothing is lost, and it is tried again
    expect(page.locator("#arrival")).to_contain_text("could not be sent")
    if fault == "gone":
        ratings = read_json(one.download(tmp_path / "ratings.json"), Ratings)
        assert len(ratings.answers) == 6
    else:
        works = True
        page.get_by_role("button", name="Try to send them again").click()
        expect(page.locator("#arrival")).to_have_text("Your ratings have arrived.")
    expect(page.get_by_text("C0FFEE7")).to_be_visible()


def test_the_page_may_reach_that_one_address_and_no_other(
    made: Exported, chromium: Browser
) -> None:
    page = chromium.new_page()  # not by `visit`, to which every refusal is a fault
    asked: list[str] = []
    page.route(f"{FORM}**", lambda route: route.abort())
    page.goto((made.folder / "index.html").resolve().as_uri())
    page.on("requestfailed", lambda request: asked.append(request.url))
    others = [f"{FORM}other", "https://elsewhere.example.org/take", "http://127.0.0.1:9/take"]
    blocked = page.evaluate(
        """async (addresses) => {
            const blocked = [];
            addEventListener("securitypolicyviolation", (one) => blocked.push(one.blockedURI));
            for (const one of addresses) await fetch(one).catch(() => null);
            return blocked;
        }""",
        [*others, POST],
    )
    page.close()
    assert blocked == others
    assert asked == [POST]  # which is not there, but was asked for


@pytest.fixture
def collector(shared: Exported, tmp_path: Path) -> Iterator[Collector]:
    place = ("127.0.0.1", 0)
    with Collector(shared.folder, tmp_path / "ratings", place, told=lambda _: None) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield one
        one.server.shutdown()
        thread.join()


def test_people_of_a_lab_follow_each_other_at_one_machine(
    run: Run, shared: Exported, collector: Collector, visit: Opener, tmp_path: Path
) -> None:
    """Three people in one browser, nine elsewhere, up to the intervals of the table."""
    address = collector.address
    page = visit(address, reaching=address, script=FASTER)
    key = read_json(shared.key, BlindKey)
    for block in (1, 2, 3):
        assert f"?block={block}" in page.url
        one = Listener(page, key)
        one.begin(f"person {block}")
        if block == 2:
            page.reload()  # in the middle, which takes no other block
        one.take()
        expect(page.locator("#arrival")).to_have_text("Your ratings have arrived.")
        page.get_by_role("button", name="Start for the next person").click()
        expect(page.locator("#intro")).to_be_visible()
    chance = np.random.default_rng(0)
    for number in range(4, 13):  # the others, as their browsers would send it
        block = collector.server.shelf.next_block()
        text = sheet(key, f"person {number}", block or 0, lambda item, question: (
            deserved(item, question) if item.check else int(chance.integers(2, 5))))  # fmt: skip
        post(collector, text)
    import_ratings(sorted((tmp_path / "ratings").iterdir()), run.folder)
    said = heard([run.folder])
    assert set(said.raters) == {f"person {number}" for number in range(1, 13)}
    table = next(one for one in read_report(run.folder).tables if one.label == "listening")
    for row in table.rows[:2]:  # the two methods, by listeners, contents and styles
        assert row.cells[-1] == 12 * 2
        for mark in row.cells[1:4]:
            assert mark.low < mark.value < mark.high  # type: ignore[union-attr] # Estimates


def post(collector: Collector, text: str) -> None:
    """Hand in as the page does."""
    host = collector.address.removeprefix("http://").rstrip("/")
    with closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        headers = {"Origin": f"http://{host}", "Content-Type": "text/plain;charset=UTF-8"}
        connection.request("POST", "/ratings", text.encode(), headers)
        with connection.getresponse() as answer:
            assert answer.status == 201


def test_somebody_else_is_asked_before_what_was_begun_goes_on(
    shared: Exported, visit: Opener
) -> None:
    page = visit(shared.folder / "index.html", "?block=2", script=FASTER)
    one = Listener(page, read_json(shared.key, BlindKey))
    one.begin("ada")
    one.check_sound()
    page.goto(re.sub("block=2", "block=3", page.url))
    expect(page.locator("#resume")).to_contain_text("Ratings of ada are kept in this browser")
    accessible(page)
    page.get_by_role("button", name="Go on with them").click()
    expect(page.locator("#where")).to_have_text("Practice")
    page.reload()
    page.get_by_role("button", name="I am somebody else").click()
    expect(page.locator("#intro")).to_be_visible()
    page.goto(page.url)
    expect(page.locator("#intro")).to_be_visible()


def test_the_block_follows_the_address_the_participant_or_the_one_before(
    shared: Exported, visit: Opener
) -> None:
    blocks = read_json(shared.key, BlindKey).blocks
    page = visit(shared.folder / "index.html", script=FASTER)
    services = "{prolific: ['PROLIFIC_PID', 'STUDY_ID', 'SESSION_ID']}"
    chosen = f"blockOf(3, participantOf({services}), 3)"
    asked = f"(query) => {{ history.replaceState(null, '', query); return {chosen}; }}"
    assert [page.evaluate(asked, f"?block={n}") for n in (1, 3, 4)] == [1, 3, 1]
    assert page.evaluate(asked, "?block=x") == 3  # that of the one before
    by_id = [page.evaluate(asked, f"?PROLIFIC_PID={n:024x}") for n in range(60)]
    assert {by_id.count(block) > 5 for block in (1, 2, 3)} == {True}
    assert page.evaluate(asked, f"?PROLIFIC_PID={7:024x}") == by_id[7]
    assert len(blocks) == 3


def test_a_browser_that_plays_no_opus_is_told_so(run: Run, tmp_path: Path, visit: Opener) -> None:
    made = export(run.folder, tmp_path / "test", 1, 0, audience=Audience(form="opus"))
    page = visit(made.folder / "index.html", script=FASTER)
    one = Listener(page, read_json(made.key, BlindKey))
    one.begin("ada")
    one.take()
    expect(page.locator("#by-hand")).to_be_visible()
    old = visit(made.folder / "index.html",
                script="HTMLMediaElement.prototype.canPlayType = () => '';")  # fmt: skip
    expect(old.get_by_role("alert")).to_contain_text("Safari 18.4 or newer")
    expect(old.locator("#intro")).to_be_hidden()
