"""How far the outputs of each method are, as a set, from the held-out clips: KAD and FAD.

Read from `embeddings.jsonl`, which a run writes where a metric embeds sounds. Only sounds that have
a vector are in a set: a failed cell or a silent output is in none, so n must be read with the
number. Pooled over styles, and for each style that has clips enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench.outside.wording import some
from bench.records.embeddings import Embedded
from bench.records.schema import PlannedCell
from bench.records.store import EMBEDDINGS, Run
from bench.statistics.set_distance import (
    LEAST,
    MOST,
    PER_DIMENSION,
    SoundSet,
    bandwidth,
    comparable,
    frechet,
    kad_difference,
    kad_interval,
    shortage,
)
from reports.tables import notes, reading
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value, estimate

EVERY = ""  # in place of the name of a style, which has letters
BASELINE = "copy-content"
HOW = (
    f"KAD: unbiased squared maximum mean discrepancy x 100 of outputs and held-out clips, 0 for "
    "sets of one origin, which may be negative; every style counts alike, and pairs of outputs of "
    f"one content are left out; at least {LEAST} sounds on each side"
)
INTERVALS = (
    "intervals: 95 %, with the error of a bootstrap over styles, contents and clips (contents and "
    "clips alone with fewer than 5 styles); near 0 they are wider than they need be"
)
DIFFERENCE = (
    f"less {BASELINE}: KAD of the method less that of {BASELINE} on common cells, in the same "
    "draws; below 0 the method is closer to the clips than untouched contents are"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """One embedding with the sets that it hears.

    Args:
        heard: The vectors.
        references: The held-out clips of all styles.
        outputs: The outputs of each method, by label.
        widths: The bandwidth by style, and of all; of those alone that have one.
        known: The pairs of sets that were asked for, by method and style.
    """

    heard: Embedded
    references: SoundSet
    outputs: Mapping[str, SoundSet]
    widths: Mapping[str, float]
    known: dict[tuple[str, str], tuple[SoundSet, SoundSet]] = field(default_factory=dict)

    def pair(self, label: str, style: str) -> tuple[SoundSet, SoundSet]:
        """The outputs of a method and the clips, of one style or of all that both have."""
        if (label, style) not in self.known:
            sets = self.outputs[label], self.references
            if style != EVERY:
                sets = (
                    sets[0].where(sets[0].styles == style),
                    sets[1].where(sets[1].styles == style),
                )
            self.known[label, style] = comparable(*sets)
        return self.known[label, style]

    @property
    def least_fad(self) -> int:
        """Sounds on each side below which FAD is not told."""
        return PER_DIMENSION * int(self.heard.vectors.shape[1])

    def lack(self, label: str, style: str, least: int = LEAST) -> str:
        """Why a distance of a method is not told, in words; empty where it is."""
        short = shortage(*self.pair(label, style), least)
        return short or ("" if style in self.widths else "the held-out clips are all alike")

    def value(self, kind: str, label: str, style: str) -> Value:
        """A distance: "kad", "fad", or "gain", the KAD less that of the baseline."""
        lack = self.lack(label, style, self.least_fad if kind == "fad" else LEAST)
        if lack:
            return Missing("n/a", lack)
        outputs, clips = self.pair(label, style)
        if kind == "fad":
            return Estimate(frechet(outputs.vectors, clips.vectors), n=outputs.n)
        if kind == "kad":
            return estimate(kad_interval(outputs, clips, self.widths[style]))
        return None if label == BASELINE else self._gain(outputs, style)

    def _gain(self, outputs: SoundSet, style: str) -> Value:
        """KAD less that of the baseline, on the cells and styles that both have."""
        other = self.pair(BASELINE, style)[0]
        shared = set(outputs.cells) & set(other.cells)
        ours = outputs.where(np.array([cell in shared for cell in outputs.cells], dtype=np.bool_))
        ours, clips = comparable(ours, self.references)
        lack = shortage(ours, clips)
        if lack:
            return Missing("n/a", lack)
        return estimate(kad_difference(ours, other, clips, self.widths[style]))


def sets(run: Run, folders: Sequence[Path]) -> ResultTable | None:
    """Show the distance between outputs and held-out clips by every embedding of the run.

    Where no method has clips and outputs enough, there are no rows and a note says what is lacking.

    Args:
        run: The run, or several merged.
        folders: Its run folders.

    Returns:
        The table; None where the run has no vectors.
    """
    found, faults = reading.embedded(run, tuple(folders))
    if not found:
        return None
    judges = [_judge(run, heard) for heard in found]
    labels = [m.label for m in reading.ordered_methods(run) if m.label in judges[0].outputs]
    styles = [s for s in (EVERY, *run.header.styles) if _is_reached(judges, labels, s)]
    columns = _columns(judges, labels, styles)
    lines = [HOW, INTERVALS, *_notes(judges, labels)] if styles else [_lacking(judges)]
    return ResultTable(
        "Distances between sets of sounds",
        "sets",
        reading.identity(run),
        columns,
        tuple(_row(run, judges, columns, (label, s)) for s in styles for label in labels),
        (
            *notes.identity_notes(run),
            *lines,
            *_fault_notes(faults),
            notes.provenance_note(run),
        ),
        empty="" if styles else f"There is {_lacking(judges)}.",
    )


def _judge(run: Run, heard: Embedded) -> _Judge:
    by_method: dict[str, list[tuple[PlannedCell, str]]] = {cell.method: [] for cell in run.plan}
    for cell in run.plan:
        record = run.cells.get(cell.cell_id)
        digest = record.audio_digest if record is not None and record.status == "ok" else None
        if digest in heard.rows:
            by_method[cell.method].append((cell, str(digest)))
    outputs = {
        label: _sounds(heard, [(d, c.style, c.content, c.category) for c, d in own])
        for label, own in by_method.items()
    }
    clips = [(d, style, d, style) for style, digests in heard.clips.items() for d in digests]
    references = _sounds(heard, clips)
    return _Judge(heard, references, outputs, _widths(references))


def _sounds(heard: Embedded, rows: Sequence[tuple[str, str, str, str]]) -> SoundSet:
    """A set of sounds by their digests, styles, sources and categories."""
    digests, *names = zip(*rows, strict=True) if rows else ((), (), (), ())
    return SoundSet(heard.of(digests), *(np.array(one, dtype=np.str_) for one in names))


def _widths(references: SoundSet) -> dict[str, float]:
    found = {}
    for style in (EVERY, *np.unique(references.styles).tolist()):
        chosen = np.isin(references.styles, style) | (style == EVERY)
        try:
            found[style] = bandwidth(references.vectors[chosen])
        except ValueError:
            continue  # too few clips, or all alike
    return found


def _is_reached(judges: Sequence[_Judge], labels: Sequence[str], style: str) -> bool:
    return any(not judge.lack(label, style) for judge in judges for label in labels)


def _columns(
    judges: Sequence[_Judge], labels: Sequence[str], styles: Sequence[str]
) -> tuple[Column, ...]:
    found = [Column("method", "Method", text=True), Column("style", "Style", text=True)]
    for judge in judges:
        name, key = judge.heard.embedding, judge.heard.metric
        found.append(Column(f"kad.{key}", f"KAD ({name}) ↓", decimals=2))
        if BASELINE in judge.outputs:
            found.append(Column(f"gain.{key}", f"less {BASELINE} ({name}) ↓", decimals=2))
        if any(not judge.lack(label, s, judge.least_fad) for label in labels for s in styles):
            found.append(Column(f"fad.{key}", f"FAD ({name}) ↓"))
    return (*found, Column("n", "n", decimals=0), Column("clips", "Clips", decimals=0))


def _row(
    run: Run, judges: Sequence[_Judge], columns: Sequence[Column], place: tuple[str, str]
) -> Row:
    """The distances of a method on one style, or on all."""
    label, style = place
    entry = next(entry for entry in run.header.methods if entry.label == label)
    by_metric = {judge.heard.metric: judge for judge in judges}
    pairs = [judge.pair(label, style) for judge in judges]
    most, clips = (max(one.n for one in side) for side in zip(*pairs, strict=True))
    values: list[Value] = []
    for column in columns[2:-2]:
        kind, _, metric = column.key.partition(".")
        value = by_metric[metric].value(kind, label, style)
        if isinstance(value, Estimate):
            value = replace(value, says_n=value.n != most)
        values.append(value)
    group = reading.group_of(entry) if style == EVERY else style
    return Row((label, style or "all", *values, most, clips), group, method=label)


def _notes(judges: Sequence[_Judge], labels: Sequence[str]) -> list[str]:
    lines = [DIFFERENCE] if BASELINE in labels else []
    found = [(judge.widths.get(EVERY), judge.heard.embedding) for judge in judges]
    widths = ", ".join(f"{width:.4f} ({name})" for width, name in found if width is not None)
    lines.append(f"bandwidth of the kernel, the median distance between clips: {widths}")
    for judge in judges:
        name, size = judge.heard.embedding, judge.heard.vectors.shape[1]
        if all(judge.lack(label, EVERY, judge.least_fad) for label in labels):
            lines.append(
                f"FAD ({name}): n/a below {judge.least_fad} sounds on each side, {PER_DIMENSION} "
                f"for each of {size} dimensions, where its bias is larger than what it should find"
            )
        else:
            lines.append(f"FAD ({name}): of sounds as they come, whichever style they have")
    sizes = [len(one.styles) for judge in judges for one in judge.outputs.values()]
    if max(sizes) > MOST:
        lines.append(f"of more than {MOST} outputs, those of contents drawn at random are compared")
    return [*lines, *_absent_styles(judges[0], labels)]


def _absent_styles(judge: _Judge, labels: Sequence[str]) -> list[str]:
    """The methods that lack outputs of a style with clips, whose sets are not those of the rest."""
    styles = set(judge.references.styles.tolist())
    lacking = {label: styles - set(judge.outputs[label].styles.tolist()) for label in labels}
    return [
        f"{label}: without outputs of {some(sorted(gone), ', ')}, so compared with other clips"
        for label, gone in lacking.items()
        if gone
    ]


def _lacking(judges: Sequence[_Judge]) -> str:
    """Why there is no distance, for the method with the most outputs."""
    words = []
    for judge in judges:
        most = max(judge.outputs, key=lambda label: judge.pair(label, EVERY)[0].n)
        words.append(f"{judge.lack(most, EVERY)} ({judge.heard.embedding})")
    return f"no distance between sets: {'; '.join(words)}"


def _fault_notes(faults: Sequence[str]) -> list[str]:
    if not faults:
        return []
    return [f"lines of {EMBEDDINGS} that are damaged and left out: {len(faults)}"]
