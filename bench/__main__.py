"""`python -m bench`, and the command `bench`."""

import sys
from collections.abc import Callable

from bench.checkout import INSTALL, PACKAGES
from bench.errors import ExitCode, end_on_sigterm, last_words


def start() -> None:
    """Run the command line; an end may be asked for while its libraries are imported."""
    end_on_sigterm()
    try:
        _command()()
    except KeyboardInterrupt as asked:
        words, code = last_words(asked)
        sys.stderr.write(f"{words}\n")
        sys.exit(code)


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
