"""Back ends in environments of their own: a package whose pin contradicts ours, in one table.

The environment is really locked and built by uv, from wheels that are made here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))

from wheels import installed_wheel, tiny_wheel

from bench.api import Audio, Clip, ConfigError, Entry, MethodInfo, Output, Style
from bench.cli.main import cli
from bench.failure import WorkerLostError
from bench.plugins.catalog import find_method, find_metric
from bench.plugins.environments import environment_folder, project_of, python_of
from bench.plugins.isolated import IsolatedMetric
from bench.plugins.source_digest import source_digest
from bench.records.schema import CellRecord
from bench.records.store import load_run

HERE = Path(__file__).parent
RATE = 8000
OLD = "__version__ = '0.1'\n\ndef half(values):\n    return values / 2\n"
PROJECT = """
[project]
name = "olden"
version = "1"
requires-python = "=={python}.*"
dependencies = ["numpy", "tabulate==0.1"]

[tool.uv]
package = false
no-index = true
find-links = ["{wheels}"]
"""
SUITE = """
schema_version = 1
name = "toy"
dataset = "{data}"
profile = "mini"
methods = ["mix"]
controls = []
metrics = ["chroma"]
chunk_size = 2
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Sounds, a suite, the method's file beside its project, and a cache of their own."""
    folder = tmp_path_factory.mktemp("backends")
    shutil.copy(HERE / "olden.py", folder)
    lock(folder)
    rng = np.random.default_rng(0)
    names = ["content/low/low1", "content/low/low2", "content/high/high1"]
    names += [f"style/{style}/{number}" for style in ("click", "noise") for number in range(2)]
    for name in names:
        path = folder / "data" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.8, 0.8, RATE), RATE, subtype="PCM_16")
    (folder / "toy.toml").write_text(SUITE.format(data=folder / "data"), encoding="utf-8")
    (folder / "notes").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.setenv("TOY_NOTES", str(folder / "notes"))
        patch.setenv("UV_PYTHON", sys.executable)
        yield folder


def lock(folder: Path) -> None:
    """Write the project and its lock; the pin is one that this environment does not meet."""
    wheels, project = folder / "wheels", folder / "project"
    wheels.mkdir()
    project.mkdir()
    tiny_wheel(wheels, "tabulate", "0.1", OLD)
    installed_wheel(wheels, "numpy")
    python = ".".join(map(str, sys.version_info[:2]))
    text = PROJECT.format(wheels=wheels, python=python)
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "lock", "--offline", "--python", sys.executable]
    subprocess.run(command, cwd=project, check=True, capture_output=True)


def run(home: Path, methods: str, *arguments: str, out: str) -> int:
    words = ["run", "--suite", str(home / "toy.toml"), "--device", "cpu", "--out", str(home / out)]
    words.append("--no-html")
    try:
        cli.main([*words, "--methods", methods, *arguments], standalone_mode=False)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def cells(home: Path, out: str, method: str) -> dict[tuple[str, str], CellRecord]:
    done = load_run(home / out)
    return {
        (cell.style, cell.content): done.cells[cell.cell_id]
        for cell in done.plan
        if cell.method.rpartition(":")[2] == method
    }


@pytest.fixture(scope="module")
def table(home: Path) -> Path:
    """One command: a method of this environment and one of the other, a metric of each."""
    olden = f"{home / 'olden.py'}:Olden"
    metrics = f"chroma,{home / 'olden.py'}:OldenLevel"
    assert run(home, f"{olden},mix", "--metrics", metrics, out="run") == 0
    return home / "run"


def test_one_command_gives_one_table(home: Path, table: Path) -> None:
    text = (table / "report" / "table2.md").read_text(encoding="utf-8")
    assert "Olden" in text
    assert "mix" in text
    assert "Half peak" in (table / "report" / "table2.md").read_text(encoding="utf-8")
    assert {cell.status for cell in cells(home, "run", "Olden").values()} == {"ok"}


