"""What an output must be before it is scored, and what becomes of one that is not.

`restore` is what the harness does with the audio that a method returned; `judge` is what a metric
asks before it measures. A broken output (NaN, no samples, wrong length) is `invalid_output` and has
no number; a silent one scores 0 and says so. In this way failing never looks better than trying.

**Conventions**: times in seconds; levels in dBFS, where a full-scale square wave has 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Clip, Output, Score, UnsupportedError
from bench.audio import fit_length, resample
from bench.failure import Failure

LENGTH_TOLERANCE_S = 0.05  # the contract of StyleTransferMethod.transfer
SHORTEST_S = 0.5  # no dataset has a shorter clip, and nothing shorter is scored
FRAME_S = 0.05  # frames over which levels and silence are judged
SILENCE_DBFS = -60.0  # below it a frame, or a whole clip, is silence
SILENT_SHARE = 0.95  # more silent frames than this make the clip silent
_THRESHOLD = 10 ** (SILENCE_DBFS / 20)


def restore(output: Audio, heard: Audio, content: Audio) -> Audio | Failure:
    """Bring an output to the content's rate and exact sample count, its level untouched.

    Args:
        output: What the method returned; must be mono, at the rate of `heard`, finite and within 50
            ms of its length.
        heard: The content as the method received it.
        content: The content as it stands in the dataset.

    Returns:
        Mono audio of the content's rate and length, or the `invalid_output` failure that says what
        is wrong.
    """
    faults = {
        f"{output.waveform.shape[0]} channels, not 1": output.waveform.shape[0] != 1,
        f"{output.sample_rate} Hz, not {heard.sample_rate} Hz": output.sample_rate
        != heard.sample_rate,
        "no samples": output.num_samples == 0,
        f"{output.duration_s:.3f} s, not {heard.duration_s:.3f} s": _lengths_differ(output, heard),
    }
    wrong = [fault for fault, present in faults.items() if present]
    # Looked for in what has the right size alone: a view may claim more samples than memory holds.
    if not wrong and not np.isfinite(output.waveform).all():
        wrong = ["NaN or infinite samples"]
    if wrong:
        return Failure("invalid_output", f"output has {', '.join(wrong)}")
    exact = fit_length(output, heard.num_samples)
    return fit_length(resample(exact, content.sample_rate), content.num_samples)


def find_fault(audio: Audio, content: Audio) -> str | None:
    """Say in words what makes an output invalid; None where nothing does.

    Args:
        audio: The output.
        content: The content it was made from; its duration is the one to keep.
    """
    if not audio.waveform.size:
        return "output is empty"
    broken = int(np.count_nonzero(~np.isfinite(audio.waveform)))
    if broken:
        return f"output has {broken} samples that are NaN or infinite"
    lasts = f"output lasts {audio.duration_s:.3f} s"
    if audio.duration_s < SHORTEST_S:
        return f"{lasts}; the shortest that is scored is {SHORTEST_S} s"
    differs = _lengths_differ(audio, content)
    return f"{lasts}; its content lasts {content.duration_s:.3f} s" if differs else None


def _lengths_differ(audio: Audio, wanted: Audio) -> bool:
    """Whether two sounds differ in length by more than the tolerance.

    Compared in whole samples: in seconds, rounding would decide about exactly 50 ms.
    """
    ahead = audio.num_samples * wanted.sample_rate - wanted.num_samples * audio.sample_rate
    return abs(ahead) > LENGTH_TOLERANCE_S * audio.sample_rate * wanted.sample_rate


def judge(name: str, output: Output) -> Score | None:
    """Score an output that no metric needs to measure; None where it can be measured.

    Args:
        name: The metric's name.
        output: Content, style and output audio.

    Returns:
        A score without a number and with status `invalid_output` for a broken output, a score of 0
        with status `silent` for a silent one.
    """
    fault = find_fault(output.audio, output.content.audio)
    if fault:
        return Score(name, None, status="invalid_output", reason=fault)
    if is_silent(output.audio):
        reason = f"output is silent (below {SILENCE_DBFS:g} dBFS)"
        return Score(name, 0.0, 0.0, "silent", reason)
    return None


def require_sound(audio: Audio, what: str) -> None:
    """Refuse a reference that is silent: nothing can be like it.

    Args:
        audio: What outputs are compared with.
        what: Its name in the message, such as "content".

    Raises:
        UnsupportedError: It is silent.
    """
    if is_silent(audio):
        raise UnsupportedError(f"{what} is silent (below {SILENCE_DBFS:g} dBFS)")


@lru_cache(maxsize=64)  # every output is compared with the same few clips
def reference_fault(audio: Audio) -> str | None:
    """Why a sound cannot stand for a style, as the rest of a sentence; None where it can.

    Example:
        >>> reference_fault(Audio(np.zeros((1, 8000), np.float32), 8000))
        'is silent (below -60 dBFS)'
    """
    broken = int(np.count_nonzero(~np.isfinite(audio.waveform)))
    if broken:
        return f"holds {broken} samples that are NaN or infinite"
    if not is_silent(audio):
        return None
    mostly = "" if _is_quiet(audio.mono) else f" in more than {SILENT_SHARE:.0%} of its time"
    return f"is silent (below {SILENCE_DBFS:g} dBFS{mostly})"


def usable(clips: Sequence[Clip], what: str) -> list[Clip]:
    """The clips that can stand for a style.

    The harness leaves the others out before a run; this is for whoever calls a metric by himself.

    Args:
        clips: Recordings of the style.
        what: What they are, such as "style 'bells', held-out clips".

    Raises:
        UnsupportedError: There are clips, and none can be used; the message says why of each.
    """
    faults = {clip.id: reference_fault(clip.audio) for clip in clips}
    if clips and all(faults.values()):
        words = "; ".join(f"{name} {fault}" for name, fault in faults.items())
        raise UnsupportedError(f"{what}: none can be used: {words}")
    return [clip for clip in clips if faults[clip.id] is None]


def is_silent(audio: Audio) -> bool:
    """Whether the mean of the channels counts as silence.

    True where the whole clip lies below `SILENCE_DBFS`, or more than `SILENT_SHARE` of its frames
    do. Opposite channels cancel and count as silence, because metrics hear their mean.

    Example:
        >>> is_silent(Audio(np.zeros((1, 8000), np.float32), 8000))
        True
    """
    mono = audio.mono
    if _is_quiet(mono):
        return True
    return bool(np.mean(frame_rms(mono, audio.sample_rate) < _THRESHOLD) > SILENT_SHARE)


def _is_quiet(mono: NDArray[np.float32]) -> bool:
    """Whether one channel lies below `SILENCE_DBFS` as a whole."""
    return not len(mono) or bool(np.sqrt(np.mean(mono.astype(np.float64) ** 2)) < _THRESHOLD)


def frame_rms(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """RMS of consecutive frames of `FRAME_S`; samples left over form a shorter last frame.

    Args:
        waveform: One channel, shape (sample,), at least one sample.
        sample_rate: Hz.

    Returns:
        float64 of shape (frame,), linear amplitude.
    """
    frame_length = max(1, round(FRAME_S * sample_rate))
    starts = np.arange(0, len(waveform), frame_length)
    power = np.add.reduceat(waveform.astype(np.float64) ** 2, starts)
    counts = np.minimum(frame_length, len(waveform) - starts)
    return np.asarray(np.sqrt(power / counts))
