"""What a session has left and what is noted of it, against what the run then does and records."""

from __future__ import annotations

import json
import math
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from noises import write_noises
from small_run import RATE, command

from bench.cache import Cache
from bench.estimate.forecast import Forecast
from bench.records.rates import Rate, read_rates
from bench.records.store import load_run
from bench.run.expecting import expect
from bench.run.remaining import Remaining, former_of, remaining
from bench.run.request import RunRequest, prepare

TOYS = Path(__file__).parents[1] / "toys.py"
GAIN = f"{TOYS}:Gain"
NAMES = ("content/low/low1", "content/low/low2", "style/hiss/0", "style/rush/0")
SUITE = """
schema_version = 1
name = "small"
dataset = "{data}"
profile = "mini"
methods = ["{gain}"]
controls = ["copy-content"]
metrics = ["chroma"]
style_clips = "all"
chunk_size = 2
"""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contents and two styles, and a suite with a method that learns, run once."""
    home = tmp_path_factory.mktemp("origin")
    write_noises(home / "data", NAMES, RATE)
    suite = SUITE.format(data=home / "data", gain=GAIN)
    (home / "small.toml").write_text(suite, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(home / "cache"))
        run(home)
    return home


@pytest.fixture
def home(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The suite with a private cache, and nothing run yet."""
    shutil.copy(origin / "small.toml", tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def done(origin: Path, home: Path) -> Path:
    """The same after its first run."""
    for name in ("run", "cache"):
        shutil.copytree(origin / name, home / name)
    return home


def run(home: Path, *words: str, out: str = "run") -> int:
    suite = str(home / "small.toml")
    place = ["--no-html", "--out", str(home / out)]
    return command("run", "--suite", suite, "--device", "cpu", *place, *words)


def looked_at(
    home: Path, methods: str | None = None, out: str = "run"
) -> tuple[Remaining, Forecast]:
    suite = str(home / "small.toml")
    request = RunRequest(suite=suite, device="cpu", out=home / out, methods=methods, dry_run=True)
    prepared = prepare(request)
    left = remaining(prepared, request, former_of(prepared))
    return left, expect(prepared, left)


def amounts(expected: Forecast) -> dict[str, float]:
    return {f"{one.stage} {one.label}": one.units for one in expected.stages}


def test_all_of_a_new_run_is_left(home: Path) -> None:
    left, expected = looked_at(home)
    assert len(left.rendered) == 8  # 2 methods, 2 styles, 2 contents
    assert amounts(expected) == {
        f"load {GAIN}": 1, f"fit {GAIN}": 2, f"transfer {GAIN}": 4.0,
        "load copy-content": 1, "transfer copy-content": 4.0,
        "load metrics": 1, "score chroma": 8,
    }  # fmt: skip
    assert not (home / "cache").exists(), "looking writes nothing"


def test_nothing_of_a_finished_run_is_left(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert amounts(looked_at(done)[1]) == {}
    capsys.readouterr()
    run(done, "--dry-run")
    assert "nothing is left to compute" in capsys.readouterr().out


def test_outputs_that_the_cache_holds_are_scored_all_the_same(done: Path) -> None:
    left, expected = looked_at(done, out="again")
    assert left.rendered == frozenset()
    assert amounts(expected) == {"load metrics": 1, "score chroma": 8}
    former = len((done / "run" / "scores.jsonl").read_text("utf-8").splitlines())
    run(done, out="again")
    made = (done / "again" / "scores.jsonl").read_text("utf-8").splitlines()
    assert len(made) == former == 8
    assert amounts(looked_at(done, out="again")[1]) == {}


def test_outputs_whose_scores_are_lost_are_scored_anew(done: Path) -> None:
    path = done / "run" / "scores.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[3:]), "utf-8")
    assert amounts(looked_at(done)[1]) == {"load metrics": 1, "score chroma": 3}


def test_other_transfer_parameters_leave_the_transfers_and_other_fit_parameters_all(
    done: Path,
) -> None:
    louder, other = f"{GAIN}[gain=0.7]", f"{GAIN}[offset=1.0]"
    stages = amounts(looked_at(done, louder)[1])
    assert f"fit {louder}" not in stages
    assert stages[f"transfer {louder}"] == 4.0
    assert amounts(looked_at(done, other)[1])[f"fit {other}"] == 2


def test_settings_that_share_their_fits_learn_them_once(home: Path) -> None:
    labels = [f"{GAIN}[gain={gain}]" for gain in (0.5, 0.7)]
    stages = amounts(looked_at(home, f"{GAIN}[gain=0.5|0.7]")[1])
    assert [stages.get(f"fit {label}") for label in labels] == [2, None]
    assert [stages[f"transfer {label}"] for label in labels] == [4.0, 4.0]


def test_where_one_fit_is_lost_all_styles_are_learnt_and_its_outputs_rendered(done: Path) -> None:
    told = load_run(done / "run")
    keys = {
        cell.style: told.cells[cell.cell_id].fit_key for cell in told.plan if cell.method == GAIN
    }
    Cache(done / "cache").state_path(str(keys["hiss"])).unlink()
    left = amounts(looked_at(done, out="again")[1])
    assert (left[f"fit {GAIN}"], left[f"transfer {GAIN}"]) == (2, 2.0)


def test_cells_of_the_folder_are_not_left_without_a_cache_either(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(done / "other"))
    assert looked_at(done)[0].rendered == frozenset()
    assert len(looked_at(done, out="again")[0].rendered) == 8


def test_a_metric_that_is_new_has_all_outputs_to_score(done: Path) -> None:
    suite = (done / "small.toml").read_text(encoding="utf-8")
    (done / "small.toml").write_text(suite.replace('["chroma"]', '["chroma", "cp"]'), "utf-8")
    request = RunRequest(suite=str(done / "small.toml"), device="cpu", out=done / "run")
    prepared = prepare(request)
    cells = frozenset(cell.cell_id for cell in prepared.cells)
    left = remaining(prepared, request, former_of(prepared))
    assert left.scores == {"chroma": frozenset(), "cp": cells}
    assert len(cells) == 8


def noted(home: Path) -> dict[str, Rate]:
    return {f"{rate.stage} {rate.name}": rate for rate in read_rates(home / "cache")}


def test_what_is_noted_is_what_the_records_say(done: Path) -> None:
    told = load_run(done / "run")
    cells = [told.cells[cell.cell_id] for cell in told.plan if cell.method == GAIN]
    fits = {cell.fit_key: cell.fit_s for cell in cells}
    rates = noted(done)
    assert rates[f"fit {GAIN}"].units == len(fits) == 2
    assert rates[f"fit {GAIN}"].seconds == pytest.approx(math.fsum(s or 0 for s in fits.values()))
    assert rates[f"transfer {GAIN}"].units == pytest.approx(4.0)  # clips of a second
    seconds = math.fsum(cell.transfer_s or 0 for cell in cells)
    assert rates[f"transfer {GAIN}"].seconds == pytest.approx(seconds)
    sizes = [path.stat().st_size for path in (done / "cache" / "fits").rglob("*.safetensors")]
    assert len(sizes) >= 2
    assert rates["score chroma"].units == 8


def test_what_came_from_the_cache_or_failed_is_not_noted(done: Path) -> None:
    before = read_rates(done / "cache")
    run(done, out="again")
    new = read_rates(done / "cache")[len(before) :]
    # Scores are not kept in the cache, so what they cost is known from this run too.
    assert [(rate.stage, rate.name) for rate in new] == [("score", "chroma"), ("load", "metrics")]
    assert new[0].units == 8
    run(done, out="again")
    assert len(read_rates(done / "cache")) == len(before) + len(new)
    run(done, "--methods", f"{TOYS}:Picky", out="picky")
    assert f"transfer {TOYS}:Picky" not in noted(done)


def test_the_next_run_of_the_same_is_expected_to_cost_the_same(
    done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = noted(done)
    (done / "other").mkdir()
    (done / "cache" / "rates.jsonl").rename(done / "other" / "rates.jsonl")
    monkeypatch.setenv("BENCH_CACHE", str(done / "other"))
    _, expected = looked_at(done, out="again")
    for one in expected.stages:
        name = one.label.partition("[")[0]
        assert one.wall_s == pytest.approx(rates[f"{one.stage} {name}"].seconds)
        assert one.basis.startswith("measured here on 20")


def test_the_log_of_sessions_says_what_was_expected(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(done, "--methods", f"{GAIN}[gain=0.7]", out="other")
    (session,) = (done / "other" / "logs" / "sessions.jsonl").read_text("utf-8").splitlines()
    assert json.loads(session)["expected_s"] >= 0
    said = " ".join(capsys.readouterr().out.split())
    assert "times as long); farthest off:" in said
    assert "energy: processors" in said
    assert load_run(done / "other").cells


def test_a_plan_is_shown_with_its_cost(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(home, "--dry-run")
    said = capsys.readouterr().out
    (line,) = [one for one in said.splitlines() if one.startswith(f"{GAIN}  fit")]
    assert "2 style(s)" in line
    assert "unknown: never measured here" in line
    assert not (home / "run").exists()
    assert not (home / "cache").exists()
