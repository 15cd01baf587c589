"""The command line in a fresh fork: set the surrounding up, then do what `python -m bench` does.

Run by `runpy.run_path` as `__main__`, with its facts in the global `FACTS`.
"""

from __future__ import annotations

import os
import resource
import runpy
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any


def enter(facts: dict[str, Any]) -> None:
    """Become a process of the given environment, output, file size limit and arguments."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(facts["surrounding"])
    with Path(facts["output"]).open("ab", buffering=0) as file, Path(os.devnull).open("rb") as none:
        os.dup2(none.fileno(), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if facts["limit_bytes"] is not None:
        sys.dont_write_bytecode = True  # it would keep files that break off at the limit
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (facts["limit_bytes"], hard))
    sys.argv = ["bench", *facts["arguments"]]
    tempfile.tempdir = None  # a new process asks its environment
    runpy.run_module("bench", run_name="__main__")


if __name__ == "__main__":
    try:
        enter(FACTS)  # type: ignore[name-defined]  # noqa: F821 - given by the caller of run_path
    except KeyboardInterrupt:  # where the command line does not take it yet, python ends so too
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
