"""What an output must be: the rules themselves, and that every metric keeps them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.api import Audio, Clip, Metric, Output, Score, Style, UnsupportedError
from bench.failure import Failure
from bench.outputs import find_fault, frame_rms, is_silent, judge, require_sound, restore
from metrics.chroma import ChromaSimilarity
from metrics.clap import as_published
from metrics.clap.scores import (
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


def noise(num_samples: int, sample_rate: int) -> Audio:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (1, num_samples))
    return Audio(samples.astype(np.float32), sample_rate)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("side", [-1, 1], ids=["shorter", "longer"])
@pytest.mark.parametrize(("off_s", "allowed"), [(0.049, True), (0.051, False)])
def test_fifty_milliseconds_divide_what_is_restored_from_what_is_invalid(
    sample_rate: int, side: int, off_s: float, allowed: bool
) -> None:
    content = noise(2 * sample_rate, sample_rate)
    output = noise(2 * sample_rate + side * round(off_s * sample_rate), sample_rate)
    restored = restore(output, content, content)
    fault = find_fault(output, content)
    if allowed:
        assert isinstance(restored, Audio)
        assert restored.num_samples == content.num_samples
        assert fault is None
    else:
        assert isinstance(restored, Failure)
        assert restored.status == "invalid_output"
        assert restored.reason == f"output has {output.duration_s:.3f} s, not 2.000 s"
        assert fault == f"output lasts {output.duration_s:.3f} s; its content lasts 2.000 s"


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize("side", [-1, 1], ids=["shorter", "longer"])
def test_exactly_fifty_milliseconds_are_allowed(sample_rate: int, side: int) -> None:
    content = noise(sample_rate, sample_rate)
    for beyond, allowed in ((0, True), (1, False)):
        off = side * (sample_rate // 20 + beyond)
        output = noise(sample_rate + off, sample_rate)
        assert isinstance(restore(output, content, content), Audio) is allowed
        assert (find_fault(output, content) is None) is allowed


def test_lengths_of_unlike_rates_are_compared_in_seconds() -> None:
    content = noise(44100, 44100)
    assert find_fault(noise(16784, 16000), content) is None
    assert find_fault(noise(16816, 16000), content) is not None


@pytest.mark.parametrize(("num_samples", "judged"), [(4000, False), (3999, True)])
def test_half_a_second_is_the_shortest_that_is_scored(num_samples: int, judged: bool) -> None:
    short = noise(num_samples, 8000)
    fault = find_fault(short, short)
    assert (fault is not None) is judged
    assert fault is None or fault.endswith("the shortest that is scored is 0.5 s")


def test_a_fault_comes_before_silence() -> None:
    silence = Audio(np.zeros((1, RATE // 2 + 1), np.float32), RATE)
    fault = "output lasts 0.500 s; its content lasts 1.000 s"
    assert judge("cp", Output(CONTENT, STYLE, silence)) == Score(
        "cp", None, status="invalid_output", reason=fault
    )


def test_an_output_that_can_be_measured_is_left_to_the_metric() -> None:
    assert judge("cp", Output(CONTENT, STYLE, CONTENT.audio)) is None


def test_a_silent_reference_is_refused_by_name() -> None:
    require_sound(CONTENT.audio, "content")
    with pytest.raises(UnsupportedError, match=r"^content is silent \(below -60 dBFS\)$"):
        require_sound(Audio(np.zeros((1, RATE), np.float32), RATE), "content")


@pytest.mark.parametrize(
    ("waveform", "silent"),
    [
        (np.zeros((1, 8000)), True),
        (np.zeros((1, 0)), True),
        (np.full((1, 8000), 10 ** (-61 / 20)), True),
        (np.full((1, 8000), 10 ** (-59 / 20)), False),
        (np.stack([np.ones(8000), -np.ones(8000)]), True),
    ],
    ids=["zeros", "empty", "below", "above", "opposite channels"],
)
def test_silence(waveform: NDArray[np.float64], silent: bool) -> None:
    assert is_silent(Audio(waveform.astype(np.float32), 8000)) is silent


@pytest.mark.parametrize(("sounding_frames", "silent"), [(1, True), (2, False)])
def test_a_clip_is_silent_when_nearly_all_frames_are(sounding_frames: int, silent: bool) -> None:
    waveform = np.zeros((1, 30 * 400), np.float32)
    waveform[:, : sounding_frames * 400] = 0.5
    assert is_silent(Audio(waveform, 8000)) is silent


def test_a_leftover_frame_has_its_own_level() -> None:
    waveform = np.concatenate([np.full(400, 0.5), np.full(10, 0.25)]).astype(np.float32)
    assert frame_rms(waveform, 8000).tolist() == pytest.approx([0.5, 0.25])


@pytest.fixture(
    scope="module",
    params=[
        ContentPreservation,
        StyleFitHeldout,
        StyleFitSeen,
        StyleFitText,
        as_published.ContentPreservation,
        as_published.StyleFitHeldout,
        as_published.StyleFitSeen,
        as_published.StyleFitText,
        ChromaSimilarity,
    ],
    ids=lambda kind: kind.name,
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
