"""Which clips a listening test plays: sets balanced over styles, contents and scores.

A set is one content in one style. It plays both as labelled references and then, in random order,
the output of each method and hidden clips: a copy of the content, one of the style, one of these
two a second time, and the beginning of another content, which has **strayed** into the set. A
listener who hears neither that a copy keeps its content (or has its style) nor that it lacks the
other, nor that the stray clip has nothing of either, was not listening; `reports.listening.care`
has the rule. Marks of a second time and of stray clips count for nothing else.

A copy deserves a **low** mark for the other question unless the run's own measure says otherwise: a
content that scores above the middle between the copies of contents and of styles, on average, may
well have the sound of its style already, and a style clip may play the content's tune. Where a run
has no such measure the two clips count as unlike. The same measure says whether a stray clip
deserves a low mark for the style, and one that does is preferred. That two contents are different
pieces is taken from their being two contents.

The three questions are those of the study in Li et al. (2024), section 4.3.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.api import ConfigError, RecordError, UnknownNameError
from bench.errors import nearest
from bench.records.schema import PlannedCell
from bench.records.store import Run
from bench.seeds import derive_seed
from reports.tables.reading import STYLE_FITS
from reports.titles import shown_labels

TITLES = {"cp": "Content", "sf": "Style", "ovl": "Overall"}
WORDS = {
    "cp": "How well is the content kept: its melody, its rhythm and so on?",
    "sf": "How well does the sound fit the style: its timbre and its typical sounds?",
    "ovl": "How good is the result overall: do content and style fuse into one?",
}
Question = Literal["cp", "sf", "ovl"]
QUESTIONS: tuple[Question, ...] = ("cp", "sf", "ovl")
MARKS = ("bad", "poor", "fair", "good", "excellent")  # 1 to 5
CHECKS = {"copy-content": "cp", "copy-style": "sf"}  # hidden control -> the question it must pass
MEASURES = {"cp": ("cp",), "sf": STYLE_FITS}  # that tell whether a copy fits a question
LEAST_HEARD = 0.9  # of a clip, before its set is done: all of it, but for what is lost in seeking
STRAY_S = 5.0  # of a stray clip: long enough to hear that it is another piece
PRACTICE_METHODS = 2  # that the practice set plays beside its hidden control
TERCILES = 3


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One clip to be rated."""

    method: str
    cell_id: str
    path: str  # within the run folder
    check: str  # the question that a hidden control must pass, else empty
    low: str = ""  # the question for which a hidden control deserves a low mark, if any
    again: bool = False  # the same sound stands in the set twice, and this is the second time
    stray: tuple[Question, ...] = ()  # the questions for which a stray clip deserves a low mark

    @property
    def is_hidden(self) -> bool:
        """Whether it tells who is listening."""
        return bool(self.check or self.stray)

    def heard_s(self, length_s: float) -> float:
        """How much of its sound is played, in seconds."""
        return min(length_s, STRAY_S) if self.stray else length_s


@dataclass(frozen=True, slots=True)
class RatedSet:
    """One content in one style, with the two references and the clips to be rated."""

    style: str
    content: str
    repetition: int
    style_path: str
    content_path: str
    stimuli: tuple[Stimulus, ...]


Key = tuple[str, str, int]  # style, content, repetition


def choose_sets(
    run: Run, count: int, seed: int, methods: Sequence[str] = ()
) -> tuple[RatedSet, ...]:
    """The sets of `choose` without the practice."""
    return choose(run, count, seed, methods)[0]


