"""The parts of MusicGen in a kit (`bench.training.kit`): language model, codec of any timbre.

The language model learns from codes and chroma, which are small. The codec learns from timbres and
sounds of nature that are rendered where the kit is carried to, by formula, and goes on from the
committed one.
"""

from __future__ import annotations

from pathlib import Path

from bench.training.kit import Part, add_part, code_of, require_free

LANGUAGE_MODEL, CODEC = "musicgen", "musicgen-codec"
_CODE = code_of("methods/musicgen")
_KEPT = 'cp "$WORK/{name}.json" "$WORK/{name}.jsonl" "$WORK/{name}.safetensors" "$OUT"\n'
_OF_LANGUAGE = """\
$PYTHON -m methods.musicgen.pretrain lm --work "$WORK" --batch-size 64 "$@"
"""
_OF_CODEC = """\
$PYTHON -m methods.musicgen.pretrain wide-codec --work "$WORK" --weights weights/musicgen \\
    --sources procedural,nature --batch-size 64 "$@"
"""


def add_language_model(folder: Path, *, material: Path, wheels: Path | None = None) -> int:
    """Write a kit with the language model, or add it to one; return the bytes of its files.

    Args:
        folder: Of the kit.
        material: What `methods.musicgen.pretrain.data.Material` has written.
        wheels: A folder of wheels to carry, if any.

    Raises:
        ConfigError: The kit has this model, or would be larger than 50 MiB.
    """
    part = Part(
        LANGUAGE_MODEL,
        _CODE,
        {f"work/{LANGUAGE_MODEL}/{material.name}": material},
        _OF_LANGUAGE + _KEPT.format(name="language_model"),
        "its codes are what they are. Give it a kit of its own",
    )
    return add_part(folder, part, wheels)


def add_codec(folder: Path, *, weights: Path, wheels: Path | None = None) -> int:
    """Write a kit with the codec, or add it to one; return the bytes of its files.

    Args:
        folder: Of the kit.
        weights: Of the model whose codec goes on.
        wheels: A folder of wheels to carry, if any.

    Raises:
        ConfigError: The kit has this model, or would be larger than 50 MiB.
    """
    require_free(folder, CODEC)
    part = Part(
        CODEC,
        _CODE,
        {"weights/musicgen": weights},
        _OF_CODEC + _KEPT.format(name="wide_codec"),
        "its weights take 13. Give it a kit of its own",
    )
    return add_part(folder, part, wheels)
