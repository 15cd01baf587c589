"""Faster passes of the U-Net: recorded CUDA graphs, or compiled code; plain calls otherwise.

A network of hundreds of small kernels is launched slower than a large GPU computes it. A CUDA graph
is recorded once per shape and launched as one; `torch.compile` also fuses kernels, for a minute or
two of compiling. Either is compared with a plain call before it is trusted: what fails or differs
is logged, and plain calls go on.

`BENCH_UNET` chooses: "eager", "graph", "compile"; left out, it is "graph" on CUDA, else "eager".
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch

from bench.api import ConfigError

VARIABLE = "BENCH_UNET"
Acceleration = Literal["eager", "graph", "compile"]
# (latents, timesteps, contexts) -> noise, all on one device.
Pass = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

# Shapes for which a graph is kept; each holds its activations.
_SHAPES_KEPT = 4
_WARM_UPS = 3
# Largest difference from a plain call, as a share of the largest value: reordered sums in float32,
# and the rounding of eight bits in bfloat16.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
logger = logging.getLogger(__name__)


def choose_acceleration(device: torch.device) -> Acceleration:
    """What `BENCH_UNET` says, or what suits the device.

    Raises:
        ConfigError: It names no way.

    Example:
        >>> choose_acceleration(torch.device("cpu"))
        'eager'
    """
    asked = os.environ.get(VARIABLE, "auto")
    known: dict[str, Acceleration] = {name: name for name in get_args(Acceleration)}
    if asked in known:
        return known[asked]
    if asked != "auto":
        raise ConfigError(
            f"{VARIABLE} is {asked!r}; it must be auto, {', '.join(known)}. Leave it out for auto."
        )
    return "graph" if device.type == "cuda" else "eager"


class Accelerated:
    """A pass of a frozen network that is recorded or compiled per shape, on first use.

    Args:
        plain: The pass as it is; gradients flow to the contexts alone.
        way: How to make it faster.
    """

    def __init__(self, plain: Pass, way: Acceleration) -> None:
        self._plain = plain
        makers: dict[Acceleration, Callable[[Inputs], Pass] | None] = {
            "eager": None,
            "graph": self._record,
            "compile": self._compile,
        }
        self._make = makers[way]
        self._made: dict[tuple[object, ...], Pass] = {}

    def __call__(
        self, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        """Noise in latents, as the plain pass gives it up to rounding."""
        if self._make is None:
            return self._plain(latents, timesteps, contexts)
        learning = torch.is_grad_enabled() and contexts.requires_grad
        key = (latents.shape, contexts.shape, latents.dtype, learning)
        if key not in self._made:
            if len(self._made) >= _SHAPES_KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[key] = self._trusted(self._make, (latents, timesteps, contexts))
        return self._made[key](latents, timesteps, contexts)

    def _trusted(self, make: Callable[[Inputs], Pass], inputs: Inputs) -> Pass:
        """The faster pass for inputs like these, if there is one and it agrees with the plain one.

        Any failure to record or compile ends here: the plain pass is always right.
        """
        try:
            faster = make(inputs)
            difference = largest_difference(faster, self._plain, inputs)
        except Exception as error:  # noqa: BLE001 - whatever a compiler or driver raises
            logger.warning("the U-Net stays uncompiled: %s: %s", type(error).__name__, error)
            return self._plain
        if difference > TOLERANCES.get(inputs[0].dtype, 1e-4):
            logger.warning("the U-Net stays uncompiled: results differed by %.2g", difference)
            return self._plain
        return faster

    def _compile(self, _inputs: Inputs) -> Pass:
        compiled: Any = torch.compile(self._plain, dynamic=False)
        return compiled  # type: ignore[no-any-return]  # torch leaves it untyped

    def _record(self, inputs: Inputs) -> Pass:
        """A CUDA graph; one with a backward pass where gradients are wanted."""
        if torch.is_grad_enabled() and inputs[2].requires_grad:
            like = tuple(one.detach().clone().requires_grad_(one.requires_grad) for one in inputs)
            graphed: Any = torch.cuda.make_graphed_callables(
                self._plain, like, num_warmup_iters=_WARM_UPS
            )
            return graphed  # type: ignore[no-any-return]  # torch leaves it untyped
        return record_inference(self._plain, inputs)


@torch.no_grad()
def record_inference(plain: Pass, inputs: Inputs) -> Pass:
    """A pass without gradients as one CUDA graph: inputs copied in, the result copied out."""
    fixed = tuple(one.clone() for one in inputs)
    side = torch.cuda.Stream(inputs[0].device)
    side.wait_stream(torch.cuda.current_stream(inputs[0].device))
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            plain(*fixed)
    torch.cuda.current_stream(inputs[0].device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = plain(*fixed)

    def replay(*given: torch.Tensor) -> torch.Tensor:
        for place, value in zip(fixed, given, strict=True):
            place.copy_(value)
        graph.replay()
        return result.clone()

    return replay


def largest_difference(faster: Pass, plain: Pass, inputs: Inputs) -> float:
    """Largest difference of two passes, of results and of gradients, as a share of the largest."""
    results = [_result_and_gradient(each, inputs) for each in (faster, plain)]
    return max(_relative(one, other) for one, other in zip(*results, strict=True))


def _result_and_gradient(each: Pass, inputs: Inputs) -> list[torch.Tensor]:
    latents, timesteps, contexts = inputs
    if not (torch.is_grad_enabled() and contexts.requires_grad):
        return [each(latents, timesteps, contexts)]
    leaf = contexts.detach().clone().requires_grad_()
    result = each(latents, timesteps, leaf)
    (gradient,) = torch.autograd.grad(result.float().square().sum(), leaf)
    return [result.detach().clone(), gradient]


def _relative(one: torch.Tensor, other: torch.Tensor) -> float:
    wide, reference = one.float(), other.float()
    return float((wide - reference).abs().max() / reference.abs().max().clamp_min(1e-12))
