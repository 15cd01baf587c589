"""Small random-weight models of the library classes that the methods use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from methods.riffusion.backbone import Backbone, Parts
from methods.riffusion.schedule import make_schedule

_WORDS = ["*", "n", "a", "b"]


def _tokenizer() -> CLIPTokenizer:
    symbols = [*_WORDS, *(f"{word}</w>" for word in _WORDS), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=8)


def _parts(seed: int) -> Parts:
    torch.manual_seed(seed)
    tokenizer = _tokenizer()
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        latent_channels=4,
        norm_num_groups=4,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=8,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    return Parts(vae, unet, text, tokenizer)


@pytest.fixture
def in_double() -> Iterator[torch.dtype]:
    """Networks and draws of the test are float64; ask for it before what builds them.

    Not for tests that transform sounds: windows are made once, for all tests of the process.
    """
    torch.set_default_dtype(torch.float64)
    yield torch.float64
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def tiny_backbone() -> Backbone:
    """A backbone of few random weights: latents (4, row/2, column/2), contexts (8, 32)."""
    return Backbone(_parts(0), make_schedule())


@pytest.fixture
def twin_backbone() -> Backbone:
    """Another backbone of the same weights."""
    return Backbone(_parts(0), make_schedule())
