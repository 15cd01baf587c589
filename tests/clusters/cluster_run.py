"""A run that is submitted, and what must not depend on who did it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    """A suite of a slow method and a control, and a run of it by one process in `one`.

    Args:
        home: Where everything lies.
        environment: Of all commands.
    """

    home: Path
    environment: Mapping[str, str]

    def words(self, command: str, out: str, *words: str) -> list[str]:
        """A command line for the run."""
        suite = ["--suite", str(self.home / "small.toml"), "--no-html"]
        start = [sys.executable, "-m", "bench", command, *suite]
        return [*start, "--out", str(self.home / out), *words]

    def say(self, words: Sequence[str], code: int = 0) -> str:
        """What a command prints; it must end with a code."""
        done = subprocess.run(
            words, capture_output=True, text=True, env=self.environment, check=False, timeout=600
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    def require_whole(self, out: str) -> None:
        """Require that a folder holds what one process makes, and each outcome once."""
        one, other = self.home / "one", self.home / out
        assert results(other) == results(one)
        tables = [(folder / "report" / "table2.csv").read_bytes() for folder in (one, other)]
        assert tables[0] == tables[1]
        records = store.read_cells(other)
        outcomes = Counter(r.cell_id for r in records if r.status not in {"started", "cancelled"})
        assert set(outcomes.values()) == {1}
        assert {record.status for record in records} <= {"started", "cancelled", "ok"}
        scores = [len(store.read(part / "scores.jsonl", ScoreRecord)) for part in parts_of(other)]
        assert sum(scores) == len(load_run(other).scores)


def results(folder: Path) -> tuple[object, ...]:
    """All that must not depend on who rendered what."""
    run = load_run(folder)
    assert run.plan_faults == run.remarks == run.faults == ()
    assert len(run.cells) == CELLS
    sounds = {name: (cell.status, cell.audio_digest) for name, cell in run.cells.items()}
    scores = {
        key: (repr(score.value), repr(score.raw), score.fingerprint, score.audio_digest)
        for key, score in run.scores.items()
    }
    return run.plan, run.header.plan, sounds, scores


def cluster(home: Path) -> Cluster:
    """Write data and suite, and run it in one process."""
    small = made(home)
    text = SUITE.format(data=home / "data").replace(
        '"mix", "copy-content"', f'"{SLOW}:Slow", "mix"'
    )
    (small.home / "small.toml").write_text(text + f"seeds = {SEEDS}\n", encoding="utf-8")
    environment = dict(os.environ) | {"BENCH_CACHE": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    made_one = Cluster(home, environment | {"PYTHONPATH": str(Path(__file__).parents[2])})
    one = {"BENCH_CACHE": str(home / "cache-of-one")}
    alone = Cluster(home, dict(made_one.environment) | one)
    alone.say(alone.words("run", "one", "--device", "cpu"))
    return made_one
