"""Train the mini CLAP model from scratch on audio that this project renders itself.

`python -m metrics.clap.pretrain all --work FOLDER` renders the clips, trains, and exports to
`metrics/clap/weights`. The steps are also commands of their own (`render`, `train`, `export`,
`evaluate`), and each continues where it was interrupted. Needs the optional extra `corpus`; a
benchmark run needs none of this.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

import torch

from metrics.clap.mini import build_extractor
from metrics.clap.pretrain.corpus import write_shards
from metrics.clap.pretrain.export import WEIGHTS, evaluate, export_weights, read_embedder
from metrics.clap.pretrain.training import Recipe, start, train

logger = logging.getLogger("metrics.clap.pretrain")


def export(recipe: Recipe, work: Path, folder: Path) -> None:
    """Write the training as it stands as a checkpoint, with its recipe and curve."""
    trainer = start(recipe, work)
    trainer.model.train(mode=False)
    training = {"recipe": asdict(recipe), "steps_done": trainer.step, "curve": trainer.curve}
    found = export_weights(trainer.model, trainer.tokenizer, folder, training)
    logger.info("%s", json.dumps(found.facts()))


def main() -> None:
    """Read the command line and run one step, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m metrics.clap.pretrain", description=__doc__)
    parser.add_argument("command", choices=["render", "train", "export", "evaluate", "all"])
    parser.add_argument("--work", type=Path, default=Path("runs/mini-clap"), help="scratch folder")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the checkpoint")
    parser.add_argument("--roundtrips", type=Path, help="folder of FLAC round trips by sound")
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--rounds", type=int, default=Recipe().rounds)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    recipe = Recipe(steps=options.steps, rounds=options.rounds)
    if options.command in {"render", "all"}:
        write_shards(build_extractor(), options.work / "shards", recipe.rounds, recipe.codec_every)
    if options.command in {"train", "all"}:
        train(recipe, options.work, options.roundtrips)
    if options.command in {"export", "all"}:
        export(recipe, options.work, options.out)
    if options.command == "evaluate":
        logger.info("%s", json.dumps(evaluate(read_embedder(options.out)).facts()))


if __name__ == "__main__":
    main()
