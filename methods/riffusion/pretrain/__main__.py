"""Train the mini profile of Riffusion from scratch.

    python -m methods.riffusion.pretrain render  --work FOLDER
    python -m methods.riffusion.pretrain vae     --work FOLDER --minutes 14
    python -m methods.riffusion.pretrain unet    --work FOLDER --minutes 60
    python -m methods.riffusion.pretrain export  --work FOLDER

First the autoencoder of mel images, then, on its standardised latents, the noise predictor
together with the text encoder (Rombach et al., 2022, section 3). Each stage continues from its
last checkpoint in FOLDER; a larger `--minutes` prolongs it. Each writes its curve to NAME.jsonl.
Rendering needs the extra `corpus`; export writes what the mini profile loads.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.pretrain.autoencoder import VAE_RECIPE, train_autoencoder
from methods.riffusion.pretrain.corpus import render_split, splits
from methods.riffusion.pretrain.denoiser import UNET_RECIPE, train_unet
from methods.riffusion.pretrain.export import export
from methods.riffusion.pretrain.trainer import Recipe


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m methods.riffusion.pretrain")
    parser.add_argument("stage", choices=("render", "vae", "unet", "export"))
    parser.add_argument(
        "--work", type=Path, required=True, help="folder of rendered clips and checkpoints"
    )
    parser.add_argument(
        "--minutes", type=float, help="budget of the stage in all, in place of the recipe's"
    )
    parser.add_argument("--clips", type=int, default=150, help="training clips per sound (render)")
    parser.add_argument("--processes", type=int, default=2, help="processes (render)")
    return parser.parse_args()


def _with_minutes(recipe: Recipe, minutes: float | None) -> Recipe:
    return recipe if minutes is None else replace(recipe, minutes=minutes)


def main() -> None:
    """Run one stage."""
    arguments = _parse()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.stage == "render":
        for split in splits(arguments.clips):
            render_split(split, arguments.work, arguments.processes)
    elif arguments.stage == "vae":
        train_autoencoder(arguments.work, _with_minutes(VAE_RECIPE, arguments.minutes))
    elif arguments.stage == "unet":
        train_unet(arguments.work, _with_minutes(UNET_RECIPE, arguments.minutes))
    else:
        export(arguments.work, MINI_FOLDER)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    main()
