"""What comes of a cell: audio fit for scoring, or why there is none."""

from __future__ import annotations

import numpy as np

from bench.api import Audio
from bench.audio import fit_length, resample
from bench.failure import Failure

LENGTH_TOLERANCE_S = 0.05  # the contract of StyleTransferMethod.transfer


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
    difference_s = abs(output.num_samples / output.sample_rate - heard.duration_s)
    faults = {
        f"{output.waveform.shape[0]} channels, not 1": output.waveform.shape[0] != 1,
        f"{output.sample_rate} Hz, not {heard.sample_rate} Hz": output.sample_rate
        != heard.sample_rate,
        "no samples": output.num_samples == 0,
        "NaN or infinite samples": not np.isfinite(output.waveform).all(),
        f"{output.duration_s:.3f} s, not {heard.duration_s:.3f} s": difference_s
        > LENGTH_TOLERANCE_S,
    }
    wrong = [fault for fault, present in faults.items() if present]
    if wrong:
        return Failure("invalid_output", f"output has {', '.join(wrong)}")
    exact = fit_length(output, heard.num_samples)
    return fit_length(resample(exact, content.sample_rate), content.num_samples)
