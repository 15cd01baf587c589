"""Write the golden texts anew: `python tests/reports/golden.py`; read the difference first."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from building import golden_run  # noqa: E402 - needs the path above

from reports.tables import printed  # noqa: E402 - needs the path above
from reports.tables.run_costs import run_costs  # noqa: E402 - needs the path above
from reports.tables.table2 import table2  # noqa: E402 - needs the path above
from reports.text import formats, latex  # noqa: E402 - needs the path above
from reports.text.result_table import ResultTable  # noqa: E402 - needs the path above

FOLDER = Path(__file__).parent / "golden"


def dressed(table: ResultTable, *, narrow: bool = False) -> latex.Dress:
    """How a paper prints a table of the golden run."""
    run = golden_run()
    return latex.Dress(printed.caption(run, table), printed.beneath(run, table), "% mark\n", narrow)


def texts() -> dict[str, str]:
    """File name -> text for each format of two tables."""
    run = golden_run()
    table, times = table2(run), run_costs(run)
    narrow = printed.in_one_column(run, table)
    return {
        "table2.md": formats.markdown(table),
        "table2.tex": latex.latex(table, dressed(table)),
        "table2-column.tex": latex.latex(narrow, dressed(narrow, narrow=True)),
        "table2.csv": formats.csv(table),
        "table2.txt": formats.terminal(table, 80),
        "timing.txt": formats.terminal(times, 80),
    }


if __name__ == "__main__":
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
