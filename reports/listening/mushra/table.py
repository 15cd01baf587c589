"""The marks of a MUSHRA test as tables: means of methods, reference and anchors, and who listened.

Pure functions of a run and its marks, which are 0 to 100. They stand in tables of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from bench.records.store import Run
from bench.statistics.intervals import MIN_STYLES
from bench.statistics.multiway import multiway_interval
from reports.listening.mushra.marks import Marked, MarkedTest
from reports.listening.mushra.records import ANCHORS, REFERENCE
from reports.listening.mushra.screening import HARD, Screened
from reports.tables import reading
from reports.tables.notes import counted
from reports.text.result_table import Column, Estimate, ResultTable, Row, estimate

TOLD = ("mushra", "mushra-listeners")  # the labels of the two tables
SCALE = (0.0, 100.0)
OWN_NAMES = {REFERENCE: "hidden reference"} | {
    name: f"anchor, {words}" for name, words in ANCHORS.items()
}


def mushra(run: Run, given: MarkedTest) -> ResultTable:
    """Show the mean mark for the content of each method, of the hidden reference and the anchors.

    The interval is cluster-robust over raters, contents and, if there are enough, styles.
    """
    found: dict[tuple[str, str], list[Marked]] = defaultdict(list)
    for one in given.marks:
        found[one.own, one.method].append(one)
    wanted = [
        ("", entry.label, entry.label, reading.group_of(entry))
        for entry in reading.ordered_methods(run)
    ]
    wanted += [(name, "", words, "webMUSHRA") for name, words in OWN_NAMES.items()]
    rows = [
        Row((words, _mean(found[own, label]), len(found[own, label])), group)
        for own, label, words, group in wanted
        if (own, label) in found
    ]
    columns = (
        Column("method", "Method", text=True),
        Column("mushra.cp", "Content kept ↑", decimals=1),
        Column("n", "Marks", decimals=0),
    )
    title = "Marks of listeners for the content, 0 to 100 (MUSHRA)"
    identity = reading.identity(run)
    empty = "" if rows else "the rule leaves all listeners out; --keep-all shows their marks"
    return ResultTable(title, "mushra", identity, columns, tuple(rows), _notes(given), empty)


def _mean(marks: Sequence[Marked]) -> Estimate:
    """The mean mark with its interval, which lies inside the scale."""
    clusterings = [[one.rater for one in marks], [one.content for one in marks]]
    styles = [one.style for one in marks]
    if len(set(styles)) >= MIN_STYLES:
        clusterings.append(styles)
    values = np.array([one.mark for one in marks], np.float64)
    return estimate(multiway_interval(values, clusterings, bounds=SCALE))


def _notes(given: MarkedTest) -> tuple[str, ...]:
    styles = len({one.style for one in given.marks})
    over = "raters, contents and styles" if styles >= MIN_STYLES else (
        "raters and contents, on these styles only"
    )  # fmt: skip
    anchors = (
        "the anchors are the content through a low-pass: they lack brilliance and keep the music, "
        "so for the content they are no lower end of the scale"
    )
    return (
        f"{counted(len({one.rater for one in given.marks}), 'listener')}; {_kept(given)}",
        f"mean [95 % interval], cluster-robust over {over}; no interval where there is only one",
        anchors,
    )


def _kept(given: MarkedTest) -> str:
    failed = sum(one.left_out for one in given.screened.values())
    if given.keeps_all:
        return f"everybody is kept on request; the rule leaves out {failed}"
    return f"kept {len(given.screened) - failed}, left out by the rule {failed}"


def mushra_listeners(run: Run, given: MarkedTest) -> ResultTable:
    """Show what the marks of each listener tell about care, by number."""
    rows = [Row(_cells(number, one, given)) for number, _, one in _numbered(given)]
    columns = (
        Column("listener", "Listener", text=True),
        Column("pages", "Pages", decimals=0),
        Column("reference", "Reference too low", decimals=0),
        Column("alike", "One mark for all", decimals=0),
        Column("anchors", "Anchor above reference", decimals=0),
        Column("flags", "Flags", text=True),
        Column("counts", "Counts", text=True),
    )
    meaning = (
        "numbers of pages: where the hidden reference got less than the rule of the test asks "
        "for, where all stimuli got one mark, and where an anchor got more than the reference"
    )
    rule = (
        f"left out: by a flag of {' or '.join(sorted(HARD))}, as the rule says that was stated "
        f"when the test was exported (listening/*.rule.txt of the run); {_kept(given)}"
    )
    title, identity = "Who was listening in the MUSHRA test?", reading.identity(run)
    label = "mushra-listeners"
    return ResultTable(title, label, identity, columns, tuple(rows), (meaning, rule))


def _numbered(given: MarkedTest) -> Iterator[tuple[int, str, Screened]]:
    """Everybody by number; somebody who took two tests has one number in both."""
    numbers = {name: n for n, name in enumerate(sorted({r for _, r in given.screened}), start=1)}
    found = ((numbers[rater], test, rater) for test, rater in given.screened)
    for number, test, rater in sorted(found):
        yield number, rater, given.screened[test, rater]


def _cells(number: int, one: Screened, given: MarkedTest) -> tuple[str | int, ...]:
    counts = "yes" if not one.left_out else "kept on request" if given.keeps_all else "left out"
    return (
        str(number), one.pages, one.below, one.alike, one.above, ", ".join(one.flags), counts
    )  # fmt: skip


def left_out(given: MarkedTest) -> list[str]:
    """A line for each who is left out, with number, code and reason: for a terminal alone."""
    return [
        f"left out by the rule of the MUSHRA test: listener {number}, {rater!r} "
        f"({', '.join(one.flags)})"
        for number, rater, one in _numbered(given)
        if one.left_out
    ]
