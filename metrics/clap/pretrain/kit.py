"""The part of mini-CLAP in a kit (`bench.training.kit`): features of rendered clips.

Timbres without words are rendered where the kit is carried to, by formula.
"""

from __future__ import annotations

from pathlib import Path

from bench.training.kit import Part, add_part, code_of, require_free
from metrics.clap.pretrain.corpus import shard_path, unseen_path

MODEL = "clap"
_SCRIPT = """\
$PYTHON -m metrics.clap.pretrain train --work "$WORK" --rounds {rounds} --per-sound {per_sound} \\
    --sources procedural --batch-size 192 "$@"
cp "$WORK/mini_clap.json" "$WORK/mini_clap.jsonl" "$WORK/mini_clap.safetensors" "$OUT"
"""


def write_kit(
    folder: Path, *, shards: Path, rounds: int, per_sound: int, wheels: Path | None = None
) -> int:
    """Write a kit with mini-CLAP, or add it to one; return the bytes of its files.

    Args:
        folder: Of the kit.
        shards: Where rounds and clips of the evaluation have been rendered.
        rounds: How many of them.
        per_sound: Clips of the evaluation.
        wheels: A folder of wheels to carry, if any.

    Raises:
        ConfigError: The kit has this model, or would be larger than 50 MiB.
    """
    require_free(folder, MODEL)
    paths = [shard_path(shards, index) for index in range(rounds)]
    carried = [*paths, unseen_path(shards, per_sound)]
    part = Part(
        MODEL,
        code_of("metrics/clap"),
        {f"work/{MODEL}/shards/{path.name}": path for path in carried},
        _SCRIPT.format(rounds=rounds, per_sound=per_sound),
        f"a round of clips takes about 1. Pass fewer than --rounds {rounds}",
    )
    return add_part(folder, part, wheels)
