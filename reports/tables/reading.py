"""What the tables read from a run: its cells as data frames, and which of its scores count.

**Conventions**: a number counts when its cell ended `ok` and its score is `ok` or `silent`. A
failed cell or an `invalid_output` score is a failure. An `unsupported` one is neither, and so is a
cell that has not run. An `invalid_score` is the failure of a metric, not of the method: it has no
number, is nobody's worst score, and is counted wherever cells are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.api import RecordError
from bench.records.embeddings import Embedded, read_embeddings
from bench.records.frame import frame
from bench.records.sameness import setting_digest
from bench.records.schema import FAILED, MethodEntry, MetricEntry
from bench.records.store import Run
from bench.scores import INVALID, NUMBERED
from bench.scores import raw_range as raw_range_of
from bench.statistics.intervals import Observations, observe
from bench.statistics.places import Places, placed
from bench.statistics.spread import Range
from bench.statistics.variances import Floats

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

KEPT = 2  # runs whose frames are kept: every table starts from them, and `compare` reads two runs
Frames = Mapping[str, "pd.DataFrame"]  # the cells of each method, by its label
CONTROLS = "controls"  # the group of their rows in every table
STYLE_FITS = ("sf.heldout", "sf.seen", "sf.text")  # in the order of preference
# Who says how well a style fits: the same question asked of models that were trained apart.
STYLE_JUDGES: Mapping[str, tuple[str, ...]] = {
    "CLAP": STYLE_FITS[:2],
    "MusicNN": ("sf.musicnn", "sf.musicnn.seen"),
    "music CLAP": ("sf.heldout@music", "sf.seen@music"),
}
NOTES_KEPT = ("notes", "chroma")  # what hears the notes of a content, whatever plays them
MARGIN_JUDGES: Mapping[str, str] = {
    "CLAP": "sf.margin", "MusicNN": "sf.musicnn.margin", "music CLAP": "sf.margin@music"
}  # fmt: skip
MARGINS = ("sf.musicnn.margin", "sf.margin")  # nearer to its own style than to any other
COLUMN_ORDER = (
    *("cp", *STYLE_FITS, "sf.margin", "sf.musicnn", "sf.musicnn.margin"),
    *("chroma", "notes", "melody"),
)
TONAL = frozenset({"instrument", "tonal"})


@dataclass(frozen=True, slots=True)
class Plane:
    """Two measures that are read together: what is kept of the content, how well the style fits."""

    content: MetricEntry
    fit: MetricEntry

    @property
    def title(self) -> str:
        """Both in words."""
        return f"{self.content.title}, {self.fit.title}"


def identity(run: Run) -> str:
    """The suite, its profile, and the digests of the suite and of its setting, for every table.

    Tables of one setting may be read side by side; `report A B` joins such runs.
    """
    header = run.header
    digests = f"digest {header.suite_digest[:12]}, setting {setting_digest(header)[:12]}"
    return f"{header.suite_name}, profile {header.profile}, {digests}"


def ordered_metrics(run: Run) -> list[MetricEntry]:
    """The metrics of a run: the known ones in the order of the columns, then the rest by name."""
    known = {name: position for position, name in enumerate(COLUMN_ORDER)}
    return sorted(run.header.metrics, key=lambda m: (known.get(m.name, len(known)), m.name))


def ordered_methods(run: Run) -> list[MethodEntry]:
    """Competitors first, then controls, each in the order of the run."""
    return sorted(run.header.methods, key=lambda method: method.control)


def group_of(entry: MethodEntry) -> str:
    """The group of a method's rows: controls stand apart from the methods that compete."""
    return CONTROLS if entry.control else ""


def style_fit(run: Run) -> str:
    """The name of the metric of style fit: held-out clips where any cell has it, else seen ones."""
    held_out = any(
        metric == "sf.heldout" and score.value is not None
        for (_, metric), score in run.scores.items()
    )
    return "sf.heldout" if held_out else "sf.seen"


def style_judges(run: Run) -> dict[str, MetricEntry]:
    """The metric of style fit of each model that gave a number, by the name of the model.

    It compares with held-out clips where it has a number for any, else with the clips learnt from.
    """
    counts = number_counts(run)
    found = {}
    for judge, names in STYLE_JUDGES.items():
        chosen = next((name for name in names if counts.get(name)), None)
        if chosen is not None:
            found[judge] = metric_of(run, chosen)
    return found


