"""`python -m bench`, and the command `bench`."""

import sys
from collections.abc import Callable

from bench.checkout import INSTALL, PACKAGES
from bench.errors import ExitCode, end_when_asked, last_words, was_asked


def start() -> None:
    """Run the command line; an end may be asked for while its libraries are imported."""
    end_when_asked()
    try:
        _command()()
    except (Exception, KeyboardInterrupt) as error:
        if not was_asked(error):
            raise
        words, code = last_words(error)
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
