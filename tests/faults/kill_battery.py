"""Signals at many moments of the commands that write: the same command then finishes the work.

`make kills`, or `python tests/faults/kill_battery.py [--seed N] [--only COMMAND]`: KILL, TERM and
INT go to the process of `run`, `merge`, `report`, `baseline`, `fit export`, `init ci`, `fetch`,
`board`, `outputs template` and `listen import`, at moments that are spread over its duration by a
seed; three in a row of one run, in the same chunk of another, as preemptions of a cluster come; the
host of a third works beside the device. Then the same command, without `--retry`, has to make what
it makes when nothing interrupts it: tables and sounds byte for byte, scores to the last bit, the
same files and no other, and no process may be left. It prints a table and ends with 1 where
anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from multiprocessing.context import ForkServerProcess
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hub"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
sys.path.insert(0, str(Path(__file__).parent))

from driving import RUDE, TABLES, Stage, ended, wait_until
from noises import write_noises
from server import Repository, serving
from tabulate import tabulate

from bench.batching import OVERLAP_VARIABLE
from bench.records.parts import part_folder
from bench.records.rates import FILE as RATES
from bench.records.schema import ScoreRecord
from bench.records.store import read
from bench.transfer.fit_files import read_fit
from methods.gatys.checkpoints import PUBLISHED

# The exit codes of an end by each signal; python itself dies of one that comes before the command
# line can take it.
ENDS = {signal.SIGKILL: (-9,), signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}
IN_A_ROW = 3
# Where two processes died in one chunk, a worker renders it, which has a log and what torch keeps.
OF_WORKERS = ("logs/*.log", "tmp/torchinductor_*")
WEIGHTS = {title: PUBLISHED[title].files[0] for title in ("vggish", "cnn14")}
SERVED_BYTES, PAUSE_S = 300_000, 0.03
BUILT_IN = ("tve[steps=2,batch_size=1,num_inference_steps=2]", "mix")
PAIRED = """
schema_version = 1
name = "paired"
licence = "CC0-1.0"
redistributable = true
targets = "{category}_{piece}"
"""
HELD = "transfer"  # where the outside method waits in `run in one chunk`
Made = dict[str, object]


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is interrupted, and what it works on.

    Args:
        words: What it is given, for the folder of a trial.
        prepare: Puts into that folder what must lie there before.
        made: What it has made there, times aside.
        in_a_row: How many processes are interrupted before one may end.
        held: Whether they are interrupted while the outside method waits for ever, in one chunk.
        settings: Environment variables.
    """

    words: Callable[[Path], list[str]]
    prepare: Callable[[Path], object]
    made: Callable[[Path], Made]
    in_a_row: int = 1
    held: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of some interruptions: how many ended the process, and what went wrong."""

    moments: int
    landed: int
    wrong: tuple[str, ...]


class Battery:
    """Commands on one stage, each with what it makes uninterrupted."""

    def __init__(self, stage: Stage, commands: Mapping[str, Command]) -> None:
        self.commands = commands
        self._stage = stage
        self._whole: dict[str, tuple[Made, float]] = {}

    def interrupt(self, name: str, number: signal.Signals, shares: Sequence[float]) -> Outcome:
        """Interrupt processes at shares of the command's duration, then let it finish."""
        command, (whole, lasts_s) = self.commands[name], self._uninterrupted(name)
        folder = self._folder(command)
        codes, wrong = [], []
        for share in shares:
            codes.append(self._interrupted(command, folder, number, share * lasts_s))
            wrong += [f"left running: {process}" for process in left_over(folder)]
        wrong += [f"exit code {code}" for code in codes if code not in {*ENDS[number], 0}]
        if number is signal.SIGKILL:  # nobody can clear the system's folder after it
            shutil.rmtree(folder / "tmp")
            (folder / "tmp").mkdir()
        code, made, _ = self._finished(command, folder)
        wrong += [f"then exit code {code}: {self._stage.said(folder.name)[-400:]}"] if code else []
        wrong += [] if code else differences(whole, made)
        return Outcome(len(codes), sum(code in ENDS[number] for code in codes), tuple(wrong))

    def _uninterrupted(self, name: str) -> tuple[Made, float]:
        """What a command makes, and how many seconds it takes."""
        if name not in self._whole:
            folder = self._folder(self.commands[name])
            code, made, lasts_s = self._finished(self.commands[name], folder)
            if code:
                raise RuntimeError(f"{name} ends with {code}: {self._stage.said(folder.name)}")
            self._whole[name] = made, lasts_s
        return self._whole[name]

    def _folder(self, command: Command) -> Path:
        folder = Path(tempfile.mkdtemp(dir=self._stage.home))
        (folder / "tmp").mkdir()
        (folder / "notes").mkdir()
        command.prepare(folder)
        return folder

    def _start(self, command: Command, folder: Path, **held: str) -> ForkServerProcess:
        places = {"BENCH_CACHE": "cache", "TMPDIR": "tmp", "TOY_NOTES": "notes"}
        own = {name: str(folder / place) for name, place in places.items()}
        said = self._stage.home / f"{folder.name}.out"
        said.unlink(missing_ok=True)
        process = self._stage.command(
            *command.words(folder), out=folder.name, **own, **command.settings, **held
        )
        while not said.exists() and process.exitcode is None:  # till the command line is entered
            process.join(0.001)
        return process

    def _interrupted(
        self, command: Command, folder: Path, number: signal.Signals, after_s: float
    ) -> int:
        """Start a command and send it a signal; its exit code."""
        mark = folder / "notes" / f"paused-{HELD}"
        mark.unlink(missing_ok=True)
        if command.held:
            process = self._start(command, folder, TOY_PAUSE=HELD)
            wait_until(lambda: mark.exists() or process.exitcode is not None, "the transfer")
        else:
            process = self._start(command, folder)
            process.join(after_s)
        if process.exitcode is None:
            os.kill(int(process.pid or 0), number)
        return ended(process)

    def _finished(self, command: Command, folder: Path) -> tuple[int, Made, float]:
        """Let a command end; its exit code, what it made with the names of all files, seconds."""
        process, begun = self._start(command, folder), time.monotonic()
        code, lasts_s = ended(process), time.monotonic() - begun
        if code:
            return code, {}, lasts_s
        shutil.rmtree(folder / "notes")
        # What a session measured is noted at its end; one that only finishes has measured nothing.
        ignored = (RATES, *(OF_WORKERS if command.in_a_row > 1 else ()))
        found = [path for path in folder.rglob("*") if not any(map(path.match, ignored))]
        names = {str(path.relative_to(folder)): "a file" for path in found}
        made = names | command.made(folder)
        shutil.rmtree(folder)
        return code, made, lasts_s


