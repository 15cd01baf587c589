"""Text, TOML, JSON and numbers from outside: how large and how deep they may be.

A file of a few bytes can hold a number of a million digits, or lists within lists until the
interpreter gives up. Everything that is read from outside passes these limits, which nothing that
is written by hand or by this project comes near. All that is wrong is a `ValueError` whose text
continues "FILE cannot be read (...)"; the caller names the file and the way out.
"""

from __future__ import annotations

import json
import math
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_TEXT_BYTES = 1 << 16
MOST_TOML_BYTES = 1 << 22
MOST_JSON_BYTES = 1 << 24
MOST_LEVELS = 32  # lists and tables within each other
LARGEST_INTEGER = (1 << 63) - 1
LONGEST_S = 1e6  # of any time that is asked for: eleven days
MOST_COUNT = 1_000_000  # of cells, clips or repetitions
_SEPARATORS = str.maketrans("={},[]", "\n" * 6)


class BeyondLimitError(ValueError):
    """A value within a file passes a limit.

    Args:
        text: What is wrong.
        place: The keys and positions that lead to the value.
    """

    def __init__(self, text: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(text)
        self.place = place


def read_text(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """Read a text in UTF-8, or in UTF-16 where it begins with that mark; composed (NFC).

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is larger than `most_bytes`, or in another encoding.
    """
    with path.open("rb") as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes} bytes")
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not {encoding}") from error
    return unicodedata.normalize("NFC", text)


def parse_toml(text: str) -> dict[str, Any]:
    """The values of a TOML text.

    Raises:
        ValueError: It is not TOML, or passes a limit.

    Example:
        >>> parse_toml("seeds = 2")
        {'seeds': 2}
        >>> parse_toml("[styles]" + chr(10) + "duration_s = inf")
        Traceback (most recent call last):
        ...
        bench.outside.texts.BeyondLimitError: styles.duration_s is inf; numbers are finite
    """
    for part in text.translate(_SEPARATORS).split("\n"):
        if part.count(".") > 2 * MOST_LEVELS and not part.lstrip().startswith("#"):
            raise ValueError(f"a name has more than {MOST_LEVELS} parts")
    values: dict[str, Any] = _within_limits(tomllib.loads, text)
    return values


def parse_json(text: str) -> Any:  # noqa: ANN401 - whatever JSON may hold
    """The value of a JSON text.

    Raises:
        ValueError: It is not JSON, or passes a limit.

    Example:
        >>> parse_json('{"marks": [1, 2]}')
        {'marks': [1, 2]}
        >>> parse_json('{"marks": [1, 1e999]}')
        Traceback (most recent call last):
        ...
        bench.outside.texts.BeyondLimitError: marks.1 is inf; numbers are finite
    """
    return _within_limits(json.loads, text)


def _within_limits(parse: Callable[[str], Any], text: str) -> Any:  # noqa: ANN401 - any value
    try:
        value = parse(text)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {MOST_LEVELS} levels deep") from error
    require_limits(value)
    return value


def require_limits(value: object) -> None:
    """Check how deep a value is nested, and each number in it.

    Raises:
        BeyondLimitError: It is nested too deep, or has a number that is not finite or too large.
    """
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), value)]
    while waiting:
        place, one = waiting.pop()
        if len(place) > MOST_LEVELS:
            raise BeyondLimitError(f"it is nested more than {MOST_LEVELS} levels deep", place)
        if isinstance(one, dict):
            waiting += [((*place, key), inner) for key, inner in one.items()]
        elif isinstance(one, list):
            waiting += [((*place, number), inner) for number, inner in enumerate(one)]
        elif fault := _fault(one):
            name = ".".join(map(str, place)) or "the number"
            raise BeyondLimitError(f"{name} {fault}", place)


def _fault(value: object) -> str:
    """What is wrong with a number; nothing for anything else."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}; numbers are finite"
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        return f"has more than {len(str(LARGEST_INTEGER))} digits or is beyond {LARGEST_INTEGER}"
    return ""
