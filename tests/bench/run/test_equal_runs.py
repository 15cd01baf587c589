"""Equal runs give equal files, resumed ones too, and a record never stands before its sound."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_run import Small

from bench.records.schema import ScoreRecord
from bench.records.store import read
from metrics import METRICS

LOUD = """
import numpy as np
from bench.api import Audio, MethodInfo, StyleState, StyleTransferMethod

class Loud(StyleTransferMethod):
    INFO = MethodInfo("Loud", ("content audio",), False, "a test")

    def load(self, profile, device):
        pass

    def fit(self, requests, progress):
        return [StyleState() for _ in requests]

    def transfer(self, requests):
        return [Audio(3 * r.content.audio.waveform, r.content.audio.sample_rate) for r in requests]
"""


def test_equal_runs_at_other_times_give_equal_bytes(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Integer files, and float files for what is beyond full scale."""
    loud = small.home / "loud.py"
    loud.write_text(LOUD, encoding="utf-8")
    made = []
    for out in ("a", "b"):
        monkeypatch.setenv("BENCH_CACHE", str(small.home / f"cache-{out}"))
        begun = int(time.time())
        assert small.run("--methods", f"{loud}:Loud,mix", "--no-isolate", out=out) == 0
        audio = small.home / out / "audio"
        made.append({path.name: path.read_bytes() for path in audio.iterdir()})
        while int(time.time()) == begun:
            time.sleep(0.05)
    assert made[0] == made[1]
    assert {Path(name).suffix for name in made[0]} == {".flac", ".wav"}


def scores(small: Small, out: str) -> dict[tuple[str, str], tuple[object, ...]]:
    """All that a score says, the time that it took aside; as text, so that bits count."""
    records = read(small.home / out / "scores.jsonl", ScoreRecord)
    return {
        (one.cell_id, one.metric): (repr(one.value), repr(one.raw), one.status, one.audio_digest)
        for one in records
    }


def test_resumed_scores_are_the_uninterrupted_ones_to_the_last_bit(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every metric of this environment, nothing cached, whichever scores were there already."""
    text = (small.home / "small.toml").read_text(encoding="utf-8")
    ours = [name for name, entry in METRICS.items() if entry.environment is None]
    chosen = text.replace('metrics = ["chroma"]', f"metrics = {json.dumps(ours)}")
    (small.home / "small.toml").write_text(chosen, encoding="utf-8")
    part = ("--contents", "1")
    assert small.run(*part, out="whole") == 0
    whole = scores(small, "whole")
    assert len(whole) == 4 * len(ours)
    lines = (small.home / "whole" / "scores.jsonl").read_bytes().splitlines(keepends=True)
    for number, kept in enumerate((lines[:6], lines[::3])):
        monkeypatch.setenv("BENCH_CACHE", str(small.home / f"cache{number}"))
        (small.home / "whole" / "scores.jsonl").write_bytes(b"".join(kept))
        assert small.run(*part, out="whole") == 0
        assert scores(small, "whole") == whole


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel which file a handle is of")
def test_the_disk_has_a_sound_before_its_record(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system is asked to keep, in order: file, name, and only then the line."""
    kept: set[Path] = set()  # names that would outlive the power
    renamed: dict[Path, set[Path]] = {}
    flushed: set[Path] = set()
    seen = 0
    folder = small.home / "ordered"
    true_sync, true_replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        nonlocal seen
        true_sync(handle)
        path = Path(f"/proc/self/fd/{handle}").readlink()
        flushed.add(path)
        kept.update(renamed.pop(path, set()))
        if path == folder / "cells.jsonl":
            lines = [json.loads(line) for line in path.read_bytes().splitlines()]
            sounds = {folder / str(line["audio"]) for line in lines if line["status"] == "ok"}
            seen = max(seen, len(sounds))
            assert sounds <= kept
            assert folder / "plan.jsonl" in flushed
            assert folder / "run.json" in kept

    def replace(source: Path, target: Path) -> None:
        true_replace(source, target)
        assert Path(source) in flushed
        renamed.setdefault(Path(target).parent, set()).add(Path(target))

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    assert small.run(out="ordered") == 0
    assert seen == 8
    assert {small.home, folder} <= flushed  # the names of the run folder, and of what is in it
