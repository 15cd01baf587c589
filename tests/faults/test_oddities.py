"""Whatever a method or metric returns or raises costs its own cells, here and in a worker alike.

Dozens of oddities share one run in its own process, and one worker; the reasons are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import odd
from noises import write_noises

from bench.api import Audio, CheckpointError, Clip, FitRequest, Style, StyleState, TransferRequest
from bench.cli.main import cli
from bench.conformance.examine import line, outcomes_here, wanted
from bench.failure import Failure, WorkerError
from bench.outside.wording import LONGEST
from bench.plugins.catalog import find_method
from bench.plugins.isolated import Isolated
from bench.records.schema import CellRecord
from bench.records.store import Run, load_run

ODD = Path(__file__).with_name("odd.py")
RATE = 8000
SUITE = """
schema_version = 1
name = "toy"
dataset = "{data}"
profile = "mini"
methods = ["mix"]
controls = []
metrics = []
"""
RAISED = [name for name in odd.RAISED if name != "interrupt"]  # the user's, in this process
FITS = [
    *(f"return:{name}" for name in odd.STATES),
    *(f"raise:{name}" for name in RAISED),
    *(f"tell:{name}" for name in odd.TOLD),
]
HOWS = [*(f"return:{name}" for name in odd.OUTPUTS), *(f"raise:{name}" for name in RAISED)]
OF_METRICS = ("exit-0", "farewell", "long", "hidden-name", "mute", "ours", "liar", "memory")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two contents and one style, a suite over them, and a private cache."""
    folder = tmp_path_factory.mktemp("odd")
    names = ["content/low/one", "content/low/two", "style/noise/0", "style/noise/1"]
    write_noises(folder / "data", names, RATE)
    (folder / "toy.toml").write_text(SUITE.format(data=folder / "data"), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        yield folder


def run(home: Path, out: str, *more: str) -> int:
    words = ["run", "--suite", str(home / "toy.toml"), "--device", "cpu", "--out", str(home / out)]
    try:
        cli.main([*words, "--no-html", *more], standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def variants(fits: list[str], hows: list[str]) -> str:
    """Methods that do each of these things, after and before one that does nothing odd."""
    quoted = ["|".join(f'"{name}"' for name in names) for names in (fits, hows)]
    odd_ones = f"{ODD}:Odd[fit={quoted[0]}],{ODD}:Odd[how={quoted[1]}]"
    return f"mix,{odd_ones},copy-content"


@pytest.fixture(scope="module")
def battery(home: Path) -> Run:
    """One run of all oddities in the run's own process."""
    methods = variants(FITS, HOWS)
    assert run(home, "battery", "--methods", methods, "--no-isolate") == 5
    return load_run(home / "battery")


def cells(done: Run, part: str) -> list[CellRecord]:
    """The records of the variant that does something."""
    found = [c for c in done.plan if c.method.endswith(f"[{part}]")]
    assert len(found) == 2, part
    return [done.cells[cell.cell_id] for cell in found]


def require(records: list[CellRecord], words: str | None) -> None:
    for record in records:
        if words is None:
            assert (record.status, record.reason) == ("ok", None)
        else:
            assert record.status in {"error", "oom"}
            assert words in str(record.reason)
            assert len(str(record.reason)) <= LONGEST
            assert str(record.reason).isprintable()


@pytest.mark.parametrize("name", odd.STATES)
def test_what_a_fit_returns_costs_its_cells(battery: Run, name: str) -> None:
    require(cells(battery, f"fit=return:{name}"), odd.STATES[name][1])


@pytest.mark.parametrize("name", odd.OUTPUTS)
def test_what_a_rendering_returns_costs_its_cells(battery: Run, name: str) -> None:
    require(cells(battery, f"how=return:{name}"), odd.OUTPUTS[name][1])


@pytest.mark.parametrize("name", RAISED)
@pytest.mark.parametrize("verb", ["fit", "how"])
def test_what_is_raised_costs_its_cells(battery: Run, verb: str, name: str) -> None:
    require(cells(battery, f"{verb}=raise:{name}"), odd.RAISED[name][1])


@pytest.mark.parametrize("name", odd.TOLD)
def test_what_is_told_does_no_harm(battery: Run, name: str) -> None:
    require(cells(battery, f"fit=tell:{name}"), None)


def test_the_others_are_rendered_before_and_after(battery: Run) -> None:
    plain = [c for c in battery.plan if c.method in {"mix", "copy-content"}]
    assert {battery.cells[c.cell_id].status for c in plain} == {"ok"}


def test_what_a_fit_keeps_is_what_the_cache_gives_back(home: Path, battery: Run) -> None:
    """A second run takes fits and sounds from the cache, and ends as the first."""
    fine = [f"return:{name}" for name, (_, words) in odd.STATES.items() if words is None]
    sound = [f"return:{name}" for name, (_, words) in odd.OUTPUTS.items() if words is None]
    methods = variants(fine, sound)
    assert run(home, "again", "--methods", methods, "--no-isolate") == 0
    again = load_run(home / "again")
    for part in (*(f"fit={name}" for name in fine), *(f"how={name}" for name in sound)):
        first, second = cells(battery, part), cells(again, part)
        assert [c.audio_digest for c in first] == [c.audio_digest for c in second]
        assert all(c.fit_cached for c in second), part


@pytest.fixture(scope="module")
def worker(home: Path) -> Iterator[Isolated]:
    """One worker for all oddities, which none of them may end."""
    method = Isolated(find_method(f"{ODD}:Odd"), home / "log", 60.0)
    method.load("mini", "cpu")
    yield method
    method.close()


def fitted(worker: Isolated, what: str) -> list[StyleState] | Failure:
    request = FitRequest(Style("noise", ()), odd.Oddity(fit=what), 1)
    try:
        return worker.fit([request], lambda *_: None)
    except WorkerError as error:
        return error.failure
    except CheckpointError as error:
        return Failure("error", str(error))


def rendered(worker: Isolated, what: str) -> list[Audio] | Failure:
    sound = Audio(np.full((1, 80), 0.5, np.float32), RATE)
    clip = Clip("one", "low", sound)
    try:
        return worker.transfer([TransferRequest(clip, StyleState(), odd.Oddity(how=what), 1)])
    except WorkerError as error:
        return error.failure


FORM = "the output is mono, finite, and has the content's rate and length"
# Those of the contract's own end the worker's call as they are: the run decides what they mean.
PASSED_ON = {"ours", "descendant", "device"}
IN_WORKER = [name for name in odd.RAISED if name not in PASSED_ON]


@pytest.mark.parametrize("name", odd.STATES)
def test_a_worker_says_the_same_of_what_a_fit_returns(worker: Isolated, name: str) -> None:
    answer, words = fitted(worker, f"return:{name}"), odd.STATES[name][1]
    if words is None:
        assert isinstance(answer, list)
        assert type(answer[0]) is StyleState
    else:
        assert isinstance(answer, Failure)
        assert words in answer.reason
    assert worker.peak_bytes > 0


@pytest.mark.parametrize("name", odd.OUTPUTS)
def test_a_worker_says_the_same_of_what_a_rendering_returns(worker: Isolated, name: str) -> None:
    answer, words = rendered(worker, f"return:{name}"), odd.OUTPUTS[name][1]
    if words is None:
        assert isinstance(answer, list | tuple)
        assert (type(answer[0]), answer[0].sample_rate) == (Audio, RATE)
    else:
        assert isinstance(answer, Failure)
        assert words in answer.reason


@pytest.mark.parametrize("name", IN_WORKER)
def test_a_worker_says_the_same_of_what_is_raised(worker: Isolated, name: str) -> None:
    for answer in (fitted(worker, f"raise:{name}"), rendered(worker, f"raise:{name}")):
        assert isinstance(answer, Failure)
        assert answer.status in {"error", "oom"}
        assert odd.RAISED[name][1] in answer.reason


@pytest.mark.parametrize("name", odd.TOLD)
def test_what_is_told_in_a_worker_does_no_harm(worker: Isolated, name: str) -> None:
    assert isinstance(fitted(worker, f"tell:{name}"), list)


CHECKED = {
    "fit=return:lazy": "failed  it learns a style: ReturnError: fit returned a generator",
    "fit=return:objects": "failed  it learns a style: ReturnError: the state's 'a' is of object",
    "fit=raise:exit-0": "failed  it learns a style: SystemExit: 0",
    "fit=raise:ours": r"failed  it learns a style: ours \x1b",
    "how=return:long-view": f"failed  {FORM}: ReturnError: transfer returned audio of shape",
    "how=return:half-rate": f"failed  {FORM}: ValueError: sample_rate is 44100.5",
    "how=raise:farewell": f"failed  {FORM}: Farewell: bye",
    "how=return:float-rate": f"passed  {FORM}",
}


def checked(part: str) -> str:
    """The method that does this, as `check` is told its name."""
    name, _, value = part.partition("=")
    return f"{ODD}:Odd[{name}='{value}']"


@pytest.mark.parametrize("part", CHECKED)
def test_check_says_what_a_run_says(part: str) -> None:
    said = [line(outcome) for outcome in outcomes_here(wanted(checked(part), "mini", "cpu"))]
    assert [one for one in said if one.startswith(CHECKED[part])], said


def test_the_process_of_a_check_says_it_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["check", checked("fit=raise:exit-0")], standalone_mode=False)
    said = capsys.readouterr().out.splitlines()
    assert [one for one in said if one.startswith(CHECKED["fit=raise:exit-0"])], said


@pytest.mark.parametrize("how", ["--isolate", "--no-isolate"])
def test_errors_of_the_contract_end_the_run_from_load_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    fits = "|".join(f'"raise:{name}"' for name in sorted(PASSED_ON))
    out = f"fit{how}"
    assert run(home, out, "--methods", f"{ODD}:Odd[fit={fits}]", how) == 5
    done = load_run(home / out)
    for name in PASSED_ON:
        require(cells(done, f"fit=raise:{name}"), odd.RAISED[name][1])
    monkeypatch.setenv("ODD_LOAD", "descendant")
    with pytest.raises(CheckpointError, match="its child"):
        run(home, f"load{how}", "--methods", f"{ODD}:Stubborn", how)
    monkeypatch.setenv("ODD_LOAD", "likeness")
    assert run(home, f"likeness{how}", "--methods", f"{ODD}:Stubborn", how) == 5


@pytest.mark.parametrize("name", [*odd.SCORES, *(f"raise:{name}" for name in OF_METRICS)])
def test_what_a_metric_answers_or_raises_costs_its_scores(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind, _, raised = name.rpartition(":")
    monkeypatch.setenv("ODD_SCORE", name if kind else f"return:{name}")
    words = odd.RAISED[raised][1] if kind else odd.SCORES[name][1]
    metrics = f"{ODD}:OddScore,chroma"
    code = run(home, f"score-{name}", "--metrics", metrics, "--no-isolate")
    done = load_run(home / f"score-{name}")
    found = [s for (_, metric), s in done.scores.items() if metric != "chroma"]
    assert len(found) == 2
    assert len(done.scores) == 4
    for score in found:
        assert len(str(score.reason)) <= LONGEST
        assert (score.status == "invalid_score") == (words is not None) == (code == 5)
        assert (words or "") in str(score.reason)


@pytest.mark.parametrize("name", odd.PRINTS)
def test_what_a_fingerprint_says_costs_its_scores(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("ODD_SCORE", "return:numpy")
    monkeypatch.setenv("ODD_PRINT", name)
    words = odd.PRINTS[name][1]
    code = run(home, f"print-{name}", "--metrics", f"{ODD}:OddScore,chroma", "--no-isolate")
    done = load_run(home / f"print-{name}")
    reasons = {s.reason for (_, metric), s in done.scores.items() if metric != "chroma"}
    if words is None:
        assert (code, reasons) == (0, {None})
    else:
        (reason,) = reasons
        assert code == 5
        assert words in str(reason)
