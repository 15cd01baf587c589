"""Equaliser: gives the content the long-term average spectrum of the style.

One fixed filter per output, in third-octave bands, changes the balance of lows and highs and
nothing else: no note is moved, no attack softened. It is what a mastering engineer's "match EQ"
does and the first thing that a style transfer has to beat.

**Conventions**: powers per band are relative, so that a style does not carry its loudness; the
content's level is kept. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np
from scipy.fft import next_fast_len

from bench.api import (
    Audio,
    ConfigError,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.dsp.frames import Array, Spectra, finish, require_clips, samples

_LOWEST_HZ = 40.0
_REFERENCE_HZ = 1000.0
_PER_OCTAVE = 3
_ROUNDS = 60
# What is weaker than this part of the whole counts as absent, in the style and in the content.
_FLOOR = 1e-7
_RINGING_SAMPLES = 16_384
_PARTS = 16  # of a band, within which the filter is taken as constant while its gains are sought


@dataclass(frozen=True, slots=True)
class EqMatchParameters:
    """Parameters of the equaliser.

    Args:
        max_gain_db: Largest boost or cut of a band, positive.
        amount: In [0, 1]; 1 goes all the way, 0 leaves the content as it is (share of the gains in
            decibels).
    """

    max_gain_db: float = field(default=40.0, metadata={"role": "transfer"})
    amount: float = field(default=1.0, metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.max_gain_db <= 0:
            raise ConfigError(f"max_gain_db is {self.max_gain_db}; it must be positive. Try 40.")
        if not 0 <= self.amount <= 1:
            raise ConfigError(f"amount is {self.amount}; it must be in [0, 1]. Use 1.")


@final
class EqMatch(StyleTransferMethod[EqMatchParameters]):
    """Long-term average spectrum of the style, by one zero-phase filter in third-octave bands.

    The gains are found by iteration, because neighbouring bands overlap in a smooth filter: each
    round multiplies a band's gain by the root of what is missing there.

    References:
        Ma, Reiss and Black (2013), Implementation of an intelligent equalization tool using
        Yule-Walker for music mixing and mastering, AES 134: the target spectrum is the average of
        recordings, the filter the ratio of target and content. Departures: a zero-phase filter on
        third-octave bands in place of a recursive one.

    Example:
        >>> from bench.api import Clip, FitRequest, Style, TransferRequest
        >>> tone = np.sin(np.arange(22050) / 20)[None].astype(np.float32)
        >>> clip, method = Clip("a", "b", Audio(tone, 22050)), EqMatch()
        >>> request = FitRequest(Style("b", (clip,)), EqMatchParameters(), 0)
        >>> (state,) = method.fit([request], lambda *_: None)
        >>> (out,) = method.transfer([TransferRequest(clip, state, EqMatchParameters(), 0)])
        >>> bool(np.abs(out.waveform - tone).max() < 1e-5)
        True
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: there is no model."""

    def fit(
        self, requests: Sequence[FitRequest[EqMatchParameters]], progress: Progress
    ) -> list[StyleState]:
        """Measure each style: the mean over its clips of the relative power per band.

        Raises:
            UnsupportedError: A style has no clip.
        """
        states = [_measure(request) for request in requests]
        progress(1.0, "spectra measured")
        return states

    def transfer(self, requests: Sequence[TransferRequest[EqMatchParameters]]) -> list[Audio]:
        """Filter each content."""
        return [_equalise(request) for request in requests]


def band_edges(sample_rate: int) -> Array:
    """Edges in Hz of third-octave bands from about 40 Hz to half the rate, rising.

    The lowest band begins at 0 and the highest ends at half the rate.
    """
    lowest = np.floor(_PER_OCTAVE * np.log2(_LOWEST_HZ / _REFERENCE_HZ))
    highest = np.ceil(_PER_OCTAVE * np.log2(sample_rate / 2 / _REFERENCE_HZ))
    inner = _REFERENCE_HZ * 2 ** ((np.arange(lowest, highest + 1) + 0.5) / _PER_OCTAVE)
    return np.concatenate([[0.0], inner[inner < 0.97 * sample_rate / 2], [sample_rate / 2]])


def spectrum(waveform: Array) -> Spectra:
    """Spectrum (bin,) of a whole waveform (sample,), with silence after it for a filter's tail."""
    return np.asarray(np.fft.rfft(waveform, _padded(len(waveform))))


