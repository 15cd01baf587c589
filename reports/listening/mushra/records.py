"""What a MUSHRA test keeps on disk: its key with the rule, and the marks of each listener."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from reports.listening.records import FOLDER, Record, Share, person, read_json, read_key

REFERENCE = "reference"  # what webMUSHRA calls the hidden reference and its anchors in its results
ANCHORS = {"anchor35": "3.5 kHz", "anchor70": "7 kHz"}
OWN = (REFERENCE, *ANCHORS)  # the stimuli that it adds to each page
KEY, MARKS = "mushra-key", "mushra-marks"  # the ends of the names of files
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]


class MushraItem(Record):
    """What a token stands for: the label of a method, and the cell whose sound it is."""

    method: str
    cell_id: str


class MushraSet(Record):
    """One page: a content in a style, and its items by token."""

    style: str
    content: str
    repetition: int
    items: dict[str, MushraItem]


class MushraRule(Record):
    """Who is left out; `reports.listening.mushra.screening` applies it.

    Args:
        reference: The mark that a hidden reference must have.
        share: The share of the pages on which it, or something else, may fail.
    """

    reference: Percent = 90
    share: Share = 0.15


class MushraKey(Record):
    """What the tokens of a test stand for, by the token of the set, and its rule."""

    test: str
    run_id: str
    seed: int
    sets: dict[str, MushraSet]
    rule: MushraRule

    def asked(self) -> set[tuple[str, str]]:
        """What each listener marks: tokens of sets, and of items or webMUSHRA's own stimuli."""
        return {(name, item) for name, one in self.sets.items() for item in (*one.items, *OWN)}


class MushraMark(Record):
    """The mark of one stimulus."""

    set: str
    item: str
    mark: Percent


class MushraMarks(Record):
    """All marks of one listener."""

    test: str
    rater: Annotated[str, AfterValidator(person)]
    marks: list[MushraMark]


def load_mushra_key(run_folder: Path, test: str) -> MushraKey:
    """The key of a MUSHRA test of this run.

    Raises:
        RecordError: This run has not exported such a test.
    """
    return read_key(run_folder, test, MushraKey, KEY)


def stored_marks(folders: Iterable[Path]) -> list[tuple[Path, MushraMarks]]:
    """All imported marks of some runs, each with the folder of its run."""
    return [
        (folder, read_json(path, MushraMarks))
        for folder in folders
        for path in sorted((folder / FOLDER).glob(f"*.{MARKS}.json"))
    ]
