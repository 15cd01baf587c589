"""The anatomy of the mini CLAP model: configuration, feature extractor, word-level tokenizer.

It is a `ClapModel` of the usual library class with a three-stage HTSAT tower and a two-layer text
tower, about 0.65 M parameters, sized so that a clip is embedded in tens of milliseconds on one
CPU core. Training builds it here; everything else reads the files that the training exports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
    PreTrainedTokenizerFast,
)

SAMPLE_RATE = 22050
WINDOW_S = 5.12
WINDOW_SAMPLES = 112896
_PROJECTION = 128
_LONGEST_TEXT = 32
# Ids as in RoBERTa, whose text tower derives positions from the padding id.
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def build_extractor() -> ClapFeatureExtractor:
    """The front end: 64 mel bands from 40 to 10,000 Hz, 251 frames; the tower takes at most 256."""
    return ClapFeatureExtractor(
        feature_size=64,
        sampling_rate=SAMPLE_RATE,
        hop_length=450,
        max_length_s=WINDOW_S,
        fft_window_size=2048,
        frequency_min=40,
        frequency_max=10000,
        truncation="rand_trunc",
        padding="repeatpad",
    )


def build_model(vocabulary_size: int) -> ClapModel:
    """An untrained model; draws its weights from torch's global generator."""
    audio = ClapAudioConfig(
        spec_size=128,
        num_mel_bins=64,
        window_size=4,
        patch_embeds_hidden_size=32,
        depths=[1, 1, 2],
        num_attention_heads=[2, 4, 8],
        hidden_size=128,
        num_hidden_layers=3,
        enable_fusion=False,
        projection_dim=_PROJECTION,
        num_classes=2,
        drop_path_rate=0.0,
    )
    text = ClapTextConfig(
        vocab_size=vocabulary_size,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=_LONGEST_TEXT + 2,
        projection_dim=_PROJECTION,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    config = ClapConfig(
        text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=_PROJECTION
    )
    return ClapModel(config)


def vocabulary(texts: Sequence[str]) -> dict[str, int]:
    """Ids of the special tokens and of every word of the texts, in alphabetical order."""
    words = sorted({word for text in texts for word in text.lower().split()})
    return {word: index for index, word in enumerate([*_SPECIAL, *words])}


def build_tokenizer(word_ids: dict[str, int]) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are the words of a vocabulary, in lower case."""
    core = Tokenizer(models.WordLevel(word_ids, unk_token="<unk>"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [(name, word_ids[name]) for name in ("<s>", "</s>")]
    core.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    fast: type[Any] = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = fast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=_LONGEST_TEXT,
    )
    return tokenizer
