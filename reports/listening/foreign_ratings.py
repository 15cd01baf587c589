"""Read the results of webMUSHRA, BeaqleJS and Go Listen as ratings like those of our own page.

All give one mark per clip and question; a clip needs all three marks. webMUSHRA collects all
listeners in one file (`results/<test>/lms.csv`, a line per mark); BeaqleJS gives a file per
listener (JSON, with one object per page and a last one about the listener); Go Listen gives all
listeners in one file (JSON, an object for each with all pages and what was answered there).
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from bench.api import RecordError
from bench.outside.texts import MOST_JSON_BYTES, parse_json, read_text
from bench.outside.wording import one_line
from reports.listening import golisten
from reports.listening.design import QUESTIONS
from reports.listening.foreign import RATER
from reports.listening.records import Answer, Ratings, read_json

UNASKED = "not asked"  # these tools do not ask for musical training


@dataclass(frozen=True, slots=True)
class _Mark:
    test: str
    rater: str
    set: str
    item: str
    question: str
    mark: object


def read_ratings(path: Path) -> list[Ratings]:
    """Read the ratings in a file of our page, BeaqleJS, webMUSHRA or Go Listen.

    The latter two hold several listeners.

    Raises:
        RecordError: The file is missing, has none of these forms, or lacks a mark.
    """
    try:
        text = read_text(path, MOST_JSON_BYTES)
    except (OSError, ValueError):
        return [read_json(path, Ratings)]  # which says what is wrong
    if text.lstrip().startswith("["):
        read = _golisten if '"questionControl"' in text else _beaqle
        return _gathered(path, read(path, text))
    if text.lstrip().removeprefix('"').startswith("session_test_id"):
        return _gathered(path, _webmushra(path, text))
    return [read_json(path, Ratings)]


def _webmushra(path: Path, text: str) -> Iterator[_Mark]:
    try:
        for row in csv.DictReader(io.StringIO(text)):
            one, question = row["trial_id"].rsplit("-", 1)
            text = row["stimuli_rating"].strip()
            mark = int(text) if re.fullmatch("[0-9]", text) else text
            yield _Mark(row["session_test_id"], row[RATER], one, row["stimuli"], question, mark)
    except (KeyError, ValueError, AttributeError, csv.Error) as error:
        raise _strange(path, "webMUSHRA", error) from error


def _beaqle(path: Path, text: str) -> Iterator[_Mark]:
    """The marks of the clips, without that of the reference which BeaqleJS hides among them."""
    try:
        *pages, person = parse_json(text)
        rater = person["UserName"] + ""  # which refuses all but a text
        for page in pages:
            test, one, question = page["TestID"].split("-")
            for label, mark in page["rating"].items():
                if label != "Reference":
                    item = PurePosixPath(page["filename"][label]).stem
                    yield _Mark(test, rater, one, item, question, mark)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _strange(path, "BeaqleJS", error) from error


def _golisten(path: Path, text: str) -> Iterator[_Mark]:
    """The marks of all listeners; the first field of a page says what it plays."""
    try:
        for given in parse_json(text):
            items = given["items"]
            rater = next(i for i in items if i["id"] == golisten.RATER)["questionControl"]["value"]
            for page in (one for one in items if "example" in one):
                test, one, item = page["id"].split("-")
                fields = page["example"]["fields"][1:]
                for question, field in zip(QUESTIONS, fields, strict=True):
                    mark = golisten.OPTIONS.index(field["value"]) + 1
                    yield _Mark(test, rater + "", one, item, question, mark)
    except (KeyError, ValueError, TypeError, AttributeError, StopIteration) as error:
        raise _strange(path, "Go Listen", error) from error


def _strange(path: Path, tool: str, error: Exception) -> RecordError:
    return RecordError(
        f"{path} is not a result of {tool} for an exported test ({type(error).__name__}: "
        f"{one_line(error)}); "
        "pages and columns carry the names of the exported configuration. Use it as it was written."
    )


def _gathered(path: Path, marks: Iterable[_Mark]) -> list[Ratings]:
    """Gather the marks into one set of ratings per test and listener."""
    people: dict[tuple[str, str], dict[tuple[str, str], dict[str, object]]] = defaultdict(dict)
    for one in marks:
        place = people[one.test, one.rater].setdefault((one.set, one.item), {})
        if one.question in place:
            raise RecordError(
                f"{path}: listener {one.rater!r} rates {one.item} twice; each clip of a test is "
                "rated once. Remove one of the two."
            )
        place[one.question] = one.mark
    return [_ratings(path, *person, given) for person, given in people.items()]


def _ratings(
    path: Path, test: str, rater: str, given: dict[tuple[str, str], dict[str, object]]
) -> Ratings:
    try:
        answers = [
            Answer.model_validate({"set": one, "item": item} | marks)
            for (one, item), marks in given.items()
        ]
        return Ratings(
            test=test, rater=rater, training=UNASKED, started_at="", finished_at="",
            answers=answers,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(
            f"{path}: the ratings of {rater!r} are not valid ({'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}); a clip has three marks of 1 to 5 ({', '.join(QUESTIONS)}). Remove "
            "the listener who did not finish."
        ) from error
