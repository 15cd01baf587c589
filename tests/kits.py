"""A machine that a kit is carried to, as far as another one can play it: what it lacks is gone.

`ALL` is what the project needs besides torch, transformers and what these bring along, and besides
pydantic, which every kit carries as a wheel. mini Riffusion's carries diffusers too: `SCIENCE` is
without it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
SCIENCE = (
    *("fluidsynth", "librosa", "soundfile", "soxr", "numba"),
    *("scipy", "sklearn", "pandas", "matplotlib", "joblib", "mir_eval"),
)
ALL = (*SCIENCE, "diffusers", "importlib_metadata", "zipp")
_LACKING = """
from importlib.machinery import PathFinder
everywhere = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.split(".")[0] in {lacking!r} else everywhere(name, path, target)
PathFinder.find_spec = find_spec
"""


def run(command: Sequence[str], folder: Path, **environment: str) -> str:
    """Exit code and standard error of a command in a folder."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
    )
    return f"{done.returncode} {done.stderr}"


def train(kit: Path, model: str, out: Path, lacking: Sequence[str], **settings: str) -> str:
    """What `run.sh MODEL` said on a CPU without some packages, with its exit code.

    Args:
        kit: The folder.
        model: Of the kit.
        out: Where it leaves what is carried back.
        lacking: Top-level packages that are not there.
        settings: STEPS and others that `run.sh` reads.
    """
    bare = kit.parent / "bare"
    bare.mkdir(exist_ok=True)
    (bare / "sitecustomize.py").write_text(_LACKING.format(lacking=tuple(lacking)))
    given = {"PYTHON": sys.executable, "PYTHONPATH": str(bare), "DEVICE": "cpu", "OUT": str(out)}
    return run(["sh", "run.sh", model], kit, **given, BUDGET_S="3000", PROCESSES="1", **settings)
