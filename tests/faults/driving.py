"""Whole runs as processes of their own, on a folder of small sounds, so that they can be killed.

Starting python and importing torch takes seconds, so processes are forked from one server that
has imported everything; they are real processes all the same.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import psutil
import soundfile

from bench.records.schema import CellRecord, PlannedCell, ScoreRecord
from bench.records.store import Run, load_run, read

RUDE = Path(__file__).with_name("rude.py")
RATE, SECONDS = 8000, 1
PATIENCE_S = 120.0
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *(
            "bench.run.session",
            "bench.cli.main",
            "reports.write",
            "torch",
            "diffusers",
            "transformers",
        ),
        *("pandas", "scipy.stats", "tabulate", "safetensors.numpy", "matplotlib.pyplot"),
        *("metrics.chroma", "tests.faults.warmed"),
    ]
)
TABLES = ("table2.csv", "table1.csv", "gains.csv")
SUITE = """
schema_version = 1
name = "toy"
dataset = "{dataset}"
profile = "mini"
methods = ["{rude}:Steady"]
controls = []
metrics = ["{rude}:Level"]
chunk_size = 2
"""


@dataclass(slots=True)
class Stage:
    """A dataset of 3 contents and 2 styles, a suite over it, and a folder for runs.

    Args:
        home: Everything of this stage lies here.
        surrounding: Environment variables of its processes, beside this process's own.
    """

    home: Path
    surrounding: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the sounds and the suite."""
        rng = np.random.default_rng(0)
        names = ["content/a/a1", "content/a/a2", "content/b/b1"]
        names += [f"style/{style}/{number}" for style in ("hard", "soft") for number in range(2)]
        for name in names:
            path = self.home / "data" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = rng.uniform(-0.8, 0.8, RATE * SECONDS)
            soundfile.write(path, sound, RATE, subtype="PCM_16")
        suite = SUITE.format(dataset=self.home / "data", rude=RUDE)
        (self.home / "toy.toml").write_text(suite, encoding="utf-8")
        self.notes.mkdir()

    @property
    def notes(self) -> Path:
        """Where the methods leave process numbers and markers."""
        return self.home / "notes"

    def start(
        self, *arguments: str, out: str = "run", limit_bytes: int | None = None, **settings: str
    ) -> ForkServerProcess:
        """Start a run in the background; `settings` are environment variables.

        It writes no page unless `arguments` ask for it.
        """
        return self.command(
            *("run", "--suite", str(self.home / "toy.toml"), "--device", "cpu", "--no-html"),
            *("--out", str(self.home / out), *arguments),
            out=out, limit_bytes=limit_bytes, **settings,
        )  # fmt: skip

    def command(
        self, *arguments: str, out: str, limit_bytes: int | None = None, **settings: str
    ) -> ForkServerProcess:
        """Start any command in the background; what it prints goes to `<out>.out`."""
        surrounding = {
            **os.environ,
            "BENCH_CACHE": str(self.home / f"cache-{out}"),
            "OMP_NUM_THREADS": "1",
            "TOY_NOTES": str(self.notes),
            **self.surrounding,
            **settings,
        }
        facts = {
            "surrounding": surrounding,
            "arguments": [*arguments],
            "output": str(self.home / f"{out}.out"),
            "limit_bytes": limit_bytes,
        }
        entrance = str(Path(__file__).with_name("entrance.py"))
        process = FORKS.Process(
            target=runpy.run_path, args=(entrance, {"FACTS": facts}, "__main__")
        )
        process.start()
        return process

    def run(self, *arguments: str, out: str = "run", **settings: str) -> int:
        """Run to the end; the exit code."""
        return ended(self.start(*arguments, out=out, **settings))

    def said(self, out: str = "run") -> str:
        """What the processes of a run printed."""
        return (self.home / f"{out}.out").read_text(encoding="utf-8", errors="replace")

    def load(self, out: str = "run") -> Run:
        """The records of a run."""
        return load_run(self.home / out)

    def tables(self, out: str = "run") -> dict[str, bytes]:
        """The tables that hold no timings."""
        return {name: (self.home / out / "report" / name).read_bytes() for name in TABLES}

    def status(self, out: str = "run") -> dict[tuple[str, str, str], CellRecord]:
        """The latest record by what is in brackets behind the method, style and content."""
        done = self.load(out)
        return {
            (cell.method.rpartition(":")[2], cell.style, cell.content): done.cells[cell.cell_id]
            for cell in done.plan
        }

    def require_whole(self, out: str = "run") -> None:
        """Every planned cell ended exactly once, every finished one has its sound and its score."""
        folder = self.home / out
        plan = [cell.cell_id for cell in read(folder / "plan.jsonl", PlannedCell)]
        lines = read(folder / "cells.jsonl", CellRecord)
        final = [line for line in lines if line.status not in {"started", "cancelled"}]
        assert plan
        assert len(plan) == len(set(plan))
        assert Counter(line.cell_id for line in final) == Counter(plan)
        finished = {line.cell_id: line for line in final if line.status == "ok"}
        assert all((folder / str(line.audio)).is_file() for line in finished.values())
        scores = read(folder / "scores.jsonl", ScoreRecord)
        assert Counter(score.cell_id for score in scores) == Counter(finished.keys())

    def require_nobody_left(self) -> None:
        """No process that a method noted is alive."""
        for mark in self.notes.glob("pid-*"):
            number = int(mark.name.removeprefix("pid-"))
            wait_until(lambda number=number: not alive(number), f"the end of process {number}")


def methods(*names: str) -> tuple[str, str]:
    """The option that runs methods of `rude.py`."""
    return "--methods", ",".join(f"{RUDE}:{name}" for name in names)


def ended(process: ForkServerProcess) -> int:
    """Wait for the end of a process; its exit code, negative for a signal."""
    process.join(PATIENCE_S)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"a run did not end within {PATIENCE_S} s")
    return process.exitcode


def alive(number: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.02)
