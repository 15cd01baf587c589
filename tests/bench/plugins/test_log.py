"""A log keeps what was said exactly, and stays of bounded size."""

from __future__ import annotations

import os
from pathlib import Path

from bench.plugins.log import FULL_LOG_BYTES, LOG_LIMIT_BYTES, Capture, add_text


def test_a_log_says_exactly_what_was_said(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    add_text(log, "\x1b[31mred\x00 größer \udc80\n")
    assert log.read_bytes() == "\x1b[31mred\x00 größer ".encode() + rb"\udc80" + b"\n\n"


def test_what_is_left_out_of_a_text_is_counted(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    add_text(log, "x" * (LOG_LIMIT_BYTES + 7))
    assert log.read_bytes() == b"x" * LOG_LIMIT_BYTES + b"\n[7 bytes left out]\n"
    add_text(log, "y" * LOG_LIMIT_BYTES)
    assert log.read_bytes().endswith(b"yy\n")


def test_a_thousand_long_errors_do_not_fill_the_disk(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for _ in range(30):
        add_text(log, "x" * 2 * LOG_LIMIT_BYTES)
    assert FULL_LOG_BYTES < log.stat().st_size < FULL_LOG_BYTES + 2 * LOG_LIMIT_BYTES


def test_the_last_line_that_is_quoted_can_be_seen(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "a.log")
    reading, writing = os.pipe()
    capture.follow(os.fdopen(reading, "rb"), quotable=True)
    os.write(writing, b"first\n\x1b[2Jlast\x00\xff " + b"x" * 500 + b"\n\n")
    os.close(writing)
    capture.finish()
    assert capture.last_line.startswith("\\x1b[2Jlast\\x00\ufffd xxx")
    assert len(capture.last_line) == 200
