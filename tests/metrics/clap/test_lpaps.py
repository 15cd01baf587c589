"""LPAPS against a loop over the hidden states of the same model, and maps whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.api import Audio, Clip, Direction, MetricInfo, Output, Style
from bench.plugins.catalog import describe, find_metric
from metrics.clap import checkpoints, lpaps
from metrics.clap.embedder import Towers
from metrics.clap.lpaps import CHANNELS, TOKENS, Lpaps, LpapsOfChannels, TokenMaps, cut, distance
from tests import rounding

ClipReader = Callable[[str, float], Clip]
RATE, WINDOW = 22050, 112896  # of the mini model
STYLE = Style("none", ())
KINDS = {Lpaps: TOKENS, LpapsOfChannels: CHANNELS}


def hidden_states(towers: Towers, audio: Audio) -> list[NDArray[np.float64]]:
    """Stage by stage (channel, token), from the library's own front end and its own padding."""
    given = {"sampling_rate": audio.sample_rate, "max_length": WINDOW, "return_tensors": "pt"}
    features = towers.extractor(audio.mono, **given)["input_features"]
    with torch.inference_mode():
        found = towers.model.audio_model(
            input_features=features,
            is_longer=torch.zeros(1, 1, dtype=torch.bool),
            output_hidden_states=True,
        )
    return [state[0].flatten(1).double().numpy() for state in found.hidden_states[1:]]


def looped(first: list[NDArray[np.float64]], second: list[NDArray[np.float64]]) -> float:
    """The published sum, one channel and one token at a time."""
    total = 0.0
    for a, b in zip(first, second, strict=True):
        channels = []
        for x, y in zip(a, b, strict=True):
            length_x, length_y = sum(v * v for v in x) ** 0.5, sum(v * v for v in y) ** 0.5
            pairs = zip(x, y, strict=True)
            channels.append(sum((v / length_x - w / length_y) ** 2 for v, w in pairs))
        total += sum(channels) / len(channels)
    return float(total)


@pytest.fixture(scope="module")
def flute(bundled: ClipReader) -> Clip:
    return bundled("content/flute/flute_morning_mood", 2.6)


@pytest.fixture(scope="module")
def violin(bundled: ClipReader) -> Clip:
    return bundled("content/violin/violin_greensleeves", 2.6)


def loaded(kind: type[lpaps.LpapsMetric] = Lpaps) -> lpaps.LpapsMetric:
    metric = kind()
    metric.load("mini", "cpu")
    return metric


def test_it_is_the_published_sum_over_the_hidden_states_of_the_model(
    flute: Clip, violin: Clip, wide_towers: Callable[[], Towers]
) -> None:
    towers = wide_towers()
    maps = TokenMaps(towers.model, towers.extractor, "wide", "cpu")
    (ours,), (theirs,) = maps.of(flute.audio), maps.of(violin.audio)
    wanted = looped(*(hidden_states(towers, clip.audio) for clip in (flute, violin)))
    # Maps are kept in float32 and features are: each unit vector is off by so much, three stages.
    bound = 4 * maps.stages * rounding.likely(256)
    assert distance(ours, theirs) == pytest.approx(wanted, abs=bound)
    assert 1 < wanted < 12


def test_maps_of_known_distance() -> None:
    """(token, channel): the first channel turns by a right angle, the second by two."""
    first = np.array([[1, 3], [0, 4]], np.float32)
    second = np.array([[0, -3], [5, -4]], np.float32)
    assert distance((first,), (second,)) == pytest.approx((2 + 4) / 2, abs=1e-8)
    assert distance((first, first), (second, second)) == pytest.approx(6, abs=1e-8)
    assert distance((first,), (first,)) == 0
    # Rows: (1, 3) against (0, -3), and (0, 4) against (5, -4).
    cosines = (-9 / (10**0.5 * 3), -16 / (4 * 41**0.5))
    wanted = sum(2 - 2 * cosine for cosine in cosines) / 2
    assert distance((first,), (second,), CHANNELS) == pytest.approx(wanted, abs=1e-8)


