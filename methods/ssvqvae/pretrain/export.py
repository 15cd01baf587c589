"""Write a trained SS VQ-VAE as the folder that the mini profile loads, in float16."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from methods.ssvqvae.pretrain.training import STRETCH_S

_CARD = """# Mini SS VQ-VAE

SS VQ-VAE (Cifka et al., 2021) with {million:.2f} million weights instead of 55.7, trained from
scratch by this project so that the full code path runs on a CPU in seconds. A test object: its
scores say nothing about the released checkpoint.

Given a content and clips of a style, it decodes the content's codes ({codes} of them, {rate:.1f} a
second) with the style's vector. 16 kHz mono, so nothing above 8 kHz.

## Training
`python -m methods.ssvqvae.pretrain train --work FOLDER`: {steps} steps of {batch} pairs of
{stretch} s in {seconds:.0f} seconds of {machine}, one seed; {clips} recordings of {sounds} sounds.
Sources: {sources}.
Never heard: {held_out}, and the tunes of the bundled contents.

## Figures
Mean squared error of log spectra on held-out clips of the trained sounds, at the end of training:

| style vector from | error |
|---|---|
| the same source | {same:.4f} |
| another source | {other:.4f} |
| nowhere (zeros) | {none:.4f} |
| (each clip's mean spectrum) | {mean:.4f} |

{perplexity:.0f} of {codes} codes are in use (perplexity). The curve is in `training.json`.

## Limits
Notes come through only as far as the error lies below that of the mean spectrum. One seed;
monophonic synthetic training material; the instruments of validation are those of training.
Weights are stored in float16.

Licence: MIT, as the project.
"""

_NETWORK = "network."


def export(weights: Mapping[str, Tensor], card: Mapping[str, Any], folder: Path) -> None:
    """Write the network in float16, its configuration, curve and model card.

    Args:
        weights: Averages that a training left, of `Pupil`.
        card: That it left beside them.
        folder: It is made; files of the same names are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name.removeprefix(_NETWORK): value.half() if value.is_floating_point() else value
        for name, value in weights.items()
        if name.startswith(_NETWORK)
    }
    save_file(tensors, folder / "model.safetensors")
    config = {name: card[name] for name in ("network", "geometry")}
    for name, content in (("config.json", config), ("training.json", card)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "MODEL_CARD.md").write_text(_model_card(tensors, card), encoding="utf-8")


def _model_card(tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """The model card, with the figures of the last line of the curve."""
    last, geometry = card["curve"][-1], card["geometry"]
    return _CARD.format(
        million=sum(t.numel() for name, t in tensors.items() if _is_trained(name)) / 1e6,
        codes=card["network"]["codes"],
        rate=geometry["sample_rate"] / geometry["hop_length"] / 4,
        seconds=card["seconds"],
        steps=last["step"],
        batch=card["recipe"]["batch_size"],
        stretch=STRETCH_S,
        machine=card["machine"],
        clips=sum(card["recordings"].values()),
        sounds=len(card["recordings"]),
        sources="; ".join(f"{s['origin']} ({s['licence']})" for s in card["sources"]) or "a folder",
        held_out=", ".join(card["held_out"]) or "what is not in the folder",
        same=last["same source"],
        other=last["other source"],
        none=last["no style"],
        mean=last["mean spectrum"],
        perplexity=last["perplexity"],
    )


def _is_trained(name: str) -> bool:
    """Whether a tensor is no statistic of a batch normalisation."""
    return not name.endswith(("running_mean", "running_var", "num_batches_tracked"))
