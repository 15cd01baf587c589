"""Train the mini profile of Riffusion from scratch.

    python -m methods.riffusion.pretrain render  --work FOLDER
    python -m methods.riffusion.pretrain vae     --work FOLDER --minutes 14
    python -m methods.riffusion.pretrain unet    --work FOLDER --minutes 60
    python -m methods.riffusion.pretrain export  --work FOLDER
    python -m methods.riffusion.pretrain wide    --work FOLDER --budget-s 3600 --resume
    python -m methods.riffusion.pretrain adopt   --work FOLDER
    python -m methods.riffusion.pretrain kit     --work FOLDER --out KIT --worded 18

First the autoencoder of mel images, then, on its standardised latents, the noise predictor
together with the text encoder (Rombach et al., 2022, section 3). Each stage continues from its
last checkpoint in FOLDER; a larger `--minutes` prolongs it. Each writes its curve to NAME.jsonl.
Rendering needs the extra `corpus`; export writes what the mini profile loads.

`wide` is the training kit's member instead: it goes on from exported weights, with any timbre in
half of every batch (`methods.riffusion.pretrain.wide`), within `--budget-s` seconds or `--steps`
steps, on any `--device`, and goes on from its checkpoint with `--resume`. Its weights and card are
left in FOLDER, and in FOLDER/weights as the mini profile loads them; `adopt` measures these and
puts them into its place. `kit` writes a folder that does the same on a machine with a GPU and
without a network (`make kit`).
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from bench.api import BenchError, Json
from bench.corpus.nature import UNHEARD
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from bench.corpus.sources import WORDED, sources_named
from bench.corpus.stream import described
from bench.device import resolve_device
from bench.files import file_digest
from bench.training.card import export as export_weights
from bench.training.loop import Training
from bench.training.options import add_training_options, recipe_asked
from bench.training.recipe import Recipe
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.pretrain import wide
from methods.riffusion.pretrain.autoencoder import VAE_RECIPE, train_autoencoder
from methods.riffusion.pretrain.corpus import render_split, splits
from methods.riffusion.pretrain.denoiser import UNET_RECIPE, train_unet
from methods.riffusion.pretrain.export import export
from methods.riffusion.pretrain.kit import write_kit
from methods.riffusion.pretrain.shards import WINDOWS, Renderer, Shards, Window, Windows
from methods.riffusion.pretrain.wide_export import adopt, write_weights
from methods.riffusion.soft_tokens import SOFT_FILE

logger = logging.getLogger(__name__)

STAGES = ("render", "vae", "unet", "export", "wide", "adopt", "kit")
UNET_FILE = "unet/diffusion_pytorch_model.safetensors"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m methods.riffusion.pretrain")
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder of rendered clips and checkpoints"
    )
    parser.add_argument(
        "--minutes", type=float, help="budget of the stage in all, in place of the recipe's"
    )
    parser.add_argument("--clips", type=int, default=150, help="training clips per sound (render)")
    parser.add_argument("--processes", type=int, default=2, help="processes (render, wide)")
    _add_kit_options(parser)
    return parser.parse_args()


def _add_kit_options(parser: argparse.ArgumentParser) -> None:
    add_training_options(parser, "of the stage wide")
    kit = parser.add_argument_group("of the stages wide and kit")
    kit.add_argument("--sources", default="procedural,fluid", help="of timbres; they take turns")
    kit.add_argument("--worded", type=int, help="shards of worded clips in all; default: no end")
    kit.add_argument("--weights", type=Path, default=MINI_FOLDER, help="what it begins from")
    kit.add_argument("--out", type=Path, default=Path("build/kit"), help="folder of the kit")
    kit.add_argument("--wheels", type=Path, help="folder of wheels that the kit carries")


def wide_stage(arguments: argparse.Namespace) -> None:
    """Train on any timbre; leave weights and card in the work folder."""
    # It has no budget of its own: one of the two must be named.
    budget = {"budget_s": arguments.budget_s, "steps": arguments.steps}
    recipe = replace(recipe_asked(wide.RECIPE, arguments), **budget)
    sources = tuple(sources_named(arguments.sources.split(",")))
    device = resolve_device(arguments.device)
    posterior = wide.FrozenPosterior(arguments.weights)
    model = wide.build_model(arguments.weights, recipe.seed).to(device)
    training = Training(model, recipe, arguments.work, device=device, resume=arguments.resume)
    renderer = Renderer(sources, recipe.seed, posterior)
    folder = arguments.work / "shards"
    shards = Shards(renderer, folder, arguments.processes, windows_of(arguments.worded))
    lesson = wide.WideLesson(
        model,
        shards,
        recipe,
        device,
        wide.read_test(model, wide.write_test(posterior, folder), device),
        wide.read_held_out(wide.write_held_out(sources, posterior, folder), device),
    )
    shards.start(training.step)
    try:
        if training.step == 0 and not (arguments.weights / SOFT_FILE).is_file():
            error = wide.head_start(model, shards.open_at("worded", 0), recipe.seed)
            logger.info("head start: %.2f of the variance between captions is left", error)
        training.run(lesson)
    finally:
        shards.stop()
    facts: dict[str, Json] = {
        "began_from": f"a U-Net of SHA-256 {file_digest(arguments.weights / UNET_FILE)}",
        "sources": described([WORDED, *dict.fromkeys(sources)]),
        "held_out": [*HELD_OUT_INSTRUMENTS, *UNHEARD],
        "held_out_timbres": wide.HELD_OUT_TIMBRES,
    }
    logger.info("wrote %s", export_weights(training, arguments.work, facts))
    write_weights(training.average, arguments.weights, arguments.work / "weights")


def windows_of(worded: int | None) -> Windows:
    """The usual windows, or all of so many worded shards from the beginning."""
    if worded is None:
        return WINDOWS
    return {**WINDOWS, "worded": Window(worded, 1, most=worded)}


def _with_minutes(recipe: Recipe, minutes: float | None) -> Recipe:
    return recipe if minutes is None else replace(recipe, budget_s=60 * minutes)


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
    elif arguments.stage == "export":
        export(arguments.work, MINI_FOLDER)
    elif arguments.stage == "wide":
        wide_stage(arguments)
    elif arguments.stage == "adopt":
        adopt(arguments.work, MINI_FOLDER, arguments.processes)
    else:
        write_kit(
            arguments.out,
            work=arguments.work,
            weights=arguments.weights,
            worded=18 if arguments.worded is None else arguments.worded,
            wheels=arguments.wheels,
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        main()
    except BenchError as error:
        sys.exit(f"error: {error}")
