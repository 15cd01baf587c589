"""What the methods of a run cost: seconds to load, to fit a style and to transfer, and memory.

The numbers are those that the run recorded on the way. What `python -m bench time` measures on its
own is in `reports.tables.timings`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.records.accounts import OTHERS, device_share, read_accounts, share_words
from bench.records.schema import MethodEntry
from bench.records.store import Run
from reports.tables import notes, reading
from reports.text.result_table import MIB, Column, Estimate, Missing, ResultTable, Row, Value

if TYPE_CHECKING:
    import pandas as pd

WORK = ("load", "fit", "transfer", "score")
AROUND = {
    "prepare": "planning and checks",
    OTHERS: "several devices",
    "report": "tables and page",
}
ELSEWHERE = Missing("n/a", "made elsewhere")
DASH = "—"
SHARED = Missing(DASH, "a control runs in the process of the methods, whose peak is not its own")
ELSEWHERE_NOTE = "n/a: made elsewhere; what that has cost, nobody here has measured"
COLUMNS = (
    Column("method", "Method", text=True),
    Column("device", "Device", text=True),
    Column("load_s", "Load (s)", decimals=2),
    Column("fit_s", "Fit per style (s)", decimals=2),
    Column("transfer_s", "Transfer per clip (s)", decimals=3),
    Column("real_time_factor", "Real-time factor", decimals=3),
    Column("peak_mib", "Peak memory (MiB)", decimals=0),
    Column("cached", "Cached", text=True),
    Column("total_s", "Total (s)", decimals=1),
)


def run_costs(run: Run) -> ResultTable:
    """Show what each method cost: median [quartiles] of fits and transfers, memory and totals.

    The real-time factor is transfer time / duration of the audio; below 1 is faster than playing
    it. A stage taken from the cache keeps the cost it had when it was computed, and `Cached` counts
    such stages.
    """
    frames = reading.by_method(run)
    entries = [m for m in reading.ordered_methods(run) if m.label in frames]
    rows = [_row(run, entry, frames[entry.label]) for entry in entries]
    if rows:
        rows.append(_total(rows))
    lines = [
        *notes.identity_notes(run),
        "median [quartiles]; times hold for one machine only and say nothing about other devices",
        "real-time factor: transfer time / duration of the audio, below 1 is faster than playback",
        "cached stages keep the cost of their computation; total counts every stage once",
        *([ELSEWHERE_NOTE] if any(m.made_elsewhere for m in entries) else []),
        *_dash_notes(rows),
        *_device_notes(run),
        notes.provenance_note(run),
    ]
    return ResultTable(
        "Time and memory", "timing", reading.identity(run), COLUMNS, tuple(rows), tuple(lines)
    )


def session_costs(
    account: Mapping[str, float], names: Mapping[str, str] | None = None, more: Sequence[str] = ()
) -> ResultTable:
    """Show where the time of one session went, by method and kind of work.

    Args:
        account: Seconds per stage, see `bench.records.accounts`, which also says what the share of
            the device is. Loading takes in the import of the libraries that a method or metric
            needs first.
        names: How X is called in the other tables, where it is not by its label.
        more: Notes below the table.
    """
    spent: dict[str, dict[str, float]] = {}
    for stage, seconds in account.items():
        verb, _, part = stage.partition(" ")
        if verb in WORK:
            spent.setdefault(part or "metrics", {})[verb] = seconds
    totals = {part: math.fsum(by_verb.values()) for part, by_verb in spent.items()}
    rows = [
        Row(((names or {}).get(part, part), *(by_verb.get(verb) for verb in WORK), totals[part]))
        for part, by_verb in spent.items()
    ]
    around = {words: account[stage] for stage, words in AROUND.items() if stage in account}
    rest = account["total"] - math.fsum([*totals.values(), *around.values()])
    blank = (None,) * len(WORK)
    rows += [Row((words, *blank, seconds)) for words, seconds in around.items()]
    rows.append(Row(("reading and writing", *blank, rest)))
    rows.append(Row(("total", *blank, account["total"]), "total", "total"))
    columns = (
        Column("part", "Part", text=True),
        *(Column(f"{verb}_s", f"{verb.capitalize()} (s)", decimals=1) for verb in WORK),
        Column("total_s", "Total (s)", decimals=1),
    )
    title, share = "Where the time of this session went", device_share([account])
    said = () if share is None else (f"{share_words(share)}: fits, transfers and scores",)
    return ResultTable(title, "session", "wall clock", columns, tuple(rows), (*said, *more))


def _dash_notes(rows: Sequence[Row]) -> list[str]:
    """What a dash means in each column that has one; its reason is not seen on paper."""
    said = {
        (column.title, cell.reason): None
        for row in rows
        for column, cell in zip(COLUMNS, row.cells, strict=True)
        if isinstance(cell, Missing) and cell.mark == DASH
    }
    return [f"{DASH} under {title}: {reason}" for title, reason in said]


def _device_notes(run: Run) -> list[str]:
    """What share of the run's sessions the device worked, where they are known."""
    accounts = read_accounts(run.folder)
    share = device_share(accounts)
    if share is None:
        return []
    total = math.fsum(account["total"] for account in accounts)
    return [f"{share_words(share)}, {total:.1f} s in {notes.counted(len(accounts), 'session')}"]


