"""A listening test as a listener does it: heard, rated, downloaded; then imported into the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from sounding import sounding_run

from bench.cli.main import cli
from reports.listening.export import export
from reports.listening.records import BlindKey, read_json

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SETS = 2


def rate(page: Page, key: BlindKey) -> None:
    """Play and rate every result of the set that is shown: copies as they deserve, others 3."""
    for item in page.locator(".item").all():
        item.get_by_role("button").click()
        expect(item.get_by_role("button")).to_have_attribute("aria-pressed", "true")
        token = item.locator("input").first.get_attribute("name") or ""
        check = next(
            one.items[token[:12]].check for one in key.sets.values() if token[:12] in one.items
        )
        for question, legend in (("cp", "Content"), ("sf", "Style"), ("ovl", "Overall")):
            mark = 5 if check == question else 3
            item.get_by_role("group", name=legend).get_by_role("radio").nth(mark - 1).check()


def test_a_test_is_taken_downloaded_and_imported(
    tmp_path: Path, visit: Opener, capsys: pytest.CaptureFixture[str]
) -> None:
    run = sounding_run(tmp_path / "run")
    made = export(run.folder, tmp_path / "test", SETS, 0)
    key = read_json(made.key, BlindKey)
    page = visit(made.folder / "index.html", accept_downloads=True)
    page.get_by_label("Name or code").fill("Ada \U0001f3b5 </script>")
    page.get_by_label("Musical training").select_option("much")
    page.get_by_label("of my own will").check()
    page.get_by_role("button", name="Begin").click()
    for number in range(SETS):
        expect(page.locator("#where")).to_have_text(f"Set {number + 1} of {SETS}")
        expect(page.locator("#forward")).to_be_disabled()
        found = Axe().run(page, options={"preload": False}).response
        assert [
            v["id"] for v in found["violations"] if v["impact"] in {"serious", "critical"}
        ] == []
        rate(page, key)
        page.locator("#forward").click()
    with page.expect_download() as download:
        page.locator("#download").click()
    ratings = tmp_path / "ratings.json"
    download.value.save_as(ratings)
    assert len(json.loads(ratings.read_text())["answers"]) == SETS * 3
    cli.main(["listen", "import", str(ratings), "--run", str(run.folder)], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "human.cp" in shown
    assert "1 listener, 6 clips rated" in " ".join(shown.split())
    assert "rti" in (run.folder / "report" / "listening.md").read_text()


def test_nothing_that_listeners_get_names_a_method(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run")
    made = export(run.folder, tmp_path / "test", SETS, 0)
    texts = [p for p in made.folder.rglob("*") if p.suffix in {".html", ".js", ".yaml", ".css"}]
    assert {path.suffix for path in texts} >= {".html", ".js", ".yaml"}
    for path in texts:
        for word in ("tve", "rti", "copy-", "harp", run.header.run_id + '"'):
            assert word not in path.read_text(encoding="utf-8"), (path.name, word)


def test_the_configuration_of_beaqlejs_is_a_script_whose_sounds_play(
    tmp_path: Path, visit: Opener
) -> None:
    run = sounding_run(tmp_path / "run")
    made = export(run.folder, tmp_path / "test", SETS, 0)
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
    assert set(lengths) == {2.0}
