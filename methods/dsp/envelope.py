"""Envelope swap: the content's harmonics under the spectral envelopes of the style.

A sound is seen as a source (harmonics, attacks) under a filter (a smooth spectral envelope: the
body of the instrument). Each moment of the content keeps its source and its level and gets the
envelope that the style has when it plays something alike: the same pitch classes at the same
relative level. Notes and rhythm stay; the colour, also as it changes with the note, is the style's.

**Conventions**: envelopes are natural logarithms of magnitudes, stored as cepstra (frame,
quefrency); nothing is random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

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
from methods.dsp.frames import Array, Framing, analyse, finish, require_clips, samples, synthesise

_FRAME_S = 0.093
_OVERLAP = 4
_RANGE = 1e-4  # weaker than this part of the loudest bin counts as silence
_ROUNDS = 16
_SHORTEST_MS = 0.1
_LEVEL_STEP = np.log(10) * 2  # 40 dB of level weigh as much as wholly other pitch classes
_PITCH_RANGE_HZ = (60.0, 5000.0)
_LARGEST_GAIN = np.log(100)


@dataclass(frozen=True, slots=True)
class EnvelopeMatchParameters:
    """Parameters of the envelope swap.

    Args:
        quefrency_ms: Detail of an envelope: 1.5 follows formants wider than about 700 Hz and no
            single harmonics of notes below that pitch.
        smoothing_s: Over which time the change of envelope is averaged.
    """

    quefrency_ms: float = field(default=1.5, metadata={"role": "fit"})
    smoothing_s: float = field(default=0.1, metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Check the ranges."""
        longest = 1000 * _FRAME_S / 4
        if not _SHORTEST_MS <= self.quefrency_ms <= longest:
            raise ConfigError(
                f"quefrency_ms is {self.quefrency_ms}; it must be in [{_SHORTEST_MS}, "
                f"{longest:.0f}]. Try 1.5."
            )
        if self.smoothing_s < 0:
            raise ConfigError(f"smoothing_s is {self.smoothing_s}; it must be >= 0. Try 0.1.")


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """What is known of each frame of a clip.

    Args:
        cepstra: Envelopes, (frame, quefrency).
        features: What frames are compared by, (frame, 13): pitch classes and relative level.
    """

    cepstra: Array
    features: Array


@final
class EnvelopeMatch(StyleTransferMethod[EnvelopeMatchParameters]):
    """Spectral-envelope swap, frame by frame, with the style's envelope of the most similar moment.

    References:
        Roebel and Rodet (2005), Efficient spectral envelope estimation and its application to
        pitch shifting and envelope preservation, DAFx, section 3 (the true envelope); source-filter
        cross-synthesis as in Zoelzer (ed., 2011), DAFX, chapter 8. Departures: which envelope of
        the style is taken is decided by similarity of pitch classes and level, ours.
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: there is no model."""

    def fit(
        self, requests: Sequence[FitRequest[EnvelopeMatchParameters]], progress: Progress
    ) -> list[StyleState]:
        """Store the envelopes of each style's clips, frame by frame.

        Raises:
            UnsupportedError: A style has no clip.
        """
        states = [_measure(request) for request in requests]
        progress(1.0, "envelopes measured")
        return states

    def transfer(self, requests: Sequence[TransferRequest[EnvelopeMatchParameters]]) -> list[Audio]:
        """Swap the envelopes of each content."""
        return [_swap(request) for request in requests]


def true_envelope(log_magnitude: Array, num_quefrencies: int) -> Array:
    """Cepstra (frame, quefrency) of smooth curves that lie on the peaks of spectra.

    Args:
        log_magnitude: (frame, bin), natural logarithm.
        num_quefrencies: Coefficients kept, at least 1.

    References:
        Roebel and Rodet (2005), section 3: smooth, take the larger of curve and spectrum, repeat.
    """
    cepstra = np.fft.irfft(log_magnitude, axis=1)[:, :num_quefrencies]
    for _ in range(_ROUNDS):
        raised = np.maximum(log_magnitude, envelope(cepstra, log_magnitude.shape[1]))
        cepstra = np.fft.irfft(raised, axis=1)[:, :num_quefrencies]
    return np.asarray(cepstra)


