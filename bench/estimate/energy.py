"""The energy that a session takes, where the machine counts it.

Processors count at RAPL's files (Linux, where they may be read), NVIDIA's GPUs at NVML (where
`pynvml` is installed). Both count everything that runs there, not this process alone. What cannot
be read is absent, and never 0.

**Conventions**: joules. A counter of RAPL is in microjoules and begins anew at its range, after
some ten minutes to hours, so it is read now and then in between (`READ_EVERY_S`); one of NVML is in
millijoules since the driver was loaded.

References:
    Linux, Documentation/power/powercap/powercap.rst: `energy_uj`, `max_energy_range_uj`, `name`.
    NVML, nvmlDeviceGetTotalEnergyConsumption.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

POWERCAP = Path("/sys/class/powercap")
READ_EVERY_S = 60.0  # the smallest range, 65 kJ, lasts longer at 1 kW
_MICRO, _MILLI = 1e-6, 1e-3


@dataclass(slots=True)
class Counter:
    """One counter that rises, and what it has risen by since it was first read.

    Args:
        read: Gives its value in units; raises OSError where it cannot be read.
        unit_j: Joules of a unit.
        range_units: Where it begins anew at 0; None where it never does.
    """

    read: Callable[[], int]
    unit_j: float
    range_units: int | None = None
    _last: int | None = field(default=None, init=False)
    _risen: int = field(default=0, init=False)

    def follow(self) -> float | None:
        """Joules since the first call; None from the first reading that fails on.

        At most one new beginning may lie between two calls.
        """
        try:
            value = self.read()
        except OSError:
            self.read = _unreadable
            return None
        if self._last is not None:
            step = value - self._last
            self._risen += step + (self.range_units or 0) if step < 0 else step
        self._last = value
        return self._risen * self.unit_j


def _unreadable() -> int:
    raise OSError


def rapl_counters(folder: Path = POWERCAP) -> list[Counter]:
    """The counters of the processors and their memory; none where they may not be read.

    Packages and, beside them, DRAM; cores and graphics are parts of a package, `psys` holds all of
    it, and the same package seen through memory (`intel-rapl-mmio`) would count twice.
    """
    zones = sorted(folder.glob("intel-rapl:*")) if folder.is_dir() else []
    return [counter for zone in zones if (counter := _zone(zone)) is not None]


def _zone(zone: Path) -> Counter | None:
    try:
        name = (zone / "name").read_text(encoding="ascii").strip()
        if not name.startswith(("package", "dram")):
            return None
        int((zone / "energy_uj").read_text(encoding="ascii"))
        range_uj = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None

    def read() -> int:
        try:
            return int((zone / "energy_uj").read_text(encoding="ascii"))
        except ValueError as error:
            raise OSError(f"{zone} holds no number") from error

    return Counter(read, _MICRO, range_uj)


def nvml_counters(uuids: Sequence[str]) -> list[Counter]:
    """A counter for each GPU; none where one of them, or NVML, cannot be read.

    Args:
        uuids: As NVML has them, "GPU-...": its order of devices is not that of CUDA.
    """
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids]
        for handle in handles:
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except Exception:  # noqa: BLE001 - not installed, no driver, an old GPU, a part of one: no counter
        return []
    return [Counter(partial(_nvml_value, nvml, handle), _MILLI) for handle in handles]


def _uuids(devices: Sequence[str]) -> list[str]:
    import torch

    return [f"GPU-{torch.cuda.get_device_properties(device).uuid}" for device in devices]


def _nvml_value(nvml: Any, handle: Any) -> int:  # noqa: ANN401 - a library without types
    try:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    except nvml.NVMLError as error:
        raise OSError(str(error)) from error


class EnergyMeter:
    """Follows the counters of the processors and of some devices from when it is made.

    Args:
        devices: Such as "cpu" or "cuda:0".
        powercap: The folder of RAPL.

    Example:
        >>> with EnergyMeter(["cpu"], powercap=Path("/nowhere")) as meter:
        ...     meter.joules()
        {}
    """

    def __init__(self, devices: Sequence[str], powercap: Path = POWERCAP) -> None:
        gpus = [device for device in devices if device.startswith("cuda")]
        counters = {
            "cpu": rapl_counters(powercap),
            "gpu": nvml_counters(_uuids(gpus)) if gpus else [],
        }
        self._counters = {name: found for name, found in counters.items() if found}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._reader: threading.Thread | None = None
        self.joules()

    def joules(self) -> dict[str, float]:
        """Joules so far of "cpu" and "gpu", of each only where every counter of it can be read."""
        with self._lock:
            read = {
                name: [counter.follow() for counter in counters]
                for name, counters in self._counters.items()
            }
        known = {name: [one for one in values if one is not None] for name, values in read.items()}
        return {name: sum(known[name]) for name in read if len(known[name]) == len(read[name])}

    def __enter__(self) -> Self:
        """Read now and then, so that no new beginning of a counter is missed."""
        if "cpu" in self._counters:
            self._reader = threading.Thread(target=self._read_on, name="energy", daemon=True)
            self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Read no more."""
        self._ended.set()
        if self._reader is not None:
            self._reader.join()

    def _read_on(self) -> None:
        while not self._ended.wait(READ_EVERY_S):
            self.joules()
