"""Write the mini MusicGen melody as a folder that `from_pretrained` reads, in fp16."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import MusicgenMelodyForConditionalGeneration, PreTrainedTokenizerFast

from methods.musicgen.pretrain.data import (
    CHROMA,
    INSTRUMENTS,
    SAMPLE_RATE,
    VALIDATION_CLIPS,
)
from methods.musicgen.pretrain.model import ALIASES, TEXT_LENGTH, words


def vocabulary() -> dict[str, object]:
    """Return what the model declares: the sounds it knows by name, its words, its text length."""
    return {
        "sounds": {name: list(names) for name, names in ALIASES.items()},
        "words": words(),
        "text_length": TEXT_LENGTH,
    }


def preprocessor() -> dict[str, object]:
    """Return the chroma settings under the names the library's feature extractor uses."""
    return {
        "feature_extractor_type": "MusicgenMelodyFeatureExtractor",
        "sampling_rate": SAMPLE_RATE,
        "n_fft": CHROMA.n_fft,
        "hop_length": CHROMA.hop_length,
        "num_chroma": 12,
        "feature_size": 12,
    }


def export(
    model: MusicgenMelodyForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    record: dict[str, object],
    folder: Path,
) -> None:
    """Save everything under `folder`; the model is halved in precision in place.

    Seeds stand in the recipes of the cards that `record` holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write(folder / "vocabulary.json", vocabulary())
    _write(folder / "preprocessor_config.json", preprocessor())
    recipe = {
        "trained_with": torch.__version__,
        "instruments": list(INSTRUMENTS),
        "soundfont": "FluidR3 GM (MIT licence); bells: bench/corpus/nature.py",
        "held_out_clips": VALIDATION_CLIPS,
    }
    _write(folder / "training.json", {"recipe": recipe, **record})


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
