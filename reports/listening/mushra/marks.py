"""From webMUSHRA's file to marks that count: `results/<test>/mushra.csv`, a line per mark."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from bench.api import RecordError
from bench.files import replace_file
from bench.outside.texts import MOST_JSON_BYTES, read_text
from bench.outside.wording import one_line
from reports.listening.foreign import RATER
from reports.listening.mushra.records import (
    MARKS,
    MushraKey,
    MushraMark,
    MushraMarks,
    load_mushra_key,
    stored_marks,
)
from reports.listening.mushra.screening import Screened, screen
from reports.listening.records import FOLDER, read_json

_SCORE = "rating_score"  # a column that webMUSHRA's other files do not have


@dataclass(frozen=True, slots=True)
class Marked:
    """The mark of one listener, 0 to 100.

    `own` is the name of webMUSHRA's own stimulus, and else `method` is a label.
    """

    rater: str
    own: str
    method: str
    style: str
    content: str
    mark: int


@dataclass(frozen=True, slots=True)
class MarkedTest:
    """The marks that count, and what those of everybody show.

    Args:
        marks: Those that count.
        screened: Each listener's, by test and name.
        keeps_all: Whether the rule was not applied.
    """

    marks: tuple[Marked, ...]
    screened: Mapping[tuple[str, str], Screened]
    keeps_all: bool = False

    def under(self, names: Mapping[str, str]) -> MarkedTest:
        """The same with other names of methods, by their labels."""
        named = (replace(one, method=names.get(one.method, one.method)) for one in self.marks)
        return replace(self, marks=tuple(named))


def is_marks(path: Path) -> bool:
    """Whether a file is what webMUSHRA collects from pages of the type ``mushra``."""
    try:
        first = read_text(path, MOST_JSON_BYTES).lstrip().partition("\n")[0]
    except (OSError, ValueError):
        return False  # whoever reads it next says what is wrong
    return first.removeprefix('"').startswith("session_test_id") and _SCORE in first


def import_marks(path: Path, run_folder: Path) -> list[Path]:
    """Check a file and keep it with the run, one file per test and listener.

    Raises:
        RecordError: It is no result of an exported test, lacks a mark or has one twice, or
            contradicts what its listener handed in before.
    """
    kept = []
    for given in _read(path):
        _check(path, given, load_mushra_key(run_folder, given.test))
        name = hashlib.sha256(given.rater.encode()).hexdigest()[:12]
        target = run_folder / FOLDER / f"{given.test}.{name}.{MARKS}.json"
        if target.exists() and read_json(target, MushraMarks) != given:
            raise RecordError(
                f"{path}: listener {given.rater!r} handed in other marks of test {given.test} "
                f"before; each person counts once. Remove {target} to take these."
            )
        replace_file(target, given.model_dump_json(indent=1), root=run_folder)
        kept.append(target)
    return kept


def _read(path: Path) -> list[MushraMarks]:
    people: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    try:
        for row in csv.DictReader(io.StringIO(read_text(path, MOST_JSON_BYTES))):
            text = row[_SCORE].strip()
            mark = int(text) if re.fullmatch("[0-9]{1,3}", text) else text
            people[row["session_test_id"], row[RATER]].append(
                {"set": row["trial_id"], "item": row["rating_stimulus"], "mark": mark}
            )
    except (KeyError, ValueError, AttributeError, csv.Error) as error:
        raise RecordError(
            f"{path} is not a result of webMUSHRA for an exported test ({type(error).__name__}: "
            f"{one_line(error)}). Use mushra.csv as webMUSHRA wrote it."
        ) from error
    return [_marks_of(path, *person, given) for person, given in people.items()]


def _marks_of(
    path: Path, test: str, rater: str, given: Iterable[Mapping[str, object]]
) -> MushraMarks:
    try:
        marks = sorted(map(MushraMark.model_validate, given), key=lambda one: (one.set, one.item))
        return MushraMarks(test=test, rater=rater, marks=marks)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecordError(
            f"{path}: the marks of {rater!r} are not valid ({'.'.join(map(str, first['loc']))}: "
            f"{first['msg']}); a mark is 0 to 100. Remove the listener who did not finish."
        ) from error


def _check(path: Path, given: MushraMarks, key: MushraKey) -> None:
    """Require a mark for each stimulus of each page, and nothing else."""
    counts, asked = Counter((one.set, one.item) for one in given.marks), key.asked()
    facts = {
        "marks what is not in the test": sorted(set(counts) - asked),
        "marks twice": sorted(place for place, count in counts.items() if count > 1),
        "leaves out": sorted(asked - set(counts)),
    }
    for fact, found in facts.items():
        if found:
            raise RecordError(
                f"{path}: listener {given.rater!r} {fact}: {'/'.join(found[0])} "
                f"({len(found)} of {len(asked)} stimuli); each is marked once. Use the file as "
                "webMUSHRA wrote it, or leave this listener out."
            )


def marked(folders: Iterable[Path], *, keep_all: bool = False) -> MarkedTest:
    """The imported marks of some runs, without those that the rule of their test leaves out.

    Args:
        folders: The runs.
        keep_all: Let everybody count.

    Raises:
        RecordError: A listener's marks are not whole, or stand there twice.
    """
    found: list[Marked] = []
    screened: dict[tuple[str, str], Screened] = {}
    for folder, given in stored_marks(folders):
        key, who = load_mushra_key(folder, given.test), (given.test, given.rater)
        _check(folder / FOLDER, given, key)
        if who in screened:
            raise RecordError(
                f"{folder / FOLDER} has two sets of marks of test {given.test} by "
                f"{given.rater!r}; each person counts once. Remove one of the two files."
            )
        screened[who] = screen(given, key)
        if keep_all or not screened[who].left_out:
            found += [_row(given.rater, key, one) for one in given.marks]
    return MarkedTest(tuple(found), screened, keep_all)


def _row(rater: str, key: MushraKey, one: MushraMark) -> Marked:
    page = key.sets[one.set]
    item = page.items.get(one.item)
    own, method = (one.item, "") if item is None else ("", item.method)
    return Marked(rater, own, method, page.style, page.content, one.mark)
