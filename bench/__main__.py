"""`python -m bench`."""

import sys

from bench.errors import ExitCode

try:
    from bench.cli.main import main
except ModuleNotFoundError as error:
    if str(error.name).partition(".")[0] in {"bench", "methods", "metrics", "reports"}:
        raise
    sys.stderr.write(
        f"error: package {error.name!r} is not installed for {sys.executable}; every command needs "
        "it. Install what this checkout pins: python -m pip install -c constraints.txt -e .\n"
    )
    sys.exit(ExitCode.BAD_INPUT)

main()
