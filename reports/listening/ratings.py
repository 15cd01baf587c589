"""From downloaded files to ratings that count: who rated which clip, and who was not listening."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.api import RecordError
from bench.files import replace_file
from bench.outside.wording import NAMED
from reports.listening.design import PASS_MARK, PASSED_SHARE
from reports.listening.foreign_ratings import read_ratings
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
class Heard:
    """The ratings that count, their listeners, and the listeners whose ratings do not count."""

    ratings: tuple[Rating, ...]
    raters: tuple[str, ...]
    excluded: tuple[str, ...]

    def under(self, names: Mapping[str, str]) -> Heard:
        """The same with other names of methods, by their labels."""
        named = (replace(one, method=names.get(one.method, one.method)) for one in self.ratings)
        return replace(self, ratings=tuple(named))


def import_ratings(paths: Sequence[Path], run_folder: Path) -> list[Path]:
    """Check downloaded files and keep them with the run, one file per test and listener.

    The files are those of our page, or the results of webMUSHRA or BeaqleJS.

    Raises:
        RecordError: A file is not one of these, belongs to another test, leaves a clip of its
            block out, rates one twice or one that its block does not have, or contradicts what its
            listener handed in before, under this name or as this participant of a service.
    """
    kept = []
    for path, ratings in [(file, one) for file in paths for one in read_ratings(file)]:
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


def heard(folders: Iterable[Path]) -> Heard:
    """The imported ratings of some runs, without listeners who failed the attention checks.

    A check is a hidden copy of the content (or style), which must get at least `PASS_MARK` of 5 for
    content (or style); a listener must pass `PASSED_SHARE` of the checks. The rule was fixed before
    any rating.

    Raises:
        RecordError: A test has two sets of ratings of one listener, or a set that is not whole.
    """
    rows: dict[str, list[Rating]] = defaultdict(list)
    checks: dict[str, list[bool]] = defaultdict(list)
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
            for answer in ratings.answers:
                item = key.sets[answer.set].items[answer.item]
                rows[ratings.rater].append(_row(ratings.rater, key, answer, item))
                if item.check:
                    checks[ratings.rater].append(getattr(answer, item.check) >= PASS_MARK)
    failed = {r for r, met in checks.items() if sum(met) < PASSED_SHARE * len(met)}
    counted = [rating for rater in rows if rater not in failed for rating in rows[rater]]
    return Heard(tuple(counted), tuple(r for r in rows if r not in failed), tuple(sorted(failed)))


def _row(rater: str, key: BlindKey, answer: Answer, item: KeyItem) -> Rating:
    one = key.sets[answer.set]
    return Rating(
        rater, item.method, one.style, one.content, item.cell_id, answer.cp, answer.sf, answer.ovl
    )