def choose(
    run: Run, count: int, seed: int, methods: Sequence[str] = ()
) -> tuple[tuple[RatedSet, ...], RatedSet | None]:
    """Draw sets in which every method has a sound, and one more to practise with.

    Each further set has the style, content and third of the mean CP that were drawn least so far;
    the seed decides between equals. Good outputs are not preferred. The practice is the set that
    would be drawn next, with few of its clips; there is none where the run has no further pair.

    Args:
        run: The run.
        count: How many sets.
        seed: Another seed draws other sets.
        methods: Labels of the methods; by default all that are not controls.

    Raises:
        UnknownNameError: The run does not have one of the methods.
        RecordError: The run lacks the controls that play the inputs, or has too few such sets.
    """
    labels = chosen_labels(run, methods)
    _require_checks(run)
    sounds = _sounds(run)
    complete = [key for key in _keys(run) if _is_complete(sounds, key, labels)]
    if len(complete) < count:
        raise RecordError(
            f"{run.folder} has {len(complete)} pairs of a style and a content in which every "
            f"method and {', '.join(CHECKS)} ended well; the test asks for {count}. Give a lower "
            "--sets, fewer --method, or finish the run."
        )
    number = min(count + 1, len(complete))
    drawn = _balanced(complete, _thirds(run, complete, labels), number, seed)
    hidden = list(CHECKS)
    strays = _strays(sounds, drawn[:count])
    sets = tuple(
        _with_more(_set(sounds, key, labels, hidden), hidden[place % len(hidden)], strays[key])
        for place, key in enumerate(drawn[:count])
    )
    spare = [_set(sounds, key, labels[:PRACTICE_METHODS], hidden[:1]) for key in drawn[count:]]
    return sets, spare[0] if spare else None


def _require_checks(run: Run) -> None:
    """Refuse a run without the controls that show whether a listener listens."""
    there = {cell.method for cell in run.plan}
    lacking = [control for control in CHECKS if control not in there]
    if lacking:
        named = f"control{'s' if len(lacking) > 1 else ''} {' and '.join(lacking)}"
        raise RecordError(
            f"{run.folder} was run without {named}; a test hides {' and '.join(CHECKS)} among the "
            f"methods, to tell who listens. Run it with {named}: the same command with "
            f"{','.join(lacking)} added to --methods, and --out {run.folder}."
        )


def chosen_labels(run: Run, wanted: Sequence[str]) -> list[str]:
    """The labels of some methods, or of all that are not controls.

    Raises:
        UnknownNameError: The run does not have one of them.
        ConfigError: One stands there twice.
    """
    shown = shown_labels(run.header.methods)
    labels = {name: label for label, name in shown.items()} | {label: label for label in shown}
    known = list(dict.fromkeys([*shown.values(), *shown]))
    for label in wanted:
        if label not in known:
            raise UnknownNameError(
                f"method {label!r} is not in {run.folder}; it has {', '.join(known)}."
                f"{nearest(label, known)}"
            )
    chosen = [labels[name] for name in wanted]
    if len(set(chosen)) < len(chosen):
        raise ConfigError(
            f"--method names {', '.join(wanted)}; each may stand once. Leave one of them out."
        )
    return chosen or [m.label for m in run.header.methods if not m.control]


def _keys(run: Run) -> list[Key]:
    return list(dict.fromkeys((c.style, c.content, c.repetition) for c in run.plan))


def _sounds(run: Run) -> dict[tuple[str, Key], Stimulus]:
    """The output of each method, by its label and, for the hidden controls, by catalog name."""
    found = {}
    unlike = {question: _unlike(run, question) for question in CHECKS.values()}
    for cell in run.plan:
        record = run.cells.get(cell.cell_id)
        if record is None or record.status != "ok" or record.audio is None:
            continue
        key = (cell.style, cell.content, cell.repetition)
        for name in {cell.method, cell.method_name}:
            found[name, key] = _stimulus(cell, record.audio, unlike)
    return found


def _stimulus(cell: PlannedCell, path: str, unlike: Mapping[str, Collection[str]]) -> Stimulus:
    check = CHECKS.get(cell.method_name, "")
    other = next((q for q in CHECKS.values() if check and q != check), "")
    low = other if other and cell.cell_id in unlike[other] else ""
    return Stimulus(cell.method, cell.cell_id, path, check, low)


