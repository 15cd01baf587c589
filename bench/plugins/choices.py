"""Reading choices of methods and their parameters, as `--methods` and suites write them.

`tve[strength=0.5|0.7,guidance_scale=3],rti` names three methods: a bar sweeps over values,
brackets hold parameters, and each variant is a method of its own in every table, under its label.
A name or value that begins with a quotation mark ends with the next: `"./a, b.py:Mine"[words="x"]`.
`outputs:FOLDER[title=X]` names outputs that were made elsewhere; the same rules hold for FOLDER.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.api import ConfigError, Json
from bench.description import MADE_ELSEWHERE, is_made_elsewhere
from bench.outside.names import composed

MOST_VARIANTS = 1000  # of one method
_QUOTED = r"""(?:"[^"]*"|'[^']*')"""
_QUOTED_AT_BEGINNING = rf"(?<![^,\[|=\s]){_QUOTED}"


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
            whole numbers, decimals, or else text; what is quoted is text.

    Returns:
        One choice per variant; sweeps over several parameters give every combination, the last one
        fastest.

    Raises:
        ConfigError: Brackets that do not close, a parameter without a value, nothing named, or a
            variant named twice.

    Example:
        >>> [choice.label for choice in parse_methods("tve[strength=0.5|0.7],rti")]
        ['tve[strength=0.5]', 'tve[strength=0.7]', 'rti']
        >>> parse_methods("'./a, b.py:Mine'[words='x, y']")[0].name
        './a, b.py:Mine'
    """
    choices = [choice for part in _split(text, ",") for choice in _variants(part)]
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


def parse_names(text: str) -> list[str]:
    """Read a list of names, in which a name with a comma may be quoted.

    Raises:
        ConfigError: A quotation mark has no partner.

    Example:
        >>> parse_names("cp, './my, own.py:Score'")
        ['cp', './my, own.py:Score']
    """
    return [_unquoted(part) for part in _split(text, ",")]


def _variants(part: str) -> list[MethodChoice]:
    name, inside = _name_and_inside(part)
    settings = [_setting(item, part) for item in _split(inside, ",")]
    names = [key for key, _ in settings]
    twice = sorted({key for key in names if names.count(key) > 1})
    if twice:
        raise ConfigError(
            f"method {part!r} sets {twice[0]!r} twice; each parameter stands once. Sweep with a "
            "bar, as in strength=0.5|0.7."
        )
    count = math.prod(len(values) for _, values in settings)
    if count > MOST_VARIANTS:
        raise ConfigError(
            f"method {part!r} sweeps over {count} variants; at most {MOST_VARIANTS} are possible. "
            "Name fewer values."
        )
    combinations = itertools.product(*(values for _, values in settings))
    return [make_choice(name, dict(zip(names, values, strict=True))) for values in combinations]


def _name_and_inside(part: str) -> tuple[str, str]:
    match = re.fullmatch(rf"({_QUOTED}|[^\[\]]+?)\s*(?:\[((?:{_QUOTED}|[^\[\]])*)\])?", part)
    if match is None:
        raise ConfigError(
            f"method {part!r} has brackets that do not pair; parameters are written "
            "name[key=value,key=value]. A shell needs quotes around brackets and bars; a path with "
            "brackets or commas is quoted within them."
        )
    return _unquoted(match.group(1)), match.group(2) or ""


def _setting(item: str, part: str) -> tuple[str, list[Json]]:
    key, equals, values = (text.strip() for text in item.partition("="))
    if not (key and equals and values):
        raise ConfigError(
            f"method {part!r}: {item!r} is not a setting; one is written key=value. "
            "Write strength=0.5."
        )
    chosen = _split(values, "|", empty=True)
    if not all(chosen):
        raise ConfigError(
            f"method {part!r}: {item!r} leaves a value between its bars empty; a sweep names each. "
            f"Write {key}={'|'.join(filter(None, chosen)) or '0.5|0.7'}."
        )
    return key, [parse_value(value) for value in chosen]


def _split(text: str, separator: str, *, empty: bool = False) -> list[str]:
    """The parts between separators outside brackets and quotation marks, with empty ones or not.

    A quotation mark counts where a name or value begins; elsewhere it is a letter.
    """
    pieces = re.findall(rf"{_QUOTED_AT_BEGINNING}|.", text, re.DOTALL)
    parts, depth = [""], 0
    for piece in pieces:
        depth += {"[": 1, "]": -1}.get(piece, 0)
        if piece == separator and depth <= 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts if empty or part.strip()]


def _unquoted(text: str) -> str:
    """A name without its quotation marks."""
    if text[:1] not in {"'", '"'}:
        return text
    if re.fullmatch(_QUOTED, text) is None:
        raise ConfigError(
            f"{text!r} begins with a quotation mark that has no partner at its end; a quoted name "
            "ends with the mark that it began with. Add the other one."
        )
    return text[1:-1]


def quoted(text: str) -> str:
    """A name as `parse_methods` and `parse_names` read it back: quoted where it has to be.

    Example:
        >>> quoted("rti"), quoted("./a, b.py:Mine")
        ('rti', '"./a, b.py:Mine"')
    """
    begins_bare = text[:1] not in {"", "'", '"'}
    if begins_bare and text == text.strip() and not set(text) & set(",[]|="):
        return text
    mark = "'" if '"' in text else '"'
    return f"{mark}{text}{mark}"


def make_choice(name: str, overrides: dict[str, Json]) -> MethodChoice:
    """A method with settings, under a label that `parse_methods` reads back as the same.

    Example:
        >>> make_choice("m", {"steps": 5, "melody": None, "word": "none"}).label
        'm[steps=5,melody=none,word="none"]'
    """
    inside = ",".join(f"{key}={_spell(value)}" for key, value in overrides.items())
    name = _one_spelling(name) if is_made_elsewhere(name) else name
    label = quoted(name) if set(name) & set(",[]") or name != name.strip() else name
    return MethodChoice(f"{label}[{inside}]" if inside else label, name, overrides)


def _one_spelling(name: str) -> str:
    """The name of a folder of outputs, which a shell may complete with a slash at its end.

    Example:
        >>> _one_spelling("outputs:path/to/theirs/")
        'outputs:path/to/theirs'
    """
    return composed(name.rstrip("/")) if name.strip("/") != MADE_ELSEWHERE else name


def _spell(value: Json) -> str:
    """A value as `parse_value` reads it back."""
    if not isinstance(value, str):
        return "none" if value is None else json.dumps(value)
    is_text = value[:1] in {"'", '"'} or isinstance(parse_value(value), str)
    return quoted(value) if is_text else f'"{value}"'


def parse_value(text: str) -> Json:
    """Read true, false, none, a whole number or a finite decimal; anything else stays text.

    Example:
        >>> parse_value("0.5"), parse_value("nan"), parse_value("'0.5'")
        (0.5, 'nan', '0.5')
    """
    words: dict[str, Json] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        return value if math.isfinite(value) else text
    return _unquoted(text)
