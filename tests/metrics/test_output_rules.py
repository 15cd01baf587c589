"""The edge cases of outputs, the same for every metric."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio, Clip, Metric, Output, Style
from metrics.chroma import ChromaSimilarity
from metrics.clap_scores import (
    ContentPreservation,
    StyleFitHeldout,
    StyleFitSeen,
    StyleFitText,
)

RATE = 22050
TIME = np.arange(RATE) / RATE
NOTE = (0.2 * np.sin(2 * np.pi * 440 * TIME)).astype(np.float32)[None]
CONTENT = Clip("note", "tone", Audio(NOTE.copy(), RATE))
STYLE = Style("accordion", (CONTENT,), (CONTENT,), "accordion music")


def output(waveform: object, *, style: Style = STYLE, content: Clip = CONTENT) -> Output:
    return Output(content, style, Audio(np.array(waveform, np.float32), RATE))


@pytest.fixture(
    scope="module",
    params=[ContentPreservation, StyleFitHeldout, StyleFitSeen, StyleFitText, ChromaSimilarity],
)
def metric(request: pytest.FixtureRequest) -> Metric:
    loaded: Metric = request.param()
    loaded.load("mini", "cpu")
    return loaded


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (np.where(np.arange(RATE) == 7, np.nan, NOTE), "1 samples that are NaN"),
        (np.full((1, RATE), np.inf), "NaN or infinite"),
        (np.zeros((1, 0)), "empty"),
        (np.zeros((0, RATE)), "empty"),
        (NOTE[:, :-2000], "its content lasts 1.000 s"),
        (np.concatenate([NOTE, NOTE], axis=1), "its content lasts 1.000 s"),
        (NOTE[:, :4000], "shortest"),
    ],
    ids=["nan", "infinite", "no samples", "no channels", "cut", "too long", "very short"],
)
def test_a_broken_output_is_invalid_and_has_no_number(
    metric: Metric, waveform: np.ndarray, reason: str
) -> None:
    (score,) = metric.score([output(waveform)])
    assert (score.status, score.value, score.raw) == ("invalid_output", None, None)
    assert reason in str(score.reason)


def test_a_silent_output_scores_zero_and_says_so(metric: Metric) -> None:
    (score,) = metric.score([output(np.zeros((1, RATE)))])
    assert (score.status, score.value, score.raw) == ("silent", 0.0, 0.0)
    assert "silent" in str(score.reason)


def test_opposite_channels_count_as_silence(metric: Metric) -> None:
    (score,) = metric.score([output(np.concatenate([NOTE, -NOTE]))])
    assert score.status == "silent"


def test_fifty_milliseconds_are_forgiven(metric: Metric) -> None:
    (score,) = metric.score([output(NOTE[:, :-1000])])
    assert score.status == "ok"


def test_clipping_and_an_offset_still_score(metric: Metric) -> None:
    loud, shifted = output(20 * NOTE), output(NOTE + 0.3)
    assert [score.status for score in metric.score([loud, shifted])] == ["ok", "ok"]


def test_a_bad_output_leaves_its_neighbours_alone(metric: Metric) -> None:
    good, bad = output(NOTE), output(np.full((1, RATE), np.nan))
    scores = metric.score([good, bad, good])
    assert [score.status for score in scores] == ["ok", "invalid_output", "ok"]
    assert scores[0] == scores[2]


def test_values_keep_the_range(metric: Metric) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((1, RATE))
    (score,) = metric.score([output(noise)])
    assert score.value is not None
    assert score.raw is not None
    assert 0 <= score.value <= 1
    assert score.value == max(0.0, score.raw)


def test_no_outputs_give_no_scores(metric: Metric) -> None:
    assert metric.score([]) == []


@pytest.mark.parametrize("kind", [ContentPreservation, ChromaSimilarity])
def test_a_silent_content_has_no_score(kind: type[Metric]) -> None:
    content = Clip("rest", "tone", Audio(np.zeros((1, RATE), np.float32), RATE))
    metric = kind()
    metric.load("mini", "cpu")
    (score,) = metric.score([output(NOTE, content=content)])
    assert (score.status, score.value) == ("unsupported", None)
    assert "content is silent" in str(score.reason)


def test_a_style_without_heldout_clips_has_no_heldout_score() -> None:
    metric = StyleFitHeldout()
    metric.load("mini", "cpu")
    (score,) = metric.score([output(NOTE, style=Style("bird", (CONTENT,)))])
    assert (score.status, score.value, score.raw) == ("unsupported", None, None)
    assert score.reason == "style 'bird' has no held-out clips"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "has no text"),
        ("", "empty text"),
        ("kalimba music", "text unknown to this model: kalimba"),
        ("zither and accordion", "text unknown to this model: and, zither"),
    ],
)
def test_a_text_the_model_does_not_know_has_no_score(text: str | None, reason: str) -> None:
    metric = StyleFitText()
    metric.load("mini", "cpu")
    style = Style("kalimba", (CONTENT,), (), text)
    (score,) = metric.score([output(NOTE, style=style)])
    assert (score.status, score.value) == ("unsupported", None)
    assert reason in str(score.reason)