def _unlike(run: Run, question: str) -> frozenset[str]:
    """The cells of copies that deserve a low mark for a question, see the head of this module."""
    passes = {name: asked == question for name, asked in CHECKS.items()}
    copies = {
        cell.cell_id: passes[cell.method_name] for cell in run.plan if cell.method_name in passes
    }
    for measure in MEASURES[question]:
        scores = {cell: run.scores.get((cell, measure)) for cell in copies}
        values = {c: s.value for c, s in scores.items() if s is not None and s.value is not None}
        ends = [[v for c, v in values.items() if copies[c] == high] for high in (False, True)]
        if all(ends):
            middle = sum(float(np.mean(end)) for end in ends) / len(ends)
            return frozenset(c for c, v in values.items() if not copies[c] and v < middle)
    return frozenset(copies)


def _is_complete(sounds: dict[tuple[str, Key], Stimulus], key: Key, labels: Sequence[str]) -> bool:
    return bool(labels) and all((name, key) in sounds for name in (*labels, *CHECKS))


def _thirds(run: Run, keys: Sequence[Key], labels: Sequence[str]) -> dict[Key, int]:
    """The third of the mean CP of its methods in which each pair lies; without scores, any."""
    values: dict[Key, list[float]] = {key: [] for key in keys}
    for cell in run.plan:
        score = run.scores.get((cell.cell_id, "cp"))
        key = (cell.style, cell.content, cell.repetition)
        if key in values and cell.method in labels and score and score.value is not None:
            values[key].append(score.value)
    means = np.array([np.mean(v) if v else 0.0 for v in values.values()])
    ranks = means.argsort(kind="stable").argsort(kind="stable")
    return dict(zip(keys, (ranks * TERCILES // max(len(keys), 1)).tolist(), strict=True))


def _balanced(keys: Sequence[Key], thirds: dict[Key, int], count: int, seed: int) -> list[Key]:
    generator = random.Random(derive_seed("listening", seed))  # noqa: S311 - a draw, not a secret
    left = sorted(keys)
    generator.shuffle(left)
    used: Counter[tuple[str, str | int]] = Counter()
    drawn = []
    for _ in range(count):
        best = min(left, key=lambda key: sum(used[trait] for trait in _traits(key, thirds)))
        left.remove(best)
        drawn.append(best)
        used.update(_traits(best, thirds))
    return drawn


def _traits(key: Key, thirds: dict[Key, int]) -> tuple[tuple[str, str | int], ...]:
    style, content, _ = key
    return (("style", style), ("content", content), ("third", thirds[key]))


def _set(
    sounds: dict[tuple[str, Key], Stimulus], key: Key, labels: Sequence[str], hidden: Sequence[str]
) -> RatedSet:
    style, content, repetition = key
    rated = dict.fromkeys(sounds[name, key] for name in (*labels, *hidden))
    return RatedSet(
        style, content, repetition, sounds["copy-style", key].path,
        sounds["copy-content", key].path, tuple(rated),
    )  # fmt: skip


def _with_more(one: RatedSet, control: str, stray: Stimulus | None) -> RatedSet:
    """A set in which the hidden control comes a second time, and a stray clip."""
    (first,) = (s for s in one.stimuli if s.check == CHECKS[control])
    more = (replace(first, again=True), *([stray] if stray else []))
    return replace(one, stimuli=(*one.stimuli, *more))


def _strays(
    sounds: Mapping[tuple[str, Key], Stimulus], keys: Sequence[Key]
) -> dict[Key, Stimulus | None]:
    """Another content for each set, each as seldom as can be; none where there is one content."""
    used: Counter[str] = Counter()
    found: dict[Key, Stimulus | None] = {}
    for key in keys:
        style, content, repetition = key
        others = {
            other: sound
            for (name, (its_style, other, its_repetition)), sound in sounds.items()
            if name == "copy-content"
            and (its_style, its_repetition) == (style, repetition)
            and other != content
        }
        best = min(others, key=lambda one: (not others[one].low, used[one], one), default=None)
        found[key] = None if best is None else _stray(others[best])
        used.update([best] if best is not None else [])
    return found


def _stray(copy: Stimulus) -> Stimulus:
    """The copy of another content: low for content and result, and for style where it is unlike."""
    asked = tuple(q for q in QUESTIONS if q != "sf" or copy.low == "sf")
    return replace(copy, check="", low="", stray=asked)
