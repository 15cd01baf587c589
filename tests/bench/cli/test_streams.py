"""Output and error streams that are full, closed, or of a terminal with few letters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import ExitCode

FULL = Path("/dev/full")
COMMAND = f"exec {sys.executable} -m bench list methods"
NO_FCNTL = "import sys; sys.modules['fcntl'] = None; "


def shell(line: str, checkout: Path, **settings: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=checkout, capture_output=True, check=False,
        env={**os.environ, **settings},
    )  # fmt: skip


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["list methods", "--help", "run --help"])
def test_a_full_standard_output_is_named(checkout: Path, words: str) -> None:
    done = shell(f"exec {sys.executable} -m bench {words} >/dev/full", checkout)
    assert done.returncode == ExitCode.BAD_INPUT
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: standard output cannot be written: /dev/full: no space left")


def test_a_reader_that_goes_away_ends_the_command_quietly(checkout: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "bench", "list", "methods"], cwd=checkout, stdout=gone,
            stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (ExitCode.READER_GONE, b"")


@pytest.mark.parametrize("how", ["2>&-", "<&- 2>&-", "2>/dev/full"])
def test_a_lost_standard_error_changes_nothing_else(checkout: Path, how: str) -> None:
    done = shell(f"{COMMAND} {how}", checkout)
    assert done.returncode == ExitCode.DONE
    assert done.stdout == shell(COMMAND, checkout).stdout
    bad = shell(f"exec {sys.executable} -m bench report nowhere {how}", checkout)
    assert bad.returncode == ExitCode.BAD_INPUT


def test_files_that_are_opened_do_not_become_the_closed_streams(checkout: Path) -> None:
    told = (
        "from bench.cli.streams import prepare_streams; prepare_streams(); import os; "
        "place = os.open('pyproject.toml', os.O_RDONLY); assert place > 2, place; "
        "print('x\\u2191\\udc80', flush=True); os.write(1, str(place).encode())"
    )
    for closed in ("<&- 2>&-", "2>&-", "<&-"):
        done = shell(f'exec {sys.executable} -c "{told}" {closed}', checkout)
        assert done.returncode == 0, closed
        assert done.stdout.startswith("x↑?\n".encode())
    assert shell(f'exec {sys.executable} -c "{told}" <&- >&- 2>&-', checkout).returncode == 0


@pytest.mark.parametrize("letters", ["latin-1", "cp1252", "cp437"])
def test_letters_that_a_terminal_lacks_are_replaced(checkout: Path, letters: str) -> None:
    told = (
        "from bench.cli.streams import prepare_streams, say; prepare_streams(); "
        "say('CP \\u2191 caf\\xe9 \\U0001f3b8'); say('\\u2191', err=True)"
    )
    done = shell(f'exec {sys.executable} -c "{told}"', checkout, PYTHONIOENCODING=letters)
    assert done.stdout.decode(letters) == "CP ? café ?\n"
    assert (done.returncode, done.stderr) == (0, b"?\n")


@pytest.mark.parametrize(
    "start",
    [
        "import runpy; runpy.run_module('bench', run_name='__main__')",
        "import runpy; runpy.run_module('bench.cli', run_name='__main__')",
        "from bench.cli.main import main; main()",
    ],
)
def test_a_system_without_its_locks_is_told_so_at_once(checkout: Path, start: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_FCNTL + start], cwd=checkout, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == ExitCode.BAD_INPUT
    assert done.stderr.startswith(f"error: this system ({sys.platform}) has no fcntl; every")
    assert "WSL" in done.stderr
    assert len(done.stderr.splitlines()) == 1
