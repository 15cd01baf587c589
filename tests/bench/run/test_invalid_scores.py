"""Metrics that break the rules of a score: what it costs, where it is shown, what is retried."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from noises import write_noises

from bench.cli.main import cli
from bench.records.store import Run, load_run

FAULTY = Path(__file__).parents[1] / "faulty.py"
RATE = 8000
CONTENTS = ("low1", "low2", "low3")
SUITE = """
schema_version = 1
name = "toy"
dataset = "{dataset}"
profile = "mini"
methods = ["mix"]
controls = []
metrics = []
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of three contents and one style, a suite over it, and a private cache."""
    names = [*(f"content/low/{name}" for name in CONTENTS), "style/noise/0", "style/noise/1"]
    write_noises(tmp_path / "data", names, RATE)
    suite = SUITE.format(dataset=tmp_path / "data")
    (tmp_path / "toy.toml").write_text(suite, encoding="utf-8")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def run(toy: Path, *metrics: str, more: tuple[str, ...] = ()) -> int:
    """Score with metrics of `faulty.py`, and with chroma after them; the exit code."""
    names = ",".join([*(f"{FAULTY}:{name}" for name in metrics), "chroma"])
    words = ["run", "--suite", str(toy / "toy.toml"), "--device", "cpu", "--metrics", names]
    words.append("--no-html")
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--out", str(toy / "run"), *more], standalone_mode=False)
    return int(stop.value.code or 0)


def scores(done: Run, metric: str) -> dict[str, tuple[str, float | None, str]]:
    """Status, value and reason by content of a metric, which is named by its class."""
    content = {cell.cell_id: cell.content for cell in done.plan}
    return {
        content[cell]: (score.status, score.value, score.reason or "")
        for (cell, name), score in done.scores.items()
        if name.rpartition(":")[2] == metric
    }


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("NotANumber", "gave the value nan; a score is a finite real number"),
        pytest.param(
            "RawNotANumber",
            "gave the value before clipping inf; a score is a finite real number",
            marks=pytest.mark.slow,
        ),
        ("TooLarge", "gave the value 57.0; its declared range is 0 to 1"),
        pytest.param(
            "NoNumber", "gave no value with the status ok, which has one", marks=pytest.mark.slow
        ),
        pytest.param(
            "Misnamed", "named a score 'peek'; its name must be 'peak'", marks=pytest.mark.slow
        ),
        ("Bare", ", not a Score"),
        pytest.param(
            "Raising", "gave no score: ValueError: this clip is cursed", marks=pytest.mark.slow
        ),
        ("Leaving", "gave no score: SystemExit: 0"),
        ("TooFew", "returned a list of 0 for 1 outputs; a score per output is wanted"),
    ],
)
def test_a_broken_rule_costs_one_score_with_the_reason(
    toy: Path, capsys: pytest.CaptureFixture[str], metric: str, reason: str
) -> None:
    """The clips beside it, the metric after it and the run go on; everything says so."""
    paged = metric == "NotANumber"
    assert run(toy, metric, more=("--html",) if paged else ()) == 5
    done = load_run(toy / "run")
    found = scores(done, metric)
    assert {name: found[name][0] for name in CONTENTS} == {
        "low1": "ok", "low2": "invalid_score", "low3": "ok"
    }  # fmt: skip
    _, value, said = found["low2"]
    assert value is None
    assert said.startswith(f"metric '{FAULTY}:{metric}' ")
    assert reason in said
    assert {status for status, *_ in scores(done, "chroma").values()} == {"ok"}
    report = toy / "run" / "report"
    table = (report / "table2.md").read_text(encoding="utf-8")
    assert "2/3" in table
    assert "1 of 3 cells with an invalid score" in table
    assert reason.partition(";")[0].split(": ")[-1] in (report / "failures.md").read_text("utf-8")
    pages = [(report / "page" / "index.html").read_text(encoding="utf-8")] if paged else []
    for shown in (*pages, capsys.readouterr().out):
        assert f"1 score invalid ({FAULTY}:{metric} 1)" in shown


def test_a_metric_that_ends_its_process_or_hangs_costs_one_score(toy: Path) -> None:
    """It lives in a worker; the time limit is for each output."""
    assert run(toy, "Quitting", "Hanging", more=("--timeout", "2")) == 5
    done = load_run(toy / "run")
    for metric, reason in (
        ("Quitting", "gave no score: the worker ended with exit code 0"),
        ("Hanging", "gave no score: took longer than 2 s"),
    ):
        found = scores(done, metric)
        assert {name: found[name][0] for name in CONTENTS} == {
            "low1": "ok", "low2": "invalid_score", "low3": "ok"
        }  # fmt: skip
        assert reason in found["low2"][2]
    assert {status for status, *_ in scores(done, "chroma").values()} == {"ok"}


RUDE = f"""
import sys
sys.path.append({str(FAULTY.parent)!r})
import numpy as np
from faulty import Peak, MetricInfo, Direction
cosine = np.einsum
np.einsum = np.linalg.norm = np.abs = lambda *given, **named: cosine("i->i", np.ones(3))

class Kind(Peak):
    INFO = MetricInfo("Kind", Direction.MAXIMIZE, (0.0, 9.0), source="here")
    def score(self, outputs):
        return [self.broken(1.0) for _ in outputs]
    def broken(self, found):
        return super().broken(found).__class__("kind", found)
