"""Adding up where the time of a session goes, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.estimate.energy import EnergyMeter
from bench.records.accounts import EXPECTED, energy_facts


class Stopwatch:
    """Adds up wall-clock seconds per named stage of one session, by a monotonic clock.

    One thread measures, so stages never overlap. What others do beside it is in no stage of its
    own, and waiting for them is in none. Beside the stages it holds what they were expected to
    take, and the meter of the energy.

    Example:
        >>> watch = Stopwatch()
        >>> with watch.measure("fit tve"):
        ...     pass
        >>> sorted(watch.stages)
        ['fit tve']
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.expected: dict[str, float] = {}
        self.meter: EnergyMeter | None = None
        self._started = time.perf_counter()

    @contextmanager
    def measure(self, stage: str, device: str = "cpu") -> Iterator[None]:
        """Time a block as part of `stage`, also when it raises; waits for `device` at both ends."""
        from bench.device import synchronise

        synchronise(device)
        start = time.perf_counter()
        try:
            yield
        finally:
            synchronise(device)
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start

    @property
    def total_s(self) -> float:
        """Seconds since the stopwatch was made."""
        return time.perf_counter() - self._started

    @property
    def loading_s(self) -> float:
        """Seconds that went into loading methods and metrics so far.

        Example:
            >>> watch = Stopwatch()
            >>> watch.stages |= {"load tve": 80.0, "load metrics": 2.0, "fit tve": 9.0}
            >>> watch.loading_s
            82.0
        """
        return sum(seconds for stage, seconds in self.stages.items() if stage.startswith("load "))

    def account(self) -> dict[str, float]:
        """Every stage, then what no stage covers as "other", and "total"; seconds."""
        total = self.total_s
        return {**self.stages, "other": total - sum(self.stages.values()), "total": total}

    def beside(self) -> dict[str, float]:
        """What stands beside the stages in the file of accounts: expected seconds, and energy."""
        foreseen = {EXPECTED: sum(self.expected.values())} if self.expected else {}
        return foreseen | energy_facts({} if self.meter is None else self.meter.joules())
