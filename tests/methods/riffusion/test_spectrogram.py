"""The spectrogram codec against independent constructions and identities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from torch.utils._pytree import tree_leaves

from bench.api import ConfigError
from methods.phase import Geometry, stft
from methods.riffusion import spectrogram
from methods.riffusion.spectrogram import MINI_PARAMETERS, SpectrogramParameters
from tests import rounding
from tests.dispatched import Watching

DATASETS = Path(__file__).resolve().parents[3] / "datasets"
FULL = SpectrogramParameters()
PROFILES = [(MINI_PARAMETERS, 22_050), (FULL, 24_000), (FULL, 44_100), (FULL, 48_000)]


def chord(sample_rate: int, duration_s: float = 1.5) -> torch.Tensor:
    """A decaying three-note chord with a vibrato, a sweep and a little noise, (1, sample)."""
    time = np.arange(int(duration_s * sample_rate)) / sample_rate
    notes = [np.sin(2 * np.pi * hz * time + 2 * np.sin(30 * time)) for hz in (262.0, 330.0, 392.0)]
    sweep = np.sin(2 * np.pi * (500 * time + 900 * time**2))
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(time))
    waveform = 0.2 * np.sum(notes, axis=0) * np.exp(-time) + 0.1 * sweep + noise
    return torch.from_numpy(waveform.astype(np.float32))[None]


def accordion() -> torch.Tensor:
    """Two seconds of a bundled clip, (1, sample)."""
    path = DATASETS / "mini" / "style" / "accordion" / "accordion_1.flac"
    waveform, _ = soundfile.read(path, frames=44_100, dtype="float32")
    return torch.from_numpy(waveform)[None]


def htk_triangles(parameters: SpectrogramParameters, sample_rate: int) -> np.ndarray:
    """Triangles from the definition: m = 2595 log10(1 + f / 700), corners equally spaced in m."""
    n_fft = parameters.geometry(sample_rate).n_fft
    low, high = (2595 * np.log10(1 + f / 700) for f in (parameters.f_min_hz, parameters.f_max_hz))
    corners = 700 * (10 ** (np.linspace(low, high, parameters.num_mels + 2) / 2595) - 1)
    bins = np.arange(1 + n_fft // 2) * sample_rate / n_fft
    peaks = np.eye(parameters.num_mels + 2)[1:-1]
    return np.stack([np.interp(bins, corners, peak) for peak in peaks])


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize(("parameters", "sample_rate"), PROFILES)
def test_the_bank_is_made_of_htk_triangles_of_peak_one(
    parameters: SpectrogramParameters, sample_rate: int
) -> None:
    bank = spectrogram.mel_bank(parameters, sample_rate).numpy()
    # In float64, kept as float32.
    expected = htk_triangles(parameters, sample_rate)
    np.testing.assert_allclose(bank, expected, rtol=0, atol=rounding.worst(1))
    assert bank.max(axis=1).min() > 0.5


def test_mel_magnitudes_agree_with_librosa() -> None:
    waveform = chord(22_050)
    geometry = MINI_PARAMETERS.geometry(22_050)
    spectra = librosa.stft(
        waveform[0].numpy(),
        n_fft=geometry.n_fft,
        hop_length=geometry.hop_length,
        win_length=geometry.win_length,
        pad_mode="reflect",
    )
    expected = htk_triangles(MINI_PARAMETERS, 22_050) @ np.abs(spectra)
    found = spectrogram.mel_magnitude(waveform, MINI_PARAMETERS, 22_050)[0].numpy()
    norm = float(np.sqrt(np.sum(np.hanning(geometry.win_length) ** 2)))
    bins = htk_triangles(MINI_PARAMETERS, 22_050).sum(axis=1).max()  # that a band adds
    atol = bins * rounding.of_fft(geometry.n_fft, scale=norm * rounding.magnitude(waveform))
    assert atol < 1e-3 * expected.max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("num_samples", "frames"), [(220_500, 501), (225_351, 512), (225_791, 512), (225_792, 513)]
)
def test_frame_counts_at_44100_hz(num_samples: int, frames: int) -> None:
    geometry = FULL.geometry(44_100)
    assert geometry.count_frames(num_samples) == frames
    spectra = stft(torch.zeros(1, num_samples), geometry)
    assert tuple(spectra.shape) == (1, 8821, frames)


@pytest.mark.parametrize(
    ("sample_rate", "lengths"),
    [(24_000, (9600, 2400, 240)), (44_100, (17_640, 4410, 441)), (48_000, (19_200, 4800, 480))],
)
def test_lengths_follow_the_rate_of_the_audio(
    sample_rate: int, lengths: tuple[int, int, int]
) -> None:
    geometry = FULL.geometry(sample_rate)
    assert (geometry.n_fft, geometry.win_length, geometry.hop_length) == lengths


def test_the_mini_window_is_256_frames_of_441_samples() -> None:
    geometry = MINI_PARAMETERS.geometry(22_050)
    assert (geometry.n_fft, geometry.win_length, geometry.hop_length) == (4410, 2205, 441)
    assert geometry.count_frames(256 * 441 - 1) == MINI_PARAMETERS.num_frames == 256


def test_image_codes_keep_magnitudes_within_one_grey_level() -> None:
    mel = torch.rand(2, 128, 64, generator=generators(3)[0]) ** 6
    image = spectrogram.mel_to_image(mel)
    loudest = mel.amax(dim=(-2, -1), keepdim=True)
    exact = 255 * (mel / loudest) ** 0.25
    found = 255 * spectrogram.image_to_mel(image) ** 0.25
    assert image.dtype == torch.uint8
    rounded = rounding.worst(12, scale=255)  # division, root, product, twice over
    assert float((found - exact).min()) >= -rounded
    assert float((found - exact).max()) <= 1 + rounded


def test_images_put_the_highest_band_on_top_and_draw_loud_dark() -> None:
    mel = torch.zeros(1, 4, 3)
    mel[0, 3, 1] = 2.0
    image = spectrogram.mel_to_image(mel)
    assert int(image[0, 0, 1]) == 0
    assert int((image == 255).sum()) == 11


def test_silence_is_white() -> None:
    image = spectrogram.encode(torch.zeros(1, 22_050), MINI_PARAMETERS, 22_050)
    assert bool((image == 255).all())


def test_every_grey_level_survives_the_way_through_pixels() -> None:
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    pixels = spectrogram.image_to_pixels(image)
    assert tuple(pixels.shape) == (1, 3, 16, 16)
    assert float(pixels.abs().max()) <= 1
    difference = spectrogram.pixels_to_image(pixels).int() - image.int()
    assert bool((difference == 0).all())


def test_the_inverse_bank_solves_least_squares() -> None:
    bank = spectrogram.mel_bank(MINI_PARAMETERS, 22_050).double().numpy()
    mel = np.random.default_rng(1).random((bank.shape[0], 5))
    expected = np.maximum(np.linalg.lstsq(bank, mel, rcond=None)[0], 0)
    found = spectrogram.invert_mel(torch.from_numpy(mel).float(), MINI_PARAMETERS, 22_050).numpy()
    sums = np.abs(np.linalg.pinv(bank)).sum(axis=1).max()  # the largest of what a bin adds up
    atol = rounding.worst(bank.shape[0], scale=float(sums))
    assert atol < 1e-3 * expected.max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def spectral_convergence(waveform: torch.Tensor, target: torch.Tensor, geometry: Geometry) -> float:
    found = stft(waveform, geometry).abs()
    return float((found - target).norm() / target.norm())


def test_griffin_lim_comes_as_close_to_an_accordion_as_librosa() -> None:
    geometry = MINI_PARAMETERS.geometry(22_050)
    target = stft(accordion(), geometry).abs()
    waveform = spectrogram.griffin_lim(target, geometry, generators(0), iterations=32)
    other = librosa.griffinlim(
        target[0].numpy(),
        n_iter=32,
        n_fft=geometry.n_fft,
        hop_length=geometry.hop_length,
        win_length=geometry.win_length,
        pad_mode="reflect",
        random_state=0,
    )
    ours = spectral_convergence(waveform, target, geometry)
    theirs = spectral_convergence(torch.from_numpy(other)[None], target, geometry)
    assert waveform.shape[-1] == (target.shape[-1] - 1) * geometry.hop_length
    assert ours <= 0.055
    assert ours <= 1.25 * theirs


def test_more_iterations_bring_griffin_lim_closer() -> None:
    geometry = MINI_PARAMETERS.geometry(22_050)
    target = stft(chord(22_050, 0.8), geometry).abs()
    errors = [
        spectral_convergence(
            spectrogram.griffin_lim(target, geometry, generators(0), iterations=count),
            target,
            geometry,
        )
        for count in (1, 8, 32)
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_clip_decodes_alike_alone_and_in_company() -> None:
    images = spectrogram.encode(
        torch.cat([chord(22_050), chord(22_050).flip(-1)]), MINI_PARAMETERS, 22_050
    )
    together = spectrogram.decode(images, MINI_PARAMETERS, 22_050, generators(1, 2))
    alone = spectrogram.decode(images[1:], MINI_PARAMETERS, 22_050, generators(2))
    # Two transforms per iteration; noise of a transform is small beside the frame's norm.
    transforms = 2 * MINI_PARAMETERS.max_iterations
    length = MINI_PARAMETERS.geometry(22_050).n_fft
    atol = transforms * rounding.of_fft(length, scale=rounding.magnitude(alone))
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=atol)


def test_the_seed_decides_the_phases() -> None:
    image = spectrogram.encode(chord(22_050, 0.5), MINI_PARAMETERS, 22_050)
    first, again, other = (
        spectrogram.decode(image, MINI_PARAMETERS, 22_050, generators(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


class Devices(Watching):
    """Remembers where tensors are made."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Remember where its tensors lie."""
        self.seen |= {leaf.device.type for leaf in tree_leaves(made) if torch.is_tensor(leaf)}


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_start_is_drawn_where_its_magnitudes_lie(device: str) -> None:
    """Nothing is drawn on the host for another device, and nothing copied to it."""
    magnitude = torch.empty(2, 9, 5, device=device)
    with Devices() as devices:
        start = spectrogram.random_start(magnitude, generators(1, 2))
    assert devices.seen == {device}
    assert (start.shape, start.dtype) == (magnitude.shape, torch.complex64)