def _row(run: Run, entry: MethodEntry, rows: pd.DataFrame) -> Row:
    if entry.made_elsewhere:
        unknown = (ELSEWHERE,) * (len(COLUMNS) - 1)
        return Row((entry.label, *unknown), reading.group_of(entry))
    fits = _fits(rows)
    ended = rows[rows["status"] == "ok"]
    transfer, load = _floats(ended["transfer_s"]), _floats(rows["load_s"])
    peak = _floats(rows["peak_memory_bytes"])
    load_s = float(np.median(load)) if len(load) else None
    total = (load_s or 0.0) + float(_floats(fits["fit_s"]).sum()) + float(transfer.sum())
    cells: tuple[Value, ...] = (
        entry.label,
        reading.device_of(run, entry.label),
        load_s,
        _fit_value(entry, fits),
        _quartiles(transfer),
        _quartiles(_real_time(run, ended)),
        _peak(entry, peak),
        _cached(fits, ended),
        total,
    )
    return Row(cells, reading.group_of(entry))


def _peak(entry: MethodEntry, peak: np.ndarray) -> Value:
    """The largest memory in MiB; a control has loaded nothing that it could be the peak of."""
    if not len(peak):
        return None
    return SHARED if entry.control else float(peak.max()) / MIB


def _fits(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per fit, since its cells share the key and repeat the cost of the whole fit."""
    fitted = rows[rows["fit_s"].notna()]
    keys = fitted["fit_key"].where(fitted["fit_key"].notna(), fitted["style"])
    return fitted[~keys.duplicated()]


def _fit_value(entry: MethodEntry, fits: pd.DataFrame) -> Value:
    if not entry.fits_per_style:
        return Missing("none", "this method fits nothing")
    return _quartiles(_floats(fits["fit_s"]))


def _real_time(run: Run, rows: pd.DataFrame) -> np.ndarray:
    durations = [
        _duration(run, str(content), length)
        for content, length in zip(rows["content"], rows["duration_s"], strict=True)
    ]
    factors = rows["transfer_s"].to_numpy(np.float64, na_value=np.nan) / np.array(durations)
    return np.asarray(factors[np.isfinite(factors)])


def _duration(run: Run, content: str, length: Any) -> float:  # noqa: ANN401 - a pandas scalar
    """Seconds of audio of a cell's output, or of its content where that is unknown."""
    if length is not None and np.isfinite(length) and length > 0:
        return float(length)
    return float(run.header.contents.get(content, {}).get("duration_s") or np.nan)


def _cached(fits: pd.DataFrame, ended: pd.DataFrame) -> str:
    parts = []
    for name, rows, column in (("fit", fits, "fit_cached"), ("transfer", ended, "transfer_cached")):
        hits = int(rows[column].eq(True).sum())
        parts += [f"{name} {hits}/{len(rows)}"] if hits else []
    return ", ".join(parts) or "no"


def _quartiles(values: np.ndarray) -> Value:
    if not len(values):
        return Missing(DASH, "nothing was timed")
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Estimate(float(middle), float(low), float(high), len(values))


def _floats(column: pd.Series[Any]) -> np.ndarray:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(values[np.isfinite(values)])


def _total(rows: list[Row]) -> Row:
    total = sum(float(row.cells[-1]) for row in rows if isinstance(row.cells[-1], int | float))
    return Row(("total", *([None] * (len(COLUMNS) - 2)), total), "total", "total")
