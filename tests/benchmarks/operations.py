"""Makes `bench/estimate/operations.json`: what methods and metrics cost, counted and timed.

`python -m tests.benchmarks.operations` loads every method of the catalog that runs on the mini
models in a process of its own, and counts (by torch's formulas) and times a fit and a transfer,
twice where its passes can be set: the line through both is its row. Metrics score outputs, each by
itself. Times are kept as the matrix products that would have taken as long, at the rate measured in
the same process. The rows of the full profile come from operations counted on tensors without
memory, timed in the latest GPU report of `reports/benchmarks`; no trained weights take part.

It takes some minutes of one core, which it counts in CPU time, so that others on the machine matter
little. Nothing but estimates depends on the table.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry
from transformers import ClapAudioConfig, ClapAudioModelWithProjection

from bench.api import (
    BenchError,
    FitRequest,
    Json,
    Metric,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.counts import passes_of
from bench.data.cards import load_dataset
from bench.data.material import Material
from bench.data.selection import split_style
from bench.device import machine_words, peak_memory_bytes
from bench.estimate import operations
from bench.estimate.matmul import matmul_rate
from bench.estimate.operations import Line, Row, Table
from bench.files import replace_file
from bench.plan.plan import method_info
from bench.plan.suite import METRICS
from bench.plugins.catalog import describe, find_method, find_metric, methods
from bench.plugins.kinds import kind_of
from bench.plugins.opening import open_method, open_metric
from bench.plugins.parameters import split_parameters
from bench.seeds import generator
from bench.timing.supply import Supply
from methods.riffusion.spectrogram import SpectrogramParameters, decode
from tests.benchmarks import pipeline_networks
from tests.benchmarks.gpu_networks import own_flops
from tests.dispatched import Watching

GIGA, TERA = 1e9, 1e3
LOADING, LOADS = "metrics", "loads"  # the loading of all metrics; that of everything
FEWER: dict[str, Json] = {"steps": 8, "num_inference_steps": 12}  # the second point of a line
STYLE, CLIPS = "accordion", 2
REPORT = Path(__file__).resolve().parents[2] / "reports" / "benchmarks"
RATE_HZ = 44_100  # of the codec
WINDOW_S, FRAMES = 5.0, 250  # of a clip of MusicTI, and of MusicGen's codes in it
ROWS = 51  # of the U-Net for a clip of the report
STATE_BYTES = 4_000_000  # of a style that TVE has learnt in the full profile, about
TRAJECTORY_BYTES = 3_340_000  # of an inverted clip there: 51 latents of 64 KB
EDITS = ("zeta", "ddim-inversion", "sdedit", "steer", "stylus")  # in rows of the same network
MUSICGEN_WEIGHTS = 1.4e9  # of the decoder that every frame goes through, twice with guidance


# Loads the classes that it is given, and prints the Gflop of matrix products that take as long.
LOAD = """
import sys, time
from bench.estimate.matmul import matmul_rate
from bench.plugins.loading import load_class
rate = matmul_rate("cpu", time.process_time)
begun = time.process_time()
for target in sys.argv[1:]:
    load_class(target)().load("mini", "cpu")
