"""Mosaic: the content rebuilt from short grains of the style's recordings.

Every grain of the output is a piece of a style clip, chosen for its likeness to what the content
does there and for going on from the grain before. It certainly sounds like the style, because it is
the style; how much of the content is left depends on what the clips have to offer.

**Conventions**: grains overlap by half; a grain takes the content's level. Nothing is random.
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
from bench.audio import resample
from methods.dsp.frames import Array, Framing, finish, require_clips, root_mean_square, samples

_OVERLAP = 2
_FINER = 2  # grains of the style begin this many times as often as those of the output
_LOWEST_HZ, _HIGHEST_HZ = 65.4, 5000.0
_SEMITONES = 12
# A grain 50 dB below the loudest of its kind counts as silence: it is mostly the recording's noise.
_SILENCE = 10 ** (-50 / 20)
_SHORTEST_S = 0.01
_LARGEST_GAIN = 10.0


@dataclass(frozen=True, slots=True)
class MosaicParameters:
    """Parameters of the mosaic.

    Args:
        grain_s: Length of a grain, seconds; longer keeps more of the style, shorter more of the
            content.
        continuity: Cost of not going on from the grain before, in units of the distance between
            two unlike grains; 0 lets every grain jump.
        transpose_semitones: The style's clips are also offered played faster and slower, up to
            this many semitones.
    """

    grain_s: float = field(default=0.15, metadata={"role": "transfer"})
    continuity: float = field(default=0.1, metadata={"role": "transfer"})
    transpose_semitones: int = field(default=2, metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not _SHORTEST_S <= self.grain_s <= 1:
            raise ConfigError(
                f"grain_s is {self.grain_s}; it must be in [{_SHORTEST_S}, 1]. Try 0.15."
            )
        if self.continuity < 0:
            raise ConfigError(f"continuity is {self.continuity}; it must be >= 0. Try 0.1.")
        if not 0 <= self.transpose_semitones <= _SEMITONES:
            raise ConfigError(
                f"transpose_semitones is {self.transpose_semitones}; it must be in 0..12. Try 2."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """All grains of a style.

    Args:
        recordings: The grains of each recording, (grain, sample), not windowed.
        features: What they are chosen by, for all recordings in order: unit vectors (grain,
            pitch); zero in silence.
        levels: Root mean square under the window, (grain,).
        successor: The grain that goes on where a grain's next neighbour in the output begins, or
            -1 at the end of a recording.
    """

    recordings: Sequence[Array]
    features: Array
    levels: Array
    successor: np.ndarray

    def pick(self, path: Sequence[int]) -> Array:
        """Grains by their number in the library."""
        begins = np.cumsum([0, *(len(recording) for recording in self.recordings)])
        homes = np.searchsorted(begins, path, side="right") - 1
        return np.stack(
            [self.recordings[h][n - begins[h]] for h, n in zip(homes, path, strict=True)]
        )


@final
class Mosaic(StyleTransferMethod[MosaicParameters]):
    """Concatenation of style grains by similarity, with the cheapest path through them.

    References:
        Zils and Pachet (2001), Musical mosaicing, DAFx; Schwarz (2000), A system for data-driven
        concatenative sound synthesis, DAFx, section 5: target and concatenation cost, Viterbi.
        Departures: grains of one length in place of segmented units; the target cost is the
        distance of semitone spectra without the average colour of either side.
    """

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing: there is no model."""

    def fit(
        self, requests: Sequence[FitRequest[MosaicParameters]], progress: Progress
    ) -> list[StyleState]:
        """Store each style's clips.

        Raises:
            UnsupportedError: A style has no clip.
        """
        states = [_store(request) for request in requests]
        progress(1.0, "clips stored")
        return states

    def transfer(self, requests: Sequence[TransferRequest[MosaicParameters]]) -> list[Audio]:
        """Rebuild each content from the grains of its style."""
        libraries: dict[tuple[int, MosaicParameters], Library] = {}
        outputs = []
        for request in requests:
            key = (id(request.state), request.parameters)
            if key not in libraries:
                libraries[key] = _library(request.state, request.parameters)
            outputs.append(_rebuild(request, libraries[key]))
        return outputs


