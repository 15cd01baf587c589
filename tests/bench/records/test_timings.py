"""What timings come to: exact figures, without a clock."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bench.api import RecordError
from bench.records.timings import (
    Memory,
    MethodTiming,
    StageTiming,
    amortised_s,
    contention,
    crossover,
    extrapolate,
    quartiles,
    read_timing,
    rounds,
)


def timing(label: str, *, fit: float, transfer: float, load: float = 0.0) -> MethodTiming:
    stages = (
        StageTiming(stage="load", seconds=(load,)),
        StageTiming(stage="fit", seconds=(fit,)),
        StageTiming(stage="transfer", clips=1, seconds=(99.0,)),
        StageTiming(stage="transfer", clips=4, seconds=(4 * transfer,)),
    )
    return MethodTiming(label=label, fits_per_style=True, stages=stages)


def test_quartiles_are_per_clip() -> None:
    stage = StageTiming(stage="transfer", clips=4, seconds=(8.0, 4.0, 12.0, 16.0, 20.0))
    assert quartiles(stage) == (2.0, 3.0, 4.0)


def test_amortised_cost_is_a_line_through_the_fixed_costs() -> None:
    tve = timing("tve", load=5.0, fit=60.0, transfer=2.0)
    assert [amortised_s(tve, n) for n in (1, 10, 100, 537)] == [67.0, 85.0, 265.0, 1139.0]


def test_amortised_cost_of_an_untimed_transfer_is_not_a_number() -> None:
    assert math.isnan(amortised_s(MethodTiming(label="lost", fits_per_style=False), 1))


def test_a_fit_pays_from_the_crossover_on() -> None:
    fitted = timing("fitted", fit=60.0, transfer=2.0)
    slow = timing("slow", fit=0.0, transfer=5.0)
    assert crossover(fitted, slow) == 20
    assert amortised_s(fitted, 20) <= amortised_s(slow, 20)
    assert amortised_s(fitted, 19) > amortised_s(slow, 19)
    assert crossover(slow, fitted) is None


def test_between_clips_the_next_one_counts() -> None:
    assert crossover(timing("a", fit=61.0, transfer=2.0), timing("b", fit=0.0, transfer=5.0)) == 21


def test_what_is_cheaper_from_the_start_crosses_at_one() -> None:
    cheap, dear = timing("a", fit=1.0, transfer=1.0), timing("b", fit=2.0, transfer=2.0)
    assert (crossover(cheap, dear), crossover(dear, cheap)) == (1, None)
    assert crossover(cheap, cheap) == 1


def test_equal_slopes_never_meet() -> None:
    assert crossover(timing("a", fit=2.0, transfer=1.0), timing("b", fit=1.0, transfer=1.0)) is None


def test_extrapolation_is_a_line_through_medians() -> None:
    assert extrapolate([3.0, 9.0, 3.0], [5.0, 5.0, 0.0], (10, 20, 100)) == 21.0


def test_the_kernel_tells_a_disturbed_session() -> None:
    stages = [
        StageTiming(stage="fit", seconds=(1.0,), calibration_s=(0.02,)),
        StageTiming(stage="transfer", seconds=(1.0, 1.0), calibration_s=(0.01, 0.03)),
    ]
    assert contention(stages) == pytest.approx(3.0)
    assert contention([]) is None


def test_every_method_leads_a_round_in_turn() -> None:
    order = list(rounds("abc", 4))
    assert [item for _, item in order] == list("abcbcacababc")
    assert [number for number, _ in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"benchmarks": []}', encoding="utf-8")
    with pytest.raises(RecordError, match="cannot be read as timings"):
        read_timing(other)


def test_memory_is_written_as_it_was_found() -> None:
    stage = StageTiming(stage="load", seconds=(1.0,), memory=Memory(allocated=1, held=2))
    again = StageTiming.model_validate(json.loads(stage.model_dump_json()))
    assert again == stage
    assert again.memory.resident is None