print((time.process_time() - begun) * rate / 1e9)
"""


@dataclass(frozen=True, slots=True)
class Point:
    """A stage with one set of parameters: passes, and Gflop per unit, counted and as long as."""

    passes: float
    counted: float
    as_long_as: float


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Operations(Watching):
    """Adds up what torch's own formulas say of each operation.

    `FlopCounterMode` follows modules besides, which fails in passes that mix what is learnt with
    what is not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Count it where there is a formula."""
        formula = flop_registry.get(getattr(func, "overloadpacket", None))
        if formula is not None:
            self.total += float(formula(*args, out_val=made))


def counted(work: Callable[[], object]) -> float:
    """Gflop of a call, by torch."""
    with Operations() as mode:
        work()
    return mode.total / GIGA


def cpu_rate() -> float:
    """Operations per second of CPU time of matrix products, by this one thread."""
    return matmul_rate("cpu", time.process_time)


def as_long_as(work: Callable[[], object]) -> float:
    """Gflop of matrix products that take as long as a call, in CPU time of this one thread."""
    begun = time.process_time()
    work()
    return (time.process_time() - begun) * cpu_rate() / GIGA


def supply() -> Supply:
    """Clips of the mini dataset, new ones each time."""
    dataset = load_dataset("mini")
    splits = {style.id: split_style(style, "split") for style in dataset.styles}
    material = Material(dataset, splits, None)
    names = [clip.id for clip in dataset.contents][:CLIPS]
    return Supply(material, names, material.style(STYLE))


@dataclass(slots=True, eq=False)
class Bench:
    """A loaded method with clips that it has not heard."""

    method: StyleTransferMethod[Any]
    clips: Supply
    sample_rate: int | None
    state: StyleState = field(default_factory=StyleState)

    def learn(self, parameters: object) -> None:
        """Learn the style anew."""
        request = FitRequest(self.clips.style_for(self.sample_rate), parameters, 0)
        (self.state,) = self.method.fit([request], lambda *_: None)

    def render(self, parameters: object) -> float:
        """Render some contents; returns their seconds."""
        contents = self.clips.contents_for(CLIPS, self.sample_rate)
        requests = [
            TransferRequest(c, self.state, parameters, seed) for seed, c in enumerate(contents)
        ]
        return sum(audio.duration_s for audio in self.method.transfer(requests))


def method_rows(name: str) -> list[Row]:
    """The rows of a method in the profile mini; called in a process of its own."""
    torch.set_num_threads(1)
    entry, learns = find_method(name), method_info(name).fits_per_style
    cpu_rate()
    made = Bench(
        open_method(entry, Path("/dev/null")), supply(), describe(entry, "mini").sample_rate
    )
    made.method.load("mini", "cpu")
    fits: list[Point] = []
    transfers: list[Point] = []
    for parameters in _settings(name):
        passes = passes_of(parameters)
        learn, render = partial(made.learn, parameters), partial(made.render, parameters)
        fits.append(Point(passes.fit, counted(learn), as_long_as(learn)))
        length_s = render()
        gflop = counted(render) / length_s
        transfers.append(Point(passes.transfer, gflop, as_long_as(render) / length_s))
    source, memory = machine_words("cpu"), peak_memory_bytes("cpu")
    common = {"name": name, "profile": "mini", "memory_bytes": memory, "source": source}
    rows = [_load_row([entry.target], **common)]
    if learns:
        size = sum(array.nbytes for array in made.state.arrays.values())
        rows.append(_row("fit", fits, disk_bytes=size, **common))
    return [*rows, _row("transfer", transfers, **common)]


def _settings(name: str) -> list[object]:
    """The default parameters of a method, and others with fewer passes where there are such."""
    kind = kind_of(find_method(name))
    usual = kind.parameters({})
    fit, transfer = split_parameters(usual)
    fewer = {key: value for key, value in FEWER.items() if key in {**fit, **transfer}}
    return [usual, kind.parameters(fewer)] if fewer else [usual]


def _row(stage: str, points: Sequence[Point], **facts: Any) -> Row:  # noqa: ANN401 - the fields of a row
    """The line through one or two points; without counted operations there is no such line."""
    long = line([(point.passes, point.as_long_as) for point in points])
    has = max(point.counted for point in points) > 0
    ops = line([(point.passes, point.counted) for point in points]) if has else None
    return Row.model_validate(
        {"stage": stage, "counted": ops, "as_long_as": {"cpu": long}, **facts}
    )


def line(points: Sequence[tuple[float, float]]) -> Line:
    """The line through two points that differ in their passes; through one, in proportion to none.

    Neither part is below 0: noise may say so of a cost that passes hardly change.

    Example:
        >>> line([(2.0, 5.0), (4.0, 9.0)])
        Line(schema_version=1, fixed=1.0, per_pass=2.0)
    """
    (most, cost), (fewest, less) = points[0], points[-1]
    if most == fewest:
        return Line(fixed=cost)
    slope = max(0.0, (cost - less) / (most - fewest))
    return Line(fixed=max(0.0, cost - slope * most), per_pass=slope)


def metric_rows() -> list[Row]:
    """The rows of the metrics in the profile mini, each scoring outputs that it has not heard."""
    torch.set_num_threads(1)
    clips, rows = supply(), []
    cpu_rate()
    facts = {"profile": "mini", "source": machine_words("cpu")}
    for name in METRICS:
        metric = open_metric(find_metric(name), Path("/dev/null"))
        metric.load("mini", "cpu")

        def score(metric: Metric = metric) -> object:
            return metric.score(clips.outputs(CLIPS))

        score()
        point = Point(1, counted(score) / CLIPS, as_long_as(score) / CLIPS)
        rows.append(_row("score", [point], name=name, family=_family(name), **facts))
    memory = peak_memory_bytes("cpu")
    targets = [find_metric(name).target for name in METRICS]
    return [_load_row(targets, name=LOADING, memory_bytes=memory, **facts), *rows]


def _load_row(targets: Sequence[str], **facts: Any) -> Row:  # noqa: ANN401 - the fields of a row
    """Loading in a process that has imported torch and nothing of a method.

    The methods of one package import the same libraries, so the first of them pays for all.
    """
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *targets], capture_output=True, text=True, check=True
    )
    family = ".".join(targets[0].split(".")[:2]).partition(":")[0]
    point = Point(1, 0, float(done.stdout.split()[-1]))
    return _row("load", [point], family=f"loading {family}", **facts)


def _family(metric: str) -> str:
    """Metrics of one module hear an output once."""
    return find_metric(metric).target.partition(":")[0]


def full_rows(mini: Sequence[Row]) -> list[Row]:
    """The rows of the full profile: networks by counted operations, the rest as in the mini one."""
    latest = max(REPORT.glob("nvidia-*.json"))
    stages = json.loads(latest.read_text(encoding="utf-8"))["stages"]
    facts = {"profile": "full", "source": f"reports/benchmarks/{latest.name}"}
    rows = [Row.model_validate({**row, **facts}) for row in _network_costs(stages)]
    untimed = {"profile": "full", "source": "counted alone, never timed"}
    made = pipeline_networks.costs(counted, WINDOW_S)
    rows += [Row.model_validate({**row, **untimed}) for row in made]
    named = {(row.stage, row.name) for row in rows}
    for row in mini:
        if row.name == LOADING or (row.stage, row.name) in named:
            continue
        if row.stage == "score" or not describe(find_method(row.name), "full").weights:
            rows.append(row.model_copy(update={"profile": "full"}))
    return rows


def _network_costs(stages: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Counted on tensors without memory, with the times of a report beside them."""
    figures = {name: stage["figures"] for name, stage in stages.items()}
    rate, tera = figures["ceiling"]["tflops"] * TERA, own_flops(reduced=False)
    train_s, rows_s = (
        figures["train"]["tve x3 step_s"] / 3,
        figures["stylise"]["sampling, s per clip"],
    )
    clip_s, row_s = figures["stylise"]["chunk_clip_s"], rows_s / ROWS
    vae = (tera["vae_encode"] + tera["vae_decode"]) * TERA / WINDOW_S
    vae_s = figures["vae"]["encode, s per image"] + figures["vae"]["decode, s per image"]
    fit = _cost((0, tera["unet_forward_backward"] * TERA), (0, train_s * rate))
    passes = tera["unet_forward"] * TERA / WINDOW_S
    stylise = _cost((vae, passes), ((clip_s - rows_s) * rate / WINDOW_S, row_s * rate / WINDOW_S))
    for name in ("tve", "rti"):
        yield {"stage": "fit", "name": name, "disk_bytes": STATE_BYTES, **fit}
    for name in ("tve", "rti", "riffusion", "null", *EDITS):
        yield {"stage": "transfer", "name": name, **stylise}
    inverted = _cost((0, tera["unet_forward"] * TERA), (0, row_s * rate))
    yield {"stage": "fit", "name": "stylus", "disk_bytes": TRAJECTORY_BYTES, **inverted}
    sound_s = figures["codec"]["best, s per clip"]
    lines = {"cuda": {"fixed": sound_s * rate / WINDOW_S}, "cpu": {"fixed": codec_gflop()}}
    yield {"stage": "transfer", "name": "vocoder", "as_long_as": lines}
    yield {
        "stage": "transfer", "name": "vae",
        **_cost((vae, 0), ((vae_s + sound_s) * rate / WINDOW_S, 0)),
    }  # fmt: skip
    frames = 2 * 2 * MUSICGEN_WEIGHTS * FRAMES / WINDOW_S / GIGA
    melody_s = figures["musicgen"]["chunk_clip_s"]
    yield {
        "stage": "transfer", "name": "musicgen",
        **_cost((frames, 0), (melody_s * rate / WINDOW_S, 0)),
    }  # fmt: skip
    heard = _cost((2 * clap_gflop(), 0), (2 * figures["clap"]["clip_s"] * rate, 0))
    for name in METRICS:
        if _family(name).startswith("metrics.clap."):
            yield {"stage": "score", "name": name, "family": _family(name), **heard}


