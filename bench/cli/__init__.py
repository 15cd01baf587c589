"""The command line: the only rooms that write to stdout.

It needs what Linux and macOS have and Windows lacks: locks that the system frees when a process
ends (`fcntl`), and groups of processes that end together. Where these are missing, every command
says so and ends, before anything that needs them is imported.
"""

import importlib.util
import sys

from bench.errors import ExitCode

if importlib.util.find_spec("fcntl") is None:
    sys.stderr.write(
        f"error: this system ({sys.platform}) has no fcntl; every command needs its locks, which "
        "Linux and macOS have. On Windows, work in WSL, the Windows Subsystem for Linux.\n"
    )
    sys.exit(ExitCode.BAD_INPUT)
