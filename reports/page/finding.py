"""What a run has found, in the words with which its page begins.

All of it comes from the records: the methods that stand on the Pareto line of the default plane,
which of the others cannot be told from a copy of the content, and what went wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from bench.records.schema import FAILED
from bench.records.store import Run
from bench.statistics.paired import compare, holm
from bench.statistics.spread import LEVEL
from reports.figures.data import Point, short_labels
from reports.figures.plates import Scatter
from reports.tables import reading, standing
from reports.tables.notes import counted
from reports.tables.table2 import OUT_OF_ORDER, disagreement
from reports.text.result_table import ResultTable

NAMED = 3  # methods that a sentence names, the others are counted
LONGEST = 240  # characters of a sentence about the judges
COPY = "copy-content"
KEPT = {"notes": "the notes", "chroma": "the chroma", "cp": "the content"}


def title(run: Run) -> str:
    """The methods and the data."""
    methods = [m for m in reading.ordered_methods(run) if not m.control] or run.header.methods
    names = list(dict.fromkeys(method.label.partition("[")[0] for method in methods))
    words = listed(names) if len(names) <= NAMED else f"{len(methods)} methods"
    return f"{words} on {run.header.dataset.get('name', run.header.suite_name)}"


def subtitle(run: Run) -> str:
    """How much was run, with which profile, when, and of which suite."""
    header = run.header
    size = f"{counted(len(header.styles), 'style')} and {counted(len(header.contents), 'content')}"
    facts = (size, f"profile {header.profile}", _date(header.created_at), f"run {header.run_id}")
    return f"{', '.join(facts)}. Suite {header.suite_name}, digest {header.suite_digest[:12]}."


def _date(written: str) -> str:
    """A time of the records as a day; what is none stays as it is."""
    try:
        day = datetime.fromisoformat(written)
    except ValueError:
        return written
    return f"{day.day} {day:%B %Y}"


def sentences(run: Run, planes: Sequence[Scatter]) -> list[str]:
    """What was found, in two or three sentences; none where nothing has a number.

    Args:
        run: The run.
        planes: Its scatters, the default one first.
    """
    if not planes:
        return []
    found = [_front(planes[0]), _told_from_copies(run, planes[0]), _absent(planes[0])]
    names = short_labels(point.label for point in planes[0].points)
    for line in disagreement(run):
        words = _shortened(line, names)
        short = "judges of style disagree about the best; a note of the first table says how"
        found.append(f"{_begun(words if len(words) <= LONGEST else short)}.")
    return [words for words in found if words]


def _shortened(words: str, names: Mapping[str, str]) -> str:
    """A sentence with short names, the longest label first: one may begin with another."""
    for label in sorted(names, key=len, reverse=True):
        words = words.replace(label, names[label])
    return words


def _front(plane: Scatter) -> str:
    """The competitors that no other beats in both measures, with their numbers."""
    names = short_labels(point.label for point in plane.points)
    front = sorted(
        (p for p in plane.points if p.pareto), key=lambda p: p.content.value, reverse=True
    )
    if not front:
        return ""
    shown = [_point(point, names[point.label], plane) for point in _spread(front)]
    rest = len(front) - len(shown)
    verb = "is" if rest == 1 else "are"
    more = f"; {rest} more {verb} beaten by none in both" if rest else ""
    where = "On the cells that all have, " if plane.common else ""
    return f"{where}{'; '.join(shown)}{more}."


def _absent(plane: Scatter) -> str:
    """The competitors that have no place in the plane."""
    verb = "lacks" if len(plane.absent) == 1 else "lack"
    where = " or ".join(plane.titles)
    return f"{_named(plane.absent)} {verb} a number in {where}." if plane.absent else ""


def _spread(front: Sequence[Point]) -> list[Point]:
    """The ends and the middle of a line of points."""
    if len(front) <= NAMED:
        return list(front)
    return [front[0], front[len(front) // 2], front[-1]]


def _point(point: Point, name: str, plane: Scatter) -> str:
    content, fit = plane.pair[0], plane.titles[1]
    kept = f"keeps {_rounded(point.content.value)} of {KEPT.get(content, plane.titles[0])}"
    return f"{name} {kept} at {_article(fit)} {fit} of {_rounded(point.fit.value)}"


def _article(words: str) -> str:
    """The article of a title, whose capitals are read as letters.

    Example:
        >>> _article("SF-audio"), _article("MusicNN margin"), _article("area")
        ('an', 'a', 'an')
    """
    letters = words[:2].isupper() and words[0] in "AEFHILMNORSX"
    return "an" if letters or words[0] in "AEIOUaeiou" else "a"


def _rounded(value: float) -> str:
    """Two decimals; what rounds to 0 has no sign."""
    return f"{round(value, 2) + 0.0:.2f}"


def _told_from_copies(run: Run, plane: Scatter) -> str:
    """Which competitors fit the style no better than the content itself does, untouched."""
    entry = reading.named(run.header.methods, COPY)
    metric = next((m for m in run.header.metrics if m.name == plane.pair[1]), None)
    labels = [point.label for point in plane.points if point.kind == "method"]
    if metric is None or entry is None or entry.label not in reading.by_method(run) or not labels:
        return ""
    copied = standing.judged(run, entry.label, metric)
    found = {
        label: compare(standing.judged(run, label, metric), copied, bounds=metric.range)
        for label in labels
    }
    p = holm({label: result.p for label, result in found.items() if result.n})
    sign = 1 if metric.direction == "maximize" else -1
    alike = [label for label, value in p.items() if not value <= 1 - LEVEL]
    worse = [label for label in p if label not in alike and sign * found[label].delta < 0]
    names = short_labels(point.label for point in plane.points)
    parts = []
    if alike:
        verb = "is" if len(alike) == 1 else "are"
        words = _named([names[label] for label in alike])
        parts.append(f"{words} {verb} not distinguishable from a copy of the content")
    if worse:
        parts.append(f"a copy of the content fits better than {_named([names[w] for w in worse])}")
    if p and not parts:
        many = {2: "both"}.get(len(p), f"all {len(p)}")
        each = "it fits" if len(p) == 1 else f"{many} methods fit"
        parts.append(f"{each} the style better than a copy of the content")
    return f"By {metric.title}, {'; '.join(parts)}." if parts else ""


def _named(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    rest = len(names) - NAMED
    return listed([*names[:NAMED], f"{rest} more"]) if rest > 1 else listed(names)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    Example:
        >>> listed(["a", "b", "c"]), listed(["a"])
        ('a, b and c', 'a')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _begun(words: str) -> str:
    """A sentence; one that begins with the name of a method keeps its letters."""
    return words[0].upper() + words[1:] if words.startswith("judges ") else words


def alarms(run: Run, table: ResultTable) -> list[str]:
    """What a reader must know before any number: failed cells, and controls out of order.

    Args:
        run: The run.
        table: Its Table II, whose notes say which controls are out of order.
    """
    failed = Counter(
        cell.method
        for cell in run.plan
        if (record := run.cells.get(cell.cell_id)) is not None and record.status in FAILED
    )
    lines = []
    if failed:
        each = ", ".join(f"{label} {count:,}" for label, count in failed.most_common(NAMED))
        rest = len(failed) - NAMED
        more = f" and {counted(rest, 'more method')}" if rest > 0 else ""
        lines.append(f"{failed.total():,} of {len(run.plan):,} cells failed: {each}{more}.")
    found = [note for note in table.notes if note.startswith(OUT_OF_ORDER)]
    lines += [f"{note[0].upper()}{note[1:]}." for note in found[:NAMED]]
    if len(found) > NAMED:
        rest = len(found) - NAMED
        words = f"{counted(rest, 'more demand')} on the controls {'is' if rest == 1 else 'are'}"
        lines.append(f"{words} not met; the notes of the first table say which.")
    return lines
