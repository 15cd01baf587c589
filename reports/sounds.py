"""The sounds of a run: where they lie, and which of them a report may carry.

Content and style audio belong to others. A report without inputs holds neither contents nor style
clips, nor the outputs of controls that repeat those sounds (copies, mixtures, codec round trips).
Inputs are left out on request, and always where the dataset's licence forbids redistribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.api import DatasetError
from bench.files import LinkError, inside
from bench.records.store import Run

# Controls whose outputs are input audio, whole or in part.
INPUTS_AGAIN = frozenset({"copy-content", "copy-style", "mix", "vocoder", "vae"})
NOTICE = "inputs.md"


def with_inputs(run: Run, *, asked_without: bool = False) -> bool:
    """Whether a report of this run may carry content and style audio.

    A dataset may be redistributed only if its card says so.
    """
    return bool(run.header.dataset.get("redistributable")) and not asked_without


def withheld_methods(run: Run, *, asked_without: bool = False) -> frozenset[str]:
    """Labels of the methods whose outputs a report may not carry, if inputs are left out."""
    if with_inputs(run, asked_without=asked_without):
        return frozenset()
    return frozenset(m.label for m in run.header.methods if m.name in INPUTS_AGAIN)


def notice(run: Run, *, asked_without: bool = False) -> str:
    """What a report says about its inputs, as Markdown."""
    dataset = run.header.dataset
    name, licence = dataset.get("name", "unnamed"), dataset.get("licence", "unknown")
    if with_inputs(run, asked_without=asked_without):
        return (
            f"Content and style audio of dataset {name} may be part of this report ({licence}).\n"
        )
    why = "as asked" if dataset.get("redistributable") else f"dataset {name}: {licence}"
    held = ", ".join(sorted(withheld_methods(run, asked_without=asked_without))) or "none"
    return (
        f"This report comes without content and style audio ({why}) and without the outputs that "
        f"repeat such audio: {held}.\n"
    )


def may_publish(run: Run) -> bool:
    """Whether the outputs of a run may be published: its card allows to pass the clips on.

    Outputs are made of the clips. A report stays with whoever has them; a repository is for all.
    """
    return with_inputs(run)


def publication_notice(run: Run, *, audio: bool) -> str:
    """What the card of a published run says about its sounds."""
    dataset = run.header.dataset
    name, licence = dataset.get("name", "unnamed"), dataset.get("licence", "unknown")
    if audio:
        return f"The outputs are in audio/; they were made of clips of dataset {name} ({licence})."
    why = "none was asked for" if may_publish(run) else "its card does not allow to pass clips on"
    return f"This publication comes without audio (dataset {name}, {licence}: {why})."


def sound_file(folders: Sequence[Path], relative: str) -> Path:
    """The file of a sound in the first run folder that has it, and never outside one.

    Raises:
        DatasetError: Its path leads out of the run folder, by itself or through a link.
    """
    try:
        places = [inside(folder, relative) for folder in folders]
    except LinkError as error:
        raise DatasetError(
            f"{error.filename} is not played: {error.strerror}; the audio of a run lies in its own "
            "folder. Copy the file there."
        ) from error
    return next((place for place in places if place.is_file()), places[0])