def semitone_spectra(grains: Array, sample_rate: int) -> Array:
    """Square roots of magnitudes per semitone, (grain, pitch), from the low C up to 5 kHz."""
    length = grains.shape[1]
    magnitude = np.abs(np.fft.rfft(grains * Framing(length, length // _OVERLAP).window, axis=1))
    frequencies = np.linspace(0, sample_rate / 2, magnitude.shape[1])
    used = (frequencies >= _LOWEST_HZ) & (frequencies <= _HIGHEST_HZ)
    pitches = np.round(_SEMITONES * np.log2(frequencies[used] / _LOWEST_HZ)).astype(int)
    bank = np.eye(round(_SEMITONES * np.log2(_HIGHEST_HZ / _LOWEST_HZ)) + 1)[pitches]
    return np.asarray(np.sqrt(magnitude[:, used] @ bank))


def compare_by(spectra: Array, levels: Array, average: Array) -> Array:
    """Features (grain, pitch): semitone spectra over an average (pitch,), so colour counts less.

    Each row is a unit vector, or zero for a grain whose level, of shape (grain,), says that it is
    silent.
    """
    flat = spectra / (average + 0.1 * max(float(average.max()), np.finfo(float).tiny))
    flat[levels <= _SILENCE * levels.max()] = 0
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(norms, np.finfo(float).tiny))


def shortfall(asked: Array, levels: Array) -> Array:
    """What it costs to take a grain that stays too soft with the largest gain: (step, grain).

    20 dB too soft costs as much as a grain that is wholly unlike.

    Args:
        asked: The level of the content, root mean square, (step,).
        levels: Those of the grains, (grain,).
    """
    reached = _LARGEST_GAIN * np.maximum(levels, np.finfo(float).tiny)
    return np.asarray(np.log10(np.maximum(asked[:, None] / reached, 1.0)))


def cheapest_path(distances: Array, successor: np.ndarray, continuity: float) -> list[int]:
    """One grain per step, so that distances and jumps together cost least.

    Args:
        distances: (step, grain), not negative.
        successor: Which grain goes on from each, -1 for none.
        continuity: Cost of any other pair of neighbours.

    References:
        Viterbi (1967); a jump costs the same from anywhere, so a step takes linear time.
    """
    costs = distances[0]
    goes_on = np.flatnonzero(successor >= 0)
    arrivals = successor[goes_on]
    origins = np.empty(distances.shape, dtype=np.int64)
    for step in range(1, len(distances)):
        cheapest = int(costs.argmin())
        reached = np.full(len(costs), costs[cheapest] + continuity)
        origins[step] = cheapest
        better = costs[goes_on] <= reached[arrivals]
        reached[arrivals[better]] = costs[goes_on[better]]
        origins[step, arrivals[better]] = goes_on[better]
        costs = reached + distances[step]
    path = [int(costs.argmin())]
    for step in range(len(distances) - 1, 0, -1):
        path.append(int(origins[step, path[-1]]))
    return path[::-1]


def _store(request: FitRequest[MosaicParameters]) -> StyleState:
    clips = require_clips(request.style)
    return StyleState(
        arrays={f"clip_{n:03d}": clip.audio.mono.copy() for n, clip in enumerate(clips)},
        meta={"sample_rate": clips[0].audio.sample_rate, "style": request.style.id},
    )


def _library(state: StyleState, parameters: MosaicParameters) -> Library:
    rate = int(str(state.meta["sample_rate"]))
    whole = Framing.of(parameters.grain_s, rate, _OVERLAP)
    framing = Framing(whole.length, whole.hop_length // _FINER)
    clips = [np.asarray(state.arrays[name], dtype=np.float32) for name in sorted(state.arrays)]
    widest = parameters.transpose_semitones
    recordings = [
        framing.cut(_transposed(clip, rate, semitones))
        for semitones in sorted(range(-widest, widest + 1), key=abs)
        for clip in clips
    ]
    spectra = [semitone_spectra(grains, rate) for grains in recordings]
    untouched = np.concatenate([part[::_FINER] for part in spectra[: len(clips)]])
    # Under the window, as it will be heard: a note at the edge of a grain is no sound of it.
    levels = np.concatenate([root_mean_square(grains * framing.window) for grains in recordings])
    features = compare_by(np.concatenate(spectra), levels, untouched.mean(axis=0))
    return Library(recordings, features, levels, _successors([len(part) for part in spectra]))


def _successors(lengths: Sequence[int]) -> np.ndarray:
    """Which grain goes on from each of several recordings, -1 where the recording ends."""
    ends = np.repeat(np.cumsum(lengths), lengths)
    going_on = np.arange(sum(lengths)) + _FINER
    return np.where(going_on < ends, going_on, -1)


def _transposed(waveform: np.ndarray, sample_rate: int, semitones: int) -> Array:
    """A recording played faster or slower."""
    pretended = round(sample_rate * 2 ** (semitones / _SEMITONES))
    return samples(resample(Audio(waveform[None], pretended), sample_rate))


def _rebuild(request: TransferRequest[MosaicParameters], library: Library) -> Audio:
    parameters, audio = request.parameters, request.content.audio
    framing = Framing.of(parameters.grain_s, audio.sample_rate, _OVERLAP)
    wanted = framing.cut(samples(audio))
    spectra = semitone_spectra(wanted, audio.sample_rate)
    window = framing.window
    asked = root_mean_square(wanted * window)
    similarity = compare_by(spectra, asked, spectra.mean(axis=0)) @ library.features.T
    distances = 1 - similarity + shortfall(asked, library.levels)
    path = cheapest_path(distances, library.successor, parameters.continuity)
    chosen = library.pick(path)
    given = root_mean_square(chosen * window)
    gains = np.minimum(asked / np.maximum(given, np.finfo(float).tiny), _LARGEST_GAIN)
    waveform = framing.join(chosen * window * gains[:, None], audio.num_samples)
    return finish(waveform, audio)
