"""What is said when a baseline is made: which drops it lets the gate find, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench" / "gate"))

from styled import METHODS, STYLES, run

from bench.gate.snapshot import read_snapshot
from reports.gate.foresight import statement


def test_a_baseline_that_finds_what_is_asked_says_what_it_finds() -> None:
    said = statement(run(0, size=(8, 6)))
    lanes = len(METHODS) * (1 + len(STYLES))
    assert said.startswith(
        f"Each of {lanes} lanes finds a drop of 0.2 or less; the weakest, tve sf"
    )


def test_the_committed_baseline_finds_what_is_asked(checkout: Path) -> None:
    said = statement(read_snapshot(checkout / "tests" / "regression" / "baseline.json"))
    assert said.startswith("Each of 42 lanes finds a drop of 0.2 or less; the weakest, ")


def test_one_seed_is_one_too_few() -> None:
    said = statement(run(0, size=(8, 1)))
    assert said.startswith("10 of 10 lanes cannot be relied on to find a drop of 0.2")
    assert "end with code 4" in said
    assert "tve: at least 1 more seed (sf on bells finds nothing)\n" in said
    assert "musicgen: at least 1 more seed (unknown with one seed)\n" in said


def test_loud_noise_lacks_seeds_and_where_nothing_is_fitted_contents_instead() -> None:
    known = run(0, size=(2, 3))
    louder = tuple(
        cell.model_copy(update={"values": {"sf": 0.5 + 6 * ((cell.values["sf"] or 0.0) - 0.5)}})
        for cell in known.cells
    )
    said = statement(known.model_copy(update={"cells": louder})).splitlines()
    [fitted] = [line for line in said if line.startswith("  tve: ")]
    [free] = [line for line in said if line.startswith("  musicgen: ")]
    assert " more seed" in fitted
    assert " more content" not in fitted
    assert " more seed" in free
    assert " more content" in free


def test_a_suite_that_asks_for_nothing_is_told_nothing() -> None:
    easy = run(0, size=(2, 1)).model_copy(update={"least_drop": 1.0})
    assert statement(easy) == "10 lanes; the suite asks of none which drop it must find.\n"
