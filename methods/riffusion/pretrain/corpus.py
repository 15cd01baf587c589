"""Training pictures of the mini profile: the corpus as grey mel images with captions.

**Conventions**: images are uint8 (clip, mel, frame) as `methods.riffusion.spectrogram` draws them;
a clip's random numbers follow from (split seed, sound, number), so any part of the corpus can be
rendered alone and again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.corpus.rendering import HELD_OUT_INSTRUMENTS, TRAINED_SOUNDS, training_clip
from methods.riffusion.spectrogram import MINI_PARAMETERS, encode

logger = logging.getLogger(__name__)

_WHITE = 255
# Benchmark clips are shorter than the window; the models must know the white margin that fills it.
_SHORT_SHARE, _SHORT_DURATION_S, _FULL_DURATION_S = 0.3, 5.0, 5.12


@dataclass(frozen=True, slots=True)
class Split:
    """A part of the corpus: its sounds, clips of each, and the seed that keeps it apart."""

    name: str
    sounds: tuple[str, ...]
    clips_per_sound: int
    seed: int


def splits(clips_per_sound: int) -> tuple[Split, ...]:
    """Training, test (same sounds, other melodies) and held-out sounds."""
    return (
        Split("train", TRAINED_SOUNDS, clips_per_sound, 1),
        Split("test", TRAINED_SOUNDS, 8, 2),
        Split("held_out", HELD_OUT_INSTRUMENTS, 8, 3),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Images (clip, mel, frame) with their captions and sounds, in the same order."""

    images: NDArray[np.uint8]
    captions: list[str]
    sounds: list[str]


def fit_width(image: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:
    """Cut the last axis, or fill it with silence (white) at the end."""
    missing = max(num_frames - image.shape[-1], 0)
    padding = [(0, 0)] * (image.ndim - 1) + [(0, missing)]
    return np.pad(image[..., :num_frames], padding, constant_values=_WHITE)


def render_picture(task: tuple[int, str, int, int]) -> tuple[NDArray[np.uint8], str]:
    """Image (mel, frame) and caption of the clip of (seed, sound, its place, number)."""
    seed, sound, sound_index, number = task
    rng = np.random.default_rng((seed, sound_index, number))
    duration_s = _SHORT_DURATION_S if rng.random() < _SHORT_SHARE else _FULL_DURATION_S
    rate = MINI_PARAMETERS.sample_rate or 0
    clip = training_clip(sound, rng, duration_s=duration_s, sample_rate=rate)
    image = encode(torch.from_numpy(clip.waveform)[None], MINI_PARAMETERS, rate)[0].numpy()
    return fit_width(image, MINI_PARAMETERS.num_frames), clip.caption


def _tasks(split: Split) -> list[tuple[int, str, int, int]]:
    """One task per clip; sounds alternate, so that any beginning of the list holds them all."""
    numbers = range(split.clips_per_sound)
    named = list(enumerate(split.sounds))
    return [(split.seed, sound, index, number) for number in numbers for index, sound in named]


def render_split(split: Split, folder: Path, processes: int) -> None:
    """Render a split into `folder` as NAME.npz and NAME.json; an existing one is kept."""
    target = folder / f"{split.name}.npz"
    if target.is_file():
        return
    tasks = _tasks(split)
    with get_context("spawn").Pool(
        processes, initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        rendered = pool.map(render_picture, tasks, chunksize=8)
    words = {"captions": [text for _, text in rendered], "sounds": [task[1] for task in tasks]}
    (folder / f"{split.name}.json").write_text(json.dumps(words), encoding="utf-8")
    np.savez(target, images=np.stack([image for image, _ in rendered]))
    logger.info("rendered %d clips of split %s", len(tasks), split.name)


def load_split(name: str, folder: Path) -> Pictures:
    """Read a rendered split."""
    words = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"{name}.npz") as arrays:
        return Pictures(arrays["images"], words["captions"], words["sounds"])


def caption_words(captions: Sequence[str]) -> list[str]:
    """All words of the captions, sorted: the vocabulary."""
    return sorted({word for text in captions for word in text.split()})
