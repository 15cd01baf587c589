"""The loop that trains a network of mini Riffusion, within a budget of minutes.

A stage continues from its last checkpoint in its folder and writes its curve to NAME.jsonl.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

logger = logging.getLogger(__name__)

Curve = dict[str, float]
_WARM_UP_STEPS = 100
_DECAY_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast a stage trains.

    Args:
        name: Of the stage, for its files.
        minutes: Wall-clock budget in all, over all starts.
        learning_rate: Of AdamW, after 100 steps of warm-up, until the last 30 % of the budget,
            where it falls to 3 %.
        batch_size: Clips per step.
        average: Decay per step of the averaged weights, which are what is evaluated and exported.
        seed: Of initial weights, batches and noise.
        report_s: Seconds between evaluations and checkpoints.
    """

    name: str
    minutes: float
    learning_rate: float
    batch_size: int = 16
    average: float = 0.998
    seed: int = 0
    report_s: float = 120.0


def learning_rate_at(recipe: Recipe, step: int, progress: float) -> float:
    """Warm-up, plateau, linear decay at the end; `progress` through the budget is in [0, 1]."""
    warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS)
    decay = min(1.0, (1 - progress) / _DECAY_SHARE)
    return recipe.learning_rate * warm_up * max(decay, 0.03)


class Trainer:
    """One stage's weights, their running average, optimiser, time spent, curve; can continue."""

    def __init__(self, model: nn.Module, recipe: Recipe, folder: Path) -> None:
        self.model, self.recipe = model, recipe
        self.average = {name: value.clone() for name, value in model.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3
        )
        self.step, self.elapsed_s, self.curve = 0, 0.0, list[Curve]()
        self.path = folder / f"{recipe.name}.pt"
        if self.path.is_file():
            self._restore()

    def _restore(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.curve = state["average"], state["curve"]
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def save(self) -> None:
        """Write the checkpoint (in one move) and the curve."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "curve": self.curve,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)
        lines = "".join(json.dumps(point) + "\n" for point in self.curve)
        self.path.with_suffix(".jsonl").write_text(lines, encoding="utf-8")

    def _update(self, loss: torch.Tensor) -> None:
        progress = self.elapsed_s / (60 * self.recipe.minutes)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(self.recipe, self.step, progress)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        # Early weights must not linger in the average.
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)

    def evaluate(self, score: Callable[[], Curve]) -> Curve:
        """Score the averaged weights; the live ones are put back."""
        live = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        with torch.no_grad():
            point = score()
        self.model.load_state_dict(live)
        self.model.train()
        return point

    def run(self, losses: Iterator[torch.Tensor], score: Callable[[], Curve]) -> None:
        """Train until the budget is spent; evaluate and save on the way and at the end."""
        due_s = self.elapsed_s + self.recipe.report_s / 2
        while self.elapsed_s < 60 * self.recipe.minutes:
            started = time.monotonic()
            self._update(next(losses))
            self.elapsed_s += time.monotonic() - started
            if self.elapsed_s >= due_s:
                due_s += self.recipe.report_s
                self._report(score)
        self._report(score)

    def _report(self, score: Callable[[], Curve]) -> None:
        point = {"step": float(self.step), "elapsed_s": round(self.elapsed_s, 1)}
        self.curve.append(point | self.evaluate(score))
        self.save()
        logger.info("%s %s", self.recipe.name, json.dumps(self.curve[-1]))
