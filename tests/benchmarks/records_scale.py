"""How statistics, gate, tables and page grow with the records: seconds and memory per size.

`python tests/benchmarks/records_scale.py [--records 25000 50000 100000]` builds a run of that many
score records (five metrics, so a fifth as many cells; ten methods, twenty styles), writes it as the
runner does, and times each step in a process of its own. Prints one line per size.

`... --cells 100000` counts the harder way, by cells with two scores each, and times the whole
command `bench report` on them: start, reading, tables and page, without sounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "reports")]

from building import ended, header, method, planned, save, scored  # noqa: E402 - needs the path above

from bench.records.store import Run, load_run  # noqa: E402 - needs the path above
from reports import write  # noqa: E402 - needs the path above
from reports.gate import lane, verdicts  # noqa: E402 - needs the path above

METRICS = ("cp", "sf.heldout", "sf.seen", "sf.text", "chroma")
METHODS, STYLES = 10, 20
MIB = 2**20


def build(cells_wanted: int, metrics: Sequence[str]) -> Run:
    """A run of so many cells, each scored by every metric, with an effect of each cell."""
    contents = max(1, cells_wanted // (METHODS * STYLES))
    labels = [f"method{i}" for i in range(METHODS)]
    styles = [f"style{i}" for i in range(STYLES)]
    names = [f"content{i}" for i in range(contents)]
    generator = np.random.default_rng(0)
    level = generator.normal(0.5, 0.05, (METHODS, STYLES, contents, len(metrics)))
    head = header([method(label) for label in labels], styles, names, metrics)
    plan, cells, scores = [], {}, {}
    for m, label in enumerate(labels):
        for s, style in enumerate(styles):
            for c, content in enumerate(names):
                cell = planned(label, style, content)
                plan.append(cell)
                cells[cell.cell_id] = ended(cell.cell_id, style, calibration_s=0.01)
                for k, name in enumerate(metrics):
                    value = float(level[m, s, c, k])
                    scores[cell.cell_id, name] = scored(cell.cell_id, name, value)
    return Run(Path("scale"), head, tuple(plan), cells, scores)


@contextmanager
def timed(steps: dict[str, float], name: str) -> Iterator[None]:
    """Add the processor seconds of a block under a name: other work on the machine counts not."""
    start = time.process_time()
    yield
    steps[name] = time.process_time() - start


def measure(folder: Path) -> dict[str, float]:
    """Processor seconds of each step on a run folder, the wall clock of all, and the peak MiB."""
    steps: dict[str, float] = {}
    start = time.perf_counter()
    with timed(steps, "read"):
        load_run(folder)
    with timed(steps, "tables"):
        write.write_report(folder)
    with timed(steps, "terminal"):
        write.terminal_summary(folder)
    known = folder / "baseline.json"
    with timed(steps, "baseline"):
        verdicts.write_baseline(folder, "scale", known, records_only=True)
    with timed(steps, "gate"):
        lane.judge_and_write(folder, known, verdicts.Terms(records_only=True))
    steps["total"] = sum(steps.values())
    steps["wall"] = time.perf_counter() - start
    steps["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MIB
    return steps


def measure_command(folder: Path) -> dict[str, float]:
    """The whole `report` command, page and all, as somebody waits for it."""
    command = [sys.executable, "-m", "bench", "report", str(folder), "--without-sounds"]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall": time.perf_counter() - start,
        "processor": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        "MiB": used.ru_maxrss * 1024 / MIB,
        "page MiB": (folder / "report" / "page" / "index.html").stat().st_size / MIB,
    }


def measure_apart(folder: Path) -> dict[str, float]:
    """`measure` in a fresh process, so that memory is that of the size."""
    command = [sys.executable, __file__, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main(say: Callable[[str], object] = sys.stdout.write) -> None:
    """Measure each size and say one line about it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="*", default=[25_000, 50_000, 100_000])
    parser.add_argument("--cells", type=int, nargs="*", default=[])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        say(json.dumps(measure(arguments.folder)) + "\n")
        return
    for records in [] if arguments.cells else arguments.records:
        made = build(records // len(METRICS), METRICS)
        say(f"{records} score records: {_measured(made, measure_apart)}\n")
    for cells in arguments.cells:
        made = build(cells, METRICS[:2])
        say(f"{cells} cells, {2 * cells} scores: {_measured(made, measure_command)}\n")


def _measured(run: Run, measurement: Callable[[Path], dict[str, float]]) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        save(run, folder)
        steps = measurement(folder)
    return ", ".join(f"{name} {value:.2f}" for name, value in steps.items())


if __name__ == "__main__":
    main()
