"""Latents of an endless corpus, in files that are rendered ahead of the training.

Two lists of clips: the **worded** corpus with its captions, and **timbres** without words, each
heard in two clips. A shard is a file with the latents of some clips of a list; it follows from its
number alone. A training opens more shards as it goes on (`Window`) and lets go of the oldest;
`Ahead` renders what comes next in processes of its own, and no further.

**Timbres** take turns between the sources that a training names. Procedural ones are endless. A
General MIDI program, or an instrument of recorded notes, is coloured by a random equaliser, one for
both of its clips, so that a source has more timbres than those; every eighth is held back for the
evaluation.

**Conventions**: latents float16 (clip, channel, height, width): means and deviations of the
autoencoder's posterior; the two clips of a timbre lie side by side.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.api import ConfigError
from bench.corpus.procedural import as_array, render_parts
from bench.corpus.rendering import TRAINED_SOUNDS, training_melody
from bench.corpus.sources import (
    NATURE,
    PROCEDURAL,
    SAMPLES,
    WORDED,
    Source,
    Waveform,
    play,
    timbres_of,
)
from bench.corpus.stream import CLIP_S, take_of
from methods.riffusion.pretrain.corpus import fit_width, render_picture
from methods.riffusion.spectrogram import MINI_PARAMETERS, encode

Kind = Literal["worded", "timbres"]
TAKES = 2
TIMBRES_PER_SHARD = 16
CLIPS_PER_WORD = 3
KEPT_SHARDS = 192  # of a list: about 100 MB of timbres, 250 of words
_SEED_OF_WORDED = 1  # that of the first training: its test clips have another
_RATE = MINI_PARAMETERS.sample_rate or 0
_HELD_BACK_EVERY = 8
_BANDS, _LARGEST_DB = 4, 15.0
_OF_COLOURS, _OF_NOTES = 4, 5  # end their seeds: see `bench.corpus.stream`
_WAIT_S = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Posterior of the clips of a shard, and their captions; those of timbres are empty."""

    means: Tensor
    deviations: Tensor
    captions: tuple[str, ...]


def held_back(timbres: Sequence[int]) -> tuple[int, ...]:
    """The timbres that are kept for the evaluation.

    Example:
        >>> held_back(range(20))
        (5, 13)
    """
    return tuple(timbres[5::_HELD_BACK_EVERY])


def timbres_for(source: Source, *, of_evaluation: bool) -> tuple[int, ...]:
    """Programs or instruments of a source: those of a training, or those of its evaluation."""
    kept = held_back(timbres_of(source))
    if of_evaluation:
        return kept
    return tuple(timbre for timbre in timbres_of(source) if timbre not in kept)


def coloured(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """A clip through a random equaliser: bumps and dips of up to 15 dB, and a tilt."""
    spectrum = np.fft.rfft(waveform)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(waveform), 1 / _RATE), 20.0))
    gain_db = rng.uniform(-4, 3) * (octave - np.log2(500.0))
    for _ in range(_BANDS):
        centre, width = rng.uniform(np.log2(100), np.log2(8000)), rng.uniform(0.2, 1.5)
        gain_db += rng.uniform(-_LARGEST_DB, _LARGEST_DB) * np.exp(
            -(((octave - centre) / width) ** 2)
        )
    return np.asarray(np.fft.irfft(spectrum * 10 ** (gain_db / 20), len(waveform)), np.float32)


def _take(source: Source, seed: int, number: int, take: int, *, of_evaluation: bool) -> Waveform:
    """One clip of the timbre of that number."""
    if source == PROCEDURAL:
        rendered = render_parts([take_of(seed, number, take)], int(CLIP_S * _RATE), _RATE)
        return np.asarray(as_array(rendered)[0])
    timbres = timbres_for(source, of_evaluation=of_evaluation)
    colours = np.random.default_rng((seed, number, _OF_COLOURS))
    timbre = timbres[int(colours.integers(len(timbres)))]
    notes = training_melody(np.random.default_rng((seed, number, take, _OF_NOTES)), CLIP_S).notes
    return coloured(play(source, timbre, notes, CLIP_S, _RATE), colours)