def test_each_clip_of_a_start_has_its_own_draws_of_the_unit_square() -> None:
    start = spectrogram.random_start(torch.empty(2, 90, 50), generators(1, 2))
    alone = spectrogram.random_start(torch.empty(1, 90, 50), generators(2))
    expected = torch.rand((90, 50), dtype=torch.complex64, generator=generators(1)[0])
    assert torch.equal(start[1], alone[0])
    assert torch.equal(start[0], expected)
    parts = torch.view_as_real(start)
    assert float(parts.min()) >= 0
    assert float(parts.max()) < 1
    assert parts.mean() == pytest.approx(0.5, abs=6 * 12**-0.5 / parts.numel() ** 0.5)


def test_decoding_an_image_and_drawing_it_again_gives_nearly_that_image() -> None:
    image = spectrogram.encode(chord(22_050), MINI_PARAMETERS, 22_050)
    waveform = spectrogram.decode(image, MINI_PARAMETERS, 22_050, generators(0))
    again = spectrogram.encode(waveform, MINI_PARAMETERS, 22_050)
    assert again.shape == image.shape
    assert float((again.float() - image.float()).abs().mean()) / 255 < 0.05


def test_another_rate_than_the_codecs_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"audio is 44100 Hz.*works at 22050 Hz"):
        spectrogram.encode(torch.zeros(1, 44_100), MINI_PARAMETERS, 44_100)


def test_a_rate_below_the_highest_band_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be at least 20000 Hz"):
        FULL.geometry(16_000)
