"""The sounds of a listening test: equally loud, without clicks, under names that tell nothing.

* WAV of 16 bits at 44.1 kHz, which every browser and every test tool plays, with noise of its own
  in the least bit of each file, so that a hidden copy is not told by its bytes.
* On request Ogg Opus at 48 kHz with about 110 kbit/s per channel, nearly twice what its makers
  recommend for music in stereo (96 to 128 kbit/s in all); the files are six times smaller. That
  nobody tells it from WAV rests on their word: we have not tested it by ear. A comment of random
  length hides that a copy packs into as many bytes as its original. Safari plays such files from
  version 18.4 on.

The check of headphones plays three tones, of which one is softer and one has its two channels in
opposite phase. On loudspeakers the latter cancels in the air and seems the softest.

References:
    Opus recommended settings, Xiph.Org wiki.

    Woods, Siegel, Traer, McDermott (2017), Headphone screening to facilitate web-based auditory
    experiments, Attention, Perception & Psychophysics 79(7). Departure: three trials, not six, and
    nobody is sent away: how many were right stands in the ratings.
"""

from __future__ import annotations

import math
import random
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np

from bench.api import Audio
from bench.audio import read_audio, resample, write_audio
from bench.files import replace_file
from bench.loudness import matched

Form = Literal["wav", "opus"]
SUFFIX: dict[Form, str] = {"wav": ".wav", "opus": ".ogg"}
RATE: dict[Form, int] = {"wav": 44_100, "opus": 48_000}  # Hz
FADE_S = 0.02
LEAST_BIT = 2.0**-15  # of 16 bits
OPUS_COMPRESSION = 0.6  # of libsndfile, from 0 (256 kbit/s per channel) to 1 (6)
MOST_PADDING = 4000  # bytes
TONES = 3
TONE_HZ, TONE_S, PAUSE_S, RAMP_S = 200.0, 0.8, 0.4, 0.1
LEVEL, SOFTER = 0.2, 0.5  # of full scale; 6 dB


def write_clip(
    source: Path, target: Path, form: Form, seed: int, most_s: float = math.inf
) -> float:
    """Write a sound as listeners hear it; its length in seconds.

    Args:
        source: The sound of the run.
        target: Where it goes, without a suffix.
        form: What listeners get.
        seed: Decides the noise or the padding.
        most_s: How many seconds of it are played, from its beginning.
    """
    audio = resample(read_audio(source), RATE[form])
    size = round(min(most_s, audio.duration_s) * audio.sample_rate)
    heard = faded(matched(Audio(audio.waveform[:, :size], audio.sample_rate)))
    _write(target.with_name(f"{target.name}{SUFFIX[form]}"), heard, form, seed)
    return heard.duration_s


def write_trial(softest: int, target: Path, form: Form, seed: int) -> None:
    """Write one trial of the check of headphones; the tone `softest`, from 0, is the softer one."""
    audio = matched(three_tones(softest, RATE[form], seed))
    _write(target.with_name(f"{target.name}{SUFFIX[form]}"), audio, form, seed)


def _write(path: Path, audio: Audio, form: Form, seed: int) -> None:
    if form == "wav":
        write_audio(path, with_least_noise(audio, seed), "PCM_16")
    else:
        replace_file(path, opus(audio, random.Random(seed).randint(1, MOST_PADDING)))  # noqa: S311 - the seed is the secret


def three_tones(softest: int, sample_rate: int, seed: int) -> Audio:
    """Three tones of two channels; one is softer, and of the others one is in opposite phase."""
    others = [place for place in range(TONES) if place != softest]
    opposed = others[seed % len(others)]
    time = np.arange(round(TONE_S * sample_rate)) / sample_rate
    ramp = np.minimum(1.0, np.minimum(time, TONE_S - time) / RAMP_S)
    tone = LEVEL * ramp * np.sin(2 * np.pi * TONE_HZ * time)
    pause = np.zeros(round(PAUSE_S * sample_rate))
    left = [tone * (SOFTER if place == softest else 1.0) for place in range(TONES)]
    right = [-one if place == opposed else one for place, one in enumerate(left)]
    sides = [
        np.concatenate([part for one in ear for part in (one, pause)]) for ear in (left, right)
    ]
    return Audio(np.stack(sides).astype(np.float32), sample_rate)


def opus(audio: Audio, padding: int) -> bytes:
    """The bytes of an Ogg Opus file with a comment of so many letters."""
    import soundfile

    buffer = BytesIO()
    with soundfile.SoundFile(
        buffer, "w", audio.sample_rate, channels=audio.waveform.shape[0], subtype="OPUS",
        format="OGG", compression_level=OPUS_COMPRESSION,
    ) as file:  # fmt: skip
        file.comment = "." * padding
        file.write(audio.waveform.T)
    return buffer.getvalue()


def with_least_noise(audio: Audio, seed: int) -> Audio:
    """The sound with -1, 0 or 1 least bit of 16 added to each sample, within full scale."""
    steps = np.random.default_rng(seed).integers(-1, 2, audio.waveform.shape)
    noisy = audio.waveform + steps.astype(np.float32) * np.float32(LEAST_BIT)
    return Audio(np.clip(noisy, -1.0, 1.0), audio.sample_rate)


def faded(audio: Audio) -> Audio:
    """The sound with its beginning and end faded, so that a cut does not click."""
    size = min(round(FADE_S * audio.sample_rate), audio.num_samples // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(size) / max(size, 1))).astype(np.float32)
    envelope = np.ones(audio.num_samples, np.float32)
    envelope[:size], envelope[audio.num_samples - size :] = ramp, ramp[::-1]
    return Audio(audio.waveform * envelope, audio.sample_rate)
