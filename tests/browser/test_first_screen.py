"""The first screen of a page in a real browser: what was found, the scatter, cells to hear."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from building import fail, header, hexadecimal, method
from playwright.sync_api import Page, expect
from sounding import save, sounding_run

from bench.records.store import Run, append
from reports.page.write import write_page
from reports.write import read_report

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

STYLES, CONTENTS = ["harp", "bird", "7"], ["c1", "c2"]
FAILED = "rti/harp/c1/0"
SCREENS = [(width, scheme) for width in (390, 1024, 1440) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two methods and two controls with sounds, of which one cell has failed."""
    run = sounding_run(tmp_path_factory.mktemp("first") / "run", STYLES, CONTENTS)
    failed = fail(run, FAILED, "oom", "out of memory").cells[FAILED]
    record = failed.model_copy(update={"cell_id": hexadecimal(FAILED, 16)})
    append(run.folder / "cells.jsonl", [record])
    return write_page(read_report(run.folder))


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_first_screen_has_the_finding_and_the_scatter(
    index: Path, visit: Opener, width: int, scheme: str
) -> None:
    page = visit(index, viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("h1")).to_have_text("tve and rti on by hand")
    expect(page.locator(".alarm")).to_contain_text("1 of 24 cells failed: rti 1.")
    expect(page.locator(".finding")).to_contain_text("of the content at an SF-audio (held-out) of")
    chart = page.locator("svg.chart:visible").first
    expect(chart).to_be_in_viewport(ratio=0.5)
    size = float(
        chart.locator(".name").first.evaluate("text => text.getBoundingClientRect().height")
    )
    assert size > 10  # pixels: a name can be read at every width
    found = Axe().run(page, options={"preload": False}).response
    assert [one["id"] for one in found["violations"]] == []


def test_a_point_shows_its_numbers_and_a_click_plays_its_clips(index: Path, visit: Opener) -> None:
    page = visit(index)
    point = page.locator('svg.chart:visible .point[data-label="rti"]')
    point.locator(".reach").hover()
    expect(page.locator(".tip")).to_contain_text("rti")
    expect(page.locator(".tip")).to_contain_text(re.compile(r"SF-audio \(held-out\) 0\.\d\d \["))
    point.locator(".reach").click()
    expect(page.locator("#method")).to_have_value("rti")
    expect(page.locator("#rows .row").first.locator(".clip")).to_have_count(3)
    expect(page.locator("#now")).to_contain_text("rti:")
    expect(page.locator("#play")).to_have_text("Pause")
    expect(page).to_have_url(re.compile("method=rti"))


def test_the_keyboard_goes_from_point_to_point(index: Path, visit: Opener) -> None:
    page = visit(index)
    points = page.locator("svg.chart:visible .point")
    assert points.evaluate_all("all => all.filter(one => one.tabIndex === 0).length") == 1
    labels = points.evaluate_all(
        "all => [...all].sort((a, b) => a.querySelector('.reach').cx.baseVal.value"
        " - b.querySelector('.reach').cx.baseVal.value).map(one => one.dataset.label)"
    )
    page.locator('svg.chart:visible .point[tabindex="0"]').focus()
    for label in labels[1:]:
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.label") == label
        expect(page.locator(".tip strong")).to_have_text(label)
    page.keyboard.press("Enter")
    expect(page.locator("#method")).to_have_value(labels[-1])


def test_a_first_cell_is_played_and_leads_to_its_row(index: Path, visit: Opener) -> None:
    page = visit(index)
    first = page.locator(".examples section").first
    for kind in ("style", "content", "output"):
        button = first.get_by_role("button", name=f"Play {kind}:")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
    first.get_by_role("link", name="its row").click()
    expect(page.locator(".row.found")).to_be_in_viewport()


def test_names_of_digits_keep_their_rows(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.locator("#style").select_option("7")
    expect(page.locator("#rows .row h3").first).to_contain_text("7 \N{MULTIPLICATION SIGN} c1")
    page.locator("#all").check()
    score = (
        page.locator("#rows .row").first.locator(".clip", has_text="rti").locator(".value").first
    )
    expect(score).to_have_text("0.50")  # 0.3 and twice 0.1 per style


def test_an_empty_run_is_one_page_with_the_reason(tmp_path: Path, visit: Opener) -> None:
    run = save(Run(tmp_path / "run", header([method("tve")]), (), {}, {}))
    page = visit(write_page(read_report(run.folder)))
    expect(page.locator(".warning").first).to_contain_text("none is planned")
    assert page.locator("table").count() == 0
    assert page.evaluate("document.documentElement.scrollHeight") < 3000


def test_a_run_that_failed_whole_says_why(tmp_path: Path, visit: Opener) -> None:
    run = sounding_run(tmp_path / "made", ["harp"], ["c1"])
    broken = replace(run, folder=tmp_path / "run", scores={})
    for cell in run.plan:
        broken = fail(broken, cell.cell_id, "oom", "out of memory")
    save(broken)
    page = visit(write_page(read_report(broken.folder)))
    expect(page.locator(".alarm")).to_contain_text("4 of 4 cells failed")
    expect(page.locator("#failed")).to_contain_text("out of memory")
    assert page.locator("svg.chart").count() == 0
    assert page.locator("table").count() == 0
