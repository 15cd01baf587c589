"""Clips for timing that no network has heard before.

Networks of this project remember posteriors and embeddings of audio that they have seen. Each
repetition therefore gets clips that were never seen: those of the dataset, rolled in time by
another number of samples, which leaves level and length as they are. What stays remembered is what
a run computes once: the encodings of texts, and the embeddings of the style when outputs are
scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from bench.api import Audio, Clip, Output, Style
from bench.audio import as_heard
from bench.data.material import Material

ROLL = (
    997  # samples; a prime that is not a multiple of any hop, so that spectrograms differ as well
)


@dataclass(slots=True, eq=False)
class Supply:
    """Clips that no method has heard before: those of the dataset, rolled further each time.

    Args:
        material: The clips of the dataset.
        contents: Names of the contents, which are taken in turn.
        style: The style that is fitted.
    """

    material: Material
    contents: Sequence[str]
    style: Style
    _turn: Iterator[int] = field(default_factory=lambda: count(1))

    def contents_for(self, clips: int, sample_rate: int | None) -> list[Clip]:
        """That many contents as a method of this native rate (Hz) hears them."""
        chosen = [self.contents[number % len(self.contents)] for number in range(clips)]
        return [self._fresh(self.material.content(name), sample_rate) for name in chosen]

    def style_for(self, sample_rate: int | None) -> Style:
        """The style as a method of this native rate (Hz) is handed it, without held-out clips."""
        clips = tuple(self._fresh(clip, sample_rate) for clip in self.style.clips)
        return replace(self.style, clips=clips, heldout_clips=())

    def outputs(self, clips: int) -> list[Output]:
        """Something to score: contents, with other contents in place of outputs."""
        pairs = zip(self.contents_for(clips, None), self.contents_for(clips, None), strict=True)
        rivals = (replace(self.style, id=f"not {self.style.id}"),)
        return [
            Output(content, self.style, made.audio, rivals, content.audio)
            for content, made in pairs
        ]

    def _fresh(self, clip: Clip, sample_rate: int | None) -> Clip:
        heard = as_heard(clip, sample_rate)
        return replace(heard, audio=rolled(heard.audio, ROLL * next(self._turn)))


def rolled(audio: Audio, samples: int) -> Audio:
    """The same sound with its last `samples` samples moved to the front."""
    return Audio(np.roll(audio.waveform, samples, axis=1), audio.sample_rate)
