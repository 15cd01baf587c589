"""The list of outputs, `outputs.csv`: which file is the output of which cell.

**Form**: UTF-8, one line per output below the line `style,content,repetition,path`; semicolons may
stand for the commas. Paths are seen from the folder of the list. An empty path, or one at which
nothing lies, is an output that was not delivered; an empty repetition is the first, 0.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bench.api import ConfigError
from bench.outside.texts import MOST_COUNT, MOST_JSON_BYTES, read_text

LIST = "outputs.csv"
COLUMNS = ("style", "content", "repetition", "path")
Place = tuple[str, str, int]  # style, content, repetition


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of a list.

    Args:
        line: Its number in the file, from 1.
        place: Style, content and repetition.
        name: The path of the file, with `/` between folders; empty where none is named.
    """

    line: int
    place: Place
    name: str


def read_list(path: Path) -> tuple[Listed, ...]:
    """Read a list of outputs; whether the files are there is asked later.

    Raises:
        ConfigError: It breaks a rule; the message names the line.
    """
    try:
        text = read_text(path, MOST_JSON_BYTES)
        rows = list(_rows(text))
    except (ValueError, csv.Error) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); a list of outputs is CSV in UTF-8. Export it again."
        ) from error
    head = tuple(field.strip().lower() for field in rows[0][1]) if rows else ()
    if head != COLUMNS:
        raise ConfigError(
            f"{path}:1 has the columns {', '.join(head) or 'none'}; a list of outputs begins with "
            f"{','.join(COLUMNS)}. Write that line above the others."
        )
    listed = tuple(_listed(f"{path}:{line}", line, fields) for line, fields in rows[1:])
    first: dict[Place, int] = {}
    for one in listed:
        if first.setdefault(one.place, one.line) != one.line:
            raise ConfigError(
                f"{path}:{one.line} names {place_words(one.place)} again, as line "
                f"{first[one.place]} does; an output stands once. Remove one of the lines."
            )
    return listed


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """The lines that hold something, each with its number."""
    mark = ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    return [(reader.line_num, fields) for fields in reader if any(map(str.strip, fields))]


def _listed(where: str, line: int, fields: list[str]) -> Listed:
    if len(fields) != len(COLUMNS):
        raise ConfigError(
            f"{where} has {len(fields)} fields; each line has {len(COLUMNS)}: "
            f"{','.join(COLUMNS)}. Put quotes around a name with a comma."
        )
    style, content, repetition, path = (field.strip() for field in fields)
    if not (style and content):
        raise ConfigError(f"{where} names no style or no content; each line has both. Add them.")
    return Listed(line, (style, content, _number(where, repetition)), _inside(where, path))


def _number(where: str, text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_COUNT))
    if text and not is_number:
        raise ConfigError(
            f"{where} has the repetition {text!r:.60}; repetitions are 0, 1, 2 and so on. "
            "Correct it, or leave it empty for the first."
        )
    return int(text or 0)


def _inside(where: str, path: str) -> str:
    place = PurePosixPath(path)
    control = next((letter for letter in path if unicodedata.category(letter) == "Cc"), None)
    if place.is_absolute() or ".." in place.parts or control is not None:
        raise ConfigError(
            f"{where} has the path {path!r:.200}; paths are seen from the folder of the list and "
            "stay in it. Put the file there, and write where it lies."
        )
    return str(place) if path else ""


def list_text(rows: Iterable[tuple[Place, str]]) -> str:
    r"""A list of outputs as the text of its file.

    Example:
        >>> list_text([(("bells", "a, b", 0), "bells/a.wav")])
        'style,content,repetition,path\nbells,"a, b",0,bells/a.wav\n'
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*place, name) for place, name in rows)
    return text.getvalue()


def place_words(place: Place) -> str:
    """A cell in words: style, content, and the repetition where it is not the first.

    Example:
        >>> place_words(("bells", "a", 0)), place_words(("bells", "a", 2))
        ('bells/a', 'bells/a.2')
    """
    style, content, repetition = place
    return f"{style}/{content}" + (f".{repetition}" if repetition else "")