def planes(run: Run) -> list[Plane]:
    """The pairs of measures in which methods are drawn and curves are read, the default one first.

    The default hears notes on one axis and timbre on the other: notes (chroma, where more outputs
    have that), and the margin of MusicNN (of CLAP, where there is none). The second is that of the
    source documents, CP and SF. Either is left out where the run has no numbers for it.
    """
    counts = number_counts(run)
    kept = sorted((n for n in NOTES_KEPT if counts.get(n)), key=lambda name: -counts[name])
    margins = [name for name in MARGINS if counts.get(name)]
    pairs = [(kept[0], margins[0])] if kept and margins else []
    pairs += [("cp", style_fit(run))] if counts.get("cp") and counts.get(style_fit(run)) else []
    return [Plane(metric_of(run, content), metric_of(run, fit)) for content, fit in pairs]


def metric_of(run: Run, name: str) -> MetricEntry:
    """The metric of a run with this name."""
    return next(metric for metric in run.header.metrics if metric.name == name)


@lru_cache(maxsize=KEPT)
def number_counts(run: Run) -> Counter[str]:
    """How many numbers each metric of the run gave."""
    known = {metric.name for metric in run.header.metrics}
    return Counter(
        metric for (_, metric), s in run.scores.items() if s.value is not None and metric in known
    )


def style_kind(run: Run, style: str) -> str:
    """What kind of sound a style is: "tonal" for instruments, else the word of its dataset."""
    kind = str(run.header.styles.get(style, {}).get("kind") or "unknown")
    return "tonal" if kind in TONAL else kind


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """The cells of a method with what every table asks of them, in parallel arrays.

    Args:
        rows: Its rows of `bench.records.frame.frame`.
        places: The place of each row; all methods of a run have theirs on one grid.
        numbers: What `numbers` says of each metric.
        raw: The same before clipping.
        failed: What `failures` says of each metric.
        invalid: What `invalid` says of each metric.
        declined: Per metric, which scores are `unsupported`.
    """

    rows: pd.DataFrame
    places: Places
    numbers: Mapping[str, Floats]
    raw: Mapping[str, Floats]
    failed: Mapping[str, NDArray[np.bool_]]
    invalid: Mapping[str, NDArray[np.bool_]]
    declined: Mapping[str, NDArray[np.bool_]]

    def scores(self, metric: str, *, raw: bool = False) -> Observations:
        """The numbers of a metric."""
        return Observations((self.raw if raw else self.numbers)[metric], self.places)

    def part(self, rows: pd.DataFrame) -> Sheet:
        """Some of the rows, which keep their labels of the whole sheet's."""
        at = rows.index.to_numpy()
        return Sheet(
            rows,
            self.places.where(at),
            {name: values[at] for name, values in self.numbers.items()},
            {name: values[at] for name, values in self.raw.items()},
            {name: said[at] for name, said in self.failed.items()},
            {name: said[at] for name, said in self.invalid.items()},
            {name: said[at] for name, said in self.declined.items()},
        )