def _cost(ops: tuple[float, float], cuda: tuple[float, float]) -> dict[str, Any]:
    """The two lines of a row."""
    keys = ("fixed", "per_pass")
    lines = [dict(zip(keys, pair, strict=True)) for pair in (ops, cuda)]
    return {"counted": lines[0], "as_long_as": {"cuda": lines[1]}}


def codec_gflop() -> float:
    """Gflop of matrix products that take as long on this processor as a second of its sound."""
    image = torch.linspace(0, 255, 512 * 512).reshape(1, 512, 512).to(torch.uint8)
    parameters = SpectrogramParameters(sample_rate=RATE_HZ)
    sound = partial(decode, image, parameters, RATE_HZ, [generator(0)])
    cpu_rate()
    sound()
    return as_long_as(sound) / WINDOW_S


def clap_gflop() -> float:
    """Gflop of an embedding of ten seconds by the audio tower of the full profile."""
    with torch.device("meta"):
        tower = ClapAudioModelWithProjection(ClapAudioConfig()).eval()
        spectra = torch.empty(1, 1, 1001, 64)
        return counted(lambda: tower(input_features=spectra, is_longer=None))


def main() -> None:
    """Write the table: all of it, or the rows of the methods that are named anew.

    `metrics` stands for those of the metrics, and `loads` for the loading of all.
    """
    here = [name for name, entry in methods().items() if entry.environment is None]
    asked = sys.argv[1:] or [*here, LOADING]
    kept = [row for row in operations.shipped() if row.profile == "mini"] if sys.argv[1:] else []
    known = {name: [row for row in kept if _owner(row) == name] for name in (*here, LOADING)}
    for name, rows in known.items():
        if name in asked:
            rows[:] = measured(name)
        elif LOADS in asked:
            rows[:] = map(_loaded_anew, rows)
        mini = [row for part in known.values() for row in part]
        write(mini)
    write([*mini, *full_rows(mini)])