def test_gains_along_the_other_axis_change_nothing() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(2, 12, 5)).astype(np.float32)
    gains = {TOKENS: np.full((1, 5), 3.0), CHANNELS: np.full((12, 1), 3.0)}
    gains[TOKENS][0, 2] = 0.1
    gains[CHANNELS][4, 0] = 0.1
    for axis, gain in gains.items():
        louder = (first * gain).astype(np.float32)
        assert distance((louder,), (second,), axis) == pytest.approx(
            distance((first,), (second,), axis), abs=1e-5
        )
        assert distance((louder,), (second,), 1 - axis) != pytest.approx(
            distance((first,), (second,), 1 - axis), abs=1e-2
        )


def test_a_channel_without_sound_is_no_fault() -> None:
    silent, sounding = np.zeros((3, 1), np.float32), np.ones((3, 1), np.float32)
    assert distance((silent,), (sounding,)) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_itself_is_at_0_and_others_are_farther(
    kind: type[lpaps.LpapsMetric], flute: Clip, violin: Clip
) -> None:
    same, other = loaded(kind).score(
        [Output(flute, STYLE, flute.audio), Output(flute, STYLE, violin.audio)]
    )
    assert same.value == 0
    assert other.value is not None
    assert other.value > 1
    assert other.raw == other.value


def test_a_longer_clip_is_cut_into_windows_that_overlap_by_a_tenth() -> None:
    waveform = np.arange(1, 31, dtype=np.float32)
    assert [window[0] for window in cut(waveform, 10)] == [1, 10, 19, 28]
    assert cut(waveform, 10)[3].tolist() == [28, 29, 30, 28, 29, 30, 28, 29, 30, 0]
    assert len(cut(waveform[:10], 10)) == 1
    assert len(cut(waveform[:11], 10)) == 2


def test_a_longer_clip_has_the_mean_of_its_windows(bundled: ClipReader, flute: Clip) -> None:
    seconds = 1.5 * WINDOW / RATE
    metric = loaded()
    clips = []
    for seed, clip in enumerate((flute, bundled("content/violin/violin_greensleeves", 2.6))):
        longer = np.resize(clip.audio.mono, round(seconds * RATE)) * (1 + 0.1 * seed)
        clips.append(Audio(longer.astype(np.float32)[None], RATE))
    windows = [
        [Audio(audio.waveform[:, start : start + WINDOW], RATE) for start in (0, int(0.9 * WINDOW))]
        for audio in clips
    ]
    maps = metric.token_maps
    single = [distance(maps.of(a)[0], maps.of(b)[0]) for a, b in zip(*windows, strict=True)]
    (score,) = metric.score([Output(Clip("long", "flute", clips[0]), STYLE, clips[1])])
    assert len(maps.of(clips[0])) == 2
    assert score.value == pytest.approx(np.mean(single), abs=1e-5)


def test_a_silent_output_is_farthest_and_a_silent_content_is_declined(flute: Clip) -> None:
    silence = Audio(np.zeros_like(flute.audio.waveform), RATE)
    metric = loaded()
    (silent,) = metric.score([Output(flute, STYLE, silence)])
    assert (silent.status, silent.value, silent.raw) == ("silent", 12.0, 12.0)
    (declined,) = metric.score([Output(Clip("rest", "flute", silence), STYLE, flute.audio)])
    assert (declined.status, declined.reason) == (
        "unsupported",
        "content is silent (below -60 dBFS)",
    )


def test_its_fingerprint_names_checkpoint_stages_and_axis() -> None:
    facts = {kind: loaded(kind).fingerprint() for kind in KINDS}
    assert {one["axis"] for one in facts.values()} == {"tokens", "channels"}
    for one in facts.values():
        assert one["checkpoint"] == checkpoints.locate("mini").digest
        assert one["stages"] == 3


def test_it_says_that_the_mini_model_compares_with_nothing_published() -> None:
    for name in ("lpaps", "lpaps.channel"):
        entry = find_metric(name)
        info: Any = entry.info
        assert isinstance(info, MetricInfo)
        assert info.direction is Direction.MINIMIZE
        assert "compare with nothing published" in " ".join(info.departures)
        (weights,) = describe(entry, "full").weights
        assert weights.endswith("#music_speech_epoch_15_esc_89.25")
        assert describe(entry, "mini").weights == ("metrics/clap/weights",)
