"""Judge cards: what each metric hears, measured on clips whose truth is known.

`python -m bench judge` measures them and `metrics/judge_cards.json` keeps those of this project, so
that whatever shows a score can say what its metric hears without loading one.

**Conventions**: shares lie in [0, 1]; .5 of an area under the ROC curve says "cannot tell". A card
without a number has None there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bench.api import RecordError
from bench.checkout import CHECKOUT, COMMAND
from bench.files import json_digest, replace_file
from bench.outside.texts import MOST_JSON_BYTES, read_text
from bench.records.schema import MetricEntry, Record

JUDGE_CARDS = CHECKOUT / "metrics" / "judge_cards.json"
# What a content judge must reach: it tells right notes from wrong ones, and prefers them to timbre.
CONTENT_AREA, CONTENT_BALANCE = 0.9, 0.8
STYLE_AREA, STYLE_BALANCE = 0.9, 0.25
HEARS = 0.7  # from this area on something is heard, if not reliably

Form = Literal["two clips", "clip and style"]
Verdict = Literal["content", "style", "mixture", "weak", "unknown"]


class Area(Record):
    """An area under the ROC curve with its 95 % interval."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Hearing(Record):
    """What a metric heard on one set of clips, each piece played by each instrument.

    Attributes:
        clips: The set, in words: "8 pieces x 8 instruments".
        form: "two clips" where the metric compares an output with one clip, its content or the true
            result: then all pairs of clips are compared. "clip and style" where it compares it with
            the clips of a style.
        notes: Area between right and wrong notes: same piece or not.
        timbre: Area between right and wrong timbre: same instrument or not.
        balance: How often the same piece on another instrument comes out closer than another piece
            on the same instrument: 1 for who hears notes alone, 0 for timbre alone.
        means: Mean score of each kind of comparison, by its name.
        outputs: How many comparisons were scored.
        scored: How many of them got a number.
        nearest: Of how many outputs the right style is the nearest, for "clip and style".
    """

    clips: str
    form: Form
    notes: Area
    timbre: Area
    balance: Area
    means: dict[str, float | None]
    outputs: int
    scored: int
    nearest: tuple[int, int] | None = None

    @property
    def of_a_true_transfer(self) -> float | None:
        """The mean score of outputs that are right: the same piece, on the instrument asked for."""
        return self.means.get("same piece" if self.form == "two clips" else "right")

    @property
    def verdict(self) -> Verdict:
        """What kind of judge this is."""
        notes, timbre, balance = self.notes.value, self.timbre.value, self.balance.value
        if notes is None or timbre is None or balance is None:
            return "unknown"
        if notes >= CONTENT_AREA and balance >= CONTENT_BALANCE:
            return "content"
        if timbre >= STYLE_AREA and balance <= STYLE_BALANCE:
            return "style"
        return "mixture" if min(notes, timbre) >= HEARS else "weak"


class JudgeCard(Record):
    """What one metric hears.

    Attributes:
        metric: Its name.
        title: Its title in tables.
        fingerprint: Digest of all that decides its scores, 12 hex digits.
        measure: The same without the versions of libraries, see `measure_digest`.
        dataset: Name of the dataset, and the head of its digest.
        profile: Which checkpoint was loaded.
        seed: Decides the intervals and the noise.
        hears_content: Whether a score depends on the content or the true result.
        hears_style: Whether it depends on the clips of the style.
        hearings: One per set of clips and form; the first is the main one.
        responses: Mean score after each change of a right output, by the name of the change.
    """

    metric: str
    title: str
    fingerprint: str
    measure: str
    dataset: tuple[str, str]
    profile: str
    seed: int
    hears_content: bool
    hears_style: bool
    hearings: tuple[Hearing, ...] = ()
    responses: dict[str, float | None] = Field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """What kind of judge it is on the main set of clips."""
        return self.hearings[0].verdict if self.hearings else "unknown"

    @property
    def phrase(self) -> str | None:
        """What it hears in a few words: "hears timbre .95, notes .56"; None where it is not known.

        The numbers are areas under the ROC curve: 1 always, .5 not at all.
        """
        if self.verdict == "unknown":
            return None
        heard = [("notes", self.hearings[0].notes), ("timbre", self.hearings[0].timbre)]
        ordered = sorted(heard, key=lambda item: -(item[1].value or 0.0))
        return "hears " + ", ".join(f"{name} {share(area.value)}" for name, area in ordered)


class JudgeCards(Record):
    """All cards of a file, by the name of the metric."""

    cards: dict[str, JudgeCard] = Field(default_factory=dict)


def share(value: float | None) -> str:
    """A number in [0, 1] as short as tables have it.

    Example:
        >>> share(0.9472), share(1.0), share(None)
        ('.95', '1.00', '-')
    """
    return "-" if value is None else f"{value:.2f}".removeprefix("0")


def read_judge_cards(path: Path = JUDGE_CARDS) -> Mapping[str, JudgeCard]:
    """The cards of a file, by the name of the metric; none where there is no such file.

    Raises:
        RecordError: `judge` has not written the file.
    """
    if not path.is_file():
        return {}
    try:
        return JudgeCards.model_validate_json(read_text(path, MOST_JSON_BYTES)).cards
    except (OSError, ValueError) as error:
        raise RecordError(
            f"{path} cannot be read as judge cards ({type(error).__name__}); it must be a file "
            f"that `{COMMAND} judge --out FILE` wrote. Restore it, or name another."
        ) from error


def write_judge_cards(path: Path, cards: Mapping[str, JudgeCard]) -> None:
    """Put cards into a file; those of other metrics that it holds stay.

    Raises:
        RecordError: The file holds something else.
    """
    held = {**read_judge_cards(path), **cards}
    whole = JudgeCards(cards=dict(sorted(held.items())))
    replace_file(path, json.dumps(whole.model_dump(mode="json"), indent=1) + "\n")


def card_of(metric: MetricEntry) -> JudgeCard | None:
    """The card of what a metric measured in a run; None where nobody has measured that.

    A checkpoint or a setting that the card was not made with has none, as CLAP's in the full
    profile; other versions of libraries and another set of styles change no card.
    """
    card = _own_cards().get(metric.name)
    known = card is not None and card.measure == measure_digest(metric.fingerprint_detail)
    return card if known else None


def measure_digest(detail: Mapping[str, Any]) -> str:
    """Digest of what a metric measures, 12 hex digits.

    Args:
        detail: What its fingerprint stands for.

    Example:
        >>> measure_digest({"version": "1", "libraries": {"numpy": "2.0"}, "styles": "1f2e"}) == (
        ...     measure_digest({"version": "1"}))
        True
    """
    return json_digest(_lasting(detail))[:12]


def _lasting(detail: Mapping[str, Any]) -> dict[str, Any]:
    """The facts without libraries and the set of styles, at every depth."""
    return {
        name: _lasting(fact) if isinstance(fact, Mapping) else fact
        for name, fact in detail.items()
        if name not in {"libraries", "styles"}
    }


@lru_cache(maxsize=1)
def _own_cards() -> Mapping[str, JudgeCard]:
    return read_judge_cards()
