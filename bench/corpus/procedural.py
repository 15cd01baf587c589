"""Plays procedural timbres: a batch of clips at once, on any device that torch knows.

Each clip has voices that take its notes in turns. All that moves is a closed formula of a note's
age, so any window of a clip can be rendered by itself, and a GPU renders all samples side by side.
Noise is a hash of (seed, sample), not the state of a generator: the same on every device, wherever
the window begins.

With age a, key frequency f and the names of `Timbre`, a key press is

    cycles(a) = f (a + glide glide_s (1 - exp(-a / glide_s)) + chirp a^2 / 2
                   + vibrato (1 - cos 2 pi v a) / (2 pi v)),
    tone(a)   = sum_p level_p exp(-d_p a) sin 2 pi (ratio_p cycles + phase_p + modulation),
    d_p       = damping_p + string f (string_loss - ln cos(pi ratio_p f / string rate)),

times its envelope; then tremolo and grains, saturation, and, as one multiplication of spectra,
formants, tilt and room.

**Conventions**: waveforms float32 (clip, sample) of the device; inside, "voice" and "note" are axes
as well; times in seconds, frequencies in Hz. torch is imported here at the top: only trainings
import this module.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.corpus.melodies import Note
from bench.corpus.timbres import PARTIALS, Timbre

VOICES = 3
STRING_RATE = 22_050.0  # of the loop that a string stands for
_HIGHEST = 0.45  # of the sample rate: what lies above is left out, not folded back
_TAIL_S = 3.0  # how long a note from before the window is still heard
_STEAL_S = 0.004  # a voice falls silent over this time before its next note
_LONGEST_ROOM_S = 1.0
_PEAK_FLOOR = 1e-4
_STREAM_VOICE, _STREAM_BAND, _STREAM_GRAIN, _STREAM_ROOM = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one clip plays.

    Args:
        timbre: How.
        notes: What; times from the beginning of the melody.
        start_s: Where in the melody the clip begins.
        seed: Of its noise, 0 to 2**31 - 1.
        peak: Largest absolute sample of the clip, 0 to 1.
    """

    timbre: Timbre
    notes: Sequence[Note]
    start_s: float = 0.0
    seed: int = 0
    peak: float = 0.9


def hash_noise(seed: Tensor, index: Tensor) -> Tensor:
    """Uniform noise in [-1, 1) as a function of two whole numbers, float32, of their joint shape.

    Both are mixed by multiplications and shifts on 32 bits (the finaliser of MurmurHash3).
    """
    mixed = (index * 0x9E3779B1 + seed * 0x85EBCA6B) & 0xFFFFFFFF
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & 0xFFFFFFFF
    mixed = mixed ^ (mixed >> 16)
    return ((mixed >> 8).to(torch.float32) - 2.0**23) * 2.0**-23


def _slow_noise(seed: Tensor, cycles: Tensor) -> Tensor:
    """Noise that takes a new value with each cycle and moves between them along a line."""
    whole = cycles.floor()
    share = (cycles - whole).to(torch.float32)
    index = whole.to(torch.int64)
    return torch.lerp(hash_noise(seed, index), hash_noise(seed, index + 1), share)


