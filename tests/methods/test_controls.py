"""The controls against what they claim: identities, levels and seeds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import (
    Audio,
    Clip,
    FitRequest,
    NoParameters,
    Style,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from methods.controls import CopyContent, CopyStyle, Mix, Noise, Oracle

RATE = 8000


def _tone(frequency_hz: float, seconds: float, rate: int = RATE, level: float = 0.3) -> Audio:
    times = np.arange(round(seconds * rate)) / rate
    wave = level * np.sin(2 * np.pi * frequency_hz * times)
    return Audio(wave[None].astype(np.float32), rate)


def _clip(name: str, audio: Audio) -> Clip:
    return Clip(name, "test", audio)


CONTENT = _clip("content", _tone(440.0, 1.0))


def _no_progress(fraction: float, text: str) -> None:
    assert 0.0 <= fraction <= 1.0
    assert text


def _fit(method: StyleTransferMethod, style: Style, seed: int = 0) -> StyleState:
    (state,) = method.fit([FitRequest(style, NoParameters(), seed)], _no_progress)
    return state


def _transfer(
    method: StyleTransferMethod, state: StyleState, content: Clip = CONTENT, seed: int = 0
) -> Audio:
    (output,) = method.transfer([TransferRequest(content, state, NoParameters(), seed)])
    return output


def _style(seen: Audio | None, held_out: Audio | None = None) -> Style:
    return Style(
        "style",
        clips=() if seen is None else (_clip("seen", seen),),
        heldout_clips=() if held_out is None else (_clip("held", held_out),),
    )


def _level(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio.waveform.astype(np.float64) ** 2)))


def test_copy_content_returns_the_samples_of_the_content() -> None:
    output = _transfer(CopyContent(), StyleState())
    assert np.array_equal(output.waveform, CONTENT.audio.waveform)
    assert output.waveform is not CONTENT.audio.waveform


def test_copy_style_plays_the_held_out_clip() -> None:
    held_out = _tone(1000.0, 1.0)
    state = _fit(CopyStyle(), _style(_tone(200.0, 1.0), held_out))
    assert state.meta["held_out"] is True
    assert state.meta["clip"] == "held"
    assert np.array_equal(_transfer(CopyStyle(), state).waveform, held_out.waveform)


def test_copy_style_says_that_it_plays_a_seen_clip() -> None:
    state = _fit(CopyStyle(), _style(_tone(200.0, 1.0)))
    assert state.meta["held_out"] is False
    assert state.meta["clip"] == "seen"


def test_copy_style_loops_a_short_clip() -> None:
    short = _tone(300.0, 0.4)
    output = _transfer(CopyStyle(), _fit(CopyStyle(), _style(short)))
    assert output.num_samples == CONTENT.audio.num_samples
    assert np.array_equal(output.waveform[:, 3200:6400], short.waveform)


def test_copy_style_resamples_to_the_rate_of_the_content() -> None:
    state = _fit(CopyStyle(), _style(_tone(1000.0, 2.0, rate=16000)))
    output = _transfer(CopyStyle(), state)
    assert (output.sample_rate, output.num_samples) == (RATE, RATE)
    spectrum = np.abs(np.fft.rfft(output.waveform[0]))
    assert int(spectrum.argmax()) == 1000


def test_copy_style_downmixes_a_stereo_clip() -> None:
    left = _tone(500.0, 1.0)
    stereo = Audio(np.concatenate([left.waveform, np.zeros_like(left.waveform)]), RATE)
    output = _transfer(CopyStyle(), _fit(CopyStyle(), _style(stereo)))
    assert np.allclose(output.waveform, left.waveform / 2)


def test_copy_style_chooses_the_clip_by_the_seed() -> None:
    clips = tuple(_clip(f"clip {number}", _tone(200.0 + number, 0.2)) for number in range(3))
    style = Style("style", clips)
    chosen = {_fit(CopyStyle(), style, seed).meta["clip"] for seed in range(3)}
    assert chosen == {"clip 0", "clip 1", "clip 2"}


@pytest.mark.parametrize("method", [CopyStyle(), Mix()])
def test_a_style_without_clips_is_declined(method: StyleTransferMethod) -> None:
    with pytest.raises(UnsupportedError, match=r"'style' has 0 clips; .* Add a clip"):
        _fit(method, _style(None))


def test_mix_holds_content_and_style_at_equal_level() -> None:
    # Tones of whole periods are orthogonal, so each level can be read off its own bin.
    state = _fit(Mix(), _style(_tone(1000.0, 1.0, level=0.01)))
    spectrum = np.abs(np.fft.rfft(_transfer(Mix(), state).waveform[0]))
    assert spectrum[440] == pytest.approx(spectrum[1000], rel=1e-4)
    assert spectrum[440] == pytest.approx(0.5 * 0.3 * RATE / 2, rel=1e-4)


def test_mix_never_uses_a_held_out_clip_when_there_is_a_seen_one() -> None:
    state = _fit(Mix(), _style(_tone(200.0, 1.0), _tone(300.0, 1.0)))
    assert state.meta["clip"] == "seen"


def test_mix_with_a_silent_style_leaves_half_the_content() -> None:
    silence = Audio(np.zeros((1, RATE), np.float32), RATE)
    output = _transfer(Mix(), _fit(Mix(), _style(silence)))
    assert np.allclose(output.waveform, CONTENT.audio.waveform / 2)


def test_noise_has_the_level_of_the_content() -> None:
    output = _transfer(Noise(), StyleState())
    assert _level(output) == pytest.approx(_level(CONTENT.audio), rel=0.03)
    assert float(np.abs(output.waveform).max()) <= 1.0


def test_noise_is_white() -> None:
    wave = _transfer(Noise(), StyleState()).waveform[0]
    spectrum = np.abs(np.fft.rfft(wave)) ** 2
    low, high = spectrum[: RATE // 4].mean(), spectrum[RATE // 4 :].mean()
    assert low == pytest.approx(high, rel=0.15)


def test_noise_depends_on_the_seed_alone() -> None:
    first, again, other = (_transfer(Noise(), StyleState(), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.waveform, again.waveform)
    assert not np.array_equal(first.waveform, other.waveform)


def test_noise_of_silence_is_silence() -> None:
    silence = _clip("silence", Audio(np.zeros((1, RATE), np.float32), RATE))
    assert not _transfer(Noise(), StyleState(), silence).waveform.any()


def test_the_oracle_plays_the_true_result_at_the_rate_and_length_of_the_content() -> None:
    longer = _tone(660.0, 1.5, rate=2 * RATE)
    request = TransferRequest(CONTENT, StyleState(), NoParameters(), 0, longer)
    (output,) = Oracle().transfer([request])
    assert (output.sample_rate, output.num_samples) == (RATE, CONTENT.audio.num_samples)
    wanted = _tone(660.0, 1.0).waveform
    assert np.abs(output.waveform - wanted)[:, 200:-200].max() < 1e-3


def test_the_oracle_declines_without_a_true_result() -> None:
    with pytest.raises(UnsupportedError, match="content 'content' has no true result"):
        _transfer(Oracle(), StyleState())
