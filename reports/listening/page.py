"""The page of a listening test, from what listeners may know about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from bench.api import RecordError
from bench.files import replace_file
from reports.listening.clips import SUFFIX, Form
from reports.listening.design import LEAST_HEARD, MARKS, QUESTIONS, TITLES, WORDS
from reports.listening.handing_in import PARAMETERS, HandIn
from reports.listening.records import LONGEST_COMMENT, Part
from reports.text.html import render

ASSETS = Path(__file__).with_name("assets")
SCRIPTS = ("playing.js", "handing-in.js", "listen.js")
FILES = ("index.html", "listen.css", *SCRIPTS)
COLLECTOR = "ratings"  # where a collector that serves the page takes ratings, beside the page
_SOURCE = re.compile(r"connect-src [^\"]*?(?=; form-action)")
_POST = re.compile(r'<meta name="collector" content="[^"]*">')


class PublicSet(TypedDict):
    """One set as listeners get it, with file names that mean nothing."""

    id: str
    content: str
    style: str
    items: list[str]


class Trial(TypedDict):
    """One trial of the check of headphones: a sound, and which of its tones is softer, from 0."""

    sound: str
    softest: int


@dataclass(frozen=True, slots=True)
class PublicTest:
    """A test as listeners get it.

    Args:
        test: Its token.
        sets: The sets that are rated, in the order of their tokens.
        practice: The set to practise with.
        trials: The check of headphones.
        blocks: What each planned listener rates; none where everybody rates everything.
        minutes: How long each block takes, or the whole test.
        form: What its sounds are.
        hand_in: How ratings come back.
    """

    test: str
    sets: list[PublicSet]
    practice: PublicSet | None
    trials: list[Trial]
    blocks: list[list[Part]]
    minutes: list[int]
    form: Form
    hand_in: HandIn


def write_page(out: Path, told: PublicTest) -> None:
    """Write the page, its style and its scripts into a folder."""
    facts = {
        "test": told.test, "sets": told.sets, "practice": told.practice, "trials": told.trials,
        "blocks": [[{"set": p.set, "items": p.items} for p in block] for block in told.blocks],
        "minutes": told.minutes, "suffix": SUFFIX[told.form], "leastHeard": LEAST_HEARD,
        "questions": [(name, TITLES[name], WORDS[name]) for name in QUESTIONS], "marks": MARKS,
        "email": told.hand_in.email, "code": told.hand_in.code, "codeUrl": told.hand_in.code_url,
        "services": PARAMETERS,
    }  # fmt: skip
    values = {
        "facts": facts, "source": told.hand_in.source, "post": told.hand_in.post,
        "scripts": SCRIPTS, "longest_comment": LONGEST_COMMENT, "form": told.form,
    }  # fmt: skip
    replace_file(out / "index.html", render(ASSETS / "listen.html.j2", values))
    for name in FILES[1:]:
        replace_file(out / name, (ASSETS / name).read_bytes())


def collecting(page: str) -> str:
    """The page as a collector serves it: it sends ratings to where it came from, and nowhere else.

    Raises:
        RecordError: The text is no page of an exported test.
    """
    served, sources = _SOURCE.subn("connect-src 'self'", page)
    served, posts = _POST.subn(f'<meta name="collector" content="{COLLECTOR}">', served)
    if (sources, posts) != (1, 1):
        raise RecordError(
            "index.html is not the page of an exported test; a collector serves such a page. "
            "Name a folder that `listen export` wrote."
        )
    return served