def envelope(cepstra: Array, num_bins: int) -> Array:
    """Logarithmic envelopes (frame, bin) of cepstra (frame, quefrency)."""
    whole = np.zeros((len(cepstra), 2 * (num_bins - 1)))
    kept = cepstra.shape[1]
    whole[:, :kept] = cepstra
    whole[:, len(whole[0]) - kept + 1 :] = cepstra[:, :0:-1]
    return np.asarray(np.fft.rfft(whole, axis=1).real)


def _pitch_classes(magnitude: Array, sample_rate: int) -> Array:
    """Unit vectors (frame, 12) of how much of each pitch class there is; zero in silence."""
    frequencies = np.linspace(0, sample_rate / 2, magnitude.shape[1])
    low, high = _PITCH_RANGE_HZ
    used = (frequencies >= low) & (frequencies <= high)
    classes = np.round(12 * np.log2(frequencies[used] / 440)).astype(int) % 12
    sums = magnitude[:, used] @ np.eye(12)[classes]
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), _RANGE))


def describe_frames(magnitude: Array, sample_rate: int, quefrency_ms: float) -> Description:
    """Envelopes and features of magnitudes (frame, bin).

    Levels are relative to the loudest frame, so that a clip may be louder than another.
    """
    loudest = float(magnitude.max()) or 1.0
    log_magnitude = np.log(np.maximum(magnitude / loudest, _RANGE))
    cepstra = true_envelope(log_magnitude, 1 + round(quefrency_ms * sample_rate / 1000))
    source = np.exp(np.minimum(log_magnitude - envelope(cepstra, magnitude.shape[1]), 0.0))
    level = np.linalg.norm(magnitude, axis=1)
    relative = np.log(np.maximum(level / (level.max() or 1.0), _RANGE)) / _LEVEL_STEP
    audible = np.where(magnitude / loudest > _RANGE, source, 0.0)
    features = np.column_stack([_pitch_classes(audible, sample_rate), relative])
    return Description(cepstra, features)


def nearest(wanted: Array, offered: Array) -> np.ndarray:
    """For each row of `wanted` the row of `offered` at the least distance; the first of equals."""
    distances = (
        np.square(wanted).sum(axis=1)[:, None]
        - 2 * wanted @ offered.T
        + np.square(offered).sum(axis=1)[None]
    )
    return np.asarray(distances.argmin(axis=1))


def _framing(sample_rate: int) -> Framing:
    return Framing.of(_FRAME_S, sample_rate, _OVERLAP)


def _measure(request: FitRequest[EnvelopeMatchParameters]) -> StyleState:
    parameters, clips = request.parameters, require_clips(request.style)
    rate = clips[0].audio.sample_rate
    parts = []
    for clip in clips:
        spectra = analyse(samples(clip.audio), _framing(rate))
        parts.append(describe_frames(np.abs(spectra), rate, parameters.quefrency_ms))
    return StyleState(
        arrays={
            "cepstra": np.concatenate([part.cepstra for part in parts]),
            "features": np.concatenate([part.features for part in parts]),
        },
        meta={"sample_rate": rate, "style": request.style.id, "clips": len(clips)},
    )


def _swap(request: TransferRequest[EnvelopeMatchParameters]) -> Audio:
    parameters, audio = request.parameters, request.content.audio
    framing = _framing(audio.sample_rate)
    spectra = analyse(samples(audio), framing)
    magnitude = np.abs(spectra)
    own = describe_frames(magnitude, audio.sample_rate, parameters.quefrency_ms)
    chosen = nearest(own.features, np.asarray(request.state.arrays["features"]))
    cepstra = np.asarray(request.state.arrays["cepstra"])[chosen] - own.cepstra
    width = 1 + round(parameters.smoothing_s * audio.sample_rate / framing.hop_length)
    cepstra[:, 0] = 0  # the level is the content's
    changed = envelope(_smooth(cepstra, width), magnitude.shape[1])
    gains = np.exp(np.clip(changed, -_LARGEST_GAIN, _LARGEST_GAIN))
    gains *= _level(magnitude) / np.maximum(_level(magnitude * gains), np.finfo(float).tiny)
    waveform = synthesise(spectra * gains, framing, audio.num_samples)
    return finish(waveform, audio)


def _level(magnitude: Array) -> Array:
    return np.asarray(np.linalg.norm(magnitude, axis=1, keepdims=True))


def _smooth(values: Array, width: int) -> Array:
    """Mean over `width` neighbouring frames; the ends are repeated."""
    padded = np.pad(values, ((width // 2, (width - 1) // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    return np.asarray((sums[width:] - sums[:-width]) / width)