def _voices_of(part: Part, duration_s: float) -> list[list[Note]]:
    """The notes that are heard, each given to the voice that has been free for longest."""
    end_s = part.start_s + duration_s + _STEAL_S  # the next note makes its voice fade before
    heard = [n for n in part.notes if part.start_s - _TAIL_S < n.onset_s + n.duration_s]
    voices: list[list[Note]] = [[] for _ in range(VOICES)]
    free_s = [-math.inf] * VOICES
    for note in sorted(heard, key=lambda n: n.onset_s):
        if note.onset_s < end_s:
            chosen = free_s.index(min(free_s))
            voices[chosen].append(note)
            free_s[chosen] = note.onset_s + note.duration_s
    return voices


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Timbres as columns (clip, 1, 1) and the notes of all voices (clip, voice, note)."""

    parts: Sequence[Part]
    device: str
    sample_rate: int
    num_samples: int
    notes: dict[str, Tensor]

    @staticmethod
    def of(parts: Sequence[Part], num_samples: int, sample_rate: int, device: str) -> _Batch:
        voices = [_voices_of(part, num_samples / sample_rate) for part in parts]
        most = max(1, *(len(voice) for clip in voices for voice in clip))
        shape = (len(parts), VOICES, most)
        rows = {
            "onset": np.full(shape, np.inf),
            "hz": np.full(shape, 1.0),
            "held": np.zeros(shape),
            "velocity": np.zeros(shape),
        }
        for clip, part in enumerate(parts):
            for voice, notes in enumerate(voices[clip]):
                for place, note in enumerate(notes):
                    pitch = note.pitch + part.timbre.transpose
                    rows["onset"][clip, voice, place] = note.onset_s
                    rows["hz"][clip, voice, place] = 440 * 2 ** ((pitch - 69) / 12)
                    rows["held"][clip, voice, place] = note.duration_s
                    rows["velocity"][clip, voice, place] = (note.velocity / 127) ** 1.5
        tensors = {name: torch.from_numpy(row).to(device) for name, row in rows.items()}
        return _Batch(parts, device, sample_rate, num_samples, tensors)

    def number(self, name: str) -> Tensor:
        """A number of the timbres, float64 (clip, 1, 1)."""
        values = np.array([getattr(part.timbre, name) for part in self.parts], np.float64)
        return torch.from_numpy(values).to(self.device)[:, None, None]

    def row(self, name: str) -> Tensor:
        """Several numbers of the timbres, float64 (number, clip, 1, 1)."""
        values = np.stack([getattr(part.timbre, name) for part in self.parts], axis=1)
        return torch.from_numpy(values).to(self.device)[:, :, None, None]

    def seeds(self, stream: int) -> Tensor:
        """Whole numbers (clip, 1), others for every use of noise."""
        values = [(part.seed * 4 + stream) & 0x7FFFFFFF for part in self.parts]
        return torch.tensor(values, dtype=torch.int64, device=self.device)[:, None]

    def samples(self) -> Tensor:
        """Index of each sample from the beginning of the melody, (clip, sample)."""
        starts = [round(part.start_s * self.sample_rate) for part in self.parts]
        first = torch.tensor(starts, dtype=torch.int64, device=self.device)[:, None]
        return first + torch.arange(self.num_samples, device=self.device)

    def times(self) -> Tensor:
        """Time of each sample, float64 (clip, sample)."""
        return self.samples().to(torch.float64) / self.sample_rate


@dataclass(frozen=True, slots=True, eq=False)
class _Sounding:
    """Which note each voice plays at each sample; all (clip, voice, sample)."""

    place: Tensor
    age: Tensor
    envelope: Tensor
    cycles: Tensor


def _sounding(batch: _Batch) -> _Sounding:
    """Find each sample's note, and from its age the envelope and the cycles."""
    time = batch.times()[:, None].expand(-1, VOICES, -1).contiguous()
    onset = batch.notes["onset"]
    after = torch.searchsorted(onset, time, right=True)
    place = (after - 1).clamp(min=0)
    # Before its first note a voice is at age 0, where every envelope is 0.
    age = (time - onset.gather(2, place)).clamp(min=0)
    never = torch.full_like(onset[..., :1], torch.inf)
    until_next = torch.cat([onset, never], dim=2).gather(2, after) - time
    hz, held, velocity = (batch.notes[name].gather(2, place) for name in ("hz", "held", "velocity"))
    level = _envelope(batch, age, held) * velocity.float()
    level = level * (until_next / _STEAL_S).clamp(0, 1).float()
    return _Sounding(place, age, level, _cycles(batch, age, hz))


def _envelope(batch: _Batch, age: Tensor, held: Tensor) -> Tensor:
    attack = torch.sin((age / batch.number("attack_s")).clamp(max=1) * (math.pi / 2)).float()
    sustain = batch.number("sustain").float()
    level = sustain + (1 - sustain) * torch.exp(-age * batch.number("decay")).float()
    released = (age - held).clamp(min=0) / batch.number("release_s")
    return attack * level * torch.exp(-released).float()


