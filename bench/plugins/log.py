"""Keeping what a process prints in a log of bounded size."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import IO

from bench.files import naming
from bench.outside.wording import one_line

LOG_LIMIT_BYTES = 1_000_000
FULL_LOG_BYTES = 10 * LOG_LIMIT_BYTES  # no traceback is added to a log of this size
TAIL_BYTES = 2_000  # kept in memory of each stream, to quote its last line
LINE_LIMIT = 200


def add_text(log: Path, text: str) -> None:
    """Append a text, such as a traceback, to a log; of one text, at most `LOG_LIMIT_BYTES`.

    What cannot be encoded is escaped; nothing else is changed, so the log says exactly what a
    plug-in said, control characters included.
    """
    data = text.encode(errors="backslashreplace")
    left_out = len(data) - LOG_LIMIT_BYTES
    end = f"\n[{left_out} bytes left out]\n" if left_out > 0 else "\n"
    with naming(log), log.open("ab") as file:
        if file.tell() < FULL_LOG_BYTES:
            file.write(data[:LOG_LIMIT_BYTES] + end.encode())


class Capture:
    """Reads streams to their end and appends them to a log.

    Once the log holds `limit_bytes`, what follows is read and dropped, so the printing process
    never waits. Nor does it stop when the log cannot be written.
    """

    def __init__(self, log: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        self._file = log.open("ab", buffering=0)
        self._room = max(0, limit_bytes - log.stat().st_size)
        self._lock = threading.Lock()
        self._tail = b""
        self._readers: list[threading.Thread] = []

    def follow(self, stream: IO[bytes], *, quotable: bool = False) -> None:
        """Read `stream` in a thread of its own; `last_line` quotes it where it is `quotable`."""
        reader = threading.Thread(target=self._drain, args=(stream, quotable), daemon=True)
        reader.start()
        self._readers.append(reader)

    def finish(self, patience_s: float = 1.0) -> None:
        """Wait for the streams to end, and close the log.

        Waits at most `patience_s` seconds for a process that escaped and still holds a stream open.
        """
        for reader in self._readers:
            reader.join(patience_s)
        with self._lock:
            self._room = 0
            self._file.close()

    def fileno(self) -> int:
        """The descriptor of the log, open for appending."""
        return self._file.fileno()

    @property
    def last_line(self) -> str:
        """The last line that is not empty of a quotable stream, cut to 200 characters."""
        lines = [line.strip() for line in self._tail.decode(errors="replace").splitlines()]
        return one_line(next((line for line in reversed(lines) if line), ""), LINE_LIMIT)

    def _drain(self, stream: IO[bytes], quotable: bool) -> None:
        with stream:
            while data := stream.read(65536):
                if quotable:
                    self._tail = (self._tail + data)[-TAIL_BYTES:]
                with self._lock, contextlib.suppress(OSError):
                    self._keep(data)

    def _keep(self, data: bytes) -> None:
        if not self._room:
            return
        kept = data[: self._room]
        self._room -= len(kept)
        self._file.write(kept)
        if not self._room:
            self._file.write(b"\n[the log is full; what follows was dropped]\n")
