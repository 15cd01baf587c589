"""What a listening test keeps on disk: the key, which says what each clip is, and the ratings.

The key stays in the run folder (`listening/<test>.key.json`); the folder for listeners holds
nothing that tells one method from another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bench.api import RecordError
from bench.outside.texts import LONGEST_S, MOST_COUNT, MOST_JSON_BYTES, parse_json, read_text
from reports.listening.chance import (
    AGAIN_PASS,
    HIGH_SCORES,
    HONEST_FAIL,
    LAST_FAIL,
    LATE_FAIL,
    LOW_SCORES,
    RANDOM_PASS,
    Scores,
)
from reports.listening.design import LEAST_HEARD, Question

FOLDER = "listening"
LONGEST_NAME = 64  # letters of a test or a rater
LONGEST_COMMENT = 2000
LARGEST_RATINGS_BYTES = 1 << 20  # of one listener; five hundred ratings take 60 kB
Mark = Annotated[int, Field(strict=True, ge=1, le=5)]  # strict: neither `true` nor "3" is a number
Word = Annotated[str, Field(max_length=LONGEST_NAME)]
# Characters that cannot be seen though Unicode does not class them as controls: joiners of
# graphemes, fillers, vowels and a braille cell without ink, selectors of variants.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def person(name: str) -> str:
    r"""The name of a listener in the one spelling that counts.

    Letters have one case and one form (NFKC); what cannot be seen is left out, and blanks are
    single.

    Raises:
        ValueError: Nothing of the name can be seen, or it is too long.

    Example:
        >>> {person(name) for name in ("alice", " Alice", "al\u200bice", "\uff21lice\t")}
        {'alice'}
        >>> person("Anna  Maria")
        'anna maria'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(
        one
        for one in folded
        if one.isspace() or unicodedata.category(one) not in {"Cc", "Cf", "Cs"}
    )
    known = " ".join(_UNSEEN.sub("", seen).split())
    if not 1 <= len(known) <= LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} characters that can be seen")
    return known


