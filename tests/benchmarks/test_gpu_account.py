"""What the stages' figures come to, in exact numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.api import Json
from tests.benchmarks.gpu_account import TARGETS, clip_account, report, table2, values

FIGURES: dict[str, dict[str, Json]] = {
    "ceiling": {"tflops": 800.0},
    "train": {
        "best_tflops": 320.0, "best_style_step_s": 0.01, "tve x3 + rti x3 step_s": 0.05,
    },
    "stylise": {"chunk_clip_s": 0.2, "clip_s": 0.125, "clips_per_s": 8.0},
    "published": {"train_step_s": 0.08, "clip_s": 2.5},
    "musicgen": {"chunk_clip_s": 0.5, "clip_s": 0.1},
    "clap": {"clip_s": 0.01},
    "memory": {"peak_gib": 9.0},
}  # fmt: skip


def test_values_are_quotients_of_the_stages() -> None:
    found = values(FIGURES)
    assert found == pytest.approx(
        {
            "train_share": 40.0,
            "clips_per_s": 8.0,
            "train_ratio": 8.0,
            "stylise_ratio": 20.0,
            "table2_min": (150 + 2 * 107.4 + 268.5 + 17.9) / 60,
            "peak_gib": 9.0,
        }
    )
    words = [TARGETS[key].verdict(value) for key, value in found.items()]
    assert words == ["floor met", "floor met", "not met", "goal met", "not met", "not met"]


def test_table2_is_the_sum_of_its_parts() -> None:
    assert table2(FIGURES) == pytest.approx(
        {
            "fits_s": 150.0,
            "tve_transfers_s": 107.4,
            "rti_transfers_s": 107.4,
            "musicgen_transfers_s": 268.5,
            "scoring_s": 17.9,
            "total_s": 651.2,
        }
    )


def test_a_missing_stage_leaves_what_it_feeds_unmeasured() -> None:
    without = {name: stage for name, stage in FIGURES.items() if name != "musicgen"}
    assert table2(without)["total_s"] is None
    assert values(without)["table2_min"] is None
    assert TARGETS["table2_min"].verdict(None) == "not measured"


def test_what_no_part_of_a_clip_covers_is_named() -> None:
    parts: dict[str, dict[str, Json]] = {
        "vae": {
            "encode, s per image": 0.01, "decode, s per image": 0.025, "decode, TFLOP": 2.5,
        },
        "stylise": {
            "clip_s": 0.125, "sampling, s per clip": 0.0625, "sampling, TFLOP": 40.0,
        },
    }  # fmt: skip
    rows = clip_account(parts)
    assert [name for name, _, _ in rows] == [
        "51 rows of the U-Net", "VAE encode", "VAE decode", "spectrogram, copies, the rest",
        "whole clip",
    ]  # fmt: skip
    assert [seconds for _, seconds, _ in rows] == pytest.approx(
        [0.0625, 0.01, 0.025, 0.0275, 0.125]
    )
    assert [work for _, _, work in rows] == [40.0, None, 2.5, None, None]
    assert clip_account({}) == []


def test_reduced_figures_meet_no_target() -> None:
    stages: dict[str, dict[str, Json]] = {
        name: {"status": "measured", "figures": dict(figures)} for name, figures in FIGURES.items()
    }
    stages["vae"] = {"status": "failed", "reason": "OutOfMemoryError: full"}
    facts: dict[str, Json] = {"device_name": "toy", "date": "today"}
    whole, small = (report(facts | {"reduced": flag}, stages) for flag in (False, True))
    assert whole.count("| goal met |") == 1
    assert "EXTRAPOLATED" in whole
    assert "OutOfMemoryError: full" in whole
    assert "goal met" not in small
    assert small.count("| not measured |") == len(TARGETS)
    assert "REDUCED" in small
