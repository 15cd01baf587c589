"""Finding methods and metrics by name, without importing them until they are used.

What comes from outside is never imported in this process at all, but in a worker process that says
what must be known of it (`bench.plugins.inspection`).

The rooms `methods` and `metrics` each hold one literal dictionary; installed packages add to it
through the entry-point groups `bench.methods` and `bench.metrics` (each naming a
`bench.api.Entry`); and everywhere a name is accepted, so is `path/to/file.py:Class` or
`package.module:Class`. An entry that only names its class, and a class named by its file, say
everything else on the class itself: `INFO`, `describe` and `ENVIRONMENT` of the contract.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from typing import Any

from bench.api import (
    BenchError,
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
from bench.description import is_made_elsewhere
from bench.errors import nearest
from bench.outside.elsewhere import entry_elsewhere
from bench.outside.wording import one_line
from bench.plugins.choices import parse_method
from bench.plugins.inspection import Kind, ask, inspected, is_outside
from bench.plugins.loading import load_class, load_module

ROOMS: dict[Kind, tuple[str, str]] = {
    "method": ("methods", "METHODS"),
    "metric": ("metrics", "METRICS"),
}
CONTRACTS: dict[Kind, type] = {"method": StyleTransferMethod, "metric": Metric}
# How the source of a class ends that says nothing about itself.
UNDESCRIBED = "(it declares no INFO)"


class Catalog(Mapping[str, Entry]):
    """Entries by name; one of an installed package is read when it is first asked for.

    A metric with settings is asked for by its whole name, `cp@music[checkpoint=x.pt]`.

    Args:
        kind: What the entries are.
        own: The room's own entries by name.
        installed: The entry points of installed packages.
    """

    def __init__(
        self, kind: Kind, own: Mapping[str, Entry], installed: Iterable[EntryPoint]
    ) -> None:
        self._kind = kind
        self._own = own
        self._installed = {point.name: point for point in installed}

    def __getitem__(self, name: str) -> Entry:
        """The entry of a name, complete; raises KeyError, and as `find_method` does."""
        own = self._own.get(name)
        if own is None and self._kind == "metric" and "[" in name and name not in self._installed:
            return _with_settings(name, self)
        entry = _from_entry_point(self._installed[name], self._kind) if own is None else own
        return _complete(entry, self._kind)

    def __iter__(self) -> Iterator[str]:
        """The names: the room's own in its order, then those of installed packages."""
        return iter([*self._own, *self._installed])

    def __len__(self) -> int:
        """How many there are."""
        return len(self._own) + len(self._installed)


def _with_settings(name: str, known: Mapping[str, Entry]) -> Entry:
    """The entry of a metric with the settings that its name holds in brackets.

    Raises:
        KeyError: No metric has the name before the brackets.
        ConfigError: It has no settings, or not these values of them.
        UnknownNameError: It has no setting of this name.
    """
    from bench.plugins.parameters import make_parameters  # pydantic takes time

    choice = parse_method(name)
    entry = known[choice.name]
    if entry.parameters is None or is_outside(entry.target):
        having = ", ".join(one for one in known if known[one].parameters)
        raise ConfigError(
            f"metric {name!r} has settings in brackets; {choice.name} takes none. Leave them out; "
            f"those with settings are {having}."
        )
    make_parameters(load_class(entry.parameters), choice.overrides)
    settings: Any = tuple(choice.overrides.items())
    return replace(entry, settings=settings, info=_with_brackets(entry.info, name), name=name)


def _with_brackets(info: MethodInfo | MetricInfo | None, name: str) -> MetricInfo:
    """The description of a metric whose title shows its settings."""
    if not isinstance(info, MetricInfo):
        raise ConfigError(f"{name} is no metric; settings are those of one. Correct its entry.")
    return replace(info, title=f"{info.title} [{name.partition('[')[2]}")


def methods() -> Catalog:
    """All methods by name: the room's own in its order, then those of installed packages."""
    return _catalog("method")


def metrics() -> Catalog:
    """All metrics by name: the room's own in its order, then those of installed packages."""
    return _catalog("metric")


def _catalog(kind: Kind) -> Catalog:
    room, literal = ROOMS[kind]
    own: Mapping[str, Entry] = vars(importlib.import_module(room))[literal]
    installed = _installed(f"bench.{room}", tuple(sys.path))
    for point in installed:
        if point.name in own or [one.name for one in installed].count(point.name) > 1:
            raise ConfigError(
                f"{kind} {point.name!r} of {point.value} has a name that is taken; names are "
                "unique. Uninstall one of the packages or rename its entry point."
            )
    return Catalog(kind, own, installed)


