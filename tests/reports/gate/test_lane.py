"""The regression lane: what it writes for people, CI pages and dashboards."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from bench.gate.power import foresee
from bench.gate.snapshot import MeasuredCell, MeasuredMethod, MeasuredMetric, Snapshot
from reports.gate import lane, verdicts
from reports.gate.verdicts import Judgement

METHODS = {
    "tve": MeasuredMethod(version="1", fits_per_style=True, control=False),
    "musicgen": MeasuredMethod(version="1", fits_per_style=False, control=False),
    "copy-content": MeasuredMethod(version="1", fits_per_style=False, control=True),
}
METRICS = {
    "cp": MeasuredMetric(fingerprint="f1", direction="maximize", range=(0.0, 1.0)),
    "distance": MeasuredMetric(fingerprint="f2", direction="minimize", range=(0.0, 1.0)),
}
STYLES, CONTENTS, REPETITIONS = 2, 4, 5
FIT, OWN = 0.03, 0.05


def snapshot(seed: int, **changes: object) -> Snapshot:
    """A run whose noise is drawn by `seed`; copy-content has none."""
    generator = np.random.default_rng(seed)
    cells = []
    for method in METHODS:
        for s in range(STYLES):
            for k in range(REPETITIONS):
                fit = generator.normal(0, FIT) if method == "tve" else 0.0
                for c in range(CONTENTS):
                    own = generator.normal(0, OWN)
                    still = method == "copy-content"
                    cp = 0.5 if still else 0.5 + 0.01 * c + fit + own
                    cells.append(MeasuredCell(
                        method=method, style=f"s{s}", content=f"c{c}", category="x", repetition=k,
                        seed=k, status="ok", audio_digest=method if still else f"{method}-{seed}",
                        values={"cp": cp, "distance": 1 - cp}, transfer_s=1.0, calibration_s=0.1,
                    ))  # fmt: skip
    facts = {
        "suite_name": "toy", "suite_digest": "s" * 64, "profile": "mini", "dataset": "d",
        "created_at": "2026-01-01T00:00:00+00:00", "run_id": "r", "commit": "c", "reason": "first",
        "platform": "cpu, avx2", "machine": "cpu, 2 cores", "device": "cpu", "methods": METHODS,
        "metrics": METRICS, "cells": tuple(cells),
    }  # fmt: skip
    return Snapshot.model_validate(facts | changes)


def judgement(candidate: Snapshot, baseline: Snapshot) -> Judgement:
    from bench.gate.judge import judge

    found = tuple(judge(candidate, baseline))
    return Judgement(candidate, baseline, found, tuple(foresee(baseline)))


def test_findable_drops_are_those_of_a_gate_whose_noise_is_new() -> None:
    baseline = snapshot(0)
    foreseen = {(one.method, one.metric): one for one in foresee(baseline) if not one.style}
    assert foreseen["copy-content", "cp"].drop == 0
    expected = math.sqrt((FIT**2 + OWN**2 / CONTENTS) / (STYLES * REPETITIONS))
    assert foreseen["tve", "cp"].noise == pytest.approx(expected, rel=0.5)
    cells = STYLES * CONTENTS * REPETITIONS
    assert foreseen["musicgen", "cp"].noise == pytest.approx(OWN / math.sqrt(cells), rel=0.3)
    seen = [
        v.detectable
        for seed in range(1, 9)
        for v in judgement(snapshot(seed), baseline).verdicts
        if (v.lane, v.method, v.subject) == ("quality", "musicgen", "cp")
    ]
    assert foreseen["musicgen", "cp"].drop == pytest.approx(float(np.mean(seen)), rel=0.2)


def test_one_repetition_foresees_nothing() -> None:
    known = snapshot(0)
    first = tuple(cell for cell in known.cells if cell.repetition == 0)
    foreseen = foresee(known.model_copy(update={"cells": first}))
    assert {math.isnan(one.noise) for one in foreseen} == {True}
    single = [one for one in foreseen if one.method == "tve" and one.style]
    assert {one.drop for one in single} == {math.inf}
    assert {math.isnan(one.drop) for one in foreseen if one not in single} == {True}
    assert {str(one.lacks) for one in foreseen} == {"at least 1 more seed"}


def test_the_headline_says_what_another_platform_leaves_open() -> None:
    baseline = snapshot(0)
    here = lane.headline(judgement(snapshot(0), baseline))
    assert here == "Gate: passed."
    there = judgement(snapshot(1, platform="gpu", machine="other"), baseline)
    assert not [v for v in there.verdicts if v.lane == "audio" and v.red]
    assert "digests say nothing" in lane.headline(there)
    assert "Times are advisory" in lane.headline(there)
    red = lane.headline(judgement(snapshot(1), baseline))
    assert red.startswith("Gate: regressed. 2 of ")


def test_unchanged_methods_are_exact_and_what_seeds_move_is_foreseen() -> None:
    table = lane.power(judgement(snapshot(0), snapshot(0)))
    assert {row.cells[2] for row in table.rows} == {"exact"}
    assert {row.cells[0] for row in table.rows} == {"tve", "musicgen"}
    changed = lane.power(judgement(snapshot(1), snapshot(0)))
    assert {row.cells[0] for row in changed.rows} == {"tve", "musicgen"}
    assert all(0 < float(str(row.cells[2])) < 0.5 for row in changed.rows)


class Balanced(HTMLParser):
    """Counts tags that must pair."""

    depth = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.depth += tag not in {"meta", "link"}

    def handle_endtag(self, tag: str) -> None:
        self.depth -= 1


def test_a_folder_holds_every_form(tmp_path: Path) -> None:
    given = judgement(snapshot(1), snapshot(0))
    lane.write(tmp_path, given)
    assert json.loads((tmp_path / "verdicts.json").read_text())["exit_code"] == 3
    suite = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - our own file
    assert suite.get("failures") == "2"
    assert (tmp_path / "summary.md").read_text().startswith("# Regression gate: regressed\n")
    page = (tmp_path / "index.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert parser.depth == 0
    assert "Detectable drops" in page


def test_series_for_dashboards_are_split_by_what_is_better(tmp_path: Path) -> None:
    lane.write(tmp_path, judgement(snapshot(0), snapshot(0)))
    bigger, smaller = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("bigger", "smaller")
    )
    assert {point["name"] for point in bigger} == {f"{method}: cp" for method in METHODS}
    assert {"tve: distance", "tve: transfer"} <= {point["name"] for point in smaller}
    assert all({"name", "unit", "value"} <= set(point) for point in bigger + smaller)
    [kernels] = [point["value"] for point in smaller if point["name"] == "tve: transfer"]
    assert kernels == pytest.approx(10)


def test_an_advisory_lane_informs_and_never_fails() -> None:
    slow = [
        cell.model_copy(update={"transfer_s": 1.5}) if cell.method == "tve" else cell
        for cell in snapshot(0).cells
    ]
    given = judgement(snapshot(0, cells=tuple(slow)), snapshot(0))
    assert given.code == 3
    assert verdicts.with_advisory(given.verdicts, ("time",))[-1].advisory
    eased = replace(given, verdicts=verdicts.with_advisory(given.verdicts, ("time",)))
    assert eased.code == 0
