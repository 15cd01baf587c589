"""A content's channels: what of it is rendered, and how the outputs make the whole again.

A method hears one channel. Where it declares `channels="each"`, the channels of a stereo content
are rendered as contents of one batch with one seed. Channels that are equal are rendered once, so
they stay equal; one that is silent stays silent and is not rendered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.api import Audio
from bench.audio import peak_of, to_mono
from bench.data.clips import ClipSource
from bench.loudness import gain_to, headroom, loudness
from bench.outputs import is_silent

STEREO = ("left", "right")
FULL_SCALE = 1.0


@dataclass(frozen=True, slots=True)
class Division:
    """What of a content is rendered.

    Args:
        heard: What methods hear of it: all channels, or their mean.
        sources: What is rendered, each a content of the plan.
        places: For each channel of `heard` the number of its source; None where it is silent.
    """

    heard: Audio
    sources: tuple[ClipSource, ...]
    places: tuple[int | None, ...]

    @property
    def channels(self) -> int:
        """Channels of the output."""
        return len(self.places)

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to render."""
        return not self.sources


def divide(source: ClipSource, audio: Audio, *, each: bool) -> Division:
    """Decide what of a content is rendered.

    Args:
        source: The content.
        audio: Its sound, with all channels.
        each: Whether the method renders both channels of a stereo content.
    """
    heard = audio if each and audio.waveform.shape[0] == len(STEREO) else to_mono(audio)
    parts = [Audio(channel[None], audio.sample_rate) for channel in heard.waveform]
    first: dict[str, int] = {}
    places: list[int | None] = []
    sources: list[ClipSource] = []
    for number, part in enumerate(parts):
        if is_silent(part):
            places.append(None)
            continue
        if part.digest not in first:
            first[part.digest] = len(sources)
            sources.append(_source(source, number) if len(parts) > 1 else source)
        places.append(first[part.digest])
    return Division(heard, tuple(sources), tuple(places))


def _source(source: ClipSource, number: int) -> ClipSource:
    return replace(source, id=f"{source.id} ({STEREO[number]})", channel=number)


def joined(outputs: Sequence[Audio], places: Sequence[int | None]) -> Audio:
    """The whole output, shape (channel, sample), from those of the sources.

    Example:
        >>> one = Audio(np.ones((1, 2), np.float32), 8000)
        >>> joined([one], [None, 0]).waveform.tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    silence = np.zeros_like(outputs[0].waveform[0])
    rows = [silence if place is None else outputs[place].waveform[0] for place in places]
    return Audio(np.stack(rows), outputs[0].sample_rate)


def at_level(output: Audio, heard: Audio) -> tuple[Audio, float]:
    """An output as loud as its content (ITU-R BS.1770), channel by channel, and never clipped.

    Args:
        output: What was rendered.
        heard: What the method heard of the content, with as many channels. Its peak is the largest
            that the output may have, where that is beyond full scale.

    Returns:
        The output, itself where nothing changes, and by how many dB it is softer than its content
        because a louder one would go beyond full scale.

    Example:
        >>> tone = Audio(np.sin(np.arange(48_000) / 7, dtype=np.float32)[None] / 9, 48_000)
        >>> louder, missing_db = at_level(Audio(tone.waveform / 8, 48_000), tone)
        >>> bool(np.allclose(louder.waveform, tone.waveform)), missing_db
        (True, 0.0)
    """
    most = max(FULL_SCALE, peak_of(heard))
    pairs = [
        (Audio(made[None], output.sample_rate), Audio(given[None], heard.sample_rate))
        for made, given in zip(output.waveform, heard.waveform, strict=True)
    ]
    gains = [gain_to(made, loudness(given)) for made, given in pairs]
    room = min(headroom(made, most) / gain for (made, _), gain in zip(pairs, gains, strict=True))
    shared = min(1.0, room)
    factors = shared * np.array(gains)[:, None]
    missing_db = -20 * math.log10(shared) + 0.0
    if (factors == 1.0).all():
        return output, missing_db
    # Rounding to float32 may pass the largest value by half a step, which an integer file lacks.
    waveform = (output.waveform * factors).astype(np.float32).clip(-most, most)
    return Audio(waveform, output.sample_rate), missing_db
