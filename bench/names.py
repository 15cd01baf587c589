"""Names that users mistype: the nearest known one, for messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known name and a space before it, or nothing where none is near.

    Example:
        >>> nearest("strenght", ["strength", "steps"])
        " Did you mean 'strength'?"
    """
    by_lower = {text.lower(): text for text in sorted(known)}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