def _padded(num_samples: int) -> int:
    """Length of the transform: room for the filter's tail, and even."""
    return 2 * int(next_fast_len(-(-(num_samples + _RINGING_SAMPLES) // 2), real=True))


def long_term_average(waveform: Array, sample_rate: int) -> Array:
    """Long-term average spectrum of a waveform (sample,): power per third-octave band, (band,)."""
    powers: Array = _fine_powers(np.abs(spectrum(waveform)) ** 2, sample_rate).sum(axis=1)
    return powers


def _fine_powers(power: Array, sample_rate: int) -> Array:
    """Sums of a power spectrum (bin,) over equal parts of each band, (band, part)."""
    edges = _fine_edges(sample_rate)
    numbers = np.searchsorted(edges[1:-1], _frequencies(power, sample_rate), side="right")
    return np.asarray(np.bincount(numbers, power, len(edges) - 1).reshape(-1, _PARTS))


def _fine_edges(sample_rate: int) -> Array:
    edges = band_edges(sample_rate)
    positions = np.arange((len(edges) - 1) * _PARTS + 1) / _PARTS
    return np.asarray(np.interp(positions, np.arange(len(edges)), edges))


def _frequencies(power: Array, sample_rate: int) -> Array:
    return np.linspace(0, sample_rate / 2, len(power))


def _relative(powers: Array) -> Array:
    total = powers.sum()
    return powers / total if total > 0 else powers


def match_gains(power: Array, target: Array, sample_rate: int, max_gain_db: float) -> Array:
    """Amplitude per bin that gives a power spectrum the band powers of a target.

    Args:
        power: Power spectrum of the content, (bin,), evenly spaced from 0 to half the rate.
        target: Wanted power per band, (band,), any scale.
        sample_rate: Hz.
        max_gain_db: Largest boost or cut.

    Returns:
        (bin,), positive; in decibels linear over the logarithm of frequency between the middles of
        bands. All ones where target and content agree.
    """
    limit = max_gain_db * np.log(10) / 20
    floor = _FLOOR * power.sum()
    fine, edges = _fine_powers(power, sample_rate), _fine_edges(sample_rate)
    wanted = _relative(target) * fine.sum() + floor
    parts = (edges[:-1] + edges[1:]) / 2
    log_gains = np.zeros(len(target))
    for _ in range(_ROUNDS):
        curve = _curve(log_gains, parts, sample_rate).reshape(fine.shape)
        present = (fine * curve**2).sum(axis=1) + floor
        log_gains = np.clip(log_gains + 0.5 * np.log(wanted / present), -limit, limit)
    return _curve(log_gains, _frequencies(power, sample_rate), sample_rate)


def _curve(log_gains: Array, frequencies: Array, sample_rate: int) -> Array:
    """Gains at frequencies from logarithmic gains at the middles of the bands."""
    edges = band_edges(sample_rate)
    lowest = edges[1] / 2
    middles = np.log(np.sqrt(np.maximum(edges[:-1], lowest) * edges[1:]))
    positions = np.log(np.maximum(frequencies, lowest))
    return np.asarray(np.exp(np.interp(positions, middles, log_gains)))


def _measure(request: FitRequest[EqMatchParameters]) -> StyleState:
    clips = require_clips(request.style)
    rate = clips[0].audio.sample_rate
    spectra = [_relative(long_term_average(samples(c.audio), rate)) for c in clips]
    return StyleState(
        arrays={"band_powers": np.mean(spectra, axis=0)},
        meta={"sample_rate": rate, "style": request.style.id, "clips": len(clips)},
    )


def _equalise(request: TransferRequest[EqMatchParameters]) -> Audio:
    parameters, audio = request.parameters, request.content.audio
    waveform = samples(audio)
    target = np.asarray(request.state.arrays["band_powers"], dtype=np.float64)
    before = spectrum(waveform)
    power = np.abs(before) ** 2
    if not power.any() or not target.any():
        return Audio(audio.mono[None].copy(), audio.sample_rate)
    gains = match_gains(power, target, audio.sample_rate, parameters.max_gain_db)
    filtered = np.fft.irfft(before * gains**parameters.amount, _padded(len(waveform)))
    return finish(filtered[: len(waveform)], audio)
