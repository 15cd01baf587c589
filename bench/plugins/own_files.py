"""Which files are a plug-in's own: those that decide what it does, and that its author may change.

They are the modules that importing it loads, from wherever its author keeps them but for installed
libraries, the standard library and the bench; those that they import later; and the data that they
read from their own tree. This is found out in the process where the plug-in is imported.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from bench.cache import Cache
from bench.checkout import CHECKOUT, DATASETS
from bench.files import file_digest
from bench.plugins.loading import load_module
from bench.plugins.source_digest import file_code_digest, files_of, home_of, repository_of

# A file of a plug-in: its path, its digest, and the time in ns and size in bytes that it had then.
FileFacts = tuple[str, str, int, int]


@cache
def own_files(place: str) -> list[FileFacts]:
    """The files of a plug-in's own that importing it reads: modules, and data beside them.

    What its modules import inside functions, and only later, is found by reading them.

    Args:
        place: The path of a Python file, or the dotted name of a module.
    """
    with watching_files() as opened:
        load_module(place)
    home = home_of(place)
    found = _own_modules(home)
    found |= own_data(opened, place)
    found |= {path.resolve() for path in files_of(place)}
    return [_facts(path) for path in sorted(found)]


def _own_modules(home: Path) -> set[Path]:
    """The files of the imported modules that are a plug-in's own.

    There may be thousands, nearly all of libraries, so folders are judged before files: of what
    lies in a folder of others only a link can lead to a file of the plug-in's.
    """
    by_folder: dict[str, set[str]] = {}
    for module in list(sys.modules.values()):
        if file := _source_of(module):
            by_folder.setdefault(os.path.dirname(file), set()).add(file)  # noqa: PTH120 - thousands of them
    found = set()
    for folder, files in by_folder.items():
        foreign = not _may_hold_own(_real_folder(folder), home)
        possible = map(Path, filter(os.path.islink, files) if foreign else files)
        found |= {path.resolve() for path in possible if is_own(path, home)}
    return found


@cache
def _real_folder(folder: str) -> Path:
    """Where a folder of imported modules really lies, looked up once for all plug-ins."""
    return Path(folder).resolve()


# What is watched now: the set of each block, which grows while the block runs.
_WATCHED: dict[object, set[Path]] = {}


@contextmanager
def watching_files() -> Iterator[set[Path]]:
    """The files that Python opens for reading in a block; what C code opens is not seen.

    Yields:
        A set that grows while the block runs.
    """
    _listen()
    block, opened = object(), set[Path]()
    _WATCHED[block] = opened
    try:
        yield opened
    finally:
        del _WATCHED[block]


@cache
def _listen() -> None:
    """Have Python tell of every file that it opens, from now on.

    Once for all blocks: a hook can never be taken away, and each is called for whatever happens.
    """
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHED and _reads(*arguments[1:]):
        with suppress(TypeError):  # a descriptor, which was opened by a name before
            path = Path(os.fsdecode(arguments[0]))
            for opened in list(_WATCHED.values()):  # other threads may begin and end to watch
                opened.add(path)


def own_data(opened: Iterable[Path], place: str) -> set[Path]:
    """Those of some files that are data of a plug-in's own, of its folder or repository."""
    home = home_of(place)
    tree = repository_of(home) or home
    return {
        path.resolve() for path in opened if is_own(path, home) and _is_shown(path.resolve(), tree)
    }


# What an installer notes about a package; libraries read it to learn which packages there are.
_NOTES = (".egg-info", ".dist-info")


def _is_shown(path: Path, tree: Path) -> bool:
    """Whether a file lies in a folder, in no hidden part of it, and is no note of an installer."""
    return path.is_relative_to(tree) and not any(
        part.startswith(".") or part.endswith(_NOTES) for part in path.relative_to(tree).parts
    )


def _reads(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return not set(mode) & set("wax+")
    return isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR) == 0


def _source_of(module: object) -> str | None:
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else None


def is_own(path: Path, home: Path) -> bool:
    """Whether a file belongs to a plug-in: its author's, and of no library and not of the bench."""
    place = path.resolve()
    if "__pycache__" in place.parts or not place.is_file():
        return False
    return _may_hold_own(place.parent, home)


def _may_hold_own(folder: Path, home: Path) -> bool:
    """Whether what lies in a folder belongs to a plug-in: see `is_own`."""
    return not _in_shared_folder(folder) or (
        folder.is_relative_to(home) and home not in _shared_folders()
    )


@cache
def _in_shared_folder(folder: Path) -> bool:
    return any(folder.is_relative_to(one) for one in _shared_folders())


@cache
def _shared_folders() -> frozenset[Path]:
    """Where the standard library, installed packages and the bench itself lie."""
    named = [*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()]
    on_path = [one for one in sys.path if one.endswith(("site-packages", "dist-packages"))]
    scripts = sysconfig.get_path("scripts"), sysconfig.get_path("data")
    kept = [Path(one).resolve() for one in (*named, *on_path) if one and one not in scripts]
    return frozenset([*kept, CHECKOUT / "bench", DATASETS, Cache.default().root])


def _facts(path: Path) -> FileFacts:
    stat = path.stat()
    age = stat.st_mtime_ns, stat.st_size
    digest = file_code_digest(path, *age) if path.suffix == ".py" else file_digest(path)
    return str(path), digest, *age
