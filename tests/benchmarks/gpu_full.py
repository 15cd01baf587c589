"""How fast the full-size networks run on this device, and what that makes of the targets.

`python -m tests.benchmarks.gpu_full` needs a CUDA device and no trained weights: it builds the
published architectures with random weights, measures a matrix-product ceiling in the same run,
training, stylisation, MusicGen, CLAP and the codec through the engine, and the algorithm as the
authors coded it; then compares with the targets and extrapolates Table II, marked as such. With
`--device cpu --reduced` it runs the same stages on small networks, which only shows that it runs.

Each stage is on its own: one that fails is reported and the others go on. The report is written
anew after every stage, as Markdown and JSON, into `reports/benchmarks/`; a stage that would begin
after `--limit-s` seconds is left out and named.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench.api import Json
from bench.device import frozen_precision, resolve_device
from bench.run.provenance import collect
from methods.acceleration import choose_acceleration
from tests.benchmarks.full_architectures import say
from tests.benchmarks.gpu_account import TARGETS, report, values
from tests.benchmarks.gpu_rig import Rig, free, make_rig
from tests.benchmarks.gpu_stages import STAGES, Stage

FOLDER = Path(__file__).resolve().parents[2] / "reports" / "benchmarks"
LIMIT_S = 510.0
ON_ANY_DEVICE = {"flops", "parity"}  # minutes for the full networks on a CPU


def facts(device: str, *, reduced: bool) -> dict[str, Any]:
    """Where and with what this runs."""
    known = collect(device)
    gpu = device.startswith("cuda")
    memory = torch.cuda.get_device_properties(device).total_memory if gpu else None
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "device": device,
        "device_name": known.get("gpu") or f"{known['cpu_model']}, {known['threads']} threads",
        "device memory, GiB": None if memory is None else round(memory / 2**30, 1),
        "reduced": reduced,
        "U-Net": frozen_precision(device),
        "acceleration": choose_acceleration(torch.device(device), large=not reduced),
        "python": known["python"],
        "packages": known["packages"],
        "cuda": known.get("cuda"),
        "commit": (known["git"] or {}).get("commit"),
        "changed since": (known["git"] or {}).get("dirty"),
    }


def run_stage(stage: Stage, rig: Rig) -> dict[str, Json]:
    """Figures of a stage, or why there are none."""
    begun = time.perf_counter()
    try:
        found: dict[str, Json] = {"status": "measured", "figures": stage.work(rig)}
    except Exception as error:  # noqa: BLE001 - a stage that fails must not cost the others
        traceback.print_exc()
        found = {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:500]}
    free(rig.device)
    return {"about": stage.about, **found, "wall_s": round(time.perf_counter() - begun, 1)}


def write(path: Path, known: Mapping[str, Json], stages: Mapping[str, Mapping[str, Json]]) -> None:
    """Write the report, Markdown and JSON, as far as it has come."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text(report(known, stages), encoding="utf-8")
    figures: dict[str, Any] = {name: stage.get("figures", {}) for name, stage in stages.items()}
    whole = {"facts": known, "values": values(figures), "stages": stages}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def measure(
    rig: Rig, wanted: list[Stage], limit_s: float, save: Callable[[dict[str, Any]], None]
) -> None:
    """Run stages one after the other; `save` is called after each."""
    begun = time.perf_counter()
    done: dict[str, Any] = {}
    for stage in wanted:
        if time.perf_counter() - begun > limit_s:
            done[stage.name] = {"status": f"not measured: {limit_s:g} s were over"}
        else:
            done[stage.name] = run_stage(stage, rig)
        found = done[stage.name]
        say(f"{stage.name:<12} {found['status']} {found.get('wall_s', '')} s")
        for key, value in found.get("figures", {}).items():
            say(f"    {key:<48} {value:.4g}" if isinstance(value, float) else f"    {key}: {value}")
        save(done)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--reduced", action="store_true", help="small networks")
    parser.add_argument("--quick", action="store_true", help="one repetition of everything")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S)
    parser.add_argument("--out", type=Path, default=FOLDER)
    names = [stage.name for stage in STAGES]
    parser.add_argument("--stages", nargs="+", choices=names, default=names)
    return parser.parse_args()


def main() -> None:
    """Measure, write, and say which targets are met."""
    asked = arguments()
    device = resolve_device(asked.device)
    if device == "cpu" and not asked.reduced and not ON_ANY_DEVICE.issuperset(asked.stages):
        sys.exit("error: the full networks would take hours on a CPU; add --reduced.")
    begun = time.perf_counter()
    known = facts(device, reduced=asked.reduced)
    name = re.sub(r"[^a-z0-9]+", "-", f"{known['device_name']}".lower().split(",")[0]).strip("-")
    size = "-reduced" if asked.reduced else ""
    path = asked.out / f"{name}{size}-{known['date']}.md"
    rig = make_rig(device, reduced=asked.reduced, quick=asked.quick)
    say(f"{known['device_name']}: built in {time.perf_counter() - begun:.1f} s")
    wanted = [stage for stage in STAGES if stage.name in asked.stages]
    kept: dict[str, Any] = {}

    def save(done: dict[str, Any]) -> None:
        kept.update(done)
        write(path, known, done)

    measure(rig, wanted, asked.limit_s, save)
    found = values({stage: part.get("figures", {}) for stage, part in kept.items()})
    for key, target in TARGETS.items():
        value, verdict = found[key], target.verdict(None if asked.reduced else found[key])
        say(f"{target.what}: {value} {target.unit}: {verdict}{' (reduced)' * asked.reduced}")
    say(f"{time.perf_counter() - begun:.0f} s; written: {path} and .json")


if __name__ == "__main__":
    main()
