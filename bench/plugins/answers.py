"""What only a plug-in's own code can say, asked where it may be imported: in a worker process.

`bench.plugins.inspection` asks from the process of the run, which imports nothing from outside.
Everything that leaves here has been checked: a description is of the contract's own classes, with
values of the right types.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from bench.api import (
    Conditioning,
    ConfigError,
    Entry,
    Json,
    MethodInfo,
    Metric,
    MetricInfo,
    Profile,
    ProfileInfo,
    StyleState,
    StyleTransferMethod,
)
from bench.description import given_of
from bench.outside.wording import one_line
from bench.plugins.loading import load_class, load_module
from bench.plugins.own_files import own_files
from bench.plugins.parameters import FILE, make_parameters, model_settings, split_parameters

ValueT = TypeVar("ValueT", bound="MethodInfo | MetricInfo | ProfileInfo")
PROFILES: tuple[Profile, ...] = ("mini", "full")


def inspect(target: str) -> dict[str, object]:
    """What a class says about itself, and the files that importing it took.

    Returns:
        `kind` ("method", "metric" or None), `info`, `environment` (absolute path), `family`,
        `profiles` (by profile a `ProfileInfo`, or in words why there is none), `files`.

    Raises:
        UnknownNameError: The module or file is not there, or lacks the class.
        ConfigError: It cannot be imported, or says something of the wrong type.
    """
    files = own_files(target.rpartition(":")[0])
    loaded: Any = load_class(target)
    kind = _kind_of(loaded)
    if kind is None:
        return {"kind": None, "files": files}
    return {
        "kind": kind,
        "info": _info(target, loaded),
        "environment": _environment(target, loaded),
        "family": _text(f"{target}.family", getattr(loaded, "family", None)),
        "profiles": {profile: _profile(target, loaded, profile) for profile in PROFILES},
        "files": files,
    }


def _kind_of(loaded: type) -> str | None:
    if issubclass(loaded, StyleTransferMethod):
        return "method"
    return "metric" if issubclass(loaded, Metric) else None


def _info(target: str, loaded: type[StyleTransferMethod[Any] | Metric]) -> object:
    info: object = loaded.INFO
    if info is None:
        return None
    if not isinstance(info, MethodInfo | MetricInfo):
        raise ConfigError(
            f"{target}.INFO is a {type(info).__name__}; it must be a bench.api.MethodInfo or "
            "MetricInfo. Correct it."
        )
    return _checked(f"{target}.INFO", type(info), info)


def _environment(target: str, loaded: type[StyleTransferMethod[Any] | Metric]) -> str | None:
    """The project that a class names, whose path is relative to the file of the class."""
    named = _text(f"{target}.ENVIRONMENT", loaded.ENVIRONMENT)
    if named is None:
        return None
    return str(_folder_of(loaded) / named)


def _folder_of(loaded: type) -> Path:
    return Path(sys.modules[loaded.__module__].__file__ or ".").parent


def _text(what: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise ConfigError(f"{what} is {value!r:.60}; it must be text or None. Correct it.")


def _profile(target: str, loaded: Any, profile: Profile) -> ProfileInfo | str:  # noqa: ANN401 - a method or metric
    """What the class says about a profile; a mistake in one must not stop a run of the other."""
    try:
        said = _checked(f"{target}.describe", ProfileInfo, loaded.describe(profile))
    except Exception as error:  # noqa: BLE001 - whatever a plug-in raises is said where it is asked
        words = f"{type(error).__name__}: {one_line(error)}"
        return f"{target} cannot describe its profile {profile} ({words})"
    return _with_places(said, _folder_of(loaded))


def _with_places(said: ProfileInfo, folder: Path) -> ProfileInfo:
    """Weights that lie beside the class, by their whole paths."""
    weights = tuple(
        str(folder / name) if not name.startswith("hub:") and (folder / name).exists() else name
        for name in said.weights
    )
    return dataclasses.replace(said, weights=weights)


def _checked(what: str, kind: type[ValueT], value: object) -> ValueT:
    """A dataclass of the contract with its values checked and, where numpy's, made plain.

    Raises:
        ConfigError: A value is of another type.
    """
    if not isinstance(value, kind):
        raise ConfigError(
            f"{what} gives a {type(value).__name__}, not a {kind.__name__}. Correct it."
        )
    values = _plain({item.name: getattr(value, item.name) for item in dataclasses.fields(kind)})
    types = get_type_hints(kind)
    if all(_is_plainly(one, types[name]) for name, one in values.items()):
        return kind(**values)
    from pydantic import TypeAdapter, ValidationError  # half of this process's start

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place, words = ".".join(map(str, first["loc"])), first["msg"]
        raise ConfigError(
            f"{what} is wrong at {place or 'a value'}: {words}. Correct it."
        ) from error


def _is_plainly(value: object, kind: Any) -> bool:  # noqa: ANN401 - an annotation
    """Whether a value is of a type beyond doubt; what is not is left to be read or refused.

    Example:
        >>> _is_plainly(("a", "b"), tuple[str, ...]), _is_plainly(3, float | None)
        (True, False)
    """
    within = get_args(kind)
    if get_origin(kind) is Literal:
        return type(value) is str and value in within
    if get_origin(kind) is tuple:
        items = value if type(value) is tuple else ()
        each = within[:1] * len(items) if within[-1] is ... else within
        return items is value and len(items) == len(each) and all(map(_is_plainly, items, each))
    if within:
        return any(_is_plainly(value, one) for one in within)
    return type(value) is kind


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a dataclass
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


def entry(value: str) -> Entry:
    """The line of a catalog that an installed package's entry point names, "module:attribute".

    Raises:
        ConfigError: There is none, or it is no `Entry`.
    """
    place, _, name = value.partition(":")
    found: object = attrgetter(name)(load_module(place))
    if not isinstance(found, Entry):
        raise ConfigError(
            f"{value} is a {type(found).__name__}; an entry point of this group names a "
            "bench.api.Entry. Correct or uninstall that package."
        )
    info = None if found.info is None else _checked(f"{value}.info", type(found.info), found.info)
    return dataclasses.replace(found, info=info)


def describe(function: str, profile: Profile) -> ProfileInfo:
    """What the function "module:function" of a catalog's line says about a profile."""
    place, _, name = function.rpartition(":")
    return _checked(function, ProfileInfo, attrgetter(name)(load_module(place))(profile))


