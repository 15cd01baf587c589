"""What each method was given, in the tables."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import header, method, run_of

from bench.records.store import Run
from reports.tables import capabilities
from reports.tables.capabilities import capability_notes
from reports.tables.table2 import table2
from reports.text import formats, latex


def run_of_three() -> Run:
    entries = [
        method("tve", fits_per_style=True, longest_s=300.0, bandwidth_hz=10_000.0),
        method(
            "musicgen", conditioned_on=["style text", "melody"], fits_per_style=False,
            licence="CC-BY-NC-4.0", bandwidth_hz=8_000.0, departures=["no stems", "one stream"],
            work="96 for a window: rows",
        ),
        method("copy-style", control=True, conditioned_on=["style audio"], sample_rate=None),
    ]  # fmt: skip
    return run_of(header(entries), {entry.label: {"cp": 0.5} for entry in entries})


def test_each_method_says_what_it_saw_and_what_limits_it() -> None:
    table = capabilities.capabilities(run_of_three())
    assert [row.cells for row in table.rows] == [
        ("tve", "yes", "no", "audio", "yes", "22.05", "10", "300", "", "MIT", ""),
        ("musicgen", "no", "yes", "melody", "no", "22.05", "8", "any",
         "96 for a window: rows", "CC-BY-NC-4.0", "no stems; one stream"),
        ("copy-style", "yes", "no", "none", "no", "as content", "whole", "any", "", "MIT", ""),
    ]  # fmt: skip


def test_every_format_carries_them() -> None:
    table = capabilities.capabilities(run_of_three())
    for text in (formats.markdown(table), formats.csv(table)):
        assert "CC-BY-NC-4.0" in text
        assert "melody" in text
    for text in (latex.latex(table), formats.terminal(table, 80)):  # without what is wide
        assert "CC-BY-NC-4.0" not in text
        assert "melody" in text


def test_the_table_of_scores_says_it_in_its_notes() -> None:
    run = run_of_three()
    lines = [
        "fits per style: tve",
        "upper edge of the output: 10 kHz: tve; 8 kHz: musicgen",
        "licence of weights: MIT: tve; CC-BY-NC-4.0: musicgen",
    ]
    assert capability_notes(run) == lines
    notes = table2(run).notes
    assert all(line in notes for line in lines)