def owner_of(sources: Sequence[Source], number: int) -> tuple[Source, int]:
    """Which source a timbre comes from, and its number there; a source may stand there twice.

    Example:
        >>> from bench.corpus.sources import FLUID, PROCEDURAL
        >>> [owner_of((PROCEDURAL, FLUID, FLUID), number)[1] for number in range(6)]
        [0, 0, 1, 1, 2, 3]
    """
    turn, slot = divmod(number, len(sources))
    source = sources[slot]
    return source, turn * sources.count(source) + sources[:slot].count(source)


def timbre_images(
    sources: Sequence[Source], seed: int, numbers: Sequence[int], *, of_evaluation: bool = False
) -> NDArray[np.uint8]:
    """Both clips of each timbre as mel images (clip, mel, frame)."""
    drawn = []
    for number in numbers:
        source, own = owner_of(sources, number)
        takes = [_take(source, seed, own, t, of_evaluation=of_evaluation) for t in range(TAKES)]
        images = encode(torch.from_numpy(np.stack(takes)), MINI_PARAMETERS, _RATE).numpy()
        drawn.append(fit_width(images, MINI_PARAMETERS.num_frames))
    return np.concatenate(drawn)


Posterior = Callable[[NDArray[np.uint8]], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Renderer:
    """What makes the shards of a training.

    Args:
        sources: Of the timbres, which take turns.
        seed: Of the timbres.
        posterior: Means and deviations of the latents of images; the frozen autoencoder's.
    """

    sources: tuple[Source, ...]
    seed: int
    posterior: Posterior

    def __post_init__(self) -> None:
        """Refuse sources that have no timbres of their own, or too few.

        Raises:
            ConfigError: A source is neither procedural nor a whole soundfont, or has so few
                instruments that none is left for the evaluation.
        """
        for source in self.sources:
            if source.name == SAMPLES.name and not held_back(timbres_of(source)):
                raise ConfigError(
                    f"source {source.name!r} has {source.timbres} instruments here; with fewer "
                    "than 6 none can be held back for the evaluation. Put more into the folder of "
                    "BENCH_SAMPLES, or leave the source out."
                )
            if source in (WORDED, NATURE):
                raise ConfigError(
                    f"source {source.name!r} is in the worded half of every batch already; the "
                    "timbres come from procedural and from soundfonts. Leave it out."
                )

    def shard(self, kind: Kind, number: int) -> Shard:
        """Render one."""
        if kind == "timbres":
            first = number * TIMBRES_PER_SHARD
            images = timbre_images(self.sources, self.seed, range(first, first + TIMBRES_PER_SHARD))
            captions = ("",) * len(images)
        else:
            images, captions = self._worded(number)
        means, deviations = self.posterior(images)
        return Shard(means.half(), deviations.half(), captions)

    def _worded(self, number: int) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
        clips = range(number * CLIPS_PER_WORD, (number + 1) * CLIPS_PER_WORD)
        drawn = [
            render_picture((_SEED_OF_WORDED, sound, index, clip))
            for clip in clips
            for index, sound in enumerate(TRAINED_SOUNDS)
        ]
        return np.stack([image for image, _ in drawn]), tuple(text for _, text in drawn)


@dataclass(frozen=True, slots=True)
class Window:
    """Which shards of a list are open at a step: a few at first, one more every so many steps.

    Args:
        first: Open at step 0.
        every: Steps until the next one.
        most: That there are; None is without end.
    """

    first: int
    every: int
    most: int | None = None

    def at(self, step: int) -> range:
        """Numbers of the open shards.

        Example:
            >>> Window(2, 10).at(25)
            range(0, 4)
        """
        last = self.first + step // self.every
        if self.most is not None:
            last = min(last, self.most)
        return range(max(0, last - KEPT_SHARDS), last)

    def ahead(self, step: int, more: int) -> range:
        """Numbers of the open shards and of so many that open next."""
        soon = self.at(step + more * self.every)
        return range(self.at(step).start, soon.stop)


Windows = Mapping[Kind, Window]
WINDOWS: Windows = {"worded": Window(9, 80), "timbres": Window(2, 24)}


def path_of(folder: Path, kind: Kind, number: int) -> Path:
    """Where a shard lies."""
    return folder / f"{kind}_{number:05d}.pt"


def write_shard(renderer: Renderer, folder: Path, kind: Kind, number: int) -> None:
    """Render a shard and put it into its place in one move; one that is there is kept."""
    target = path_of(folder, kind, number)
    if target.is_file():
        return
    shard = renderer.shard(kind, number)
    partial_file = target.with_suffix(f".{os.getpid()}")
    torch.save([shard.means, shard.deviations, list(shard.captions)], partial_file)
    partial_file.replace(target)


def _render_ahead(
    renderer: Renderer,
    folder: Path,
    windows: Windows,
    step: Synchronized[int],
    turn: tuple[int, int],
) -> None:
    """Render what the windows will open within the next few shards, until the training ends."""
    torch.set_num_threads(1)
    which, of = turn
    while True:
        # One shard of each list beyond what is open, per process.
        wanted = [
            (number, kind)
            for kind, window in windows.items()
            for number in window.ahead(step.value, 1 + of)
            if not path_of(folder, kind, number).is_file()
        ]
        mine = [entry for place, entry in enumerate(sorted(wanted)) if place % of == which]
        if mine:
            write_shard(renderer, folder, mine[0][1], mine[0][0])
        else:
            time.sleep(_WAIT_S)


@dataclass(slots=True)
class Shards:
    """The open shards of a training, in memory; rendered here, or ahead in other processes.

    Args:
        renderer: What makes them.
        folder: Where they are kept.
        processes: That render ahead; 0 renders each when it is needed.
        windows: Of both lists.
    """

    renderer: Renderer
    folder: Path
    processes: int = 0
    windows: Windows = field(default_factory=lambda: WINDOWS)
    _open: dict[tuple[Kind, int], Shard] = field(default_factory=dict)
    _step: Synchronized[int] | None = None
    _workers: list[multiprocessing.process.BaseProcess] = field(default_factory=list)

    def start(self, step: int) -> None:
        """Begin to render ahead of a step."""
        self.folder.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        self._step = context.Value("q", step)
        for which in range(self.processes):
            turn = (which, self.processes)
            given = (self.renderer, self.folder, self.windows, self._step, turn)
            work = partial(_render_ahead, *given)
            worker = context.Process(target=work, daemon=True)
            worker.start()
            self._workers.append(worker)

    def stop(self) -> None:
        """End what renders ahead."""
        for worker in self._workers:
            worker.terminate()
            worker.join()
        self._workers.clear()

    def open_at(self, kind: Kind, step: int) -> list[Shard]:
        """The shards of a list that are open at a step, in order; older files are removed."""
        numbers = self.windows[kind].at(step)
        if self._step is not None:
            self._step.value = step
        for number in numbers:
            if (kind, number) not in self._open:
                self._open[kind, number] = self._read(kind, number)
        for key in [key for key in self._open if key[0] == kind and key[1] < numbers.start]:
            del self._open[key]
            path_of(self.folder, *key).unlink(missing_ok=True)
        return [self._open[kind, number] for number in numbers]

    def _read(self, kind: Kind, number: int) -> Shard:
        path = path_of(self.folder, kind, number)
        if not self.processes:
            write_shard(self.renderer, self.folder, kind, number)
        while not path.is_file():
            if not all(worker.is_alive() for worker in self._workers):
                raise RuntimeError(f"a process that renders {path.name} has ended; see its error.")
            time.sleep(_WAIT_S)
        means, deviations, captions = torch.load(path, weights_only=True)
        return Shard(means, deviations, tuple(captions))
