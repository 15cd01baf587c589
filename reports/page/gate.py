"""The gate's result as one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reports.page.write import html_table
from reports.result_table import ResultTable

ASSETS = Path(__file__).with_name("assets")


def page(headline: str, tables: Sequence[ResultTable]) -> str:
    """The page: the result in words, then the tables, the last one folded.

    Args:
        headline: The result and what limits it.
        tables: Finished tables; those without rows are left out.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(ASSETS), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    shown = [html_table(table, set()) for table in tables if table.rows]
    template = environment.get_template("gate.html.j2")
    return template.render(headline=headline, tables=shown)