def test_the_output_is_that_of_the_old_library(home: Path, table: Path) -> None:
    content, _ = soundfile.read(home / "data/content/low/low1.wav", dtype="float32")
    record = cells(home, "run", "Olden")["click", "low1"]
    output, _ = soundfile.read(table / str(record.audio), dtype="float32")
    np.testing.assert_allclose(output, content / 2, atol=2**-15)


@pytest.mark.usefixtures("table")
def test_the_other_environment_has_its_own_version_and_none_of_ours(home: Path) -> None:
    prefix, version, has_torch = (home / "notes" / "place").read_text("utf-8").splitlines()
    assert Path(prefix) == environment_folder(home / "project")
    assert (version, has_torch) == ("0.1", "False")
    import tabulate

    assert tabulate.__version__ != version


def test_scores_of_the_metric_are_those_of_its_environment(table: Path) -> None:
    done = load_run(table)
    (metric,) = (m for m in done.header.metrics if m.name.endswith("OldenLevel"))
    assert metric.fingerprint_detail["tabulate"] == "0.1"
    assert len(str(metric.fingerprint_detail["environment"])) == 12
    scores = [s for s in done.scores.values() if s.metric == metric.name]
    assert len(scores) == len(done.plan)
    for score in scores:
        peak = done.cells[score.cell_id].peak
        assert peak is not None
        assert score.value == pytest.approx(peak / 2, abs=2**-15)


@pytest.mark.usefixtures("table")
def test_an_environment_is_built_once(home: Path) -> None:
    project = project_of(find_method(f"{home / 'olden.py'}:Olden"))
    assert project is not None
    told: list[str] = []
    assert python_of(project, told.append).is_file()
    assert told == []


@pytest.mark.usefixtures("table")
def test_another_lock_is_another_environment_and_other_results(home: Path) -> None:
    other = home / "other"
    shutil.copytree(home / "project", other / "project")
    shutil.copy(home / "olden.py", other)
    with (other / "project" / "uv.lock").open("a", encoding="utf-8") as file:
        file.write("\n")
    names = [f"{folder / 'olden.py'}:Olden" for folder in (home, other)]
    first, second = (find_method(name) for name in names)
    assert source_digest(first) != source_digest(second)
    assert environment_folder(home / "project") != environment_folder(other / "project")


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("noise", "ok", 0),
        pytest.param("raise", "error", 5, marks=pytest.mark.slow),
        ("exit", "crash", 5),
        ("hang", "timeout", 5),
    ],
)
@pytest.mark.usefixtures("table")
def test_what_goes_wrong_there_costs_cells_and_not_the_run(
    home: Path, how: str, status: str, code: int
) -> None:
    label = f"Olden[how={how}]"
    methods = f"{home / 'olden.py'}:{label},mix"
    limit = ("--timeout", "2") if how == "hang" else ()
    assert run(home, methods, *limit, out=how) == code
    mine = cells(home, how, label)
    for style in ("click", "noise"):
        ends = [mine[style, content].status for content in ("low1", "low2", "high1")]
        assert ends[0] == status
        assert "ok" in ends
    assert {cell.status for cell in cells(home, how, "mix").values()} == {"ok"}


