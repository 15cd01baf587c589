"""From downloaded files to ratings that count: who rated which clip, and who was not listening.

What tells that somebody was not listening, and who is left out, `reports.listening.care` says.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.api import RecordError
from bench.files import replace_file
from bench.outside.wording import NAMED
from reports.listening.care import Care, judge
from reports.listening.foreign_ratings import read_ratings
from reports.listening.mushra.marks import import_marks, is_marks
from reports.listening.records import (
    FOLDER,
    Answer,
    BlindKey,
    KeyItem,
    Ratings,
    load_key,
    read_json,
    stored,
)

AS_IT_WAS = "Use the file as it was downloaded at the end, or leave this listener out."


@dataclass(frozen=True, slots=True)
class Rating:
    """The marks of one listener for one cell, 1 to 5; a hidden control counts as a method."""

    rater: str
    method: str
    style: str
    content: str
    cell_id: str
    cp: int
    sf: int
    ovl: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What the ratings that one listener gave in one test show.

    Args:
        rater: The listener.
        test: The token of the test.
        care: What they show, and whether its rule leaves them out.
        has_rule: Whether the test was exported with a rule.
    """

    rater: str
    test: str
    care: Care
    has_rule: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """The ratings that count, and whose they are.

    Args:
        ratings: Those that count; the second marks of a clip that came twice do not.
        raters: Their listeners.
        excluded: Listeners whose ratings of a test are left out.
        judged: What the ratings of everybody show.
        keeps_all: Whether the rule was not applied.
    """

    ratings: tuple[Rating, ...]
    raters: tuple[str, ...]
    excluded: tuple[str, ...]
    judged: tuple[Judged, ...] = ()
    keeps_all: bool = False

    def under(self, names: Mapping[str, str]) -> Heard:
        """The same with other names of methods, by their labels."""
        named = (replace(one, method=names.get(one.method, one.method)) for one in self.ratings)
        return replace(self, ratings=tuple(named))


def import_ratings(paths: Sequence[Path], run_folder: Path) -> list[Path]:
    """Check downloaded files and keep them with the run, one file per test and listener.

    The files are those of our page, or the results of webMUSHRA, BeaqleJS or Go Listen. Marks of a
    MUSHRA test are kept apart, see `reports.listening.mushra.marks`.

    Raises:
        RecordError: A file is not one of these, belongs to another test, leaves a clip of its
            block out, rates one twice or one that its block does not have, or contradicts what its
            listener handed in before, under this name or as this participant of a service.
    """
    kept = [one for file in paths if is_marks(file) for one in import_marks(file, run_folder)]
    others = [file for file in paths if not is_marks(file)]
    for path, ratings in [(file, one) for file in others for one in read_ratings(file)]:
        _check(path, ratings, load_key(run_folder, ratings.test))
        target = _place(run_folder, ratings)
        if target.exists() and read_json(target, Ratings) != ratings:
            raise RecordError(
                f"{path}: listener {ratings.rater!r} handed in other ratings of test "
                f"{ratings.test} before; each person counts once. Remove {target} to take these."
            )
        _require_new_person(path, ratings, run_folder)
        replace_file(target, ratings.model_dump_json(indent=1), root=run_folder)
        kept.append(target)
    return kept


def _require_new_person(path: Path, ratings: Ratings, run_folder: Path) -> None:
    """Refuse a participant of a service who has handed in ratings under another name."""
    who = ratings.participant
    if who is None:
        return
    for other in stored([run_folder]):
        known = other.participant
        same = known is not None and (known.service, known.person) == (who.service, who.person)
        if same and other.test == ratings.test and other.rater != ratings.rater:
            raise RecordError(
                f"{path}: listener {ratings.rater!r} of {who.service} handed in ratings of test "
                f"{ratings.test} as {other.rater!r} before; each person counts once. Leave one out."
            )


def _place(run_folder: Path, ratings: Ratings) -> Path:
    name = hashlib.sha256(ratings.rater.encode()).hexdigest()[:12]
    return run_folder / FOLDER / f"{ratings.test}.{name}.ratings.json"


def _check(path: object, ratings: Ratings, key: BlindKey) -> None:
    """Require each clip that the listener was given once, and nothing else.

    Else one could leave out those that tell attention.
    """
    rater = f"{path}: listener {ratings.rater!r}"
    try:
        asked = key.asked(ratings.block)
    except ValueError as error:
        raise RecordError(
            f"{rater} {error}; a listener rates one block of a test. {AS_IT_WAS}"
        ) from error
    counts = Counter((answer.set, answer.item) for answer in ratings.answers)
    block = "the test" if ratings.block is None else f"block {ratings.block} of the test"
    strange = sorted(set(counts) - asked)
    twice = sorted(place for place, count in counts.items() if count > 1)
    lacking = sorted(asked - set(counts))
    facts = {
        f"rates {strange[:1]}, which is not in {block}": strange,
        f"rates {twice[:1]} twice": twice,
        f"leaves out {len(lacking)} of {len(asked)} clips of {block} ({_named(lacking)})": lacking,
    }
    for fact, found in facts.items():
        if found:
            raise RecordError(f"{rater} {fact}; each clip is rated once. {AS_IT_WAS}")


def _named(places: Sequence[tuple[str, str]]) -> str:
    """Some clips by the tokens of set and item, which the key tells apart."""
    rest = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return ", ".join(f"{one}/{item}" for one, item in places[:NAMED]) + rest


def heard(folders: Iterable[Path], *, keep_all: bool = False) -> Heard:
    """The imported ratings of some runs, without those that the rule of their test leaves out.

    Args:
        folders: The runs.
        keep_all: Let everybody count.

    Raises:
        RecordError: A test has two sets of ratings of one listener, or a set that is not whole.
    """
    rows: dict[str, list[Rating]] = defaultdict(list)
    judged: list[Judged] = []
    said: set[tuple[str, str]] = set()
    for folder in folders:
        for ratings in stored([folder]):
            key = load_key(folder, ratings.test)
            _check(folder / FOLDER, ratings, key)
            if (ratings.test, ratings.rater) in said:
                raise RecordError(
                    f"{folder / FOLDER} has two sets of ratings of test {ratings.test} by "
                    f"{ratings.rater!r}; each person counts once. Remove one of the two files."
                )
            said.add((ratings.test, ratings.rater))
            care = judge(ratings, key)
            judged.append(Judged(ratings.rater, ratings.test, care, key.rule is not None))
            if keep_all or not care.left_out:
                rows[ratings.rater] += _rows(ratings, key)
    excluded = () if keep_all else sorted({one.rater for one in judged if one.care.left_out})
    counted = [rating for given in rows.values() for rating in given]
    return Heard(tuple(counted), tuple(rows), tuple(excluded), tuple(judged), keep_all)


def _rows(ratings: Ratings, key: BlindKey) -> list[Rating]:
    given = [(one, key.sets[one.set].items[one.item]) for one in ratings.answers]
    return [_row(ratings.rater, key, one, item) for one, item in given if item.counts]


def _row(rater: str, key: BlindKey, answer: Answer, item: KeyItem) -> Rating:
    one = key.sets[answer.set]
    return Rating(
        rater, item.method, one.style, one.content, item.cell_id, answer.cp, answer.sf, answer.ovl
    )
