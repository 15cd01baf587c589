"""How long and how fast a training goes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bench.api import ConfigError

Precision = Literal["float32", "bfloat16"]
_DECAY_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a learning rate follows the budget, as a share of the highest one.

    Args:
        shape: "plateau" keeps the highest rate until the last 30 % of the budget, and falls along a
            line; "cosine" falls along half a cosine from the beginning.
        lowest: Share at the end, 0 to 1; a plateau that ends at 1 is a constant rate.
    """

    shape: Literal["plateau", "cosine"] = "plateau"
    lowest: float = 0.03

    def share_at(self, progress: float) -> float:
        """The share when so much of the budget is spent, 0 to 1.

        Example:
            >>> [Schedule("cosine", 0.5).share_at(spent) for spent in (0.0, 0.5, 1.0)]
            [1.0, 0.75, 0.5]
        """
        if self.shape == "cosine":
            fallen = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
            return self.lowest + (1 - self.lowest) * fallen
        return max(min(1.0, max(0.0, 1 - progress) / _DECAY_SHARE), self.lowest)


PLATEAU = Schedule()


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training besides its data.

    A training ends when one of its two budgets is spent, and its learning rate follows the one of
    which more is spent. With `steps` alone a training is a function of its recipe; with seconds it
    follows the clock as well, and no other draw does.

    Args:
        name: Of the training, for its files.
        learning_rate: Highest, of AdamW, after the warm-up.
        batch_size: Clips per step.
        budget_s: Wall clock in all, over all starts, evaluation included; None sets no limit.
        steps: In all; None sets no limit.
        warm_up_steps: In which the rate rises.
        schedule: How the rate follows the budget besides.
        betas: Of AdamW.
        weight_decay: Of AdamW.
        average: Decay per step of the averaged weights, which are evaluated and exported; with 0
            they are the weights themselves.
        seed: Of initial weights, batches and noise.
        report_s: Seconds between evaluations and checkpoints.
    """

    name: str
    learning_rate: float
    batch_size: int
    budget_s: float | None = None
    steps: int | None = None
    warm_up_steps: int = 100
    schedule: Schedule = PLATEAU
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 1e-3
    average: float = 0.998
    seed: int = 0
    report_s: float = 120.0

    def __post_init__(self) -> None:
        """Ask for a budget and for clips.

        Raises:
            ConfigError: There is no budget, or one is not above 0; or a step has no clip.
        """
        given = [budget for budget in (self.budget_s, self.steps) if budget is not None]
        if not given or min(given) <= 0:
            raise ConfigError(
                f"training {self.name!r} has a budget of {self.budget_s} s and {self.steps} steps; "
                "one of them must be above 0. Pass --budget-s or --steps."
            )
        if self.batch_size < 1:
            raise ConfigError(
                f"training {self.name!r} has {self.batch_size} clips per step; it learns from 1 or "
                "more. Pass another --batch-size."
            )

    def progress(self, step: int, elapsed_s: float) -> float:
        """Share of the budget that is spent; the training is over at 1.

        Example:
            >>> Recipe("toy", 1e-3, 4, budget_s=60, steps=100).progress(10, 30.0)
            0.5
        """
        by_clock = elapsed_s / self.budget_s if self.budget_s is not None else 0.0
        by_steps = step / self.steps if self.steps is not None else 0.0
        return max(by_clock, by_steps)

    def rate_at(self, step: int, progress: float) -> float:
        """Learning rate: the warm-up times the schedule.

        Example:
            >>> recipe = Recipe("toy", 1e-3, 4, steps=1000)
            >>> [round(recipe.rate_at(s, s / 1000), 6) for s in (0, 500, 850, 1000)]
            [1e-05, 0.001, 0.0005, 3e-05]
        """
        warm_up = min(1.0, (step + 1) / self.warm_up_steps)
        return self.learning_rate * warm_up * self.schedule.share_at(progress)

    def average_at(self, step: int) -> float:
        """How much of the average a step keeps: less at first, so that early weights are forgotten.

        Example:
            >>> Recipe("toy", 1e-3, 4, steps=9).average_at(8)
            0.5
        """
        return min(self.average, (1 + step) / (10 + step))
