"""Rehearse Table II: the real command, on networks of random weights, at two scales.

`python -m tests.benchmarks.table2_rehearsal` writes the three checkpoints with random weights as a
fetch would leave them, and a data set with the counts of MusicTI's card (`stand_ins`); then it runs
`python -m bench run --suite ... --fit-together` as a process of its own: the suite is `table2`
with fewer steps of fitting, and `--contents` takes fewer contents. Two scales make a line for every
stage (`rehearsal_account`), so that wall time, memory, disk and the harness's own share of Table II
come from end to end. A run before them, with the fewest steps, shows what first use costs where
passes are compiled. All runs share the compiled code and nothing else of the cache.

On a GPU it ends within 8 minutes: no run begins after `--limit-s` seconds. It needs this checkout's
own dependencies (torch, torchaudio, transformers, diffusers, safetensors, pydantic, pandas, scipy,
soundfile, soxr, typer and the rest of `[project.dependencies]`), 12 GB of disk under `--scratch`,
20 GB of memory, and no network. With `--device cpu --reduced` it does the same with tiny networks,
one style and one control, which only shows that it runs.

The report is written anew after every run, as Markdown and JSON, into `reports/benchmarks/`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.api import Json
from bench.checkout import CHECKOUT, SUITES
from bench.device import resolve_device
from bench.records.accounts import read_accounts
from tests.benchmarks import stand_ins
from tests.benchmarks.full_architectures import say
from tests.benchmarks.gpu_full import FOLDER, facts
from tests.benchmarks.rehearsal_account import Rehearsal, extrapolate, report

LIMIT_S = 330.0
KEPT = {"compiled", "checkpoints.lock.json"}  # of the cache, from one run to the next
SAMPLE_S = "1"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of Table II is run: steps of a fit, and contents per style."""

    steps: int
    contents: int


# Batches of up to 31 contents (62 rows with guidance) share one compiled pass, and these are sizes
# that nothing is padded to; Table II itself has chunks of 64.
FULL = {"first use": Scale(4, 8), "few": Scale(50, 8), "many": Scale(250, 24)}
REDUCED = {"few": Scale(2, 1), "many": Scale(6, 2)}


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a rehearsal runs.

    Args:
        root: Scratch folder: checkpoints, data, the cache and run folders.
        device: As `bench run --device` takes it.
        reduced: Tiny networks, one style, one control.
    """

    root: Path
    device: str
    reduced: bool

    @property
    def cache(self) -> Path:
        """What BENCH_CACHE names."""
        return self.root / "cache"

    def environment(self) -> dict[str, str]:
        """Variables of a run: everything from the scratch folder, and no network."""
        own = {
            "BENCH_CACHE": str(self.cache),
            "BENCH_DATA": str(self.root / "data"),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(CHECKOUT),
        }
        return {**os.environ, **own}


def derived_suite(text: str, scale: Scale, *, reduced: bool) -> str:
    """The suite `table2` with fewer steps of fitting; reduced, also of sampling, and one control.

    Raises:
        ValueError: The suite has changed, so that nothing was replaced.
    """
    changes = [(r'^preset = "(paper|ti)"$', rf"\g<0>\nsteps = {scale.steps}", 2)]
    if reduced:
        changes += [
            (r"^num_inference_steps = 50$", "num_inference_steps = 4", 4),
            (r"^style_clips = .*$", '\\g<0>\ncontrols = ["copy-content"]', 1),
        ]
    for pattern, replacement, expected in changes:
        text, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if found != expected:
            raise ValueError(f"{pattern} stands {found} times in the suite, not {expected} times.")
    return text


def rehearse(stage: Stage, name: str, scale: Scale) -> Rehearsal:
    """Run the command at one scale and measure it.

    Raises:
        RuntimeError: The command failed, or a cell of it.
    """
    _forget(stage.cache)
    suite = stage.root / f"table2-{scale.steps}.toml"
    text = (SUITES / "table2.toml").read_text(encoding="utf-8")
    suite.write_text(derived_suite(text, scale, reduced=stage.reduced), encoding="utf-8")
    run = stage.root / "runs" / name.replace(" ", "-")
    command = [
        *(sys.executable, "-m", "bench", "run", "--suite", str(suite), "--fit-together"),
        *("--contents", str(scale.contents), "--device", stage.device, "--out", str(run)),
        *(("--styles", "accordion") if stage.reduced else ()),
    ]
    say(f"{name}: {scale.steps} steps, {scale.contents} contents")
    with sampled(stage.device) as samples:
        wall_s, peak_host_bytes = _execute(command, stage, run.with_suffix(".log"))
    cells = [json.loads(line) for line in (run / "cells.jsonl").read_text().splitlines()]
    wrong = [cell for cell in cells if cell["status"] not in ("ok", "started")]
    if wrong:
        raise RuntimeError(f"{len(wrong)} cells failed, the first: {wrong[0]['reason']}")
    (account,) = read_accounts(run)
    return Rehearsal(
        steps=scale.steps,
        contents=scale.contents,
        wall_s=wall_s,
        stages={part: seconds for part, seconds in account.items() if part != "total"},
        peak_host_bytes=peak_host_bytes,
        peak_device_bytes=max(cell["peak_memory_bytes"] or 0 for cell in cells),
        disk_bytes=size_of(run) + sum(size_of(path) for path in _entries(stage.cache)),
        busy=sum(samples) / len(samples) / 100 if samples else None,
    )


def _execute(command: list[str], stage: Stage, log: Path) -> tuple[float, int]:
    """Wall time and largest resident size of a command, whose output goes into a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=stage.environment(), stdout=out, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - begun
    if process.returncode != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"the command ended with {process.returncode}:\n{tail}")
    unit = 1 if sys.platform == "darwin" else 1024
    return wall_s, usage.ru_maxrss * unit


