"""The flags of each listener as a table, and who is left out.

Listeners have numbers in the order of their codes, which are not published; `listen import` says in
its terminal whose number it is.
"""

from __future__ import annotations

from bench.records.store import Run
from reports.listening.care import HARD
from reports.listening.ratings import Heard, Judged
from reports.tables import reading
from reports.tables.notes import counted
from reports.text.result_table import Column, Missing, ResultTable, Row, Value

TOLD = ("listening", "ears", "listeners")  # the labels of the tables of a listening test
COLUMNS = (
    Column("listener", "Listener", text=True),
    Column("copies", "Copies", decimals=0),
    Column("needed", "Needed", decimals=0),
    Column("late", "Late", decimals=0),
    Column("late.needed", "Needed late", decimals=0),
    Column("same", "Same", decimals=2),
    Column("apart", "Repeats", decimals=2),
    Column("pace", "Time", decimals=2),
    Column("heard", "Heard", decimals=2),
    Column("flags", "Flags", text=True),
    Column("counts", "Counts", text=True),
)
MEANING = (
    "copies: what the marks of the hidden clips tell, in decibans (10: ten times as likely from "
    "somebody who listens as from somebody who does not), and what is needed; late: the same in "
    "the later half of the sets, the last two or the last one, whichever is worst; same: the "
    "largest share of the clips of a set with the same three marks; repeats: mean difference of "
    "the two marks of a clip that comes twice, 1.6 at random; time: the least time of a set as a "
    "share of how long its clips last; heard: the least share of a clip that was played"
)
LEFT_OUT = "left out"
UNKNOWN = Missing("n/a", "the file of the ratings or the key of the test does not say")


def listeners(run: Run, heard: Heard) -> ResultTable:
    """Show what the ratings of each listener tell about care, those who are left out last."""
    rows = [
        Row(_cells(number, one, keeps_all=heard.keeps_all), LEFT_OUT if one.care.left_out else "")
        for number, one in sorted(_numbered(heard), key=lambda given: given[1].care.left_out)
    ]
    rule = (
        f"left out: by one flag of {', '.join(sorted(HARD))}, or by two others, as the rule says "
        "that was stated when the test was exported (listening/*.rule.txt of the run); what is "
        f"needed follows from how many hidden clips there are; {kept(heard)}"
    )
    title = "Who was listening?"
    identity = reading.identity(run)
    return ResultTable(title, "listeners", identity, COLUMNS, tuple(rows), (MEANING, rule))


def _numbered(heard: Heard) -> list[tuple[int, Judged]]:
    """Everybody by number; somebody who took two tests has one number in both."""
    numbers = {name: n for n, name in enumerate(sorted({o.rater for o in heard.judged}), start=1)}
    given = ((numbers[one.rater], one) for one in heard.judged)
    return sorted(given, key=lambda pair: (pair[0], pair[1].test))


def _cells(number: int, one: Judged, *, keeps_all: bool) -> tuple[Value, ...]:
    care = one.care
    counts = "yes" if not care.left_out else "kept on request" if keeps_all else LEFT_OUT
    known = [UNKNOWN if value is None else value for value in (care.apart, care.pace, care.heard)]
    return (
        str(number), care.copies.reached, care.copies.needed,
        UNKNOWN if care.late is None else care.late.reached,
        UNKNOWN if care.late is None else care.late.needed,
        care.same, *known, ", ".join(care.flags), counts,
    )  # fmt: skip


def kept(heard: Heard) -> str:
    """How many listeners count and how many are left out, in words."""
    failed = len({one.rater for one in heard.judged if one.care.left_out})
    without = len({one.rater for one in heard.judged if not one.has_rule})
    told = "" if not without else f", and {counted(without, 'listener')} had a test without a rule"
    if heard.keeps_all:
        return f"everybody is kept on request; the rule leaves out {failed}{told}"
    return f"kept {len(heard.raters)}, left out by the rule {failed}{told}"


def left_out(heard: Heard) -> list[str]:
    """A line for each who is left out, with number, code and reason: for a terminal alone."""
    return [
        f"left out by the rule: listener {number}, {one.rater!r} ({', '.join(one.care.flags)})"
        for number, one in _numbered(heard)
        if one.care.left_out
    ]
