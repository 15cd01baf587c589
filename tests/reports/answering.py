"""Ratings of a listener of a block as the page writes them, without a listener."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from reports.listening.design import QUESTIONS
from reports.listening.mushra.records import OWN, MushraKey
from reports.listening.records import BlindKey, KeyItem

Marks = Callable[[KeyItem, str], int]  # for a clip and a question
Mark = Callable[[str, str], int]  # for a page of a MUSHRA test, and a method or webMUSHRA's own
COLUMNS = (
    "session_test_id", "rater", "session_uuid", "trial_id", "rating_stimulus", "rating_score",
    "rating_time", "rating_comment",
)  # fmt: skip


def deserved(item: KeyItem, question: str) -> int:
    """A hidden clip gets 5 for its own question and 1 where that is deserved, all else 3."""
    return (dict.fromkeys(item.lows, 1) | {item.check: 5}).get(question, 3)


def sheet(key: BlindKey, name: str, number: int, marks: Marks = deserved, **changes: object) -> str:
    """The ratings of a listener of block `number`; `changes` replace what stands in them."""
    block = key.blocks[number - 1]
    answers = [
        {"schema_version": 1, "set": part.set, "item": item, "heard": 0.97}
        | {q: marks(key.sets[part.set].items[item], q) for q in QUESTIONS}
        for part in block
        for item in part.items
    ]
    times = [
        {"schema_version": 1, "set": part.set, "started_at": "a", "time_s": 61.5} for part in block
    ]
    facts = {
        "schema_version": 1, "test": key.test, "rater": name, "training": "some",
        "started_at": "a", "finished_at": "b", "answers": answers, "block": number,
        "sets": times, "headphones": 3, "comment": "fine", "participant": None,
    }  # fmt: skip
    return json.dumps(facts | changes)


def collected(key: MushraKey, mark: Mark, *people: str) -> str:
    """What webMUSHRA's service writes to mushra.csv: a line per mark."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for person in people:
        for name, one in key.sets.items():
            methods = {token: item.method for token, item in one.items.items()}
            for token, method in (methods | {own: own for own in OWN}).items():
                rows.writerow([key.test, person, "", name, token, mark(name, method), 9000, ""])
    return out.getvalue()