def left_over(folder: Path, patience_s: float = 10.0) -> list[str]:
    """The processes of a trial that outlive the command by some seconds."""
    mark = f"TMPDIR={folder / 'tmp'}".encode()

    def running() -> list[str]:
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (place / "environ").read_bytes():
                    found.append((place / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it has ended, or is another user's
        return found

    deadline = time.monotonic() + patience_s
    while running() and time.monotonic() < deadline:
        time.sleep(0.02)
    return running()


def differences(expected: Made, found: Made) -> list[str]:
    """What is missing, too much or unequal, in words."""
    words = [f"{name} is missing" for name in expected.keys() - found.keys()]
    words += [f"{name} was left" for name in found.keys() - expected.keys()]
    both = expected.keys() & found.keys()
    return sorted(words + [f"{name} differs" for name in both if expected[name] != found[name]])


def contents(folder: Path, *parts: str) -> Made:
    """The bytes of every file in some parts of a folder, by a name of its own."""
    paths = [path for part in parts for path in (folder / part).rglob("*") if path.is_file()]
    return {f"bytes of {path.relative_to(folder)}": path.read_bytes() for path in paths}


def made_by_run(folder: Path) -> Made:
    """Tables without times, sounds, and what every score says but how long it took."""
    report = folder / "run" / "report"
    scores = read(folder / "run" / "scores.jsonl", ScoreRecord)
    return (
        {f"bytes of {name}": (report / name).read_bytes() for name in TABLES}
        | contents(folder / "run", "audio")
        | {f"score {one.cell_id} {one.metric}": one.model_copy(update={"score_s": 0.0})
           for one in scores}
        | {"number of scores": len(scores)}
    )  # fmt: skip


def made_by_shard(folder: Path) -> Made:
    """Sounds, and what every score of the shard says but how long it took."""
    part = part_folder(folder / "run", 1, 2)
    scores = read(part / "scores.jsonl", ScoreRecord)
    return (
        contents(folder / "run", "audio")
        | {f"score {one.cell_id} {one.metric}": one.model_copy(update={"score_s": 0.0})
           for one in scores}
        | {"number of scores": len(scores), "the share": (part / "plan.jsonl").read_bytes()}
    )  # fmt: skip


def made_by_fetch(folder: Path) -> Made:
    """The files and what was recorded of them; when they were written aside."""
    lock = json.loads((folder / "cache" / "checkpoints.lock.json").read_text(encoding="utf-8"))
    for entry in lock["entries"].values():
        for fact in entry["files"].values():
            del fact["mtime_ns"]
    return contents(folder / "cache", "checkpoints") | {"the lock": lock}


def made_by_board(folder: Path) -> Made:
    """The page and its numbers, but for the place that the run is read from."""
    place = str(folder).encode()
    pages = contents(folder, "board").items()
    return {name: text.replace(place, b"") for name, text in pages if isinstance(text, bytes)}


def made_by_export(folder: Path) -> Made:
    """The arrays of a learnt style and where they come from, but for the time."""
    fit = read_fit(folder / "fit.safetensors")
    arrays = {f"bytes of {name}": array.tobytes() for name, array in fit.state.arrays.items()}
    return {"the origin": fit.origin.model_copy(update={"made_at": ""}), **arrays}


def made_by_baseline(folder: Path) -> Made:
    """The baseline but for the time at which it was made."""
    facts = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
    return {"the baseline": {key: value for key, value in facts.items() if key != "created_at"}}


def sheets(stage: Stage) -> list[str]:
    """Make a listening test of the finished run, and the ratings of three people."""
    run = stage.home / "run"
    out = ("-o", str(stage.home / "test"))
    export = stage.command("listen", "export", "--run", str(run), "--sets", "2", *out, out="export")
    if ended(export):
        raise RuntimeError(stage.said("export"))
    (key,) = (run / "listening").glob("*.key.json")
    facts = json.loads(key.read_text(encoding="utf-8"))
    answers = [
        {"schema_version": 1, "set": name, "item": item, "cp": 3, "sf": 3, "ovl": 5}
        | ({given["check"]: 5, given["low"] or "ovl": 1} if given["check"] else {})
        for name, one in facts["sets"].items()
        for item, given in one["items"].items()
    ]
    paths = [stage.home / f"{rater}.json" for rater in ("ada", "ben", "cleo")]
    for path in paths:
        sheet = {
            "schema_version": 1, "test": facts["test"], "rater": path.stem, "training": "none",
            "started_at": "a", "finished_at": "b", "answers": answers,
        }  # fmt: skip
        path.write_text(json.dumps(sheet), encoding="utf-8")
    return [str(path) for path in paths]


def judging(stage: Stage) -> list[str]:
    """The words that judge a metric by two pieces on three instruments."""
    folder = stage.home / "paired"
    if not (folder / "dataset.toml").is_file():
        players = ("one", "two", "three")
        names = [f"content/{who}/{who}_{piece}" for who in players for piece in "ab"]
        write_noises(folder, [*names, *(f"style/{who}/{who}" for who in players)], 8000)
        (folder / "dataset.toml").write_text(PAIRED, encoding="utf-8")
    return ["judge", "chroma", "--dataset", str(folder), "--device", "cpu"]


def commands(stage: Stage, url: str, built_in: Sequence[str]) -> dict[str, Command]:
    """The commands of the battery.

    Args:
        stage: A stage with a finished run, `run`, that has the controls of a listening test.
        url: Where the files of `fetch` are served.
        built_in: The methods that `run` has beside one from outside: one that learns, a cheap one.
    """
    given = sheets(stage)

    def nothing(_folder: Path) -> None:
        """The command begins with an empty folder."""

    def finished(folder: Path) -> None:
        shutil.copytree(stage.home / "run", folder / "run")

    def unreported(folder: Path) -> None:
        finished(folder)
        shutil.rmtree(folder / "run" / "report")

    def running(*methods: str, contents: int = 2) -> Callable[[Path], list[str]]:
        choice = ["--metrics", "chroma", "--styles", "hard", "--device", "cpu"]
        choice += ["--contents", str(contents)]
        suite = ["--suite", str(stage.home / "toy.toml"), "--methods", ",".join(methods)]
        return lambda folder: ["run", *suite, *choice, "--out", str(folder / "run")]

    def fetching(_folder: Path) -> list[str]:
        return ["fetch", *WEIGHTS, "--accept-licences"]

    def accepting(folder: Path) -> list[str]:
        out = folder / "baseline.json"
        return ["baseline", str(folder / "run"), "--reason", "tried", "-o", str(out)]

    def exporting(folder: Path) -> list[str]:
        style = ["--style", str(stage.home / "data" / "style" / "hard"), "--profile", "mini"]
        return ["fit", "export", "eq-match", *style, "--device", "cpu",
                "-o", str(folder / "fit.safetensors")]  # fmt: skip

    outside, paced, mirror = f"{RUDE}:Steady", {"TOY_PACE": "0.1"}, {"BENCH_MIRROR": f"{url}/files"}
    return {
        "run": Command(
            running(*built_in, outside), nothing, made_by_run, IN_A_ROW, settings=paced
        ),
        "run beside the device": Command(  # as on an accelerator, two chunks of each method
            running(*built_in, outside, contents=3), nothing, made_by_run,
            settings=paced | {OVERLAP_VARIABLE: "on"},
        ),
        "run in one chunk": Command(
            running(built_in[-1], outside), nothing, made_by_run, IN_A_ROW, held=True
        ),
        "run of a shard": Command(
            lambda folder: [*running(*built_in, outside)(folder), "--shard", "1/2"],
            nothing, made_by_shard, IN_A_ROW, settings=paced,
        ),
        "merge": Command(
            lambda folder: ["merge", str(folder / "run"), "-o", str(folder / "all")],
            finished, lambda folder: contents(folder / "all", ""),
        ),
        "report": Command(
            lambda folder: ["report", str(folder / "run")],
            unreported, lambda folder: contents(folder / "run", "report"),
        ),
        "baseline": Command(accepting, finished, made_by_baseline),
        "judge": Command(
            lambda folder: [*judging(stage), "-o", str(folder / "cards" / "judged.json")],
            nothing, lambda folder: contents(folder, "cards"),
        ),
        "fit export": Command(exporting, nothing, made_by_export),
        "init ci": Command(
            lambda folder: ["init", "ci", "--folder", str(folder / "repository")],
            nothing, lambda folder: contents(folder / "repository", ".github"),
        ),
        "fetch": Command(fetching, nothing, made_by_fetch, settings=mirror),
        "board": Command(
            lambda folder: ["board", str(folder / "run"), "-o", str(folder / "board")],
            finished, made_by_board,
        ),
        "outputs template": Command(
            lambda folder: [
                *("outputs", "template", str(folder / "run"), "--sounds"),
                *("-o", str(folder / "hand")),
            ],
            finished, lambda folder: contents(folder / "hand", ""),
        ),
        "listen import": Command(
            lambda folder: ["listen", "import", *given, "--run", str(folder / "run")],
            finished, lambda folder: contents(folder / "run", "listening", "report"),
        ),
    }  # fmt: skip


@contextmanager
def battery(home: Path, built_in: Sequence[str]) -> Iterator[Battery]:
    """All commands on a new stage, with a server for `fetch`."""
    stage = Stage(home)
    chosen = f"{RUDE}:Steady,{RUDE}:Softer,copy-content,copy-style"
    if stage.run("--methods", chosen, "--no-isolate"):
        raise RuntimeError(stage.said())
    served = {name: b"\x80" + bytes(SERVED_BYTES) + name.encode() for name in WEIGHTS.values()}
    with serving({"files": Repository(served, pause_s=PAUSE_S)}) as hub:
        yield Battery(stage, commands(stage, hub.url, built_in))


def spread(chance: random.Random, trials: int, in_a_row: int) -> list[list[float]]:
    """Shares of a duration for each trial: at random within equal parts of it, in random order."""
    count = trials * in_a_row
    shares = [(place + chance.random()) / count for place in range(count)]
    chance.shuffle(shares)
    return [shares[place : place + in_a_row] for place in range(0, count, in_a_row)]


def main(seed: int, only: str, trials: int) -> int:
    """Print what came of the whole battery; 1 where anything was wrong."""
    chance, rows, wrong = random.Random(seed), [], []  # noqa: S311 - moments are no secret
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as home,
        battery(Path(home), BUILT_IN) as trial,
    ):
        for name, number in product((name for name in trial.commands if only in name), ENDS):
            plan = spread(chance, trials, trial.commands[name].in_a_row)
            found = [trial.interrupt(name, number, shares) for shares in plan]
            moments, landed = sum(o.moments for o in found), sum(o.landed for o in found)
            equal = sum(not outcome.wrong for outcome in found)
            rows.append([name, number.name, moments, landed, f"{equal} of {len(found)}"])
            wrong += [f"{name}, {number.name}: {words}" for o in found for words in o.wrong]
    total = ["all", "", sum(row[2] for row in rows), sum(row[3] for row in rows), ""]
    header = ["command", "signal", "moments", "ended by it", "resumed equal"]
    sys.stdout.write("\n".join([tabulate([*rows, total], header), *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="commands that have this in their name")
    parser.add_argument("--trials", type=int, default=3, help="of each command and signal")
    chosen = parser.parse_args()
    sys.exit(main(chosen.seed, chosen.only, chosen.trials))
