"""Finding methods and metrics by name, without importing them until they are used.

The rooms `methods` and `metrics` each hold one literal dictionary; installed packages add to it
through the entry-point groups `bench.methods` and `bench.metrics` (each naming a
`bench.api.Entry`); and everywhere a name is accepted, so is `path/to/file.py:Class` or
`package.module:Class`. Such a class may carry its description as a class attribute `INFO` and the
folder of its environment as `ENVIRONMENT`, and its module a function `describe(profile)`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from bench.api import (
    ConfigError,
    Direction,
    Entry,
    MethodInfo,
    MetricInfo,
    Profile,
    ProfileInfo,
    UnknownNameError,
)
from bench.errors import nearest
from bench.plugins.choices import MethodChoice, parse_methods
from bench.plugins.loading import load_class, load_module
from bench.plugins.parameters import make_parameters, split_parameters
from bench.plugins.source_digest import source_digest

__all__ = [
    "MethodChoice",
    "built_in",
    "describe",
    "find_method",
    "find_metric",
    "make_parameters",
    "methods",
    "metrics",
    "parse_methods",
    "resolve",
    "select_metrics",
    "source_digest",
    "split_parameters",
]

Kind = Literal["method", "metric"]
ROOMS: dict[Kind, tuple[str, str]] = {
    "method": ("methods", "METHODS"),
    "metric": ("metrics", "METRICS"),
}


def methods() -> dict[str, Entry]:
    """All methods by name: the room's own in its order, then those of installed packages."""
    return _entries("method")


def metrics() -> dict[str, Entry]:
    """All metrics by name: the room's own in its order, then those of installed packages."""
    return _entries("metric")


def built_in(name: str) -> bool:
    """Whether a method is one of this checkout's own, by its catalog name."""
    room, literal = ROOMS["method"]
    return name in getattr(importlib.import_module(room), literal)


def _entries(kind: Kind) -> dict[str, Entry]:
    room, literal = ROOMS[kind]
    found: dict[str, Entry] = dict(getattr(importlib.import_module(room), literal))
    for point in _installed(f"bench.{room}", tuple(sys.path)):
        if point.name in found:
            raise ConfigError(
                f"{kind} {point.name!r} of {point.value} has a name that is taken; names are "
                "unique. "
                "Uninstall one of the packages or rename its entry point."
            )
        found[point.name] = _from_entry_point(point, kind)
    return found


@lru_cache(maxsize=8)
def _installed(group: str, search_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of a group by name; looking through every package takes 50 ms."""
    del search_path  # only a key of the cache: another path, other packages
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def _from_entry_point(point: EntryPoint, kind: Kind) -> Entry:
    try:
        entry = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{kind} {point.name!r} of an installed package cannot be read ({error}); "
            f"{point.value} "
            "must name a bench.api.Entry. Mend or uninstall that package."
        ) from error
    if not isinstance(entry, Entry):
        raise ConfigError(
            f"{kind} {point.name!r}: {point.value} is a {type(entry).__name__}; an entry point of "
            "this group names a bench.api.Entry. Mend or uninstall that package."
        )
    return entry


def find_method(name: str) -> Entry:
    """The entry of a method by catalog name, `file.py:Class` or `package.module:Class`.

    Raises:
        UnknownNameError: No such name, file, module or class; the message carries the nearest name.
        ConfigError: The file or module cannot be imported.
    """
    return _find(name, "method")


def find_metric(name: str) -> Entry:
    """The entry of a metric, found as `find_method` finds a method."""
    return _find(name, "metric")


def _find(name: str, kind: Kind) -> Entry:
    if ":" in name:
        return _outside(name, kind)
    known = _entries(kind)
    if name not in known:
        raise UnknownNameError(
            f"{kind} {name!r} is not in the catalog; it holds {', '.join(known)}."
            f"{nearest(name, known)} A class of your own is named path/to/file.py:Class."
        )
    return known[name]


def _outside(target: str, kind: Kind) -> Entry:
    loaded = load_class(target)
    place = target.rpartition(":")[0]
    module = load_module(place)
    describe = f"{place}:describe" if callable(getattr(module, "describe", None)) else None
    info = getattr(loaded, "INFO", None) or _plain_info(loaded.__name__, target, kind)
    return Entry(target, info, describe, _environment(module, loaded))


def _environment(module: ModuleType, loaded: type) -> str | None:
    """The project that a class from outside runs in: a folder, seen from the file of the class."""
    named = getattr(loaded, "ENVIRONMENT", None)
    return None if named is None else str(Path(module.__file__ or ".").parent / named)


def _plain_info(title: str, target: str, kind: Kind) -> MethodInfo | MetricInfo:
    source = f"{target} (it declares no INFO)"
    if kind == "metric":
        return MetricInfo(title, Direction.MAXIMIZE, (float("-inf"), float("inf")), source)
    return MethodInfo(title, ("style audio", "content audio"), fits_per_style=True, source=source)


def resolve(entry: Entry) -> type:
    """Import and return the class of an entry.

    Raises:
        ConfigError: Its module cannot be imported.
        UnknownNameError: The module or file is not there, or lacks the class.
    """
    return load_class(entry.target)


def describe(entry: Entry, profile: Profile) -> ProfileInfo:
    """What depends on the profile of an entry: rate, longest clip, weights, licence."""
    if entry.describe is None:
        return ProfileInfo()
    place, _, function = entry.describe.rpartition(":")
    info: ProfileInfo = getattr(load_module(place), function)(profile)
    return info


def select_metrics(names: Iterable[str]) -> Mapping[str, Entry]:
    """The entries of several metrics by name, in the order given, each once.

    Raises:
        UnknownNameError: A name that the catalog does not hold.
    """
    return {name: find_metric(name) for name in names}
