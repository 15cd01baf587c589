"""The comment above a LaTeX table that says which run and which table its numbers come from."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench.api import ConfigError

PREFIX = "% bench-table "
_TABULAR = re.compile(r"\\begin\{tabular\*?\}(.*?)\\end\{tabular\*?\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the numbers of a table come from.

    Args:
        run: Id of the run, or of the merged runs.
        paths: Their folders, relative to the LaTeX file.
        table: Label of the table.
        digest: Suite digest at the time of writing.
    """

    run: str
    paths: tuple[str, ...]
    table: str
    digest: str

    def line(self) -> str:
        """The mark as a LaTeX comment of one line."""
        facts = {
            "run": self.run, "paths": list(self.paths), "table": self.table, "digest": self.digest
        }  # fmt: skip
        return f"{PREFIX}{json.dumps(facts)}\n"


@dataclass(frozen=True, slots=True)
class MarkedTable:
    """A mark, the body of the tabular that follows it, and its line in the file."""

    mark: Mark
    body: str
    line: int


def relative(folders: tuple[Path, ...], place: Path) -> tuple[str, ...]:
    """Paths of folders as seen from the folder `place`, with forward slashes."""
    return tuple(
        Path(os.path.relpath(folder.resolve(), place.resolve())).as_posix() for folder in folders
    )


def marked_tables(text: str, name: str) -> list[MarkedTable]:
    """Find every marked table of a LaTeX file.

    Args:
        text: The file's text.
        name: Its name, for messages.

    Raises:
        ConfigError: The file has no mark, a broken one, or one that no tabular follows.
    """
    found = []
    places = [match.start() for match in re.finditer(re.escape(PREFIX), text)]
    for start, end in pairwise([*places, len(text)]):
        line = text.count("\n", 0, start) + 1
        mark = _mark(text[start:].split("\n", 1)[0], f"{name}:{line}")
        tabular = _TABULAR.search(text, start, end)
        if tabular is None:
            raise ConfigError(
                f"{name}:{line}: no tabular follows the mark of {mark.table}; a mark stands above "
                "its table. Move or remove it."
            )
        found.append(MarkedTable(mark, tabular[1], line))
    if not found:
        raise ConfigError(
            f"{name} has no line that begins with {PREFIX.strip()!r}; such a line above a table "
            "says which run to compare with. Take tables from `report RUN --paper`."
        )
    return found


def _mark(line: str, place: str) -> Mark:
    try:
        facts = json.loads(line.removeprefix(PREFIX))
        return Mark(facts["run"], tuple(facts["paths"]), facts["table"], facts["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{place}: the mark is broken ({error}); it is one line of JSON as the report writes "
            "it. Copy it again."
        ) from error
