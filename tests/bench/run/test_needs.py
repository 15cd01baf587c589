"""What a metric needs beside an output, and what stands beside its number."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from noises import write_noises
from small_run import Small, command, made

from bench.api import ConfigError
from bench.plan.plan import method_info
from bench.records.schema import ScoreRecord
from bench.records.store import load_run

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


CARD = """
schema_version = 1
name = "duo"
licence = "CC0-1.0"
redistributable = true
targets = "{category}_{piece}"
"""


def test_the_true_result_is_told_to_who_needs_it_and_to_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A content of the drum has none, so that its cells are not applicable."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "duo"
    names = ["content/a/a_air", "content/b/b_air", "content/drum/drum_roll"]
    write_noises(data, [*names, "style/a/1", "style/b/2"], 8000)
    (data / "dataset.toml").write_text(CARD, encoding="utf-8")
    suite = tmp_path / "none.toml"
    suite.write_text(
        'schema_version = 1\nname = "none"\ndataset = "mini"\nprofile = "mini"\n'
        'methods = ["oracle"]\ncontrols = []\nstyle_clips = "all"\n',
        encoding="utf-8",
    )
    words = ["--suite", str(suite), "--methods", "oracle,copy-content", "--dataset", str(data)]
    more = ["--metrics", "target.chroma,target.mel", "--device", "cpu", "--no-html"]
    assert command("run", *words, *more, "--out", str(tmp_path / "run")) == 0
    done = load_run(tmp_path / "run")
    assert {(c.content, c.style) for c in done.plan} == {
        ("a_air", "b"), ("b_air", "a"), ("drum_roll", "a"), ("drum_roll", "b")
    }  # fmt: skip
    scores = {
        (cell.method, cell.content, metric): done.scores[cell.cell_id, metric]
        for cell in done.plan
        for metric in ("target.chroma", "target.mel")
        if (cell.cell_id, metric) in done.scores
    }
    for content in ("a_air", "b_air"):
        assert scores["oracle", content, "target.chroma"].value == pytest.approx(1.0, abs=1e-6)
        assert scores["oracle", content, "target.mel"].value == pytest.approx(0.0, abs=0.1)
        copied = scores["copy-content", content, "target.mel"].value
        assert copied is not None
        assert copied > 1.0
    declined = scores["copy-content", "drum_roll", "target.mel"]
    assert declined.status == "unsupported"
    statuses = {
        cell.content: done.cells[cell.cell_id].status
        for cell in done.plan
        if cell.method == "oracle"
    }
    assert statuses == {"a_air": "ok", "b_air": "ok", "drum_roll": "unsupported"}


def test_a_competitor_may_not_see_the_result(tmp_path: Path) -> None:
    file = tmp_path / "cheat.py"
    file.write_text(
        "from methods.controls import CopyContent\n"
        "from bench.api import MethodInfo, StyleTransferMethod\n"
        "class Cheat(StyleTransferMethod):\n"
        "    INFO = MethodInfo('Cheat', ('content audio',), False, 'x', needs=('target',))\n"
        "    load = CopyContent.load\n"
        "    fit = CopyContent.fit\n"
        "    transfer = CopyContent.transfer\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match="needs target and is no control"):
        method_info(f"{file}:Cheat")
