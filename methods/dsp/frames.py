"""What the baselines share: their rate, short-time spectra, and overlapping frames.

Cutting a waveform into frames and joining them gives exactly that waveform back. Importable without
any library but numpy, so that lists and plans stay fast.

**Conventions**: waveforms are one channel, (sample,); frames are (frame, sample), spectra complex
(frame, bin). Frame t is centred on sample t * hop_length; beyond the ends there is silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bench.api import Audio, Clip, Profile, ProfileInfo, Style, UnsupportedError

Array = NDArray[np.float64]
Spectra = NDArray[np.complex128]
SAMPLE_RATE: dict[Profile, int] = {"mini": 22_050, "full": 44_100}
_TINY = 1e-12


def describe(profile: Profile) -> ProfileInfo:
    """The rate of the profile; clips may have any length, and there are no weights."""
    return ProfileInfo(sample_rate=SAMPLE_RATE[profile], licence="none needed (no weights)")


@dataclass(frozen=True, slots=True)
class Framing:
    """Length of a frame and distance of two, in samples; the length is even.

    Example:
        >>> Framing(4, 2).count(5)
        4
    """

    length: int
    hop_length: int

    @staticmethod
    def of(length_s: float, sample_rate: int, overlap: int) -> Framing:
        """Frames of about `length_s`, as many hops long as `overlap` says, at a rate in Hz."""
        hop = max(1, round(length_s * sample_rate / overlap / 2) * 2)
        return Framing(hop * overlap, hop)

    @property
    def window(self) -> Array:
        """A periodic Hann window; its shifts by half its length add up to 1."""
        phase = 2 * np.pi * np.arange(self.length) / self.length
        return np.asarray(0.5 - 0.5 * np.cos(phase))

    def count(self, num_samples: int) -> int:
        """Frames that cover a clip, ends included."""
        return 1 + -(-num_samples // self.hop_length)

    def cut(self, waveform: Array) -> Array:
        """Frames (frame, sample) of a waveform (sample,), not windowed."""
        half, last = self.length // 2, (self.count(len(waveform)) - 1) * self.hop_length
        padded = np.pad(waveform, (half, half + last - len(waveform)))
        return np.asarray(sliding_window_view(padded, self.length)[:: self.hop_length])

    def join(self, frames: Array, num_samples: int, weights: Array | None = None) -> Array:
        """Overlap and add frames, divided by what the weights (sample,) of a frame add up to."""
        half, hop = self.length // 2, self.hop_length
        total = np.zeros((len(frames) - 1) * hop + self.length)
        norm = np.zeros_like(total)
        weight = self.window if weights is None else weights
        for number, frame in enumerate(frames):
            place = slice(number * hop, number * hop + self.length)
            total[place] += frame
            norm[place] += weight
        return np.asarray((total / np.maximum(norm, _TINY))[half : half + num_samples])


def analyse(waveform: Array, framing: Framing) -> Spectra:
    """Spectra (frame, bin) of windowed frames."""
    return np.asarray(np.fft.rfft(framing.cut(waveform) * framing.window, axis=1))


def synthesise(spectra: Spectra, framing: Framing, num_samples: int) -> Array:
    """The waveform whose spectra are nearest in the least-squares sense.

    Spectra that were not changed give exactly the waveform that was analysed.

    References:
        Griffin and Lim (1984), Signal estimation from modified short-time Fourier transform,
        equation 6.
    """
    window = framing.window
    frames = np.fft.irfft(spectra, framing.length, axis=1) * window
    return framing.join(frames, num_samples, window**2)


def samples(audio: Audio) -> Array:
    """The mean of the channels in double precision, (sample,)."""
    return np.asarray(audio.mono, dtype=np.float64)


def finish(waveform: Array, content: Audio) -> Audio:
    """Audio of a waveform (sample,), scaled down if its peak would pass full scale.

    A content that is louder than full scale may stay as loud as it is.
    """
    peak = float(np.abs(waveform).max(initial=0.0))
    allowed = max(1.0, float(np.abs(content.waveform).max(initial=0.0)))
    scaled = waveform * (allowed / max(peak, allowed))
    return Audio(scaled[None].astype(np.float32), content.sample_rate)


def root_mean_square(frames: Array) -> Array:
    """Level of each frame, (frame,)."""
    return np.asarray(np.sqrt(np.mean(np.square(frames), axis=-1)))


def require_clips(style: Style) -> tuple[Clip, ...]:
    """The clips of a style.

    Raises:
        UnsupportedError: There are none.
    """
    if not style.clips:
        raise UnsupportedError(
            f"style {style.id!r} has 0 clips; this method learns from clips. Add one to the style."
        )
    return style.clips
