"""A whole study of thirty: three in one browser, the others as their browsers would send it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import study
from playwright.sync_api import Page, expect

from reports.listening.collector import Collector
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey, read_json
from reports.write import read_report
from tests.browser.listener import FASTER, Listener
from tests.browser.test_handing_in import post

Opener = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
SEATED = 3


def test_thirty_listeners_from_the_export_to_the_tables(tmp_path: Path, visit: Opener) -> None:
    run, made = study.planned(tmp_path)
    key = read_json(made.key, BlindKey)
    place = ("127.0.0.1", 0)
    with Collector(made.folder, tmp_path / "ratings", place, told=lambda _: None) as lab:
        thread = threading.Thread(target=lab.serve_forever)
        thread.start()
        try:
            page = visit(lab.address, reaching=lab.address, script=FASTER)
            for number in range(SEATED):
                assert f"?block={number + 1}" in page.url
                one = Listener(page, key)
                one.begin(f"seated {number}")
                one.take()
                expect(page.locator("#arrival")).to_have_text("Your ratings have arrived.")
                page.get_by_role("button", name="Start for the next person").click()
                expect(page.locator("#intro")).to_be_visible()
            for number in range(SEATED, study.LISTENERS):
                post(lab, study.handed_in_by(key, number))
        finally:
            lab.server.shutdown()
            thread.join()
    import_ratings(sorted((tmp_path / "ratings").iterdir()), run.folder)
    said = heard([run.folder])
    study.require_whole(said, {f"l{number}" for number in study.CARELESS})
    assert {one.rater for one in said.judged if one.rater.startswith("seated")} == {
        f"seated {number}" for number in range(SEATED)
    }
    table = next(one for one in read_report(run.folder).tables if one.label == "listening")
    for row in table.rows[:2]:
        assert row.cells[-1] == len(said.raters) * study.BLOCK
        for mark in row.cells[1:4]:
            assert mark.low < mark.value < mark.high  # type: ignore[union-attr] # Estimates
