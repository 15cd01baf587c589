"""Listing and help stay light: no command that only reads text imports a heavy library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

HEAVY = ("torch", "diffusers", "transformers", "librosa", "scipy.signal", "onnxruntime")
# Only what reads a user's file checks it; help and lists of names do without.
NO_CHECKS = ("pydantic", "pandas", "scipy")
STYLE = "datasets/mini/style/bells"
CONTENT = ("--content", "datasets/mini/content/piano/piano_ode_to_joy.flac", "-o", "o.wav")
# One process takes all commands of a test: what each of them imported, printed, and ended with.
PROBE = """
import contextlib, io, json, sys
heavy, commands = json.loads(sys.argv[1]), json.loads(sys.argv[2])
from bench.cli.main import main
for arguments in commands:
    sys.argv[1:] = arguments
    before = set(sys.modules)
    code, shown, said = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as error:
            code = error.code or 0
    imported = [name for name in heavy if name in sys.modules and name not in before]
    print(json.dumps([code, imported, shown.getvalue(), said.getvalue()]))
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


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    imported: list[str]
    shown: str
    said: str


def ended(heavy: Iterable[str], commands: Iterable[list[str]], checkout: Path) -> list[Ended]:
    """What commands did, one after the other in one process; which of `heavy` each imported."""
    done = _python(PROBE, json.dumps([*heavy]), json.dumps([*commands]), cwd=checkout)
    assert done.returncode == 0, done.stderr
    return [Ended(*json.loads(line)) for line in done.stdout.splitlines()]


READING = [
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
    ["submit", "--help"],
    ["merge", "--help"],
    ["status", "--help"],
    ["compare", "--help"],
    ["baseline", "--help"],
    ["gate", "--help"],
]


def test_a_reading_command_imports_nothing_heavy(checkout: Path) -> None:
    for arguments, done in zip(READING, ended(HEAVY, READING, checkout), strict=True):
        assert (done.code, done.imported) == (0, []), arguments
        assert done.shown, arguments


def test_help_and_lists_check_nothing(checkout: Path) -> None:
    light = [["--help"], ["list", "methods"], ["list", "metrics"], ["list", "suites"]]
    for arguments, done in zip(light, ended(NO_CHECKS, light, checkout), strict=True):
        assert (done.code, done.imported) == (0, []), arguments


def test_a_run_imports_no_library_that_none_of_its_methods_takes(
    tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    lines = ('name = "light"', 'dataset = "mini"', 'profile = "mini"', 'methods = ["mix"]',
             "controls = []", 'metrics = ["chroma"]', 'styles = ["bells"]')  # fmt: skip
    suite = tmp_path / "light.toml"
    suite.write_text("\n".join(("schema_version = 1", *lines)), encoding="utf-8")
    words = ["run", "--suite", str(suite), "--contents", "1", "--duration", "1"]
    words += ["--no-html", "--out", str(tmp_path / "run")]
    absent = ("diffusers", "transformers", "matplotlib")
    (done,) = ended(absent, [words], checkout)
    assert (done.code, done.imported) == (0, []), done.said


WRONG = {
    "no such method": (["transfer", "--method", "tvee", "--style", ".", *CONTENT], "'tvee'"),
    "no such style": (["transfer", "--method", "tve", "--style", "no", *CONTENT], "style no does"),
    "no such content": (
        ["transfer", "--method", "tve", "--style", STYLE, "--content", "no.wav", "-o", "o.wav"],
        "no.wav is not a file",
    ),
    "a suffix": (["transfer", "--method", "tve", "--style", STYLE, *CONTENT[:-1], "o.aac"], ".aac"),
    "a device": (
        ["transfer", "--method", "tve", "--style", STYLE, *CONTENT, "--device", "gpu"],
        "device 'gpu'",
    ),
    "no style": (["transfer", "--method", "tve", *CONTENT], "--style is missing"),
    "a text": (
        ["transfer", "--method", "tve", "--style", STYLE, "--text", "x", *CONTENT],
        "would change nothing",
    ),
    "a part": (
        ["transfer", "--method", "tve", "--style", STYLE, *CONTENT, "--start", "1:00:00"],
        "gives 0.000 s from 3600 s on",
    ),
    "a fit": (["transfer", "--fit", "no.safetensors", *CONTENT], "no.safetensors is not a file"),
    "no fit": (["fit", "import", "no.safetensors"], "no.safetensors is not a file"),
    "an export": (["fit", "export", "tve", "--style", STYLE, "-o", "x.bin"], "x.safetensors"),
    "run: a method": (["run", "--methods", "tvee"], "'tvee'"),
    "run: a metric": (["run", "--metrics", "no"], "'no'"),
    "run: a suite": (["run", "--suite", "no"], "suite 'no'"),
    "run: a style": (["run", "--suite", "mini", "--styles", "no"], "'no'"),
    "run: a content": (["run", "--suite", "mini", "--contents", "no"], "'no'"),
    "run: a dataset": (["run", "--suite", "mini", "--dataset", "no"], "dataset 'no'"),
    "run: a device": (["run", "--suite", "mini", "--device", "cpu,gpu"], "device 'gpu'"),
    "run: a device alone": (["run", "--device", "gpu"], "device 'gpu'"),
    "time: a method": (["time", "--methods", "tvee"], "'tvee'"),
    "time: a content": (["time", "--suite", "mini", "--contents", "no"], "'no'"),
}


@pytest.fixture(scope="module")
def refused(checkout: Path) -> dict[str, Ended]:
    """How each wrong command ended."""
    commands = [arguments for arguments, _ in WRONG.values()]
    return dict(zip(WRONG, ended(HEAVY, commands, checkout), strict=True))


@pytest.mark.parametrize("case", WRONG)
def test_what_takes_no_model_is_refused_before_torch_is_imported(
    case: str, refused: dict[str, Ended]
) -> None:
    done = refused[case]
    assert (done.code, done.imported) == (2, []), done.said
    assert WRONG[case][1] in done.said


@pytest.mark.parametrize("room", ["bench", "methods", "metrics", "reports", "methods.controls"])
def test_a_room_imports_nothing_heavy(room: str, checkout: Path) -> None:
    code = f"import sys, {room}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = _python(code, cwd=checkout)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
