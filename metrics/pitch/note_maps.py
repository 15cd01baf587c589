"""Note maps: which of the piano's 88 keys sound in a clip, 86 times a second, by Basic Pitch.

The model answers a window of two seconds less one hop with 172 frames. A longer clip is heard in
windows that overlap by 30 frames, of which the 15 at each end are dropped; before the first window
stand the 15 frames of silence that are dropped from it. So 142 frames are kept of each window,
which advances by 141.3: times drift by 8.5 ms per window, alike in content and output.

**Conventions**: a note map is bool (frame, key), key 0 is MIDI 21 (27.5 Hz), `FRAMES_PER_S` frames
per second; it is stored as bits, uint8 (frame, 11).

References:
    Bittner, Bosch, Rubinstein, Meseguer-Brocal, Ewert (2022), "A lightweight instrument-agnostic
    model for polyphonic note transcription and multipitch estimation", ICASSP; windows and overlap
    as in `basic_pitch.inference` of version 0.4.0. Departures: sounds are levelled; the published
    threshold of the map is used without the creation of notes that follows it there.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, Profile, ProfileInfo
from bench.cache import Cache
from bench.files import remembered_digest
from bench.weights import require_files
from metrics.level import LEVEL_RMS, QUIETEST_RMS, Mono, levelled
from metrics.pitch.extra import RUNTIME, versions
from metrics.pitch.remembered import Remembered

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FOLDER = Path(__file__).resolve().parent / "weights"
MODEL, LICENCE_FILES = "nmp.onnx", ("LICENSE", "NOTICE")
INPUT, NOTES = "serving_default_input_2:0", "StatefulPartitionedCall:1"
SAMPLE_RATE = 22050
HOP_LENGTH = 256
FRAMES_PER_S = 86  # of whole seconds: what 22,050 / 256 is rounded to there
KEYS = 88
WINDOW_SAMPLES = 43844  # 2 s less one hop
WINDOW_FRAMES = 172
DROPPED_FRAMES = 15  # at each end of a window
KEPT_FRAMES = WINDOW_FRAMES - 2 * DROPPED_FRAMES
LEAD_SAMPLES = DROPPED_FRAMES * HOP_LENGTH
STEP_SAMPLES = WINDOW_SAMPLES - 2 * LEAD_SAMPLES
THRESHOLD = 0.3  # `frame_threshold` of the package: from here on a key sounds

NoteMap = NDArray[np.bool_]


def describe(profile: Profile) -> ProfileInfo:
    """Rate, weights and licence, the same in each profile."""
    del profile
    return ProfileInfo(
        sample_rate=SAMPLE_RATE, weights=("metrics/pitch/weights",), licence="Apache-2.0"
    )


def frames_of(num_samples: int) -> int:
    """How many frames a sound of so many samples at `SAMPLE_RATE` has.

    Example:
        >>> frames_of(5 * SAMPLE_RATE), frames_of(256)
        (430, 0)
    """
    return num_samples * FRAMES_PER_S // SAMPLE_RATE


def windows_of(mono: Mono) -> NDArray[np.float32]:
    """The windows in which a sound is heard, (window, sample); the last one ends in zeros.

    Only as many as there are frames to keep: one more would be dropped whole.

    Example:
        >>> windows_of(np.zeros(5 * SAMPLE_RATE, np.float32)).shape
        (4, 43844)
    """
    count = -(-frames_of(len(mono)) // KEPT_FRAMES)
    padded = np.zeros(max(count - 1, 0) * STEP_SAMPLES + WINDOW_SAMPLES, np.float32)
    heard = mono[: len(padded) - LEAD_SAMPLES]
    padded[LEAD_SAMPLES : LEAD_SAMPLES + len(heard)] = heard
    starts = np.arange(count) * STEP_SAMPLES
    return np.asarray(padded[starts[:, None] + np.arange(WINDOW_SAMPLES)])


def posteriors(session: InferenceSession, mono: Mono) -> NDArray[np.float32]:
    """How sure the model is that each key sounds, (frame, key), in [0, 1].

    Windows go through one after the other: a batch of them takes longer.
    """
    kept = [np.zeros((0, KEYS), np.float32)]
    for window in windows_of(mono):
        (notes,) = session.run([NOTES], {INPUT: window[None, :, None]})
        kept.append(np.asarray(notes)[0, DROPPED_FRAMES : DROPPED_FRAMES + KEPT_FRAMES])
    return np.concatenate(kept)[: frames_of(len(mono))]


def unpacked(bits: NDArray[np.uint8]) -> NoteMap:
    """The note map (frame, key) that is stored as bits."""
    return np.unpackbits(bits, axis=1, count=KEYS).astype(bool)


@lru_cache(maxsize=2)
def open_note_maps(cache: Cache) -> Remembered:
    """The note maps of sounds as bits, with the model loaded; one for all metrics of a process.

    Raises:
        CheckpointError: The model is missing.
    """
    require_files(FOLDER, (MODEL, *LICENCE_FILES), "the note model")
    session = open_session(FOLDER / MODEL)

    def hear(audio: Audio) -> NDArray[np.uint8]:
        found = posteriors(session, levelled(audio, SAMPLE_RATE))
        return np.packbits(found >= THRESHOLD, axis=1)

    return Remembered("note-maps", hear, facts(), cache)


def facts() -> dict[str, Json]:
    """All that decides a note map beside the sound."""
    return {
        "model": remembered_digest(FOLDER / MODEL),
        "sample_rate": SAMPLE_RATE,
        "window_samples": WINDOW_SAMPLES,
        "step_samples": STEP_SAMPLES,
        "threshold": THRESHOLD,
        "level_rms": LEVEL_RMS,
        "quietest_rms": QUIETEST_RMS,
        "libraries": versions(RUNTIME, "soxr", "numpy"),
    }


def open_session(path: Path) -> InferenceSession:
    """A model of the runtime on one core of the CPU, the same for every number of cores."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return InferenceSession(path, options, providers=["CPUExecutionProvider"])
