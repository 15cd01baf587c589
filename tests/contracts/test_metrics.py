"""What the contract promises of every metric, asked of each one in the catalog.

A new metric gets these tests by being registered.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bench import catalog
from bench.api import Audio, Clip, Direction, Metric, MetricInfo, Output, Score, Style

ClipReader = Callable[[str, float], Clip]

SECONDS = 2.0
# The best output for these is the content itself; their best value is then reached.
COMPARES_WITH_CONTENT = {"cp", "chroma"}
# The best output for these is a recording of the style.
COMPARES_WITH_STYLE = {"sf.heldout", "sf.seen"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A loaded metric, and one content and style to score outputs against."""

    name: str
    info: MetricInfo
    metric: Metric
    content: Clip
    style: Style

    def score(self, *outputs: Audio, style: Style | None = None) -> list[Score]:
        """Score outputs in one call."""
        used = self.style if style is None else style
        return self.metric.score([Output(self.content, used, output) for output in outputs])

    def good(self) -> tuple[Audio, Audio, Audio]:
        """Three ordinary outputs: the content, a style clip, a held-out clip."""
        return (
            self.content.audio,
            self.style.clips[0].audio,
            self.style.heldout_clips[0].audio,
        )


@pytest.fixture(scope="session", params=list(catalog.metrics()))
def subject(request: pytest.FixtureRequest, bundled: ClipReader) -> Subject:
    """Each metric of the catalog, loaded in the mini profile."""
    name: str = request.param
    entry = catalog.find_metric(name)
    assert isinstance(entry.info, MetricInfo)
    metric: Metric = catalog.resolve(entry)()
    metric.load("mini", "cpu")
    seen, held_out = (
        tuple(bundled(f"style/accordion/accordion_{number}", SECONDS) for number in numbers)
        for numbers in ((1, 2), (3, 4))
    )
    return Subject(
        name,
        entry.info,
        metric,
        bundled("content/piano/piano_ode_to_joy", SECONDS),
        Style("accordion", seen, held_out, text="accordion"),
    )


def _like(audio: Audio, waveform: np.ndarray) -> Audio:
    return Audio(waveform.astype(np.float32), audio.sample_rate)


def test_there_is_one_score_per_output_under_the_name_of_the_catalog(subject: Subject) -> None:
    scores = subject.score(*subject.good())
    assert [score.name for score in scores] == [subject.name] * 3
    assert [score.status for score in scores] == ["ok"] * 3


def test_no_output_gives_no_score(subject: Subject) -> None:
    assert subject.score() == []


def test_values_lie_in_the_declared_range(subject: Subject) -> None:
    low, high = subject.info.range
    for score in subject.score(*subject.good()):
        assert score.value is not None
        assert low <= score.value <= high


def test_a_score_does_not_depend_on_order_or_company(subject: Subject) -> None:
    outputs = subject.good()
    together = [score.value for score in subject.score(*outputs)]
    backward = [score.value for score in subject.score(*reversed(outputs))][::-1]
    alone = [subject.score(output)[0].value for output in outputs]
    assert backward == pytest.approx(together, abs=1e-5)
    assert alone == pytest.approx(together, abs=1e-5)


def test_silence_scores_nothing_and_says_so(subject: Subject) -> None:
    (score,) = subject.score(
        _like(subject.content.audio, np.zeros((1, subject.content.audio.num_samples)))
    )
    assert score.status == "silent"
    assert score.value == 0.0
    assert score.reason


@pytest.mark.parametrize("fault", ["nan", "infinite", "empty", "wrong length"])
def test_a_broken_output_has_no_number(subject: Subject, fault: str) -> None:
    content = subject.content.audio
    waveform = content.waveform.copy()
    if fault == "nan":
        waveform[0, 100] = np.nan
    elif fault == "infinite":
        waveform[0, 100] = np.inf
    else:
        waveform = waveform[:, : 0 if fault == "empty" else content.num_samples // 2]
    fine, broken = subject.score(content, _like(content, waveform))
    assert fine.status == "ok"
    assert (broken.status, broken.value, broken.raw) == ("invalid_output", None, None)
    assert broken.reason


def test_the_fingerprint_is_json_and_stays(subject: Subject) -> None:
    first = json.dumps(dict(subject.metric.fingerprint()), sort_keys=True)
    subject.score(subject.content.audio)
    assert json.dumps(dict(subject.metric.fingerprint()), sort_keys=True) == first
    assert first != "{}"


@pytest.mark.parametrize("subject", sorted(COMPARES_WITH_CONTENT), indirect=True)
def test_the_content_itself_is_the_ideal_output(subject: Subject) -> None:
    content, _, other = subject.good()
    best, lesser = subject.score(content, other)
    assert best.value == pytest.approx(1.0, abs=1e-4)
    assert _better(best, lesser, subject.info.direction)


@pytest.mark.parametrize("subject", sorted(COMPARES_WITH_STYLE), indirect=True)
def test_a_recording_of_the_style_fits_better_than_the_content(subject: Subject) -> None:
    content, _, recording = subject.good()
    best, lesser = subject.score(recording, content)
    assert _better(best, lesser, subject.info.direction)


def _better(one: Score, other: Score, direction: Direction) -> bool:
    assert one.value is not None
    assert other.value is not None
    return one.value > other.value if direction is Direction.MAXIMIZE else one.value < other.value


@pytest.mark.parametrize(
    ("subject", "lacking"),
    [
        ("sf.heldout", {"heldout_clips": ()}),
        ("sf.seen", {"clips": ()}),
        ("sf.text", {"text": None}),
        ("sf.text", {"text": "zxqv unheard of"}),
    ],
    indirect=["subject"],
)
def test_a_style_without_what_is_compared_is_declined(
    subject: Subject, lacking: dict[str, Any]
) -> None:
    style = dataclasses.replace(subject.style, **lacking)
    (score,) = subject.score(subject.content.audio, style=style)
    assert (score.status, score.value) == ("unsupported", None)
    assert score.reason


@pytest.mark.parametrize("name", list(catalog.metrics()))
def test_the_catalog_says_what_a_table_needs(name: str) -> None:
    info = catalog.find_metric(name).info
    assert isinstance(info, MetricInfo)
    assert info.title
    assert info.source
    assert info.range[0] < info.range[1]
