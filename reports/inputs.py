"""Which sounds a report may carry: content and style audio belong to others.

A report that travels without its inputs holds neither contents nor style clips, nor the outputs of
controls that are those sounds again (copies, mixtures, codec round trips). It does so on request,
and always where the licence of the dataset forbids to redistribute it.
"""

from __future__ import annotations

from bench.records.store import Run

# Controls whose outputs are input audio, whole or in part.
INPUTS_AGAIN = frozenset({"copy-content", "copy-style", "mix", "vocoder", "vae"})
NOTICE = "inputs.md"


def with_inputs(run: Run, *, asked_without: bool = False) -> bool:
    """Whether a report of this run may carry content and style audio.

    A dataset that does not say so may not be redistributed.
    """
    return bool(run.header.dataset.get("redistributable")) and not asked_without


def withheld_methods(run: Run, *, asked_without: bool = False) -> frozenset[str]:
    """Labels of the methods whose outputs a report may not carry; none where inputs may travel."""
    if with_inputs(run, asked_without=asked_without):
        return frozenset()
    return frozenset(m.label for m in run.header.methods if m.name in INPUTS_AGAIN)


def notice(run: Run, *, asked_without: bool = False) -> str:
    """What a report says of its inputs, as Markdown."""
    dataset = run.header.dataset
    name, licence = dataset.get("name", "unnamed"), dataset.get("licence", "unknown")
    if with_inputs(run, asked_without=asked_without):
        return f"Content and style audio of dataset {name} may go with this report ({licence}).\n"
    why = "as asked" if dataset.get("redistributable") else f"dataset {name}: {licence}"
    held = ", ".join(sorted(withheld_methods(run, asked_without=asked_without))) or "none"
    return (
        f"This report goes without content and style audio ({why}); nor may outputs go with it "
        f"that are such audio again: {held}.\n"
    )
