"""Rules for outputs that no metric can score as they are: broken, cut, or silent ones.

A broken output (NaN, no samples, wrong length) is `invalid_output` and has no number; a silent
one scores 0 and says so, so that failing never looks better than trying.
"""

from __future__ import annotations

import numpy as np

from bench.api import Audio, Output, Score, UnsupportedError
from metrics.clap_preprocess import SHORTEST_S, SILENCE_DBFS, is_silent

# What the contract lets the harness mend by cutting or padding
# (bench.api.StyleTransferMethod.transfer).
LENGTH_TOLERANCE_S = 0.05


def find_fault(audio: Audio, content: Audio) -> str | None:
    """What makes an output invalid, in words, or None.

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
    differs = abs(audio.duration_s - content.duration_s) > LENGTH_TOLERANCE_S
    return f"{lasts}; its content lasts {content.duration_s:.3f} s" if differs else None


def judge(name: str, output: Output) -> Score | None:
    """The score of an output that needs no metric, or None where it can be scored.

    Args:
        name: The metric's name.
        output: Content, style and output audio.
    """
    fault = find_fault(output.audio, output.content.audio)
    if fault:
        return Score(name, None, status="invalid_output", reason=fault)
    if is_silent(output.audio):
        reason = f"output is silent (below {SILENCE_DBFS:g} dBFS)"
        return Score(name, 0.0, 0.0, "silent", reason)
    return None


def require_sound(audio: Audio, what: str) -> None:
    """Decline a reference that is silent: nothing can be like it.

    Raises:
        UnsupportedError: It is silent.
    """
    if is_silent(audio):
        raise UnsupportedError(f"{what} is silent (below {SILENCE_DBFS:g} dBFS)")
