"""Puts small faults into a copy of the checkout, one at a time, and asks whether the tests notice.

`mutants.toml` lists the faults and the tests that should fail with each. Every selection of tests
first runs on the copy as it is and must pass. Then a mutant is

* `killed` where a test fails, or runs for longer than `PATIENCE_S`;
* `survived` where all tests pass, which is right only for one that is listed as equivalent;
* `broken` where the tests could not be collected: such a fault tells nothing about the tests.

`python tests/mutants/mutation.py [-j PROCESSES] [-k WORD]`; WORD chooses the mutants whose
description holds it. The checkout itself is never written to, and Ctrl-C ends the run at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

CHECKOUT = Path(__file__).resolve().parent.parent.parent
LIST = Path(__file__).with_name("mutants.toml")
COPIED = ("bench", "methods", "metrics", "reports", "docs", "tests", "datasets", "pyproject.toml")
PATIENCE_S = 300.0  # the selections take seconds, a minute on a busy machine
PASSED, FAILED = 0, 1  # exit codes of pytest
EXIT_INTERRUPTED = 130
SHOWN = 25  # lines of the tests' output

Word = Literal["passed", "killed", "survived", "broken"]


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Args:
        path: The module, seen from the checkout.
        old: What is replaced; it stands exactly once in the module.
        new: What stands there instead.
        tests: The tests that should fail, as paths for pytest.
        equivalent: Why no test can tell the fault from the original; empty where one must.
    """

    path: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""

    def __str__(self) -> str:
        """The module with what is replaced."""
        return f"{self.path}: {self.old} -> {self.new or 'nothing'}"

    def applied(self, source: str) -> str:
        """The source of the module with the fault in it.

        Raises:
            ValueError: `old` does not stand in it exactly once.
        """
        count = source.count(self.old)
        if count != 1:
            raise ValueError(
                f"{self.old!r} stands {count} times in {self.path}; a mutant must name one place. "
                "Correct tests/mutants/mutants.toml."
            )
        return source.replace(self.old, self.new)


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a mutant, or of the copy as it is where `mutant` is None."""

    mutant: Mutant | None
    tests: tuple[str, ...]
    word: Word
    seconds: float
    output: str

    @property
    def right(self) -> bool:
        """Whether it is what the list promises."""
        if self.mutant is None:
            return self.word == "passed"
        return self.word == ("survived" if self.mutant.equivalent else "killed")


def read_mutants(path: Path = LIST) -> list[Mutant]:
    """The mutants of a list, in its order."""
    files = tomllib.loads(path.read_text(encoding="utf-8"))["file"]
    return [
        Mutant(
            file["path"],
            entry["old"],
            entry["new"],
            tuple(entry.get("tests", file["tests"])),
            entry.get("equivalent", ""),
        )
        for file in files
        for entry in file["mutants"]
    ]


@dataclass
class Copies:
    """Copies of a checkout, one per process, and the tests that run in them."""

    root: Path
    folder: Path
    processes: int
    _free: SimpleQueue[Path] = field(default_factory=SimpleQueue)
    _running: set[subprocess.Popen[str]] = field(default_factory=set)
    _stopped: bool = False

    def __post_init__(self) -> None:
        """Make the copies, without what a run leaves behind."""
        for number in range(self.processes):
            copy = self.folder / str(number)
            copy.mkdir()
            for name in COPIED:
                source = self.root / name
                if source.is_dir():
                    shutil.copytree(
                        source, copy / name, ignore=shutil.ignore_patterns("__pycache__")
                    )
                elif source.is_file():
                    shutil.copy(source, copy / name)
            self._free.put(copy)

    def control(self, tests: tuple[str, ...]) -> Outcome:
        """Run tests on a copy as it is."""
        copy = self._free.get()
        try:
            code, seconds, output = self._pytest(copy, tests)
        finally:
            self._free.put(copy)
        return Outcome(None, tests, "passed" if code == PASSED else "broken", seconds, output)

    def judge(self, mutant: Mutant) -> Outcome:
        """Run the tests of a mutant on a copy that holds it, and take it out again."""
        copy = self._free.get()
        module = copy / mutant.path
        source = module.read_text(encoding="utf-8")
        try:
            module.write_text(mutant.applied(source), encoding="utf-8")
            code, seconds, output = self._pytest(copy, mutant.tests)
        finally:
            module.write_text(source, encoding="utf-8")
            self._free.put(copy)
        words: dict[int | None, Word] = {PASSED: "survived", FAILED: "killed", None: "killed"}
        return Outcome(mutant, mutant.tests, words.get(code, "broken"), seconds, output)

    def stop(self) -> None:
        """End the tests that run; none is started any more."""
        self._stopped = True
        for process in tuple(self._running):
            process.kill()

    def _pytest(self, copy: Path, tests: Sequence[str]) -> tuple[int | None, float, str]:
        """Exit code (None where the patience ended), seconds and output."""
        if self._stopped:
            raise KeyboardInterrupt
        started = time.monotonic()
        # Bytecode is told apart by second and size, so a mutant could run as its predecessor.
        surrounding = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=copy,
            env=surrounding,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._running.add(process)
        try:
            output, _ = process.communicate(timeout=PATIENCE_S)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            code, output = None, process.communicate()[0]
        self._running.discard(process)
        return code, time.monotonic() - started, output


def outcomes(root: Path, mutants: Sequence[Mutant], processes: int) -> Iterator[Outcome]:
    """Run the controls, then the mutants whose controls passed; outcomes as they come."""
    selections = list(dict.fromkeys(mutant.tests for mutant in mutants))
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = Copies(root, Path(folder), processes)
        with ThreadPoolExecutor(processes) as pool:
            try:
                sound = set()
                for outcome in _finished([pool.submit(copies.control, s) for s in selections]):
                    sound |= {outcome.tests} if outcome.right else set()
                    yield outcome
                chosen = [mutant for mutant in mutants if mutant.tests in sound]
                yield from _finished([pool.submit(copies.judge, mutant) for mutant in chosen])
            finally:  # also where the reader of these outcomes was interrupted
                pool.shutdown(wait=False, cancel_futures=True)
                copies.stop()


def _finished(futures: list[Future[Outcome]]) -> Iterator[Outcome]:
    for future in as_completed(futures):
        yield future.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the list; 0 where every mutant ended as it should."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-j", type=int, default=2, metavar="PROCESSES", help="how many at a time")
    parser.add_argument("-k", default="", metavar="WORD", help="only mutants that mention it")
    parser.add_argument("--root", type=Path, default=CHECKOUT, help="the checkout")
    parser.add_argument("--list", type=Path, default=LIST, help="the list of mutants")
    given = parser.parse_args(arguments)
    mutants = [mutant for mutant in read_mutants(given.list) if given.k in str(mutant)]
    for mutant in mutants:
        mutant.applied((given.root / mutant.path).read_text(encoding="utf-8"))
    return report(outcomes(given.root, mutants, given.j), len(mutants))


def report(found: Iterator[Outcome], planned: int) -> int:
    """Write a line per outcome and one that sums up; the exit code."""
    counts: Counter[str] = Counter()
    wrong, started = 0, time.monotonic()
    try:
        for outcome in found:
            wrong += not outcome.right
            counts[outcome.word] += outcome.mutant is not None
            _write(*lines_of(outcome))
    except KeyboardInterrupt:
        _write("interrupted")
        return EXIT_INTERRUPTED
    judged = counts["killed"] + counts["survived"]
    _write(
        f"{planned} mutants: {counts['killed']} killed, {counts['survived']} survived, "
        f"{planned - judged} not judged; {wrong} not as they should be; "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if wrong else 0


def lines_of(outcome: Outcome) -> Iterator[str]:
    """An outcome in words; with what the tests said where it is not as it should be."""
    about = str(outcome.mutant or f"unchanged: {' '.join(outcome.tests)}")
    yield f"{' ' if outcome.right else '!'} {outcome.word:9}{outcome.seconds:6.1f} s  {about}"
    if outcome.mutant and outcome.mutant.equivalent:
        yield f"    equivalent: {outcome.mutant.equivalent}"
    if not outcome.right and outcome.word != "survived":
        yield from (f"    {line}" for line in outcome.output.splitlines()[-SHOWN:])


def _write(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    raise SystemExit(main())
