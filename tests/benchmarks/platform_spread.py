"""How far the score of one and the same audio moves between platforms: the gate's tolerances.

`python tests/benchmarks/platform_spread.py [-o FILE]` scores sixteen fixed mixtures of the bundled
clips under each processor capability of torch (`ATEN_CPU_CAPABILITY` default, avx2, and what the
machine has) with one and with two threads, each in a process of its own, and writes per metric the
largest difference between any two platforms. `bench/gate/tolerances.json` is such a file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.api import Audio, Clip, Output, Style  # noqa: E402 - needs the path above
from bench.audio import fit_length, read_audio, to_mono  # noqa: E402 - needs the path above
from bench.plugins.catalog import find_metric, resolve  # noqa: E402 - needs the path above

MINI = ROOT / "datasets" / "mini"
METRICS = ("cp", "sf.heldout", "sf.seen", "sf.text", "chroma")
CAPABILITIES = ("default", "avx2", "auto")
THREADS = (1, 2)
DURATION_S = 5.0


def clip(path: Path) -> Clip:
    """The start of a bundled clip."""
    return Clip(path.stem, path.parent.name, read_audio(path, duration_s=DURATION_S))


def outputs() -> list[Output]:
    """Half content, half style: fixed audio between what the metrics call 0 and 1."""
    styles = []
    for folder in sorted((MINI / "style").iterdir()):
        clips = [clip(path) for path in sorted(folder.glob("*.flac"))]
        text = folder.name.replace("_", " ")
        styles.append(Style(folder.name, tuple(clips[:3]), tuple(clips[3:]), text))
    contents = [clip(sorted(f.glob("*.flac"))[0]) for f in sorted((MINI / "content").iterdir())]
    return [
        Output(content, style, mixture(content.audio, style.clips[0].audio))
        for content, style in itertools.product(contents, styles)
    ]


def mixture(content: Audio, style: Audio) -> Audio:
    """The mean of two clips, mono, as long as the first."""
    first = to_mono(content)
    second = fit_length(to_mono(style), first.num_samples)
    half = (first.waveform + second.waveform) / np.float32(2)
    return Audio(half.astype(np.float32), first.sample_rate)


def scores() -> dict[str, list[float | None]]:
    """Raw scores of every metric on the fixed audio, on this platform."""
    found = {}
    made = outputs()
    for name in METRICS:
        metric = resolve(find_metric(name))()
        metric.load("mini", "cpu")
        results = metric.score(made)
        found[name] = [result.value if result.raw is None else result.raw for result in results]
    return found


def on(capability: str, threads: int) -> dict[str, list[float | None]]:
    """The scores on one platform, in a process of its own."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment.pop("ATEN_CPU_CAPABILITY", None)
    if capability != "auto":
        environment["ATEN_CPU_CAPABILITY"] = capability
    with tempfile.TemporaryDirectory() as empty:  # cached embeddings would be those of another
        done = subprocess.run(
            [sys.executable, __file__, "--here"],
            capture_output=True,
            text=True,
            check=True,
            env=environment | {"BENCH_CACHE": empty},
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def spread(found: list[dict[str, list[float | None]]]) -> dict[str, float]:
    """Largest difference of one output's score between two platforms, per metric."""
    widest = {}
    for name in METRICS:
        table = np.array([[np.nan if x is None else x for x in f[name]] for f in found])
        widest[name] = float(np.nanmax(np.ptp(table, axis=0)))
    return widest


def main(say: Callable[[str], object] = sys.stdout.write) -> None:
    """Score here, or on every platform."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        say(json.dumps(scores()) + "\n")
        return
    platforms = list(itertools.product(CAPABILITIES, THREADS))
    found = [on(capability, threads) for capability, threads in platforms]
    facts = {
        "platforms": [f"{capability}, {threads} threads" for capability, threads in platforms],
        "machine": platform.machine(),
        "outputs": len(found[0][METRICS[0]]),
        "spread": spread(found),
    }
    text = json.dumps(facts, indent=1) + "\n"
    say(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
