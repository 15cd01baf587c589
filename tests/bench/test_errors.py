"""SIGTERM ends a process as Ctrl-C does; a second one, while it ends, changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.errors import (
    ExitCode,
    TerminatedError,
    end_when_asked,
    heed,
    last_words,
    reason_of,
    sparing_children,
    unbroken,
    was_asked,
)
from bench.failure import contained

pytestmark = pytest.mark.usefixtures("obeying")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):  # python asks for signals between instructions
        pass


def test_a_sigterm_is_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as asked:
        terminate()
    assert isinstance(asked.value, TerminatedError)
    assert reason_of(asked.value) == "ended by SIGTERM"
    assert reason_of(KeyboardInterrupt()) == "interrupted by the user"


@contextmanager
def tidying(done: list[str]) -> Iterator[None]:
    """Work that must be done at the end, in all the ways in which one may."""
    try:
        yield
    except KeyboardInterrupt:
        terminate()
        done.append("caught")
        raise
    finally:
        terminate()
        done.append("finally")


def test_another_one_does_not_disturb_the_end() -> None:
    done: list[str] = []
    with pytest.raises(TerminatedError), tidying(done):
        terminate()
    assert done == ["caught", "finally"]
    with pytest.raises(TerminatedError):  # and the next end is asked for anew
        terminate()


def work_unbroken(done: list[str]) -> None:
    """Work that two requests to end do not break off."""
    with unbroken():
        terminate()
        terminate()
        done.append("worked")


def test_what_is_unbroken_ends_first() -> None:
    done: list[str] = []
    with pytest.raises(TerminatedError):
        work_unbroken(done)
    assert done == ["worked"]
    with pytest.raises(TerminatedError):  # and the next end is asked for as ever
        terminate()


@contextmanager
def working_unbroken_at_the_end(done: list[str]) -> Iterator[None]:
    try:
        yield
    finally:
        work_unbroken(done)
        done.append("tidied")


def test_what_is_unbroken_does_not_disturb_an_end_under_way() -> None:
    done: list[str] = []
    with pytest.raises(TerminatedError), working_unbroken_at_the_end(done):
        terminate()
    assert done == ["worked", "tidied"]


def test_a_request_that_somebody_swallowed_can_be_made_again() -> None:
    with suppress(KeyboardInterrupt):
        terminate()
    with pytest.raises(TerminatedError):
        terminate()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass


KINDS = {terminate: (TerminatedError, 143), interrupt: (KeyboardInterrupt, 130)}


@pytest.mark.parametrize("ask", KINDS)
def test_an_error_after_a_request_that_was_lost_is_the_end_asked_for(
    ask: Callable[[], None],
) -> None:
    """As a compiled module that is interrupted while it is imported raises another error."""
    kind, code = KINDS[ask]
    error = ImportError("cannot import name io")
    assert not was_asked(error)
    heed(error)
    with suppress(KeyboardInterrupt):
        ask()
    assert was_asked(error)
    assert not was_asked(None)
    assert last_words(error)[1] == code
    with pytest.raises(kind) as raised:
        heed(error)
    assert raised.value.__cause__ is error
    assert reason_of(error) == reason_of(kind())


def test_a_request_that_was_lost_without_an_error_ends_the_next_call() -> None:
    with contained():
        pass
    with pytest.raises(TerminatedError), contained(), suppress(KeyboardInterrupt):
        terminate()


def test_a_call_that_tidies_up_at_the_end_is_not_broken_off() -> None:
    done = []

    def ended() -> None:
        try:
            terminate()
        finally:
            with contained():
                done.append("tidied")
            done.append("all of it")

    with pytest.raises(TerminatedError):
        ended()
    assert done == ["tidied", "all of it"]


def test_an_error_in_place_of_a_request_is_no_fault_of_the_plug_in() -> None:
    def lose() -> None:
        with suppress(KeyboardInterrupt):
            interrupt()
        raise ImportError("cannot import name io")

    with pytest.raises(KeyboardInterrupt), contained():
        lose()


def test_another_handler_of_an_interrupt_stays() -> None:
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    end_when_asked()
    with suppress(KeyboardInterrupt):
        interrupt()
    assert came == [signal.SIGINT]


@pytest.mark.parametrize("asked", [TerminatedError(), KeyboardInterrupt()])
@pytest.mark.parametrize("way", ["itself", "from", "while"])
def test_the_last_words_know_what_was_asked(asked: KeyboardInterrupt, way: str) -> None:
    error: BaseException = asked
    try:
        try:
            raise asked
        except KeyboardInterrupt as first:
            if way == "from":
                raise ValueError("abort") from first
            if way == "while":
                raise ValueError("abort")  # noqa: B904 - this is what is tried
    except ValueError as second:
        error = second
    words, code = last_words(error)
    said = {TerminatedError: ("terminated", 143), KeyboardInterrupt: ("interrupted", 130)}
    assert (words, code) == (
        f"{said[type(asked)][0]}; run the same command again to go on", said[type(asked)][1]
    )  # fmt: skip
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_the_exit_codes_are_those_of_a_shell() -> None:
    assert ExitCode.TERMINATED == 128 + signal.SIGTERM
    assert ExitCode.INTERRUPTED == 128 + signal.SIGINT


def test_children_are_spared_until_they_say_so() -> None:
    waiting = "import sys, time; sys.stdout.write('up\\n'); sys.stdout.flush(); time.sleep(0.3)"
    with sparing_children():
        process = subprocess.Popen([sys.executable, "-c", waiting], stdout=subprocess.PIPE)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
    assert process.returncode == 0
    with pytest.raises(TerminatedError):  # this process is not
        terminate()


def test_what_a_worker_starts_can_be_terminated(tmp_path: Path, checkout: Path) -> None:
    """By exec and by fork alike: only the worker itself leaves SIGTERM to its parent."""
    plugin = tmp_path / "starting.py"
    plugin.write_text(STARTING, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", ASKING, str(plugin), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "exec -15, fork 15, spared\n", done.stderr


STARTING = """
import os, signal, subprocess, sys, time
import numpy as np
from bench.api import MethodInfo, StyleState, StyleTransferMethod

class Starting(StyleTransferMethod):
    INFO = MethodInfo("Starting", ("content audio",), False, "a test")

    def load(self, profile, device):
        pass

    def fit(self, requests, progress):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        child.terminate()
        forked = os.fork()
        if not forked:
            time.sleep(60)
            os._exit(0)
        os.kill(forked, signal.SIGTERM)
        ended = os.waitpid(forked, 0)[1]
        os.kill(os.getpid(), signal.SIGTERM)
        return [StyleState({"codes": np.array([child.wait(), ended])})]

    def transfer(self, requests):
        return []
"""
ASKING = """
import sys
from pathlib import Path
from bench.api import FitRequest, Style
from bench.plugins.catalog import find_method
from bench.plugins.isolated import Isolated
method = Isolated(find_method(f"{sys.argv[1]}:Starting"), Path(sys.argv[2]) / "log")
method.load("mini", "cpu")
style = Style("s", (), (), "s")
(state,) = method.fit([FitRequest(style, None, 0)], lambda *_: None)
method.close()
print("exec {}, fork {}, spared".format(*state.arrays["codes"]))
"""
