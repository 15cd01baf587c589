"""`submit`: which shards lack something, what their tasks are told, and tasks as processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))

from small_run import Small, command, made

from bench.api import ConfigError, RecordError
from bench.checkout import CHECKOUT
from bench.records.claims import take
from bench.records.parts import CLAIM, part_folder
from bench.records.store import load_run
from bench.run.request import RunRequest
from bench.submit.order import Order, code_if_whole, make_order
from bench.submit.resources import require_library
from bench.submit.task import Task, begin, end, last_line, run_task


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A run that one process has finished; it must not be changed."""
    small = made(tmp_path_factory.mktemp("small"))
    assert small.run(out="one") == 0
    return small


def submit(small: Small, *words: str, out: str = "run", count: int = 4) -> int:
    """The exit code of `submit`."""
    asked = ["--suite", str(small.home / "small.toml"), "--out", str(small.home / out)]
    return command("submit", "-n", str(count), *asked, "--no-html", *words)


def order(small: Small, out: str, *, retry: bool = False, count: int = 4) -> Order:
    """What would be submitted."""
    suite, folder = str(small.home / "small.toml"), small.home / out
    request = RunRequest(suite=suite, out=folder, retry=retry)
    return make_order(request, count, ["--suite", suite], ["cpu"])


@pytest.mark.slow
def test_processes_make_what_one_process_makes_and_are_not_submitted_again(
    finished: Small, capfd: pytest.CaptureFixture[str]
) -> None:
    assert submit(finished, "--executor", "local", "--device", "cpu", count=2) == 0
    shown = capfd.readouterr()
    assert "8 cells in " in shown.out
    assert "2 of 2 shards lack something" in shown.out
    assert "of 8 cells, 0 of 2 tasks ended" in shown.err
    one, run = finished.load("one"), finished.load("run")
    assert run.plan == one.plan
    digests = [{n: c.audio_digest for n, c in each.cells.items()} for each in (one, run)]
    assert digests[0] == digests[1]
    assert {k: s.value for k, s in run.scores.items()} == {
        k: s.value for k, s in one.scores.items()
    }
    tables = [(finished.home / name / "report" / "table2.csv") for name in ("one", "run")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    before = load_run(finished.home / "run")
    assert submit(finished, "--executor", "local", "--device", "cpu", count=2) == 0
    assert "0 of 2 shards lack something" in capfd.readouterr().out
    assert load_run(finished.home / "run").cells == before.cells


def rewrite(folder: Path, name: str, number: int, **changes: object) -> str:
    """Change the line of a record; without changes it is removed. The id of its cell."""
    path = folder / name
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changed = lines.pop(number)
    if changes:
        lines.append(changed | changes)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(changed["cell_id"])


def names(found: Order) -> list[str]:
    return [task.name for task in found.tasks]


def test_only_shards_that_lack_something_are_submitted(finished: Small, tmp_path: Path) -> None:
    """A run by one process counts; a missing outcome, a missing score and a failure are told."""
    shutil.copytree(finished.home / "one", tmp_path / "one")
    shutil.copytree(finished.home / "data", tmp_path / "data")
    shutil.copy(finished.home / "small.toml", tmp_path)
    small = Small(tmp_path)
    folder = tmp_path / "one"
    assert names(order(small, "none")) == ["1/4", "2/4", "3/4", "4/4"]
    assert names(order(small, "one")) == []
    assert names(order(small, "one", count=1000)) == []
    request = RunRequest(suite=str(tmp_path / "small.toml"), out=folder)
    assert code_if_whole(request, order(small, "one")) == 0
    of = {cell.cell_id: task for task, share in enumerate(shares(small), start=1) for cell in share}
    failed = rewrite(folder, "cells.jsonl", -1, status="error", audio=None, audio_digest=None)
    assert names(order(small, "one")) == []
    assert order(small, "one").failed == 1
    assert code_if_whole(request, order(small, "one")) == 5
    assert names(order(small, "one", retry=True)) == [f"{of[failed]}/4"]
    assert "--retry tries them again" in order(small, "one").words
    unscored = rewrite(folder, "scores.jsonl", 0)
    assert names(order(small, "one")) == [f"{of[unscored]}/4"]
    claim = take(part_folder(folder, of[unscored], 4) / CLAIM)
    assert claim is not None
    assert names(order(small, "one")) == []
    assert order(small, "one").at_work == (f"{of[unscored]}/4",)
    assert code_if_whole(request, order(small, "one")) is None
    claim.release()
    assert code_if_whole(request, order(small, "one")) is None


def shares(small: Small) -> list[list[object]]:
    from bench.plan.shares import Shard, share_of

    plan = small.load("one").plan
    return [list(share_of(plan, Shard(number, 4))) for number in (1, 2, 3, 4)]


def test_a_shard_that_is_empty_is_not_submitted(finished: Small) -> None:
    found = order(finished, "none", count=1000)
    assert 1 < len(found.tasks) <= 8
    assert len(found.ids) == found.missing == 8


def test_the_folder_of_another_run_is_refused(finished: Small) -> None:
    with pytest.raises(RecordError, match="differs in duration_s"):
        submit(finished, "--executor", "local", "--duration", "1", out="one")


def test_tasks_get_the_options_that_were_typed(
    finished: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--no-isolate", "--seeds", "2", "--retry", "--timeout", "30", "--device", "cpu,auto"]
    assert submit(finished, "--executor", "local", *words, "--dry-run", out="none", count=3) == 0
    shown = capsys.readouterr().out.splitlines()
    suite, out = finished.home / "small.toml", finished.home / "none"
    typed = f"--suite {suite} --seeds 2 --retry --no-isolate --timeout 30.0"
    assert [line.strip() for line in shown if " run " in line] == [
        f"python -m bench run {typed} --device {device} --out {out} --shard {number}/3"
        for number, device in ((1, "cpu"), (2, "auto"), (3, "cpu"))
    ]
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--executor", "local", "--time", "5"], "--time was given with --executor local; it be"),
        (["--executor", "ray", "--partition", "x"], "--partition was given with --executor ray"),
        (["--executor", "slurm", "--address", "x"], "--address was given with --executor slurm"),
        (["--executor", "slurm"], "--executor slurm was given without --time"),
        (["--executor", "local", "--sbatch", "--account=x"], "--sbatch was given with"),
    ],
)
def test_options_of_another_executor_are_refused(
    finished: Small, words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        submit(finished, *words, out="none")


def test_a_suite_must_be_named() -> None:
    with pytest.raises(ConfigError, match="submit was given no --suite; `run` chooses one by the"):
        command("submit", "--executor", "local", "-n", "2")


@pytest.mark.parametrize("executor", ["slurm", "ray"])
def test_without_the_extra_it_is_said_how_to_install_it(
    executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = {"slurm": "submitit", "ray": "ray"}[executor]
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, library, raising=False)
    with pytest.raises(ConfigError, match=rf"{library} is not installed; .*-e \"\.\[{executor}\]"):
        require_library(executor)


def task(home: Path, *words: str) -> Task:
    return Task("1/1", words, home / "logs" / "1.log", CHECKOUT, (("BENCH_LOG", "ERROR"),))


def test_a_task_keeps_its_output_and_tells_its_exit_code(tmp_path: Path) -> None:
    one = task(tmp_path, "status", str(tmp_path / "nowhere"))
    assert run_task(one) == 2
    assert last_line(one.log).startswith("error: ")
    assert "nowhere" in last_line(one.log)
    assert last_line(tmp_path / "none") == ""


def gone(process: int, seconds: float = 20.0) -> bool:
    """Whether a process ends."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        state = Path(f"/proc/{process}/stat")
        if not state.exists() or b") Z" in state.read_bytes():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="others have no such signal")
def test_a_task_ends_when_who_started_it_is_killed(tmp_path: Path) -> None:
    """As where a machine kills a worker of a cluster: the task must not go on beside its heir."""
    script = (
        "import sys, time; from pathlib import Path; from bench.submit.task import Task, begin; "
        "task = Task('1/1', ('completion', 'bash'), Path(sys.argv[1]), Path.cwd()); "
        "import bench.submit.task as module; "
        "module.START = module.START.partition('from bench.__main__')[0] + 'import time; "
        "time.sleep(30)'; print(begin(task).pid, flush=True); time.sleep(30)"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "log")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        time.sleep(1)  # its interpreter starts
        parent.kill()
    assert gone(process)


def test_a_task_that_is_ended_is_waited_for_and_its_code_is_left(tmp_path: Path) -> None:
    process = begin(task(tmp_path, "list", "methods"))
    end(process)
    assert process.wait() in {0, 143, -signal.SIGTERM}
    end(process)  # there is nothing left to end
    assert not Path(f"/proc/{process.pid}").exists() or os.name != "posix"