@lru_cache(maxsize=8)
def _installed(group: str, search_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of a group by name; looking through every package takes 50 ms."""
    del search_path  # only a key of the cache: another path, other packages
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def _from_entry_point(point: EntryPoint, kind: Kind) -> Entry:
    try:
        found: Entry = ask(point.value.partition(":")[0], "entry", point.value)
    except BenchError as error:
        raise ConfigError(
            f"{kind} {point.name!r} of an installed package cannot be read ({one_line(error)}); "
            f"{point.value} must name a bench.api.Entry. Correct or uninstall that package."
        ) from error
    return found


def find_method(name: str) -> Entry:
    """The entry of a method by catalog name, `file.py:Class` or `package.module:Class`.

    A name such as `outputs:FOLDER` stands for what was made elsewhere. Its `info` is always given,
    if need be by the class.

    Raises:
        UnknownNameError: No such name, file, module or class; the message carries the nearest name.
        ConfigError: The file or module cannot be imported, or the class is not a method.
    """
    return _find(name, "method")


def find_metric(name: str) -> Entry:
    """The entry of a metric, found as `find_method` finds a method."""
    return _find(name, "metric")


def _find(name: str, kind: Kind) -> Entry:
    if kind == "method" and is_made_elsewhere(name):
        return entry_elsewhere(name)
    head, _, brackets = name.partition("[")
    known = _catalog(kind)
    # A colon in brackets is one of a setting, unless a folder has brackets in its name.
    if ":" in head or (":" in brackets and head not in known):
        return _complete(Entry(name), kind)
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
    describe = entry.describe or f"{entry.target}.describe"
    if is_outside(entry.target):
        said = inspected(entry.target)
        _require_kind(entry, kind, said.kind == kind)
        info, environment = said.info, said.environment
    else:
        loaded: Any = _class_of(entry, kind)
        info, environment = loaded.INFO, loaded.ENVIRONMENT
    info = info or _plain_info(entry.target.rpartition(":")[2], entry.target, kind)
    return Entry(entry.target, info, describe, entry.environment or environment)


def _class_of(entry: Entry, kind: Kind) -> type:
    loaded = resolve(entry)
    _require_kind(entry, kind, issubclass(loaded, CONTRACTS[kind]))
    return loaded


def _require_kind(entry: Entry, kind: Kind, is_one: bool) -> None:
    if not is_one:
        raise ConfigError(
            f"{entry.target} is not a {kind}; it must derive from bench.api."
            f"{CONTRACTS[kind].__name__}. Name the class that does."
        )


def kind_name(target: str) -> Kind | None:
    """Whether a class, `file.py:Class` or `package.module:Class`, is a method or a metric."""
    if is_outside(target):
        return inspected(target).kind
    loaded = load_class(target)
    kinds = [kind for kind, contract in CONTRACTS.items() if issubclass(loaded, contract)]
    return kinds[0] if kinds else None


def _plain_info(title: str, target: str, kind: Kind) -> MethodInfo | MetricInfo:
    source = f"{target} {UNDESCRIBED}"
    if kind == "metric":
        return MetricInfo(title, Direction.MAXIMIZE, (float("-inf"), float("inf")), source)
    return MethodInfo(title, ("style audio", "content audio"), fits_per_style=True, source=source)


def resolve(entry: Entry) -> type:
    """Import and return the class of an entry, in this process.

    Raises:
        ConfigError: Its module cannot be imported.
        UnknownNameError: The module or file is not there, or lacks the class.
    """
    return load_class(entry.target)


def method_class(entry: Entry) -> type[StyleTransferMethod[Any]]:
    """Import and return the class of a method, in this process; raises as `resolve` does.

    Raises:
        ConfigError: The class is not a method.
    """
    return _class_of(entry, "method")


def describe(entry: Entry, profile: Profile) -> ProfileInfo:
    """What depends on the profile of an entry: rate, longest clip, weights, licence."""
    if entry.describe is None:
        return ProfileInfo()
    place, _, function = entry.describe.rpartition(":")
    if entry.describe == f"{entry.target}.describe" and is_outside(entry.target):
        return inspected(entry.target).profile(profile)
    info: ProfileInfo = (
        ask(place, "describe", entry.describe, profile)
        if is_outside(entry.describe)
        else attrgetter(function)(load_module(place))(profile, **dict(entry.settings))
    )
    return info


def select_metrics(names: Iterable[str]) -> Mapping[str, Entry]:
    """The entries of several metrics by name, in the order given, each once.

    Raises:
        UnknownNameError: A name that the catalog does not hold.
    """
    return {name: find_metric(name) for name in names}
