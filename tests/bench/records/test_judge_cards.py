"""The committed judge cards: what they say, and where it is shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.api import RecordError
from bench.plan.suite import METRICS
from bench.records.judge_cards import (
    JUDGE_CARDS,
    Area,
    Hearing,
    JudgeCard,
    card_of,
    read_judge_cards,
    write_judge_cards,
)
from bench.records.schema import MetricEntry

CARDS = read_judge_cards()
# What is said of a metric in README and docs; a mixture is no headline.
KNOWN = {
    "chroma": "content",
    "cp": "style",
    "sf.heldout": "style",
    "sf.seen": "style",
    "target.chroma": "content",
    "target.mel": "mixture",
    "sf.margin": "style",
    "sf.musicnn": "style",
    "sf.musicnn.margin": "style",
    "notes": "content",
    "melody": "content",
    "lpaps": "mixture",
    "cqt1-pcc": "weak",
}


def hearing(notes: float | None, timbre: float | None, balance: float | None) -> Hearing:
    return Hearing(
        clips="2 pieces x 3 instruments",
        form="two clips",
        notes=Area(value=notes),
        timbre=Area(value=timbre),
        balance=Area(value=balance),
        means={},
        outputs=1,
        scored=1,
    )


def card(*hearings: Hearing) -> JudgeCard:
    return JudgeCard(
        metric="m", title="M", fingerprint="0", measure="0", dataset=("d", "0"), profile="mini",
        seed=0, hears_content=True, hears_style=False, hearings=hearings,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("heard", "verdict", "phrase"),
    [
        (hearing(0.9, 0.6, 0.8), "content", "hears notes .90, timbre .60"),
        (hearing(0.9, 0.6, 0.79), "weak", "hears notes .90, timbre .60"),
        (hearing(0.56, 0.9, 0.25), "style", "hears timbre .90, notes .56"),
        (hearing(0.56, 0.9, 0.26), "weak", "hears timbre .90, notes .56"),
        (hearing(0.88, 0.91, 0.55), "mixture", "hears timbre .91, notes .88"),
        (hearing(None, 0.9, None), "unknown", None),
    ],
)
def test_numbers_decide_what_a_metric_judges(
    heard: Hearing, verdict: str, phrase: str | None
) -> None:
    assert (card(heard).verdict, card(heard).phrase) == (verdict, phrase)


def test_the_first_set_of_clips_is_the_main_one() -> None:
    both = card(hearing(1.0, 0.5, 1.0), hearing(0.5, 1.0, 0.0))
    assert both.verdict == "content"


@pytest.mark.parametrize(("metric", "verdict"), KNOWN.items())
def test_the_committed_cards_say_what_is_said(metric: str, verdict: str) -> None:
    assert CARDS[metric].verdict == verdict


def test_every_default_metric_has_a_card() -> None:
    assert set(METRICS) <= set(CARDS)
    assert all(name == one.metric for name, one in CARDS.items())
    assert {one.dataset for one in CARDS.values()} == {next(iter(CARDS.values())).dataset}


def test_a_card_belongs_to_one_measure_whatever_the_libraries(checkout: Path) -> None:
    """That of another checkpoint, as in the full profile, has no card."""
    rows = json.loads((checkout / "metrics" / "reference_values.json").read_text(encoding="utf-8"))
    for name, heard in {"chroma": "notes 1.00, timbre .53", "cp": "timbre .94, notes .55"}.items():
        detail = rows["metrics"][name]["mini"]["fingerprint"]
        entry = MetricEntry(
            name=name, title="T", direction="maximize", range=(0.0, 1.0), source="s", version="1",
            fingerprint_detail={**detail, "libraries": {"numpy": "9"}},
        )  # fmt: skip
        found = card_of(entry)
        assert found is not None
        assert found.phrase == f"hears {heard}"
        other = entry.model_copy(update={"fingerprint_detail": {**detail, "checkpoint": "other"}})
        assert card_of(other) is None
        assert card_of(entry.model_copy(update={"name": "no-such-metric"})) is None


def test_the_page_shows_what_the_cards_say(checkout: Path) -> None:
    """Write it anew with `make judges`, or `python docs/making/judges.py`."""
    sys.path.insert(0, str(checkout / "docs" / "making"))
    try:
        import judges
    finally:
        sys.path.pop(0)
    assert judges.PAGE.read_text(encoding="utf-8") == judges.page()


def test_cards_stand_beside_those_that_were_there(tmp_path: Path) -> None:
    file = tmp_path / "cards.json"
    first, second = card(hearing(1.0, 0.5, 1.0)), card()
    write_judge_cards(file, {"b": first})
    write_judge_cards(file, {"a": second})
    assert read_judge_cards(file) == {"a": second, "b": first}
    write_judge_cards(file, dict(CARDS))
    write_judge_cards(tmp_path / "copy.json", dict(CARDS))
    assert (tmp_path / "copy.json").read_bytes() == JUDGE_CARDS.read_bytes()


def test_what_is_no_file_of_cards_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cards.json"
    assert read_judge_cards(file) == {}
    file.write_text('{"cards": 3}')
    with pytest.raises(RecordError, match=r"cards\.json cannot be read as judge cards .*--out"):
        read_judge_cards(file)
