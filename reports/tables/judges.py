"""Judge cards as tables: what each metric hears, and what it makes of each change."""

from __future__ import annotations

import math
from collections.abc import Mapping

from bench.records.judge_cards import Area, Hearing, JudgeCard
from reports.text.result_table import Column, Estimate, Missing, ResultTable, Row, Value

NO_ANSWER = Missing("n/a", "the metric gave no score")
_WORDS = {
    "content": "content",
    "style": "style",
    "mixture": "both: a mixture",
    "weak": "neither reliably",
    "unknown": "unknown",
}
_KINDS = {  # the mean of these stands first, second and third
    "two clips": ("same piece", "same instrument", "neither"),
    "clip and style": ("right", "wrong notes", "wrong timbre"),
}


def hearing_table(cards: Mapping[str, JudgeCard]) -> ResultTable:
    """What each metric hears on each set of clips, with 95 % intervals."""
    columns = (
        Column("metric", "Metric", text=True),
        Column("clips", "Clips", text=True),
        Column("means", "Mean scores", text=True, wide=True),
        Column("notes", "Hears notes", decimals=2),
        Column("timbre", "Hears timbre", decimals=2),
        Column("balance", "Notes before timbre", decimals=2),
        Column("nearest", "Nearest style is right", text=True, wide=True),
        Column("verdict", "Judges", text=True),
    )
    rows = [
        Row(_hearing(name, hearing), group=name, method=name)
        for name, card in cards.items()
        for hearing in card.hearings
    ]
    rows += [
        Row((name, *(NO_ANSWER for _ in columns[1:-1]), _WORDS["unknown"]), group=name)
        for name, card in cards.items()
        if not card.hearings
    ]
    return ResultTable(
        "What each metric hears", "judges", _identity(cards), columns, tuple(rows), _notes(cards)
    )


def _hearing(name: str, hearing: Hearing) -> tuple[Value, ...]:
    found = hearing.nearest
    return (
        name,
        hearing.clips,
        _means(hearing),
        _area(hearing.notes),
        _area(hearing.timbre),
        _area(hearing.balance),
        None if found is None else f"{found[0]} of {found[1]}",
        _WORDS[hearing.verdict],
    )


def _means(hearing: Hearing) -> str:
    kinds = _KINDS[hearing.form]
    words = [f"{kind} {_number(hearing.means.get(kind))}" for kind in kinds]
    lacking = hearing.outputs - hearing.scored
    return ", ".join(words) + (f"; {lacking} of {hearing.outputs} n/a" if lacking else "")


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def _area(area: Area) -> Value:
    if area.value is None:
        return NO_ANSWER
    low, high = (math.nan if end is None else end for end in (area.low, area.high))
    return Estimate(area.value, low, high)


def response_table(cards: Mapping[str, JudgeCard]) -> ResultTable:
    """The mean score of a right output after each change, and unchanged in the first column."""
    changes = list(dict.fromkeys(change for card in cards.values() for change in card.responses))
    columns = (
        Column("change", "Change of a right output", text=True),
        *(Column(name, name, decimals=2) for name in cards),
    )
    rows = [
        Row((change.replace("_", " "), *(_answer(card, change) for card in cards.values())))
        for change in changes
    ]
    return ResultTable(
        "Mean score after a change", "responses", _identity(cards), columns, tuple(rows)
    )


def _answer(card: JudgeCard, change: str) -> Value:
    value = card.responses.get(change)
    return NO_ANSWER if value is None else value


def _identity(cards: Mapping[str, JudgeCard]) -> str:
    sets = dict.fromkeys(
        f"dataset {card.dataset[0]} ({card.dataset[1]}), profile {card.profile}, seed {card.seed}"
        for card in cards.values()
    )
    return "; ".join(sets)


_READING = (
    (
        "hears: area under the ROC curve between right and wrong [95 %, pieces and instruments "
        "drawn anew]; 1 always tells them apart, .5 never"
    ),
    (
        "notes before timbre: how often right notes with wrong timbre come out closer than wrong "
        "notes with right timbre"
    ),
)
_ASKED = {
    "two clips": (
        "a metric whose scores change with the content is asked about all pairs of clips: same "
        "piece on another instrument, same instrument with another piece, or neither"
    ),
    "clip and style": (
        "a metric whose scores change with the style is asked about a piece in a style: done "
        "right, with wrong notes on the right instrument, or right notes on a wrong one; where "
        "it cannot see the content, it cannot tell right notes from wrong ones (.50)"
    ),
}


def _notes(cards: Mapping[str, JudgeCard]) -> tuple[str, ...]:
    forms = {hearing.form for card in cards.values() for hearing in card.hearings}
    return (*_READING, *(words for form, words in _ASKED.items() if form in forms))
