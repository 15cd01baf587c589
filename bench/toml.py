"""TOML files of this project: reading them and saying what is wrong in them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.api import BenchError
from bench.names import nearest

ModelT = TypeVar("ModelT", bound=BaseModel)


class Declared(BaseModel):
    """Base of what is declared in TOML: frozen, no unknown keys, no guessing of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def read_toml(path: Path, error: type[BenchError]) -> dict[str, Any]:
    """Read a TOML file, raising `error` where it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise error(
            f"{path} cannot be read as TOML ({cause}). Mend or restore the file."
        ) from cause


def parse(
    model: type[ModelT], values: Mapping[str, Any], where: str, error: type[BenchError]
) -> ModelT:
    """Check values against a model, raising `error` with the place and the nearest key."""
    try:
        return model.model_validate(values)
    except ValidationError as cause:
        raise error(f"{where}: {_explain(cause, model)}") from cause


def _explain(cause: ValidationError, model: type[BaseModel]) -> str:
    first = cause.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys(model)
        return f"key {place!r} is not known.{nearest(str(first['loc'][-1]), known)} Remove it."
    if first["type"] == "missing":
        return f"key {place!r} is missing; it is required. Add it."
    return f"{place} is {first['input']!r}; {first['msg']}. Correct the value."


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
