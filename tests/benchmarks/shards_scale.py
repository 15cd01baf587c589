"""What sharding costs: 100,000 cells in 1,000 shards, and the overhead of a shard per cell.

`python tests/benchmarks/shards_scale.py [--cells 100000] [--shards 1000]` plans that many cells of
the mini suite, deals them out, writes the records that each shard would write into a folder of its
own, and times `merge` of all folders and `report` of the whole, page and all, without sounds. Time
is the wall clock of whole commands, memory the peak of each; making the records does not count.

`... --overhead` renders the control copy-content on short clips as one process and as
three shards, with few contents and with many, and prints the CPU time that sharding adds for each
cell, and for each shard whatever its size.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "tests" / "reports"),
    str(ROOT / "tests" / "bench"),
    str(Path(__file__).parent),
]

from building import ended, header, method, scored  # noqa: E402 - needs the path above
from harness_overhead import cpu_s  # noqa: E402 - needs the path above
from noises import write_noises  # noqa: E402 - needs the path above

from bench.data.cards import load_dataset  # noqa: E402 - needs the path above
from bench.plan.plan import Plan, make_plan, prepare_methods  # noqa: E402 - needs the path above
from bench.plan.shares import dealt  # noqa: E402 - needs the path above
from bench.plan.suite import load_suite  # noqa: E402 - needs the path above
from bench.records.parts import part_folder  # noqa: E402 - needs the path above
from bench.records.planned import plan_facts, written  # noqa: E402 - needs the path above
from bench.records.schema import PlannedCell, RunHeader  # noqa: E402 - needs the path above
from bench.records.store import write_header  # noqa: E402 - needs the path above
from bench.run.request import RunRequest, prepare  # noqa: E402 - needs the path above
from bench.run.session import start  # noqa: E402 - needs the path above

MARK = "0" * 32
METRICS = ("cp", "sf.heldout")
GIB, SHARES, TRIES = 2**30, 3, 3  # the least of some tries: a busy machine only adds
FEW, MANY, STYLES, RATE = 5, 105, 8, 22_050
SUITE = """
schema_version = 1
name = "overhead"
dataset = "{data}"
profile = "mini"
methods = ["copy-content"]
controls = []
metrics = []
"""


def planned(cells: int) -> Plan:
    """The suite mini-full with so many repetitions that it has about that many cells."""
    suite = load_suite("mini-full")
    dataset, methods = load_dataset(suite.dataset), prepare_methods(suite)
    once = len(make_plan(suite.model_copy(update={"seeds": 1}), dataset, methods).cells)
    seeds = suite.model_copy(update={"seeds": -(-cells // once)})
    return make_plan(seeds, dataset, methods)


def head_of(plan: Plan) -> RunHeader:
    """A header for a plan."""
    return header(
        [method(one.choice.label, identity=MARK) for one in plan.methods],
        list(plan.splits),
        [clip.id for clip in plan.contents],
        METRICS,
        plan=plan_facts(written(plan.cells)),
        suite={"name": "scale", "dataset": "mini", "methods": [], "metrics": list(METRICS)},
    )


def write_shard(
    home: Path, number: int, count: int, head: RunHeader, share: Sequence[PlannedCell]
) -> Path:
    """Write what a shard with a folder of its own would leave, without sounds."""
    folder = home / f"s{number}"
    part = part_folder(folder, number, count)
    part.mkdir(parents=True)
    for place in (folder, part):
        write_header(
            place, head.model_copy(update={"argv": ["run", "--shard", f"{number}/{count}"]})
        )
    cells = [
        ended(cell.cell_id, cell.style, identity=MARK, audio_digest=cell.cell_id * 4, fit_key=MARK)
        for cell in share
    ]
    scores = [scored(cell.cell_id, name, 0.5) for cell in share for name in METRICS]
    for name, records in (("plan", share), ("cells", cells), ("scores", scores)):
        text = "".join(record.model_dump_json() + "\n" for record in records)
        (part / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def measured(*words: str) -> tuple[float, float]:
    """Wall seconds of a command line and its peak memory in GiB."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "bench", *words], cwd=ROOT, stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"bench {words[0]} ended with {process.returncode}")
    return time.perf_counter() - begun, usage.ru_maxrss * 1024 / GIB


