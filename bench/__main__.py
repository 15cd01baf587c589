"""`python -m bench`, and the command `bench`."""

import os
import sys
from collections.abc import Callable

from bench.checkout import INSTALL, PACKAGES
from bench.errors import ExitCode, end_when_asked, last_words, was_asked

# How often a thread of GCC's OpenMP asks whether its fellows have come before it sleeps. By its own
# 300,000 times two threads beside a busy neighbour on two cores took 15 times as long as one thread
# does there, as each waits out the other's turns; by these twice as long. Alone they are a quarter
# slower by these, so they are for a busy machine only.
SPINS = "10000"
BUSY = 1.0  # processes that want a core, over the last minute


def start() -> None:
    """Run the command line; an end may be asked for while its libraries are imported."""
    end_when_asked()
    share_cores()
    try:
        _command()()
    except (Exception, KeyboardInterrupt) as error:
        if not was_asked(error):
            raise
        words, code = last_words(error)
        sys.stderr.write(f"{words}\n")
        sys.exit(code)


def share_cores() -> None:
    """On a busy machine, let threads of this process and of its workers wait as neighbours should.

    The library reads it when torch is imported. Whoever has said how threads wait is obeyed.
    """
    if os.getloadavg()[0] >= BUSY and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def _command() -> Callable[[], None]:
    """The command line, whose libraries take seconds to import."""
    try:
        from bench.cli.main import main
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] in PACKAGES:
            raise
        sys.stderr.write(
            f"error: package {error.name!r} is not installed for {sys.executable}; every command "
            f"needs it. Install what was tested: {INSTALL}\n"
        )
        sys.exit(ExitCode.BAD_INPUT)
    return main


if __name__ == "__main__":
    start()
