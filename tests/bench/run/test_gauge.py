"""The kernel takes measurable time, and counts are those of the chunk alone."""

from __future__ import annotations

from bench import counts
from bench.run.calibration import Gauge, kernel_s


def test_the_kernel_takes_some_milliseconds() -> None:
    assert 1e-4 < min(kernel_s("cpu") for _ in range(3)) < 1.0


def test_a_gauge_counts_what_happens_after_it_was_made() -> None:
    counts.count("unet", 7)
    gauge = Gauge("cpu")
    counts.count("unet", 2)
    counts.count("stft")
    assert gauge.facts()["operations"] == {"unet": 2, "stft": 1}
    assert gauge.facts()["calibration_s"] > 0


def test_no_counted_call_is_no_count() -> None:
    assert Gauge("cpu").facts()["operations"] is None
