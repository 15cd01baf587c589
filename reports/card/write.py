"""The card of a published run: what the page of the repository shows.

The head is YAML with the keys that the hub documents for dataset cards: licence, tags, and which
files are the tables of the viewer. Below stand the tables as `report` writes them, Table II first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.outside.wording import one_line
from bench.records.sameness import setting_digest
from bench.records.store import Run
from reports import sounds
from reports.card.eval_results import MINI
from reports.card.licences import licences
from reports.card.yaml_text import yaml_text
from reports.tables import notes, reading
from reports.text import formats
from reports.text.result_table import Column, ResultTable, Row

LICENCE_PAGE, COLUMN_PAGE = "LICENSE.md", "columns.md"
OTHER = "licences-of-clips-and-weights"  # a name for what is no single licence
TAGS = ("music", "style-transfer", "benchmark", "music-style-bench")
WHAT = (
    "A run of music style-transfer methods: {cells} (method x style x content x repetition), "
    "scored for content preservation and style fit. Made and published with music-style-bench; it "
    "can be downloaded and reported again."
)
FULL_RESULTS = (
    "`.eval_results/` has a file for each method that competes, in the form that the hub reads "
    "from **model** repositories: it shows nothing of them here. Copy the file of a method into "
    "`.eval_results/` of the repository of its model. The hub puts a result into the leaderboard "
    "of `{benchmark}` only when that dataset has been accepted as a benchmark and its `eval.yaml` "
    "defines the tasks {tasks}."
)


@dataclass(frozen=True, slots=True)
class About:
    """What the publisher decided.

    Args:
        repository: OWNER/NAME.
        licence: The identifier of a licence for records and tables; None where none was named.
        benchmark: The dataset that the results for model pages name.
        audio: Whether the outputs are published.
        tables: The places of the Parquet files by their names; the first is shown first.
        command: How this program is called.
    """

    repository: str
    licence: str | None
    benchmark: str
    audio: bool
    tables: Mapping[str, str]
    command: str


def card(run: Run, tables: Sequence[ResultTable], about: About) -> str:
    """The card as Markdown with its head.

    Args:
        run: The run, its methods called as readers see them.
        tables: The tables to show, Table II first.
        about: What the publisher decided.
    """
    title = f"{run.header.suite_name}: {run.header.run_id}"
    parts = [
        f"---\n{yaml_text(_head(title, about))}---",
        f"# {one_line(title)}",
        _summary(run, about),
        *(formats.markdown(table).strip() for table in tables),
        _how_to_read(about),
        formats.markdown(licences(run)).strip(),
        formats.markdown(provenance(run)).strip(),
        f"## Results for model pages\n\n{_results(run, about)}",
    ]
    return "\n\n".join(parts) + "\n"


def _head(title: str, about: About) -> dict[str, Any]:
    named = {"license": about.licence}
    other = {"license": "other", "license_name": OTHER, "license_link": LICENCE_PAGE}
    configs = [
        {"config_name": name, "data_files": place, **({"default": True} if not at else {})}
        for at, (name, place) in enumerate(about.tables.items())
    ]
    return {
        **(other if about.licence is None else named),
        "pretty_name": one_line(title),
        "tags": [*TAGS, "audio" if about.audio else "tabular"],
        "task_categories": ["audio-to-audio"],
        "configs": configs,
    }


def _summary(run: Run, about: About) -> str:
    header = run.header
    cells = notes.counted(len(run.plan), "planned cell")
    lines = [
        WHAT.format(cells=cells),
        one_line(sounds.publication_notice(run, audio=about.audio)),
    ]
    if header.profile == "mini":
        lines.insert(0, "**Mini models: never compare these numbers with published ones.**")
    return "\n\n".join(lines)


def _how_to_read(about: About) -> str:
    cells = next(iter(about.tables.values()))
    return f"""## How to read it

The folder is a run folder. With music-style-bench:

```
hf download {about.repository} --repo-type dataset --local-dir published
{about.command} report published
{about.command} board published hf:OTHER/RUN -o board
```

In a notebook, one row per cell; every column is explained in {COLUMN_PAGE}:

```python
import pandas

cells = pandas.read_parquet("hf://datasets/{about.repository}/{cells}")
```

`run.json`, `plan.jsonl`, `cells.jsonl` and `scores.jsonl` are the records themselves;
`publication.json` has the SHA-256 of every file."""


def provenance(run: Run) -> ResultTable:
    """Where and by which code a run was made, as rows of a fact and its value."""
    header = run.header
    facts = [
        ("run", header.run_id),
        ("created", header.created_at),
        ("command", " ".join(["bench", *header.argv])),
        ("suite digest", header.suite_digest),
        ("setting digest", setting_digest(header)),
        *((f"code and weights of {entry.label}", _code(entry.identity, entry.version))
          for entry in reading.ordered_methods(run)),
        ("software and machine", notes.provenance_note(run).removeprefix("provenance: ")),
    ]  # fmt: skip
    columns = (Column("fact", "Fact", text=True), Column("value", "Value", text=True))
    return ResultTable(
        "Provenance", "provenance", reading.identity(run), columns, tuple(map(Row, facts))
    )


def _code(identity: str | None, version: str) -> str:
    return f"version {version}, identity {identity or 'not recorded'}"


def _results(run: Run, about: About) -> str:
    if run.header.profile == "mini":
        return f"None: {MINI}."
    tasks = ", ".join(f"`{metric.name}`" for metric in reading.ordered_metrics(run))
    return FULL_RESULTS.format(benchmark=about.benchmark, tasks=tasks)


def column_page(texts: Sequence[tuple[str, str, str]]) -> str:
    """Every column of the Parquet files with its meaning.

    Args:
        texts: Table, column and meaning.
    """
    columns = tuple(
        Column(key, key.capitalize(), text=True) for key in ("table", "column", "meaning")
    )
    return formats.markdown(
        ResultTable("Columns", "columns", "data/", columns, tuple(Row(one) for one in texts))
    )
