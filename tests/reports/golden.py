"""Write the golden texts anew: `python tests/reports/golden.py`; read the difference first."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from building import golden_run  # noqa: E402 - needs the path above

from reports.tables.run_costs import run_costs  # noqa: E402 - needs the path above
from reports.tables.table2 import table2  # noqa: E402 - needs the path above
from reports.text import formats  # noqa: E402 - needs the path above

FOLDER = Path(__file__).parent / "golden"


def texts() -> dict[str, str]:
    """File name -> text for each format of two tables."""
    table, times = table2(golden_run()), run_costs(golden_run())
    return {
        "table2.md": formats.markdown(table),
        "table2.tex": formats.latex(table),
        "table2.csv": formats.csv(table),
        "table2.txt": formats.terminal(table, 80),
        "timing.txt": formats.terminal(times, 80),
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
