"""The command line: where the rooms are put together, and the only room that writes to stdout.

Options mean the same in every command; `bench.errors.ExitCode` says how one can end. Nothing here
imports torch before a run needs it.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import sys
from pathlib import Path

import click

from bench import __version__
from bench.api import BenchError, ConfigError
from bench.checkout import CHECKOUT, INSTALL, PACKAGES
from bench.cli.commands import Commands
from bench.cli.everyday import check, completion, doctor, fetch, list_, transfer
from bench.cli.fit import fit
from bench.cli.init import init
from bench.cli.judge import judge
from bench.cli.listen import listen
from bench.cli.outputs import outputs
from bench.cli.publish import board, publish
from bench.cli.reports import report
from bench.cli.results import baseline, compare, gate, history
from bench.cli.run import run
from bench.cli.shards import merge, status
from bench.cli.streams import OutputLostError, prepare_streams, say
from bench.cli.submit import submit
from bench.cli.time import time
from bench.errors import ExitCode, end_when_asked, last_words, was_asked
from bench.files import FULL, no_space
from bench.outside.names import require_utf8
from bench.outside.wording import CUT, LONGEST_MESSAGE, one_line, visible

# What the system refuses and its user can fix; any other OSError is a fault of ours.
FIXABLE = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR,
    errno.ENOTDIR, errno.EBUSY, errno.EXDEV,
}  # fmt: skip
logger = logging.getLogger(__name__)
COMMANDS = (
    *(run, submit, merge, status, outputs, report, list_, fetch, transfer, fit, check, judge),
    *(doctor, time, compare, baseline, gate, history, listen, publish, board, init, completion),
)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="music-style-bench")
def cli() -> None:
    """Compare music style-transfer methods.

    Methods are run over a dataset; content preservation (CP) and style fit (SF) are scored.
    """
    check_packages()


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Entry point: bad input ends with one message and exit code 2, never with a traceback."""
    end_when_asked()
    prepare_streams()
    logging.basicConfig(
        level=os.environ.get("BENCH_LOG", "WARNING").upper(), format="%(name)s: %(message)s"
    )
    try:
        _require_utf8_words()
        cli.main(standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - one of ours is raised again
        sys.exit(_ending(error))


def _ending(error: Exception | KeyboardInterrupt) -> ExitCode:
    """Say how a command ended, once, without a traceback; a fault of ours is raised again."""
    if isinstance(error, click.Abort) or was_asked(error):
        words, code = last_words(error)
        say(words, err=True)
        return code
    if isinstance(error, BenchError):
        say(f"error: {_bounded(error)}", err=True)
    elif isinstance(error, OutputLostError):
        if error.cause.errno == errno.EPIPE:
            return ExitCode.READER_GONE
        say(f"error: standard output cannot be written: {_refused(error.cause)}", err=True)
    elif isinstance(error, OSError) and _names_its_place(error):
        say(f"error: {_refused(error)}", err=True)
    elif isinstance(error, click.ClickException):
        error.show()
    else:
        raise error
    return ExitCode.BAD_INPUT


def _names_its_place(error: OSError) -> bool:
    """Whether it is one that a user can fix: it says where, and the system refused what it may."""
    return error.filename is not None and error.errno in FIXABLE | FULL


def _require_utf8_words() -> None:
    for word in sys.argv[1:]:
        require_utf8(word, ConfigError)


def _bounded(error: BenchError) -> str:
    """The message of an error, which may quote a plug-in; BENCH_LOG=INFO shows it whole."""
    words = one_line(error, LONGEST_MESSAGE)
    if words.endswith(CUT):
        logger.info("the whole message: %s", visible(str(error)))
    return words


def _refused(error: OSError) -> str:
    full = no_space(error)
    if full is not None:
        return f"{full}. Free some space there, or name another place."
    return (
        f"{error.filename} cannot be used ({error.strerror}); this command needs it. Change its "
        "permissions, free space, or name another place."
    )


def check_packages() -> None:
    """Check that the four packages come from this checkout.

    Raises:
        ConfigError: Another package of the same name stands before ours on the path.
    """
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        place = Path(spec.origin).resolve() if spec and spec.origin else None
        if place is None or not place.is_relative_to(CHECKOUT):
            raise ConfigError(
                f"package {name!r} comes from {place}; it must come from {CHECKOUT}, beside this "
                f"command. Remove the other package from the path, or install this one: {INSTALL}"
            )
