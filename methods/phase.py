"""Short-time Fourier transforms on tensors, and the phase that a spectrogram of magnitudes lacks.

**Conventions**: waveforms are float32 (batch, sample), spectra complex64 (batch, bin, frame);
frames are centred, the ends reflected. Every transform is counted (`bench.counts`).

The search for phases keeps its own spectra as (batch, frame, bin), so that each transform reads and
writes memory in order, and does once what its iterations share: the sum of the squared windows that
an inverse transform is divided by, and the bins above the highest one that sounds, which stay
silent. Its numbers are those of `torch.stft` and `torch.istft`, in the same order of sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch.nn import functional

from bench import counts
from methods.acceleration import Accelerated, Acceleration, Pass, choose_acceleration

_MOMENTUM = 0.99
_STEP_BACK = _MOMENTUM / (1 + _MOMENTUM)
# On a CPU about so many samples of frames go through an iteration together: one window of the mini
# profile, 64 frames of the full one. Fewer stay closer to the processor, but threads wait for each
# other after every operation.
_SAMPLES_AT_ONCE = 1_200_000
# Rows of bins and blocks of frames end where vectors do: the processor's handling of remainders,
# which may round otherwise, then depends on the length of a sound alone.
_TOGETHER = 16
# Where windows add up to less there is nothing to divide by; as in `torch.istft`.
_LEAST_ENVELOPE = 1e-11


@dataclass(frozen=True, slots=True)
class Geometry:
    """The transform's lengths in samples at one sample rate."""

    sample_rate: int
    n_fft: int
    win_length: int
    hop_length: int

    def count_frames(self, num_samples: int) -> int:
        """Frames of a clip: centred frames, so one more than whole hops."""
        return 1 + num_samples // self.hop_length


