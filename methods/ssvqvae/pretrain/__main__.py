"""Train SS VQ-VAE: `python -m methods.ssvqvae.pretrain train|export --work FOLDER`.

`train` learns from `--data FOLDER` (a sub-folder for each source) or, without it, from the corpus
that this project renders; it goes on from its checkpoint in `--work` until `--seconds` are spent.
`--size full` trains the published sizes, which wants a GPU's patience. `export` writes float16
weights with configuration, curve and model card.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from methods.phase import Geometry
from methods.ssvqvae.checkpoints import MINI_FOLDER
from methods.ssvqvae.method import RELEASED
from methods.ssvqvae.network import NetworkSettings, StyleVQVAE
from methods.ssvqvae.pretrain.data import Corpus, read_folder, rendered
from methods.ssvqvae.pretrain.export import export, write_card
from methods.ssvqvae.pretrain.training import Recipe, Training, begin, train

# Two million weights: fewer bins and channels than published, and twice the frames, so that
# windows overlap enough for Griffin-Lim.
MINI = (
    NetworkSettings(bins=385, width=128, codes=256),
    Geometry(sample_rate=16_000, n_fft=768, win_length=768, hop_length=256),
)
FULL = (NetworkSettings(), RELEASED)
_CLIPS_PER_SOUND = 48


def corpus_of(arguments: argparse.Namespace, geometry: Geometry) -> Corpus:
    """The folder that was named, or the rendered corpus."""
    if arguments.data is not None:
        return read_folder(arguments.data, geometry.sample_rate)
    return rendered(arguments.work, _CLIPS_PER_SOUND, geometry.sample_rate)


def new_training(settings: NetworkSettings, recipe: Recipe, path: Path) -> Training:
    """A network with seeded weights, or the one of the checkpoint."""
    torch.manual_seed(recipe.seed)
    return begin(StyleVQVAE(settings), recipe, path)


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(
        prog="python -m methods.ssvqvae.pretrain", description="Train SS VQ-VAE."
    )
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
