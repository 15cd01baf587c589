"""What rehearsals of Table II at two scales come to at its own scale, and the report on it.

Pure functions of what was measured. Every stage of a run's account (`bench.run.stopwatch`) is taken
for a line: fits in the number of optimiser steps, and everything that is done per clip in the
number of contents. Loading, start-up and preparation (which reads the whole data set in any case)
are constants, of which the two scales give the mean. What comes of that is extrapolated, and called
so.

**Conventions**: seconds; sizes in bytes. `wall_s` is that of the whole command; "start-up" is what
of it lies outside the account: the interpreter, imports, the tables and the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.api import Json
from bench.records.accounts import at_work_s

CONTENTS, STEPS = 179, 3000
HARNESS = ("prepare", "other", "start-up")
GIB = 2**30
Grows = Literal["steps", "contents", "nothing"]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One run of the command.

    Args:
        steps: Optimiser steps of a fit.
        contents: Contents per style.
        wall_s: From the start of the process to its end.
        stages: Seconds per stage, without "total".
        peak_host_bytes: Largest resident size of the process.
        peak_device_bytes: Largest use that a cell recorded: of the device, or of the process where
            the device is a CPU.
        disk_bytes: The run folder and what it left in the cache.
        busy: Share of the samples of `nvidia-smi` in which a kernel ran, where there is one.
    """

    steps: int
    contents: int
    wall_s: float
    stages: Mapping[str, float]
    peak_host_bytes: int
    peak_device_bytes: int
    disk_bytes: int
    busy: float | None = None

    @property
    def parts(self) -> dict[str, float]:
        """The stages and the start-up: they add up to the wall time."""
        return {**self.stages, "start-up": self.wall_s - math.fsum(self.stages.values())}

    @property
    def harness_share(self) -> float:
        """The part of the wall time in which neither a method nor a metric was at work."""
        return math.fsum(self.parts.get(name, 0.0) for name in HARNESS) / self.wall_s

    @property
    def device_share(self) -> float:
        """The part of the wall time in which the device worked, see `bench.records.accounts`."""
        return at_work_s(self.stages) / self.wall_s


def grows(part: str) -> Grows:
    """What a part of a run is a line in.

    Example:
        >>> grows("fit tve"), grows("transfer rti"), grows("load musicgen")
        ('steps', 'contents', 'nothing')
    """
    if part in ("start-up", "prepare") or part.startswith("load "):
        return "nothing"
    return "steps" if part.startswith("fit ") else "contents"


def extrapolate(few: Rehearsal, many: Rehearsal) -> dict[str, float]:
    """Seconds of each part at 3000 steps and 179 contents.

    Raises:
        ValueError: The scales do not differ in both steps and contents.

    Example:
        >>> few = Rehearsal(10, 1, 5.0, {"fit tve": 2.0, "score": 1.0}, 0, 0, 0)
        >>> many = Rehearsal(20, 2, 8.0, {"fit tve": 3.0, "score": 3.0}, 0, 0, 0)
        >>> extrapolate(few, many)
        {'fit tve': 301.0, 'score': 357.0, 'start-up': 2.0}
    """
    if many.steps <= few.steps or many.contents <= few.contents:
        raise ValueError(
            f"two scales of {few.steps} and {many.steps} steps, {few.contents} and "
            f"{many.contents} contents give no line; the second must have more of both."
        )
    at = {
        "steps": (STEPS - few.steps) / (many.steps - few.steps),
        "contents": (CONTENTS - few.contents) / (many.contents - few.contents),
        "nothing": 0.5,
    }
    first, second = few.parts, many.parts
    return {
        part: before + at[grows(part)] * (second.get(part, 0.0) - before)
        for part, before in ((part, first.get(part, 0.0)) for part in first | second)
    }


