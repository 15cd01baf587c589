"""What each method was given and what limits it, to be read beside its scores."""

from __future__ import annotations

from collections.abc import Callable

from bench.description import NOT_SAID
from bench.records.schema import MethodEntry
from bench.records.store import Run
from reports.tables import reading
from reports.text.result_table import Column, ResultTable, Row

YES, NO = "yes", "no"
_GIVEN = ("style audio", "style text")
_HEARD = {"content audio": "audio", "melody": "melody", "content text": "words"}
NOTES = (
    "content: heard as audio, or as melody, one pitch class at a time, or told in words",
    "fits: learns from the clips of a style beforehand; others may use them while they render",
    "band: upper edge of the output's spectrum; metrics notice that the rest is missing",
    "longest: longest clip in seconds, where needed as several windows faded into each other",
    "work: of the network, where a method says so; what serves all styles is done for one of them",
)
NOT_SAID_NOTE = "not said: made elsewhere, and known only as far as whoever scores it has told"


def capabilities(run: Run) -> ResultTable:
    """Show what each method of a run was given, whether it fits, its limits and its licence.

    Columns: method, style audio, style text, content, fits, rate (kHz), band (kHz), longest (s),
    work, licence of the weights, departures from the source.
    """
    entries = reading.ordered_methods(run)
    return ResultTable(
        "What the methods were given and what limits them",
        "capabilities",
        reading.identity(run),
        (
            Column("method", "Method", text=True),
            Column("style_audio", "Style audio"),
            Column("style_text", "Style text"),
            Column("content", "Content"),
            Column("fits", "Fits"),
            Column("rate", "Rate (kHz)"),
            Column("band", "Band (kHz)"),
            Column("longest", "Longest (s)"),
            Column("work", "Work", text=True, wide=True),
            Column("licence", "Licence of weights", text=True, wide=True),
            Column("departures", "Departures", text=True, wide=True),
        ),
        tuple(Row(_cells(entry), reading.group_of(entry)) for entry in entries),
        (*NOTES, NOT_SAID_NOTE) if any(entry.made_elsewhere for entry in entries) else NOTES,
    )


def _cells(entry: MethodEntry) -> tuple[str, ...]:
    given = [_yes(name in entry.conditioned_on) for name in _GIVEN]
    if entry.made_elsewhere:
        is_said = NOT_SAID not in entry.conditioned_on
        heard = (*given, content_of(entry)) if is_said else (NOT_SAID,) * (len(given) + 1)
        return (entry.label, *heard, *(NOT_SAID,) * 4, "", entry.licence, "")
    return (
        entry.label,
        *given,
        content_of(entry),
        _yes(entry.fits_per_style),
        _kilohertz(entry.sample_rate) or "as content",
        _kilohertz(entry.bandwidth_hz) or "whole",
        "any" if entry.longest_s is None else f"{entry.longest_s:g}",
        entry.work,
        entry.licence,
        "; ".join(entry.departures),
    )


def content_of(entry: MethodEntry) -> str:
    """How a method hears the content: audio, melody, words or none."""
    heard = [word for name, word in _HEARD.items() if name in entry.conditioned_on]
    return " + ".join(heard) or "none"


def _yes(condition: bool) -> str:
    return YES if condition else NO


def _kilohertz(hertz: float | None) -> str:
    return "" if hertz is None else f"{hertz / 1000:g}"


def capability_notes(run: Run) -> list[str]:
    """The same facts as notes for another table; competitors that share a limit share a line."""
    entries = [entry for entry in reading.ordered_methods(run) if not entry.control]
    fitting = [entry.label for entry in entries if entry.fits_per_style]
    cut = [entry for entry in entries if entry.bandwidth_hz is not None]
    lines = {
        "fits per style": ", ".join(fitting),
        "upper edge of the output": _grouped(
            cut, lambda entry: f"{_kilohertz(entry.bandwidth_hz)} kHz"
        ),
        "licence of weights": _grouped(entries, lambda entry: entry.licence),
    }
    return [f"{what}: {whom}" for what, whom in lines.items() if whom]


def _grouped(entries: list[MethodEntry], value: Callable[[MethodEntry], str]) -> str:
    groups: dict[str, list[str]] = {}
    for entry in entries:
        groups.setdefault(value(entry), []).append(entry.label)
    return "; ".join(f"{what}: {', '.join(labels)}" for what, labels in groups.items())
