"""The part of mini Riffusion in a kit (`bench.training.kit`): what `wide` needs.

That is the weights that it begins from, and latents of the worded corpus and of all clips that are
evaluated. Timbres are rendered where the kit is carried to, by formula, in processes of their own.
"""

from __future__ import annotations

from pathlib import Path

from bench.corpus.sources import PROCEDURAL
from bench.training.kit import Part, add_part, code_of, require_free
from methods.riffusion.pretrain.shards import Renderer, path_of, write_shard
from methods.riffusion.pretrain.wide import FrozenPosterior, write_held_out, write_test

MODEL = "riffusion"
_SCRIPT = """\
$PYTHON -m methods.riffusion.pretrain wide --work "$WORK" --weights weights/riffusion \\
    --sources procedural --worded {worded} --batch-size 128 --processes "${{PROCESSES:-14}}" "$@"
cp "$WORK/wide.json" "$WORK/wide.jsonl" "$OUT"
cp "$WORK/weights/unet/diffusion_pytorch_model.safetensors" "$OUT/unet.safetensors"
cp "$WORK/weights/text_encoder/model.safetensors" "$OUT/text_encoder.safetensors"
cp "$WORK/weights/soft_tokens/model.safetensors" "$OUT/soft_tokens.safetensors"
"""


def write_kit(
    folder: Path, *, work: Path, weights: Path, worded: int, wheels: Path | None = None
) -> int:
    """Write a kit with mini Riffusion, or add it to one.

    Args:
        folder: Of the kit.
        work: Where the worded shards are rendered, or have been.
        weights: What the training begins from.
        worded: How many of those shards.
        wheels: A folder of wheels to carry, if any.

    Returns:
        The bytes of its files.

    Raises:
        ConfigError: The kit has this model, or would be larger than 50 MiB.
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    require_free(folder, MODEL)
    posterior, shards = FrozenPosterior(weights), work / "shards"
    asked = [write_test(posterior, shards), write_held_out((PROCEDURAL,), posterior, shards)]
    for number in range(worded):
        write_shard(Renderer((), 0, posterior), shards, "worded", number)
        asked.append(path_of(shards, "worded", number))
    carried = {f"work/{MODEL}/shards/{path.name}": path for path in asked}
    part = Part(
        MODEL,
        code_of("methods/riffusion"),
        {"weights/riffusion": weights, **carried},
        _SCRIPT.format(worded=worded),
        f"a worded shard takes 1.2. Pass fewer than --worded {worded}",
    )
    return add_part(folder, part, wheels)
