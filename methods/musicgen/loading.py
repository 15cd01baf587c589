"""Loading MusicGen melody: model, tokenizer, chroma settings and declared vocabulary."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as library_logging

from bench.api import CheckpointError, Profile, UnsupportedError
from bench.device import Precision, frozen_precision
from bench.weights import (
    check_tokenizer,
    full_profile_line,
    hub_folder,
    leaving_unsaid,
    require_files,
)
from methods.musicgen.checkpoints import (
    FILES,
    MINI_FOLDER,
    MUSICGEN_MELODY,
    VOCABULARY,
    describe,
)
from methods.musicgen.chroma import ChromaSettings
from methods.musicgen.configuration import read_config


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a small model declares to know.

    Args:
        sounds: Names of the sounds it was trained on, each with its spellings.
        text_length: Tokens of every text, padding included: part of the trained alignment.
    """

    sounds: dict[str, list[str]]
    text_length: int

    @staticmethod
    def read(folder: Path) -> Vocabulary | None:
        """Read the declaration of a model folder; None for a model that takes any text."""
        path = folder / VOCABULARY
        if not path.exists():
            return None
        stored = json.loads(path.read_text())
        return Vocabulary(stored["sounds"], stored["text_length"])

    def knows(self, text: str) -> bool:
        """Whether the text names a sound of the training, in whole words."""
        spoken = f" {' '.join(''.join(_letter(c) for c in text.lower()).split())} "
        return any(f" {name} " in spoken for names in self.sounds.values() for name in names)


def _letter(character: str) -> str:
    return character if character.isalnum() else " "


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with all that belongs to it; `hop_length` is samples per frame of codes."""

    model: MusicgenMelodyForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase
    chroma: ChromaSettings
    vocabulary: Vocabulary | None
    hop_length: int

    @property
    def longest_frames(self) -> int:
        """Code frames that the melody condition covers."""
        covered_samples = self.model.config.chroma_length * self.chroma.hop_length
        return int(covered_samples // self.hop_length)

    def check_text(self, style: str, text: str) -> None:
        """Refuse a text that the model cannot make sense of.

        Raises:
            UnsupportedError: It is empty, unknown or too long.
        """
        if not text:
            raise UnsupportedError(
                f"style '{style}' has no text; MusicGen melody is driven by text. Give the style a "
                "text in its dataset card."
            )
        vocabulary = self.vocabulary
        if vocabulary is None:
            return
        if not vocabulary.knows(text):
            raise UnsupportedError(
                f"text unknown to this model: '{text}' of style '{style}' names none of "
                f"{', '.join(vocabulary.sounds)}. Choose among these, or: "
                f"{full_profile_line('musicgen')}"
            )
        tokens = len(self.tokenizer(text)["input_ids"])
        if tokens > vocabulary.text_length:
            raise UnsupportedError(
                f"text too long for this model: '{text}' of style '{style}' has {tokens} tokens; "
                f"it takes {vocabulary.text_length}. Shorten the text."
            )

    def tokens(self, text: str) -> torch.Tensor:
        """Ids (token,) of a text, padded where the model wants one length."""
        if self.vocabulary is None:
            return torch.tensor(self.tokenizer(text)["input_ids"])
        length = self.vocabulary.text_length
        padded = self.tokenizer(text, padding="max_length", max_length=length)
        return torch.tensor(padded["input_ids"])


def load_melody(profile: Profile, device: str) -> Loaded:
    """Load the checkpoint of a profile, once for all methods that use it.

    Raises:
        CheckpointError: It is missing, incomplete, or of another rate than described.
    """
    return _load_melody(profile, device, frozen_precision(device))


@lru_cache(maxsize=2)
def _load_melody(profile: Profile, device: str, precision: Precision) -> Loaded:
    folder = MINI_FOLDER if profile == "mini" else hub_folder(MUSICGEN_MELODY)
    loaded = load_folder(folder, device, precision)
    rate = describe(profile).sample_rate
    if loaded.chroma.sample_rate != rate:
        raise CheckpointError(
            f"MusicGen melody: {folder} holds a model of {loaded.chroma.sample_rate} Hz; "
            f"the profile {profile} is described with {rate} Hz. Restore the folder."
        )
    return loaded


def load_folder(folder: Path, device: str, precision: Precision = "float32") -> Loaded:
    """Load any MusicGen melody saved in the library's own layout; its decoder in `precision`.

    Raises:
        CheckpointError: A file is missing, the tokenizer is empty, or the rates do not agree.
    """
    require_files(folder, FILES, "MusicGen melody")
    library_logging.disable_progress_bar()
    # Older versions of the library also warn of their own defaults, whatever they are given.
    with leaving_unsaid("transformers.configuration_utils", "integer within the vocabulary"):
        config = read_config(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, config=config)
        check_tokenizer(tokenizer, folder)
        model = MusicgenMelodyForConditionalGeneration.from_pretrained(
            folder, config=config, dtype=torch.float32
        )
    # Built from parts, the decoder lacks an attention implementation, and then a causal mask.
    model.decoder.set_attn_implementation("sdpa")
    _set_special_ids(model)
    model = model.train(mode=False).requires_grad_(requires_grad=False).to(device)
    # The rest stays float32: it is small, and audible.
    model.decoder.to(getattr(torch, precision))
    hop_length = math.prod(model.audio_encoder.config.upsampling_ratios)
    settings = _chroma_settings(folder, model)
    return Loaded(model, tokenizer, settings, Vocabulary.read(folder), hop_length)


def _set_special_ids(model: MusicgenMelodyForConditionalGeneration) -> None:
    """Take the pad code from the decoder; a model built from parts leaves these ids open."""
    pad = model.decoder.config.pad_token_id
    generation = model.generation_config
    generation.pad_token_id = generation.bos_token_id = generation.decoder_start_token_id = pad


def _chroma_settings(folder: Path, model: MusicgenMelodyForConditionalGeneration) -> ChromaSettings:
    stored = json.loads((folder / "preprocessor_config.json").read_text())
    settings = ChromaSettings(stored["sampling_rate"], stored["n_fft"], stored["hop_length"])
    codec_rate = model.audio_encoder.config.sampling_rate
    if settings.sample_rate != codec_rate:
        raise CheckpointError(
            f"MusicGen melody: preprocessor_config.json in {folder} says {settings.sample_rate} "
            f"Hz, the codec {codec_rate} Hz; they must agree. Restore the folder."
        )
    return settings
