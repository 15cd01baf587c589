"""Procedural sounds of nature and things: the non-instrument styles of the training corpus.

Each generator is pure numpy and needs nothing but a random generator, so these clips exist on
every machine.

**Conventions**: mono float64 of shape (sample,); no fixed level (the corpus scales the peak);
frequencies stay below 6 kHz or below the Nyquist frequency.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Generator = Callable[[np.random.Generator, float, int], Signal]

# Partials of a struck bell relative to the strike note: ratio, level, decay rate per second (hum,
# prime, tierce, quint,
# nominal and above; classical ratios, levels set by ear of thumb).
_BELL_PARTIALS = (
    (0.5, 0.5, 1.4),
    (1.0, 1.0, 2.0),
    (1.2, 0.6, 2.4),
    (1.5, 0.4, 3.0),
    (2.0, 0.7, 3.5),
    (2.67, 0.35, 5.0),
    (3.8, 0.2, 7.0),
    (5.2, 0.12, 9.0),
)


def _band_noise(
    rng: np.random.Generator, num_samples: int, sample_rate: int, slope: float
) -> Signal:
    """White noise with its spectrum tilted by frequency ** slope, unit standard deviation."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency = np.fft.rfftfreq(num_samples, 1 / sample_rate)
    noise = np.fft.irfft(spectrum * np.maximum(frequency, 60.0) ** slope, num_samples)
    return np.asarray(noise / noise.std())


def _add(signal: Signal, start: int, event: Signal) -> None:
    """Mix an event into a signal in place, cut at the signal's end."""
    start = min(start, len(signal))
    stop = min(start + len(event), len(signal))
    signal[start:stop] += event[: stop - start]


def _chirp(
    rng: np.random.Generator, pitch_hz: float, duration_s: float, sample_rate: int
) -> Signal:
    """One syllable of a bird: a gliding, trembling whistle under a Hann window."""
    time = np.arange(int(duration_s * sample_rate)) / sample_rate
    glide_hz = rng.uniform(-1200, 1200) * time / duration_s
    tremble_hz = rng.uniform(0, 250) * np.sin(2 * np.pi * 28 * time)
    phase = 2 * np.pi * np.cumsum(pitch_hz + glide_hz + tremble_hz) / sample_rate
    return np.asarray(np.sin(phase) * np.hanning(len(time)))


