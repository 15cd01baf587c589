"""Find the spectrogram whose features are the content's and whose feature statistics the style's.

The texture of a sound is described by the Gram matrices of a network's features: which features
occur together, wherever in time. A spectrogram is optimised until its Gram matrices are those of
the style while its features stay near the content's.

**Conventions**: spectra are float (bin, frame), compressed magnitudes, not negative; features are
(channel, position). Both losses are relative, so that one weight serves all clips and networks: 0
means equal, 1 means as far as silence is.

References:
    Gatys, Ecker and Bethge (2016), Image style transfer using convolutional neural networks, CVPR,
    equations 1 to 7. Departures: losses relative to the target's own energy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize

from bench import counts

_CORRECTIONS = 10
_ABOVE_SILENCE = 1e-6
# Enough for any line search; the number of iterations is what ends an optimisation.
_EVALUATIONS_PER_STEP = 20


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What a network says of a spectrogram, layer by layer, (channel, position) each."""

    content: tuple[torch.Tensor, ...]
    style: tuple[torch.Tensor, ...]


# A network: spectra (bin, frame) and the magnitude that a compressed value of log 2 stands for.
Network = Callable[[torch.Tensor, float], Features]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What to reach: features of the content and Gram matrices of the style, by layer."""

    content: tuple[torch.Tensor, ...]
    grams: tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Optimised:
    """A spectrogram that was found, and how.

    Args:
        spectrum: (bin, frame).
        losses: The loss at the start and after each iteration.
        evaluations: Passes forward and backward.
    """

    spectrum: torch.Tensor
    losses: list[float]
    evaluations: int

    @property
    def iterations(self) -> int:
        """Steps of the optimiser."""
        return len(self.losses) - 1


def gram(features: torch.Tensor) -> torch.Tensor:
    """Mean over positions of the products of channels, (channel, channel).

    References:
        Gatys et al. (2016), equation 3, divided by the number of positions so that
        clips of different lengths compare.
    """
    return features @ features.T / features.shape[1]


def mean_grams(clips: Sequence[Features]) -> tuple[torch.Tensor, ...]:
    """Gram matrices of a style, by layer: the mean over its clips."""
    layers = zip(*(clip.style for clip in clips), strict=True)
    return tuple(torch.stack([gram(one) for one in layer]).mean(dim=0) for layer in layers)


def relative_error(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Squared distance over the squared length of the target; 0 is equal, a number."""
    energy = target.square().sum().clamp_min(torch.finfo(target.dtype).tiny)
    return (value - target).square().sum() / energy


def content_loss(features: Features, target: Target) -> torch.Tensor:
    """Mean over layers of the relative error of the features."""
    pairs = zip(features.content, target.content, strict=True)
    return torch.stack([relative_error(one, other) for one, other in pairs]).mean()


def style_loss(features: Features, target: Target) -> torch.Tensor:
    """Mean over layers of the relative error of the Gram matrices."""
    pairs = zip(features.style, target.grams, strict=True)
    return torch.stack([relative_error(gram(one), other) for one, other in pairs]).mean()


def optimise(
    loss_of: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, steps: int
) -> Optimised:
    """Minimise a loss over spectra that are not negative, by L-BFGS.

    Args:
        loss_of: Spectra (bin, frame) to a number; differentiable.
        start: (bin, frame).
        steps: Iterations; fewer are made only where the loss cannot fall any more.

    Values below 0 count as 0 within the loss; the optimiser's own bounds reach the same losses in
    twice the time. Both its tolerances are 0: with the usual ones the losses of this problem, which
    fall slowly and far, end the search after a few evaluations.

    References:
        Liu and Nocedal (1989), On the limited memory BFGS method for large scale optimization, in
        scipy's implementation.
    """
    losses: list[float] = []

    def evaluate(values: np.ndarray) -> tuple[float, np.ndarray]:
        spectrum = torch.from_numpy(values.reshape(start.shape)).to(start)
        spectrum.requires_grad_()
        loss = loss_of(torch.relu(spectrum))
        (gradient,) = torch.autograd.grad(loss, spectrum)
        counts.count("gatys")
        value = float(loss.detach())
        if not losses:
            losses.append(value)
        return value, gradient.cpu().double().numpy().ravel()

    # Fortran order (as librosa gives it) or a view would not survive the flattening. A value of 0
    # would never feel its gradient.
    lifted = start.detach().cpu().double().clamp_min(_ABOVE_SILENCE)
    first = np.ascontiguousarray(lifted.numpy()).ravel()
    found = minimize(
        evaluate,
        first,
        method="L-BFGS-B",
        jac=True,
        callback=lambda intermediate_result: losses.append(float(intermediate_result.fun)),
        options={
            "maxiter": steps,
            "maxfun": _EVALUATIONS_PER_STEP * steps + _EVALUATIONS_PER_STEP,
            "maxcor": _CORRECTIONS,
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
    spectrum = torch.relu(torch.from_numpy(found.x.reshape(start.shape)).to(start))
    return Optimised(spectrum, losses, int(found.nfev))
