"""Taking an output that was made elsewhere as if a method had returned it.

It is read with all its channels, of which the mean is taken, as methods hear and give one channel.
What a method's own output must be is asked of it too (`bench.outputs.restore`): at most 50 ms of
difference in length are cut or filled, more is an `invalid_output`. Its rate is brought to that of
the content. A mono file at the content's rate and length is taken sample for sample.
"""

from __future__ import annotations

from bench.api import Audio, Clip, DatasetError
from bench.audio import as_heard, measure, read_audio, to_mono
from bench.delivery.matching import DeliveredFile
from bench.failure import Failure
from bench.files import file_digest
from bench.outputs import LENGTH_TOLERANCE_S, is_silent, restore
from bench.outside.wording import visible

NOT_DELIVERED = Failure("unsupported", "not delivered")
_ROOM_S = 1.0  # beyond the length of the content; the rule of 50 ms is for `restore`
_HEARD_S = 0.001  # of difference in length, below which there is nothing to say


def receive(file: DeliveredFile | None, content: Clip) -> Audio | Failure:
    """The output of a cell, at the rate and length of its content, or why there is none.

    Args:
        file: As it was found when the run was prepared; None where it was not delivered.
        content: The content as it stands in the data set, cut as the run cuts it.

    Returns:
        Mono audio; or a failure, whose words name the file by its place in the folder.
    """
    if file is None:
        return NOT_DELIVERED
    name = visible(file.name)
    try:
        audio = _read(file, content.audio.duration_s)
    except (DatasetError, OSError) as error:
        words = str(error).replace(str(file.path), name)  # records name no folder of this machine
        return Failure("invalid_output", words)
    if isinstance(audio, Audio):
        audio = restore(audio, as_heard(content, audio.sample_rate).audio, content.audio)
    return audio if isinstance(audio, Audio) else Failure(audio.status, f"{name}: {audio.reason}")


def _read(file: DeliveredFile, wanted_s: float) -> Audio | Failure:
    """The mean of the channels of a file, if that is still the file that was found."""
    if file_digest(file.path) != file.digest:
        return Failure("error", "the file was changed while it was scored; run again")
    form = measure(file.path)
    if form.duration_s > wanted_s + _ROOM_S:  # far too much is not even taken into memory
        words = f"output has {form.duration_s:.3f} s, not {wanted_s:.3f} s"
        return Failure("invalid_output", words)
    return to_mono(read_audio(file.path))


def look(file: DeliveredFile, wanted_s: float | None) -> tuple[str | None, tuple[str, ...]]:
    """What is wrong with an output, and what a run would change in it, in words.

    Args:
        file: The output.
        wanted_s: How long its content is, seconds; None where that is not known.

    Returns:
        Why `receive` would refuse it, or None; and remarks of a few words each.
    """
    try:
        form = measure(file.path)
        rate = form.sample_rate
        wanted = form.num_samples if wanted_s is None else round(wanted_s * rate)
        moved = abs(form.num_samples - wanted)
        if moved > LENGTH_TOLERANCE_S * rate:  # in whole samples, as a run compares them
            return f"output has {form.duration_s:.3f} s, not {wanted_s:.3f} s", ()
        audio = read_audio(file.path)
    except (DatasetError, OSError) as error:
        return str(error).replace(str(file.path), "the file"), ()
    facts = {
        f"{rate} Hz": True,
        f"{form.channels} channels, of which the mean is taken": form.channels > 1,
        "length cut or filled by up to 50 ms": moved > _HEARD_S * rate,
        "silent, which scores 0": is_silent(audio),
    }
    return None, tuple(words for words, holds in facts.items() if holds)