def test_a_hanging_back_end_leaves_no_process_behind(home: Path) -> None:
    child = int((home / "notes" / "child").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _lives(child):
        time.sleep(0.05)
    assert not _lives(child)


def _lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.mark.usefixtures("table")
def test_a_metric_that_lost_its_worker_starts_another(home: Path) -> None:
    name = f"{home / 'olden.py'}:OldenLevel"
    metric = IsolatedMetric(find_metric(name), Path(os.devnull))
    metric.load("mini", "cpu")
    loud, silent = (Audio(np.full((1, 80), level, np.float32), RATE) for level in (0.5, 0.0))
    clip = Clip("c", "c", loud)
    sounding, fatal = (Output(clip, Style("s", (clip,)), audio) for audio in (loud, silent))
    for outputs in ([sounding, fatal], [fatal]):
        with pytest.raises(WorkerLostError, match="exit code 4"):
            metric.score(outputs)
    assert [score.value for score in metric.score([sounding])] == [0.25]
    metric.close()


@pytest.mark.usefixtures("table")
def test_an_output_that_takes_a_metric_down_has_an_invalid_score_and_the_others_theirs(
    home: Path,
) -> None:
    """The worker dies of the whole batch first, then of the one output that is silent."""
    data = home / "quiet"
    shutil.copytree(home / "data", data)
    soundfile.write(data / "content/low/low2.wav", np.zeros(RATE), RATE, subtype="PCM_16")
    metric = f"{home / 'olden.py'}:OldenLevel"
    options = ("--dataset", str(data), "--metrics", f"{metric},chroma")
    assert run(home, "copy-content", *options, out="down") == 5
    done = load_run(home / "down")
    content = {cell.cell_id: cell.content for cell in done.plan}
    ends = {
        (content[cell], score.status)
        for (cell, name), score in done.scores.items()
        if name == metric
    }
    assert ends == {("low1", "ok"), ("low2", "invalid_score"), ("high1", "ok")}
    reasons = {score.reason for score in done.scores.values() if score.status == "invalid_score"}
    assert reasons == {
        f"metric {metric!r} gave no score: the worker ended with exit code 4; no output"
    }
    assert len(done.scores) == 2 * len(done.plan)


@pytest.mark.usefixtures("table")
def test_check_puts_a_back_end_through_the_contract(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["check", f"{home / 'olden.py'}:Olden"], standalone_mode=False)
    said = "".join(capsys.readouterr())
    assert "0 failed" in said, said


@pytest.mark.usefixtures("table")
def test_transfer_serves_a_back_end_too(home: Path) -> None:
    out = home / "one.wav"
    words = ["transfer", "--method", f"{home / 'olden.py'}:Olden", "-o", str(out)]
    words += ["--style", str(home / "data/style/click"), "--profile", "mini", "--device", "cpu"]
    words += ["--level", "as-is"]
    content = home / "data/content/low/low2.wav"
    cli.main([*words, "--content", str(content)], standalone_mode=False)
    made, _ = soundfile.read(out, dtype="float32")
    given, _ = soundfile.read(content, dtype="float32")
    np.testing.assert_allclose(made, given / 2, atol=2**-15)


def test_a_project_without_a_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    info = MethodInfo("x", ("style audio",), fits_per_style=False, source="here")
    with pytest.raises(ConfigError, match=r"lacks uv\.lock"):
        project_of(Entry("m:C", info, environment=str(tmp_path)))


def test_an_environment_that_cannot_be_built_says_why(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "broken"
    shutil.copytree(home / "project", project)
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    changed = text.replace("tabulate==0.1", "tabulate==0.2")
    (project / "pyproject.toml").write_text(changed, encoding="utf-8")
    with pytest.raises(ConfigError, match="environment of broken cannot be built"):
        python_of(project, str)


@pytest.mark.network
def test_an_older_python_and_numpy_come_from_the_registry(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Needs a registry, and Python 3.10 here or to be downloaded."""
    monkeypatch.delenv("UV_PYTHON")
    shutil.copy(HERE / "olden.py", tmp_path)
    wheels, project = tmp_path / "wheels", tmp_path / "project"
    wheels.mkdir()
    project.mkdir()
    tiny_wheel(wheels, "tabulate", "0.1", OLD)
    text = PROJECT.format(wheels=wheels, python="3.10").replace("no-index = true\n", "")
    text = text.replace('"numpy"', '"numpy<2"')
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([str(uv), "lock"], cwd=project, check=True, capture_output=True)
    assert run(home, f"{tmp_path / 'olden.py'}:Olden,mix", out="older") == 0
    python = python_of(project, str)
    facts = "import sys, numpy; print(sys.version_info[:2], numpy.__version__)"
    said = subprocess.run([str(python), "-c", facts], check=True, capture_output=True, text=True)
    assert said.stdout.startswith("(3, 10) 1.")
