"""What the harness itself costs per cell, and planning per size.

`python tests/benchmarks/harness_overhead.py` runs the control copy-content, whose transfer hands
back what it was given, on folders of one-second clips, once with few contents and once with many:
the difference in CPU seconds per cell is what reading, checking, writing, hashing and recording
cost. The time of `fsync` is wall clock and measured apart. Then plans of 1,000 to 100,000 cells.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.data.cards import load_dataset
from bench.plan.plan import make_plan, prepare_methods
from bench.plan.suite import load_suite
from bench.run.request import RunRequest, prepare
from bench.run.session import start

FEW, MANY, STYLES, RATE = 20, 220, 2, 22_050


def cpu_s() -> np.ndarray:
    """CPU seconds of this process: its own, and the system's for it (files, mostly)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([usage.ru_utime, usage.ru_stime])


def make_folder(root: Path, contents: int) -> Path:
    """A dataset of noise, one second a clip."""
    rng = np.random.default_rng(0)
    names = [f"content/noise/c{i}" for i in range(contents)]
    names += [f"style/s{s}/{i}" for s in range(STYLES) for i in range(2)]
    for name in names:
        path = root / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, RATE).astype(np.float32), RATE)
    return root


def run_cost(contents: int) -> tuple[np.ndarray, int]:
    """CPU seconds of preparing and executing a run without metrics' cost, and its cells."""
    with tempfile.TemporaryDirectory() as name:
        folder = make_folder(Path(name) / "data", contents)
        os.environ["BENCH_CACHE"] = str(Path(name) / "cache")
        request = RunRequest(
            suite="mini", methods="copy-content", metrics="", dataset=str(folder),
            contents=str(contents), device="cpu", out=Path(name) / "run",
        )  # fmt: skip
        before = cpu_s()
        prepared = prepare(request)
        kept = [cell for cell in prepared.cells if cell.method == "copy-content"]
        prepared = replace(prepared, cells=tuple(kept))
        start(prepared, request, lambda *_: None)
        return cpu_s() - before, len(kept)


def fsync_ms(count: int = 50) -> float:
    """Milliseconds of wall clock that one fsync of a short append takes here."""
    with tempfile.TemporaryDirectory() as name, (Path(name) / "log").open("ab") as file:
        begun = time.perf_counter()
        for _ in range(count):
            file.write(b"x" * 300)
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - begun) / count * 1e3


def plan_s(seeds: int) -> tuple[float, int]:
    """CPU seconds of one plan of the mini dataset with so many repetitions, and its cells."""
    suite = load_suite("mini-full").model_copy(update={"seeds": seeds})
    dataset, methods = load_dataset(suite.dataset), prepare_methods(suite)
    before = cpu_s()
    plan = make_plan(suite, dataset, methods)
    return float((cpu_s() - before).sum()), len(plan.cells)


def main() -> None:
    """Print the figures."""
    run_cost(FEW)  # imports and caches
    (low, few), (high, many) = run_cost(FEW), run_cost(MANY)
    say = sys.stdout.write
    own, system = (high - low) / (many - few) * 1e3
    say(f"harness: {own:.2f} ms of CPU per cell, and {system:.2f} ms of the system's\n")
    say(f"fsync: {fsync_ms():.2f} ms of wall clock each, one per chunk and stage\n")
    for seeds in (3, 31, 312):
        seconds, cells = plan_s(seeds)
        say(f"plan: {cells} cells in {seconds:.2f} s, {seconds / cells * 1e6:.0f} us each\n")


if __name__ == "__main__":
    main()
