"""The page on paper: as wide as the paper, unfolded, without what only a screen can do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import building
import pytest
from building import JUDGED, fail, header, method, run_of
from playwright.sync_api import Page

from bench.records.store import Run
from reports.page.pdf import find_browser, write_pdf
from reports.page.write import write_page
from reports.tables.table2 import table2
from reports.text.formats import show
from reports.text.result_table import Estimate
from reports.write import read_report

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

LEVELS = {f"m{number}[strength=0.{number},steps=50]": number / 20 for number in range(3, 13)}
STYLES = tuple(f"style number {number}" for number in range(18))
# CSS pixels between the margins of 12 mm: A4 and Letter, upright and wide.
UPRIGHT, WIDE = {"A4": 703, "Letter": 725}, {"A4": 1032, "Letter": 965}
BEYOND = """() => {
  const room = document.documentElement.clientWidth + 1;
  const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const found = [];
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    if (box.width && (box.right > room || box.left < -1)) found.push(text.textContent);
  }
  return found;
}"""
CUT = """() => [...document.querySelectorAll("main *")].filter((one) =>
  !one.closest("svg, .hidden, [hidden]") && getComputedStyle(one).overflowX !== "visible"
  && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
  && one.checkVisibility()).map((one) => one.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ten methods in 18 styles by nine measures, a failed cell, and what outputs are near to."""
    entries = [*map(method, LEVELS), method("mix", control=True)]
    head = header(entries, STYLES, metrics=tuple(JUDGED))
    values = {
        label: dict.fromkeys(JUDGED, level) for label, level in (LEVELS | {"mix": 0.7}).items()
    }
    made = fail(
        run_of(head, values, style_step=0.01), "m3[strength=0.3,steps=50]/style number 0/c1/0"
    )
    scores = {
        key: score.model_copy(update={"detail": {"nearest": STYLES[0]}})
        if key[1].endswith("margin") else score
        for key, score in made.scores.items()
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("print") / "run"
    building.save(replace(made, folder=folder, scores=scores), folder)
    return replace(made, folder=folder)


@pytest.fixture(scope="module")
def index(run: Run) -> Path:
    return write_page(read_report(run.folder))


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_nothing_is_wider_than_the_paper_or_cut(index: Path, visit: Opener, paper: str) -> None:
    page = visit(index, viewport={"width": UPRIGHT[paper], "height": 1000})
    page.emulate_media(media="print")
    page.evaluate("document.getElementById('tables').hidden = true")
    assert page.evaluate(BEYOND) == []
    page.set_viewport_size({"width": WIDE[paper], "height": 700})
    page.evaluate("document.getElementById('tables').hidden = false")
    assert page.locator("#confusion thead th").count() > len(STYLES)
    assert page.evaluate(BEYOND) == []
    assert page.evaluate(CUT) == []


def test_folds_are_open_and_what_a_screen_alone_can_do_is_gone(index: Path, visit: Opener) -> None:
    page = visit(index)
    page.emulate_media(media="print")
    for label in ("table2", "timing", "confusion"):
        assert page.locator(f"#{label} .notes li").first.is_visible(), label
    for gone in (".bar", ".filters", "#player", ".tools", "#more"):
        assert not page.locator(gone).first.is_visible(), gone
    assert page.locator("#table2 thead th").first.evaluate("e => getComputedStyle(e).position") == (
        "static"
    )


def test_paper_is_white_for_those_who_read_in_the_dark(index: Path, visit: Opener) -> None:
    page = visit(index, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) != "rgb(255, 255, 255)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"


def test_a_figure_takes_half_a_page_at_most(index: Path, visit: Opener) -> None:
    page = visit(index, viewport={"width": UPRIGHT["A4"], "height": 1000})
    page.emulate_media(media="print")
    heights = page.locator("figure").evaluate_all("all => all.map((one) => one.offsetHeight)")
    assert len(heights) > 2
    assert max(heights) <= 0.5 * (279 - 27) / 25.4 * 96  # of Letter's shorter page


def test_what_was_folded_is_folded_again_after_printing(index: Path, visit: Opener) -> None:
    page = visit(index)
    state = "() => [...document.querySelectorAll('details')].map((one) => one.open)"
    links = "() => [...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))"
    before = page.evaluate(state), page.evaluate(links)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(page.evaluate(state))
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert (page.evaluate(state), page.evaluate(links)) == before


@pytest.fixture(scope="module")
def printed(index: Path) -> Path:
    return write_pdf(index, index.parents[1] / "report.pdf", find_browser())


def said_by(program: str, *words: object) -> str:
    """What a program of poppler says of a PDF."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} to read the PDF with; install Debian's poppler-utils")
    done = subprocess.run([program, *map(str, words)], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_every_page_of_the_pdf_is_a4_and_holds_its_words(printed: Path) -> None:
    """A4 is 210 by 297 mm, in points of 1/72 inch; Chromium rounds to whole CSS pixels."""
    long, short = (side / 25.4 * 72 for side in (297, 210))
    sizes = re.findall(r"Page +\d+ size: +([\d.]+) x ([\d.]+) pts", said_by(
        "pdfinfo", "-f", 1, "-l", 999, printed
    ))  # fmt: skip
    found = {tuple(sorted(map(float, size))) for size in sizes}
    assert len(sizes) > 5
    assert len({float(width) > float(height) for width, height in sizes}) == 2  # upright and wide
    for one in found:
        assert one == pytest.approx((short, long), abs=1)
    boxes = said_by("pdftotext", "-bbox", printed, "-")
    words = 0
    for page in boxes.split("<page ")[1:]:
        width, height = (float(x) for x in re.findall(r'(?:width|height)="([\d.]+)"', page)[:2])
        for box in re.findall(r'xMin="(\S+)" yMin="(\S+)" xMax="(\S+)" yMax="(\S+)"', page):
            left, top, right, bottom = map(float, box)
            assert min(left, top) >= 0, box
            assert right <= width, box
            assert bottom <= height, box
            words += 1
    assert words > 1000


def test_the_pdf_has_every_head_and_number_and_no_path(run: Run, printed: Path) -> None:
    assert b"file:" not in printed.read_bytes()
    words = re.sub(r"\s", "", said_by("pdftotext", "-raw", printed, "-"))
    table = table2(run)
    for column in table.columns:
        assert column.wide or re.sub(r"\s", "", column.title) in words, column.title
    for row in table.rows:
        for value, column in zip(row.cells, table.columns, strict=True):
            if isinstance(value, Estimate):
                assert re.sub(r"\s", "", show(value, column.decimals)) in words, (row, column)
