"""One method (or the metrics of a suite) in a process of its own, timed call by call.

`bench.timing.session` starts such a process per method, so that loading is really loading, and
memory is that method's alone. The functions here are called in that process, one after the other;
it keeps what is loaded between calls.

A back end of another environment has its own process already; that process is then timed from here,
and its memory is the one figure that it reports.

**Conventions**: a clock is read after the device has finished its work.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.api import (
    Clip,
    FitRequest,
    Json,
    Metric,
    Output,
    Profile,
    StyleState,
    TransferRequest,
)
from bench.description import Settings
from bench.device import peak_memory_bytes, reset_peak_memory, synchronise
from bench.failure import WorkerError
from bench.plugins.catalog import find_method, find_metric
from bench.plugins.kinds import MethodKind, kind_of
from bench.plugins.opening import open_method, open_metric, worker_peak_bytes
from bench.records.timings import Memory
from bench.run.calibration import recent_kernel_s

if TYPE_CHECKING:
    from bench.api import Style, StyleTransferMethod


@dataclass(frozen=True, slots=True)
class Lap:
    """One timed call."""

    seconds: float
    calibration_s: float
    memory: Memory


@dataclass(slots=True)
class Loaded:
    """What this process has loaded and learnt."""

    device: str = "cpu"
    method: StyleTransferMethod[Any] | None = None
    kind: MethodKind | None = None
    metrics: list[Metric] = field(default_factory=list)
    state: StyleState | None = None


_loaded = Loaded()


def load_method(name: str, settings: Settings, profile: Profile, device: str) -> tuple[float, Lap]:
    """Import a method and load its models: seconds of the import, and of the loading.

    Args:
        name: As the catalog has it.
        settings: What decides which model it loads.
        profile: Of the checkpoints.
        device: Where it works.
    """
    entry = replace(find_method(name), settings=settings)
    begun = time.perf_counter()
    kind = kind_of(entry)
    method = open_method(entry, _log())
    imported_s = time.perf_counter() - begun
    _loaded.device, _loaded.method = device, method
    _loaded.kind = kind
    return imported_s, _timed(lambda: method.load(profile, device), calibrated=False)


def load_metrics(names: Sequence[str], profile: Profile, device: str) -> tuple[float, Lap]:
    """Import metrics and load their models: seconds of the import, and of the loading."""
    begun = time.perf_counter()
    metrics = [open_metric(find_metric(name), _log()) for name in names]
    imported_s = time.perf_counter() - begun
    _loaded.device, _loaded.metrics = device, metrics

    def load() -> None:
        for metric in metrics:
            metric.load(profile, device)

    return imported_s, _timed(load, calibrated=False)


def _log() -> Path:
    """The log of a back end's process, in the folder that is removed after the session."""
    return Path(os.environ["BENCH_CACHE"]) / f"{os.getpid()}.log"


def fit(style: Style, parameters: Mapping[str, Json], seed: int) -> Lap:
    """Learn one style; its state is kept for `transfer`."""
    method = _method()
    request = FitRequest(style, _parameters(parameters), seed)

    def learn() -> None:
        (_loaded.state,) = method.fit([request], lambda *_: None)

    return _timed(learn)


def transfer(contents: Sequence[Clip], parameters: Mapping[str, Json], first_seed: int) -> Lap:
    """Render contents in the style that was fitted last, in one call."""
    method, state = _method(), _loaded.state
    if state is None:
        raise ValueError("nothing has been fitted in this process")
    made = _parameters(parameters)
    requests = [
        TransferRequest(content, state, made, first_seed + number)
        for number, content in enumerate(contents)
    ]
    return _timed(lambda: method.transfer(requests))


def score(outputs: Sequence[Output]) -> Lap:
    """Score outputs by every metric, one metric after the other, as a run does."""
    return _timed(lambda: [metric.score(outputs) for metric in _loaded.metrics])


def _parameters(values: Mapping[str, Json]) -> object:
    if _loaded.kind is None:
        raise ValueError("no method has been loaded in this process")
    return _loaded.kind.parameters(values)


def _method() -> StyleTransferMethod[Any]:
    if _loaded.method is None:
        raise ValueError("no method has been loaded in this process")
    return _loaded.method


def _timed(work: Callable[[], object], *, calibrated: bool = True) -> Lap:
    """Time a call, from and to a device without work, with garbage collection switched off."""
    device = _loaded.device
    _silence_loaders()
    calibration_s = recent_kernel_s(device) if calibrated else 0.0
    reset_peak_memory(device)
    gc.collect()
    gc.disable()
    try:
        synchronise(device)
        begun = time.perf_counter()
        work()
        synchronise(device)
        return Lap(time.perf_counter() - begun, calibration_s, _memory_now())
    except WorkerError as error:  # its own class does not survive the way to the parent
        raise RuntimeError(str(error)) from error
    finally:
        gc.enable()


def _silence_loaders() -> None:
    """Switch off the progress bars of the model libraries that are imported.

    Importing the others would count as the method's memory.
    """
    for name in ("transformers", "diffusers"):
        if name in sys.modules:
            logging = __import__(f"{name}.utils.logging", fromlist=["disable_progress_bar"])
            logging.disable_progress_bar()


def _memory_now() -> Memory:
    """The memory of the process that holds the method."""
    device, in_worker = _loaded.device, worker_peak_bytes(_loaded.method)
    if in_worker is None:
        return memory(device)
    if device.startswith("cuda"):
        return Memory(allocated=in_worker)
    return Memory(resident=in_worker)


def memory(device: str) -> Memory:
    """The memory of this process in three views; the CPU has only the last of them."""
    resident = peak_memory_bytes("cpu")
    if device == "cpu":
        return Memory(resident=resident)
    import torch

    if device == "mps":
        return Memory(
            allocated=int(torch.mps.current_allocated_memory()),
            held=int(torch.mps.driver_allocated_memory()),
            resident=resident,
        )
    return Memory(
        allocated=int(torch.cuda.max_memory_allocated(device)),
        held=int(torch.cuda.max_memory_reserved(device)),
        resident=resident,
    )
