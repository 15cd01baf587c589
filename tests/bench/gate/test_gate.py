"""The gate against planted faults: each turns it red, incomparable or leaves it green."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.api import RecordError
from bench.gate.cost import benchmark_verdicts
from bench.gate.judge import judge
from bench.gate.snapshot import (
    MeasuredCell,
    MeasuredMethod,
    MeasuredMetric,
    Snapshot,
    read_snapshot,
    write_snapshot,
)
from bench.gate.verdict import Verdict, exit_code
from bench.records.benchmarks import read_benchmarks

METHODS = {
    "tve": MeasuredMethod(version="1", fits_per_style=True, control=False),
    "musicgen": MeasuredMethod(version="1", fits_per_style=False, control=False),
    "copy-content": MeasuredMethod(version="1", fits_per_style=False, control=True),
}
METRICS = {
    "cp": MeasuredMetric(fingerprint="f1", direction="maximize", range=(0.0, 1.0)),
    "distance": MeasuredMetric(fingerprint="f2", direction="minimize", range=(0.0, 1.0)),
}
STYLES = [f"style{i}" for i in range(6)]
CONTENTS = [f"content{i}" for i in range(8)]


def cell(method: str, style: str, content: str, **changes: object) -> MeasuredCell:
    """A cell that ended well in 1 s, its scores depending on its place."""
    level = 0.5 + 0.02 * STYLES.index(style) + 0.01 * CONTENTS.index(content)
    facts = {
        "method": method, "style": style, "content": content, "category": "piano", "repetition": 0,
        "seed": 7, "status": "ok", "audio_digest": f"{method}-{style}-{content}",
        "values": {"cp": level, "distance": 1 - level}, "transfer_s": 1.0, "fit_s": 9.0,
        "calibration_s": 0.01, "peak_memory_bytes": 2**30, "operations": {"unet": 50},
    }  # fmt: skip
    return MeasuredCell.model_validate(facts | changes)


def baseline(seeds: int = 1, **changes: object) -> Snapshot:
    """A baseline of three methods on 6 styles and 8 contents."""
    cells = [
        cell(m, s, c, repetition=k)
        for m in METHODS for s in STYLES for c in CONTENTS for k in range(seeds)
    ]  # fmt: skip
    facts = {
        "suite_name": "toy", "suite_digest": "s" * 64, "profile": "mini", "dataset": "d",
        "created_at": "2026-01-01T00:00:00+00:00", "run_id": "r", "commit": "c", "reason": "first",
        "platform": "cpu, avx2", "machine": "cpu, 2 cores", "device": "cpu", "methods": METHODS,
        "metrics": METRICS, "cells": tuple(cells),
    }  # fmt: skip
    return Snapshot.model_validate(facts | changes)


def changed(
    known: Snapshot, method: str, change: Callable[[MeasuredCell], dict[str, object]]
) -> Snapshot:
    """The same snapshot with the cells of one method changed."""
    cells = tuple(c.model_copy(update=change(c)) if c.method == method else c for c in known.cells)
    return known.model_copy(update={"cells": cells})


def moved(by: float, noise: float = 0.0) -> Callable[[MeasuredCell], dict[str, object]]:
    """New audio whose cp moved by a mean and some noise, the distance the other way."""
    generator = np.random.default_rng(0)

    def change(c: MeasuredCell) -> dict[str, object]:
        step = by + float(generator.normal(0, noise))
        cp, distance = c.values["cp"] or 0, c.values["distance"] or 0
        return {
            "audio_digest": f"{c.audio_digest}-new",
            "values": {"cp": cp + step, "distance": distance - step},
        }

    return change


def pick(verdicts: list[Verdict], lane: str, method: str, subject: str = "cp") -> Verdict:
    """The one verdict of a lane, method and subject."""
    [found] = [v for v in verdicts if (v.lane, v.method, v.subject) == (lane, method, subject)]
    return found


OTHER_VERSION = METHODS | {"tve": METHODS["tve"].model_copy(update={"version": "2"})}


def test_a_refactoring_that_changes_no_number_is_green() -> None:
    verdicts = judge(baseline(), baseline())
    assert {v.word for v in verdicts} == {"equivalent"}
    assert exit_code(verdicts) == 0


@pytest.mark.parametrize("field", ["suite_digest", "profile", "dataset"])
def test_another_suite_is_incomparable_and_never_green(field: str) -> None:
    verdicts = judge(baseline(**{field: "full" if field == "profile" else "other"}), baseline())
    assert [v.word for v in verdicts] == ["incomparable"]
    assert exit_code(verdicts) == 4


def test_another_fingerprint_makes_that_metric_incomparable() -> None:
    metrics = METRICS | {"cp": METRICS["cp"].model_copy(update={"fingerprint": "f9"})}
    verdicts = judge(baseline(metrics=metrics), baseline())
    assert pick(verdicts, "metric", "all").word == "incomparable"
    assert not [v for v in verdicts if v.lane == "quality" and v.subject == "cp"]
    assert exit_code(verdicts) == 4


def test_a_metric_that_is_gone_is_incomparable() -> None:
    verdicts = judge(baseline(metrics={"cp": METRICS["cp"]}), baseline())
    assert pick(verdicts, "metric", "all", "distance").word == "incomparable"


def test_nothing_to_compare_is_not_green() -> None:
    empty = baseline(methods={}, metrics={}, cells=())
    assert exit_code(judge(empty, empty)) == 4


def test_lost_cells_are_red() -> None:
    known = baseline()
    lost = known.model_copy(update={"cells": known.cells[1:]})
    verdict = pick(judge(lost, known), "cells", "tve", "cells")
    assert verdict.red
    assert "1 of 48 lost: style0/content0/0" in verdict.reason
    failed = changed(known, "musicgen", lambda _: {"status": "oom", "values": {}})
    assert "48 of 48 lost" in pick(judge(failed, known), "cells", "musicgen", "cells").reason


def test_a_method_that_is_gone_has_lost_all_its_cells() -> None:
    known = baseline()
    cells = tuple(c for c in known.cells if c.method != "tve")
    gone = known.model_copy(update={"cells": cells, "methods": dict(list(METHODS.items())[1:])})
    assert exit_code(judge(gone, known)) == 3


def test_a_score_that_is_gone_is_red() -> None:
    known = baseline()
    silent = changed(known, "tve", lambda c: {"values": {**c.values, "cp": None}})
    assert pick(judge(silent, known), "cells", "tve").red


def test_other_audio_from_the_same_seeds_is_red_even_with_equal_scores() -> None:
    known = baseline()
    verdicts = judge(changed(known, "tve", moved(0.0)), known)
    assert pick(verdicts, "audio", "tve", "digest").word == "changed"
    assert pick(verdicts, "quality", "tve").word == "equivalent"
    assert exit_code(verdicts) == 3


def test_other_audio_of_a_raised_version_is_judged_by_its_quality() -> None:
    known = baseline(seeds=3)
    new = changed(known, "tve", moved(0.0, 0.005)).model_copy(update={"methods": OTHER_VERSION})
    verdicts = judge(new, known)
    assert not pick(verdicts, "audio", "tve", "digest").red
    assert pick(verdicts, "quality", "tve").word == "equivalent"
    assert exit_code(verdicts) == 0


def test_other_audio_on_another_platform_is_only_said() -> None:
    known = baseline()
    new = changed(known, "tve", moved(0.0)).model_copy(update={"platform": "cpu, avx512"})
    verdict = pick(judge(new, known), "audio", "tve", "digest")
    assert (verdict.word, verdict.red) == ("changed", False)


@pytest.mark.parametrize("method", ["tve", "musicgen"])
def test_a_drop_of_four_hundredths_is_red_in_both_directions_of_a_metric(method: str) -> None:
    known = baseline(seeds=3)
    new = changed(known, method, moved(-0.04, 0.03)).model_copy(update={"methods": OTHER_VERSION})
    verdicts = judge(new, known)
    for metric in METRICS:
        verdict = pick(verdicts, "quality", method, metric)
        assert verdict.word == "regressed"
        assert verdict.low < verdict.delta < verdict.high < 0
    better = judge(changed(known, method, moved(0.04, 0.03)), known)
    assert pick(better, "quality", method, "distance").word == "improved"


def test_chance_that_a_fit_shares_counts_once_per_fit() -> None:
    known = baseline(seeds=2)

    def by_fit(c: MeasuredCell) -> dict[str, object]:
        step = -0.03 + 0.05 * (-1) ** c.repetition
        return {"audio_digest": "new", "values": {**c.values, "cp": (c.values["cp"] or 0) + step}}

    words = {
        method: pick(judge(changed(known, method, by_fit), known, least_drop=1), "quality", method)
        for method in ("tve", "musicgen")
    }
    assert words["tve"].word == "inconclusive"
    assert words["musicgen"].word == "regressed"


def test_noise_that_hides_a_drop_is_inconclusive_and_says_what_would_do() -> None:
    known = baseline(seeds=3)
    new = changed(known, "tve", moved(-0.02, 0.15)).model_copy(update={"methods": OTHER_VERSION})
    verdict = pick(judge(new, known, least_drop=1), "quality", "tve")
    assert verdict.word == "inconclusive"
    assert verdict.needed is not None
    assert verdict.needed > 144
    assert verdict.detectable > 0.04


def test_other_scores_of_the_same_audio_mean_that_the_measure_drifted() -> None:
    known = baseline()
    new = changed(known, "copy-content", lambda c: {"values": {**c.values, "cp": 0.9}})
    verdict = pick(judge(new, known), "metric", "copy-content")
    assert verdict.red
    assert "48 of 48 scores of the same audio moved" in verdict.reason


def test_another_platform_may_move_a_score_within_its_tolerance() -> None:
    known = baseline()

    def nudged(c: MeasuredCell) -> dict[str, object]:
        return {"values": {**c.values, "cp": (c.values["cp"] or 0) + 5e-4}}

    elsewhere = changed(known, "tve", nudged).model_copy(update={"platform": "cpu, avx512"})
    assert exit_code(judge(elsewhere, known)) == 0
    assert exit_code(judge(changed(known, "tve", nudged), known)) == 3


def test_thirty_percent_more_time_is_red() -> None:
    known = baseline()
    verdicts = judge(changed(known, "tve", lambda _: {"transfer_s": 1.3}), known)
    assert pick(verdicts, "time", "tve", "transfer").red
    assert not pick(verdicts, "time", "tve", "fit").red
    assert exit_code(verdicts) == 3


def test_two_units_of_wild_times_are_inconclusive() -> None:
    known = baseline()
    few = known.model_copy(update={"cells": tuple(c for c in known.cells if c.style < "style2")})
    wild = changed(few, "tve", lambda c: {"transfer_s": 1e-9 if c.style == "style0" else 1e9})
    assert pick(judge(wild, few), "time", "tve", "transfer").word == "inconclusive"


def test_a_slower_machine_is_not_a_slower_method() -> None:
    known = baseline()
    slower = {"transfer_s": 1.5, "fit_s": 13.5, "calibration_s": 0.015}
    verdicts = judge(changed(known, "tve", lambda _: slower), known)
    assert pick(verdicts, "time", "tve", "transfer").word == "equivalent"


@pytest.mark.parametrize(
    "update", [{"machine": "another"}, {"calibration_s": None}], ids=["machine", "no kernel"]
)
def test_times_that_cannot_be_compared_are_advisory(update: dict[str, object]) -> None:
    known = baseline()
    times = {"transfer_s": 2.0, **{k: v for k, v in update.items() if k != "machine"}}
    new = changed(known, "tve", lambda _: times)
    if "machine" in update:
        new = new.model_copy(update=update)
    verdict = pick(judge(new, known), "time", "tve", "transfer")
    assert (verdict.word, verdict.advisory) == ("regressed", True)


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_disturbed_machine_gives_no_verdict_on_time_and_one_on_quality(side: str) -> None:
    """The kernel took twice as long beside some cells; the method is slower, and worse."""
    quiet = baseline()
    busy = changed(quiet, "tve", lambda c: {"calibration_s": 0.02 if c.style == "style0" else 0.01})
    new, known = (busy, quiet) if side == "candidate" else (quiet, busy)
    worse = changed(new, "tve", lambda c: {"transfer_s": 9.0, "values": {**c.values, "cp": 0.1}})
    verdicts = judge(worse, known)
    verdict = pick(verdicts, "time", "tve", "transfer")
    assert (verdict.word, verdict.red) == ("inconclusive", False)
    assert "no verdict on time: the machine was disturbed" in verdict.reason
    assert ("baseline: " in verdict.reason) == (side == "baseline")
    assert pick(verdicts, "quality", "tve", "cp").red
    assert exit_code(verdicts) == 3
    slower = changed(new, "tve", lambda _: {"transfer_s": 9.0})
    assert exit_code(judge(slower, known)) == 0


def test_cached_and_very_short_times_are_left_out() -> None:
    known = baseline()
    cached = changed(known, "tve", lambda _: {"transfer_s": None})
    short = changed(known, "musicgen", lambda _: {"transfer_s": 0.001})
    assert not [v for v in judge(cached, known) if v.lane == "time" and v.method == "tve"
                and v.subject == "transfer"]  # fmt: skip
    assert not [v for v in judge(short, short) if v.lane == "time" and v.method == "musicgen"
                and v.subject == "transfer"]  # fmt: skip


def test_memory_is_tight_on_a_gpu_and_advisory_on_a_cpu() -> None:
    more = {"peak_memory_bytes": int(1.05 * 2**30)}
    on_cpu = judge(changed(baseline(), "tve", lambda _: more), baseline())
    known = baseline(device="cuda:0")
    on_gpu = judge(changed(known, "tve", lambda _: more), known)
    assert not pick(on_cpu, "memory", "tve", "peak").red
    assert pick(on_gpu, "memory", "tve", "peak").red


def test_one_more_call_of_the_network_is_red() -> None:
    known = baseline()
    verdicts = judge(changed(known, "tve", lambda _: {"operations": {"unet": 51}}), known)
    verdict = pick(verdicts, "operations", "tve", "unet")
    assert verdict.red
    assert verdict.delta == 48


def test_a_control_newly_out_of_order_is_red() -> None:
    rule = "cp: vocoder >= tve"
    verdicts = judge(baseline(violations=(rule,)), baseline())
    assert pick(verdicts, "controls", "vocoder >= tve").red
    again = judge(baseline(violations=(rule,)), baseline(violations=(rule,)))
    assert exit_code(again) == 0


def test_a_control_out_of_order_hides_no_drift_of_its_metric() -> None:
    new = changed(baseline(), "copy-content", lambda c: {"values": {**c.values, "cp": 0.9}})
    verdicts = judge(new.model_copy(update={"violations": ("cp: vocoder >= tve",)}), baseline())
    assert pick(verdicts, "controls", "vocoder >= tve").red
    assert pick(verdicts, "metric", "copy-content").word == "changed"


def test_a_regression_outranks_what_is_incomparable() -> None:
    metrics = METRICS | {"cp": METRICS["cp"].model_copy(update={"fingerprint": "f9"})}
    known = baseline()
    lost = known.model_copy(update={"cells": known.cells[1:], "metrics": metrics})
    assert exit_code(judge(lost, known)) == 3


def test_a_baseline_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "baseline.json"
    write_snapshot(path, baseline())
    assert read_snapshot(path) == baseline()
    assert len(path.read_text().splitlines()) > len(baseline().cells)


def test_a_baseline_needs_a_reason(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="has no reason"):
        write_snapshot(tmp_path / "b.json", baseline(reason=" "))


def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="does not exist"):
        read_snapshot(tmp_path / "absent.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(RecordError, match="not a baseline of schema 1 or 2"):
        read_snapshot(tmp_path / "other.json")


def timed(folder: Path, median: float, calibration: float | None = None, cpu: str = "x") -> Path:
    """A file as pytest-benchmark writes it, with one function and maybe the yardstick."""
    path = folder / f"{median}-{calibration}-{cpu}.json"
    jitter = np.random.default_rng(0).normal(1, 0.01, 20)
    entries = [("tests/test_x.py::test_x", median)]
    entries += [("tests/test_x.py::test_calibration", calibration)] if calibration else []
    stats = [
        {"fullname": name, "stats": {"median": m, "data": (m * jitter).tolist()}}
        for name, m in entries
    ]
    machine = {"machine": "x86_64", "cpu": {"brand_raw": cpu, "count": 2}}
    path.write_text(json.dumps({"machine_info": machine, "benchmarks": stats}))
    return path


@pytest.mark.parametrize(
    ("new", "word"),
    [
        ((1.3, None), "regressed"),
        ((1.0, None), "equivalent"),
        ((0.7, None), "improved"),
        ((1.1, None), "equivalent"),
    ],
)
def test_a_timed_function_is_judged_by_its_ratio(
    new: tuple[float, float | None], word: str, tmp_path: Path
) -> None:
    [verdict] = benchmark_verdicts(
        read_benchmarks(timed(tmp_path, *new)), read_benchmarks(timed(tmp_path, 1.0))
    )
    assert verdict.word == word


def test_the_yardstick_takes_out_the_machine_and_is_not_judged(tmp_path: Path) -> None:
    new, old = timed(tmp_path, 1.5, 0.3), timed(tmp_path, 1.0, 0.2)
    [verdict] = benchmark_verdicts(read_benchmarks(new), read_benchmarks(old))
    assert verdict.delta == pytest.approx(1.0)
    assert verdict.word == "equivalent"


def test_functions_timed_on_another_machine_are_advisory(tmp_path: Path) -> None:
    new, old = timed(tmp_path, 2.0), timed(tmp_path, 1.0, cpu="y")
    [verdict] = benchmark_verdicts(read_benchmarks(new), read_benchmarks(old))
    assert (verdict.word, verdict.red) == ("regressed", False)


def test_a_function_that_is_not_timed_any_more_is_red(tmp_path: Path) -> None:
    [verdict] = benchmark_verdicts([], read_benchmarks(timed(tmp_path, 1.0)))
    assert verdict.red


def test_another_json_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(RecordError, match="cannot be read as JSON of pytest-benchmark"):
        read_benchmarks(tmp_path / "x.json")