def parameters(target: str, overrides: Mapping[str, Json]) -> dict[str, object]:
    """The parameters of a method with some overrides, checked by its own class.

    Returns:
        `values` by name, and their JSON by role, as `split_parameters` gives it: `fit`, `transfer`;
        `files`, the names of those that are paths of files.
    """
    made: Any = make_parameters(_method(target).Parameters, overrides)
    if model_settings(made):
        raise ConfigError(
            f"{target} chooses its model by {dict(model_settings(made))}; only a method of the "
            "catalog may. Give each model a class of its own."
        )
    fit, transfer = split_parameters(made)
    values = {item.name: getattr(made, item.name) for item in dataclasses.fields(made)}
    files = tuple(item.name for item in dataclasses.fields(made) if item.metadata.get(FILE))
    return {"values": values, "fit": fit, "transfer": transfer, "files": files}


def given(
    target: str, overrides: Mapping[str, Json], usually: tuple[Conditioning, ...]
) -> tuple[Conditioning, ...]:
    """What a method is given with some overrides, as its own parameters say."""
    said: object = given_of(make_parameters(_method(target).Parameters, overrides), usually)
    if isinstance(said, tuple) and all(what in get_args(Conditioning) for what in said):
        return said
    raise ConfigError(
        f"the parameters of {target} say that it is given {said!r:.60}; it must be a tuple of "
        f"{', '.join(get_args(Conditioning))}. Correct it."
    )


def departures(target: str, values: Mapping[str, Any], profile: Profile) -> tuple[str, ...]:
    """Where a method with these parameters departs from its source, in clauses of text."""
    kind = _method(target)
    said: object = kind.departures(kind.Parameters(**values), profile)
    if isinstance(said, tuple) and all(isinstance(clause, str) for clause in said):
        return said
    raise ConfigError(f"{target}.departures gives {said!r:.60}, not a tuple of texts. Correct it.")


def transition(target: str, first: StyleState, second: StyleState) -> StyleState:
    """One state for a piece that goes from one style to another."""
    made: object = _method(target).transition(first, second)
    if isinstance(made, StyleState):
        return made
    raise ConfigError(f"{target}.transition gives a {type(made).__name__}, not a StyleState.")


def _method(target: str) -> Any:  # noqa: ANN401 - a class of methods
    return load_class(target)


QUESTIONS: Mapping[str, Callable[..., object]] = {
    question.__name__: question
    for question in (inspect, entry, describe, parameters, given, departures, transition)
}
