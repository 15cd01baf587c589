"""Datasets of the hub in which several instruments play each piece: which files, and what of them.

Such a repository lists its files in a table. The card names the columns that say who plays what; it
guesses none. Some works become contents, others styles, so that no style plays a content's piece.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field

from bench.api import DatasetError
from bench.outside.declarations import Declared
from bench.outside.names import composed
from bench.outside.texts import LONGEST_S
from bench.outside.wording import some


class HubCard(Declared):
    """Where a dataset of the hub lies, and how its table is read.

    Attributes:
        id: "owner/name".
        revision: A commit, or a branch whose commit is recorded at the first fetch and stays.
        bytes: About how much is downloaded, for the message before.
        most_bytes: More is refused.
        table: The file that lists the others.
        separator: Between its columns.
        file: Column with the path of a sound in the repository.
        work: Column with the work that it is from.
        part: Columns that, with the work, say what is played.
        player: Column that says who plays it.
        sums: Where players are stems: name of each group, and the values of `player` that belong
            to it. One of them is the sum of the others; that one is taken, found by its sound.
        content_works: How many works become contents, the first in order.
        style_works: How many of the next ones become styles.
        start_s: Where clips begin in their file.
        clip_s: How long they are.
    """

    id: str
    revision: str
    bytes: int = Field(gt=0)
    most_bytes: int = Field(gt=0)
    table: str
    separator: str = Field(default=",", min_length=1, max_length=1)
    file: str
    work: str
    part: list[str] = Field(default_factory=list)
    player: str
    sums: dict[str, list[str]] = Field(default_factory=dict)
    content_works: int = Field(gt=0)
    style_works: int = Field(gt=0)
    start_s: float = Field(default=0.0, ge=0, le=LONGEST_S)
    clip_s: float = Field(default=5.0, gt=0, le=LONGEST_S)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the table must have."""
        return (self.file, self.work, *self.part, self.player)


@dataclass(frozen=True, slots=True)
class Take:
    """A recording of a piece: what is played, by whom, and the files that hold it.

    Several files are stems, of which one is the sum of the others.
    """

    work: str
    piece: str
    player: str
    files: tuple[str, ...]


def choose_takes(
    card: HubCard, text: str, held: Collection[str]
) -> tuple[tuple[Take, ...], tuple[Take, ...]]:
    """The takes that become contents, and those that become clips of styles.

    Args:
        card: How the table is read.
        text: The table.
        held: The files of the repository.

    Raises:
        DatasetError: A column is missing, the table names a file that is not there, or there are
            too few works.
    """
    rows = _rows(card, text)
    lost = sorted({row[card.file] for row in rows} - set(held))
    if lost:
        raise DatasetError(
            f"{card.id}: {card.table} names {some(lost, ', ')}, which the repository does not "
            "hold; a dataset is read as its table says. Correct `[hub]` of the card."
        )
    works = sorted({row[card.work] for row in rows}, key=_in_order)
    wanted = card.content_works + card.style_works
    if len(works) < wanted:
        raise DatasetError(
            f"{card.id}: {card.table} names {len(works)} works in column {card.work!r}; "
            f"{card.content_works} become contents and {card.style_works} styles. Correct the card."
        )
    takes = list(_takes(card, rows))
    contents, styles = works[: card.content_works], works[card.content_works : wanted]
    return (
        tuple(take for take in takes if take.work in contents),
        tuple(take for take in takes if take.work in styles),
    )


def _rows(card: HubCard, text: str) -> list[dict[str, str]]:
    reader = csv.DictReader(text.splitlines(), delimiter=card.separator)
    there = reader.fieldnames or []
    missing = [name for name in card.columns if name not in there]
    if missing:
        raise DatasetError(
            f"{card.id}: {card.table} has no column {', '.join(map(repr, missing))}; it has "
            f"{some(map(repr, there), ', ')}. The layout of this repository was not known when its "
            "card was written, and nothing is guessed: name the columns in `[hub]` of the card."
        )
    return [{name: str(row[name]).strip() for name in card.columns} for row in reader]


def _takes(card: HubCard, rows: list[dict[str, str]]) -> Iterator[Take]:
    """One per piece and player, in order; of several takes of one the first counts."""
    groups = {value: name for name, values in card.sums.items() for value in values}
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        player = groups.get(row[card.player], "") if groups else row[card.player]
        if player:
            piece = _name("_".join(row[name] for name in (card.work, *card.part)))
            files = found.setdefault((row[card.work], piece, _name(player)), {})
            files.setdefault(row[card.player], row[card.file])
    for (work, piece, player), files in sorted(found.items(), key=lambda one: _in_order(one[0][1])):
        yield Take(work, piece, player, tuple(_stems(card, player, files)))


def _stems(card: HubCard, player: str, files: Mapping[str, str]) -> list[str]:
    if not card.sums:
        return list(files.values())
    wanted = next(values for name, values in card.sums.items() if _name(name) == player)
    missing = [value for value in wanted if value not in files]
    if missing:
        raise DatasetError(
            f"{card.id}: a piece has no {card.player} {', '.join(missing)}, which `sums` of the "
            f"card counts to {player}. Correct the card."
        )
    return [files[value] for value in wanted]


def _name(text: str) -> str:
    """Words as part of a file name."""
    return re.sub(r"[^\w.-]+", "_", composed(text)).strip("._-") or "unnamed"


def _in_order(text: str) -> list[tuple[int, int, str]]:
    """As people sort: 2 before 10."""
    parts = re.findall(r"\d+|\D+", text)
    return [(0, int(part[:18]), "") if part.isdecimal() else (1, 0, part) for part in parts]