def scale(cells: int, count: int, say: Callable[[str], object]) -> None:
    """Time everything that is done to so many cells in so many shards."""
    begun = time.perf_counter()
    plan = planned(cells)
    laid_out = time.perf_counter() - begun
    shares = dealt(plan.cells, count)
    dealt_s = time.perf_counter() - begun - laid_out
    say(f"plan of {len(plan.cells)} cells: {laid_out:.1f} s; dealt to {count}: {dealt_s:.1f} s\n")
    with tempfile.TemporaryDirectory() as scratch:
        home, head = Path(scratch), head_of(plan)
        by_share: list[list[PlannedCell]] = [[] for _ in range(count)]
        for cell, share in zip(plan.cells, shares, strict=True):
            by_share[share].append(cell)
        folders = [
            write_shard(home, number, count, head, share)
            for number, share in enumerate(by_share, start=1)
        ]
        out = str(home / "all")
        commands = {
            "merge": ["merge", *map(str, folders), "-o", out, "--records-only"],
            "merge again": ["merge", *map(str, folders), "-o", out, "--records-only"],
            "status": ["status", out],
            "report": ["report", out, "--without-sounds"],
        }
        spent = {name: measured(*words) for name, words in commands.items()}
    for name, (seconds, gib) in spent.items():
        say(f"{name}: {seconds:.1f} s, {gib:.2f} GiB\n")
    total = laid_out + dealt_s + spent["merge"][0] + spent["report"][0]
    peak = max(
        *(gib for _, gib in spent.values()),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
    )
    say(f"planned, sharded, merged and reported: {total:.1f} s, at most {peak:.2f} GiB\n")


def run_cost(contents: int, shares: int) -> tuple[float, int]:
    """CPU seconds of copy-content in so many shards, and the cells; 1 is no shard."""
    with tempfile.TemporaryDirectory() as name:
        names = [f"content/noise/c{i}" for i in range(contents)]
        names += [f"style/s{s}/{i}" for s in range(STYLES) for i in range(2)]
        write_noises(Path(name) / "data", names, RATE)
        suite = Path(name) / "suite.toml"
        suite.write_text(SUITE.format(data=Path(name) / "data"), encoding="utf-8")
        os.environ["BENCH_CACHE"] = str(Path(name) / "cache")
        before, cells = cpu_s(), 0
        for number in range(1, shares + 1):
            request = RunRequest(
                suite=str(suite), device="cpu", out=Path(name) / "run",
                shard=f"{number}/{shares}" if shares > 1 else None,
            )  # fmt: skip
            prepared = prepare(request)
            start(prepared, request, lambda *_: None)
            cells += len(prepared.cells)
        return float((cpu_s() - before).sum()), cells


def overhead(say: Callable[[str], object]) -> None:
    """The difference of the slopes, by cells, with shards and without."""
    run_cost(FEW, 1)  # imports and caches
    slopes, fixed = {}, {}
    for shares in (1, SHARES):
        low, few = min(run_cost(FEW, shares) for _ in range(TRIES))
        high, many = min(run_cost(MANY, shares) for _ in range(TRIES))
        slopes[shares] = (high - low) / (many - few) * 1e3
        fixed[shares] = high - slopes[shares] / 1e3 * many
        say(f"{shares} shard(s), {many} cells: {slopes[shares]:.2f} ms of CPU per cell\n")
    say(f"sharding adds {slopes[SHARES] - slopes[1]:.2f} ms of CPU per cell, and ")
    say(f"{(fixed[SHARES] - fixed[1]) / (SHARES - 1):.2f} s for each further shard\n")


def main(say: Callable[[str], object] = sys.stdout.write) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--overhead", action="store_true")
    arguments = parser.parse_args()
    if arguments.overhead:
        overhead(say)
    else:
        scale(arguments.cells, arguments.shards, say)


if __name__ == "__main__":
    main()
