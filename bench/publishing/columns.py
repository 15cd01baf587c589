"""The records of a run as tables in the Parquet format, for the hub's viewer and for notebooks.

`cells` is the table of `bench.load_records`: a row per planned cell. `scores` has a row per score.
Parquet gives every column one kind of value; what has several becomes text.
"""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.api import ConfigError
from bench.checkout import INSTALLED
from bench.publishing.parcel import Item
from bench.records.frame import explained_frame
from bench.records.store import Run

if TYPE_CHECKING:
    import pandas as pd

EXTRA = (
    'python -m pip install "music-style-bench[publish]"'
    if INSTALLED
    else 'python -m pip install -c constraints.txt -e ".[publish]"'
)
CELLS, SCORES = "data/cells.parquet", "data/scores.parquet"
SCORE_COLUMNS: Mapping[str, str] = {
    "cell_id": "the cell, as in the table of cells",
    "method": "label as tables print it",
    "style": "id of the style in the dataset",
    "content": "id of the content in the dataset",
    "repetition": "from 0",
    "metric": "the metric, such as cp",
    "value": "the reported score; empty where there is none",
    "raw": "before clipping; statistics use it",
    "status": "ok; silent (a number with a caveat); unsupported, invalid_output, invalid_score",
    "reason": "why the status is not ok",
    "fingerprint": "of all that decides the metric; scores with unlike ones never share a column",
}


def require_parquet() -> None:
    """Refuse to begin without the library that writes Parquet.

    Raises:
        ConfigError: It is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(
            "pyarrow is not installed; it writes the tables that `publish` sends. Install the "
            f"extra: {EXTRA}"
        )


def table_items(run: Run) -> list[Item]:
    """Both tables as files; `require_parquet` has been asked before."""
    cells = explained_frame(run)
    cells.attrs = {}  # pandas would write them into the file
    return [Item(CELLS, _parquet(cells)), Item(SCORES, _parquet(scores_frame(run)))]


def scores_frame(run: Run) -> pd.DataFrame:
    """One row per score of a planned cell, in the order of the plan and of the metrics."""
    import pandas as pd

    rows = []
    for cell in run.plan:
        for metric in run.header.metrics:
            score = run.scores.get((cell.cell_id, metric.name))
            if score is not None:
                facts = (cell.cell_id, cell.method, cell.style, cell.content, cell.repetition)
                found = (score.metric, score.value, score.raw, score.status, score.reason)
                rows.append((*facts, *found, score.fingerprint))
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def column_texts(run: Run) -> list[tuple[str, str, str]]:
    """Table, column and meaning of every column, in order."""
    explained: Mapping[str, str] = explained_frame(run).attrs["columns"]
    return [
        *(("cells", name, words) for name, words in explained.items()),
        *(("scores", name, words) for name, words in SCORE_COLUMNS.items()),
    ]


def _parquet(table: pd.DataFrame) -> bytes:
    plain = table.apply(_of_one_kind)
    buffer = io.BytesIO()
    plain.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


def _of_one_kind(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column whose values are of one kind: else all that is there as text, objects as JSON."""
    present = [value for value in column.tolist() if not _is_absent(value)]
    kinds = {type(value) for value in present}
    if len(kinds) <= 1 and not kinds & {dict, list}:
        return column
    if kinds <= {int, float}:
        return column.astype(float)
    return column.map(lambda value: None if _is_absent(value) else _text(value)).astype(object)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _is_absent(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN alone differs from itself
