"""Finding methods and metrics by name, without importing them until they are used.

The rooms `methods` and `metrics` each hold one literal dictionary; installed packages add to it
through the entry-point groups `bench.methods` and `bench.metrics` (each naming a
`bench.api.Entry`); and everywhere a name is accepted, so is `path/to/file.py:Class` or
`package.module:Class`. An entry that only names its class, and a class named by its file, say
everything else on the class itself: `INFO`, `describe` and `ENVIRONMENT` of the contract.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from bench.api import (
    ConfigError,
    Direction,
    Entry,
    MethodInfo,
    Metric,
    MetricInfo,
    Profile,
    ProfileInfo,
    StyleTransferMethod,
    UnknownNameError,
)
from bench.errors import nearest
from bench.outside.wording import one_line
from bench.plugins.loading import load_class, load_module

Kind = Literal["method", "metric"]
ROOMS: dict[Kind, tuple[str, str]] = {
    "method": ("methods", "METHODS"),
    "metric": ("metrics", "METRICS"),
}
CONTRACTS: dict[Kind, type] = {"method": StyleTransferMethod, "metric": Metric}
# How the source of a class ends that says nothing about itself.
UNDESCRIBED = "(it declares no INFO)"


def methods() -> dict[str, Entry]:
    """All methods by name: the room's own in its order, then those of installed packages."""
    return _entries("method")


def metrics() -> dict[str, Entry]:
    """All metrics by name: the room's own in its order, then those of installed packages."""
    return _entries("metric")


def built_in(name: str) -> bool:
    """Whether a method is one of this checkout's own, by its catalog name."""
    return name in _lines(*ROOMS["method"])


def _entries(kind: Kind) -> dict[str, Entry]:
    room, literal = ROOMS[kind]
    found: dict[str, Entry] = dict(_lines(room, literal))
    for point in _installed(f"bench.{room}", tuple(sys.path)):
        if point.name in found:
            raise ConfigError(
                f"{kind} {point.name!r} of {point.value} has a name that is taken; names are "
                "unique. "
                "Uninstall one of the packages or rename its entry point."
            )
        found[point.name] = _from_entry_point(point, kind)
    return {name: _complete(entry, kind) for name, entry in found.items()}


def _lines(room: str, literal: str) -> Mapping[str, Entry]:
    """The dictionary that a room's `__init__` holds."""
    lines: Mapping[str, Entry] = vars(importlib.import_module(room))[literal]
    return lines


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
            f"{kind} {point.name!r} of an installed package cannot be read ({one_line(error)}); "
            f"{point.value} "
            "must name a bench.api.Entry. Correct or uninstall that package."
        ) from error
    if not isinstance(entry, Entry):
        raise ConfigError(
            f"{kind} {point.name!r}: {point.value} is a {type(entry).__name__}; an entry point of "
            "this group names a bench.api.Entry. Correct or uninstall that package."
        )
    return entry


def find_method(name: str) -> Entry:
    """The entry of a method by catalog name, `file.py:Class` or `package.module:Class`.

    Its `info` is always given, if need be by the class.

    Raises:
        UnknownNameError: No such name, file, module or class; the message carries the nearest name.
        ConfigError: The file or module cannot be imported, or the class is not a method.
    """
    return _find(name, "method")


def find_metric(name: str) -> Entry:
    """The entry of a metric, found as `find_method` finds a method."""
    return _find(name, "metric")


def _find(name: str, kind: Kind) -> Entry:
    if ":" in name:
        return _complete(Entry(name), kind)
    known = _entries(kind)
    if name not in known:
        raise UnknownNameError(
            f"{kind} {name!r} is not in the catalog; it holds {', '.join(known)}."
            f"{nearest(name, known)} A class of your own is named path/to/file.py:Class."
        )
    return known[name]


def _complete(entry: Entry, kind: Kind) -> Entry:
    """An entry that names its class alone, with what the class says about itself."""
    if entry.info is not None:
        return entry
    loaded: Any = _class_of(entry, kind)
    info = loaded.INFO or _plain_info(loaded.__name__, entry.target, kind)
    describe = entry.describe or f"{entry.target}.describe"
    return Entry(entry.target, info, describe, entry.environment or _environment(loaded))


def _class_of(entry: Entry, kind: Kind) -> type:
    loaded, contract = resolve(entry), CONTRACTS[kind]
    if not issubclass(loaded, contract):
        raise ConfigError(
            f"{entry.target} is not a {kind}; it must derive from bench.api.{contract.__name__}. "
            "Name the class that does."
        )
    return loaded


def _environment(loaded: type[StyleTransferMethod[Any] | Metric]) -> str | None:
    """The project that a class names, whose path is relative to the file of the class."""
    if loaded.ENVIRONMENT is None:
        return None
    file = sys.modules[loaded.__module__].__file__ or "."
    return str(Path(file).parent / loaded.ENVIRONMENT)


def _plain_info(title: str, target: str, kind: Kind) -> MethodInfo | MetricInfo:
    source = f"{target} {UNDESCRIBED}"
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


def method_class(entry: Entry) -> type[StyleTransferMethod[Any]]:
    """Import and return the class of a method; raises as `resolve` does.

    Raises:
        ConfigError: The class is not a method.
    """
    return _class_of(entry, "method")


def describe(entry: Entry, profile: Profile) -> ProfileInfo:
    """What depends on the profile of an entry: rate, longest clip, weights, licence."""
    if entry.describe is None:
        return ProfileInfo()
    place, _, function = entry.describe.rpartition(":")
    info: ProfileInfo = attrgetter(function)(load_module(place))(profile)
    return info


def select_metrics(names: Iterable[str]) -> Mapping[str, Entry]:
    """The entries of several metrics by name, in the order given, each once.

    Raises:
        UnknownNameError: A name that the catalog does not hold.
    """
    return {name: find_metric(name) for name in names}
