"""The training loop: steps until the budget is spent, averaged weights, checkpoints, a curve.

A training is a `Lesson` (what is drawn and minimised) and a `Recipe` (how long and how fast). It
lives in a folder: NAME.pt is the last checkpoint, NAME.jsonl the curve. **Resuming**: a lesson
draws the batch of a step from the number of the step alone, and a checkpoint holds weights,
average, optimiser and step; what a network draws by itself (dropout) follows from the step too. So
a training that was interrupted and resumed takes the same steps as one that was not, bit by bit on
a CPU. Only the learning rate of a budget in seconds follows the clock (`Recipe`).
"""

from __future__ import annotations

import json
import logging
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from bench.api import ConfigError
from bench.seeds import derive_seed
from bench.training.recipe import Precision, Recipe
from bench.training.throughput import Stopwatch, operations_of

logger = logging.getLogger(__name__)

Curve = dict[str, float]
Batch = TypeVar("Batch")
_LARGEST_GRADIENT = 1.0
_FIRST_WITH_BFLOAT16 = (8, 0)  # CUDA capability
# What may differ when a training goes on: how long it goes.
_FREE = ("budget_s", "steps", "report_s")


class Lesson(Protocol[Batch]):
    """What a model is taught."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The material of a step, on the device; it follows from the step and nothing else."""

    @abstractmethod
    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Scalars: the first is minimised, all are averaged into the curve."""

    @abstractmethod
    def evaluate(self) -> Curve:
        """Figures on held-out material, of the averaged weights; draws nothing from torch."""


def precision_for(device: str) -> Precision:
    """bfloat16 where the hardware computes in it, else float32.

    A CPU gains little by it and some lose a factor of 30, so it keeps float32.
    """
    if not device.startswith("cuda"):
        return "float32"
    modern = torch.cuda.get_device_capability(device) >= _FIRST_WITH_BFLOAT16
    return "bfloat16" if modern else "float32"


class Training:
    """A model under training: weights, their average, optimiser, time spent, curve.

    Args:
        model: On `device`; what requires a gradient is trained, buffers are kept and averaged too.
        recipe: How long and how fast.
        folder: Of the checkpoint; it is made.
        device: Where the model is: "cpu", "cuda:0".
        resume: Go on from the checkpoint of the folder, if there is one.

    Raises:
        ConfigError: There is a checkpoint and `resume` is not wanted, or it has another recipe.
    """

    def __init__(
        self, model: nn.Module, recipe: Recipe, folder: Path, *, device: str, resume: bool
    ) -> None:
        self.model, self.recipe, self.device = model, recipe, device
        self.average = {name: value.clone() for name, value in model.state_dict().items()}
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self._trained,
            lr=recipe.learning_rate,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )
        self.step, self.elapsed_s, self.curve = 0, 0.0, list[Curve]()
        self.path = folder / f"{recipe.name}.pt"
        self._precision = precision_for(device)
        folder.mkdir(parents=True, exist_ok=True)
        if self.path.is_file():
            self._restore(resume=resume)

    def _restore(self, *, resume: bool) -> None:
        state = torch.load(self.path, weights_only=True, map_location=self.device)
        if not resume:
            raise ConfigError(
                f"{self.path} holds a training that stands at step {state['step']}; a new one "
                "would overwrite it. Pass --resume to go on, or name another folder."
            )
        # What a recipe did not say yet when the checkpoint was written was as it is by default.
        stored = {**_lasting(Recipe("", 0.0, 1, steps=1)), **state["recipe"]}
        wanted = _lasting(self.recipe)
        if stored != wanted:
            raise ConfigError(
                f"{self.path} was trained with {stored}, and asked for is {wanted}; only "
                f"{', '.join(_FREE)} may change on the way. Name another folder."
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.curve = state["average"], state["curve"]
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def save(self) -> None:
        """Write the checkpoint (in one move) and the curve."""
        state = {
            "recipe": _lasting(self.recipe),
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

    @property
    def samples(self) -> int:
        """Clips that were learnt from so far."""
        return self.step * self.recipe.batch_size

    def run(self, lesson: Lesson[Batch]) -> list[Curve]:
        """Train until the budget is spent; evaluate and save on the way and at the end."""
        self.model.train()
        watch = self._watch(lesson)
        began_s = time.monotonic() - self.elapsed_s
        due_s = self.elapsed_s + self.recipe.report_s
        sums: dict[str, Tensor] = {}
        first = self.step
        while (progress := self.recipe.progress(self.step, self.elapsed_s)) < 1:
            started = time.monotonic()
            batch = lesson.batch(self.step)
            watch.count(self.recipe.batch_size, time.monotonic() - started)
            for name, value in self._update(lesson, batch, progress).items():
                sums[name] = sums[name] + value if name in sums else value
            self.elapsed_s = time.monotonic() - began_s
            if self.elapsed_s >= due_s:
                self._report(lesson, _means(sums, self.step - first), watch)
                due_s, first, sums = self.elapsed_s + self.recipe.report_s, self.step, {}
                self.elapsed_s = time.monotonic() - began_s
        if self.step > first:
            self._report(lesson, _means(sums, self.step - first), watch)
        return self.curve

    def _watch(self, lesson: Lesson[Batch]) -> Stopwatch:
        """Count the operations of one step, which changes no weight and no buffer."""
        batch = lesson.batch(self.step)
        kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        operations = operations_of(lambda: torch.autograd.backward(self._loss(lesson, batch)))
        self.model.load_state_dict(kept)
        self.optimiser.zero_grad()
        return Stopwatch(self.device, self._precision, operations)

    def _losses(self, lesson: Lesson[Batch], batch: Batch) -> Mapping[str, Tensor]:
        lower = self._precision != "float32"
        kind = self.device.split(":", maxsplit=1)[0]
        with torch.autocast(kind, getattr(torch, self._precision), enabled=lower):
            return lesson.losses(batch)

    def _loss(self, lesson: Lesson[Batch], batch: Batch) -> Tensor:
        return next(iter(self._losses(lesson, batch).values()))

    def _update(self, lesson: Lesson[Batch], batch: Batch, progress: float) -> dict[str, Tensor]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.step, progress)
        torch.manual_seed(derive_seed("step", self.recipe.seed, self.step))
        losses = self._losses(lesson, batch)
        self.optimiser.zero_grad()
        torch.autograd.backward(next(iter(losses.values())))
        nn.utils.clip_grad_norm_(self._trained, _LARGEST_GRADIENT)
        self.optimiser.step()
        self.step += 1
        change = 1 - self.recipe.average_at(self.step)
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, change)
            else:
                self.average[name].copy_(value)
        return {name: value.detach() for name, value in losses.items()}

    def evaluate(self, lesson: Lesson[Batch]) -> Curve:
        """Evaluate the averaged weights; the live ones are put back."""
        live = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.train(mode=False)
        with torch.no_grad():
            point = lesson.evaluate()
        self.model.load_state_dict(live)
        self.model.train()
        return point

    def _report(self, lesson: Lesson[Batch], means: Curve, watch: Stopwatch) -> None:
        point: Curve = {
            "step": self.step,
            "samples": self.samples,
            "elapsed_s": round(self.elapsed_s, 1),
            **means,
            **watch.read(),
        }
        self.curve.append(point | self.evaluate(lesson))
        self.save()
        logger.info("%s %s", self.recipe.name, json.dumps(self.curve[-1]))
        watch.restart()


def _lasting(recipe: Recipe) -> dict[str, object]:
    """What must be the same when a training goes on."""
    facts = {name: value for name, value in asdict(recipe).items() if name not in _FREE}
    return json.loads(json.dumps(facts))  # type: ignore[no-any-return]


def _means(sums: Mapping[str, Tensor], count: int) -> Curve:
    return {name: round(float(total) / count, 5) for name, total in sums.items()}
