"""The search for phases: against its definition on torch's transforms, and against librosa's."""

from __future__ import annotations

import librosa
import pytest
import torch

from bench.counts import counts
from methods.acceleration import VARIABLE
from methods.phase import Geometry, retrieve_phase
from tests import rounding

MINI = Geometry(22_050, n_fft=4410, win_length=2205, hop_length=441)
SHORT = Geometry(16_000, n_fft=96, win_length=64, hop_length=16)
GEOMETRIES = {
    "the mini profile's": MINI,
    "a window as long as the transform": Geometry(16_000, 256, 256, 64),
    "hops that do not divide the window": Geometry(16_000, 1000, 300, 77),
    "odd lengths": Geometry(16_000, 1023, 511, 100),
}


def magnitudes(geometry: Geometry, frames: int, batch: int = 1) -> torch.Tensor:
    """Of noise with a silent top, (batch, bin, frame), in float64."""
    drawn = torch.rand(
        batch,
        geometry.n_fft // 2 + 1,
        frames,
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
    )
    drawn[:, 3 * geometry.n_fft // 8 :] = 0
    return drawn**4


def starts(magnitude: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(magnitude.shape, dtype=torch.complex128, generator=generator)


def bound(magnitude: torch.Tensor, geometry: Geometry, iterations: int) -> float:
    """Two transforms per iteration, whose noise is small beside the norm of a frame."""
    norm = float(magnitude.square().sum(dim=1).max().sqrt())
    length = geometry.n_fft
    return 2 * iterations * rounding.of_fft(length, scale=norm, dtype=magnitude.dtype)


def by_definition(
    magnitude: torch.Tensor, geometry: Geometry, start: torch.Tensor, iterations: int
) -> torch.Tensor:
    """The equations of `retrieve_phase` on whole spectra and torch's own transforms."""
    window = torch.hann_window(geometry.win_length, dtype=magnitude.dtype)
    lengths = (geometry.n_fft, geometry.hop_length, geometry.win_length)
    direction, previous = start, torch.zeros_like(start)
    for _ in range(iterations):
        waveform = torch.istft(magnitude * direction, *lengths, window)
        rebuilt = torch.stft(waveform, *lengths, window, return_complex=True)
        moved = rebuilt - 0.99 / 1.99 * previous
        direction, previous = moved / moved.abs().clamp_min(1e-300), rebuilt
    return torch.istft(magnitude * direction, *lengths, window)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("frames", [33, 130])  # in one block; in two, of two mini sounds
def test_phases_are_those_of_the_definition(geometry: Geometry, frames: int) -> None:
    magnitude = magnitudes(geometry, frames, batch=2)
    start = starts(magnitude)
    found = retrieve_phase(magnitude, geometry, start, 8)
    expected = by_definition(magnitude, geometry, start, 8)
    assert found.shape[-1] == (frames - 1) * geometry.hop_length + geometry.n_fft % 2
    atol = bound(magnitude, geometry, 8)
    assert atol < 1e-6 * rounding.magnitude(expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


def test_without_iterations_the_start_is_transformed_back() -> None:
    magnitude = magnitudes(SHORT, 40)
    start = starts(magnitude)
    found = retrieve_phase(magnitude, SHORT, start, 0)
    expected = by_definition(magnitude, SHORT, start, 0)
    torch.testing.assert_close(found, expected, rtol=0, atol=bound(magnitude, SHORT, 1))


def test_librosa_finds_the_same_waveform_from_the_same_start() -> None:
    magnitude = magnitudes(MINI, 40)
    found = retrieve_phase(magnitude, MINI, torch.ones_like(magnitude).to(torch.complex128), 16)
    expected = librosa.griffinlim(
        magnitude[0].numpy(),
        n_iter=16,
        n_fft=MINI.n_fft,
        hop_length=MINI.hop_length,
        win_length=MINI.win_length,
        pad_mode="reflect",
        init=None,  # all phases 0
    )
    atol = bound(magnitude, MINI, 16)
    torch.testing.assert_close(found[0], torch.from_numpy(expected), rtol=0, atol=atol)


@pytest.mark.parametrize("heard", [0, 15, 16, 32, 48])
def test_the_highest_bin_that_sounds_is_heard(heard: int) -> None:
    """It may be the first of a vector, or the last of the spectrum."""
    magnitude = torch.zeros(1, SHORT.n_fft // 2 + 1, 40, dtype=torch.float64)
    magnitude[:, heard] = 1
    start = starts(magnitude)
    expected = by_definition(magnitude, SHORT, start, 0)
    assert expected.any()
    atol = bound(magnitude, SHORT, 1)
    torch.testing.assert_close(
        retrieve_phase(magnitude, SHORT, start, 0), expected, rtol=0, atol=atol
    )


def test_silence_stays_silent() -> None:
    magnitude = torch.zeros(1, SHORT.n_fft // 2 + 1, 40)
    start = torch.ones_like(magnitude).to(torch.complex64)
    assert not retrieve_phase(magnitude, SHORT, start, 4).any()


def test_transforms_are_counted() -> None:
    magnitude, before = magnitudes(SHORT, 20), counts()
    retrieve_phase(magnitude, SHORT, starts(magnitude), 3)
    assert counts() - before == {"stft": 3, "istft": 4}


def test_windows_that_leave_gaps_are_refused() -> None:
    gaps = Geometry(16_000, n_fft=96, win_length=64, hop_length=80)
    magnitude = magnitudes(gaps, 20)
    with pytest.raises(ValueError, match="windows of 64 samples, 80 apart, leave samples"):
        retrieve_phase(magnitude, gaps, starts(magnitude), 1)


@pytest.mark.parametrize("threads", [2, 3])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    magnitude = magnitudes(MINI, 64).float()
    start = starts(magnitude).to(torch.complex64)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = retrieve_phase(magnitude, MINI, start, 4)
        torch.set_num_threads(threads)
        together = retrieve_phase(magnitude, MINI, start, 4)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(together, alone, rtol=0, atol=bound(magnitude, MINI, 4))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")
def test_compiled_phases_are_the_plain_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Compiling takes a minute, and the compiler uses what its library has deprecated."""
    magnitude = magnitudes(SHORT, 40)
    start = starts(magnitude)
    plain = retrieve_phase(magnitude, SHORT, start, 4)
    monkeypatch.setenv(VARIABLE, "compile")
    compiled = retrieve_phase(magnitude, SHORT, start, 4)
    torch.testing.assert_close(compiled, plain, rtol=0, atol=bound(magnitude, SHORT, 4))
    assert "plain calls go on" not in caplog.text