def disk(few: Rehearsal, many: Rehearsal) -> float:
    """Bytes of the run folder and of what the run keeps, at 179 contents."""
    slope = (many.disk_bytes - few.disk_bytes) / (many.contents - few.contents)
    return few.disk_bytes + slope * (CONTENTS - few.contents)


def report(facts: Mapping[str, Json], runs: Mapping[str, Rehearsal], checkpoints_bytes: int) -> str:
    """Markdown: where it ran, what was measured, and what it comes to.

    Args:
        facts: Device, date, versions.
        runs: "few" and "many", and "first use" where the first run was not measured for the line.
        checkpoints_bytes: What the checkpoints take on disk.
    """
    reduced = bool(facts.get("reduced"))
    size = "small networks" if reduced else "full-size networks"
    lines = [
        f"# Rehearsal of Table II with {size} on {facts.get('device_name')}, {facts.get('date')}",
        "",
    ]
    if reduced:
        words = "that the rehearsal runs, and nothing about Table II"
        lines += [f"**REDUCED: small networks, one style. These figures say {words}.**", ""]
    lines += [f"* {key}: {value}" for key, value in facts.items()]
    lines += ["", "Random weights and noise for music; no trained checkpoint takes part.", ""]
    lines += _measured(runs, checkpoints_bytes)
    if {"few", "many"} <= runs.keys():
        lines += _extrapolated(runs["few"], runs["many"])
    return "\n".join(lines).rstrip() + "\n"


def _measured(runs: Mapping[str, Rehearsal], checkpoints_bytes: int) -> list[str]:
    rows: list[tuple[str, Sequence[str]]] = [
        ("fit steps", [f"{run.steps}" for run in runs.values()]),
        ("contents", [f"{run.contents}" for run in runs.values()]),
        ("wall time, s", [f"{run.wall_s:.1f}" for run in runs.values()]),
        ("harness's own share", [f"{100 * run.harness_share:.1f} %" for run in runs.values()]),
        ("device at work (account)", [_percent(run.device_share) for run in runs.values()]),
        ("device at work (nvidia-smi)", [_percent(run.busy) for run in runs.values()]),
        ("peak memory, host, GiB", [_gib(run.peak_host_bytes) for run in runs.values()]),
        ("peak memory, device, GiB", [_gib(run.peak_device_bytes) for run in runs.values()]),
        ("disk, run and cache, GiB", [_gib(run.disk_bytes) for run in runs.values()]),
    ]
    names = dict.fromkeys(part for run in runs.values() for part in run.parts)
    rows += [
        (f"{name}, s", [f"{run.parts.get(name, 0.0):.2f}" for run in runs.values()])
        for name in names
    ]
    head = f"| what | {' | '.join(runs)} |"
    lines = ["## Measured", "", head, f"|:--|{'--:|' * len(runs)}"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    own = ", ".join(HARNESS)
    return [
        *lines,
        "",
        (
            f"The harness's own share is that of {own}. Checkpoints on disk: "
            f"{_gib(checkpoints_bytes)} GiB."
        ),
        "",
    ]


def _extrapolated(few: Rehearsal, many: Rehearsal) -> list[str]:
    parts = extrapolate(few, many)
    total = math.fsum(parts.values())
    own = math.fsum(parts.get(name, 0.0) for name in HARNESS)
    lines = [
        f"## EXTRAPOLATED to {STEPS} steps and {CONTENTS} contents",
        "",
        "| part | s | a line in |",
        "|:--|--:|:--|",
    ]
    lines += [f"| {part} | {seconds:.1f} | {grows(part)} |" for part, seconds in parts.items()]
    lines.append(f"| **total** | **{total:.1f}** ({total / 60:.1f} min) | |")
    return [
        *lines,
        "",
        (
            f"The harness's own share: {100 * own / total:.1f} %. Disk, run and cache: "
            f"{disk(few, many) / GIB:.2f} GiB."
        ),
        "",
    ]


def _gib(size: int) -> str:
    return f"{size / GIB:.2f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
