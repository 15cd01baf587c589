"""A run that is submitted, and what must not depend on who did it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "bench" / "run"))

from small_run import SUITE, made

from bench.records import store
from bench.records.parts import parts_of
from bench.records.schema import ScoreRecord
from bench.records.store import load_run

SLOW = Path(__file__).parent / "slow.py"
SEEDS = 10
CELLS = 2 * 2 * 2 * SEEDS  # methods, styles, contents
SHARDS = 4


@dataclass(frozen=True, slots=True)
class Cluster:
    """A suite, and a run of it by one process in `one`.

    Args:
        home: Where everything lies.
        environment: Of all commands.
        suite: Its name or file.
        cells: How many cells its plan has.
    """

    home: Path
    environment: Mapping[str, str]
    suite: str
    cells: int

    def words(self, command: str, out: str, *words: str) -> list[str]:
        """A command line for the run."""
        start = [sys.executable, "-m", "bench", command, "--suite", self.suite, "--no-html"]
        return [*start, "--out", str(self.home / out), *words]

    def say(self, words: Sequence[str], code: int = 0) -> str:
        """What a command prints; it must end with a code."""
        done = subprocess.run(
            words, capture_output=True, text=True, env=self.environment, check=False, timeout=900
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    def changed(self, **variables: str) -> Cluster:
        """The same with further variables in its environment."""
        return replace(self, environment={**self.environment, **variables})

    def run_alone(self) -> str:
        """Run it in one process with a cache of its own; what that prints."""
        alone = self.changed(BENCH_CACHE=str(self.home / "cache-of-one"))
        return alone.say(alone.words("run", "one", "--device", "cpu"))

    def require_whole(self, out: str) -> None:
        """Require that a folder holds what one process makes, and each outcome once."""
        one, other = self.home / "one", self.home / out
        assert results(other, self.cells) == results(one, self.cells)
        assert tables(other) == tables(one)
        records = store.read_cells(other)
        outcomes = Counter(r.cell_id for r in records if r.status not in {"started", "cancelled"})
        assert set(outcomes.values()) == {1}
        usual = {record.status for record in store.read_cells(one)}  # "unsupported" is one, too
        assert {record.status for record in records} <= {"started", "cancelled", *usual}
        scores = [len(store.read(part / "scores.jsonl", ScoreRecord)) for part in parts_of(other)]
        assert sum(scores) == len(load_run(other).scores)


def tables(folder: Path) -> dict[str, bytes]:
    """The tables of a run by name, but for that of times."""
    found = {path.stem: path.read_bytes() for path in (folder / "report").glob("*.csv")}
    assert {"table2", "timing"} <= found.keys()
    del found["timing"]
    return found


def results(folder: Path, cells: int) -> tuple[object, ...]:
    """All that must not depend on who rendered what."""
    run = load_run(folder)
    assert run.plan_faults == run.remarks == run.faults == ()
    assert len(run.cells) == cells
    sounds = {name: (cell.status, cell.audio_digest) for name, cell in run.cells.items()}
    scores = {
        key: (repr(score.value), repr(score.raw), score.fingerprint, score.audio_digest)
        for key, score in run.scores.items()
    }
    return run.plan, run.header.plan, sounds, scores


def cluster(home: Path) -> Cluster:
    """Write data and a suite of a slow method and a control, and run it in one process."""
    small = made(home)
    text = SUITE.format(data=home / "data").replace(
        '"mix", "copy-content"', f'"{SLOW}:Slow", "mix"'
    )
    (small.home / "small.toml").write_text(text + f"seeds = {SEEDS}\n", encoding="utf-8")
    runs = Cluster(home, variables(home), str(home / "small.toml"), CELLS)
    runs.run_alone()
    return runs


def variables(home: Path) -> dict[str, str]:
    """The environment of commands that see this checkout, with a cache of their own."""
    own = {"BENCH_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    return dict(os.environ) | own | {"PYTHONPATH": str(Path(__file__).parents[2])}
