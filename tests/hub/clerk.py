"""A process at which commands are typed one after the other, since the start of each takes seconds.

It reads a line of JSON for each, `words` and `token`, and answers with `code`, `out` and `err`. The
hub that it is connected to stands in its variables, as the hub's client reads them once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from beside import answering


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Clerk:
    """The process, by its two ends."""

    asked: IO[str]
    answered: IO[str]

    def types(self, *words: object, token: str | None = None) -> Answer:
        """Run a command and wait for its end."""
        self.asked.write(
            json.dumps({"words": [str(word) for word in words], "token": token}) + "\n"
        )
        self.asked.flush()
        return Answer(**json.loads(self.answered.readline()))


@contextmanager
def at_work(variables: Mapping[str, str]) -> Iterator[Clerk]:
    """A clerk with these variables, until the block ends."""
    with answering(__file__, variables) as (asked, answered):
        yield Clerk(asked, answered)


def serve() -> None:
    """Answer until the input ends."""
    from click.testing import CliRunner

    from bench.api import BenchError
    from bench.cli.main import cli

    for line in sys.stdin:
        asked = json.loads(line)
        os.environ.pop("HF_TOKEN", None)
        if asked["token"] is not None:
            os.environ["HF_TOKEN"] = asked["token"]
        done = CliRunner().invoke(cli, asked["words"])
        raised = done.exception
        code, said = done.exit_code, done.stderr
        if isinstance(raised, BenchError):
            code, said = 2, f"{said}error: {raised}"
        elif raised is not None and not isinstance(raised, SystemExit):
            raise raised
        answer = {"code": code, "out": done.stdout, "err": said}
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr] # a pipe
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    serve()
