"""Commands as processes that need not import our own modules again: forks of one that has.

A start takes a third of a second, most of it for imports that have nothing to do with the hub. What
reads variables when it is imported, as the hub's client does, is left to the fork, which has those
of its machine.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from beside import answering

IMPORTED = ("bench.cli.main", "bench.fetching.order", "bench.run.request")
LEFT = ("huggingface_hub", "torch")  # the one reads variables, the other may start threads


@dataclass(frozen=True)
class Forker:
    """The process that forks, by its two ends."""

    asked: IO[str]
    answered: IO[str]

    def run(
        self, argv: Sequence[str], variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, `-m module ...` or `-c code ...`, from the checkout."""
        with tempfile.TemporaryDirectory() as folder:
            told = {"argv": list(argv), "variables": dict(variables), "folder": folder}
            self.asked.write(json.dumps(told) + "\n")
            self.asked.flush()
            code = int(self.answered.readline())
            out, err = (Path(folder, name).read_text(encoding="utf-8") for name in ("out", "err"))
        return subprocess.CompletedProcess(list(argv), code, out, err)


@contextmanager
def at_work() -> Iterator[Forker]:
    """A process that forks, until the block ends."""
    with answering(__file__, os.environ) as (asked, answered):
        yield Forker(asked, answered)


def serve() -> None:
    """Fork for each line, until the input ends; a fork returns from here when it is done."""
    for name in IMPORTED:
        importlib.import_module(name)
    assert not [name for name in LEFT if name in sys.modules]
    gc.freeze()
    for line in sys.stdin:
        told = json.loads(line)
        child = os.fork()
        if child == 0:
            begin(told["argv"], told["variables"], Path(told["folder"]))
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def begin(argv: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
    """Do what Python does with these arguments; how it ends is how the process ends."""
    for number, place in enumerate((Path(os.devnull), folder / "out", folder / "err")):
        opened = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(variables)
    (kind, what), words = argv[:2], list(argv[2:])
    sys.argv = [kind, *words]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - ours


if __name__ == "__main__":
    serve()