def _owner(row: Row) -> str:
    return LOADING if row.stage == "score" else row.name


def measured(name: str) -> list[Row]:
    """The rows of a method, or of the metrics, made in a process of its own."""
    work = metric_rows if name == LOADING else partial(method_rows, name)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        try:
            found = pool.submit(work).result()
        except BenchError as error:  # its weights are not here
            say(f"{name}: left out: {error}")
            return []
    say(f"{name}: {', '.join(row.stage for row in found)}")
    return found


def _loaded_anew(row: Row) -> Row:
    """A row of loading, measured again; any other as it is."""
    if row.stage != "load":
        return row
    names = METRICS if row.name == LOADING else (row.name,)
    find = find_metric if row.name == LOADING else find_method
    facts = row.model_dump(include={"name", "profile", "memory_bytes", "source"})
    return _load_row([find(name).target for name in names], **facts)


def write(rows: Sequence[Row]) -> None:
    """Write the table."""
    text = Table(rows=tuple(rows)).model_dump_json(exclude_none=True)
    replace_file(operations.FILE, _rounded(text) + "\n")


def _rounded(text: str) -> str:
    """The table with a row a line and numbers of four digits, so that two can be compared."""
    table = json.loads(text, parse_float=lambda number: float(f"{float(number):.4g}"))
    lines = ",\n".join(json.dumps(row) for row in table.pop("rows"))
    return json.dumps(table)[:-1] + f', "rows": [\n{lines}\n]}}'


if __name__ == "__main__":
    main()
