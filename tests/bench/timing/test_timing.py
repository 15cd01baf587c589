"""A whole session of timing with toys, and how it is shown; no time is asserted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from noises import write_noises

from bench.api import Audio, ConfigError
from bench.cli.main import cli
from bench.records.rates import read_rates
from bench.records.timings import (
    Extrapolation,
    MethodTiming,
    StageTiming,
    TimingReport,
    read_timing,
)
from bench.timing.supply import rolled
from reports.tables.timings import spread, timing_tables

TOYS = Path(__file__).parents[1] / "toys.py"
RATE = 8000


def test_an_extrapolated_fit_is_marked() -> None:
    line = Extrapolation(steps=100, measured=(10, 20), seconds=((3.0,), (5.0,)))
    assert spread(StageTiming(stage="fit", seconds=(21.0,), extrapolated=line)) == "~21.00"


def test_a_rolled_clip_is_the_same_sound_begun_elsewhere() -> None:
    audio = Audio(np.arange(4, dtype=np.float32)[None], RATE)
    assert rolled(audio, 1).waveform.tolist() == [[3, 0, 1, 2]]
    assert rolled(audio, 1).digest != audio.digest


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three contents, one style of two clips, a suite, a log of calls and a cache to be left."""
    names = [f"content/tone/low{number}" for number in range(3)] + ["style/hiss/0", "style/hiss/1"]
    write_noises(tmp_path / "data", names, RATE)
    (tmp_path / "toy.toml").write_text(
        f'schema_version = 1\nname = "toy"\ndataset = "{tmp_path / "data"}"\nprofile = "mini"\n'
        f'methods = ["{TOYS}:Gain", "{TOYS}:Picky"]\ncontrols = ["copy-content"]\n'
        'metrics = ["chroma"]\nchunk_size = 4\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "calls"))
    return tmp_path


def session(place: Path, *more: str) -> int:
    words = ["time", "--suite", str(place / "toy.toml"), "--device", "cpu", "--loads", "1"]
    try:
        cli.main([*words, "--out", str(place / "t.json"), *more], standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.slow
def test_a_session_times_every_stage_and_keeps_going_past_a_fault(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert session(place, "--fits", "2") == 5  # Picky raises on a content
    report = read_timing(place / "t.json")
    gain, picky = report.methods
    shapes = [(stage.stage, stage.clips, len(stage.seconds)) for stage in gain.stages]
    assert shapes == [
        ("start", 1, 1), ("load", 1, 1), ("fit", 1, 2), ("transfer", 1, 7), ("transfer", 4, 7),
    ]  # fmt: skip
    assert gain.failure is None
    assert report.device == "cpu"
    assert all(s.memory.allocated is None and s.memory.resident for s in gain.stages)
    assert picky.failure
    assert picky.stage("transfer") is None
    assert report.scoring.stage("score") is not None
    require_account(report)
    assert report.provenance["precision"] == "float32"
    assert [path.name for path in (place / "cache").iterdir()] == ["rates.jsonl"]
    noted = {rate.stage: rate for rate in read_rates(place / "cache") if "Gain" in rate.name}
    assert {rate.by for rate in noted.values()} == {"time"}
    assert noted["fit"].seconds == pytest.approx(float(np.median(gain.stages[2].seconds)))
    assert noted["transfer"].seconds == pytest.approx(float(np.median(gain.stages[4].seconds)))
    assert noted["transfer"].units == pytest.approx(4 * report.duration_s)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines()[:-1])) <= 80
    assert "T(537)" in shown.replace("\n", " ")
    log = (place / "calls").read_text(encoding="utf-8").split("\n")
    assert log.count("transfer 1") == 9  # two to warm up
    assert log.count("transfer 4") == 9
    assert [table.label for table in timing_tables(report)] == [
        "costs", "memory", "amortised", "crossover",
    ]  # fmt: skip
    assert session(place, "--show", str(place / "t.json")) == 5  # the same tables again
    assert capsys.readouterr().out == shown.rpartition("Written: ")[0]


def require_account(report: TimingReport) -> None:
    """All laps that were kept are work, what is work is a part of the wall time, and it is said."""
    kept = [
        sum(stage.seconds)
        for method in (*report.methods, report.scoring)
        for stage in method.stages
        if stage.stage in ("fit", "transfer", "score")
    ]
    assert report.worked_s is not None
    assert report.wall_s is not None
    assert 0 < sum(kept) < report.worked_s < report.wall_s  # warm-ups are work, too
    assert report.device_share == report.worked_s / report.wall_s
    words = f"the device worked {100 * report.device_share:.0f} % of the wall time, "
    assert [note for note in timing_tables(report)[0].notes if note.startswith(words)]
    older = report.model_copy(update={"wall_s": None, "worked_s": None})
    assert older.device_share is None
    assert not [note for note in timing_tables(older)[0].notes if "device worked" in note]


def test_an_unknown_number_of_steps_is_not_extrapolated(place: Path) -> None:
    with pytest.raises(ConfigError, match="must be known and at least 20"):
        session(place, "--methods", "tve", "--fit-steps", "10", "--metrics", "")


def test_help_needs_no_torch() -> None:
    script = (
        "import sys; from bench.cli.main import cli; "
        "cli.main(['time', '--help'], standalone_mode=False)"
        "; heavy = {'torch', 'librosa', 'transformers'} & set(sys.modules); sys.exit(len(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_disturbed_session_says_so() -> None:
    quiet, loud = (
        StageTiming(stage="transfer", seconds=(1.0,), calibration_s=(0.01, worst))
        for worst in (0.014, 0.02)
    )

    def notes(stage: StageTiming) -> str:
        method = MethodTiming(label="m", fits_per_style=False, stages=(stage,))
        report = TimingReport(
            created_at="", suite_name="s", suite_digest="0" * 64, dataset="d", profile="mini",
            device="cpu", style="x", contents=("c",), duration_s=5.0, metrics=(),
            methods=(method,), scoring=MethodTiming(label="metrics", fits_per_style=False),
            provenance={"threads": 1},
        )  # fmt: skip
        return "\n".join(timing_tables(report)[0].notes)

    assert "1.40 times as long" in notes(quiet)
    assert "DISTURBED" not in notes(quiet)
    assert "2.00 times as long at worst as at best; DISTURBED" in notes(loud)
