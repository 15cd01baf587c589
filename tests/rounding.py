"""How far rounding alone may move a result: tolerances from the number format and the depth.

The same computation done twice (together and alone, with more threads, on another processor, by
another library) adds the same terms in another order, fused or not, and so rounds otherwise. What
that may change is bounded by the format and by how many roundings follow each other; a tolerance
read off one machine's result says nothing about the next machine.

**One sum.** A sum of n products in a format of unit roundoff u (2^-24 in float32) is off by at most
gamma_n = n u / (1 - n u) times the sum of the magnitudes of its terms, whatever the order: `worst`.
That is for short formulas. In a long sum roundings of both signs cancel: as independent ones of
mean 0 they stay below c sqrt(n) u with a probability of at least 1 - 2 exp(-c^2 / 2), which for
c = 6 is 1 - 3e-8 per sum: `likely`.

**Layers.** What one layer is off by, the next passes on; layers that neither grow nor shrink their
input add their bounds. `of_networks` takes both numbers from the networks themselves: the terms of
the widest sum, and how many modules with weights follow each other at most.

Both results round, so every bound here is twice that of one. A test that asks about algebra and not
about float32 computes in float64 (the fixture `in_double`), where these bounds are so small that
any fault stands far above them.

**Conventions**: a bound is absolute, in the units of `scale`: the largest magnitude that is added.

References:
    Higham (2002), Accuracy and Stability of Numerical Algorithms, sections 3.1 and 3.5.
    Higham, Mary (2019), A New Approach to Probabilistic Rounding Error Analysis, theorem 2.4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

CONFIDENCE = 6.0  # c above
BACKWARD = 3  # a pass and its gradient: twice the products of the pass alone, besides it
ADAM_EPSILON = 1e-8  # of torch's Adam and AdamW


def unit(dtype: torch.dtype) -> float:
    """Unit roundoff of a format: half the gap between 1 and the next number.

    >>> unit(torch.float32) == 2.0**-24
    True
    """
    return float(torch.finfo(dtype).eps) / 2


def magnitude(tensor: torch.Tensor) -> float:
    """The largest magnitude, the `scale` of what is compared with this tensor.

    >>> magnitude(torch.tensor([1.0, -3.0]))
    3.0
    """
    return float(tensor.detach().abs().max())


def worst(roundings: int, *, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> float:
    """Certain bound on the difference of two results of so many roundings each.

    >>> f"{worst(10):.1e}"
    '1.2e-06'
    """
    total = roundings * unit(dtype)
    assert total < 1, f"{roundings} roundings in {dtype} leave nothing certain"
    return 2 * scale * total / (1 - total)


def likely(
    terms: int, *, layers: int = 1, scale: float = 1.0, dtype: torch.dtype = torch.float32
) -> float:
    """Bound on the difference of two results of layers that each add so many products.

    >>> f"{likely(576, layers=20):.1e}"
    '3.4e-04'
    """
    return 2 * CONFIDENCE * math.sqrt(terms) * layers * unit(dtype) * scale


def of_fft(length: int, *, scale: float = 1.0, dtype: torch.dtype = torch.float32) -> float:
    """The same for a Fourier transform: log2(length) stages that add two products each.

    `scale` is the root of the sum of squares of what is transformed: each stage is off by a part of
    it in all, and a transform spreads that over its bins.

    >>> of_fft(4096) == likely(2, layers=12)
    True
    """
    return likely(2, layers=math.ceil(math.log2(length)), scale=scale, dtype=dtype)


def of_networks(*networks: nn.Module, passes: int = 1, scale: float = 1.0) -> float:
    """The same for networks one after the other, in the format of their weights.

    Args:
        networks: Their sums and layers are counted; layers beside each other count as behind.
        passes: How often the whole is gone through, one result the input of the next.
        scale: Largest magnitude of what they hand out.

    >>> of_networks(nn.Linear(16, 4), nn.Linear(4, 9)) == likely(16, layers=2)
    True
    """
    weights = [w for network in networks for w in _matrices(network)]
    terms = max(weight[0].numel() for weight in weights)
    return likely(terms, layers=passes * len(weights), scale=scale, dtype=weights[0].dtype)


def _matrices(network: nn.Module) -> Iterable[torch.Tensor]:
    """Weights that are multiplied with, one per layer."""
    return (w for w in network.parameters() if w.dim() > 1 and w.is_floating_point())


def of_adam(gradient: float, rate: float, *, steps: int = 1) -> float:
    """How far weights may differ after steps of Adam, from how far their gradients may.

    A step is rate * m / (sqrt(v) + epsilon): whatever moves a gradient of about 0 by d moves the
    weight by rate * d / epsilon, and no step is longer than about the rate, whichever way it goes.

    >>> f"{of_adam(1e-12, rate=0.01):.1e}"
    '1.0e-06'
    """
    return steps * rate * min(2.0, gradient / ADAM_EPSILON)


def of_adam_on_average(relative: float, rate: float, *, steps: int = 1) -> float:
    """The same for the root mean square over all weights, with gradients not far above rounding.

    A share d of the gradients is smaller than d times their usual size, if they are no denser at 0
    than uniform ones. A difference of d may turn those round, which moves their weights by twice
    the rate, and moves the others by d over their own size: 4 d in the mean square of a step.

    >>> f"{of_adam_on_average(1e-4, rate=0.01):.1e}"
    '2.0e-04'
    """
    return steps * rate * 2 * math.sqrt(relative)
