"""Holds a claim again and again; where it must be alone, a second owner fails. Run as a program."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.records import claims

if __name__ == "__main__":
    path, notes, rounds, alone = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    claims.POLL_S = 0.0
    for _ in range(int(rounds)):
        with claims.claimed(path, lambda _: None):
            (notes / "inside").touch(exist_ok=alone != "alone")
            (notes / "inside").unlink(missing_ok=alone != "alone")
