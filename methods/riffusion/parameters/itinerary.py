"""The timesteps that stylisation visits.

**Conventions**: timesteps are integers 0..num_train_timesteps-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from bench.api import ConfigError

BiasGrid = Literal["released", "aligned"]


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
