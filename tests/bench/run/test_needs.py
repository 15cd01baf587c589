"""What a metric needs beside an output, and what stands beside its number."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_run import Small, made

from bench.records.schema import ScoreRecord

NEEDING = Path(__file__).parents[1] / "needing.py"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return made(tmp_path)


def scored(small: Small, metric: str, *words: str, out: str = "run") -> dict[str, ScoreRecord]:
    """The scores of a metric of `needing.py` by style, of the method that copies contents."""
    assert small.run("--metrics", f"{NEEDING}:{metric}", *words, out=out) == 0
    done = small.load(out)
    styles = {cell.cell_id: cell.style for cell in done.plan if cell.method == "copy-content"}
    return {styles[cell]: score for (cell, _), score in done.scores.items() if cell in styles}


def test_who_needs_rivals_gets_all_other_styles_of_the_run(small: Small) -> None:
    among = scored(small, "Among")
    assert {style: (score.value, score.detail) for style, score in among.items()} == {
        "hiss": (1.0, {"rivals": "rush", "last": False}),
        "rush": (1.0, {"rivals": "hiss", "last": False}),
    }
    alone = scored(small, "Alone", out="alone")
    assert {score.value for score in alone.values()} == {0.0}
    # The set of styles decides such a score, and no other.
    among_one = scored(small, "Among", "--styles", "hiss", out="hiss")
    alone_one = scored(small, "Alone", "--styles", "hiss", out="hiss alone")
    assert among_one["hiss"].value == 0.0
    assert among_one["hiss"].fingerprint != among["hiss"].fingerprint
    assert alone_one["hiss"].fingerprint == alone["hiss"].fingerprint
