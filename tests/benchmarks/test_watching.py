"""A benchmark on a busy machine: it is stopped in time, and the gate says so instead of red."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.gate.cost import benchmark_verdicts
from bench.gate.verdict import Verdict, exit_code
from bench.records.benchmarks import Benchmark, read_benchmarks

pytestmark = pytest.mark.slow  # a session of benchmarks

FILE = """
import time

import pytest

pytest_plugins = ["tests.benchmarks.watching"]


@pytest.fixture
def limit_s():
    return 1.0


def test_quick(benchmark):
    benchmark.pedantic(len, ("abc",), rounds=3)


def test_endless(benchmark):
    benchmark.pedantic(time.sleep, (60,), rounds=3)


def test_wrong(benchmark):
    benchmark.pedantic(len, (3,), rounds=3)


def test_calibration(benchmark):
    benchmark.pedantic(time.sleep, (0.01,), rounds=3)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The JSON of a session with a quick, an endless and a wrong benchmark."""
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "bench_few.py").write_text(FILE, encoding="utf-8")
    words = [
        "-p",
        "no:cacheprovider",
        f"--rootdir={folder}",
        f"--benchmark-json={folder / 'b.json'}",
    ]
    # pytest-benchmark writes nothing in a worker of xdist, which it knows by these variables.
    alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words, str(folder / "bench_few.py")],
        cwd=request.config.rootpath, env=alone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 2 passed, 1 skipped" in done.stdout
    return folder / "b.json"


def edited(written: Path, *, kernel_s: list[float], load: float, cores: int) -> list[Benchmark]:
    """The session as it would have been on a machine with these readings."""
    content: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    for entry in (*content["benchmarks"], *content["unfinished"]):
        entry["extra_info"] |= {"kernel_s": kernel_s, "load": load, "cores": cores}
    path = written.with_name(f"{load}.json")
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_benchmarks(path)


def verdicts_on(found: list[Benchmark], *, endless_s: float = 0.1) -> dict[str, Verdict]:
    """Verdicts by the name of the function; the baseline was quiet and the machine is the same."""
    usual = {"quick": 1e-9, "endless": endless_s}
    known = [
        one.model_copy(update={"median_s": usual[name], "rounds": (), "disturbed": ""})
        for one in found
        if (name := one.name.rpartition("test_")[2]) in usual
    ]
    return {v.method.rpartition("test_")[2]: v for v in benchmark_verdicts(found, known)}


@pytest.mark.slow
def test_the_session_says_what_did_not_end_and_how_busy_it_was(written: Path) -> None:
    content = json.loads(written.read_text(encoding="utf-8"))
    (endless,) = content["unfinished"]
    assert endless["fullname"].endswith("::test_endless")
    for entry in (*content["benchmarks"], endless):
        facts = entry["extra_info"]
        assert len(facts["kernel_s"]) == 2
        assert min(facts["kernel_s"]) > 0
        assert facts["cores"] >= 1
        assert facts["load"] >= 0
    names = [one.name.rpartition("test_")[2] for one in read_benchmarks(written)]
    assert names == ["quick", "endless"]  # neither the yardstick nor what failed


@pytest.mark.parametrize(
    ("kernel_s", "load", "reason"),
    [
        ([0.01, 0.016], 1.0, r"calibration kernel 1\.60 times as long at worst as at best"),
        ([0.01, 0.01], 7.0, r"load average 7\.0 on 2 cores"),
    ],
    ids=["kernel", "load"],
)
def test_a_disturbed_machine_gives_no_verdict_on_time(
    written: Path, kernel_s: list[float], load: float, reason: str
) -> None:
    found = verdicts_on(edited(written, kernel_s=kernel_s, load=load, cores=2))
    assert found.keys() == {"quick", "endless"}
    for verdict in found.values():
        assert (verdict.lane, verdict.word, verdict.red) == ("time", "inconclusive", False)
        assert "no verdict on time: the machine was disturbed" in verdict.reason
        assert re.search(reason, verdict.reason)
    assert "not done within 1 s" in found["endless"].reason
    assert exit_code(found.values()) == 0


def test_on_a_quiet_machine_an_endless_function_is_a_slow_one(written: Path) -> None:
    quiet = edited(written, kernel_s=[0.01, 0.0149], load=2.7, cores=2)
    found = verdicts_on(quiet)
    assert found["endless"].red
    assert found["endless"].reason == "not done within 1 s; the baseline took 0.1 s"
    assert found["quick"].red


def test_a_disturbed_baseline_gives_no_verdict_either(written: Path) -> None:
    (quick, _) = edited(written, kernel_s=[0.01, 0.01], load=1.0, cores=2)
    old = quick.model_copy(update={"median_s": 1e-9, "disturbed": "load average 9.0 on 2 cores"})
    [verdict] = benchmark_verdicts([quick], [old])
    assert (verdict.word, verdict.red) == ("inconclusive", False)
    assert "(baseline: load average 9.0 on 2 cores)" in verdict.reason
    assert math.isnan(verdict.delta)
