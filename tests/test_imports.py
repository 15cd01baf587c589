"""Listing and help stay light: no command that only reads text imports a heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "diffusers", "transformers", "librosa", "scipy.signal")
# Only what reads a user's file checks it; help and lists of names do without.
NO_CHECKS = ("pydantic", "pandas", "scipy")
PROBE = """
import json, sys
heavy = json.loads(sys.argv.pop(1))
from bench.cli.main import main
try:
    main()
except SystemExit as error:
    code = error.code or 0
else:
    code = 0
imported = [name for name in heavy if name in sys.modules]
print(json.dumps({"code": code, "imported": imported}), file=sys.stderr)
"""


def _python(code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["transfer", "--help"],
        ["check", "--help"],
        ["doctor", "--help"],
        ["list", "methods"],
        ["list", "metrics"],
        ["list", "datasets"],
        ["list", "suites"],
        ["compare", "--help"],
        ["baseline", "--help"],
        ["gate", "--help"],
    ],
    ids=" ".join,
)
def test_a_reading_command_imports_nothing_heavy(arguments: list[str], checkout: Path) -> None:
    done = _python(PROBE, json.dumps(HEAVY), *arguments, cwd=checkout)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stderr.splitlines()[-1]) == {"code": 0, "imported": []}
    assert done.stdout


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list", "methods"], ["list", "metrics"], ["list", "suites"]],
    ids=" ".join,
)
def test_help_and_lists_check_nothing(arguments: list[str], checkout: Path) -> None:
    done = _python(PROBE, json.dumps(NO_CHECKS), *arguments, cwd=checkout)
    assert json.loads(done.stderr.splitlines()[-1]) == {"code": 0, "imported": []}


@pytest.mark.parametrize("room", ["bench", "methods", "metrics", "reports", "methods.controls"])
def test_a_room_imports_nothing_heavy(room: str, checkout: Path) -> None:
    code = f"import sys, {room}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = _python(code, cwd=checkout)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
