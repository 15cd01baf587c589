"""What is heard on a page, from its folder and from a server that knows no ranges.

The page is not asked what it plays: a script that runs before it keeps every audio element and
every node of decoded sound, and listens to what goes to the loudspeakers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from sounding import save, sounding_run

from reports.page.write import write_page
from reports.write import read_report

Opener = Callable[..., Page]
Reader = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

STYLES, CONTENTS, SECONDS = ["harp", "bird"], ["c1", "c2"], 8.0
SCREENS = [(width, scheme) for width in (390, 1024, 1440) for scheme in ("light", "dark")]
NEAR = 0.25  # seconds between two questions to a browser on a busy machine
SPY = """
window.elements = []; window.nodes = [];
const Plain = Audio;
window.Audio = function (...all) {
  elements.push(new Plain(...all));
  return elements.at(-1);
};
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...all) {
  nodes.push(this);
  return start.apply(this, all);
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to instanceof AudioDestinationNode) {
    window.tap ??= new AnalyserNode(this.context, { fftSize: 32768 });
    connect.call(this, tap);
  }
  return connect.call(this, to, ...rest);
};
window.loud = () => elements.filter((one) => !one.paused && !one.muted && one.volume > 0.01);
window.quiet = () => elements.filter((one) => !one.paused && one.volume <= 0.01);
"""
LOUDNESS = """() => {
  const [wave, step, levels] = [new Float32Array(32768), 441, []];
  tap.getFloatTimeDomainData(wave);
  for (let at = 0; at + step < wave.length; at += step) {
    const power = wave.slice(at, at + step).reduce((sum, one) => sum + one * one, 0);
    levels.push(Math.sqrt(power / step));
  }
  return levels;
}"""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run of clips that last long enough to be clicked on."""
    run = sounding_run(tmp_path_factory.mktemp("heard") / "run", STYLES, CONTENTS, SECONDS)
    return write_page(read_report(run.folder))


@pytest.fixture(params=["file", "http"])
def reader(
    request: pytest.FixtureRequest, index: Path, visit: Opener, served: Callable[[Path], str]
) -> Reader:
    """Opens the page from its folder, or from a server."""
    where = index if request.param == "file" else f"{served(index.parent)}index.html"

    def reading(fragment: str = "", **settings: object) -> Page:
        return visit(where, fragment, script=SPY, **settings)

    return reading


def clip(page: Page, row: int, name: str) -> Locator:
    return page.locator("#rows .row").nth(row).get_by_role("button", name=f"Play {name}:")


def position(page: Page) -> float:
    """Seconds, as the slider has them."""
    return float(page.locator("#position").input_value()) * SECONDS


def until(page: Page, truth: str) -> None:
    """Wait for a truth; the page's policy does not let Playwright's own waiting evaluate it."""
    for _ in range(600):
        if page.evaluate(truth):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {truth}")


def play(page: Page, name: str, at: float = 0.0) -> None:
    """Play a clip of the first row until some position."""
    clip(page, 0, name).click()
    until(page, f"document.querySelector('#position').value * {SECONDS} > {at}")


def heard(page: Page) -> list[str]:
    """The addresses of what is heard from elements."""
    return list(page.evaluate("loud().map((one) => one.src.split('/').at(-1))"))


def address(page: Page) -> dict[str, list[str]]:
    page.wait_for_timeout(400)  # an address follows a moment later
    return parse_qs(page.url.partition("#")[2])


def across(page: Page, *shares: float) -> None:
    """Press the mouse on the picture of the player, drag it to each share, and let it go."""
    box = page.locator("#scene .view").bounding_box()
    assert box is not None
    places = [(box["x"] + share * box["width"], box["y"] + box["height"] / 2) for share in shares]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def test_the_server_of_these_tests_knows_no_ranges(
    index: Path, served: Callable[[Path], str]
) -> None:
    name = next((index.parent / "sounds").iterdir()).name
    connection = HTTPConnection(served(index.parent).removeprefix("http://").rstrip("/"))
    connection.request("GET", f"/sounds/{name}", headers={"Range": "bytes=100-200"})
    answer = connection.getresponse()
    assert answer.status == 200
    assert len(answer.read()) > 200
    connection.close()


def test_another_clip_goes_on_at_the_position(reader: Reader) -> None:
    page = reader()
    play(page, "Content", 1.0)
    for name in ("rti", "Style", "tve"):
        before = position(page)
        clip(page, 0, name).click()
        expect(clip(page, 0, name)).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(300)
        assert before <= position(page) < SECONDS
        assert position(page) > 1.0
    assert len(heard(page)) <= 1


def test_a_change_has_no_gap(reader: Reader) -> None:
    page = reader()
    play(page, "rti", 0.5)
    if page.url.startswith("file:"):
        apart = "quiet().length === 1 && Math.abs(quiet()[0].currentTime - loud()[0].currentTime)"
        until(page, f"{apart} < 0.02")
        (first,) = heard(page)
        page.keyboard.press("x")
        until(page, f"loud().length === 1 && !loud()[0].src.endsWith('{first}')")
        until(page, f"{apart} < 0.02")
        return
    page.wait_for_timeout(500)
    assert len(page.evaluate("nodes")) == 1
    page.keyboard.press("x")
    until(page, "nodes.length === 2")
    page.wait_for_timeout(300)
    levels = page.evaluate(LOUDNESS)
    assert min(levels) > 0.2 * max(levels) > 0


