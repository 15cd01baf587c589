"""The leaderboard in a real browser: sorted by click and keyboard, on a phone, without network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from building import header, method, run_of
from playwright.sync_api import Page, expect

from bench.records.store import Run
from reports.board.rows import Entrant, build_board
from reports.board.write import write_board

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

LEVELS = {"first": 0.5, "second": 0.2, "third": 0.4, "<b>fourth</b>": 0.3}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of two runs: four methods, of which one has no score of chroma, and two controls."""
    controls = [method("mix", control=True), method("noise", control=True)]
    head = header([*map(method, LEVELS), *controls], metrics=("cp", "chroma"))
    levels = {**LEVELS, "mix": 0.9, "noise": 0.1}
    scores = {label: {"cp": level, "chroma": 0.6 - level / 2} for label, level in levels.items()}
    del scores["third"]["chroma"]
    run = run_of(head, scores)
    again = run_of(header([method("first")], metrics=("cp", "chroma"), run_id="r2"),
                   {"first": {"cp": 0.45, "chroma": 0.1}})  # fmt: skip
    entrants = [named(run, "alice"), named(again, "bob")]
    return write_board(build_board(entrants), tmp_path_factory.mktemp("board") / "board")[0]


def named(run: Run, by: str) -> Entrant:
    return Entrant(replace(run, folder=Path(by)), by, f"hf:{by}/run")


def order(page: Page) -> list[str]:
    """The names of the methods from top to bottom, controls last."""
    heads = page.locator("#all tbody tr:not(.group) > th")
    return [str(text) for text in heads.evaluate_all("heads => heads.map(h => h.dataset.key)")]


def test_a_click_sorts_best_first_and_another_turns_it(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.get_by_role("button", name="CP").click()
    best = ["first", "first", "third", "<b>fourth</b>", "second", "mix", "noise"]
    assert order(page) == best
    head = page.locator("th", has=page.get_by_role("button", name="CP"))
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(page.locator("#all .sorted")).to_have_text("Sorted by CP ↑, best first")
    page.get_by_role("button", name="CP").click()
    assert order(page) == [*reversed(best[:5]), "noise", "mix"]
    expect(head).to_have_attribute("aria-sort", "ascending")


def test_the_keyboard_sorts_and_what_has_no_number_stays_last(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.get_by_role("button", name="Chroma").focus()
    for key, first in (("Enter", "second"), ("Space", "first")):
        page.keyboard.press(key)
        assert order(page)[0] == first
        assert order(page)[4] == "third"


def test_names_are_sorted_as_words_and_shown_as_text(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.get_by_role("button", name="Method").click()
    assert order(page)[:5] == ["<b>fourth</b>", "first", "first", "second", "third"]
    assert page.locator("b").count() == 0
    page.get_by_role("button", name="By").click()
    assert order(page)[4] == "first"


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_the_page_is_as_wide_as_its_window(index: Path, visit: Opener, width: int) -> None:
    page = visit(index, viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    expect(page.locator("#all th[scope=row] .beneath").first).to_have_text("run r1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_wrong_for_those_who_cannot_see(
    index: Path, visit: Opener, scheme: str
) -> None:
    page = visit(index, color_scheme=scheme)
    page.get_by_role("button", name="CP").click()
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in {"serious", "critical"}] == []


def test_without_javascript_the_table_is_there(index: Path, visit: Opener) -> None:
    page = visit(index, java_script_enabled=False)
    expect(page.locator("#all tbody tr:not(.group)")).to_have_count(7)
    expect(page.locator("thead button")).to_have_count(0)