@contextmanager
def sampled(device: str) -> Iterator[list[float]]:
    """Percentages of each second in which the GPU worked; none without `nvidia-smi`."""
    samples: list[float] = []
    program = shutil.which("nvidia-smi")
    if program is None or not device.startswith("cuda"):
        yield samples
        return
    number = device.partition(":")[2] or "0"
    query = ["-i", number, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    process = subprocess.Popen(
        [program, *query, "-l", SAMPLE_S], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )

    def read() -> None:
        samples.extend(float(line) for line in process.stdout or () if line.strip().isdigit())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield samples
    finally:
        process.terminate()
        process.wait()
        reader.join()


def _entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.name not in KEPT] if cache.is_dir() else []


def _forget(cache: Path) -> None:
    """Empty the cache of results, so that no run takes another's."""
    for path in _entries(cache):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def size_of(place: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    paths = [place] if place.is_file() else place.rglob("*")
    return sum(path.stat().st_size for path in paths if path.is_file())


def write(path: Path, known: Mapping[str, Json], runs: Mapping[str, Rehearsal], size: int) -> None:
    """Write the report, Markdown and JSON, as far as it has come."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text(report(known, runs, size), encoding="utf-8")
    whole: dict[str, object] = {
        "facts": known,
        "checkpoints_bytes": size,
        "runs": {name: {**asdict(run), "parts": run.parts} for name, run in runs.items()},
    }
    if {"few", "many"} <= runs.keys():
        whole["extrapolated_s"] = extrapolate(runs["few"], runs["many"])
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--reduced", action="store_true", help="tiny networks, one style")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S)
    parser.add_argument("--scratch", type=Path, help="where 12 GB may go; default: a temporary one")
    parser.add_argument("--out", type=Path, default=FOLDER)
    return parser.parse_args()


def main() -> None:
    """Write the stand-ins, rehearse, and say what Table II would take."""
    asked = arguments()
    device = resolve_device(asked.device)
    if device == "cpu" and not asked.reduced:
        sys.exit("error: the full networks would take hours on a CPU; add --reduced.")
    begun = time.perf_counter()
    known = facts(device, reduced=asked.reduced)
    name = re.sub(r"[^a-z0-9]+", "-", f"{known['device_name']}".lower().split(",")[0]).strip("-")
    path = asked.out / f"table2-{name}{'-reduced' * asked.reduced}-{known['date']}.md"
    with tempfile.TemporaryDirectory(dir=asked.scratch) as scratch:
        stage = Stage(Path(scratch), device, asked.reduced)
        os.environ["BENCH_CACHE"] = str(stage.cache)
        checkpoints = stage.root / "checkpoints"
        stand_ins.record(stand_ins.write_checkpoints(checkpoints, device, reduced=asked.reduced))
        stand_ins.write_dataset(stage.root / "data" / "musicti")
        size = size_of(checkpoints)
        say(f"stand-ins: {size / 1e9:.1f} GB after {time.perf_counter() - begun:.0f} s")
        runs: dict[str, Rehearsal] = {}
        for label, scale in (REDUCED if asked.reduced else FULL).items():
            if time.perf_counter() - begun > asked.limit_s:
                say(f"{label}: not run, {asked.limit_s:g} s were over")
                continue
            runs[label] = rehearse(stage, label, scale)
            write(path, known, runs, size)
            say(f"    {runs[label].wall_s:.1f} s, own {100 * runs[label].harness_share:.0f} %")
    if {"few", "many"} <= runs.keys():
        minutes = sum(extrapolate(runs["few"], runs["many"]).values()) / 60
        say(f"Table II, extrapolated: {minutes:.1f} min{' (reduced)' * asked.reduced}")
    say(f"{time.perf_counter() - begun:.0f} s; written: {path} and .json")


if __name__ == "__main__":
    main()
