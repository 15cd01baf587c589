"""Benchmark harness for music style-transfer methods: the engine and the public contract.

Nothing here imports torch. `load_records` is the door for notebooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__version__ = "0.1.0"
__all__ = ["__version__", "load_records"]


def load_records(run: str | Path) -> pd.DataFrame:
    """Read a run folder into one row per cell, one column per metric (see `bench.records`)."""
    from bench.records import load_frame

    return load_frame(run)
