"""Scripts of this folder that answer lines in a process beside the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parents[2]


@contextmanager
def answering(script: str, variables: Mapping[str, str]) -> Iterator[tuple[IO[str], IO[str]]]:
    """What a script with these variables reads and what it writes; it ends with the block."""
    started = subprocess.Popen(
        [sys.executable, script],
        cwd=CHECKOUT,
        env={**variables, "PYTHONPATH": str(CHECKOUT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with started as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()
