"""What the figures of `gpu_full` come to: targets met or not, the whole of Table II, a report.

Pure functions of what the stages returned. A figure that a stage did not deliver is None and is
called "not measured"; what is computed from parts is marked as extrapolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.api import Json

STYLES, CONTENTS, STEPS = 3, 179, 3000
TRANSFERS = STYLES * CONTENTS
# TFLOP per row of the full architectures, as the targets are stated; the run counts them anew.
STATED = {
    "unet_forward": 0.803,
    "unet_forward_backward": 1.669,
    "vae_encode": 1.117,
    "vae_decode": 2.515,
}
Figures = Mapping[str, Mapping[str, Json]]
Verdict = Literal["goal met", "floor met", "not met", "not measured"]


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the targets, stated for one H200."""

    what: str
    unit: str
    floor: float
    goal: float
    higher_is_better: bool = True

    def verdict(self, value: float | None) -> Verdict:
        """Whether a value meets the goal, the floor, or neither.

        Example:
            >>> Target("clips", "1/s", 5, 8).verdict(6.0)
            'floor met'
            >>> Target("time", "min", 5, 4, higher_is_better=False).verdict(4.0)
            'goal met'
        """
        if value is None or not math.isfinite(value):
            return "not measured"
        sign = 1 if self.higher_is_better else -1
        if sign * value >= sign * self.goal:
            return "goal met"
        return "floor met" if sign * value >= sign * self.floor else "not met"


TARGETS = {
    "train_share": Target("TVE training, several styles together, share of ceiling", "%", 35, 45),
    "clips_per_s": Target("stylised clips, strength .5, 50 steps, scale 3.5", "1/s", 7, 10),
    "train_ratio": Target("training against the authors' algorithm as coded", "x", 15, 25),
    "stylise_ratio": Target("stylisation against the authors' algorithm as coded", "x", 12, 15),
    "table2_min": Target("whole Table II (extrapolated)", "min", 5, 4, higher_is_better=False),
    "peak_gib": Target("peak memory, batch 1, float16", "GiB", 8, 6, higher_is_better=False),
}


def number(figures: Figures, stage: str, key: str) -> float | None:
    """A figure of a stage; None where it was not measured."""
    value = figures.get(stage, {}).get(key)
    return float(value) if isinstance(value, int | float) else None


