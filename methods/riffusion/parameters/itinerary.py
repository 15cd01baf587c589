"""The timesteps that stylisation and inversion visit.

**Conventions**: timesteps are integers 0..num_train_timesteps-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from bench.api import ConfigError

BiasGrid = Literal["released", "aligned"]
Convention = Literal["label", "level", "released"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


def ddim_grid(num_inference_steps: int, num_train_timesteps: int = 1000) -> tuple[int, ...]:
    """The rising grid 1, 1 + c, 1 + 2c, ... with c = T // N.

    For 50 of 1000: 1, 21, ..., 981 ("leading" spacing, offset 1).

    Raises:
        ConfigError: N is not in 1..T-1.
    """
    if not 1 <= num_inference_steps < num_train_timesteps:
        raise ConfigError(
            f"num_inference_steps is {num_inference_steps}; it must be in "
            f"1..{num_train_timesteps - 1}. Try 50."
        )
    spacing = num_train_timesteps // num_inference_steps
    return tuple(1 + spacing * index for index in range(num_inference_steps))


@dataclass(frozen=True, slots=True)
class Itinerary:
    """Where stylisation starts and which timesteps it visits.

    Args:
        start: t_p, the timestep to which the content is noised and at which the bias is estimated.
        timesteps: DDIM timesteps, falling.
        previous: For each of them the next lower one; 0 after the last, so that the last step
            ends at abar_0, not at 1.
    """

    start: int
    timesteps: tuple[int, ...]
    previous: tuple[int, ...]


def count_steps(strength: float, num_inference_steps: int) -> int:
    """How many of N steps are taken: k = int(N s), for a strength that may be 1.

    The product is taken in decimals, as in `plan_itinerary`.

    Raises:
        ConfigError: No step is left, or the strength is above 1.

    Example:
        >>> count_steps(0.58, 50), count_steps(1, 50)
        (29, 50)
    """
    count = int(Decimal(str(strength)) * num_inference_steps)
    if not (0 < strength <= 1 and count >= 1):
        raise ConfigError(
            f"strength {strength} with {num_inference_steps} steps leaves {max(count, 0)} steps; "
            f"it must be at most 1 and at least {1 / num_inference_steps:g}. Try 0.65."
        )
    return count


@dataclass(frozen=True, slots=True)
class Climb:
    """One move of an inversion, up the noise levels.

    Args:
        label: The timestep that the network is told.
        start: The noise level where the latent stands, as an index of abar.
        end: The level to which it is moved.
    """

    label: int
    start: int
    end: int


def plan_climb(
    grid: Sequence[int], convention: Convention = "label", *, num_train_timesteps: int = 1000
) -> tuple[Climb, ...]:
    """The moves of DDIM inversion from a clean latent to the top of a grid.

    Args:
        grid: The rising timesteps g_1, .., g_k that sampling goes down.
        convention: "label" starts at level 0, where sampling ends, and tells the network the level
            that it goes to: k moves, the last to g_k. "level" counts the clean latent as level g_1
            and tells the network the level where the latent stands: k - 1 moves, the last to g_k.
            "released" is the same with one more move, to the next of an evenly spaced grid, at most
            to the last timestep of all.
        num_train_timesteps: T.

    Raises:
        ConfigError: The convention is not known.

    References:
        label: `DDIMInverseScheduler` of diffusers; `next_step` in code/ddm_inversion of
        HilaManor/AudioEditingCode. released: `encode_ddim` in ldm/models/diffusion/ddim.py of
        jiwoogit/StyleID.

    Example:
        >>> [(climb.label, climb.start, climb.end) for climb in plan_climb((1, 21, 41))]
        [(1, 0, 1), (21, 1, 21), (41, 21, 41)]
    """
    if convention not in CONVENTIONS:
        raise ConfigError(
            f"inversion is {convention!r}; it must be {', '.join(CONVENTIONS)}. Try label."
        )
    if convention == "label":
        return tuple(map(Climb, grid, (0, *grid[:-1]), grid))
    ends = (*grid[1:],)
    if convention == "released":
        spacing = grid[1] - grid[0] if len(grid) > 1 else num_train_timesteps
        ends = (*ends, min(grid[-1] + spacing, num_train_timesteps - 1))
    return tuple(Climb(start, start, end) for start, end in zip(grid, ends, strict=False))


def plan_itinerary(
    strength: float,
    num_inference_steps: int,
    *,
    num_train_timesteps: int = 1000,
    brs_grid: BiasGrid = "released",
) -> Itinerary:
    """Turn a strength into timesteps.

    t_p = int(T s), then the lowest k = int(N s) entries of the DDIM grid, downwards.

    Args:
        strength: s in (0, 1); larger means more noise, so less content and more style.
        num_inference_steps: N.
        num_train_timesteps: T.
        brs_grid: "released" keeps the released code's t_p, which lies above the first DDIM
            timestep (700 against 681 at s = .7); "aligned" lowers t_p to it.

    Raises:
        ConfigError: No step is left, or t_p is out of range.

    References:
        MusicTI, scripts/txt2img.py. Departure: products are taken in decimals, so .58 * 50 is 29,
        not the 28 of binary floats.
    """
    grid = ddim_grid(num_inference_steps, num_train_timesteps)
    exact = Decimal(str(strength))
    start, count = int(exact * num_train_timesteps), int(exact * num_inference_steps)
    if not (0 < strength < 1 and count >= 1):
        raise ConfigError(
            f"strength {strength} with {num_inference_steps} steps leaves {max(count, 0)} steps "
            f"and starts at {start}; "
            f"it must be below 1 and at least {1 / num_inference_steps:g}. Try 0.65."
        )
    if brs_grid == "aligned":
        start = grid[count - 1]
    timesteps = grid[:count][::-1]
    return Itinerary(start, timesteps, (*timesteps[1:], 0))