def _cycles(batch: _Batch, age: Tensor, hz: Tensor) -> Tensor:
    """The integral of the frequency, in float64: a clip has more cycles than float32 can count."""
    glide_s, rate = batch.number("glide_s"), 2 * math.pi * batch.number("vibrato_hz")
    glided = batch.number("glide") * glide_s * (1 - torch.exp(-age / glide_s))
    trembled = batch.number("vibrato") * (1 - torch.cos(rate * age)) / rate
    # A falling chirp stops where its frequency reaches a tenth.
    chirp = batch.number("chirp")
    lasting = torch.minimum(age, torch.where(chirp < 0, -0.9 / chirp, torch.inf))
    chirped = chirp * lasting * (age - lasting / 2)
    return hz * (age + glided + trembled + chirped)


def string_damping(ratio: Tensor, hz: Tensor, loss: Tensor) -> Tensor:
    """Decay of a partial in the loop of a plucked string, in nepers per second.

    Once per period the loop averages two neighbouring samples, a gain of cos(pi f / rate), and
    loses `loss` nepers (Jaffe and Smith, 1983, equation 12).
    """
    angle = (math.pi * ratio * hz / STRING_RATE).clamp(max=1.55)
    return hz * (loss - torch.log(torch.cos(angle)))


def _partials(batch: _Batch, sounding: _Sounding) -> Tensor:
    """The sum of all partials, (clip, voice, sample), one partial after the other: memory."""
    hz, age = batch.notes["hz"], sounding.age.float()
    depth = batch.number("fm_index") * torch.exp(-sounding.age * batch.number("fm_decay"))
    modulator = _sine(batch.number("fm_ratio") * sounding.cycles) * depth.float()
    modulation = modulator / (2 * math.pi)
    ratios, levels, phases, dampings = (
        batch.row(name) for name in ("ratio", "level", "phase", "damping")
    )
    string, loss = batch.number("string"), batch.number("string_loss")
    total = torch.zeros_like(age)
    for number in range(PARTIALS):
        ratio, level = ratios[number], levels[number]
        if not bool(level.any()):
            continue
        damping = dampings[number] + string * string_damping(ratio, hz, loss)
        heard = level * (ratio * hz < _HIGHEST * batch.sample_rate)
        faded = torch.exp(-age * damping.float().gather(2, sounding.place))
        turn = _fraction(ratio * sounding.cycles + phases[number]) + modulation
        total += heard.float().gather(2, sounding.place) * faded * torch.sin(turn * 2 * math.pi)
    return total


def _fraction(cycles: Tensor) -> Tensor:
    return (cycles - cycles.floor()).float()


def _sine(cycles: Tensor) -> Tensor:
    return torch.sin(_fraction(cycles) * 2 * math.pi)


def _noise_of(batch: _Batch, sounding: _Sounding) -> Tensor:
    """White noise, and noise around the key's frequency, (clip, voice, sample)."""
    share = batch.number("noise_pitch").float()
    white = hash_noise(batch.seeds(_STREAM_VOICE), batch.samples())[:, None]
    slow = _slow_noise(batch.seeds(_STREAM_BAND), batch.times() * batch.number("noise_hz")[:, 0])
    return (1 - share) * 0.5 * white + share * slow[:, None] * _sine(sounding.cycles)


def _modulated(batch: _Batch, mixed: Tensor) -> Tensor:
    """Tremolo, grains and saturation of a mix (clip, sample)."""
    time = batch.times()
    tremolo, grain, drive = (
        batch.number(name)[:, 0].float() for name in ("tremolo", "grain", "drive")
    )
    beat = 0.5 - 0.5 * torch.cos(_fraction(time * batch.number("tremolo_hz")[:, 0]) * 2 * math.pi)
    grains = _slow_noise(batch.seeds(_STREAM_GRAIN), time * batch.number("grain_hz")[:, 0])
    mixed = mixed * (1 - tremolo * beat) * (1 - grain + grain * 3 * grains.clamp(min=0) ** 2)
    peak = mixed.abs().amax(1, keepdim=True).clamp(min=_PEAK_FLOOR)
    return torch.where(drive > 0, torch.tanh(drive * mixed / peak), mixed)


