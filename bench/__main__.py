"""`python -m bench`."""

import sys

from bench.errors import ExitCode

try:
    from bench.cli.main import main
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] in {"bench", "methods", "metrics", "reports"}:
        raise
    from bench.checkout import INSTALL

    sys.stderr.write(
        f"error: package {error.name!r} is not installed for {sys.executable}; every command needs "
        f"it. Install what was tested: {INSTALL}\n"
    )
    sys.exit(ExitCode.BAD_INPUT)

main()
