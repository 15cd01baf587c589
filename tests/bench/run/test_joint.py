"""Methods of one family learn in one call, and each finds its own states."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli.main import cli
from bench.records.schema import CellRecord
from bench.records.store import load_run

KIN = """
from pathlib import Path
import numpy as np
from bench.api import MethodInfo, StyleState, StyleTransferMethod

INFO = MethodInfo("Kin", ("style audio",), True, "none")
LOG = Path(__file__).with_name("calls")

class Kin(StyleTransferMethod):
    family = "kin"

    def load(self, profile, device):
        pass

    def fit(self, requests, progress):
        with LOG.open("a") as log:
            log.write(f"{{type(self).__name__}} {{len(requests)}}\\n")
        if {fails} and len(requests) > 2:
            raise ValueError("too many")
        return [StyleState({{"level": np.float32([len(r.style.id)])}}) for r in requests]

    def transfer(self, requests):
        return [r.content.audio for r in requests]

class One(Kin): pass
class Other(Kin): pass
"""
SUITE = """
schema_version = 1
name = "kin"
dataset = "mini"
profile = "mini"
methods = ["{folder}/kin.py:One", "{folder}/kin.py:Other"]
controls = []
metrics = ["chroma"]
styles = ["accordion", "bells"]
contents = 1
duration_s = 1.0
"""


def run(folder: Path, *more: str, fails: bool = False) -> tuple[list[str], list[CellRecord]]:
    """Calls of fit, and the cells."""
    (folder / "kin.py").write_text(KIN.format(fails=fails), encoding="utf-8")
    suite = folder / "kin.toml"
    suite.write_text(SUITE.format(folder=folder), encoding="utf-8")
    words = ["run", "--suite", str(suite), "--no-isolate", "--device", "cpu", "--no-html", *more]
    with pytest.raises(SystemExit, match="0"):
        cli.main([*words, "--out", str(folder / "run")], standalone_mode=False)
    calls = (folder / "calls").read_text(encoding="utf-8").splitlines()
    return calls, list(load_run(folder / "run").cells.values())


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def test_each_method_learns_alone_unless_asked_otherwise(tmp_path: Path) -> None:
    calls, cells = run(tmp_path)
    assert calls == ["One 2", "Other 2"]
    assert [(cell.status, cell.fit_cached) for cell in cells] == [("ok", False)] * 4


def test_a_family_learns_in_one_call_and_says_that_no_fit_was_timed_alone(tmp_path: Path) -> None:
    calls, cells = run(tmp_path, "--fit-together")
    assert calls == ["One 4"]
    assert [(cell.status, cell.fit_cached) for cell in cells] == [("ok", True)] * 4
    assert len({cell.fit_s for cell in cells}) == 1


def test_what_fails_together_is_learnt_by_each_alone(tmp_path: Path) -> None:
    calls, cells = run(tmp_path, "--fit-together", fails=True)
    assert calls == ["One 4", "One 2", "Other 2"]
    assert [(cell.status, cell.fit_cached) for cell in cells] == [("ok", False)] * 4
