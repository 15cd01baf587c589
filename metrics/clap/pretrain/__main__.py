"""Train the mini CLAP model from scratch on audio that this project renders itself.

`python -m metrics.clap.pretrain all --work FOLDER` renders the clips, trains, and exports to
`metrics/clap/weights`. The steps are also commands of their own (`render`, `train`, `export`,
`evaluate`). `render` goes on where it was interrupted, and so does `train` with `--resume`; it ends
within `--budget-s` seconds or `--steps` steps, on any `--device`, and leaves weights, curve and
card in FOLDER. `--sources procedural,fluid` makes half of every step timbres without words
(`python -m bench.corpus list`). `kit` writes a folder that trains on a machine with a
GPU and without a network, or adds to one (`make kit`). Needs the optional extra `corpus`; a
benchmark run needs none of this.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import ClapFeatureExtractor

from bench.api import BenchError, Json
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from bench.corpus.sources import WORDED, Source, sources_named
from bench.corpus.stream import CropStream, described
from bench.device import resolve_device
from bench.training.card import export as export_card
from bench.training.card import read_export
from bench.training.kit import DEFAULT_FOLDER, require_free
from bench.training.loop import Training
from bench.training.options import add_training_options, recipe_asked
from metrics.clap.checkpoints import MINI_FOLDER
from metrics.clap.mini import (
    SAMPLE_RATE,
    WINDOW_SAMPLES,
    build_extractor,
    build_model,
    build_tokenizer,
    vocabulary,
)
from metrics.clap.pretrain.corpus import (
    Pool,
    read_round_trips,
    read_shards,
    read_unseen,
    vocabulary_texts,
    write_shards,
)
from metrics.clap.pretrain.kit import MODEL, write_kit
from metrics.clap.pretrain.training import RECIPE, ClapLesson

logger = logging.getLogger("metrics.clap.pretrain")

ROUNDS, CODEC_EVERY = 110, 4
SHARDS = "shards"  # folder in that of the work
_ROUND_TRIP_SHARE = 0.25


def render(options: argparse.Namespace) -> None:
    """Render the rounds and the clips of the evaluation that are not there yet."""
    extractor, folder = build_extractor(), options.work / SHARDS
    write_shards(extractor, folder, options.rounds, CODEC_EVERY)
    read_unseen(extractor, folder, options.per_sound)


def load_pool(extractor: ClapFeatureExtractor, options: argparse.Namespace) -> tuple[Pool, int]:
    """All training clips, the rendered rounds and round trips where a folder is named; and those.

    Round trips are repeated until they are about a quarter of all clips.
    """
    pool = read_shards(options.work / SHARDS, options.rounds)
    if options.roundtrips is None:
        return pool, 0
    extra = read_round_trips(extractor, options.roundtrips)
    share = _ROUND_TRIP_SHARE / (1 - _ROUND_TRIP_SHARE)
    copies = max(1, round(share * len(pool.descriptions) / len(extra.descriptions)))
    features = np.concatenate([pool.features, *[extra.features] * copies])
    return Pool(features, pool.descriptions + extra.descriptions * copies), len(extra.descriptions)


def train(options: argparse.Namespace) -> None:
    """Train until the budget is spent; leave weights and card in the work folder."""
    recipe, device = recipe_asked(RECIPE, options), resolve_device(options.device)
    sources = tuple(sources_named(options.sources.split(",") if options.sources else []))
    extractor, word_ids = build_extractor(), vocabulary(vocabulary_texts())
    pool, round_trips = load_pool(extractor, options)
    torch.manual_seed(recipe.seed)
    model = build_model(len(word_ids)).to(device)
    training = Training(model, recipe, options.work, device=device, resume=options.resume)
    unseen = read_unseen(extractor, options.work / SHARDS, options.per_sound)
    stream = stream_of(sources, recipe.seed, device)
    tokenizer = build_tokenizer(word_ids)
    training.run(ClapLesson(model, tokenizer, pool, recipe, device, unseen, stream))
    facts: dict[str, Json] = {
        "rounds": options.rounds,
        "round_trips": round_trips,
        "sources": described([WORDED, *sources]),
        "held_out": [*HELD_OUT_INSTRUMENTS],
    }
    logger.info("wrote %s", export_card(training, options.work, facts))


def stream_of(sources: tuple[Source, ...], seed: int, device: str) -> CropStream | None:
    """The timbres without words, if sources are named: clips as long as the model's window."""
    return CropStream(sources, seed, WINDOW_SAMPLES, SAMPLE_RATE, device) if sources else None


def export(options: argparse.Namespace) -> None:
    """Write what a training left as a checkpoint, with its card and evaluation."""
    from metrics.clap.pretrain.export import export_weights

    weights, card = read_export(options.work, RECIPE.name)
    word_ids = vocabulary(vocabulary_texts())
    model = build_model(len(word_ids))
    model.load_state_dict(weights)
    tokenizer = build_tokenizer(word_ids)
    found = export_weights(
        model.eval(), tokenizer, options.out or MINI_FOLDER, card, options.per_sound
    )
    logger.info("%s", json.dumps(found.facts()))


def evaluate(options: argparse.Namespace) -> None:
    """Say how well an exported checkpoint tells sounds apart."""
    from metrics.clap.pretrain import export as exported

    found = exported.evaluate(exported.read_embedder(options.out or MINI_FOLDER), options.per_sound)
    logger.info("%s", json.dumps(found.facts()))


def kit(options: argparse.Namespace) -> None:
    """Carry the training, with clips that are rendered where they lack."""
    folder = options.out or DEFAULT_FOLDER
    require_free(folder, MODEL)
    render(options)
    write_kit(
        folder,
        shards=options.work / SHARDS,
        rounds=options.rounds,
        per_sound=options.per_sound,
        wheels=options.wheels,
    )


STAGES = {"render": render, "train": train, "export": export, "evaluate": evaluate, "kit": kit}


def main() -> None:
    """Read the command line and run one step, or all of them."""
    parser = argparse.ArgumentParser(
        prog="python -m metrics.clap.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=[*STAGES, "all"])
    parser.add_argument("--work", type=Path, default=Path("runs/mini-clap"), help="scratch folder")
    parser.add_argument(
        "--out", type=Path, help="of a checkpoint: the mini weights; of kit: build/kit"
    )
    parser.add_argument("--wheels", type=Path, help="folder of wheels that a kit carries")
    parser.add_argument("--roundtrips", type=Path, help="folder of FLAC round trips by sound")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of clips, one of each sound")
    parser.add_argument("--per-sound", type=int, default=8, help="clips of the evaluation")
    parser.add_argument("--sources", help="of half of every step, see `bench.corpus list`")
    add_training_options(parser, "of the step train")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    asked = ("render", "train", "export") if options.command == "all" else (options.command,)
    try:
        for name in asked:
            STAGES[name](options)
    except BenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
