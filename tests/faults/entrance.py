"""The command line in a fresh fork: set the surrounding up, then do what `python -m bench` does.

Run by `runpy.run_path` with the globals `SURROUNDING`, `ARGUMENTS`, `OUTPUT` and `LIMIT_BYTES`.
"""

from __future__ import annotations

import os
import resource
import runpy
import signal
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.clear()
os.environ.update(SURROUNDING)  # noqa: F821
with open(OUTPUT, "ab", buffering=0) as file, open(os.devnull, "rb") as nothing:  # noqa: F821, PTH123
    os.dup2(nothing.fileno(), 0)
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
if LIMIT_BYTES is not None:  # noqa: F821
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, hard))  # noqa: F821
sys.argv = ["bench", *ARGUMENTS]  # noqa: F821

runpy.run_module("bench", run_name="__main__")
