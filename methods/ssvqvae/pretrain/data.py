"""Recordings to train SS VQ-VAE on: any folder of them, or the corpus that this project renders.

**Conventions**: recordings are mono int16, full scale 32,768, at the model's rate; those of one
source (one instrument, one track) belong together, because training takes content and style from
two different stretches of one source.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api import DatasetError
from bench.audio import read_audio, resample, to_mono
from bench.corpus.rendering import TRAINED_SOUNDS, training_clip

logger = logging.getLogger(__name__)

Recording = NDArray[np.int16]
_FULL_SCALE = 32_767.0
_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}
_CLIP_S = 5.12
VALIDATION_CLIPS = 2  # of each source, never trained on


@dataclass(frozen=True, slots=True)
class Corpus:
    """Recordings of each source, by its name."""

    sources: dict[str, list[Recording]]

    def split(self) -> tuple[Corpus, Corpus]:
        """Training and validation: the first recordings of every source that has several."""
        kept = {
            name: VALIDATION_CLIPS if len(clips) > 2 * VALIDATION_CLIPS else 0
            for name, clips in self.sources.items()
        }
        training = {name: clips[kept[name] :] for name, clips in self.sources.items()}
        held_out = {name: clips[: kept[name]] for name, clips in self.sources.items() if kept[name]}
        return Corpus(training), Corpus(held_out)


def _quantised(waveform: NDArray[np.float32]) -> Recording:
    return (waveform * _FULL_SCALE).clip(-_FULL_SCALE, _FULL_SCALE).astype(np.int16)


def corpus_path(work: Path, clips_per_sound: int, sample_rate: int) -> Path:
    """Where the rendered corpus lies."""
    return work / f"corpus-{clips_per_sound}-{sample_rate}.npz"


def rendered(work: Path, clips_per_sound: int, sample_rate: int) -> Corpus:
    """The corpus of this project, kept in `work` once it is rendered.

    A clip follows from (seed, sound, number). The held-out instruments and tunes of the benchmark
    are not in it.
    """
    path = corpus_path(work, clips_per_sound, sample_rate)
    if not path.is_file():
        work.mkdir(parents=True, exist_ok=True)
        made = _render(clips_per_sound, sample_rate)
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(partial, allow_pickle=False, **made)
        partial.replace(path)
    with np.load(path) as stored:
        return Corpus({name: list(stored[name]) for name in stored.files})


def _render(clips_per_sound: int, sample_rate: int) -> dict[str, Recording]:
    made = {}
    for index, sound in enumerate(TRAINED_SOUNDS):
        clips = []
        for number in range(clips_per_sound):
            rng = np.random.default_rng((7, index, number))
            clip = training_clip(sound, rng, duration_s=_CLIP_S, sample_rate=sample_rate)
            clips.append(_quantised(clip.waveform))
        made[sound] = np.stack(clips)
        logger.info("rendered %d clips of %s", clips_per_sound, sound)
    return made


def read_folder(folder: Path, sample_rate: int) -> Corpus:
    """Recordings of any folder: those of one sub-folder are one source.

    Each file in the folder itself is a source of its own.

    Raises:
        DatasetError: There is no audio in it.
    """
    sources: dict[str, list[Recording]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES:
            continue
        name = path.stem if path.parent == folder else path.parent.relative_to(folder).as_posix()
        audio = resample(to_mono(read_audio(path)), sample_rate)
        sources.setdefault(name, []).append(_quantised(audio.waveform[0]))
    if not sources:
        raise DatasetError(
            f"{folder} holds 0 recordings; training needs some ({', '.join(sorted(_SUFFIXES))}). "
            "Name a folder with one sub-folder for each source."
        )
    return Corpus(sources)


def draw_pairs(
    corpus: Corpus, count: int, num_samples: int, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Stretches of content and of style, waveforms (count, num_samples) each.

    Both come from one source: from two recordings, or from two halves of its only one.
    """
    names = list(corpus.sources)
    content, style = [], []
    for _ in range(count):
        clips = corpus.sources[names[generator.integers(len(names))]]
        one, other = _two(clips, generator)
        content.append(_stretch(one, num_samples, generator))
        style.append(_stretch(other, num_samples, generator))
    return _waveforms(content), _waveforms(style)


def _two(clips: list[Recording], generator: np.random.Generator) -> tuple[Recording, Recording]:
    if len(clips) > 1:
        first, second = generator.choice(len(clips), 2, replace=False)
        return clips[first], clips[second]
    middle = len(clips[0]) // 2
    halves = (clips[0][:middle], clips[0][middle:])
    return halves if generator.random() < 0.5 else halves[::-1]


def _stretch(clip: Recording, num_samples: int, generator: np.random.Generator) -> Recording:
    """A stretch from a random place; a clip that is too short is repeated."""
    repeated = np.tile(clip, -(-num_samples // len(clip)))
    start = generator.integers(len(repeated) - num_samples + 1)
    return repeated[start : start + num_samples]


def _waveforms(stretches: list[Recording]) -> Tensor:
    return torch.from_numpy(np.stack(stretches).astype(np.float32) / _FULL_SCALE)
