"""What lies in a folder of outputs that somebody else filled: plain sound files, by their names.

Names are composed (NFC) and have `/` between folders, whatever the disk has. Links, names that are
not UTF-8 and things that are no files (a pipe would never end) are refused; so is a folder without
a bound to it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.api import ConfigError
from bench.audio import READABLE, UNREADABLE
from bench.delivery.listing import LIST, Listed, read_list
from bench.outside.names import composed, on_disk, require_utf8
from bench.outside.wording import some

LAYOUT = "<style>/<content>.<suffix>"
MOST_ENTRIES = 1_000_000  # as many as a run has cells
MOST_FOLDERS_DEEP = 32
MOST_FILE_BYTES = 1 << 31  # the longest sound that is read takes half of it


@dataclass(frozen=True, slots=True)
class Found:
    """A folder of outputs.

    Args:
        folder: The folder.
        files: Its sound files, by their names in it.
        unread: Names of those that are sound of a kind that is not read.
        listed: The lines of its list; None where there is no list and names tell.
        list_path: Where the list lies, or would.
    """

    folder: Path
    files: Mapping[str, Path]
    unread: tuple[str, ...] = ()
    listed: tuple[Listed, ...] | None = None
    list_path: Path = Path(LIST)


def read_folder(place: Path) -> Found:
    """Look at a folder of outputs, or at that of a list of outputs; no sound is read.

    Args:
        place: The folder, or a file of the form of `outputs.csv` in it.

    Raises:
        ConfigError: It does not exist, holds no sound or what no delivery may hold, or its list
            breaks a rule.
    """
    there = on_disk(place)
    if not there.exists():
        raise ConfigError(
            f"outputs {place} do not exist; they lie in a folder as {LAYOUT}. Check the path."
        )
    if there.is_file() and there.suffix.lower() != ".csv":
        raise ConfigError(
            f"outputs {place} are one file; they lie in a folder as {LAYOUT}. Name the folder, or "
            "a list of outputs (.csv)."
        )
    folder, own_list = (there.parent, there) if there.is_file() else (there, there / LIST)
    sounds = {name: path for name, path in _files(folder) if _is_sound(path)}
    files = {name: path for name, path in sounds.items() if path.suffix.lower() in READABLE}
    unread = tuple(sorted(sounds.keys() - files.keys()))
    if not files:
        beside = f" that is read, only {some(unread, ', ')}" if unread else ""
        raise ConfigError(
            f"outputs {place} hold no sound{beside} ({', '.join(READABLE)}); they lie as {LAYOUT}. "
            "Put them there."
        )
    listed = read_list(own_list) if own_list.is_file() else None
    return Found(folder, dict(sorted(files.items())), unread, listed, own_list)


def _is_sound(path: Path) -> bool:
    return path.suffix.lower() in {*READABLE, *UNREADABLE}


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    """All files below a folder that are not hidden, by their names in it; each name once."""
    seen: dict[str, Path] = {}
    for path, facts in _entries(root):
        name = composed(path.relative_to(root).as_posix())
        other = seen.setdefault(name, path)
        if other is not path:
            raise ConfigError(
                f"{root} holds {name!r} twice, in names that differ only in how their letters are "
                "coded; each output stands once. Remove one."
            )
        if _is_sound(path):
            _require_plain_sound(path, facts)
        yield name, path


def _require_plain_sound(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise ConfigError(f"{path} is not a file; an output is one. Remove or rename it.")
    if facts.st_size > MOST_FILE_BYTES:
        raise ConfigError(
            f"{path} has {facts.st_size} bytes; an output has at most {MOST_FILE_BYTES}. Cut it to "
            "the length of its content."
        )


def _entries(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """What lies below a folder and is neither hidden nor a folder itself."""
    waiting, count = [(root, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        for path in sorted(folder.iterdir()):
            count += 1
            if path.name.startswith((".", "__")):
                continue
            require_utf8(path.name, ConfigError)
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode):
                raise ConfigError(
                    f"{path} is a link to {str(path.readlink())!r:.200}; outputs that were made "
                    "elsewhere are plain files in their folder. Copy the file there."
                )
            if count > MOST_ENTRIES or depth > MOST_FOLDERS_DEEP:
                raise ConfigError(
                    f"{root} holds more than {MOST_ENTRIES} files, or folders more than "
                    f"{MOST_FOLDERS_DEEP} deep; outputs lie as {LAYOUT}. Name their own folder."
                )
            if stat.S_ISDIR(facts.st_mode):
                waiting.append((path, depth + 1))
            else:
                yield path, facts
