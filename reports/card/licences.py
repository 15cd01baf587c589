"""Under which licences the parts of a run stand: the clips, and the weights of each method."""

from __future__ import annotations

from bench.records.store import Run
from reports.tables import reading
from reports.text import formats
from reports.text.result_table import Column, ResultTable, Row

NAMES_NONE = (
    "Whoever published this run has named no licence for its records and tables. The licences of "
    "what it was made with are these."
)
NAMES_ONE = (
    "The records and tables of this run are published under {licence}. The licences of what it was "
    "made with are these; they are not changed by it."
)


def licences(run: Run) -> ResultTable:
    """The clips first, then each method with its weights, in the order of Table II."""
    dataset = run.header.dataset
    shared = "yes" if dataset.get("redistributable") else "no"
    clips = Row(
        (
            f"clips of dataset {dataset.get('name', 'unnamed')}",
            "",
            str(dataset.get("licence") or "unknown"),
            shared,
        )
    )
    methods = [
        Row((entry.label, ", ".join(entry.weights) or "none", entry.licence or "unknown", ""))
        for entry in reading.ordered_methods(run)
    ]
    return ResultTable(
        "Licences of clips and weights",
        "licences",
        reading.identity(run),
        (
            Column("what", "What", text=True),
            Column("weights", "Weights", text=True),
            Column("licence", "Licence", text=True),
            Column("redistributable", "May be passed on", text=True),
        ),
        (clips, *methods),
    )


def licence_page(run: Run, licence: str | None) -> str:
    """The licences as a page of their own, which the head of the card links to.

    Args:
        run: The run.
        licence: The identifier that the publisher chose; None where none was named.
    """
    words = NAMES_NONE if licence is None else NAMES_ONE.format(licence=licence)
    return f"# Licences\n\n{words}\n\n{formats.markdown(licences(run))}"
