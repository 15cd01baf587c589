"""What a listener should know of a transfer: a line for each thing that is not as it may seem.

`run` has metrics and tables that tell such things; a single transfer has these lines. All are pure
functions of audio and of declared facts. Each gives a sentence with numbers and units, or None
where there is nothing to say.

**Conventions**: levels of frames in dBFS as in `bench.outputs`, loudness in LUFS, times in seconds
of the part that was rendered.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, ProfileInfo
from bench.audio import BEYOND, is_beyond_full_scale, peak_of, peak_words
from bench.loudness import ABSOLUTE_GATE, BLOCK_S, contour
from bench.outputs import FRAME_S, SILENCE_DBFS, frame_rms, is_silent

LOST_DB = 12.0  # a frame is lost where it is silent and its content so much above silence
SHORTEST_LOST_S = 1.0  # shorter ones are rests that moved
CONTOUR_DB = 6.0  # a drop of level that differs by more from the content's is heard as another
LONGEST_BLOCK_S = 3.0  # short-term loudness of EBU Tech 3341
QUARTERS = 4
REACH_SHARE = 1e-6  # of the power: what lies above is 60 dB below the whole
REACH_FRAME = 4096
MINI_WORDS = (
    "the models of the mini profile are small, have only heard synthesised instruments and sounds "
    "of nature, and are for testing; --profile full takes the published ones"
)


def is_unusable(output: Audio) -> bool:
    """Whether all channels of an output are silent by the rule of `run`.

    Example:
        >>> is_unusable(Audio(np.full((2, 8000), 4e-4, np.float32), 8000))
        True
    """
    return all(is_silent(Audio(channel[None], output.sample_rate)) for channel in output.waveform)


def level_dbfs(audio: Audio) -> float:
    """Root mean square over all channels, dBFS; -inf for zeros.

    Example:
        >>> level_dbfs(Audio(np.full((1, 10), 0.1, np.float32), 10))
        -20.0
    """
    square = float(np.mean(audio.waveform.astype(np.float64) ** 2))
    return round(10 * math.log10(square), 1) if square else -math.inf


def mini_remark(profile_name: str, profile: ProfileInfo) -> str | None:
    """That the small models know little, for methods that have a model."""
    return MINI_WORDS if profile_name == "mini" and profile.weights else None


def short_remark(given_s: float, asked_s: float | None) -> str | None:
    """That a piece ends before the duration that was asked for, seconds.

    Example:
        >>> short_remark(2.5, 10.0)
        'the content ends after 2.50 s; --duration asks for 10 s'
    """
    if asked_s is None or given_s >= asked_s - FRAME_S:
        return None
    return f"the content ends after {given_s:.2f} s; --duration asks for {asked_s:g} s"


def channel_remark(given: int, rendered: int, label: str) -> str | None:
    """That channels are mixed: the method hears and gives one.

    Args:
        given: Channels of the content.
        rendered: Channels of the output.
        label: The method.

    Example:
        >>> channel_remark(2, 1, "mosaic")
        "mosaic hears the mean of the content's 2 channels; the output is mono"
    """
    if given == rendered:
        return None
    return f"{label} hears the mean of the content's {given} channels; the output is mono"


def band_remark(content: Audio, profile: ProfileInfo, label: str) -> str | None:
    """That a method cuts what the content has above the edge of its band.

    Args:
        content: The part to be rendered, at its own rate.
        profile: Its native rate and bandwidth.
        label: The method.
    """
    limits = [profile.bandwidth_hz, profile.sample_rate / 2 if profile.sample_rate else None]
    limit_hz = min((limit for limit in limits if limit is not None), default=math.inf)
    reach = reach_hz(content)
    if reach <= limit_hz:
        return None
    return (
        f"{label} renders nothing above {limit_hz / 1000:.1f} kHz; the content reaches up to "
        f"{reach / 1000:.1f} kHz"
    )


def reach_hz(audio: Audio) -> float:
    """The frequency above which less than a millionth of the power lies (-60 dB), Hz; 0 in silence.

    Measured on the mean of the channels, over frames of 4096 samples with a Hann window.
    """
    size = min(REACH_FRAME, audio.num_samples)
    frames = audio.mono[: audio.num_samples // size * size].reshape(-1, size)
    window, power = np.hanning(size), np.zeros(size // 2 + 1)
    for frame in frames:  # one by one: a long piece has a hundred times its memory in spectra
        power += np.abs(np.fft.rfft(frame * window)) ** 2
    above = np.cumsum(power[::-1])[::-1]
    counts = np.flatnonzero(above > REACH_SHARE * above[0])
    return float(counts[-1] * audio.sample_rate / size) if len(counts) else 0.0


def silence_remark(output: Audio, content: Audio) -> str | None:
    """The stretches in which an output is silent and its content sounds.

    Args:
        output: What was rendered, at the level that is written.
        content: What the method heard of the content, as long and at the same rate.
    """
    silence = 10 ** (SILENCE_DBFS / 20)
    given, wanted = (_frames(audio) for audio in (output, content))
    lost = (given < silence) & (wanted >= silence * 10 ** (LOST_DB / 20))
    frame_s = max(1, round(FRAME_S * output.sample_rate)) / output.sample_rate
    runs = ((a * frame_s, b * frame_s) for a, b in _runs(lost))
    stretches = [(a, b) for a, b in runs if b - a >= SHORTEST_LOST_S]
    if not stretches:
        return None
    total = sum(b - a for a, b in stretches)
    first, last = max(stretches, key=lambda one: one[1] - one[0])
    which = "" if len(stretches) == 1 else f"in {len(stretches)} stretches, the longest "
    return (
        f"the output is silent (below {SILENCE_DBFS:g} dBFS) for {total:.1f} s where the content "
        f"sounds: {which}from {first:.1f} to {last:.1f} s"
    )


def _frames(audio: Audio) -> NDArray[np.float64]:
    """Level of the loudest channel in each frame of `FRAME_S`."""
    channels = [frame_rms(channel, audio.sample_rate) for channel in audio.waveform]
    return np.asarray(np.max(channels, axis=0))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where stretches of true frames begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in pairwise(edges)][::2]


def contour_remark(output: Audio, content: Audio) -> str | None:
    """That the level of an output does not fall and rise as its content's does.

    The blocks of the content's loudest quarter are set against those of its softest quarter that
    sounds; the drop between them is compared with the drop between the same blocks of the output.

    Args:
        output: What was rendered.
        content: What the method heard of the content, as long and at the same rate.
    """
    block_s = max(BLOCK_S, min(LONGEST_BLOCK_S, content.duration_s / (2 * QUARTERS)))
    wanted, given = contour(content, block_s), contour(output, block_s)
    sounding = np.flatnonzero(wanted > ABSOLUTE_GATE)
    order = sounding[np.argsort(wanted[sounding], kind="stable")]
    count = len(order) // QUARTERS
    if not count:
        return None
    soft, loud = order[:count], order[-count:]
    asked, kept = (float(np.mean(c[loud]) - np.mean(c[soft])) for c in (wanted, given))
    if abs(asked - kept) <= CONTOUR_DB:
        return None
    return (
        f"from its loud to its soft parts the content drops by {asked:.1f} dB, the output by "
        f"{kept:.1f} dB"
    )


def peak_remark(output: Audio) -> str | None:
    """That an output goes beyond full scale."""
    peak = peak_of(output)
    return f"its peak is {peak_words(peak)}, {BEYOND}" if is_beyond_full_scale(peak) else None


def softer_remark(missing_db: float) -> str | None:
    """That an output is softer than its content, because a louder one would clip.

    Example:
        >>> softer_remark(2.04)
        'the output is 2.0 dB softer than the content: louder, its peaks would be beyond full scale'
    """
    if missing_db < 0.1:  # noqa: PLR2004 - what one digit shows
        return None
    return (
        f"the output is {missing_db:.1f} dB softer than the content: louder, its peaks would be "
        "beyond full scale"
    )
