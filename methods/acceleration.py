"""Faster passes of a frozen network: compiled code, recorded CUDA graphs; plain calls otherwise.

A network of hundreds of small kernels is launched slower than a large GPU computes it. A CUDA graph
is recorded once per shape and launched as one; `torch.compile` fuses kernels, for a minute or two
of compiling. "compile-graph" does both: it records the compiled pass. Each is compared with a plain
call before it is trusted: what fails or differs is logged, and the next way takes its place, at
last plain calls.

What was compiled is kept in the folder `compiled` of the bench's cache, so that the next run only
loads it. A pass whose rows are independent is compiled once for any number of them above one, and
padded, so that few sizes are recorded: see `padded_size`.

`BENCH_ACCELERATION` chooses: "eager", "graph", "compile", "compile-graph". Left out, it is "eager"
but on CUDA; there "compile-graph" for large networks where triton and a C compiler are, else
"graph".
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, Self, get_args

import torch

from bench.cache import Cache
from bench.device import asked_for

VARIABLE = "BENCH_ACCELERATION"
COMPILED_IN = "TORCHINDUCTOR_CACHE_DIR"  # torch's own name for where compiled code lies
Acceleration = Literal["eager", "graph", "compile", "compile-graph"]
Pass = Callable[..., torch.Tensor]  # tensors on one device to a tensor
Inputs = tuple[torch.Tensor, ...]

# What is tried in turn, before plain calls.
_TRIED: dict[Acceleration, tuple[Acceleration, ...]] = {
    "eager": (),
    "graph": ("graph",),
    "compile": ("compile",),
    "compile-graph": ("compile-graph", "graph"),
}
_COMPILING = ("compile", "compile-graph")
_COMPILED = "compiled"  # folder in the cache
# Shapes for which a graph is kept; each holds its activations.
_SHAPES_KEPT = 4
_WARM_UPS = 3
# Largest difference from a plain call, as a share of the largest value: reordered sums in float32,
# and the rounding of eight bits in bfloat16.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
logger = logging.getLogger(__name__)


def choose_acceleration(device: torch.device, *, large: bool = False) -> Acceleration:
    """What `BENCH_ACCELERATION` says, or what suits the device.

    Args:
        device: Where the network lies.
        large: Whether it is so large that compiling it pays.

    Raises:
        ConfigError: It names no way.

    Example:
        >>> choose_acceleration(torch.device("cpu"))
        'eager'
    """
    ways: dict[str, Acceleration] = {name: name for name in get_args(Acceleration)}
    asked = asked_for(VARIABLE, ways)
    if asked is not None:
        return asked
    if device.type != "cuda":
        return "eager"
    return "compile-graph" if large and _can_compile() else "graph"


@cache
def _can_compile() -> bool:
    """Whether triton is here, and the C compiler that it builds its launchers with."""
    compilers = (os.environ.get("CC"), "cc", "gcc", "clang")
    return find_spec("triton") is not None and any(map(shutil.which, filter(None, compilers)))


def padded_size(rows: int) -> int:
    """The smallest power of two, or three quarters of one, that is not below a number of rows.

    Example:
        >>> [padded_size(rows) for rows in (1, 2, 3, 5, 6, 7, 51, 102)]
        [1, 2, 3, 6, 6, 8, 64, 128]
    """
    power = 1 << (rows - 1).bit_length()
    three_quarters = 3 * power // 4
    return three_quarters if rows <= three_quarters else power


def pad_rows(tensor: torch.Tensor, size: int) -> torch.Tensor:
    """A tensor (row, ...) of at least one row with its last row repeated up to `size` rows."""
    missing = size - len(tensor)
    if missing == 0:
        return tensor
    return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])


def choose_layout(device: torch.device, way: Acceleration) -> torch.memory_format:
    """How the maps of a network of convolutions and group norms lie in memory.

    On CUDA group norm has no kernel for channels_last: an eager or recorded pass copies each map to
    the other layout and back, which took 24 % of the device's time in the full U-Net (246 to 251
    TFLOP/s; contiguous 281). A compiled pass has a group norm of its own, and the convolutions'
    faster layout comes to bear (392 TFLOP/s). One H200, torch 2.11, bfloat16, 2026-11-27.

    Elsewhere it is channels_last: on a CPU the backward pass then converts fewer layouts, and whole
    fits of mini take 5 % less time.

    Example:
        >>> choose_layout(torch.device("cuda"), "graph")
        torch.contiguous_format
    """
    converts = device.type == "cuda" and way not in _COMPILING
    return torch.contiguous_format if converts else torch.channels_last


class Accelerated:
    """A pass that is recorded or compiled on first use, once per shape.

    Args:
        name: What passes, for the log.
        plain: The pass as it is; gradients flow to its inputs alone.
        way: How to make it faster.
        dtype: What it computes in, which decides how far a faster pass may be off.
        rewind: Undoes what a call of `plain` leaves behind, such as a cache's new position.
        size_for: Where all inputs and the result have rows that are independent of each other: the
            rows that a faster pass takes in place of so many.
    """

    def __init__(
        self,
        name: str,
        plain: Pass,
        way: Acceleration,
        dtype: torch.dtype,
        rewind: Callable[[], None] = lambda: None,
        *,
        size_for: Callable[[int], int] | None = None,
    ) -> None:
        self._name = name
        self._plain = plain
        self._ways = _TRIED[way]
        self._tolerance = TOLERANCES.get(dtype, 1e-4)
        self._rewind = rewind
        self._size_for = size_for
        self._lay_out: Callable[[Acceleration], None] | None = None
        self._source = plain
        self._compiled = _compiled(plain, any_rows=size_for is not None)
        self._made: dict[tuple[object, ...], Pass] = {}

    def made_from(self, cheaper: Pass) -> Self:
        """Make the same pass in fewer bits, those of `dtype`, faster in place of the plain one."""
        self._source = cheaper
        self._compiled = _compiled(cheaper, any_rows=self._size_for is not None)
        return self

    def laid_out_by(self, lay_out: Callable[[Acceleration], None]) -> Self:
        """Let the network lie in memory as suits the way that is really used.

        Args:
            lay_out: Is told the way that takes the place of one that failed, "eager" for plain
                calls. Weights may move, so what was made for other shapes is made anew: a recorded
                pass reads the memory where they lay.
        """
        self._lay_out = lay_out
        return self

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """What the plain pass gives, up to rounding."""
        if not self._ways:
            return self._plain(*inputs)
        if self._size_for is None:
            return self._pass_for(inputs)(*inputs)
        rows = len(inputs[0])
        padded = tuple(pad_rows(one, self._size_for(rows)) for one in inputs)
        return self._pass_for(padded)(*padded)[:rows]

    def _pass_for(self, inputs: Inputs) -> Pass:
        key = tuple((one.shape, one.dtype, _is_learnt(one)) for one in inputs)
        if key not in self._made:
            if len(self._made) >= _SHAPES_KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[key] = self._trusted(inputs)
        return self._made[key]

    def _trusted(self, inputs: Inputs) -> Pass:
        """The fastest pass for inputs like these that agrees with the plain one.

        Any failure to record or compile ends here: the plain pass is always right.
        """
        ways = self._ways
        for number, way in enumerate(ways, start=1):
            faster, reason = self._tried(way, inputs)
            if faster is not None:
                return faster
            left = ways[number:]
            next_one = f"{left[0]} is tried" if left else "plain calls go on"
            logger.warning("%s: no %s, %s: %s", self._name, way, next_one, reason)
            self._ways = left or self._ways  # nothing is compiled twice in vain
            self._lay_out_for(left)
        return self._plain

    def _lay_out_for(self, left: tuple[Acceleration, ...]) -> None:
        """Lay the network out for the ways left, unless other shapes use the present layout."""
        if self._lay_out is None or (self._made and not left):
            return
        self._made.clear()
        self._lay_out(left[0] if left else "eager")

    def _tried(self, way: Acceleration, inputs: Inputs) -> tuple[Pass | None, str]:
        """The pass that a way gives, or None and why it gives none."""
        try:
            faster = self._make(way, inputs)
            difference = self._compare(faster, inputs)
        except Exception as error:  # noqa: BLE001 - whatever a compiler or driver raises
            return None, f"{type(error).__name__}: {error}"
        finally:
            self._rewind()
        if not difference <= self._tolerance:  # nor may it be no number
            return None, f"results differed by {difference:.2g}"
        return faster, ""

    def _make(self, way: Acceleration, inputs: Inputs) -> Pass:
        source = self._source if way == "graph" else self._compiled
        if way == "compile":
            return source
        if any(_is_learnt(one) for one in inputs):
            _leave_streams_unsaid()
            like = tuple(one.detach().clone().requires_grad_(one.requires_grad) for one in inputs)
            graphed: Any = torch.cuda.make_graphed_callables(
                source, like, num_warmup_iters=_WARM_UPS
            )
            return graphed  # type: ignore[no-any-return]  # torch leaves it untyped
        return _record(source, inputs)

    def _compare(self, faster: Pass, inputs: Inputs) -> float:

        def rewound(each: Pass) -> Pass:
            def call(*given: torch.Tensor) -> torch.Tensor:
                self._rewind()
                return each(*given)

            return call

        return largest_difference(rewound(faster), rewound(self._plain), inputs)


def _compiled(plain: Pass, *, any_rows: bool) -> Pass:
    """A pass that is compiled when it is first called, or loaded from the bench's cache.

    Args:
        plain: The pass.
        any_rows: Compile it once for all numbers of rows from two on, as far as it takes the same
            course for all of them (diffusers' U-Net takes another one from 64 rows on).
    """

    @cache
    def compiler() -> Pass:
        # Not only where it is not set: the compiler sets it itself when it is imported.
        os.environ[COMPILED_IN] = str(Cache.default().root / _COMPILED)
        compiled: Any = torch.compile(plain, dynamic=False)
        return compiled  # type: ignore[no-any-return]  # torch leaves it untyped

    def call(*inputs: torch.Tensor) -> torch.Tensor:
        from torch._dynamo import maybe_mark_dynamic  # takes a second, and only compiling needs it

        for one in inputs:
            if any_rows and len(one) > 1:
                maybe_mark_dynamic(one, 0)
        return compiler()(*inputs)

    return call


def largest_difference(faster: Pass, plain: Pass, inputs: Inputs) -> float:
    """Largest difference of two passes, of results and of gradients, as a share of the largest."""
    pairs = zip(
        _results_and_gradients(faster, inputs), _results_and_gradients(plain, inputs), strict=True
    )
    return max(_relative(one, other) for one, other in pairs)


def _is_learnt(tensor: torch.Tensor) -> bool:
    return torch.is_grad_enabled() and tensor.requires_grad


def _results_and_gradients(each: Pass, inputs: Inputs) -> list[torch.Tensor]:
    copies = [one.detach().clone().requires_grad_(_is_learnt(one)) for one in inputs]
    result = each(*copies)
    leaves = [one for one in copies if one.requires_grad]
    if not leaves:
        return [result.clone()]
    gradients = torch.autograd.grad(result.float().square().sum(), leaves)
    return [result.detach().clone(), *gradients]


def _relative(one: torch.Tensor, other: torch.Tensor) -> float:
    reference = other.float()
    return float((one.float() - reference).abs().max() / reference.abs().max().clamp_min(1e-12))


def _leave_streams_unsaid() -> None:
    """Keep autograd from warning that gradients come from the stream of a recording.

    The recorded pass is launched on the stream that asks for it, so nothing has to be waited for.
    Versions of torch that do not warn lack the switch.
    """
    switch = getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None)
    if switch is not None:
        switch(False)


@torch.no_grad()
def _record(plain: Pass, inputs: Inputs) -> Pass:
    """A pass without gradients as one CUDA graph: inputs copied in, the result copied out."""
    fixed = tuple(one.clone() for one in inputs)
    device = inputs[0].device
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            plain(*fixed)
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = plain(*fixed)

    def replay(*given: torch.Tensor) -> torch.Tensor:
        for slot, value in zip(fixed, given, strict=True):
            slot.copy_(value)
        graph.replay()
        return result.clone()

    return replay
