"""From one style to another within a piece: what lies between two of everything.

Window by window the contexts of the style, the noise, the strength and the guidance scale go from
those of the first style to those of the second. The ends are exact: the first window is what the
first style alone gives, the last what the second gives.

**Conventions**: amounts lie in [0, 1], 0 is the first style. A state of a transition holds the
arrays of both under "first/" and "second/".

References:
    Forsgren and Martiros (2022), Riffusion, interpolation of prompts and seeds. Departure: a piece
    of one window is rendered half-way, where the original stays at the first style.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from bench.api import ConfigError, Json, StyleState
from methods.riffusion.conditioning import ContextTable
from methods.riffusion.parameters.edits import AnySampling

# Nearly parallel vectors are interpolated on the straight line, as in Riffusion.
_PARALLEL = 0.9995
SamplingT = TypeVar("SamplingT", bound=AnySampling)


@dataclass(frozen=True, slots=True)
class TransitionSettings:
    """What a transition may change beside the style.

    Args:
        strength: At the end; None keeps that of the start.
        guidance_scale: At the end; None keeps that of the start.
        curve: Above 1 the ends are left slowly and the middle is passed fast, below 1 the other
            way; positive.
    """

    strength: float | None = None
    guidance_scale: float | None = None
    curve: float = 1.0

    def __post_init__(self) -> None:
        """Check the curve; the rest is checked with the settings it enters."""
        if self.curve <= 0:
            raise ConfigError(f"curve is {self.curve}; it must be positive. Use 1.")

    def end(self, start: SamplingT) -> SamplingT:
        """The settings of the last window."""
        return replace(
            start,
            strength=start.strength if self.strength is None else self.strength,
            guidance_scale=(
                start.guidance_scale if self.guidance_scale is None else self.guidance_scale
            ),
        )


def join_states(
    first: StyleState, second: StyleState, settings: TransitionSettings | None = None
) -> StyleState:
    """One state for the way from one style to another, which can be saved like any other."""
    chosen = settings or TransitionSettings()
    ends = {"first": first, "second": second}
    ending: dict[str, Json] = {
        "strength": chosen.strength,
        "guidance_scale": chosen.guidance_scale,
        "curve": chosen.curve,
    }
    return StyleState(
        arrays={
            f"{end}/{name}": a for end, state in ends.items() for name, a in state.arrays.items()
        },
        meta={
            "transition": ending,
            **{end: dict(state.meta) for end, state in ends.items()},
        },
    )


@dataclass(frozen=True, slots=True, eq=False)
class Transition:
    """The two styles of a joined state."""

    first: StyleState
    second: StyleState
    settings: TransitionSettings


def split_state(state: StyleState) -> Transition | None:
    """The two styles that were joined; None for the state of one style."""
    ending = state.meta.get("transition")
    if not isinstance(ending, Mapping):
        return None
    settings = TransitionSettings(
        _number(ending["strength"]),
        _number(ending["guidance_scale"]),
        _number(ending["curve"]) or 1,
    )
    return Transition(_part(state, "first"), _part(state, "second"), settings)


def _part(state: StyleState, end: str) -> StyleState:
    meta = state.meta[end]
    if not isinstance(meta, Mapping):
        raise TypeError(f"the state's {end!r} is {meta!r}, not the description of a style.")
    prefix = f"{end}/"
    arrays = {
        name.removeprefix(prefix): array
        for name, array in state.arrays.items()
        if name.startswith(prefix)
    }
    return StyleState(arrays, dict(meta))


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def amounts(count: int, curve: float = 1.0) -> list[float]:
    """How far each of several windows is on its way, rising from 0 to 1; half-way for one window.

    Example:
        >>> amounts(3), amounts(1)
        ([0.0, 0.5, 1.0], [0.5])
    """
    if count == 1:
        return [0.5]
    sides = [2 * number / (count - 1) - 1 for number in range(count)]
    return [0.5 + 0.5 * (1 if side >= 0 else -1) * abs(side) ** curve for side in sides]


def blend_settings(first: SamplingT, second: SamplingT, amount: float) -> SamplingT:
    """Strength and guidance scale on the straight line between two."""
    return replace(
        first,
        strength=_between(first.strength, second.strength, amount),
        guidance_scale=_between(first.guidance_scale, second.guidance_scale, amount),
    )


def _between(first: float, second: float, amount: float) -> float:
    if first == second or amount == 0:
        return first
    return second if amount == 1 else first + amount * (second - first)


def blend_tables(first: ContextTable, second: ContextTable, amount: float) -> ContextTable:
    """Contexts on the straight line between those of two styles, for the timesteps of both.

    Raises:
        ValueError: The tables hold unlike timesteps.
    """
    if not torch.equal(first.visited, second.visited):
        raise ValueError(
            "the contexts of two styles are for unlike timesteps; tabulate both alike."
        )
    if amount in (0, 1):
        return second if amount else first
    return ContextTable(
        first.visited,
        torch.lerp(first.styled, second.styled, amount),
        torch.lerp(first.empty, second.empty, amount),
        torch.lerp(first.words, second.words, amount),
    )


def slerp(first: torch.Tensor, second: torch.Tensor, amount: float) -> torch.Tensor:
    """The tensor at an angle between two, which keeps the length of unit normal noise.

    References:
        Shoemake (1985), Animating rotation with quaternion curves.
    """
    if amount in (0, 1):
        return second if amount else first
    cosine = torch.dot(first.flatten(), second.flatten()) / (first.norm() * second.norm())
    if abs(float(cosine)) > _PARALLEL:
        return torch.lerp(first, second, amount)
    angle = torch.arccos(cosine)
    parts = torch.sin((1 - amount) * angle), torch.sin(amount * angle)
    return (parts[0] * first + parts[1] * second) / torch.sin(angle)
