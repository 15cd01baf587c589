"""The TOML files of this project: reading them, and saying what is wrong in which line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import BenchError, nearest
from bench.outside.texts import MOST_TOML_BYTES, BeyondLimitError, parse_toml, read_text
from bench.outside.wording import rule_of

ModelT = TypeVar("ModelT", bound=BaseModel)
Place: TypeAlias = tuple[str | int, ...]
Locator: TypeAlias = Callable[[Place], str]

_KEY = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_HEADING = re.compile(rf"\s*\[\[?\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*\]")
_SETTING = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=")

_OF_A_CHOICE = re.compile(r"^constrained-|^function-|\[")  # names of kinds that a value may have
_SHOWN = 200  # letters of a value in a message


class Declared(BaseModel):
    """Base of what is declared in TOML: frozen, no unknown keys, no guessing, finite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A file that was read, and where in it each key stands.

    Args:
        path: The file.
        values: The values in it.
        lines: The line, from 1, of each table heading and key, by its full name in parts.
    """

    path: Path
    values: dict[str, Any]
    lines: Mapping[tuple[str, ...], int]

    def at(self, place: Place) -> str:
        """`file:line` of a key, or of the nearest thing around it that has a line of its own."""
        parts = tuple(part for part in place if isinstance(part, str))
        for length in range(len(parts), 0, -1):
            if parts[:length] in self.lines:
                return f"{self.path}:{self.lines[parts[:length]]}"
        return str(self.path)

    @contextmanager
    def blamed(self, *place: str) -> Iterator[None]:
        """Put `file:line` of a key before the message of what goes wrong inside."""
        try:
            yield
        except BenchError as error:
            raise type(error)(f"{self.at(place)}: {error}") from error


def read_toml(path: Path, error: type[BenchError]) -> TomlFile:
    """Read a TOML file, raising `error` where it is missing or not TOML."""
    try:
        return _read_toml(path, error)
    except (OSError, ValueError) as cause:
        raise error(
            f"{path} cannot be read as TOML ({cause}). Correct or restore the file."
        ) from cause


def _read_toml(path: Path, error: type[BenchError]) -> TomlFile:
    text = read_text(path, MOST_TOML_BYTES)
    lines = find_lines(text)
    try:
        return TomlFile(path, parse_toml(text), lines)
    except BeyondLimitError as cause:
        where = TomlFile(path, {}, lines).at(cause.place)
        raise error(f"{where}: {cause}. Correct the value.") from cause


def find_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line, from 1, of each heading and key of a TOML text, by its full name in parts.

    Keys within an inline table count as the key that holds it.

    Example:
        >>> find_lines('name = "a"' + chr(10) + "[styles.bell]" + chr(10) + "text = 'b'")
        {('name',): 1, ('styles', 'bell'): 2, ('styles', 'bell', 'text'): 3}
    """
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), start=1):
        if heading := _HEADING.match(line):
            table = _parts(heading.group(1))
            found.setdefault(table, number)
        elif setting := _SETTING.match(line):
            found.setdefault(table + _parts(setting.group(1)), number)
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted))


def parse(
    model: type[ModelT], values: Mapping[str, Any], where: Locator, error: type[BenchError]
) -> ModelT:
    """Check values against a model, raising `error` with the place and the nearest key.

    Args:
        model: The model that they must follow.
        values: The values that were read.
        where: Names the place of a key, such as `TomlFile.at`.
        error: The class of the error to raise.
    """
    try:
        return model.model_validate(values)
    except ValidationError as cause:
        # A misspelt key is also a missing one: what stands in the file is shown first.
        # Where a value may be of several kinds, a rule of ours says more than that it is another.
        first = min(
            cause.errors(),
            key=lambda fault: (fault["type"] == "missing", fault["type"] != "value_error"),
        )
        raise error(f"{where(first['loc'])}: {_explain(first, model)}") from cause


def _explain(fault: ErrorDetails, model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in fault["loc"] if not _OF_A_CHOICE.search(str(part)))
    if fault["type"] == "extra_forbidden":
        known = _keys(model)
        meant = nearest(str(fault["loc"][-1]), known)
        return f"key {place!r} is not known.{meant or ' Remove it.'}"
    if fault["type"] == "missing":
        return f"key {place!r} is missing; it is required. Add it."
    return f"{place} is {_shown(fault['input'])}; {rule_of(fault['msg'])}. Correct the value."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _keys(model: type[BaseModel]) -> set[str]:
    """The keys of a model and of the models within it."""
    keys = set(model.model_fields)
    for item in model.model_fields.values():
        for inner in _inner_models(item.annotation):
            keys |= _keys(inner)
    return keys


def _inner_models(hint: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any type annotation
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [hint]
    return [model for part in get_args(hint) for model in _inner_models(part)]