def by_method(run: Run) -> dict[str, pd.DataFrame]:
    """The rows of `bench.records.frame.frame` per method label; a method without cells is absent.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    return {label: sheet.rows for label, sheet in sheets(run).items()}


@lru_cache(maxsize=KEPT)
def sheets(run: Run) -> Mapping[str, Sheet]:
    """The sheet of each method, by its label; a method without cells is absent.

    Raises:
        RecordError: Scores of one metric carry different fingerprints.
    """
    check_fingerprints(run)
    if not run.plan:
        return {}
    table = frame(run)
    for name in map(str, table.select_dtypes("str").columns):
        table[name] = table[name].astype(object)  # compared and taken in half the time
    names = [metric.name for metric in run.header.metrics]
    whole = Sheet(
        table,
        placed(table["style"].tolist(), table["content"].tolist(), table["category"].tolist()),
        {name: numbers(table, name) for name in names},
        {name: numbers(table, name, raw=True) for name in names},
        {name: failures(table, name) for name in names},
        {metric.name: invalid(table, [metric]) for metric in run.header.metrics},
        {name: said(table, f"{name}.status", "unsupported") for name in names},
    )
    return {str(label): whole.part(rows) for label, rows in table.groupby("method", sort=False)}


@lru_cache(maxsize=KEPT)
def embedded(run: Run, folders: tuple[Path, ...]) -> tuple[list[Embedded], list[str]]:
    """What metrics hear in the sounds of a run, and a sentence for each line that is damaged.

    Args:
        run: The run, or several merged.
        folders: Its run folders.
    """
    faults: list[str] = []
    return read_embeddings(folders, run.header, run.cells.values(), faults), faults


@lru_cache(maxsize=KEPT)
def check_fingerprints(run: Run) -> None:
    """Refuse a run in which scores of one metric were made by different measures.

    Raises:
        RecordError: A metric has scores with two fingerprints or more.
    """
    for metric, prints in run.fingerprints().items():
        if len(prints) > 1:
            raise RecordError(
                f"metric {metric!r} has scores with fingerprints {', '.join(sorted(prints))}; "
                "one column holds one measure. Run the suite again to score its outputs anew."
            )


def numbers(rows: pd.DataFrame, metric: str, *, raw: bool = False) -> np.ndarray:
    """One score per row, NaN where there is none; `raw` takes the number before clipping."""
    values = rows[metric].to_numpy(dtype=np.float64, na_value=np.nan)
    if raw:
        before = rows[f"{metric}.raw"].to_numpy(dtype=np.float64, na_value=np.nan)
        values = np.where(np.isfinite(before), before, values)
    counted = said(rows, "status", "ok") & said(rows, f"{metric}.status", *NUMBERED)
    return np.where(counted, values, np.nan)


def failures(rows: pd.DataFrame, metric: str | None = None) -> NDArray[np.bool_]:
    """Which rows failed: the cell itself or, if a metric is given, its score."""
    failed = said(rows, "status", *FAILED)
    if metric is None:
        return failed
    broken = said(rows, "status", "ok") & said(rows, f"{metric}.status", "invalid_output")
    return failed | broken


def invalid(rows: pd.DataFrame, metrics: Sequence[MetricEntry]) -> NDArray[np.bool_]:
    """Which rows ended well and have no sound score of one of the metrics."""
    found = np.zeros(len(rows), dtype=bool)
    for metric in metrics:
        found |= said(rows, f"{metric.name}.status", INVALID)
    return found & said(rows, "status", "ok")


def said(rows: pd.DataFrame, column: str, *words: str) -> NDArray[np.bool_]:
    """Which rows have one of these words in a column."""
    values = rows[column].to_numpy(dtype=object)
    found = np.zeros(len(values), dtype=bool)
    for word in words:
        found |= values == word
    return found


def observed(rows: pd.DataFrame, values: np.ndarray) -> Observations:
    """The values of some rows with their styles, contents and categories."""
    return observe(
        values, rows["style"].tolist(), rows["content"].tolist(), rows["category"].tolist()
    )


def raw_range(metric: MetricEntry) -> Range:
    """What the raw score of a metric can be: a cosine is reported as 0 where it is negative."""
    return raw_range_of(metric.range)


def raw_scores(run: Run, label: str, metric: str, kind: str = "all") -> Observations:
    """The scores of a method before clipping, on the styles of one kind ("all" for every style)."""
    return of_kind(run, sheets(run)[label].scores(metric, raw=True), kind)


def of_kind(run: Run, scores: Observations, kind: str) -> Observations:
    """The scores on the styles of one kind; all of them where that is "all"."""
    if kind == "all":
        return scores
    styles = [style for style in run.header.styles if style_kind(run, style) == kind]
    return scores.where(scores.places.in_styles(styles))


def device_of(run: Run, label: str) -> str:
    """The device that a method ran on, which merged runs record per method."""
    devices = run.header.provenance.get("device_by_method")
    return (
        str(devices[label]) if isinstance(devices, dict) and label in devices else run.header.device
    )


def named(methods: Sequence[MethodEntry], name: str) -> MethodEntry | None:
    """The first method with this catalog name."""
    return next((method for method in methods if method.name == name), None)
