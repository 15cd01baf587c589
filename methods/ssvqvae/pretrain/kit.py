"""The part of SS VQ-VAE in a kit (`bench.training.kit`): a few recordings of each sound.

The other half of every batch are timbres that are rendered where the kit is carried to, by formula.
"""

from __future__ import annotations

from pathlib import Path

from bench.training.kit import Part, add_part, code_of, require_free
from methods.ssvqvae.pretrain.data import corpus_path, rendered

MODEL = "ssvqvae"
_SCRIPT = """\
$PYTHON -m methods.ssvqvae.pretrain train --work "$WORK" --clips {clips} --sources procedural \\
    --batch-size 64 "$@"
cp "$WORK/ssvqvae_mini.json" "$WORK/ssvqvae_mini.jsonl" "$WORK/ssvqvae_mini.safetensors" "$OUT"
"""


def write_kit(
    folder: Path, *, work: Path, clips: int, sample_rate: int, wheels: Path | None = None
) -> int:
    """Write a kit with SS VQ-VAE, or add it to one; return the bytes of its files.

    Args:
        folder: Of the kit.
        work: Where the recordings are rendered, or have been.
        clips: Of each sound.
        sample_rate: Of the model.
        wheels: A folder of wheels to carry, if any.

    Raises:
        ConfigError: The kit has this model, or would be larger than 50 MiB.
        DatasetError: The synthesiser or the soundfont is not installed.
    """
    require_free(folder, MODEL)
    rendered(work, clips, sample_rate)
    path = corpus_path(work, clips, sample_rate)
    part = Part(
        MODEL,
        code_of("methods/ssvqvae"),
        {f"work/{MODEL}/{path.name}": path},
        _SCRIPT.format(clips=clips),
        f"a clip of each sound takes 3. Pass fewer than --clips {clips}",
    )
    return add_part(folder, part, wheels)