def _response(batch: _Batch, frequency: Tensor) -> Tensor:
    """Gain of formants and tilt at each frequency (bin,), shape (clip, bin)."""
    octave = torch.log2(frequency.clamp(min=20.0))
    decibel = batch.number("tilt_db")[:, 0] * (octave - math.log2(500.0)).clamp(min=0)
    centres, gains, widths = (
        batch.row(name)[..., 0] for name in ("formant_hz", "formant_db", "formant_octaves")
    )
    distance = (octave - torch.log2(centres)) / widths
    decibel = decibel + (gains * torch.exp(-0.5 * distance**2)).sum(0)
    return torch.pow(10.0, decibel / 20).float()


def _room(batch: _Batch, num_samples: int) -> Tensor:
    """Direct sound and room as an impulse response (clip, sample), the room of unit energy."""
    share = batch.number("reverb")[:, 0].float()
    index = torch.arange(num_samples, device=batch.device)
    fading = math.log(1000.0) / (batch.number("reverb_s")[:, 0] * batch.sample_rate)
    noise = hash_noise(batch.seeds(_STREAM_ROOM), index) * torch.exp(-index * fading).float()
    response: Tensor = share * noise / noise.norm(dim=1, keepdim=True)
    response[:, :1] = 1 - share
    return response


def fast_length(least: int) -> int:
    """The smallest length of at least so many samples that a Fourier transform likes: 2^a 3^b 5^c.

    Example:
        >>> [fast_length(least) for least in (1, 7, 31, 1021)]
        [1, 8, 32, 1024]
    """
    most = least.bit_length()  # powers: of 2, so of 3 and 5 too
    odd = (int(3**b * 5**c) for b in range(most) for c in range(most))
    return min(part << (-(-least // part) - 1).bit_length() for part in odd)


def _placed(batch: _Batch, mixed: Tensor) -> Tensor:
    """Filter and room: one multiplication of spectra."""
    room_samples = min(batch.num_samples, int(_LONGEST_ROOM_S * batch.sample_rate))
    size = fast_length(batch.num_samples + room_samples)
    frequency = torch.fft.rfftfreq(size, 1 / batch.sample_rate, device=batch.device)
    spectrum = torch.fft.rfft(mixed, size) * _response(batch, frequency)
    spectrum = spectrum * torch.fft.rfft(_room(batch, room_samples), size)
    filtered: Tensor = torch.fft.irfft(spectrum, size)
    return filtered[:, : batch.num_samples]


@torch.no_grad()
def render_parts(
    parts: Sequence[Part], num_samples: int, sample_rate: int, device: str = "cpu"
) -> Tensor:
    """Render one clip per part.

    Args:
        parts: At least one.
        num_samples: Of each clip.
        sample_rate: Hz.
        device: "cpu", "cuda:0", ...

    Returns:
        float32 (clip, sample) on the device; a clip in which nothing sounds is silent.
    """
    batch = _Batch.of(parts, num_samples, sample_rate, device)
    sounding = _sounding(batch)
    share = batch.number("noise").float()
    voices = (1 - share) * _partials(batch, sounding) + share * _noise_of(batch, sounding)
    mixed = _placed(batch, _modulated(batch, (voices * sounding.envelope).sum(1)))
    peaks = torch.tensor([part.peak for part in parts], device=device)[:, None]
    largest = mixed.abs().amax(1, keepdim=True).clamp(min=_PEAK_FLOOR)
    return torch.div(mixed, largest) * peaks


def as_array(waveforms: Tensor) -> NDArray[np.float32]:
    """Waveforms on the host."""
    array: NDArray[np.float32] = waveforms.cpu().numpy()
    return array
