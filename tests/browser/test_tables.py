"""The tables of a page in a real browser: sorted, chosen from, copied, with heads that stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import building
import pytest
from building import JUDGED, fail, header, method, run_of
from playwright.sync_api import Page, expect

from bench.records.parts import log_file
from reports.page.write import write_page
from reports.write import read_report

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

LEVELS = {f"m{number}[strength=0.{number},steps=50]": number / 20 for number in range(3, 13)}
CONTROLS = {"mix": 0.7, "noise": 0.1}
FAILED = "m3[strength=0.3,steps=50]/harp/c1/0"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of ten methods and two controls with nine measures; a cell failed and has a log."""
    entries = [*map(method, LEVELS), *(method(label, control=True) for label in CONTROLS)]
    run = run_of(
        header(entries, metrics=tuple(JUDGED)),
        {label: dict.fromkeys(JUDGED, level) for label, level in (LEVELS | CONTROLS).items()},
    )
    folder = tmp_path_factory.mktemp("tables") / "run"
    broken = fail(run, FAILED, "oom", "out of memory")
    building.save(replace(broken, folder=folder), folder)
    log_file(folder, "m3").parent.mkdir()
    log_file(folder, "m3").write_text("Traceback: out of memory")
    return write_page(read_report(folder))


def names(page: Page) -> list[str]:
    """The first words of the rows of Table II that are shown, from top to bottom."""
    return [
        text.partition("[")[0]
        for text in page.locator("#table2 tbody tr:visible > th").all_text_contents()
    ]


def test_a_click_or_a_key_sorts_within_the_groups(index: Path, visit: Opener) -> None:
    page = visit(index)
    best = [f"m{number}" for number in range(12, 3, -1)]
    head = page.locator("#table2 th", has=page.get_by_role("button", name="CP ↑"))
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    assert names(page) == [*best, "m3", "m3", "mix", "noise"]
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert names(page) == ["m3", "m3", *reversed(best), "noise", "mix"]
    page.locator("#table2").get_by_role("button", name="Method").press("Space")
    assert names(page)[2:4] == ["m4", "m5"]


def test_the_bar_of_the_page_stays_above_the_heads_of_tables(index: Path, visit: Opener) -> None:
    """Whatever part of a table lies under it when the page is scrolled."""
    page = visit(index)
    page.set_viewport_size({"width": 390, "height": 844})
    covered = page.evaluate(
        """() => {
            const bar = document.querySelector(".bar"), found = [];
            for (const head of document.querySelectorAll("thead th:first-child")) {
                head.closest("details")?.setAttribute("open", "");
                scrollTo(0, scrollY + head.getBoundingClientRect().top - 5);
                const box = bar.getBoundingClientRect();
                for (let x = 5; x < innerWidth; x += 20) {
                    const top = document.elementFromPoint(x, box.top + box.height / 2);
                    if (!bar.contains(top)) found.push(top?.outerHTML);
                }
            }
            return found;
        }"""
    )
    assert covered == []


def test_rows_and_columns_are_chosen_and_what_is_shown_is_copied(
    index: Path, visit: Opener
) -> None:
    page = visit(index, permissions=["clipboard-read", "clipboard-write"])
    table = page.locator("#table2")
    expect(table.locator("th", has_text="Sees")).to_be_hidden()
    for title in ("Columns", "Rows"):
        table.locator(".pick", has_text=title).locator("summary").click()
        table.locator(".pick", has_text=title).get_by_role("button", name="none").click()
    table.get_by_label("CP ↑").check()
    table.get_by_label("m12").check()
    assert names(page) == ["m12"]
    table.get_by_role("button", name="Copy as TSV").click()
    expect(table.locator(".said")).to_have_text("copied")
    copied = page.evaluate("navigator.clipboard.readText()").split("\n")
    assert copied[0] == "Method\tCP ↑\tCP ↑ 95 %"
    name, mean, ends = copied[1].split("\t")
    assert name == "m12[strength=0.12,steps=50]"
    assert (float(mean), ends[0], ends[-1]) == (0.67, "[", "]")


@pytest.mark.parametrize("width", [390, 1024, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_heads_stay_and_numbers_keep_on_one_line(
    index: Path, visit: Opener, width: int, scheme: str
) -> None:
    page = visit(index, viewport={"width": width, "height": 500}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    scroll = page.locator("#table2 .scroll")
    at = scroll.bounding_box()
    scroll.evaluate("box => box.scrollTo(200, 300)")
    head = page.locator("#table2 thead th").first.bounding_box()
    assert at is not None
    assert head is not None
    assert (head["x"], head["y"]) == pytest.approx((at["x"], at["y"]), abs=1)
    lines = page.locator("#table2 td.number .ends:visible").evaluate_all(
        "all => Math.max(...all.map(one => one.getClientRects().length))"
    )
    assert lines == 1


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_names_in_every_chart_can_be_read(index: Path, visit: Opener, width: int) -> None:
    """Also where three charts stand side by side, which have little room each."""
    page = visit(index, viewport={"width": width, "height": 900})
    charts = page.locator("svg.chart:visible")
    assert charts.count() > 3
    for chart in charts.all():
        name = chart.locator(".name").first
        assert name.evaluate("text => text.getBoundingClientRect().height") > 10


def test_a_failed_cell_leads_to_its_row_and_its_log(index: Path, visit: Opener) -> None:
    page = visit(index)
    line = page.locator("#failed li", has_text="out of memory")
    address = line.get_by_role("link", name="log").get_attribute("href")
    assert address is not None
    assert (index.parent / address).read_text() == "Traceback: out of memory"
    line.get_by_role("link", name="its row").click()
    expect(page.locator(".row.found")).to_contain_text("oom: out of memory")


def test_the_tables_lie_beside_the_page(index: Path, visit: Opener) -> None:
    page = visit(index)
    for kind in ("CSV", "Markdown", "TeX"):
        address = page.locator("#table2").get_by_role("link", name=kind).get_attribute("href")
        assert (index.parent / str(address)).is_file()
    expect(page.locator("details.fold[open]")).to_have_count(2)
    page.goto(f"{index.as_uri()}#comparisons")
    expect(page.locator("#comparisons")).to_contain_text("10 competitors make 45 pairs")
    expect(page.locator("#comparisons")).to_have_attribute("open", "")
