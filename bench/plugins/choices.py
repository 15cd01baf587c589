"""Reading choices of methods and their parameters, as `--methods` and suites write them.

`tve[strength=0.5|0.7,guidance_scale=3],rti` names three methods: a bar sweeps over values,
brackets hold parameters, and each variant is a method of its own in every table, under its label.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.api import ConfigError, Json


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method with the parameters that are set by hand.

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
    """Read a choice that must name exactly one method, in the notation of `parse_methods`.

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
            f"method {part!r} has brackets that do not pair; parameters are written "
            "name[key=value,key=value]. A shell needs quotes around brackets and bars."
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
            f"method {part!r}: {item!r} is not a setting; one is written key=value. "
            "Write strength=0.5."
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
