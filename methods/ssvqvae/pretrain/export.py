"""Write a trained SS VQ-VAE as the folder that the mini profile loads, in float16."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file

from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from methods.phase import Geometry
from methods.ssvqvae.pretrain.data import Corpus
from methods.ssvqvae.pretrain.training import Recipe, Training

_CARD = """# Mini SS VQ-VAE

SS VQ-VAE (Cifka et al., 2021) with {million:.2f} million weights instead of 55.7, trained from
scratch by this project so that the full code path runs on a CPU in seconds. A test object: its
scores say nothing about the released checkpoint.

Given a content and clips of a style, it decodes the content's codes ({codes} of them, {rate:.1f} a
second) with the style's vector. 16 kHz mono, so nothing above 8 kHz.

## Training
`python -m methods.ssvqvae.pretrain train --work FOLDER --seconds {seconds:.0f}`: {steps} steps of
{batch} pairs of {stretch} s, on one thread of a shared CPU, one seed; {clips} clips of 5.12 s that
`bench/corpus` renders ({sounds} sounds: General MIDI instruments of the FluidR3 soundfont (MIT)
and procedural sounds of nature). Never heard: {held_out}, and the tunes of the bundled contents.

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


def export(training: Training, geometry: Geometry, recipe: Recipe, folder: Path) -> None:
    """Write the network in float16, its configuration, curve and card."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in training.network.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors")
    settings = training.network.settings
    config = {"network": asdict(settings), "geometry": asdict(geometry)}
    record = {"recipe": asdict(recipe), "steps": training.step, "curve": training.curve}
    for name, content in (("config.json", config), ("training.json", record)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_card(
    training: Training, corpus: Corpus, geometry: Geometry, recipe: Recipe, folder: Path
) -> None:
    """Write the model card from the last line of the curve."""
    last = training.curve[-1]
    if not isinstance(last, dict):
        raise TypeError(f"the curve ends in {last!r}; a line of it is a table.")
    figures = {key: float(str(value)) for key, value in last.items()}
    settings = training.network.settings
    text = _CARD.format(
        million=sum(p.numel() for p in training.network.parameters()) / 1e6,
        codes=settings.codes,
        rate=geometry.sample_rate / geometry.hop_length / 4,
        seconds=recipe.seconds,
        steps=training.step,
        batch=recipe.batch_size,
        stretch=recipe.stretch_s,
        clips=sum(len(clips) for clips in corpus.sources.values()),
        sounds=len(corpus.sources),
        held_out=", ".join(HELD_OUT_INSTRUMENTS),
        same=figures["same source"],
        other=figures["other source"],
        none=figures["no style"],
        mean=figures["mean spectrum"],
        perplexity=figures["perplexity"],
    )
    (folder / "MODEL_CARD.md").write_text(text, encoding="utf-8")
