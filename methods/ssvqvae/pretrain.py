"""Train SS VQ-VAE: `python -m methods.ssvqvae.pretrain train|export --work FOLDER`.

`train` learns from `--data FOLDER` (a sub-folder for each source) or, without it, from the corpus
that this project renders; it goes on from its checkpoint in `--work` until `--seconds` are spent.
`--size full` trains the published sizes, which wants a GPU's patience. `export` writes float16
weights with configuration, curve and model card.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from methods.phase import Geometry
from methods.ssvqvae.checkpoints import MINI_FOLDER
from methods.ssvqvae.network import NetworkSettings, StyleVQVAE
from methods.ssvqvae.pretrain_data import Corpus, read_folder, rendered
from methods.ssvqvae.pretrain_training import Recipe, Training, begin, train
from methods.ssvqvae.spectra import RELEASED

# Two million weights: fewer bins and channels than published, and twice the frames, so that
# windows overlap enough for Griffin-Lim.
MINI = (
    NetworkSettings(bins=385, width=128, codes=256),
    Geometry(sample_rate=16_000, n_fft=768, win_length=768, hop_length=256),
)
FULL = (NetworkSettings(), RELEASED)
_CLIPS_PER_SOUND = 48

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


def corpus_of(arguments: argparse.Namespace, geometry: Geometry) -> Corpus:
    """The folder that was named, or the rendered corpus."""
    if arguments.data is not None:
        return read_folder(arguments.data, geometry.sample_rate)
    return rendered(arguments.work, _CLIPS_PER_SOUND, geometry.sample_rate)


def new_training(settings: NetworkSettings, recipe: Recipe, path: Path) -> Training:
    """A network with seeded weights, or the one of the checkpoint."""
    torch.manual_seed(recipe.seed)
    return begin(StyleVQVAE(settings), recipe, path)


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


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(description="Train SS VQ-VAE.")
    parser.add_argument("stage", choices=("render", "train", "export"))
    parser.add_argument("--work", type=Path, required=True, help="folder for progress")
    parser.add_argument("--data", type=Path, help="folder of recordings; default: rendered corpus")
    parser.add_argument("--seconds", type=float, default=1500.0, help="wall clock in all")
    parser.add_argument("--size", choices=("mini", "full"), default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MINI_FOLDER, help="where to export")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings, geometry = MINI if arguments.size == "mini" else FULL
    corpus = corpus_of(arguments, geometry)
    recipe = Recipe(arguments.seconds, seed=arguments.seed)
    path = arguments.work / f"{arguments.size}.pt"
    training = new_training(settings, recipe, path)
    if arguments.stage == "train":
        train(training, corpus, geometry, recipe, path)
    if arguments.stage == "export":
        export(training, geometry, recipe, arguments.out)
        write_card(training, corpus, geometry, recipe, arguments.out)


if __name__ == "__main__":
    main()
