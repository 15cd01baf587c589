"""Several devices for one run: shares of the plan, processes, and what a lost process leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.api import RecordError
from bench.cli.main import cli
from bench.records.schema import PlannedCell
from bench.records.store import load_run
from bench.run.devices import assign

SUITE = """
schema_version = 1
name = "shared"
dataset = "mini"
profile = "mini"
methods = ["eq-match", "{folder}/mortal.py:Mortal"]
controls = []
metrics = ["chroma"]
styles = ["accordion", "bells"]
contents = 2
duration_s = 1.0
"""
# Takes down any process but the first that works on it.
MORTAL = """
import multiprocessing
import os
from bench.api import MethodInfo, StyleState, StyleTransferMethod

INFO = MethodInfo("Mortal", ("content audio",), False, "none")

class Mortal(StyleTransferMethod):
    def load(self, profile, device):
        pass

    def fit(self, requests, progress):
        return [StyleState() for _ in requests]

    def transfer(self, requests):
        if multiprocessing.parent_process() is not None and os.environ["MORTAL"] == "yes":
            os._exit(9)
        return [request.content.audio for request in requests]
"""


def cell(method: str, style: str, content: str, repetition: int = 0) -> PlannedCell:
    name = f"{method}-{style}-{content}-{repetition}"
    return PlannedCell.model_construct(
        cell_id=name, method=method, style=style, content=content, repetition=repetition
    )


def test_a_share_holds_whole_fits_and_work_is_even() -> None:
    plan = [
        cell(method, style, str(content))
        for method in ("a", "b")
        for style in ("x", "y", "z")
        for content in range(5)
    ]
    shares = assign(plan, 2)
    assert sorted(name for share in shares for name in share) == sorted(c.cell_id for c in plan)
    assert [len(share) for share in shares] == [15, 15]
    for share in shares:
        assert len({name.rpartition("-")[0].rpartition("-")[0] for name in share}) == 3


def test_more_devices_than_fits_leave_some_without_work() -> None:
    assert assign([cell("a", "x", "1"), cell("a", "x", "2")], 3) == [
        frozenset({"a-x-1-0", "a-x-2-0"}),
        frozenset(),
        frozenset(),
    ]


def test_a_sigterm_to_the_parent_ends_every_share(tmp_path: Path, checkout: Path) -> None:
    program = Path(__file__).with_name("stopped_shares.py")
    surrounding = os.environ | {"PYTHONPATH": str(checkout)}
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)], env=surrounding
    ) as process:
        while len(list(tmp_path.glob("begun-*"))) < 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 143
    begun, ended = set(tmp_path.glob("begun-*")), {"TerminatedError-one", "TerminatedError-two"}
    assert {path.name for path in tmp_path.iterdir()} - {path.name for path in begun} == ended
    numbers = [int(path.name.rpartition("-")[2]) for path in begun]
    assert not any(psutil.pid_exists(number) for number in numbers)


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mortal.py").write_text(MORTAL, encoding="utf-8")
    path = tmp_path / "shared.toml"
    path.write_text(SUITE.format(folder=tmp_path), encoding="utf-8")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return path


def run(suite: Path, out: str, device: str) -> dict[str, tuple[int, str | None]]:
    """Run the suite on devices; attempt and digest of each cell."""
    words = ["run", "--suite", str(suite), "--no-isolate", "--device", device, "--no-html"]
    with pytest.raises(SystemExit, match="0"):
        cli.main([*words, "--out", str(suite.parent / out)], standalone_mode=False)
    cells = load_run(suite.parent / out).cells
    return {name: (record.attempt, record.audio_digest) for name, record in cells.items()}


def test_two_processes_make_what_one_makes_also_when_one_is_lost(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both processes die in their share of `Mortal`; this one does what they leave undone."""
    monkeypatch.setenv("MORTAL", "no")
    alone = run(suite, "alone", "cpu")
    monkeypatch.setenv("BENCH_CACHE", str(suite.parent / "other-cache"))
    monkeypatch.setenv("MORTAL", "yes")
    shared = run(suite, "shared", "cpu,cpu")
    digests = {name: digest for name, (_, digest) in alone.items()}
    assert {name: digest for name, (_, digest) in shared.items()} == digests
    assert len(shared) == 8
    assert max(attempt for attempt, _ in alone.values()) == 1
    assert max(attempt for attempt, _ in shared.values()) == 2
    header = json.loads((suite.parent / "shared" / "run.json").read_text(encoding="utf-8"))
    assert header["provenance"]["devices"] == ["cpu", "cpu"]


@pytest.mark.slow
def test_two_processes_render_a_changed_method_anew_and_no_other(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTAL", "no")
    before = run(suite, "run", "cpu,cpu")
    file = suite.parent / "mortal.py"
    text = file.read_text(encoding="utf-8")
    halved = "[type(a)(a.waveform / 2, a.sample_rate) for a in (r.content.audio for r in requests)]"
    changed = text.replace("[request.content.audio for request in requests]", halved)
    file.write_text(changed, encoding="utf-8")
    after = run(suite, "run", "cpu,cpu")
    unlike = {name for name, facts in after.items() if facts != before[name]}
    records = load_run(suite.parent / "run")
    assert unlike == {cell.cell_id for cell in records.plan if cell.method.endswith(":Mortal")}
    assert {after[name][0] for name in unlike} == {2}
    assert records.remarks == ()


def test_a_run_is_not_continued_in_another_precision(
    suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORTAL", "no")
    run(suite, "run", "cpu")
    monkeypatch.setenv("BENCH_PRECISION", "bfloat16")
    words = ["run", "--suite", str(suite), "--device", "cpu", "--out", str(suite.parent / "run")]
    with pytest.raises(RecordError, match="differs in the precision of frozen networks"):
        cli.main(words, standalone_mode=False)
