"""A sweep end to end: one fit per style, one transfer per setting, and Table I from the records."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import bench
from bench.cli.main import cli
from bench.records.store import Run, load_run

METHOD = Path(__file__).with_name("swept.py")
RATE = 8000
STYLES, CONTENTS = ("bells", "drums"), ("high", "low")
STRENGTHS, SCALES = (0.3, 0.5, 0.7), (3.0, 5.0)
SUITE = """
schema_version = 1
name = "swept"
dataset = "{dataset}"
profile = "mini"
methods = ["{method}:Fade[strength=0.3|0.5|0.7,guidance_scale=3.0|5.0]"]
controls = []
metrics = ["cp", "sf.seen"]
style_clips = "all"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the sweep over two styles and two contents, with its log of calls."""
    place = tmp_path_factory.mktemp("sweep")
    rng = np.random.default_rng(0)
    for number, name in enumerate(CONTENTS):
        tone = 0.5 * np.sin(2 * np.pi * 220 * 2**number * np.arange(RATE) / RATE)
        _write(place / f"data/content/tone/{name}.wav", tone)
    for style in STYLES:
        _write(place / f"data/style/{style}/one.wav", rng.uniform(-0.8, 0.8, RATE))
    suite = SUITE.format(dataset=place / "data", method=METHOD)
    (place / "swept.toml").write_text(suite, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(place / "cache"))
        patch.setenv("SWEPT_LOG", str(place / "calls"))
        words = ["run", "--suite", str(place / "swept.toml"), "--device", "cpu", "--no-html"]
        with pytest.raises(SystemExit, match="0"):
            cli.main([*words, "--out", str(place / "run")], standalone_mode=False)
    return place


@pytest.fixture
def run(folder: Path) -> Run:
    return load_run(folder / "run")


def _write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="PCM_16")


def test_every_setting_is_a_method_of_its_own(run: Run) -> None:
    labels = [method.label for method in run.header.methods]
    assert labels == [
        f"{METHOD}:Fade[strength={strength},guidance_scale={scale}]"
        for strength, scale in product(STRENGTHS, SCALES)
    ]
    assert len(run.cells) == len(labels) * len(STYLES) * len(CONTENTS)
    assert {cell.status for cell in run.cells.values()} == {"ok"}


def test_a_style_is_fitted_once_and_rendered_in_every_setting(folder: Path) -> None:
    calls = (folder / "calls").read_text(encoding="utf-8").split()
    assert sorted(call for call in calls if call.startswith("fit")) == ["fit-bells", "fit-drums"]
    assert calls.count("transfer-2") == len(STRENGTHS) * len(SCALES) * len(STYLES)


def test_all_settings_used_the_same_fit_with_the_same_seeds(run: Run) -> None:
    by_style = {
        style: {run.cells[c.cell_id].fit_key for c in run.plan if c.style == style}
        for style in STYLES
    }
    assert [len(keys) for keys in by_style.values()] == [1, 1]
    seeds = {(c.style, c.content, c.seed) for c in run.plan}
    assert len(seeds) == len(STYLES) * len(CONTENTS)


@pytest.mark.weights
def test_table_i_has_a_row_per_style_and_setting_with_the_mean_over_contents(
    folder: Path,
) -> None:
    table = pd.read_csv(folder / "run/report/table1.csv", comment="#")
    rows = table[table["style"].isin(STYLES)]
    found = set(zip(rows["style"], rows["strength"], rows["guidance_scale"], strict=True))
    assert found == set(product(STYLES, STRENGTHS, SCALES))
    records = bench.load_records(folder / "run")
    one = records[(records["style"] == "bells") & records["method"].str.contains("0.7,g.*=5")]
    row = rows[(rows["style"] == "bells") & (rows["strength"] == 0.7)]
    row = row[row["guidance_scale"] == 5.0]
    assert len(one) == len(CONTENTS)
    assert float(row["cp"].iloc[0]) == pytest.approx(one["cp"].mean(), abs=5e-4)


@pytest.mark.weights
def test_the_more_style_the_less_content(folder: Path) -> None:
    records = bench.load_records(folder / "run")
    strength = records["method"].str.extract(r"strength=([\d.]+)")[0].astype(float)
    means = records.groupby(strength)[["cp", "sf.seen"]].mean()
    assert means["cp"].is_monotonic_decreasing
    assert means["sf.seen"].is_monotonic_increasing
