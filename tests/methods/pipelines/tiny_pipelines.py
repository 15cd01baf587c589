"""Tiny ACE-Step and Stable Audio of random weights, in the folders of the real repositories.

Rates, hops and windows are given, so that tests of the methods are quick at a low rate and the hub
serves those of the published models.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from diffusers import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
    AceStepTransformer1DModel,
    AutoencoderOobleck,
    StableAudioDiTModel,
    StableAudioProjectionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import Qwen3Config, Qwen3Model, T5Config, T5EncoderModel

from methods.pipelines.cover import CoverPipeline, read_cover
from methods.pipelines.noising import Noiser, read_noiser
from methods.pipelines.parts import accepting_old_norms

WORDS = ("accordion", "bells", "violin", "piano", "a", "music")
ACE_STEP_RATE, STABLE_AUDIO_RATE = 1_600, 4_000
LATENT, WIDTH, TEXT = 4, 16, 16
_HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
_SIZES = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, **_HEADS}


@accepting_old_norms()
def _autoencoder(rate: int, ratios: Sequence[int]) -> AutoencoderOobleck:
    return AutoencoderOobleck(
        encoder_hidden_size=2 * LATENT,  # mean and deviation
        downsampling_ratios=list(ratios),
        channel_multiples=[1] * len(ratios),
        decoder_channels=4,
        decoder_input_channels=LATENT,
        sampling_rate=rate,
    )


def _tokenizer(folder: Path, kind: str) -> int:
    """Words alone, under the name of a class of the library; returns how many tokens."""
    vocabulary = ("<pad>", "</s>", "<unk>", *WORDS)
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, "<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    core.add_special_tokens(["<pad>", "</s>", "<unk>"])
    folder.mkdir(parents=True)
    core.save(str(folder / "tokenizer.json"))
    settings = {
        "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
        "model_max_length": 12 if kind == "PreTrainedTokenizerFast" else 512,
        "tokenizer_class": kind,
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(vocabulary)


def ace_step(folder: Path, rate: int = ACE_STEP_RATE, ratios: Sequence[int] = (2, 4, 8)) -> Path:
    """Write a tiny ACE-Step with 25 frames a second."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokens = _tokenizer(folder / "tokenizer", "PreTrainedTokenizerFast")
        text = Qwen3Config(
            vocab_size=tokens, num_hidden_layers=1, max_position_embeddings=512, **_SIZES
        )
        Qwen3Model(text).save_pretrained(folder / "text_encoder")
        levels = {"fsq_dim": WIDTH, "fsq_input_levels": [5, 5, 5]}
        pooled = {**_SIZES, "audio_acoustic_hidden_dim": LATENT}
        parts = {
            "vae": _autoencoder(rate, ratios),
            "transformer": AceStepTransformer1DModel(
                num_hidden_layers=2, in_channels=3 * LATENT, audio_acoustic_hidden_dim=LATENT,
                **_SIZES,
            ),
            "condition_encoder": AceStepConditionEncoder(
                text_hidden_dim=TEXT, timbre_hidden_dim=LATENT,
                num_lyric_encoder_hidden_layers=1, num_timbre_encoder_hidden_layers=1, **_SIZES,
            ),
            "audio_tokenizer": AceStepAudioTokenizer(
                num_attention_pooler_hidden_layers=1, **levels, **pooled
            ),
            "audio_token_detokenizer": AceStepAudioTokenDetokenizer(
                num_attention_pooler_hidden_layers=1, **pooled
            ),
        }  # fmt: skip
        for name, part in parts.items():
            part.save_pretrained(folder / name)
    return folder


def stable_audio(
    folder: Path,
    rate: int = STABLE_AUDIO_RATE,
    ratios: Sequence[int] = (2, 4, 8),
    frames: int = 128,
) -> Path:
    """Write a tiny Stable Audio whose window has so many frames."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tokens = _tokenizer(folder / "tokenizer", "PreTrainedTokenizerFast")
        text = T5Config(vocab_size=tokens, d_model=TEXT, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        T5EncoderModel(text).save_pretrained(folder / "text_encoder")
        parts = {
            "vae": _autoencoder(rate, ratios),
            "transformer": StableAudioDiTModel(
                sample_size=frames, in_channels=LATENT, out_channels=LATENT, num_layers=1,
                attention_head_dim=8, num_attention_heads=2, num_key_value_attention_heads=1,
                cross_attention_dim=TEXT, cross_attention_input_dim=TEXT,
                global_states_input_dim=2 * TEXT, time_proj_dim=8,
            ),
            "projection_model": StableAudioProjectionModel(
                text_encoder_dim=TEXT, conditioning_dim=TEXT, min_value=0, max_value=512
            ),
        }  # fmt: skip
        for name, part in parts.items():
            part.save_pretrained(folder / name)
    published = {"_class_name": "CosineDPMSolverMultistepScheduler", "sigma_data": 1.0}
    noise = {**published, "sigma_min": 0.3, "sigma_max": 500.0, "solver_order": 2}
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(noise))
    return folder


@cache
def tiny_cover() -> CoverPipeline:
    """The tiny ACE-Step, read from the files that its library writes."""
    with tempfile.TemporaryDirectory() as folder:
        return read_cover(ace_step(Path(folder)), "cpu")


@cache
def tiny_noiser() -> Noiser:
    """The tiny Stable Audio, read likewise; its window has 8,192 samples."""
    with tempfile.TemporaryDirectory() as folder:
        return read_noiser(stable_audio(Path(folder)), "cpu")
