"""Notes: whether the notes of the content sound in the output, chords included.

**Measure**: X and Y are the cells (frame, note) that sound in content and output (`note_maps`),
over the frames both have. Then F1 = 2 |X and Y| / (|X| + |Y|), in [0, 1], higher is closer.

* `notes` folds octaves: a note is one of the 12 pitch classes, and sounds where any of its octaves
  does. It hears through instruments whose strong partials are taken for other octaves, bells too.
* `notes.octave` tells octaves apart, and so falls to 0 where a method has moved one.

Frames are compared in place, so a shift in time counts as a difference. Both fall about as the
share of wrong notes grows. The ceiling of a right transfer is below 1, because another instrument's
notes begin and end otherwise: .74 on average between rendered instruments, .90 from piano to
violin.

References:
    The note maps: Bittner et al. (2022), see `metrics.pitch.note_maps`. The frame-wise F measure:
    Bay, Ehmann, Downie (2009), "Evaluation of multiple-F0 estimation and tracking systems", ISMIR;
    the folding is that of its "chroma" variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import numpy as np

from bench.api import Json, Output, UnsupportedError
from bench.cache import Cache
from metrics.pitch.metric import Heard, PitchMetric
from metrics.pitch.note_maps import NoteMap, facts, open_note_maps, unpacked
from metrics.pitch.remembered import Remembered

VERSION = "1"
CLASSES = 12
LEAST_CELLS = 10  # of (frame, pitch class)
LEAST_SHARE = 0.2  # of frames in which a note sounds


def folded(notes: NoteMap) -> NoteMap:
    """The pitch classes (frame, class) of a note map, the class of key 0 first.

    Example:
        >>> keys = np.zeros((1, 88), bool)
        >>> keys[0, [3, 15, 87]] = True
        >>> np.flatnonzero(folded(keys)).tolist()
        [3]
    """
    octaves = np.pad(notes, ((0, 0), (0, -notes.shape[1] % CLASSES)))
    return np.asarray(octaves.reshape(len(notes), -1, CLASSES).any(axis=1))


def agreement(content: NoteMap, output: NoteMap) -> float:
    """F1 of the cells that sound, over the frames both have; 0 where none does in either.

    Example:
        >>> agreement(np.array([[True, True]]), np.array([[True, False], [True, True]]))
        0.6666666666666666
    """
    frames = min(len(content), len(output))
    first, second = content[:frames], output[:frames]
    sounding = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / sounding if sounding else 0.0


def require_notes(content: NoteMap) -> None:
    """Refuse a content in which next to nothing sounds.

    Args:
        content: Its pitch classes, (frame, class).

    Raises:
        UnsupportedError: It has no notes.
    """
    cells = int(content.sum())
    share = float(content.any(axis=1).mean()) if len(content) else 0.0
    if cells < LEAST_CELLS or share < LEAST_SHARE:
        raise UnsupportedError(
            f"content has no notes: one is heard in {share:.0%} of its time, and at least "
            f"{LEAST_SHARE:.0%} is needed"
        )


class NoteMetric(PitchMetric):
    """A comparison of note maps."""

    @staticmethod
    def open_hearing(cache: Cache) -> Remembered:
        """Load Basic Pitch."""
        return open_note_maps(cache)

    @staticmethod
    def settings() -> Mapping[str, Json]:
        """Version, rules, model and libraries."""
        rules: dict[str, Json] = {"least_cells": LEAST_CELLS, "least_share": LEAST_SHARE}
        return {"version": VERSION, **rules, **facts()}

    def require_heard(self, hearing: Remembered, output: Output) -> None:
        """Refuse a content without notes."""
        require_notes(folded(unpacked(hearing.of(output.content.audio))))


@final
class Notes(NoteMetric):
    """F1 of the pitch classes that sound in content and output, in [0, 1], higher is closer."""

    name = "notes"

    @staticmethod
    def compare(content: Heard, output: Heard) -> float:
        """Octaves are folded."""
        return agreement(folded(unpacked(content)), folded(unpacked(output)))


@final
class NotesOctave(NoteMetric):
    """F1 of the keys that sound in content and output, in [0, 1], higher is closer."""

    name = "notes.octave"

    @staticmethod
    def compare(content: Heard, output: Heard) -> float:
        """Octaves are told apart."""
        return agreement(unpacked(content), unpacked(output))
