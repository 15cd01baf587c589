"""A folder to carry to a machine with a GPU, and nothing else: no network, no soundfont.

It holds the code that `wide` needs, the weights that it begins from, latents of the worded corpus
and of all clips that are evaluated, wheels that the machine lacks, and `run.sh`. That trains within
a budget of seconds, goes on where it was stopped, and leaves what is to be carried back in `$OUT`,
each file below 16 MiB. Timbres are rendered there, by formula, in processes of its own.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from bench.api import ConfigError
from bench.checkout import CHECKOUT
from bench.corpus.sources import PROCEDURAL
from methods.riffusion.pretrain.shards import Renderer, path_of, write_shard
from methods.riffusion.pretrain.wide import FrozenPosterior, write_held_out, write_test

logger = logging.getLogger(__name__)

LARGEST_BYTES = 50 * 2**20
_CODE = ("bench", "methods/*.py", "methods/riffusion")
_SUFFIXES = (".py", ".toml", ".json")
_RUN = """#!/bin/sh
# Trains mini Riffusion on any timbre, and leaves weights, card and curve in $OUT.
# BUDGET_S, STEPS, BATCH, PROCESSES, DEVICE and REPORT_S may be set; run it again to go on.
set -eu
cd "$(dirname "$0")"
OUT=${{OUT:-out}}
PYTHON=${{PYTHON:-python3}}
export PYTHONPATH="$PWD${{PYTHONPATH:+:$PYTHONPATH}}"
if [ -d wheels ]; then
    [ -d site ] || $PYTHON -m pip install -q --no-index --no-deps --target site wheels/*.whl
    export PYTHONPATH="$PYTHONPATH:$PWD/site"
fi
$PYTHON -m methods.riffusion.pretrain wide --work work --weights weights --resume \\
    --sources procedural --worded {worded} --budget-s "${{BUDGET_S:-400}}" \\
    ${{STEPS:+--steps "$STEPS"}} --batch-size "${{BATCH:-128}}" \\
    --processes "${{PROCESSES:-14}}" --device "${{DEVICE:-auto}}" --report-s "${{REPORT_S:-60}}"
mkdir -p "$OUT"
cp work/wide.json work/wide.jsonl "$OUT"
cp work/weights/unet/diffusion_pytorch_model.safetensors "$OUT/unet.safetensors"
cp work/weights/text_encoder/model.safetensors "$OUT/text_encoder.safetensors"
cp work/weights/soft_tokens/model.safetensors "$OUT/soft_tokens.safetensors"
"""


def _code() -> Iterable[Path]:
    """Files of the code, relative to the checkout."""
    for pattern in _CODE:
        for found in CHECKOUT.glob(pattern):
            inside = found.rglob("*") if found.is_dir() else (found,)
            yield from (
                path.relative_to(CHECKOUT)
                for path in inside
                if path.suffix in _SUFFIXES and "weights" not in path.parts
            )


def write_kit(
    folder: Path, *, work: Path, weights: Path, worded: int, wheels: Path | None = None
) -> int:
    """Write the kit.

    Args:
        folder: Of the kit; must not exist.
        work: Where the worded shards are rendered, or have been.
        weights: What the training begins from.
        worded: How many of those shards.
        wheels: A folder of wheels to carry, if any.

    Returns:
        The bytes of its files.

    Raises:
        ConfigError: The folder exists, or the kit is larger than 50 MiB.
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    if folder.exists():
        raise ConfigError(f"{folder} is there already; a kit is written anew. Name another folder.")
    posterior = FrozenPosterior(weights)
    shards, carried = work / "shards", folder / "work" / "shards"
    asked = (write_test(posterior, shards), write_held_out((PROCEDURAL,), posterior, shards))
    for number in range(worded):
        write_shard(Renderer((), 0, posterior), shards, "worded", number)
    for path in _code():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / path, folder / path)
    shutil.copytree(weights, folder / "weights")
    carried.mkdir(parents=True)
    for path in (*asked, *(path_of(shards, "worded", number) for number in range(worded))):
        shutil.copyfile(path, carried / path.name)
    if wheels is not None:
        shutil.copytree(wheels, folder / "wheels")
    (folder / "run.sh").write_text(_RUN.format(worded=worded), encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > LARGEST_BYTES:
        shutil.rmtree(folder)
        raise ConfigError(
            f"the kit takes {size / 2**20:.1f} MiB, and {LARGEST_BYTES / 2**20:.0f} may be "
            f"carried; a worded shard takes 1.2. Pass fewer than --worded {worded}."
        )
    logger.info("%s: %.1f MiB; run `sh run.sh` in it, with a GPU", folder, size / 2**20)
    return size
