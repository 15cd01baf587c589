"""A user's machine: its caches, the hub it is connected to, and commands run on it.

The hub's client reads its variables when it is imported, so every fetch is a process: one that is
started, or, for less, forked from one that has imported what does not read them (`forked`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from forked import Forker

CHECKOUT = Path(__file__).resolve().parents[2]
RIFFUSION = "riffusion/riffusion-model-v1"
MUSICGEN = "facebook/musicgen-melody"
AUDIOLDM2 = "cvssp/audioldm2"
CLAP = "laion/clap-htsat-unfused"
CLAP_COMMIT = "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a"


@dataclass(frozen=True)
class Machine:
    """A user's machine: its caches, the hub it is connected to, and how its processes begin."""

    home: Path
    endpoint: str
    forker: Forker | None = None

    def environment(self, **changes: str) -> dict[str, str]:
        """The variables of a process on it."""
        kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        return kept | {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(self.home / "hf"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "BENCH_CACHE": str(self.home / "bench"),
            "BENCH_DATA": str(self.home / "data"),
            "OMP_NUM_THREADS": "1",
            **changes,
        }

    def run(self, *argv: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments from the checkout."""
        if self.forker is not None and argv[0] in ("-m", "-c"):
            return self.forker.run(argv, self.environment(**changes))
        return subprocess.run(
            [sys.executable, *argv],
            cwd=CHECKOUT,
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def fetch(self, *argv: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """`python -m bench fetch ... --accept-licences`."""
        return self.run("-m", "bench", "fetch", *argv, "--accept-licences", **changes)
