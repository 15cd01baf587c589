"""The rate of matrix products: measured, and kept for an hour for other runs on this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from bench.device import machine_words
from bench.estimate.matmul import KEPT, kept_matmul_rate, matmul_rate
from bench.records.rates import Rate, add_rates, read_rates


def rate(ago: timedelta, machine: str | None = None) -> Rate:
    """Twelve operations in two seconds, some time ago."""
    return Rate(
        stage="matmul", name="matmul", version="", profile="", units=12.0, seconds=2.0,
        machine=machine or machine_words("cpu"),
        measured_at=(datetime.now(UTC) - ago).isoformat(timespec="seconds"),
    )  # fmt: skip


def test_what_was_measured_within_the_hour_is_taken_and_nothing_is_written(tmp_path: Path) -> None:
    add_rates(tmp_path, [rate(KEPT / 2)])
    assert kept_matmul_rate(tmp_path, "cpu") == 6.0
    assert len(read_rates(tmp_path)) == 1


@pytest.mark.parametrize("known", [None, rate(2 * KEPT), rate(KEPT / 2, "cpu: another, 1 threads")])
def test_what_is_old_or_of_another_machine_is_measured_anew_and_kept(
    tmp_path: Path, known: Rate | None
) -> None:
    cache = tmp_path / "cache"
    add_rates(cache, [] if known is None else [known])
    measured = kept_matmul_rate(cache, "cpu")
    assert measured == matmul_rate("cpu") > 12.0
    assert np.isclose(kept_matmul_rate(cache, "cpu"), measured)
    assert [one.machine for one in read_rates(cache)][-1] == machine_words("cpu")
    assert len(read_rates(cache)) == 1 + (known is not None)
