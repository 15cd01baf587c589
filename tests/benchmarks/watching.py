"""How busy the machine was beside each benchmark, and an end to those that take too long.

A file of benchmarks takes part by `pytest_plugins = ["tests.benchmarks.watching"]`. The JSON of
pytest-benchmark then says per function how long the calibration kernel took before and after it and
the load average, and has a list `unfinished` of the functions that did not end within `limit_s`.
Those are skipped and not failed, since only the gate can tell a slow function from a busy machine;
`bench.records.benchmarks` reads all this.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from bench.run.calibration import kernel_s

LIMIT_S = 60.0  # the longest takes four seconds on two quiet cores
UNFINISHED = pytest.StashKey[list[dict[str, Any]]]()


@pytest.fixture
def limit_s() -> float:
    """Seconds that a benchmark may take with all its rounds; a file of benchmarks may say less."""
    return LIMIT_S


@pytest.fixture(autouse=True)
def watched(request: pytest.FixtureRequest, limit_s: float) -> Iterator[None]:
    """Watch a test that has the fixture `benchmark`, and stop it when its time is over."""
    if "benchmark" not in request.fixturenames:
        yield
        return
    benchmark = request.getfixturevalue("benchmark")
    facts = benchmark.extra_info
    facts.update({"cores": os.cpu_count(), "limit_s": limit_s, "kernel_s": [kernel_s("cpu")]})

    def stop(_number: int, _frame: FrameType | None) -> None:
        unfinished = request.config.stash.setdefault(UNFINISHED, [])
        unfinished.append({"fullname": request.node.nodeid, "extra_info": facts})
        benchmark.has_error = True  # rounds that may be too few are not kept
        pytest.skip(f"not done within {limit_s:g} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    facts["kernel_s"].append(kernel_s("cpu"))
    facts["load"] = os.getloadavg()[0]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """Say which functions did not end."""
    output_json["unfinished"] = config.stash.get(UNFINISHED, [])
