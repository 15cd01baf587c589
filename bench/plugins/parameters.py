"""The parameters of a method: from values by name to its `Parameters`, and back to JSON.

The metadata of each field says whether the fit or the transfer uses the field, or whether it
decides which model is loaded.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.api import BenchError, ConfigError, Json, UnknownNameError
from bench.errors import nearest
from bench.files import of_style
from bench.outside.texts import require_limits
from bench.outside.wording import one_line, rule_of
from bench.plugins.wire import Values

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ParametersT = TypeVar("ParametersT")
MODEL = "model"  # the role of what decides which model is loaded
FILE = "file"  # in the metadata of a field whose value is the path of a file that a fit reads
_SHOWN = 40  # letters of a value in a message
_NAMES: Mapping[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    NoneType: "none",
}


def make_parameters(cls: type[ParametersT], overrides: Mapping[str, Json]) -> ParametersT:
    """Build a method's `Parameters` from its defaults and some overrides, with types checked.

    Args:
        cls: A frozen dataclass.
        overrides: Values by field name. A whole number may stand for a decimal, a list for a tuple.

    Raises:
        UnknownNameError: No field has this name; the message carries the nearest.
        ConfigError: A value of the wrong type or, by the class's own check, out of range.
    """
    types = get_type_hints(cls)
    names = [item.name for item in _fields(cls)]
    values = {key: _checked(key, value, types, names) for key, value in overrides.items()}
    try:
        return cls(**values)
    except BenchError:
        raise
    except ValueError as error:
        raise ConfigError(f"parameters {dict(overrides)}: {one_line(error)}") from error


def split_parameters(parameters: object) -> tuple[dict[str, Json], dict[str, Json]]:
    """Split the values of a `Parameters` instance, or those of one elsewhere, as JSON, by role.

    What decides the model is used by the fit. Where it has its default it is left out, so that a
    method that gains another model keeps the names of all that it has made.

    Returns:
        The values that the fit uses, and those that the transfer uses.

    Raises:
        ValueError: The metadata of a field names no role: a mistake in the method.
    """
    if isinstance(parameters, Values):
        return dict(parameters.fit), dict(parameters.transfer)
    groups: dict[str, dict[str, Json]] = {"fit": dict(model_settings(parameters)), "transfer": {}}
    for item in _fields(parameters):
        role = item.metadata.get("role")
        if role == MODEL:
            continue
        if role not in groups:
            raise ValueError(
                f"{type(parameters).__name__}.{item.name} has role {role!r}; its metadata must say "
                '{"role": "fit"} or {"role": "transfer"}.'
            )
        groups[role][item.name] = json.loads(json.dumps(getattr(parameters, item.name)))
    return groups["fit"], groups["transfer"]


def model_settings(parameters: object) -> tuple[tuple[str, str], ...]:
    """The values that decide which model is loaded, where they differ from their defaults."""
    if isinstance(parameters, Values):  # of a method from outside, which has one model
        return ()
    values = [
        (item.name, str(getattr(parameters, item.name)), item.default)
        for item in _fields(parameters)
        if item.metadata.get("role") == MODEL
    ]
    return tuple((name, value) for name, value, usual in values if value != usual)


def named_files(parameters: object, style: str) -> dict[str, Path]:
    """The files that parameters name for a style, by field; `{style}` in a path is its name.

    Raises:
        ConfigError: One is not there; the message names the field.
    """
    if isinstance(parameters, Values):
        named = {name: parameters.values[name] for name in parameters.files}
    else:
        fields = [item for item in _fields(parameters) if item.metadata.get(FILE)]
        named = {item.name: getattr(parameters, item.name) for item in fields}
    found = {name: of_style(str(value), style) for name, value in named.items() if value}
    for name, path in found.items():
        if not path.is_file():
            raise ConfigError(
                f"{name} names {path} for style {style!r}, which is not a file. Check the path, or "
                "leave it out."
            )
    return found


def _fields(parameters: object) -> tuple[dataclasses.Field[Any], ...]:
    if not dataclasses.is_dataclass(parameters):
        raise TypeError(f"{parameters!r} is not a dataclass; `Parameters` of a method must be one.")
    return dataclasses.fields(parameters)


def _checked(key: str, value: Json, types: Mapping[str, Any], names: Iterable[str]) -> object:
    if key not in names:
        raise UnknownNameError(
            f"parameter {key!r} is not known; this method has "
            f"{', '.join(names) or 'none'}.{nearest(key, names)}"
        )
    if value is None and "none" in get_args(types[key]):
        value = "none"  # the command line reads this word as nothing; here it is one of the choices
    try:
        require_limits(value)
    except ValueError as error:
        raise ConfigError(_no_number(key, value)) from error
    from pydantic import ValidationError  # not where only defaults are asked for

    try:
        return _reader(types[key]).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        if isinstance(value, str) and _is_endless(value):
            raise ConfigError(_no_number(key, value)) from error
        raise ConfigError(
            f"parameter {key} is {value!r}; {rule_of(error.errors()[0]['msg'])}. Give "
            f"{_in_words(types[key])}."
        ) from error


@lru_cache(maxsize=256)  # making one takes ten times as long as using it, for each style again
def _reader(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type, or a union of some
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _is_endless(text: str) -> bool:
    """Whether a text is meant as a number, and that is none or not finite."""
    try:
        return not math.isfinite(float(text))
    except ValueError:
        return False


def _no_number(key: str, value: Json) -> str:
    shown = str(value) if len(str(value)) <= _SHOWN else f"{str(value)[:_SHOWN]}..."
    return (
        f"parameter {key} is {shown}; numbers are finite and whole ones below 2^63. Give another."
    )


def _in_words(hint: object) -> str:
    """A type as a reader would name it.

    Example:
        >>> _in_words(int | None), _in_words(Literal["on", "off"]), _in_words(tuple[int, ...])
        ('a whole number or none', 'on or off', 'tuple[int, ...]')
    """
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        return " or ".join(map(_in_words, get_args(hint)))
    return _NAMES.get(hint, hint.__name__ if isinstance(hint, type) else str(hint))
