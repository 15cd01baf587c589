"""Somebody who takes a listening test in a browser, and what nobody must find in its way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from answering import deserved
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from reports.listening.records import BlindKey

# Sounds last an eighth of their time, so that a test need not wait for music.
FASTER = """
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () { this.playbackRate = 8; return play.call(this); };
"""
QUESTIONS = ("cp", "sf", "ovl")


def accessible(page: Page) -> None:
    """Require that axe finds nothing at all."""
    found = Axe().run(page, options={"preload": False}).response
    assert [(v["id"], [n["html"][:80] for n in v["nodes"]]) for v in found["violations"]] == []


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener at a page, who knows what each clip is."""

    page: Page
    key: BlindKey

    def begin(self, code: str, *, service: bool = False) -> None:
        """Agree to take part; without a code, with the one that the page suggests."""
        if code:
            self.page.get_by_label("A code of your choice").fill(code)
        self.page.get_by_label("Musical training").select_option("much")
        self.page.locator("#consent").check()
        if service:
            self.page.locator("#service-consent").check()
        self.page.get_by_role("button", name="Begin").click()

    def answer_trials(self, *, right: bool) -> None:
        """Answer the check of the headphones."""
        facts = json.loads(self.page.locator("#test").text_content() or "")
        for trial, node in zip(facts["trials"], self.page.locator(".trial").all(), strict=True):
            place = trial["softest"] if right else (trial["softest"] + 1) % 3
            node.get_by_role("radio").nth(place).check()

    def check_sound(self) -> None:
        """Pass the check of the headphones."""
        self.answer_trials(right=True)
        self.page.get_by_role("button", name="Go on").click()

    def hear(self, *buttons: Locator) -> None:
        """Play clips from their beginning to their end."""
        for button in buttons:
            button.click()
            expect(button).to_have_attribute("aria-pressed", "true")
            expect(button).to_have_attribute("aria-pressed", "false", timeout=20_000)

    def mark(self, item: Locator, marks: dict[str, int]) -> None:
        """Choose marks."""
        for question, mark in marks.items():
            group = item.get_by_role("radiogroup").nth(QUESTIONS.index(question))
            group.get_by_role("radio").nth(mark - 1).check()

    def rate(self, item: Locator) -> None:
        """Hear and rate a result: hidden clips as they deserve, others 3."""
        self.hear(item.get_by_role("button"))
        token = (item.get_by_role("radio").first.get_attribute("name") or "")[:12]
        known = [one.items[token] for one in self.key.sets.values() if token in one.items]
        marks = {q: deserved(known[0], q) if known else 3 for q in QUESTIONS}  # practice: no key
        self.mark(item, marks)

    def rate_set(self) -> None:
        """Hear and rate everything of the set that is shown."""
        self.hear(self.page.locator("#content"), self.page.locator("#style"))
        for item in self.page.locator(".item").all():
            self.rate(item)

    def take(self) -> None:
        """From the check of the headphones to the end."""
        self.check_sound()
        while self.page.locator("#set").is_visible():
            self.rate_set()
            self.page.locator("#forward").click()
        self.page.get_by_role("button", name="Finish").click()

    def download(self, path: Path) -> Path:
        """Save the ratings as a file."""
        with self.page.expect_download() as download:
            self.page.locator("#download").click()
        download.value.save_as(path)
        return path