@cache
def _window(win_length: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    return torch.hann_window(win_length, device=device, dtype=dtype)


def stft(waveform: torch.Tensor, geometry: Geometry) -> torch.Tensor:
    """Complex spectra (batch, bin, frame): centred frames, reflected ends."""
    window = _window(geometry.win_length, waveform.device, waveform.dtype)
    lengths = (geometry.n_fft, geometry.hop_length, geometry.win_length)
    counts.count("stft")
    return torch.stft(waveform, *lengths, window, return_complex=True)


@torch.no_grad()
def retrieve_phase(
    magnitude: torch.Tensor, geometry: Geometry, start: torch.Tensor, iterations: int
) -> torch.Tensor:
    """Find waveforms whose spectrograms have the given magnitudes.

    Each iteration keeps the phase of the rebuilt spectrogram after a step back along the previous
    one, c = r_n - a r_(n-1) with a = 0.99 / 1.99; silent bins stay silent.

    Args:
        magnitude: (batch, bin, frame), not negative.
        geometry: Lengths of the transform.
        start: Complex numbers that take the place of phases at first, like `magnitude`.
        iterations: More is closer.

    Returns:
        (batch, sample), (frame - 1) * hop_length samples; one more where `n_fft` is odd.

    Raises:
        ValueError: There are samples between the windows that none of them reaches.

    References:
        Perraudin, Balazs, Sondergaard (2013), A fast Griffin-Lim algorithm, Algorithm 2, in
        torchaudio's form: its momentum is divided by 1 + momentum.
    """
    search = _Search(magnitude, geometry)
    search.direct(start)
    for _ in range(iterations):
        search.iterate()
    counts.count("stft", iterations)
    counts.count("istft", iterations + 1)
    return search.waveform()


class _Search:
    """What the iterations share, and the frames of sound that the last one left.

    Args:
        magnitude: (batch, bin, frame), not negative.
        geometry: Lengths of the transform.
    """

    def __init__(self, magnitude: torch.Tensor, geometry: Geometry) -> None:
        batch, bins, frames = magnitude.shape
        device = magnitude.device
        n_fft, width = geometry.n_fft, geometry.win_length
        few = _TOGETHER * max(1, round(_SAMPLES_AT_ONCE / (batch * n_fft * _TOGETHER)))
        at_once = min(frames, few) if device.type == "cpu" else frames
        first = (n_fft - width) // 2
        self._geometry = geometry
        self._window = _window(width, device, magnitude.dtype)
        self._windowed = slice(first, first + width)  # the samples of a frame that it lets through
        self._turn = _turning(choose_acceleration(device, large=True))
        heard = _sounding(magnitude)
        self._magnitude = magnitude[:, :heard].transpose(1, 2).contiguous()
        self._blocks = [slice(row, min(row + at_once, frames)) for row in range(0, frames, at_once)]
        # Outside the sounding bins and the window these two hold zeros for good.
        self._framed = magnitude.new_zeros(batch, at_once, n_fft)
        self._spectra = magnitude.new_zeros(
            batch, at_once, bins, dtype=magnitude.dtype.to_complex()
        )
        # They lie in memory as transforms will, for which the turn is compiled.
        self._previous = [
            torch.zeros_like(self._spectra[:, : block.stop - block.start])[..., :heard]
            for block in self._blocks
        ]
        hops = -(-width // geometry.hop_length)
        self._sounds = magnitude.new_zeros(batch, frames, hops * geometry.hop_length)
        squares = torch.zeros_like(self._sounds[:1])
        squares[..., :width] = self._window.square()
        self._envelope = self._overlap(squares)
        if self._envelope.numel() and float(self._envelope.min()) < _LEAST_ENVELOPE:
            raise ValueError(
                f"windows of {width} samples, {geometry.hop_length} apart, leave samples that none "
                "of them reaches; windows must overlap. Shorten the hop."
            )

    def direct(self, start: torch.Tensor) -> None:
        """Make frames of the magnitudes times a start (batch, bin, frame)."""
        rows = start[:, : self._magnitude.shape[-1]].transpose(1, 2)
        for block in self._blocks:
            self._synthesise(block, rows[:, block])

    def iterate(self) -> None:
        """Make frames of the magnitudes with the phases of what was made so far."""
        half, hop_length = self._geometry.n_fft // 2, self._geometry.hop_length
        padded = functional.pad(self.waveform(), (half, half), mode="reflect")
        frames = padded.unfold(-1, self._geometry.n_fft, hop_length)[..., self._windowed]
        for number, block in enumerate(self._blocks):
            rebuilt = self._analyse(frames[:, block])
            previous, self._previous[number] = self._previous[number], rebuilt
            self._synthesise(block, self._turn(rebuilt, previous))

    def waveform(self) -> torch.Tensor:
        """The frames of sound laid over each other, (batch, sample)."""
        return self._overlap(self._sounds) / self._envelope

    def _analyse(self, frames: torch.Tensor) -> torch.Tensor:
        """Spectra (batch, frame, sounding bin) of the part of some frames under the window."""
        framed = self._framed[:, : frames.shape[1]]
        torch.mul(frames, self._window, out=framed[..., self._windowed])
        spectra: torch.Tensor = torch.fft.rfft(framed)
        return spectra[..., : self._magnitude.shape[-1]]

    def _synthesise(self, block: slice, phases: torch.Tensor) -> None:
        """Make windowed frames of a block's magnitudes and of phases (batch, frame, bin)."""
        spectra = self._spectra[:, : phases.shape[1]]
        torch.mul(self._magnitude[:, block], phases, out=spectra[..., : phases.shape[-1]])
        sounds = torch.fft.irfft(spectra, n=self._geometry.n_fft)[..., self._windowed]
        torch.mul(sounds, self._window, out=self._sounds[:, block, : len(self._window)])

    def _overlap(self, sounds: torch.Tensor) -> torch.Tensor:
        """Sums (batch, sample) of frames (batch, frame, hops * hop_length), the ends cut off."""
        hop_length = self._geometry.hop_length
        hops = sounds.unflatten(-1, (-1, hop_length))
        frames, longest = hops.shape[1:3]
        total = sounds.new_zeros(len(sounds), frames + longest - 1, hop_length)
        for hop in reversed(range(longest)):  # earlier frames first
            total[:, hop : hop + frames] += hops[:, :, hop]
        n_fft = self._geometry.n_fft
        first = n_fft // 2 - self._windowed.start
        return total.flatten(1)[:, first : first + (frames - 1) * hop_length + n_fft % 2]


def _sounding(magnitude: torch.Tensor) -> int:
    """How many bins up to the highest that is not silent throughout, in whole vectors."""
    heard = magnitude.amax(dim=(0, 2)).nonzero()
    highest = int(heard[-1]) + 1 if len(heard) else 0
    return min(magnitude.shape[1], -(-highest // _TOGETHER) * _TOGETHER)


@cache
def _turning(way: Acceleration) -> Pass:
    """What takes a rebuilt and the previous spectrum to the phases that are tried next."""
    if way not in ("compile", "compile-graph"):
        return _turn
    fused = Accelerated("phases", _turn_parts, "compile", torch.float32)

    def turn(rebuilt: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
        parts = fused(torch.view_as_real(rebuilt), torch.view_as_real(previous))
        return torch.view_as_complex(parts)

    return turn


def _turn(rebuilt: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    return torch.sub(rebuilt, previous, alpha=_STEP_BACK).sgn_()


def _turn_parts(rebuilt: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    """`_turn` of real and imaginary parts (..., 2), which compilers fuse, unlike complex ones."""
    moved = rebuilt - _STEP_BACK * previous
    length = torch.hypot(moved[..., :1], moved[..., 1:])
    return moved / length.clamp_min(torch.finfo(length.dtype).tiny)
