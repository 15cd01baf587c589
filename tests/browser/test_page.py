"""The page of a run in a real browser: opened, listened to, filtered, by keyboard, on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from building import header, hexadecimal, method, scored
from playwright.sync_api import Locator, Page, expect
from sounding import CONTENTS, STYLES, VALUES, save, sounding_run

from bench.records.store import Run, append
from reports.page.write import write_page
from reports.write import read_report

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PHONE = {"viewport": {"width": 390, "height": 844}}
SERIOUS = {"serious", "critical"}
LOADED_MS = "performance.timing.loadEventEnd - performance.timing.navigationStart"
ROWS = len(STYLES) * len(CONTENTS)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a finished run whose names are markup."""
    return written(sounding_run(tmp_path_factory.mktemp("page") / "run"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run in which nothing was planned."""
    folder = tmp_path_factory.mktemp("empty") / "run"
    return written(save(Run(folder, header([method("tve")]), (), {}, {})))


def written(run: Run) -> Path:
    return write_page(read_report(run.folder))


def clip(page: Page, row: int, name: str) -> Locator:
    """The button of a clip in the row of that number."""
    return page.locator("#rows .row").nth(row).get_by_role("button", name=f"Play {name}:")


def position(page: Page) -> float:
    return float(page.locator("#position").input_value())


def test_it_opens_without_a_request_and_shows_names_as_text(index: Path, visit: Opener) -> None:
    page = visit(index)
    expect(page.locator("#rows .row")).to_have_count(ROWS)
    heading = page.locator("#rows .row h3").all_text_contents()
    for name in (*STYLES, *CONTENTS):
        assert any(name in text for text in heading), name
    assert page.locator("b").count() == 0


def test_a_clip_plays_and_another_goes_on_at_its_position(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.locator("#loop").evaluate("box => { box.checked = true; }")
    clip(page, 0, "Content").click()
    while position(page) < 0.25:
        page.wait_for_timeout(50)
    clip(page, 0, "rti").click()
    expect(clip(page, 0, "rti")).to_have_attribute("aria-pressed", "true")
    expect(clip(page, 0, "Content")).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(200)
    assert position(page) > 0.2


def test_the_keyboard_plays_changes_and_pauses(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#now")).to_contain_text("Content")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#now")).to_contain_text("Style")
    page.keyboard.press("n")
    expect(page.locator("#now")).to_contain_text("Style")
    focused = page.evaluate("document.activeElement.dataset.row")
    assert focused == page.locator("#rows .row button").last.evaluate(
        "(_, i) => document.querySelectorAll('#rows .row')[i].id.slice(4)", 1
    )
    page.locator("body").evaluate("() => document.activeElement.blur()")
    expect(page.locator("#play")).to_have_text("Pause")
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_text("Play")
    page.locator("#keys").uncheck()
    page.locator("body").evaluate("() => document.activeElement.blur()")
    page.keyboard.press(" ")
    expect(page.locator("#play")).to_have_text("Play")


def test_filters_and_order_change_what_is_seen(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.locator("#style").select_option(STYLES[1])
    expect(page.locator("#rows .row")).to_have_count(len(CONTENTS))
    expect(page.locator("#count")).to_have_text(f"{len(CONTENTS)} of {ROWS} rows")
    page.locator("#style").select_option("")
    page.locator("#sort").select_option("best")
    best = page.locator("#rows .row h3").first.text_content()
    page.locator("#sort").select_option("worst")
    assert page.locator("#rows .row h3").last.text_content() == best
    page.locator("#method").select_option("rti")
    expect(page.locator("#rows .row").first.locator(".clip")).to_have_count(3)
    page.locator("#method").select_option("")
    page.locator("#controls").check()
    expect(page.locator("#rows .row").first.locator(".clip")).to_have_count(2 + len(VALUES))


def test_rows_on_which_methods_disagree_come_first(tmp_path: Path, visit: Opener) -> None:
    run = sounding_run(tmp_path / "run", ["harp", "bird"], ["c1", "c2"])
    odd = next(cell for cell in run.plan if (cell.method, cell.content) == ("rti", "c2"))
    append(run.folder / "scores.jsonl", [scored(hexadecimal(odd.cell_id, 16), "cp", 0.0)])
    page = visit(written(run))
    expect(page.locator("#rows .row h3").first).to_contain_text("harp \N{MULTIPLICATION SIGN} c1")
    page.locator("#sort").select_option("apart")
    expect(page.locator("#rows .row h3").first).to_contain_text(
        f"{odd.style} \N{MULTIPLICATION SIGN} {odd.content}"
    )
    page.locator("#content").select_option("c1")
    expect(page.locator("#rows .row")).to_have_count(2)
    page.locator("#method").select_option("rti")
    expect(page).to_have_url(re.compile("content=c1.*method=rti.*sort=apart"))


def test_an_address_leads_to_a_cell_and_to_a_choice(index: Path, visit: Opener) -> None:
    page = visit(index)
    link = page.locator("#rows .row h3 a").nth(4).get_attribute("href")
    choice = visit(index, "#method=rti&sort=worst&score=sf.heldout")
    assert link is not None
    there = visit(index, f"{link}&clip=3")
    expect(there.locator(".row.found")).to_be_in_viewport()
    assert there.evaluate("document.activeElement.dataset.clip") == "3"
    expect(choice.locator("#score")).to_have_value("sf.heldout")
    expect(choice.locator("#rows .row").first.locator(".clip")).to_have_count(3)


def test_a_run_without_cells_says_why(empty: Path, visit: Opener) -> None:
    page = visit(empty)
    expect(page.locator(".warning").first).to_contain_text("No cell of this run has finished")
    expect(page.locator("#filters")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(index: Path, empty: Path, visit: Opener, scheme: str) -> None:
    for path in (index, empty):
        page = visit(path, color_scheme=scheme)
        if path is index:
            clip(page, 0, "Content").click()
        found = Axe().run(page, options={"preload": False}).response
        assert found["passes"]
        assert [v["id"] for v in found["violations"] if v["impact"] in SERIOUS] == []


def test_a_phone_scrolls_only_downwards(index: Path, visit: Opener) -> None:
    page = visit(index, **PHONE)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


@pytest.mark.slow
def test_sixteen_hundred_rows_of_five_clips_open_in_two_seconds(
    tmp_path: Path, visit: Opener
) -> None:
    folder = tmp_path / "run"
    styles, contents = [f"s{n}" for n in range(20)], [f"c{n}" for n in range(80)]
    index = written(sounding_run(folder, styles, contents))
    spent = []
    for _ in range(5):  # the fastest counts: whoever else computes can only make it slower
        page = visit(index)
        expect(page.locator("#count")).to_have_text("1600 of 1600 rows")
        spent.append(page.evaluate(LOADED_MS))
    drawn = page.evaluate("performance.getEntriesByType('resource').length")
    assert drawn < 400  # pictures come as they are scrolled to, sounds as they are played
    assert min(spent) <= 2000, spent
