"""Two shares that wait for ever on one device each, and note how they end. Run as a program."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

from bench.errors import end_when_asked, last_words
from bench.run.devices import work_through


def wait(notes: Path, device: str, _share: frozenset[str]) -> None:
    """Wait for ever; the reason for which it ends becomes the name of a file."""
    try:
        (notes / f"begun-{device}-{os.getpid()}").touch()
        time.sleep(600)
    except KeyboardInterrupt as asked:
        (notes / f"{type(asked).__name__}-{device}").touch()
        raise


if __name__ == "__main__":
    end_when_asked()
    shares = [frozenset({"a"}), frozenset({"b"})]
    try:
        work_through(partial(wait, Path(sys.argv[1])), ("one", "two"), shares, lambda: None)
    except KeyboardInterrupt as asked:
        sys.exit(last_words(asked)[1])