def _quotient(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def values(figures: Figures) -> dict[str, float | None]:
    """The values that the targets speak of, from the stages' figures."""
    share = _quotient(number(figures, "train", "best_tflops"), number(figures, "ceiling", "tflops"))
    minutes = table2(figures)["total_s"]
    return {
        "train_share": None if share is None else 100 * share,
        "clips_per_s": number(figures, "stylise", "clips_per_s"),
        "train_ratio": _quotient(
            number(figures, "published", "train_step_s"),
            number(figures, "train", "best_style_step_s"),
        ),
        "stylise_ratio": _quotient(
            number(figures, "published", "clip_s"), number(figures, "stylise", "clip_s")
        ),
        "table2_min": None if minutes is None else minutes / 60,
        "peak_gib": number(figures, "memory", "peak_gib"),
    }


def table2(figures: Figures) -> dict[str, float | None]:
    """Seconds of the parts of Table II, extrapolated from what was measured; None where it was not.

    3 styles x {TVE, R+TI} fitted in one pass for 3000 steps; 537 transfers with each of them and
    with MusicGen, as many together as a chunk of the suite `table2` has; every output and content
    embedded once. Transfers are those at strength .5 (51 rows; the suite's styles take 61, 45 and
    45, 50.3 on average). Reading and writing audio, the other metrics and the loading of
    checkpoints are not in it.
    """
    step = number(figures, "train", "tve x3 + rti x3 step_s")
    clip = number(figures, "stylise", "chunk_clip_s")
    music = number(figures, "musicgen", "chunk_clip_s")
    embedding = number(figures, "clap", "clip_s")
    parts = {
        "fits_s": None if step is None else STEPS * step,
        "tve_transfers_s": None if clip is None else TRANSFERS * clip,
        "rti_transfers_s": None if clip is None else TRANSFERS * clip,
        "musicgen_transfers_s": None if music is None else TRANSFERS * music,
        "scoring_s": None if embedding is None else (3 * TRANSFERS + CONTENTS) * embedding,
    }
    known = [part for part in parts.values() if part is not None]
    return {**parts, "total_s": math.fsum(known) if len(known) == len(parts) else None}


def clip_account(figures: Figures) -> list[tuple[str, float, float | None]]:
    """Where the time of a stylised clip goes: part, seconds, TFLOP; what no part covers comes last.

    Parts were measured one by one, so they may overlap in a whole transfer; then the rest is below
    0. Empty where a whole transfer was not measured.
    """
    whole = number(figures, "stylise", "clip_s")
    parts = [
        ("51 rows of the U-Net", "stylise", "sampling, s per clip", "sampling, TFLOP"),
        ("VAE encode", "vae", "encode, s per image", "encode, TFLOP"),
        ("VAE decode", "vae", "decode, s per image", "decode, TFLOP"),
        ("image to sound", "codec", "best, s per clip", ""),
    ]
    rows = [
        (name, seconds, number(figures, stage, work))
        for name, stage, key, work in parts
        if (seconds := number(figures, stage, key)) is not None
    ]
    if whole is None:
        return []
    rest = whole - math.fsum(seconds for _, seconds, _ in rows)
    return [*rows, ("spectrogram, copies, the rest", rest, None), ("whole clip", whole, None)]


def report(facts: Mapping[str, Json], stages: Mapping[str, Mapping[str, Json]]) -> str:
    """Markdown: where it ran, targets, Table II in parts, and every stage's figures."""
    figures = {name: _figures(stage) for name, stage in stages.items()}
    reduced = bool(facts.get("reduced"))
    size = "Small networks" if reduced else "Full-size architectures"
    lines = [f"# {size} on {facts.get('device_name')}, {facts.get('date')}", ""]
    if reduced:
        lines += [
            (
                f"**REDUCED: small networks on {facts.get('device_name')}. These figures say that "
                "the benchmark runs, and nothing about the targets, which are not measured.**"
            ),
            "",
        ]
    lines += [f"* {key}: {value}" for key, value in facts.items()]
    lines += ["", "Random weights; no trained checkpoint takes part.", ""]
    lines += _targets(figures, reduced=reduced)
    lines += _table2(figures, reduced=reduced)
    lines += _account(figures)
    for name, stage in stages.items():
        lines += _stage(name, stage)
    return "\n".join(lines).rstrip() + "\n"


def _figures(stage: Mapping[str, Json]) -> Mapping[str, Json]:
    found = stage.get("figures")
    return found if isinstance(found, dict) else {}


def _targets(figures: Figures, *, reduced: bool) -> list[str]:
    found = values(figures)
    lines = ["## Targets (stated for one H200)", ""]
    lines += ["| what | floor | goal | here | verdict |", "|:--|--:|--:|--:|:--|"]
    for key, target in TARGETS.items():
        value = None if reduced else found[key]
        shown = "-" if found[key] is None else f"{found[key]:.3g}"
        marked = f"{shown} (reduced)" if reduced and found[key] is not None else shown
        lines.append(
            f"| {target.what} [{target.unit}] | {target.floor:g} | {target.goal:g} | {marked} | "
            f"{target.verdict(value)} |"
        )
    return [*lines, ""]


def _table2(figures: Figures, *, reduced: bool) -> list[str]:
    words = "EXTRAPOLATED from the stages below" + (", reduced" if reduced else "")
    lines = [f"## Table II: {words}", "", "| part | s |", "|:--|--:|"]
    for part, seconds in table2(figures).items():
        lines.append(f"| {part} | {'-' if seconds is None else f'{seconds:.1f}'} |")
    notes = (table2.__doc__ or "").partition("\n\n")[2].split()
    return [*lines, "", " ".join(notes), ""]


def _account(figures: Figures) -> list[str]:
    """The parts of a clip, each with what it achieves of the ceiling."""
    top = number(figures, "ceiling", "tflops")
    lines = ["## Where the time of a clip goes", "", "| part | s | TFLOP/s | of the ceiling |"]
    lines.append("|:--|--:|--:|--:|")
    for name, seconds, work in clip_account(figures):
        rate = _quotient(work, seconds)
        share = _quotient(rate, top)
        shown = "-" if rate is None else f"{rate:.4g}"
        percent = "-" if share is None else f"{100 * share:.1f} %"
        lines.append(f"| {name} | {seconds:.4g} | {shown} | {percent} |")
    return [*lines, ""]


def _stage(name: str, stage: Mapping[str, Json]) -> list[str]:
    lines = [f"## {name}: {stage.get('status')}", ""]
    if stage.get("about"):
        lines += [str(stage["about"]), ""]
    if stage.get("reason"):
        lines += [f"{stage['reason']}", ""]
    found = _figures(stage)
    if found:
        lines += ["| figure | value |", "|:--|--:|"]
        lines += [f"| {key} | {_shown(value)} |" for key, value in found.items()]
        lines.append("")
    return lines


def _shown(value: Json) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
