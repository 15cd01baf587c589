"""Presets: published choices of parameters, and the values set by hand that win over them.

A parameter that a preset decides is None by default, which means "as the preset has it".
"""

from __future__ import annotations

from typing import TypeVar

Value = TypeVar("Value")


def choose(value: Value | None, otherwise: Value) -> Value:
    """The value set by hand, or the preset's where none was set.

    Example:
        >>> choose(None, 100), choose(0, 100)
        (100, 0)
    """
    return otherwise if value is None else value
