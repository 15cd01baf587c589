"""The limits of the gate's rules from both sides, and its formulas against scipy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.gate.cost import benchmark_verdicts
from bench.gate.judge import judge
from bench.gate.lanes import Lane, tolerance
from bench.gate.power import foresee
from bench.gate.quality import ALPHA, Chance, lane_verdict, one_sided_p
from bench.gate.reach import Design
from bench.gate.snapshot import MeasuredCell, MeasuredMethod, MeasuredMetric, Snapshot
from bench.gate.verdict import Verdict
from bench.records.benchmarks import Benchmark
from bench.statistics.spread import Spread

METHOD = MeasuredMethod(version="1", fits_per_style=True, control=False)
METRIC = MeasuredMetric(fingerprint="f", direction="maximize", margin=0.01)
DROPPED = Spread(-0.03, 0.01, 10, 48, "cells")


DESIGN = Design(fits=True, styles=1, contents=8, seeds=6)


def judged(
    spread: Spread, p_drop: float = 0.5, p_rise: float = 0.5, alpha: float = ALPHA, room: float = 1
) -> Verdict:
    """The verdict of a lane with a mean change, of which a fall of .2 is to be found."""
    lane = Lane(
        method="tve", metric="cp", measure=METRIC, style="", spread=spread, still=False,
        frozen=False, room=room, demanded=0.2, design=DESIGN,
    )  # fmt: skip
    return lane_verdict(lane, Chance(p_drop, p_rise, alpha))


@pytest.mark.parametrize(("p", "red"), [(0.0149, True), (0.015, True), (0.0151, False)])
def test_a_drop_is_red_up_to_the_promised_chance_of_a_false_alarm(p: float, red: bool) -> None:
    assert judged(DROPPED, p_drop=p).red is red
    risen = replace(DROPPED, mean=0.03)
    assert (judged(risen, p_rise=p).word == "improved") is red


@pytest.mark.parametrize(("mean", "word"), [(-0.0099, "equivalent"), (-0.0101, "regressed")])
def test_a_certain_drop_within_the_margin_is_none(mean: float, word: str) -> None:
    assert judged(Spread(mean, 1e-6, 10, 48, "cells"), p_drop=1e-9).word == word


@pytest.mark.parametrize(("low", "word"), [(-0.0099, "equivalent"), (-0.0101, "inconclusive")])
def test_no_drop_beyond_the_margin_is_left_open_by_an_interval_within_it(
    low: float, word: str
) -> None:
    error = -low / float(stats.t.ppf(0.975, 10))
    assert judged(Spread(0.0, error, 10, 48, "cells")).word == word


def test_an_undecided_verdict_says_what_would_be_found_and_what_it_would_take() -> None:
    found = judged(DROPPED, p_drop=0.2, alpha=ALPHA / 6)
    detectable = float(stats.t.ppf(1 - ALPHA / 6, 10) + stats.t.ppf(0.8, 10)) * 0.01
    assert found.word == "inconclusive"
    assert found.detectable == pytest.approx(detectable)
    assert found.needed == math.ceil(48 * (detectable / 0.01) ** 2)


def test_changes_without_any_chance_in_them_are_certain() -> None:
    for mean, p in ((-0.1, 0.0), (0.0, 0.5), (0.1, 1.0)):
        assert one_sided_p(Spread(mean, 0.0, 5, 6, "cells")) == p


def test_a_tolerance_grows_with_the_size_of_a_score_whatever_its_sign() -> None:
    measure = METRIC.model_copy(update={"atol": 0.001, "rtol": 0.1})
    scores = np.array([-2.0, 0.0, 3.0])
    elsewhere = tolerance(measure, scores, same_platform=False)
    assert elsewhere.tolist() == pytest.approx([0.201, 0.001, 0.301])
    assert tolerance(measure, scores, same_platform=True).tolist() == [1e-6] * 3


def cell(style: int, content: int, repetition: int = 0, **changes: object) -> MeasuredCell:
    facts = {
        "method": "tve", "style": f"s{style}", "content": f"c{content}", "category": "piano",
        "repetition": repetition, "seed": 7, "status": "ok", "audio_digest": "a",
        "values": {"cp": 0.5}, "transfer_s": 1.0, "calibration_s": 0.01,
        "peak_memory_bytes": 10**9,
    }  # fmt: skip
    return MeasuredCell.model_validate(facts | changes)


def run(styles: int = 4, **changes: object) -> Snapshot:
    """A run of one method on some styles and two contents; changes of its cells."""
    cells = tuple(cell(s, c, **changes) for s in range(styles) for c in range(2))
    return snapshot(cells)


def snapshot(cells: tuple[MeasuredCell, ...]) -> Snapshot:
    return Snapshot(
        suite_name="toy", suite_digest="s", profile="mini", dataset="d", created_at="t",
        run_id="r", commit="c", platform="p", machine="m", device="cuda:0",
        methods={"tve": METHOD}, metrics={"cp": METRIC}, cells=cells,
    )  # fmt: skip


def word(candidate: Snapshot, baseline: Snapshot, lane: str, subject: str) -> str | None:
    """The word of the one verdict of a lane, None without one."""
    found = [v for v in judge(candidate, baseline) if (v.lane, v.subject) == (lane, subject)]
    assert len(found) <= 1
    return found[0].word if found else None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1.26, "regressed"), (1.24, "equivalent"), (0.81, "equivalent"), (0.79, "improved")],
)
def test_a_quarter_more_time_is_allowed(seconds: float, expected: str) -> None:
    assert word(run(transfer_s=seconds), run(), "time", "transfer") == expected


@pytest.mark.parametrize(("styles", "expected"), [(2, "inconclusive"), (3, "regressed")])
def test_times_of_three_units_are_judged_and_of_two_not(styles: int, expected: str) -> None:
    assert word(run(styles, transfer_s=2.0), run(styles), "time", "transfer") == expected


@pytest.mark.parametrize(("seconds", "expected"), [(0.019, None), (0.0201, "equivalent")])
def test_times_below_twenty_milliseconds_are_not_judged(
    seconds: float, expected: str | None
) -> None:
    short = run(transfer_s=seconds)
    assert word(short, short, "time", "transfer") == expected


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.025, "regressed"), (1.015, "equivalent"), (0.97, "improved")]
)
def test_a_fiftieth_more_memory_is_allowed(ratio: float, expected: str) -> None:
    assert word(run(peak_memory_bytes=int(ratio * 10**9)), run(), "memory", "peak") == expected


def test_memory_is_judged_by_the_largest_peak() -> None:
    cells = [cell(0, 0, peak_memory_bytes=2 * 10**9), cell(0, 1)]
    assert word(snapshot(tuple(cells)), run(1), "memory", "peak") == "regressed"


@pytest.mark.parametrize(("rounds", "expected"), [(6, "inconclusive"), (7, "regressed")])
def test_a_slower_function_needs_rounds_that_chance_does_not_give(
    rounds: int, expected: str
) -> None:
    """Apart altogether by chance: 2 of 924 orders of twice 6 rounds, 2 of 3432 of twice 7."""
    old = Benchmark(
        name="f", median_s=1.0, machine="m", rounds=tuple(1 + n / 1000 for n in range(rounds))
    )
    new = old.model_copy(update={"median_s": 2.0, "rounds": tuple(2 * s for s in old.rounds)})
    [verdict] = benchmark_verdicts([new], [old])
    assert verdict.word == expected


def test_a_metric_that_turned_round_is_incomparable() -> None:
    turned = METRIC.model_copy(update={"direction": "minimize"})
    new = run().model_copy(update={"metrics": {"cp": turned}})
    assert word(new, run(), "metric", "cp") == "incomparable"


def test_other_audio_from_other_seeds_is_no_fault() -> None:
    assert word(run(audio_digest="b", seed=8), run(), "audio", "digest") == "inconclusive"
    assert word(run(audio_digest="b"), run(), "audio", "digest") == "changed"


def test_foreseen_noise_and_drop_are_those_of_repeated_fits() -> None:
    styles, repetitions = 4, 3
    means = np.random.default_rng(0).normal(0.5, 0.02, (styles, repetitions))
    cells = tuple(
        cell(s, c, k, values={"cp": float(means[s, k]) + (0.1 if c else -0.1)})
        for s in range(styles) for c in range(2) for k in range(repetitions)
    )  # fmt: skip
    found, *of_styles = foresee(snapshot(cells))
    noise = math.sqrt(means.var(axis=1, ddof=1).mean() / means.size)
    quantiles = float(stats.t.ppf(1 - ALPHA / 2, 11) + stats.t.ppf(0.8, 11))
    assert found.noise == pytest.approx(noise)
    assert found.drop == pytest.approx(quantiles * math.sqrt(2) * noise)
    own = means.var(axis=1, ddof=1)
    least = float(stats.t.ppf(1 - ALPHA / 2 / styles, 4) + stats.t.ppf(0.8, 4))
    assert [one.style for one in of_styles] == ["s0", "s1", "s2", "s3"]
    for one, variance in zip(of_styles, own, strict=True):
        error = math.sqrt(2 * max(variance, own.mean()) / repetitions)
        assert one.drop == pytest.approx(least * error)
