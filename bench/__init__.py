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
    """Read a run folder into a table: one row per planned cell, whether or not it has run.

    `bench.records.frame.COLUMNS` says what each column means, with its unit; so does
    `table.attrs["columns"]`. Runs are put together with `pandas.concat`.

    Args:
        run: The run folder.

    Returns:
        Who and where (`method`, `style`, `content`, `repetition`, ...), `parameter.<name>`, the
        outcome (`status`, `reason`, `audio`), the cost (`fit_s`, `transfer_s`, in seconds, ...),
        and per metric `<metric>`, `<metric>.raw` and `<metric>.status`.

    Raises:
        RecordError: The folder is not a run, or one that this version cannot read.
    """
    from bench.records.frame import load_frame

    return load_frame(run)
