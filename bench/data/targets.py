"""True results: which content of a dataset is what a transfer should have made of another.

Where a dataset holds the same piece played by several instruments, its card says how the id of a
content is made up of both: `targets = "{category}_{piece}"`. The true result of a content in a
style is then the content of the same piece whose category has the name of the style. A content
whose category is the style is its own true result: nothing is to be done there, so such cells are
left out of a run (`bench.plan.plan`). They would reward whoever does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.api import DatasetError
from bench.data.clips import ClipSource

CATEGORY, PIECE = "{category}", "{piece}"


@dataclass(frozen=True, slots=True)
class Targets:
    """The pieces of a dataset, and who plays them.

    Args:
        pieces: The piece of each content, by id.
        players: The content that plays a piece in a category, by (category, piece).
    """

    pieces: Mapping[str, str]
    players: Mapping[tuple[str, str], str]

    def of(self, style: str, content: str) -> str | None:
        """The id of the true result of a content in a style; None where the dataset has none."""
        return self.players.get((style, self.pieces.get(content, "")))


def find_targets(pattern: str, contents: Iterable[ClipSource]) -> Targets:
    """Read category and piece out of the ids of contents.

    Args:
        pattern: As a card has it, with `{piece}` once.
        contents: The contents of the dataset.

    Raises:
        DatasetError: The pattern has no piece, or an id is not made up like that.
    """
    if pattern.count(PIECE) != 1 or "{" in pattern.replace(PIECE, "").replace(CATEGORY, ""):
        raise DatasetError(
            f"targets is {pattern!r}; it says how ids of contents are made up, with {PIECE} once "
            f"and {CATEGORY} as needed. Correct the card."
        )
    pieces: dict[str, str] = {}
    players: dict[tuple[str, str], str] = {}
    for clip in contents:
        piece = _piece_of(pattern, clip)
        pieces[clip.id] = piece
        players[clip.category, piece] = clip.id  # one alone: category and piece make up the id
    return Targets(pieces, players)


def _piece_of(pattern: str, clip: ClipSource) -> str:
    before, _, after = pattern.replace(CATEGORY, clip.category).partition(PIECE)
    piece = clip.id.removeprefix(before).removesuffix(after)
    if not piece or before + piece + after != clip.id:
        raise DatasetError(
            f"content {clip.id!r} of category {clip.category!r} is not named {pattern!r}, as "
            "`targets` of the card says all are. Rename it, or correct the card."
        )
    return piece