def birds(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """Phrases of repeated whistles between 2 and 5 kHz over a faint rustle."""
    signal = 0.003 * rng.standard_normal(int(duration_s * sample_rate))
    now_s = rng.uniform(0, 0.3)
    while now_s < duration_s:
        pitch_hz, syllable_s = rng.uniform(2000, 5000), rng.uniform(0.05, 0.2)
        for _ in range(int(rng.integers(1, 7))):
            chirp = rng.uniform(0.3, 1) * _chirp(rng, pitch_hz, syllable_s, sample_rate)
            _add(signal, int(now_s * sample_rate), chirp)
            now_s += 1.2 * syllable_s
        now_s += rng.uniform(0.1, 0.6)
    return signal


def bell_stroke(
    strike_hz: float, duration_s: float, sample_rate: int, rng: np.random.Generator | None = None
) -> Signal:
    """One stroke of a church bell that rings out.

    Args:
        strike_hz: Pitch that is heard.
        duration_s: Seconds.
        sample_rate: Hz.
        rng: Draws the phases of its partials; without one each begins at 0, and strokes of one
            pitch are equal.
    """
    stroke = np.zeros(int(duration_s * sample_rate))
    time = np.arange(len(stroke)) / sample_rate
    for ratio, level, decay in _BELL_PARTIALS:
        if strike_hz * ratio < 0.45 * sample_rate:
            phase = 2 * np.pi * strike_hz * ratio * time + (rng.uniform(0, 6) if rng else 0.0)
            stroke += level * np.sin(phase) * np.exp(-decay * time)
    return stroke


def bells(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """Church bells struck at random: inharmonic partials that die away at their own rates."""
    signal = np.zeros(int(duration_s * sample_rate))
    now_s = rng.uniform(0, 0.3)
    while now_s < duration_s:
        stroke = bell_stroke(rng.uniform(300, 1200), duration_s, sample_rate, rng)
        _add(signal, int(now_s * sample_rate), stroke)
        now_s += rng.uniform(0.3, 1.2)
    return signal


def fire(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """A low roar with crackles of very different strength."""
    num_samples = int(duration_s * sample_rate)
    signal = 0.06 * _band_noise(rng, num_samples, sample_rate, -1.0)
    for _ in range(int(rng.integers(60, 220))):
        length = int(rng.integers(40, 500))
        burst = rng.standard_normal(length) * np.exp(-5 * np.arange(length) / length)
        _add(signal, int(rng.integers(0, num_samples)), rng.uniform(0.1, 1.0) ** 2 * burst)
    return signal


def heartbeat(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """Two thumps, the second softer and higher, at 55 to 120 beats per minute."""
    signal = 0.001 * rng.standard_normal(int(duration_s * sample_rate))
    period_s, now_s = 60 / rng.uniform(55, 120), rng.uniform(0, 0.3)
    time = np.arange(int(0.25 * sample_rate)) / sample_rate
    while now_s < duration_s:
        for offset_s, level, pitch_hz in ((0.0, 1.0, 55.0), (0.3 * period_s, 0.7, 68.0)):
            phase = 2 * np.pi * pitch_hz * (time + 0.02 * (1 - np.exp(-25 * time)))
            _add(
                signal,
                int((now_s + offset_s) * sample_rate),
                level * np.sin(phase) * np.exp(-22 * time),
            )
        now_s += period_s
    return signal


def rain(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """A steady hiss with many small drops that ring between 1 and 5 kHz."""
    num_samples = int(duration_s * sample_rate)
    signal = 0.05 * _band_noise(rng, num_samples, sample_rate, -0.3)
    time = np.arange(int(0.02 * sample_rate)) / sample_rate
    for _ in range(int(rng.integers(150, 600))):
        drop = np.sin(2 * np.pi * rng.uniform(1000, 5000) * time) * np.exp(-250 * time)
        _add(signal, int(rng.integers(0, num_samples)), rng.uniform(0.05, 0.5) * drop)
    return signal


def waves(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """Sea waves: noise that swells slowly and falls back, 3 to 5 seconds apart."""
    num_samples = int(duration_s * sample_rate)
    time = np.arange(num_samples) / sample_rate
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * (time / rng.uniform(3, 5) + rng.uniform()))
    return np.asarray((0.1 + swell**2) * _band_noise(rng, num_samples, sample_rate, -0.7))


NATURAL: dict[str, Generator] = {
    "birds": birds,
    "bells": bells,
    "fire": fire,
    "heartbeat": heartbeat,
    "rain": rain,
    "waves": waves,
}


def crickets(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """Insects that rasp: tones near 4.5 kHz in trains of short pulses, several at once."""
    signal = 0.004 * rng.standard_normal(int(duration_s * sample_rate))
    time = np.arange(len(signal)) / sample_rate
    for _ in range(int(rng.integers(2, 5))):
        pitch_hz, pulse_hz, phrase_hz = rng.uniform((4000, 25, 0.8), (5200, 60, 2.5))
        pulses = np.maximum(np.sin(2 * np.pi * pulse_hz * time), 0) ** 2
        phrases = np.sin(2 * np.pi * (phrase_hz * time + rng.uniform())) > rng.uniform(-0.3, 0.5)
        tone = np.sin(2 * np.pi * pitch_hz * time + rng.uniform(0, 6))
        signal += rng.uniform(0.2, 1) * tone * pulses * phrases
    return signal


def bubbles(rng: np.random.Generator, duration_s: float, sample_rate: int) -> Signal:
    """Bubbles that rise in water: short tones between .3 and 2 kHz that rise as they fade."""
    signal = 0.002 * rng.standard_normal(int(duration_s * sample_rate))
    for _ in range(int(duration_s * rng.uniform(6, 25))):
        time = np.arange(int(rng.uniform(0.03, 0.15) * sample_rate)) / sample_rate
        pitch_hz, fading = rng.uniform(300, 2000), rng.uniform(25, 70)
        phase = 2 * np.pi * pitch_hz * (time + 0.15 * fading * time**2)
        start = int(rng.integers(0, len(signal)))
        _add(signal, start, rng.uniform(0.1, 1) * np.sin(phase) * np.exp(-fading * time))
    return signal


# For evaluations alone: no model of this project hears these before the benchmark does.
UNHEARD: dict[str, Generator] = {"crickets": crickets, "bubbles": bubbles}
