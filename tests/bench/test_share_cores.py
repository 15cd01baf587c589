"""On a busy machine threads of a command soon make room, unless the user says how they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import SPINS, share_cores

SHOWN = "GOMP_SPINCOUNT = "
PROGRAM = (
    "import os; os.getloadavg = lambda: (1.5, 0.0, 0.0)\n"
    "from bench.__main__ import share_cores; share_cores(); import torch"
)


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings GCC's OpenMP on Linux alone")
@pytest.mark.parametrize(
    ("asked", "found"),
    [({}, SPINS), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
    ids=["nothing", "a number", "a policy"],
)
def test_the_library_of_threads_is_told_before_torch_loads_it(
    checkout: Path, asked: dict[str, str], found: str
) -> None:
    """It says itself what it was told."""
    unset = {k: v for k, v in os.environ.items() if k not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=unset | asked | {"OMP_DISPLAY_ENV": "VERBOSE"},
        cwd=checkout, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = {line for line in done.stderr.splitlines() if SHOWN in line}
    assert line.partition(SHOWN)[2].strip("'") == found


@pytest.mark.parametrize(("load", "found"), [(0.99, None), (1.0, SPINS)])
def test_a_machine_for_itself_waits_as_the_library_does(
    monkeypatch: pytest.MonkeyPatch, load: float, found: str | None
) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
    share_cores()
    assert os.environ.get("GOMP_SPINCOUNT") == found
