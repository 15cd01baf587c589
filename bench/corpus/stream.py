"""An endless stream of training crops, drawn from a seed and the number of a step.

Procedural crops are rendered for each step anew, on the device. Clips of the other sources cost a
synthesiser each, so a few hundred are kept in memory and every step cuts its crops from them; a
slow window moves along the list of clips, so that no clip stays. Nothing is stored on disk.

**Conventions**: crops are float32 (clip, sample) on the device; peaks are drawn from 0.15 to 0.95.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.api import Json
from bench.corpus.procedural import Part, render_parts
from bench.corpus.rendering import training_melody
from bench.corpus.sources import PROCEDURAL, Source, Waveform, render_clip
from bench.corpus.timbres import draw_timbre

CLIP_S = 5.12
_KEPT_CLIPS = 384  # per source; about 60 MB at 16 kHz
_CLIPS_PER_STEP = 0.5  # how fast the window moves
_PEAKS = (0.15, 0.95)
_PEAK_OF_CLIPS = 0.9  # of `render_clip`
_TIMBRES, _TAKES = 2**31, 2**16
# To numpy a seed that ends in zeros is the one without them: each use ends in its own number.
_OF_TAKES, _OF_STEPS, _OF_PAIRS = 1, 2, 6  # 3 to 5 are those of `sources` and of trainings


def take_of(seed: int, number: int, take: int = 0) -> Part:
    """One clip of a procedural timbre, 5.12 s long; other takes play other melodies on it.

    Args:
        seed: Of the list of timbres.
        number: Of the timbre in it.
        take: 0 or more.
    """
    rng = np.random.default_rng((seed, number, take, _OF_TAKES))
    notes = training_melody(rng, CLIP_S).notes
    return Part(draw_timbre(seed, number), notes, seed=int(rng.integers(2**31)))


@lru_cache(maxsize=4 * _KEPT_CLIPS)
def _clip(source: Source, seed: int, number: int, sample_rate: int) -> Waveform:
    return render_clip(source, seed, number, duration_s=CLIP_S, sample_rate=sample_rate)


@dataclass(frozen=True, slots=True)
class CropStream:
    """Crops without end.

    Args:
        sources: Take turns within a batch.
        seed: Of every draw; another one gives other timbres and melodies.
        num_samples: Of a crop, at most 5.12 s.
        sample_rate: Hz.
        device: Where crops are wanted.
    """

    sources: tuple[Source, ...]
    seed: int
    num_samples: int
    sample_rate: int
    device: str = "cpu"

    def crops(self, step: int, count: int) -> Tensor:
        """The crops of a step, (count, sample); the sources take turns."""
        return self._drawn(step, count, takes=1)[:, 0]

    def pairs(self, step: int, count: int) -> Tensor:
        """Two crops of each of some timbres, (count, 2, sample): other clips of one timbre."""
        return self._drawn(step, count, takes=2)

    def _drawn(self, step: int, count: int, *, takes: int) -> Tensor:
        """Crops (timbre, take, sample)."""
        use = _OF_STEPS if takes == 1 else _OF_PAIRS
        rng = np.random.default_rng((self.seed, step, 0, use))
        owners = [self.sources[place % len(self.sources)] for place in range(count)]
        drawn = torch.zeros(count, takes, self.num_samples, device=self.device)
        procedural = [place for place, owner in enumerate(owners) if owner == PROCEDURAL]
        if procedural:
            parts = [part for _ in procedural for part in self._parts(rng, takes)]
            made = render_parts(parts, self.num_samples, self.sample_rate, self.device)
            drawn[procedural] = made.view(len(procedural), takes, -1)
        for place, owner in enumerate(owners):
            if owner != PROCEDURAL:
                cuts = np.stack(self._cuts(owner, step, rng, takes))
                drawn[place] = torch.from_numpy(cuts).to(self.device)
        return drawn

    def _parts(self, rng: np.random.Generator, takes: int) -> list[Part]:
        timbre, first = int(rng.integers(_TIMBRES)), int(rng.integers(_TAKES))
        return [self._part(rng, timbre, first + take) for take in range(takes)]

    def _part(self, rng: np.random.Generator, timbre: int, take: int) -> Part:
        part = take_of(self.seed, timbre, take)
        latest_s = CLIP_S - self.num_samples / self.sample_rate
        start_s, peak = float(rng.uniform(0, latest_s)), float(rng.uniform(*_PEAKS))
        return replace(part, start_s=start_s, peak=peak)

    def _cuts(
        self, source: Source, step: int, rng: np.random.Generator, takes: int
    ) -> list[Waveform]:
        number = int(step * _CLIPS_PER_STEP) + int(rng.integers(_KEPT_CLIPS))
        # Timbres take turns in the list of clips.
        return [
            self._cut(source, number + take * (source.timbres or 0), rng) for take in range(takes)
        ]

    def _cut(self, source: Source, number: int, rng: np.random.Generator) -> Waveform:
        waveform = _clip(source, self.seed, number, self.sample_rate)
        start = int(rng.integers(0, len(waveform) - self.num_samples + 1))
        cut = waveform[start : start + self.num_samples]
        gain = float(rng.uniform(*_PEAKS)) / _PEAK_OF_CLIPS
        return np.asarray(cut * gain, np.float32)


def described(sources: Sequence[Source]) -> list[Json]:
    """What a model card says of the sources."""
    return [
        {"name": source.name, "licence": source.licence, "origin": source.origin}
        for source in sources
    ]
