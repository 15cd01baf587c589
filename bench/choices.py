"""Choices of methods and their parameters: what `--methods` and suites may say.

`tve[strength=0.5|0.7,guidance_scale=3],rti` names three methods: a bar sweeps over values,
brackets hold parameters, and each variant is a method of its own in every table, under its label.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from bench.api import BenchError, ConfigError, Json, UnknownNameError
from bench.names import nearest

ParametersT = TypeVar("ParametersT")


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method with what is set by hand.

    Args:
        label: What tables print: the name and, in brackets, the overrides.
        name: Catalog name or `file.py:Class`.
        overrides: Parameters set in the choice itself; they win over those of a suite.
    """

    label: str
    name: str
    overrides: Mapping[str, Json] = field(default_factory=dict)


def parse_methods(text: str) -> list[MethodChoice]:
    """Read a list of methods with parameters and sweeps.

    Args:
        text: Such as "tve[strength=0.5|0.7,guidance_scale=3],rti". Values are true, false, none,
            whole numbers, decimals, or else text.

    Returns:
        One choice per variant; sweeps over several parameters give every combination, the last one
        fastest.

    Raises:
        ConfigError: Brackets that do not close, a parameter without a value, nothing named, or a
            variant named twice.

    Example:
        >>> [choice.label for choice in parse_methods("tve[strength=0.5|0.7],rti")]
        ['tve[strength=0.5]', 'tve[strength=0.7]', 'rti']
    """
    parts = [part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip()]
    choices = [choice for part in parts for choice in _variants(part)]
    labels = [choice.label for choice in choices]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(
            f"methods {text!r} name {twice[0]!r} twice; each may stand once. Remove one."
        )
    if not choices:
        raise ConfigError(
            f"methods {text!r} name none; give at least one, such as tve. See `list methods`."
        )
    return choices


def parse_method(text: str) -> MethodChoice:
    """Read the one method that a command works with, as `parse_methods` reads several.

    Raises:
        ConfigError: None or several are named, or a parameter has several values.
    """
    choices = parse_methods(text)
    if len(choices) > 1:
        raise ConfigError(
            f"method {text!r} names {len(choices)}; this command takes exactly one, with one value "
            f"per parameter. Choose one, such as {choices[0].label}."
        )
    return choices[0]


def _variants(part: str) -> list[MethodChoice]:
    match = re.fullmatch(r"([^\[\]]+)(?:\[([^\[\]]*)\])?", part)
    if match is None:
        raise ConfigError(
            f"method {part!r} has brackets that do not pair; parameters stand as "
            "name[key=value,key=value]. "
            "Mind that a shell wants quotes around brackets and bars."
        )
    name, inside = match.group(1).strip(), match.group(2) or ""
    settings = [_setting(item, part) for item in inside.split(",") if item.strip()]
    names = [key for key, _ in settings]
    combinations = itertools.product(*(values for _, values in settings))
    return [_choice(name, dict(zip(names, values, strict=True))) for values in combinations]


def _setting(item: str, part: str) -> tuple[str, list[Json]]:
    key, equals, values = (text.strip() for text in item.partition("="))
    if not (key and equals and values):
        raise ConfigError(
            f"method {part!r}: {item!r} is no setting; it stands as key=value. Write strength=0.5."
        )
    return key, [parse_value(value.strip()) for value in values.split("|")]


def _choice(name: str, overrides: dict[str, Json]) -> MethodChoice:
    inside = ",".join(f"{key}={_spell(value)}" for key, value in overrides.items())
    return MethodChoice(f"{name}[{inside}]" if inside else name, name, overrides)


def _spell(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def parse_value(text: str) -> Json:
    """Read true, false, none, a whole number or a decimal; anything else stays text."""
    words: dict[str, Json] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def make_parameters(cls: type[ParametersT], overrides: Mapping[str, Json]) -> ParametersT:
    """Build a method's `Parameters` from its defaults and some overrides, with types checked.

    Args:
        cls: A frozen dataclass.
        overrides: Values by field name; a whole number is a fine decimal, a list a fine tuple.

    Raises:
        UnknownNameError: A name that is no field; the message carries the nearest.
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
        raise ConfigError(f"parameters {dict(overrides)}: {error}") from error


def _fields(parameters: object) -> tuple[dataclasses.Field[Any], ...]:
    if not dataclasses.is_dataclass(parameters):
        raise TypeError(f"{parameters!r} is no dataclass; `Parameters` of a method must be one.")
    return dataclasses.fields(parameters)


def _checked(key: str, value: Json, types: Mapping[str, Any], names: Iterable[str]) -> object:
    if key not in names:
        raise UnknownNameError(
            f"parameter {key!r} is not known; this method has "
            f"{', '.join(names) or 'none'}.{nearest(key, names)}"
        )
    try:
        return TypeAdapter(types[key]).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise ConfigError(
            f"parameter {key} is {value!r}; {error.errors()[0]['msg']}. Give a "
            f"{_type_name(types[key])}."
        ) from error


def _type_name(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def split_parameters(parameters: object) -> tuple[dict[str, Json], dict[str, Json]]:
    """Split the values of a `Parameters` instance, as JSON, into (of the fit, of the transfer).

    Raises:
        ValueError: A field whose metadata names neither role: a mistake in the method.
    """
    groups: dict[str, dict[str, Json]] = {"fit": {}, "transfer": {}}
    for item in _fields(parameters):
        role = item.metadata.get("role")
        if role not in groups:
            raise ValueError(
                f"{type(parameters).__name__}.{item.name} has role {role!r}; its metadata must say "
                '{"role": "fit"} or {"role": "transfer"}.'
            )
        groups[role][item.name] = json.loads(json.dumps(getattr(parameters, item.name)))
    return groups["fit"], groups["transfer"]
