"""Devices: choosing one, waiting for it, its memory, and the number format of frozen networks."""

from __future__ import annotations

import os
import platform
import re
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from bench.api import ConfigError, DeviceError

if TYPE_CHECKING:
    import torch

Choice = TypeVar("Choice")
Precision = Literal["float32", "bfloat16", "float16"]
# Set by `--precision`; the environment, so that worker processes are told too.
PRECISION_VARIABLE = "BENCH_PRECISION"
_FIRST_WITH_BFLOAT16 = (8, 0)  # CUDA capability


def resolve_device(name: str = "auto") -> str:
    """Turn what the user typed into the device that is used: "cpu", "cuda:0", "mps".

    "auto" takes CUDA, then Apple's MPS, then the CPU; "cuda" means "cuda:0".

    Raises:
        DeviceError: The name is none of auto, cpu, cuda, cuda:N, mps, or this machine lacks the
            device.
    """
    require_device_name(name)
    if name == "cpu":
        return name
    count, has_mps = _accelerators()
    if name == "auto":
        return "cuda:0" if count else "mps" if has_mps else "cpu"
    if name == "mps":
        return name if has_mps else _lacks(name, "no MPS device")
    index = int(name.partition(":")[2] or 0)
    return f"cuda:{index}" if index < count else _lacks(name, f"{count} CUDA devices")


def require_device_name(name: str) -> None:
    """Check how a device is spelt, which takes no library.

    Raises:
        DeviceError: The name is none of auto, cpu, cuda, cuda:N, mps.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise DeviceError(
            f"device {name!r} is not known; it is auto, cpu, cuda, cuda:N or mps. Try --device "
            "auto."
        )


def _accelerators() -> tuple[int, bool]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return count, bool(torch.backends.mps.is_available())


def _lacks(name: str, found: str) -> str:
    raise DeviceError(
        f"device {name!r} is not on this machine (torch sees {found}); use --device auto or cpu."
    )


def asked_for(variable: str, names: Mapping[str, Choice]) -> Choice | None:
    """What an environment variable chooses by name; None for "auto", and where it is not set.

    Raises:
        ConfigError: It holds another word.

    Example:
        >>> asked_for("BENCH_NOT_SET", {"fast": 1}) is None
        True
    """
    word = os.environ.get(variable, "auto")
    if word != "auto" and word not in names:
        raise ConfigError(
            f"{variable} is {word!r}; it must be auto, {', '.join(names)}. Leave it out for auto."
        )
    return names.get(word)


def frozen_precision(device: str) -> Precision:
    """The format of frozen networks on a device; what is learnt, losses and schedules stay float32.

    `BENCH_PRECISION` decides; left out, or "auto", it is float32 everywhere but on CUDA, and there
    bfloat16 where the hardware has it, else float16.

    Raises:
        ConfigError: `BENCH_PRECISION` names no format.

    Example:
        >>> frozen_precision("cpu")
        'float32'
    """
    precisions: dict[str, Precision] = {name: name for name in get_args(Precision)}
    asked = asked_for(PRECISION_VARIABLE, precisions)
    if asked is not None:
        return asked
    if not device.startswith("cuda"):
        return "float32"
    import torch

    has_bfloat16 = torch.cuda.get_device_capability(device) >= _FIRST_WITH_BFLOAT16
    return "bfloat16" if has_bfloat16 else "float16"


def device_kind(device: str) -> str:
    """What results may depend on: the device without its number, and an unusual precision.

    Example:
        >>> device_kind("cpu")
        'cpu'
    """
    precision = frozen_precision(device)
    return device.split(":", maxsplit=1)[0] + ("" if precision == "float32" else f"/{precision}")


def machine_words(device: str) -> str:
    """The machine as far as speed depends on it: device, its name, threads and precision.

    Rates measured under one of these names say nothing about another.
    """
    import torch

    if device.startswith("cuda"):
        return f"{device_kind(device)}: {torch.cuda.get_device_name(device)}"
    return f"{device_kind(device)}: {cpu_model()}, {torch.get_num_threads()} threads"


def cpu_model() -> str:
    """The processor's name as its maker gives it; without /proc, what Python knows of it."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def free_memory_bytes(device: str) -> int | None:
    """Memory that could still be taken on CUDA; None where there is no telling."""
    if not device.startswith("cuda"):
        return None
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + reusable)


def synchronise(device: str) -> None:
    """Wait until the device has finished, so that a clock read next is true."""
    if device == "cpu":  # it never runs ahead
        return
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()


def reset_peak_memory(device: str) -> None:
    """Start a new peak on CUDA. The CPU's peak is that of the process and cannot be reset."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_bytes(device: str) -> int:
    """Largest memory in use so far, bytes.

    CUDA: allocated by torch since `reset_peak_memory`. MPS: what the driver holds now (it keeps no
    peak). CPU: the largest resident size of this process.
    """
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    if device == "mps":
        import torch

        return int(torch.mps.driver_allocated_memory())
    unit = (
        1 if sys.platform == "darwin" else 1024
    )  # getrusage counts kilobytes everywhere but on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def place(tensor: torch.Tensor, device: str | torch.device) -> torch.Tensor:
    """A tensor of the CPU on a device; neither waits for the other."""
    if not str(device).startswith("cuda"):
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