class Record(BaseModel):
    """A frozen, versioned record without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    schema_version: Literal[1] = 1


class KeyItem(Record):
    """What a token stands for.

    Args:
        method: The label of its method.
        cell_id: The cell whose sound it is.
        check: The question that a hidden control must pass, else empty.
        low: The question for which a hidden control deserves a low mark, where there is one.
        again: Whether the same sound stands in its set under another token as well.
        stray: The questions for which a clip that has strayed into its set deserves a low mark.
        seconds: How long it lasts; not known from a test of before.
    """

    method: str
    cell_id: str
    check: str
    low: str = ""
    again: bool = False
    stray: list[Question] = []
    seconds: Annotated[float, Field(gt=0, le=LONGEST_S)] | None = None

    @property
    def counts(self) -> bool:
        """Whether its marks tell of a method or copy, and not of the listener alone."""
        return not (self.again or self.stray)

    @property
    def lows(self) -> Sequence[str]:
        """The questions for which it deserves a low mark."""
        return [*([self.low] if self.low else []), *self.stray]


class KeySet(Record):
    """One set of a test: its items by token."""

    style: str
    content: str
    repetition: int
    items: dict[str, KeyItem]


class Part(Record):
    """What a listener rates of one set, by tokens."""

    set: str
    items: list[str]


Share = Annotated[float, Field(ge=0, le=1)]


class CareRule(Record):
    """Who is left out; `reports.listening.care` applies it and says what the flags are.

    A rule of before marks were weighed has none of the two scores: its evidence is the marks
    themselves, which is what their defaults are. One of before the last set was looked at alone has
    no `last_fail`.

    Args:
        high: What each mark of a hidden clip adds that should be high, from 1 to 5.
        low: The same for one that should be low.
        random_pass: Share of random raters who may pass by their marks of the hidden clips.
        honest_fail: Share of honest listeners who may fail by them; it goes first.
        late_fail: The same for the hidden clips of the later sets.
        last_fail: The same for those of the last set; with 0 it is not looked at alone.
        again_pass: Share of random raters whose repeats are not flagged.
        same: Share of the clips of a set that must not have the same three marks.
        pace: Least time of a set, as a share of how long its clips last.
        heard: Least share of a clip that is played.
        flags: How many flags leave a listener out, where none of them is a hard one.
    """

    high: Scores = (-2, -1, 0, 1, 2)
    low: Scores = (2, 1, 0, -1, -2)
    random_pass: Share = RANDOM_PASS
    honest_fail: Share = HONEST_FAIL
    late_fail: Share = LATE_FAIL
    last_fail: Share = 0.0
    again_pass: Share = AGAIN_PASS
    same: Share = 0.9
    pace: Share = 0.8
    heard: Share = LEAST_HEARD
    flags: Annotated[int, Field(strict=True, ge=1)] = 2


RULE = CareRule(
    high=HIGH_SCORES, low=LOW_SCORES, last_fail=LAST_FAIL
)  # of a test that is exported now


class BlindKey(Record):
    """What the tokens of one exported test stand for, by the token of the set.

    `blocks` says what each planned listener rates, block 1 first; where there are none, everybody
    rates everything. `rule` says who is left out; a test of before there was one has none.
    """

    test: str
    run_id: str
    seed: int
    sets: dict[str, KeySet]
    blocks: list[list[Part]] = []
    rule: CareRule | None = None

    def asked(self, block: int | None) -> set[tuple[str, str]]:
        """The clips, as tokens of set and item, that a listener of a block has to rate.

        Args:
            block: From 1; None for somebody who takes the whole test, as other tools give it.

        Raises:
            ValueError: The test has no such block.
        """
        if block is None:
            return {(name, item) for name, one in self.sets.items() for item in one.items}
        if block > len(self.blocks):
            has = f"{len(self.blocks)} blocks" if self.blocks else "no blocks"
            raise ValueError(f"is of block {block}, and this test has {has}")
        return {(part.set, item) for part in self.blocks[block - 1] for item in part.items}


class Answer(Record):
    """The three marks of one clip, each 1 to 5, and the share of it that was heard, in [0, 1]."""

    set: str
    item: str
    cp: Mark
    sf: Mark
    ovl: Mark
    heard: Annotated[float, Field(ge=0, le=1)] | None = None


class SetTime(Record):
    """When a set was first shown, and for how many seconds in all."""

    set: Word
    started_at: Word
    time_s: Annotated[float, Field(ge=0, le=LONGEST_S)]


class Participant(Record):
    """Who a service for studies says that the listener is; kept with consent alone."""

    service: Literal["prolific", "mturk"]
    person: Word
    study: Word = ""
    session: Word = ""


class Ratings(Record):
    """What one listener downloads or sends.

    Args:
        test: The token of the test.
        rater: The name or code that the listener chose, normalised.
        training: Musical training.
        started_at: When the listener began, ISO 8601.
        finished_at: When the last set was rated.
        answers: The marks.
        block: Which block was rated, from 1; None for the whole test.
        sets: Times, set by set; not known from other tools.
        headphones: How many of the three checks of the headphones were right.
        comment: What the listener wanted to say.
        participant: Who that is for a service, where the listener agreed to it.
    """

    test: str
    rater: Annotated[str, AfterValidator(person)]
    training: str
    started_at: str
    finished_at: str
    answers: list[Answer]
    block: Annotated[int, Field(strict=True, ge=1, le=MOST_COUNT)] | None = None
    sets: list[SetTime] = []
    headphones: Annotated[int, Field(strict=True, ge=0, le=3)] | None = None
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT)] = ""
    participant: Participant | None = None


RecordT = TypeVar("RecordT", bound=Record)


def read_json(path: Path, kind: type[RecordT]) -> RecordT:
    """Read one file.

    Raises:
        RecordError: The file is missing, or is not of this kind.
    """
    try:
        text = read_text(path, MOST_JSON_BYTES)
        parse_json(text)  # which has limits
        return kind.model_validate_json(text)
    except FileNotFoundError as error:
        raise RecordError(
            f"{path} does not exist; a listening test needs it. Check the path."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise RecordError(
            f"{path} is not a {kind.__name__} file ({place}: {first['msg']}); the test's page "
            "and its export write such files. Use them as they were downloaded."
        ) from error
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{path} cannot be read as a {kind.__name__} file ({error}). Use the files as they "
            "were downloaded."
        ) from error


def load_key(run_folder: Path, test: str) -> BlindKey:
    """The key of a test of this run.

    Raises:
        RecordError: This run has not exported such a test.
    """
    return read_key(run_folder, test, BlindKey, "key")


def read_key(run_folder: Path, test: str, kind: type[RecordT], mark: str) -> RecordT:
    """The key of a test of one kind, `listening/<test>.<mark>.json`.

    Raises:
        RecordError: This run has not exported such a test.
    """
    path = run_folder / FOLDER / f"{test}.{mark}.json"
    if not test.isalnum() or len(test) > LONGEST_NAME or not path.exists():
        known = sorted(p.name.split(".")[0] for p in (run_folder / FOLDER).glob(f"*.{mark}.json"))
        raise RecordError(
            f"test {test[:LONGEST_NAME]!r} has no key in {run_folder / FOLDER}; this run exported "
            f"{', '.join(known) or 'none'}. Name with --run the run that the test was made from."
        )
    return read_json(path, kind)


def stored(folders: Iterable[Path]) -> list[Ratings]:
    """All imported ratings of some runs."""
    return [
        read_json(path, Ratings)
        for folder in folders
        for path in sorted((folder / FOLDER).glob("*.ratings.json"))
    ]