def test_one_clip_against_another(reader: Reader) -> None:
    page = reader()
    play(page, "rti")
    expect(page.locator("#side-A option:checked")).to_have_text("rti")
    expect(page.locator("#side-B option:checked")).to_have_text("Content")
    page.locator("#side-B").select_option(label="tve")
    page.keyboard.press("Tab")
    page.locator("#swap").click()
    expect(clip(page, 0, "tve")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#swap")).to_have_text("Hear A")
    page.keyboard.press("x")
    expect(clip(page, 0, "rti")).to_have_attribute("aria-pressed", "true")
    page.locator("#side-A").select_option(label="tve")  # what is on B goes to A, and A's to B
    expect(clip(page, 0, "tve")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#side-B option:checked")).to_have_text("rti")
    expect(page.locator("#side-A option")).to_have_count(6)  # controls too, which rows may hide


def test_a_click_on_the_picture_seeks_and_the_head_follows(reader: Reader) -> None:
    page = reader()
    play(page, "rti")
    page.keyboard.press(" ")
    page.locator("#play").evaluate("button => button.focus()")
    if page.locator("#play").text_content() == "Pause":
        page.keyboard.press("Enter")
    expect(page.locator("#play")).to_have_text("Play")
    across(page, 0.75)
    assert position(page) == pytest.approx(0.75 * SECONDS, abs=0.05)
    for head in (page.locator("#scene .head"), clip(page, 0, "rti").locator(".head")):
        share = head.evaluate(
            """head => {
                const [inner, outer] = [head, head.parentNode].map(n => n.getBoundingClientRect());
                return (inner.x + 1 - outer.x) / outer.width;
            }"""
        )
        assert share == pytest.approx(0.75, abs=0.02)
    page.locator("#play").click()
    expect(page.locator("#play")).to_have_text("Pause")
    page.wait_for_timeout(200)
    assert position(page) >= 0.74 * SECONDS


def test_a_part_is_dragged_out_and_repeated(reader: Reader) -> None:
    page = reader()
    play(page, "rti")
    across(page, 0.5, 0.6)
    expect(page.locator("#loop")).to_be_checked()
    start, end = (float(page.locator(place).input_value()) for place in ("#from", "#to"))
    assert (start, end) == pytest.approx((4.0, 4.8), abs=0.05)
    places = page.evaluate(
        """async () => {
            const [seen, range] = [[], document.querySelector("#position")];
            for (let turns = 0; turns < 3;) {
                await new Promise((done) => setTimeout(done, 5));
                if (Number(range.value) < seen.at(-1) - 0.03) turns += 1;
                seen.push(Number(range.value));
            }
            return seen;
        }"""
    )
    turned = places[[one > 0.5 for one in places].index(True) :]
    assert start - 0.2 < min(turned) * SECONDS
    assert max(turned) * SECONDS < end + NEAR
    if page.url.startswith("http"):
        ends = page.evaluate("[nodes.at(-1).loop, nodes.at(-1).loopStart, nodes.at(-1).loopEnd]")
        assert ends == [True, start, end]
    across(page, 0.25)  # a click beside it leaves it behind
    expect(page.locator("#to")).to_have_value(f"{SECONDS:g}")
    page.wait_for_timeout(200)
    assert 0.24 * SECONDS < position(page) < 0.5 * SECONDS


def test_everything_is_done_with_keys(reader: Reader) -> None:
    page = reader()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#now")).to_contain_text("Content")
    expect(page.locator("#play")).to_have_text("Pause")
    page.locator("#play").click()
    page.locator("#position").focus()
    page.keyboard.press("Home")
    for key in ("PageUp", "PageUp", "ArrowRight", "."):
        page.keyboard.press(key)
    assert position(page) == pytest.approx(2.6, abs=0.02)
    expect(page.locator("#position")).to_have_attribute("aria-valuetext", "2.6 of 8.0 seconds")
    assert page.locator("#stage").evaluate("box => getComputedStyle(box).outlineWidth") == "3px"
    page.keyboard.press("[")
    page.keyboard.press("PageUp")
    page.keyboard.press("]")
    assert [page.locator(one).input_value() for one in ("#from", "#to")] == ["2.6", "3.6"]
    expect(page.locator("#loop")).to_be_checked()
    page.keyboard.press("l")
    expect(page.locator("#loop")).not_to_be_checked()
    page.keyboard.press("0")
    expect(page.locator("#whole")).to_be_disabled()
    page.keyboard.press(",")
    assert position(page) == pytest.approx(2.1, abs=0.02)  # the part began anew at its end


def test_the_player_is_a_row_of_stops_and_closes(reader: Reader) -> None:
    page = reader()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#play")).to_have_text("Pause")
    page.locator("#position").focus()
    stops = []
    for _ in range(9):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id"))
    assert stops == ["back", "play", "next", "close", "side-A", "swap", "side-B", "loop", "from"]
    page.locator("#close").press("Enter")
    expect(page.locator("#player")).to_be_hidden()
    expect(clip(page, 0, "Content")).to_be_focused()
    page.go_back()
    expect(page.locator("#now")).to_contain_text("Content")


def test_what_was_chosen_survives_a_reload_and_is_a_link(reader: Reader) -> None:
    page = reader()
    page.locator("#style").select_option("bird")
    page.locator("#controls").check()
    play(page, "rti", 0.5)
    page.locator("#side-B").select_option(label="tve")
    page.locator("#from").fill("2")
    page.locator("#to").fill("4.5")
    page.locator("#play").click()
    expect(page.locator("#play")).to_have_text("Play")
    words = address(page)
    assert {name: words[name] for name in ("style", "controls", "loop", "from", "to")} == {
        "style": ["bird"], "controls": ["on"], "loop": ["on"], "from": ["2"], "to": ["4.5"],
    }  # fmt: skip
    stood = position(page)
    assert 2 <= stood <= 4.5
    page.reload()
    again = reader(f"#{page.url.partition('#')[2]}")
    for one in (page, again):
        expect(one.locator("#style")).to_have_value("bird")
        expect(one.locator("#controls")).to_be_checked()
        expect(one.locator("#count")).to_have_text("2 of 4 rows")
        expect(one.locator("#now")).to_have_text("rti: bird \N{MULTIPLICATION SIGN} c1")
        expect(one.locator("#side-B option:checked")).to_have_text("tve")
        expect(one.locator("#to")).to_have_value("4.5")
        assert position(one) == pytest.approx(stood, abs=0.02)
    page.locator("#play").click()
    until(page, f"document.querySelector('#position').value * {SECONDS} != {stood}")
    assert 1.9 < position(page) < 4.5 + NEAR


def test_back_undoes_a_choice_and_a_section_forgets_none(reader: Reader) -> None:
    page = reader()
    page.locator("#style").select_option("bird")
    page.locator("#content").select_option("c2")
    expect(page.locator("#count")).to_have_text("1 of 4 rows")
    play(page, "tve")
    page.go_back()
    expect(page.locator("#player")).to_be_hidden()
    assert heard(page) == []
    page.go_back()
    expect(page.locator("#count")).to_have_text("2 of 4 rows")
    expect(page.locator("#content")).to_have_value("")
    page.go_forward()
    expect(page.locator("#content")).to_have_value("c2")
    page.get_by_role("navigation").get_by_role("link", name="Tables").click()
    expect(page).to_have_url(re.compile("#tables$"))
    page.wait_for_timeout(400)
    page.reload()
    expect(page.locator("#count")).to_have_text("1 of 4 rows")
    expect(page).to_have_url(re.compile("#tables$"))
    page.go_back()
    expect(page.locator("#content")).to_have_value("c2")


def test_pictures_have_axes(reader: Reader) -> None:
    page = reader()
    for one in (clip(page, 0, "rti"), page.locator(".examples .clip button").first):
        assert one.locator(".up .mark").all_text_contents() == ["4", "1"]
        assert one.locator(".along .mark").all_text_contents() == ["0", "5 s"]
        expect(one.locator(".unit")).to_have_text("kHz")
    # 1 kHz is mel 15 and 8 kHz is mel 45.25 of Slaney's scale
    height = clip(page, 0, "rti").locator(".up .mark").last.evaluate("mark => mark.style.bottom")
    assert float(height.strip("%")) == pytest.approx(100 * 15 / 45.2453, abs=0.02)


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_player_fits_every_screen(reader: Reader, width: int, scheme: str) -> None:
    page = reader(viewport={"width": width, "height": 850}, color_scheme=scheme)
    play(page, "tve", 0.5)
    page.keyboard.press("]")
    expect(page.locator("#stage")).to_have_class(re.compile("parted"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator("#player").bounding_box()
    assert box is not None
    assert box["height"] < 0.3 * 850
    page.locator("#about dd").last.scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = page.locator("#about > details").last.bounding_box()
    assert last is not None
    assert last["y"] + last["height"] < box["y"]  # nothing stays under the player
    found = Axe().run(page, options={"preload": False}).response
    assert [one["id"] for one in found["violations"]] == []


@pytest.mark.parametrize("kind", ["file", "http"])
def test_inputs_that_stay_in_the_run_folder_are_heard_too(
    tmp_path: Path, visit: Opener, served: Callable[[Path], str], kind: str
) -> None:
    made = sounding_run(tmp_path / "run", ["harp"], ["c1"], SECONDS)
    dataset = {"name": "closed", "licence": "no copies", "redistributable": False}
    run = save(replace(made, header=made.header.model_copy(update={"dataset": dataset})))
    file = write_page(read_report(run.folder))
    inside = file.relative_to(run.folder).as_posix()
    page = visit(file if kind == "file" else f"{served(run.folder)}{inside}", script=SPY)
    play(page, "Content", 0.5)
    clip(page, 0, "rti").click()
    expect(clip(page, 0, "rti")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(300)
    assert position(page) > 0.5