"""


def test_what_a_metric_does_to_a_library_changes_no_other_score(toy: Path) -> None:
    """And a changed file of it is another measure: its scores are made again."""
    assert run(toy) == 0
    alone = load_run(toy / "run")
    (toy / "run" / "scores.jsonl").unlink()
    (toy / "rude.py").write_text(RUDE, encoding="utf-8")
    words = ("--metrics", f"{toy}/rude.py:Kind,chroma")
    assert run(toy, more=words) == 0
    beside = load_run(toy / "run")
    assert scores(beside, "chroma") == scores(alone, "chroma")
    assert {value for _, value, _ in scores(beside, "Kind").values()} == {1.0}
    (toy / "rude.py").write_text(RUDE.replace("broken(1.0)", "broken(2.0)"), encoding="utf-8")
    assert run(toy, more=words) == 0
    changed = load_run(toy / "run")
    assert {value for _, value, _ in scores(changed, "Kind").values()} == {2.0}
    assert changed.header.metrics[-1].fingerprint != beside.header.metrics[-1].fingerprint


def test_scores_of_other_code_of_a_metric_are_made_again(toy: Path) -> None:
    """Of a built-in one too, whose fingerprint says what its author calls its version."""
    assert run(toy) == 0
    log = toy / "run" / "scores.jsonl"
    first, *others = log.read_text("utf-8").splitlines()
    facts = json.loads(first)
    older = json.dumps({**facts, "code": "0" * 12, "value": 0.125, "raw": 0.125})
    log.write_text("\n".join([older, *others]) + "\n", encoding="utf-8")
    assert run(toy) == 0
    again = load_run(toy / "run").scores[facts["cell_id"], "chroma"]
    assert (again.value, again.code) == (facts["value"], facts["code"])
    assert len(log.read_text("utf-8").splitlines()) == len(CONTENTS) + 1


def test_a_metric_that_declines_by_raising_is_not_at_fault(toy: Path) -> None:
    assert run(toy, "Declining") == 0
    found = scores(load_run(toy / "run"), "Declining")
    assert found["low2"] == ("unsupported", None, "not for such clips")
    assert found["low1"][0] == "ok"


def test_a_metric_that_cannot_be_loaded_costs_its_own_cells(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it loads again its cells are scored without being asked for: nothing was measured."""
    assert run(toy, "Unloadable") == 5
    found = scores(load_run(toy / "run"), "Unloadable")
    words = f"metric '{FAULTY}:Unloadable' could not be loaded: RuntimeError: half of the file"
    assert {status for status, *_ in found.values()} == {"invalid_score"}
    assert all(reason.startswith(words) for *_, reason in found.values())
    logs = toy / "run" / "logs"
    assert "Traceback" in "".join(log.read_text("utf-8") for log in logs.glob("*Unloadable.log"))
    monkeypatch.setenv("FAULTY_FIXED", "1")
    assert run(toy, "Unloadable") == 0
    assert {status for status, *_ in scores(load_run(toy / "run"), "Unloadable").values()} == {"ok"}
    monkeypatch.delenv("FAULTY_FIXED")
    assert run(toy, "Unloadable") == 0, "what was scored before stays"
    assert load_run(toy / "run").header.metrics[0].fingerprint


def test_invalid_scores_are_tried_again_only_when_asked(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As failed cells are, and with `--retry` only they are scored."""
    log = toy / "run" / "scores.jsonl"
    assert run(toy, "Raising", "TooLarge") == 5
    lines = len(log.read_text("utf-8").splitlines())
    monkeypatch.setenv("FAULTY_FIXED", "1")
    assert run(toy, "Raising", "TooLarge") == 5
    assert len(log.read_text("utf-8").splitlines()) == lines
    assert run(toy, "Raising", "TooLarge", more=("--retry",)) == 0
    assert len(log.read_text("utf-8").splitlines()) == lines + 2
    assert scores(load_run(toy / "run"), "Raising")["low2"][0] == "ok"


def test_an_invalid_score_of_another_session_does_not_end_this_one_with_5(toy: Path) -> None:
    assert run(toy, "TooLarge") == 5
    assert run(toy) == 0


@pytest.mark.parametrize(
    "stored",
    ["NaN", "null", *(pytest.param(one, marks=pytest.mark.slow) for one in ("Infinity", "57.0"))],
)
def test_a_stored_score_that_is_none_is_invalid_and_scored_again_when_asked(
    toy: Path, stored: str
) -> None:
    """What older versions or other tools wrote: `value` and `raw`, status ok."""
    assert run(toy) == 0
    log = toy / "run" / "scores.jsonl"
    first, *others = log.read_text(encoding="utf-8").splitlines()
    facts = json.loads(first)
    facts["value"] = facts["raw"] = None
    spoilt = json.dumps(facts).replace("null", stored, 2)
    assert spoilt.count(stored) >= 2
    log.write_text("\n".join([spoilt, *others]) + "\n", encoding="utf-8")
    assert run(toy) == 5
    found = load_run(toy / "run").scores[facts["cell_id"], "chroma"]
    assert (found.status, found.value, found.raw) == ("invalid_score", None, None)
    assert run(toy, more=("--retry",)) == 0
