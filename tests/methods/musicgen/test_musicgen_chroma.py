"""The chroma front end against two independent implementations and known tones."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch
from transformers.audio_utils import chroma_filter_bank

from methods.musicgen.chroma import (
    ChromaSettings,
    dominant_pitch_class,
    filter_bank,
    one_hot,
    pitch_class_energy,
    tile_to,
)
from tests import rounding

FULL = ChromaSettings(32_000, 16_384, 4096)
MINI = ChromaSettings(16_000, 2048, 640)


def tone(hertz: float, seconds: float, sample_rate: int) -> torch.Tensor:
    time = torch.arange(int(seconds * sample_rate)) / sample_rate
    return 0.5 * torch.sin(2 * torch.pi * hertz * time)


@pytest.mark.parametrize("settings", [FULL, MINI])
def test_the_filter_bank_is_that_of_librosa(settings: ChromaSettings) -> None:
    expected = librosa.filters.chroma(sr=settings.sample_rate, n_fft=settings.n_fft, tuning=0.0)
    # Logarithms and normal curves in float64, kept as float32; theirs may be float32 all along.
    np.testing.assert_allclose(filter_bank(settings), expected, rtol=0, atol=rounding.worst(8))


@pytest.mark.parametrize("settings", [FULL, MINI])
def test_the_filter_bank_is_that_of_the_checkpoint(settings: ChromaSettings) -> None:
    expected = chroma_filter_bank(
        num_frequency_bins=settings.n_fft, num_chroma=12, sampling_rate=settings.sample_rate
    )
    # Logarithms and normal curves in float64, kept as float32; theirs may be float32 all along.
    np.testing.assert_allclose(filter_bank(settings), expected, rtol=0, atol=rounding.worst(8))


def test_energy_is_that_of_a_spectrogram_by_librosa() -> None:
    waveform = torch.randn(32_000, generator=torch.Generator().manual_seed(0))
    spectrum = librosa.stft(
        waveform.numpy(), n_fft=2048, hop_length=640, window="hann", pad_mode="reflect"
    )
    expected = (filter_bank(MINI) @ np.abs(spectrum) ** 2).T
    norm = float(np.sqrt(np.sum(np.hanning(2048) ** 2)))  # of a frame of unit noise
    largest = float(np.abs(spectrum).max())  # an energy is a square, so twice as far off
    atol = 2 * largest * rounding.of_fft(2048, scale=norm) * filter_bank(MINI).sum(axis=1).max()
    assert atol < 1e-3 * expected.min()
    np.testing.assert_allclose(pitch_class_energy(waveform, MINI), expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("hertz", "pitch_class"), [(440.0, 9), (261.63, 0), (329.63, 4)])
@pytest.mark.parametrize("settings", [FULL, MINI])
def test_a_tone_has_its_pitch_class_in_every_frame(
    settings: ChromaSettings, hertz: float, pitch_class: int
) -> None:
    found = dominant_pitch_class(tone(hertz, 5.0, settings.sample_rate), settings)
    assert set(found.tolist()) == {pitch_class}


def test_five_seconds_are_forty_frames_at_the_full_rate() -> None:
    assert len(dominant_pitch_class(tone(440.0, 5.0, 32_000), FULL)) == 40


def test_silence_and_a_clip_shorter_than_the_window_give_frames() -> None:
    assert dominant_pitch_class(torch.zeros(32_000), FULL).sum() == 0
    assert set(dominant_pitch_class(tone(440.0, 0.1, 32_000), FULL).tolist()) == {9}


def test_one_hot_has_a_single_one_per_frame() -> None:
    features = one_hot(torch.tensor([[0, 11, 4]]))
    assert features.shape == (1, 3, 12)
    assert torch.equal(features.argmax(-1), torch.tensor([[0, 11, 4]]))
    assert torch.equal(features.sum(-1), torch.ones(1, 3))


def test_short_chroma_is_tiled_and_long_chroma_is_cut() -> None:
    assert tile_to(torch.tensor([1, 2, 3]), 7).tolist() == [1, 2, 3, 1, 2, 3, 1]
    assert tile_to(torch.tensor([1, 2, 3]), 2).tolist() == [1, 2]
