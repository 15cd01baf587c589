"""Fits that are alike, as one: their weights have a leading axis of styles.

A learner is written for one style. Here `torch.func.vmap` applies it to the weights of several at
once, so that a layer is one batched matrix product, and one optimiser steps all of them. Adam works
element by element and each style's loss reads its own weights alone, so every style goes the way
that it would go alone, up to rounding.

**Conventions**: axis 0 of a stack's weights, factors of dropout and losses is the style; rows of a
pass are those of its first style, then of its second, and so on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from methods.riffusion.conditioning import RowLearner
from methods.riffusion.dropout import Kept
from methods.riffusion.fitting.inversion import Fit
from methods.riffusion.parameters.settings import FittingPlan


class Stack:
    """Fits of one kind of learner, one rule of learning and one number of steps done.

    From here on each fit's learner and moments are its slices of the stack's, so they are up to
    date at any time; when the fits go on in other company, what they hold is stacked anew.

    Args:
        fits: Alike, see `stack_fits`.
    """

    def __init__(self, fits: Sequence[Fit]) -> None:
        self.fits = tuple(fits)
        learners = [fit.learner for fit in fits]
        self._learner = learners[0]
        weights, self._buffers = stack_module_state(cast("list[nn.Module]", learners))
        self.weights: dict[str, torch.Tensor] = weights
        self._optimiser = _make_optimiser(list(self.weights.values()), fits[0].plan)
        for number, learner in enumerate(learners):
            held = {**self.weights, **self._buffers}
            slices = {name: value.detach()[number] for name, value in held.items()}
            learner.load_state_dict(slices, assign=True)
        if fits[0].moments:
            self._load_moments()
            self._hand_out_moments()

    @property
    def rows(self) -> int:
        """How many rows of a pass are this stack's."""
        return len(self.fits) * self.fits[0].plan.batch_size

    @property
    def writes_row(self) -> bool:
        """Whether its outputs are rows for the text encoder, not contexts."""
        return isinstance(self._learner, RowLearner)

    def apply(self, timesteps: torch.Tensor, states: torch.Tensor, kept: Kept) -> torch.Tensor:
        """Rows (row, dim) or contexts (row, token, dim) at timesteps (row,).

        Args:
            timesteps: Of all styles.
            states: The placeholder's context (1, token, dim), which some learners map.
            kept: Factors of dropout, (style, ...), one tensor per place.
        """
        by_style = timesteps.view(len(self.fits), -1)
        repeated = states.expand(by_style.shape[1], -1, -1)

        def one(
            weights: dict[str, torch.Tensor],
            buffers: dict[str, torch.Tensor],
            t: torch.Tensor,
            factors: Kept,
        ) -> torch.Tensor:
            inputs = (t, factors) if self.writes_row else (t, repeated, factors)
            out: torch.Tensor = functional_call(self._learner, (weights, buffers), inputs)
            return out

        outputs: torch.Tensor = vmap(one)(self.weights, self._buffers, by_style, tuple(kept))
        return outputs.flatten(0, 1)

    def advance(self, gradients: Sequence[torch.Tensor], errors: torch.Tensor) -> None:
        """Take the optimiser's step and note each style's loss.

        Args:
            gradients: Of `weights`, in order.
            errors: What each row (row,) adds to its style's loss.
        """
        for weight, gradient in zip(self.weights.values(), gradients, strict=True):
            weight.grad = gradient.contiguous()  # as the weight lies: fused kernels ask for it
        self._optimiser.step()
        if not self.fits[0].moments:
            self._hand_out_moments()
        losses = errors.view(len(self.fits), -1).sum(dim=1)
        for fit, loss in zip(self.fits, losses.unbind(), strict=True):
            fit.note(loss)

    def _load_moments(self) -> None:
        """Stack the moments that the fits come with."""
        first = self.fits[0]
        state = {
            number: {
                "step": torch.tensor(float(first.step)),
                **{
                    kind: torch.stack([fit.moments[name][kind] for fit in self.fits])
                    for kind in first.moments[name]
                },
            }
            for number, name in enumerate(self.weights)
        }
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": state, "param_groups": groups})

    def _hand_out_moments(self) -> None:
        """Let each fit have its slices of the moments, which are updated in place."""
        for number, fit in enumerate(self.fits):
            fit.moments = {
                name: {
                    kind: value[number]
                    for kind, value in self._optimiser.state[weight].items()
                    if kind != "step"
                }
                for name, weight in self.weights.items()
            }


def _make_optimiser(weights: list[torch.Tensor], plan: FittingPlan) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if plan.optimiser == "adamw" else torch.optim.Adam
    on_gpu = any(weight.is_cuda for weight in weights)
    return kind(
        weights,
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=on_gpu,  # one kernel for all weights
        foreach=not on_gpu,
    )


def stack_fits(fits: Sequence[Fit]) -> list[Stack]:
    """Stacks of fits that are alike: in learner, sizes, rule of learning and steps done.

    Both stacks and the fits within them are in the order given.
    """
    alike: dict[tuple[object, ...], list[Fit]] = {}
    for fit in fits:
        alike.setdefault(_likeness(fit), []).append(fit)
    return [Stack(some) for some in alike.values()]


def _likeness(fit: Fit) -> tuple[object, ...]:
    """What fits of one stack agree in."""
    learner, plan = fit.learner, fit.plan
    sizes = tuple((name, value.shape, value.dtype) for name, value in learner.state_dict().items())
    rule = (plan.optimiser, plan.learning_rate, plan.weight_decay, plan.batch_size)
    return type(learner), learner.options, sizes, rule, fit.step
