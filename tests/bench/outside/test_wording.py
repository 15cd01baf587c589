"""Words of others are recorded and printed on one line of bounded length, each character seen."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from bench.api import BenchError, UnsupportedError
from bench.cli.streams import say
from bench.failure import Failure, failure_of
from bench.outside.wording import LONGEST, one_line, visible
from bench.records.schema import CellRecord, ScoreRecord


class MuteError(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        """Fail once more."""
        raise RuntimeError("not even this")


class OddError(Exception):
    """An error whose words are no text."""

    def __str__(self) -> str:
        """Give a number."""
        return 7  # type: ignore[return-value]  # noqa: PLE0307 - the fault that is tried


HOSTILE = {
    "two megabytes": "blah " * 400_000,
    "one word": "x" * 2_000_000,
    "blanks before": " " * 5000 + "words",
    "lines": "a\nb\r\nc\u2028d\x85e",
    "colours": "\x1b[31mred\x1b[2J",
    "nothing": "a\x00b",
    "half a pair": "caf\udce9",
    "backwards": "txt.\u202eexe",
    "unseen": "a\u200bb\ufeffc\u2060d",
    "no character": "a\ufffeb\uffff",
    "every control": "".join(map(chr, [*range(32), *range(127, 160)])),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_any_text_becomes_one_line_that_can_be_seen_and_encoded(text: str) -> None:
    words = one_line(text)
    assert 0 < len(words) <= LONGEST
    assert words.isprintable()
    assert {unicodedata.category(one) for one in words}.isdisjoint({"Cc", "Cf", "Cs", "Cn"})
    words.encode()
    assert one_line(words) == words


def test_what_was_cut_says_so_and_the_rest_is_unchanged() -> None:
    assert one_line("x" * 600) == "x" * 600
    assert one_line("x" * 601) == "x" * 599 + "…"
    assert one_line("begin" + " " * 5000 + "end") == "begin…"
    assert one_line("  größer \n\n als 🎸  ") == "größer als 🎸"
    assert one_line("\u0645\u06cc\u200c\u062e\u0648\u0627\u0646\u062f") == (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0646\u062f"
    )


def test_controls_are_written_as_python_writes_them() -> None:
    assert one_line("\x1b[0m\x00\udc80\u202e") == r"\x1b[0m\x00\udc80\u202e"
    assert visible("a\x1bb\nc\td") == "a\\x1bb\nc\\td"


@pytest.mark.parametrize("error", [MuteError(), OddError()])
def test_an_error_that_cannot_speak_is_still_named(error: Exception) -> None:
    assert failure_of(error).reason == f"{type(error).__name__}: no words: they cannot be read"


@pytest.mark.parametrize(
    ("error", "begin", "status"),
    [
        (ValueError("\x00" + "y" * 3000), r"ValueError: \x00yyy", "error"),
        (BenchError("\x1b[1m" + "y" * 3000), r"\x1b[1myyy", "error"),
        (UnsupportedError("no\n" + "y" * 3000), "no yyy", "unsupported"),
        (MemoryError("\udc80" + "y" * 3000), r"out of memory: \udc80yyy", "oom"),
    ],
)
def test_a_failure_holds_one_line_whatever_was_raised(
    error: Exception, begin: str, status: str
) -> None:
    failure = failure_of(error)
    assert (failure.status, len(failure.reason)) == (status, LONGEST)
    assert failure.reason.startswith(begin)


def test_the_name_of_an_error_is_bounded_too() -> None:
    failure = failure_of(type("E\x1b" + "r" * 5000, (Exception,), {})("words"))
    assert len(failure.reason) == LONGEST
    assert len(str(failure.exception)) == LONGEST
    assert (failure.reason + str(failure.exception)).isprintable()


def test_records_from_elsewhere_are_bounded_as_they_are_read() -> None:
    words = "\x1b[2J" + "z" * 100_000
    cell = json.dumps({"cell_id": "a", "status": "error", "reason": words, "exception": words})
    read = CellRecord.model_validate_json(cell)
    assert read.reason == read.exception == one_line(words)
    score = {"cell_id": "a", "metric": "m", "value": None, "raw": None, "fingerprint": "f"}
    text = json.dumps({**score, "status": "unsupported", "reason": words})
    assert ScoreRecord.model_validate_json(text).reason == one_line(words)
    assert CellRecord.model_validate_json('{"cell_id": "a", "status": "ok"}').reason is None


def test_a_failure_made_by_hand_is_bounded_too() -> None:
    assert Failure("crash", "\x1b\n" + "x" * 999).reason.startswith(r"\x1b xxx")


def test_what_a_command_says_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2J\nb\udc80")
    say("c\x00", err=True)
    sys.stdout.flush()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("a\\x1b[2J\nb\\udc80\n", "c\\x00\n")
