"""Train SS VQ-VAE.

    python -m methods.ssvqvae.pretrain render --work FOLDER
    python -m methods.ssvqvae.pretrain train  --work FOLDER --budget-s 1500 --resume
    python -m methods.ssvqvae.pretrain export --work FOLDER
    python -m methods.ssvqvae.pretrain kit    --work FOLDER --out KIT --clips 4

`train` learns from `--data FOLDER` (a sub-folder for each source) or, without it, from the corpus
that this project renders, within `--budget-s` seconds or `--steps` steps, on any `--device`, and
goes on from its checkpoint with `--resume`; weights, curve and card are left in `--work`.
`--sources procedural,fluid` makes half of every batch timbres of an endless stream
(`python -m bench.corpus list`). `--size full` trains the published sizes, which wants a GPU's
patience. `export` writes what `train` left as the folder that the mini profile loads: float16
weights with configuration, curve and model card. `kit` writes a folder that trains on a machine
with a GPU and without a network, or adds to one (`make kit`).
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from bench.api import BenchError, Json
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from bench.corpus.sources import WORDED, Source, sources_named
from bench.corpus.stream import CropStream, described
from bench.device import resolve_device
from bench.training.card import export as export_weights
from bench.training.card import read_export
from bench.training.kit import DEFAULT_FOLDER
from bench.training.loop import Training
from bench.training.options import add_training_options, recipe_asked
from methods.phase import Geometry
from methods.ssvqvae.checkpoints import MINI_FOLDER
from methods.ssvqvae.method import RELEASED
from methods.ssvqvae.network import NetworkSettings, StyleVQVAE
from methods.ssvqvae.pretrain.data import Corpus, read_folder, rendered
from methods.ssvqvae.pretrain.export import export
from methods.ssvqvae.pretrain.kit import write_kit
from methods.ssvqvae.pretrain.training import (
    RECIPE,
    STRETCH_S,
    PairSource,
    Pupil,
    VqVaeLesson,
    held_out_pairs,
)

logger = logging.getLogger(__name__)

# Two million weights: fewer bins and channels than published, and twice the frames, so that
# windows overlap enough for Griffin-Lim.
MINI = (
    NetworkSettings(bins=385, width=128, codes=256),
    Geometry(sample_rate=16_000, n_fft=768, win_length=768, hop_length=256),
)
FULL = (NetworkSettings(), RELEASED)


def name_of(size: str) -> str:
    """What a training of that size is called."""
    return f"{RECIPE.name}_{size}"


def corpus_of(options: argparse.Namespace, geometry: Geometry) -> Corpus:
    """The folder that was named, or the rendered corpus."""
    if options.data is not None:
        return read_folder(options.data, geometry.sample_rate)
    return rendered(options.work, options.clips, geometry.sample_rate)


def train(options: argparse.Namespace) -> Path:
    """Train until the budget is spent; leave weights and card in the work folder."""
    settings, geometry = MINI if options.size == "mini" else FULL
    recipe = recipe_asked(replace(RECIPE, name=name_of(options.size)), options)
    sources = tuple(sources_named(options.sources.split(",") if options.sources else []))
    corpus = corpus_of(options, geometry)
    device = resolve_device(options.device)
    num_samples = round(STRETCH_S * geometry.sample_rate)
    learnt, held_out = corpus.split()
    stream = stream_of(sources, recipe.seed, num_samples, geometry, device)
    torch.manual_seed(recipe.seed)
    pupil = Pupil(StyleVQVAE(settings)).to(device)
    training = Training(pupil, recipe, options.work, device=device, resume=options.resume)
    pairs = PairSource(learnt, geometry, device, num_samples, stream)
    tested = held_out_pairs(held_out, geometry, device, num_samples)
    training.run(VqVaeLesson(pupil, pairs, recipe, tested))
    facts: dict[str, Json] = {
        "network": asdict(settings),
        "geometry": asdict(geometry),
        "recordings": {name: len(clips) for name, clips in corpus.sources.items()},
        "sources": described([*([] if options.data else [WORDED]), *sources]),
        "held_out": [] if options.data else [*HELD_OUT_INSTRUMENTS],
    }
    return export_weights(training, options.work, facts)


def stream_of(
    sources: tuple[Source, ...], seed: int, num_samples: int, geometry: Geometry, device: str
) -> CropStream | None:
    """The timbres that half of every batch comes from, if sources are named."""
    return CropStream(sources, seed, num_samples, geometry.sample_rate, device) if sources else None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m methods.ssvqvae.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=("render", "train", "export", "kit"))
    parser.add_argument("--work", type=Path, required=True, help="folder for progress")
    parser.add_argument("--data", type=Path, help="folder of recordings; default: rendered corpus")
    parser.add_argument("--clips", type=int, default=48, help="rendered, per sound")
    parser.add_argument("--wheels", type=Path, help="folder of wheels that a kit carries")
    parser.add_argument("--size", choices=("mini", "full"), default="mini")
    parser.add_argument("--sources", help="of half of every batch, see `bench.corpus list`")
    parser.add_argument("--out", type=Path, help="of export: the mini weights; of kit: build/kit")
    add_training_options(parser, "of the stage train")
    return parser.parse_args()


def main() -> None:
    """Run one stage."""
    options = _parse()
    rate = (MINI if options.size == "mini" else FULL)[1].sample_rate
    if options.stage == "render":
        rendered(options.work, options.clips, rate)
    elif options.stage == "train":
        logger.info("wrote %s", train(options))
    elif options.stage == "kit":
        folder, work = options.out or DEFAULT_FOLDER, options.work
        write_kit(folder, work=work, clips=options.clips, sample_rate=rate, wheels=options.wheels)
    else:
        left = read_export(options.work, name_of(options.size))
        export(*left, options.out or MINI_FOLDER)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        main()
    except BenchError as error:
        sys.exit(f"error: {error}")
