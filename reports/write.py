"""Read run folders, write their report, and show the result in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import RecordError
from bench.files import renewed_folder, replace_file
from bench.outside.wording import visible
from bench.records.store import Run, load_run, without_garbage_collection
from reports import sounds
from reports.listening.mushra.marks import marked
from reports.listening.mushra.table import mushra, mushra_listeners
from reports.listening.raters import listeners
from reports.listening.ratings import heard
from reports.listening.tables import ears, listening, with_marks
from reports.merging import merge
from reports.tables import notes, printed, reading
from reports.tables.capabilities import capabilities
from reports.tables.comparisons import comparisons, ranks
from reports.tables.gains import gains
from reports.tables.retrieval import confusion, retrieval, swapped
from reports.tables.run_costs import run_costs
from reports.tables.sets import sets
from reports.tables.settings import table1
from reports.tables.table2 import table2
from reports.tables.tradeoff import tradeoff
from reports.text import formats, latex
from reports.text.marks import Mark, relative
from reports.text.result_table import ResultTable
from reports.titles import titled

TABLES: tuple[Callable[[Run], ResultTable], ...] = (
    table2, table1, gains, ranks, tradeoff, run_costs, capabilities
)  # fmt: skip
TERMINAL_WIDTH = 80
LONG = (retrieval, confusion, comparisons)  # too long for a terminal
WRITTEN = (*TABLES, *LONG)
FORMATS = ("md", "tex", "csv")


@dataclass(frozen=True, slots=True)
class Report:
    """One run, or several merged into one, with its finished tables.

    `folders` are where the records and sounds lie, in the order given.
    """

    run: Run
    folders: tuple[Path, ...]
    tables: tuple[ResultTable, ...]

    @property
    def out(self) -> Path:
        """Where its files go: `report/` in the run's folder; for several, `report/merged/`."""
        return self.run.folder / "report" / ("merged" if len(self.folders) > 1 else "")


@without_garbage_collection()  # it would walk through every record again and again
def read_report(runs: Path | str | Sequence[Path], *, keep_all: bool = False) -> Report:
    """Read run folders and build every table once.

    Args:
        runs: The folders.
        keep_all: Count listeners whom the rule of their test leaves out, too.

    Raises:
        RecordError: A folder does not hold a run, or the runs cannot stand in one table.
    """
    folders = _folders(runs)
    run = titled(merge([load_run(folder) for folder in folders]))
    built = [build(run) for build in WRITTEN]
    said = heard(folders, keep_all=keep_all).under(run.shown_as)
    if said.ratings:
        built[0] = with_marks(built[0], said)
    if said.judged:
        built[len(TABLES) : len(TABLES)] = [
            listening(run, said), ears(run, said), listeners(run, said)
        ]  # fmt: skip
    given = marked(folders, keep_all=keep_all).under(run.shown_as)
    if given.screened:
        built[-len(LONG) : -len(LONG)] = [mushra(run, given), mushra_listeners(run, given)]
    distances, control = sets(run, folders), swapped(run, folders)
    if control is not None:
        built.insert(1 + [table.label for table in built].index("confusion"), control)
    if distances is not None:
        built.insert(TABLES.index(run_costs), distances)
    return Report(run, tuple(folders), tuple(built))


def write_report(
    runs: Report | Path | str | Sequence[Path], *, without_inputs: bool = False
) -> list[Path]:
    """Write the tables of one run, or of several of one suite, and return the paths.

    The report of one run is `report/` in its folder. It holds table2, table1, gains, ranks,
    tradeoff, timing, capabilities, retrieval, confusion and comparisons as .md, .tex and .csv (sets
    and swapped too, where the run has embeddings), failures.md, and inputs.md, which says whether
    content and style audio may be part of the report (see `reports.sounds`; `without_inputs`
    forbids it). The report of several runs is `report/merged/` in the folder named first. Writing
    a report again gives the same files; what else lies in its folder stays.

    Raises:
        RecordError: A folder does not hold a run, or the runs cannot stand in one table.
        LinkError: A symbolic link stands where a file of the report should be.
    """
    report = runs if isinstance(runs, Report) else read_report(runs)
    texts = {
        f"{table.label}.{suffix}": rendered(report, table, suffix, report.out)
        for table in report.tables
        for suffix in FORMATS
    }
    texts["failures.md"] = failures(report.run)
    texts[sounds.NOTICE] = sounds.notice(report.run, asked_without=without_inputs)
    with renewed_folder(report.out, report.run.folder) as fresh:
        for name, text in texts.items():
            replace_file(fresh / name, text)
    return [report.out / name for name in texts]


def rendered(report: Report, table: ResultTable, suffix: str, out: Path) -> str:
    """A table as the text of a file in the folder `out`.

    In LaTeX a mark above it says where its numbers come from, and the notes that are not printed
    follow as comments.
    """
    if suffix != "tex":
        return formats.markdown(table) if suffix == "md" else formats.csv(table)
    mark, shown = mark_of(report, table, out).line(), printed.beneath(report.run, table)
    dress = latex.Dress(printed.caption(report.run, table), shown, mark)
    apart = [note for note in table.notes if note not in shown]
    return latex.latex(table, dress) + latex.comments(apart)


def mark_of(report: Report, table: ResultTable, out: Path) -> Mark:
    """The mark of a table in a LaTeX file of the folder `out`, see `reports.text.marks`."""
    header = report.run.header
    folders = relative(report.folders, out)
    return Mark(header.run_id, folders, table.label, header.suite_digest)


def terminal_summary(
    runs: Report | Run | Path | str | Sequence[Path], width: int = TERMINAL_WIDTH
) -> str:
    """The tables that have rows as text for a terminal, Table II first.

    Raises:
        RecordError: A folder does not hold a run, or the runs cannot stand in one table.
    """
    if isinstance(runs, Run):
        run = titled(runs)
        built = tuple(build(run) for build in TABLES)
    else:
        report = runs if isinstance(runs, Report) else read_report(runs)
        run = report.run
        long = {build.__name__ for build in (*LONG, swapped, listeners)} | {"mushra-listeners"}
        built = tuple(table for table in report.tables if table.label not in long)
    shown = [_brief(table, first=table is built[0]) for table in built if table.rows]
    if not shown:
        return f"{reading.identity(run)}: no cell is planned, so there is nothing to show.\n"
    return "\n".join(formats.terminal(table, width) for table in shown)


def failures(run: Run) -> str:
    """Every failed cell with its reason, as a Markdown list."""
    lines = list(notes.failures(run).values())
    text = "".join(f"* {visible(' '.join(line.split()))}\n" for line in lines) or "None.\n"
    return f"## Failed cells: {len(lines)} of {len(run.plan)}\n\n{reading.identity(run)}\n\n{text}"


def _brief(table: ResultTable, *, first: bool) -> ResultTable:
    """Only the first table repeats suite, intervals and provenance in a terminal."""
    if first:
        return table
    return ResultTable(table.title, table.label, table.identity, table.columns, table.rows)


def _folders(runs: Path | str | Sequence[Path]) -> list[Path]:
    if isinstance(runs, str | Path):
        return [Path(runs)]
    folders = [Path(folder) for folder in runs]
    twice = [folder for folder, n in Counter(f.resolve() for f in folders).items() if n > 1]
    if twice:
        raise RecordError(
            f"run {twice[0]} is named twice; its listeners would count twice. Name each run once."
        )
    return folders
