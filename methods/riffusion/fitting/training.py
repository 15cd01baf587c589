"""The training loop: all styles and methods of the family in one sequence of launches.

Styles share the frozen networks' passes and nothing else: each has its own weights, moments and
random numbers, and the loss is the sum over styles, so each style's gradient is what it would be
alone. What a step launches does not grow with the number of styles: learners of a kind are stacked
(`fitting.stacks`), their rows pass the text encoder and the U-Net together, and what is random was
drawn before (`fitting.draws`).

References:
    Gal et al. (2022), arXiv 2208.01618, equation 2; Li et al. (AAAI 2024), arXiv 2402.13763.
    Departure: padded columns, which only clips far shorter than the window have, do not enter the
    loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from bench.batching import Batcher, affordable
from methods.riffusion.backbone import PLACEHOLDER, Backbone
from methods.riffusion.conditioning import encode_outputs
from methods.riffusion.fitting.draws import Ahead, Batches, join_batches
from methods.riffusion.fitting.inversion import Fit, save_when_due
from methods.riffusion.fitting.stacks import Stack, stack_fits

# Styles that share one pass, where memory allows.
_STYLES_AT_ONCE = 8
Advance = Callable[[float, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """Fits that take some steps together.

    Args:
        stacks: The fits, by kind.
        batches: Of those steps; rows in the order of the stacks.
        kept: Factors of dropout of each stack, (step, style, ...), one tensor per place.
    """

    stacks: list[Stack]
    batches: Batches
    kept: list[tuple[torch.Tensor, ...]]


def gather(ahead: Ahead, fits: Sequence[Fit], steps: int) -> Company:
    """Stack fits and lay the draws of their next steps side by side."""
    stacks = stack_fits(fits)
    drawn = [[ahead.next(fit, steps) for fit in stack.fits] for stack in stacks]
    return Company(
        stacks=stacks,
        batches=join_batches([batches for stack in drawn for batches, _ in stack]),
        kept=[
            tuple(
                torch.stack(place, dim=1)
                for place in zip(*(kept for _, kept in stack), strict=True)
            )
            for stack in drawn
        ],
    )


def run_fits(backbone: Backbone, fits: Sequence[Fit], advance: Advance) -> None:
    """Take every fit to its last step, several per pass of the frozen networks.

    Args:
        backbone: Frozen.
        fits: Changed in place; of any styles, learners and plans.
        advance: Told the share done, in [0, 1], and a text.
    """
    total = sum(fit.steps for fit in fits)
    at_once = affordable(str(backbone.device), _bytes_per_fit(backbone, fits), _STYLES_AT_ONCE)
    batcher = Batcher(at_once)

    def tell(company: Sequence[Fit]) -> None:
        done = sum(fit.step for fit in fits)
        advance(done / total, f"step {company[0].step}/{company[0].steps}")

    for first in range(0, len(fits), at_once):
        together, ahead = fits[first : first + at_once], Ahead(backbone)
        while active := [fit for fit in together if fit.step < fit.steps]:
            stretch = min(min(ahead.left(fit), fit.steps_undisturbed()) for fit in active)
            train(ahead, active, stretch, batcher=batcher, tell=tell)
            save_when_due(active)


def _bytes_per_fit(backbone: Backbone, fits: Sequence[Fit]) -> int:
    rows = max((fit.plan.batch_size for fit in fits), default=1)
    shape = fits[0].images.moments.mean.shape if fits else torch.Size()
    return rows * backbone.bytes_per_row(shape, learning=True)


def train_step(backbone: Backbone, fits: Sequence[Fit], batcher: Batcher | None = None) -> None:
    """One optimiser step of each fit, as `run_fits` takes it; blocks are drawn for it alone."""
    train(Ahead(backbone), fits, 1, batcher=batcher)


def train(
    ahead: Ahead,
    fits: Sequence[Fit],
    steps: int,
    *,
    batcher: Batcher | None = None,
    tell: Callable[[Sequence[Fit]], None] = lambda _: None,
) -> None:
    """Some steps of each fit, none past the end of its block.

    Args:
        ahead: Has the draws.
        fits: Changed in place.
        steps: How many.
        batcher: How many fits share a pass; all, where it is left out.
        tell: Called after each step with the fits that took it.
    """
    goals = {fit: fit.step + steps for fit in fits}

    def work(part: Sequence[Fit]) -> Sequence[Fit]:
        """Bring some fits to their goals; what is done when memory runs out stays done."""
        company = gather(ahead, part, goals[part[0]] - part[0].step)
        for number in range(len(company.batches.timesteps)):
            take_step(ahead.backbone, company, number)
            tell(part)
        return part

    (batcher or Batcher(len(fits))).run(fits, work)


def take_step(backbone: Backbone, company: Company, number: int) -> None:
    """The step of each fit for which a company has drawn the batches with this number.

    A style's loss is the mean squared error of the noise that the U-Net predicts, over the cells
    that show sound.
    """
    stacks, batch = company.stacks, company.batches[number]
    rows = [stack.rows for stack in stacks]
    states = backbone.encode_prompt(PLACEHOLDER)
    outputs = [
        stack.apply(timesteps, states, [factors[number] for factors in kept])
        for stack, timesteps, kept in zip(
            stacks, batch.timesteps.split(rows), company.kept, strict=True
        )
    ]
    contexts = encode_outputs(backbone, outputs, [stack.writes_row for stack in stacks])
    predicted = backbone.predict_noise(batch.noisy, batch.timesteps, contexts)
    errors = (batch.shares * (predicted - batch.noise) ** 2).flatten(1).sum(dim=1)
    gradients = torch.autograd.grad(
        errors.sum(), [weight for stack in stacks for weight in stack.weights.values()]
    )
    first = 0
    for stack, own in zip(stacks, errors.detach().split(rows), strict=True):
        last = first + len(stack.weights)
        stack.advance(gradients[first:last], own)
        first = last
