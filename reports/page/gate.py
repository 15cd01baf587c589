"""The gate's result as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence

from reports.page.write import html_table, render
from reports.result_table import ResultTable


def page(headline: str, tables: Sequence[ResultTable]) -> str:
    """The page: the result in words, then the tables, the last one folded.

    Args:
        headline: The result and what limits it.
        tables: Finished tables; those without rows are left out.
    """
    shown = [html_table(table, set()) for table in tables if table.rows]
    return render("gate.html.j2", {"headline": headline, "tables": shown})
