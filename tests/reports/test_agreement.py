"""Table II, ranks, comparisons, figures and page of one run say the same of who is better.

One method lacks the hard styles, so that its mean is the highest although it loses wherever both
have a score; another fails often, and is the best where it does not.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import header, method, row, run_of, save, scored

from bench.records.schema import CellRecord
from bench.records.store import Run
from reports.figures import data
from reports.figures.examples import best_cell
from reports.figures.plates import plates
from reports.page.write import write_page
from reports.tables import standing
from reports.tables.comparisons import comparisons, ranks
from reports.tables.contrast import contrast_methods, contrast_runs
from reports.tables.table2 import table2
from reports.tables.tradeoff import tradeoff
from reports.text.result_table import Estimate, Missing, ResultTable
from reports.write import read_report

STYLES = tuple(f"style{i}" for i in range(6))
HARD = STYLES[3:]
CONTENTS = tuple(f"c{i:02d}" for i in range(20))
METRICS = ("cp", "sf.heldout")


def level(style: str, content: str, generator: np.random.Generator) -> float:
    """A score of the weaker method: hard styles take .3."""
    return (0.4 if style in HARD else 0.7) + 0.002 * CONTENTS.index(content) + (
        generator.normal(0, 0.02)
    )  # fmt: skip


def unlike() -> Run:
    """A run in which tve is .1 better in all common cells; musicgen declines the hard styles."""
    head = header([method("tve"), method("musicgen")], STYLES, CONTENTS, METRICS)
    run = run_of(
        head, {"tve": dict.fromkeys(METRICS, 0.5), "musicgen": dict.fromkeys(METRICS, 0.5)}
    )
    generator = np.random.default_rng(1)
    cells, scores = dict(run.cells), {}
    for cell in run.plan:
        if cell.method == "musicgen" and cell.style in HARD:
            cells[cell.cell_id] = CellRecord(
                cell_id=cell.cell_id, status="unsupported", reason="knows no such style"
            )
            continue
        better = 0.1 if cell.method == "tve" else 0.0
        for name in METRICS:
            value = level(cell.style, cell.content, generator) + better
            scores[cell.cell_id, name] = scored(cell.cell_id, name, value)
    return replace(run, cells=cells, scores=scores)


def unreliable(share: int) -> Run:
    """`tve` is .3 better than `rti` where it ends, but every `share`-th of its cells fails."""
    head = header([method("tve"), method("rti")], STYLES, CONTENTS, METRICS)
    run = run_of(head, {"tve": dict.fromkeys(METRICS, 0.5), "rti": dict.fromkeys(METRICS, 0.5)})
    generator = np.random.default_rng(2)
    cells, scores = dict(run.cells), {}
    for place, cell in enumerate(run.plan):
        if cell.method == "tve" and place % share == 0:
            cells[cell.cell_id] = CellRecord(cell_id=cell.cell_id, status="error", reason="broke")
            continue
        better = 0.3 if cell.method == "tve" else 0.0
        for name in METRICS:
            value = min(1.0, level(cell.style, cell.content, generator) / 2 + better)
            scores[cell.cell_id, name] = scored(cell.cell_id, name, value)
    return replace(run, cells=cells, scores=scores)


def bold(table: ResultTable, metric: str) -> set[str]:
    """The methods whose number is marked as best."""
    return {
        r.method
        for r, value in zip(table.rows, table.column(metric), strict=True)
        if isinstance(value, Estimate) and value.best
    }


class Marked(HTMLParser):
    """The first words of the rows of Table II on a page that hold a cell marked as best."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.words: list[str] = []
        self.best = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a row, or note that a cell is marked."""
        if tag == "tr":
            self.words, self.best = [], False
        classes = str(dict(attrs).get("class") or "").split()
        self.best = self.best or "best" in classes or tag in {"b", "strong"}

    def handle_endtag(self, tag: str) -> None:
        """End a row."""
        if tag == "tr" and self.best:
            self.found.add(self.words[0])

    def handle_data(self, data: str) -> None:
        """Collect the words of a row."""
        if data.strip():
            self.words.append(data.strip())


def marked_on_page(run: Run, folder: Path) -> set[str]:
    """The row names of Table II that the page marks."""
    text = write_page(read_report(save(run, folder))).read_text(encoding="utf-8")
    first = re.search(r"<table.*?</table>", text, re.DOTALL)
    assert first is not None
    reader = Marked()
    reader.feed(first[0])
    return reader.found


def test_the_run_is_the_one_that_misled() -> None:
    """By plain means musicgen is the better one."""
    table = table2(unlike())
    means = {name: row(table, "method", name)["cp"] for name in ("tve", "musicgen")}
    values = {name: v.value for name, v in means.items() if isinstance(v, Estimate)}
    assert values["musicgen"] > values["tve"] + 0.03


def test_all_tables_name_the_method_that_wins_on_common_cells(tmp_path: Path) -> None:
    run = unlike()
    table = table2(run)
    for metric in METRICS:
        assert bold(table, metric) == {"tve"}
    assert ranks(run).column("cp") == ("1", "2")
    assert row(comparisons(run), "comparison", "tve - musicgen")["finding"] == "tve is better"
    assert marked_on_page(run, tmp_path / "run") == {"tve", "tve, common cells"}
    points = data.scatter(table, ("cp", "sf.heldout"), data.families(run))
    assert {p.label: p.pareto for p in points} == {"tve": True, "musicgen": False}


def test_unlike_coverage_prints_every_method_on_the_common_cells() -> None:
    run = unlike()
    table = table2(run)
    easy = [c for c in run.plan if c.style not in HARD]
    for name in ("tve", "musicgen"):
        shown = row(table, "method", f"{name}, common cells")
        found = [run.scores[c.cell_id, "cp"].value for c in easy if c.method == name]
        assert isinstance(shown["cp"], Estimate)
        assert shown["cp"].value == pytest.approx(np.mean([v for v in found if v is not None]))
        assert shown["n"] == 60
    assert any(note.startswith("common cells:") for note in table.notes)


def test_like_coverage_prints_each_method_once() -> None:
    assert {r.kind for r in table2(unreliable(40)).rows} == {"measured", "imputed"}


def test_a_few_failures_count_as_the_worst_score() -> None:
    """Each fortieth cell failed: the winner stays, by the mean with failures at 0."""
    run = unreliable(40)
    assert bold(table2(run), "cp") == {"tve"}
    assert ranks(run).column("cp") == ("1", "2")
    delta = row(comparisons(run), "comparison", "tve - rti")["delta"]
    assert isinstance(delta, Estimate)
    assert delta.n == 120
    imputed = row(table2(run), "method", "tve, failed at 0")["cp"]
    other = row(table2(run), "method", "rti")["cp"]
    assert isinstance(imputed, Estimate)
    assert isinstance(other, Estimate)
    assert delta.value == pytest.approx(imputed.value - other.value)


def test_a_method_that_fails_often_is_never_the_best(tmp_path: Path) -> None:
    """Each eighth cell failed, which is 87.5 % of all: not judged, though better where it ends."""
    run = unreliable(8)
    table = table2(run)
    assert bold(table, "cp") == set()
    assert ranks(run).column("cp")[0] == Missing("n/a", "has 105 of 120 scores")
    finding = row(comparisons(run), "comparison", "tve - rti")["finding"]
    assert finding == "not judged: tve has 105 of 120 scores"
    folder = save(run, tmp_path / "compared")
    found = contrast_methods(folder, "tve", "rti").column("finding")
    assert set(found) == {"not judged: tve has 105 of 120 scores"}
    found = contrast_runs(folder, folder).column("finding")
    assert found[:2] == ("not judged: A has 105 of 120 scores",) * 2
    assert found[2:] == ("not significant",) * 2
    (plate,) = (p for p in plates(run, {"table2": table}) if p.label == "cp-sf-heldout")
    assert "(Pareto set: rti)" in plate.caption
    chosen = best_cell(with_sounds(run), "cp")
    assert chosen is not None
    assert chosen.method == "rti"
    assert marked_on_page(run, tmp_path / "run") == set()
    assert tradeoff(run).rows == ()


def with_sounds(run: Run) -> Run:
    """The run with a sound for each cell that ended well."""
    cells = {
        name: record.model_copy(update={"audio": f"{name}.wav"})
        if record.status == "ok"
        else record
        for name, record in run.cells.items()
    }
    return replace(run, cells=cells)


def test_ninety_percent_is_enough() -> None:
    run = unreliable(10)
    (cp, _) = run.header.metrics
    assert standing.unjudged(run, cp) == {}


def test_numbers_on_fewer_cells_than_their_row_say_so() -> None:
    run = unlike()
    kept = {key: s for key, s in run.scores.items() if key[1] == "cp" or "style0" not in key[0]}
    gone = {
        (cell.cell_id, "sf.heldout"): scored(
            cell.cell_id, "sf.heldout", None, status="unsupported", reason="no held-out clips"
        )
        for cell in run.plan
        if cell.style == "style0"
    }
    shown = row(table2(replace(run, scores=kept | gone)), "method", "tve")
    assert shown["n"] == 120
    assert isinstance(shown["cp"], Estimate)
    assert isinstance(shown["sf.heldout"], Estimate)
    assert not shown["cp"].says_n
    assert (shown["sf.heldout"].says_n, shown["sf.heldout"].n) == (True, 100)


def test_a_failure_counts_where_another_method_is_scored_though_a_third_declines() -> None:
    """Only a style that nobody has a score for is left out of the mean with failures at 0."""
    labels = ("tve", "rti", "musicgen")
    head = header([method(label) for label in labels], STYLES, CONTENTS[:4], METRICS)
    run = run_of(head, {label: dict.fromkeys(METRICS, 0.3) for label in labels})
    status = {("tve", "style0"): "error", ("musicgen", "style0"): "unsupported"}
    cells, scores = dict(run.cells), dict(run.scores)
    for cell in run.plan:
        word = status.get((cell.method, cell.style))
        if word is not None:
            cells[cell.cell_id] = CellRecord(cell_id=cell.cell_id, status="ok")
            for name in METRICS:
                why = "invalid_output" if word == "error" else word
                scores[cell.cell_id, name] = scored(cell.cell_id, name, None, status=why)
    (cp, _) = head.metrics
    known = standing.judged(replace(run, cells=cells, scores=scores), "tve", cp).values
    assert np.isfinite(known).all()
    assert np.sum(known == 0) == 4
