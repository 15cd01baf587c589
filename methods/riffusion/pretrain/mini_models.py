"""The networks of the mini profile: Riffusion's five parts at a hundredth of the size.

The same library classes as the full checkpoint, so that one code path runs both: `AutoencoderKL`
(factor 8, three channels), `UNet2DConditionModel`, `CLIPTextModel` with a `CLIPTokenizer` that
knows one token per word, and Stable Diffusion's noise schedule.

**Conventions**: images (batch, 3, 128, 256) in [-1, 1]; latents (batch, 8, 16, 32); text (batch,
16) token ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import AddedToken, CLIPTextConfig, CLIPTextModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

LATENT_CHANNELS = 8
TEXT_WIDTH = 64
TEXT_LENGTH = 16
_WORD_END = "</w>"
_BEGIN, _END = "<|startoftext|>", "<|endoftext|>"


def build_autoencoder() -> AutoencoderKL:
    """Four levels (factor 8), 8 latent channels, no attention: 1.65 million weights."""
    widths = (16, 32, 64, 96)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=128,
        scaling_factor=1.0,
        mid_block_add_attention=False,
    )


def build_unet() -> UNet2DConditionModel:
    """Three levels, text attention at the lower two: 5.2 million weights."""
    return UNet2DConditionModel(
        sample_size=(16, 32),
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=(48, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_tokenizer(words: Sequence[str]) -> CLIPTokenizer:
    """CLIP's tokenizer with an alphabet of single bytes and one token per known word.

    The placeholder `*` is one token.
    A word outside `words` falls apart into letters, as rare words do in the full tokenizer.
    """
    letters = list(bytes_to_unicode().values())
    symbols = [*letters, *(letter + _WORD_END for letter in letters), _BEGIN, _END]
    vocabulary = {symbol: index for index, symbol in enumerate(symbols)}
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TEXT_LENGTH)
    known = [AddedToken(word, single_word=True, normalized=True) for word in words if len(word) > 1]
    tokenizer.add_tokens(known)
    return tokenizer


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """Two layers of width 64."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_LENGTH,
            projection_dim=TEXT_WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's schedule: 1000 steps, square roots of betas linear, noise prediction."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def tokenize(tokenizer: CLIPTokenizer, texts: Sequence[str]) -> torch.Tensor:
    """Token ids (text, 16), filled up with the end token."""
    encoded = tokenizer(
        list(texts),
        padding="max_length",
        max_length=TEXT_LENGTH,
        truncation=True,
        return_tensors="pt",
    )
    ids: torch.Tensor = encoded.input_ids
    return ids


def fold_standardisation(
    autoencoder: AutoencoderKL, mean: torch.Tensor, deviation: torch.Tensor
) -> None:
    """Make the autoencoder's latents standard per channel, in two 1x1 convolutions, in place.

    The last convolution of the encoder gives (z - mean) / deviation, the first of the decoder
    undoes it: reconstructions stay what they were, and one scaling factor of 1 serves all channels.

    Args:
        autoencoder: With latents z.
        mean: Per channel, over the training set.
        deviation: Per channel, positive.
    """
    channels = len(mean)
    scale = 1 / deviation
    with torch.no_grad():
        into, out = autoencoder.quant_conv, autoencoder.post_quant_conv
        into.weight[:channels] *= scale[:, None, None, None]
        into.bias[:channels] = (into.bias[:channels] - mean) * scale
        into.bias[channels:] += 2 * scale.log()
        out.bias += out.weight[:, :, 0, 0] @ mean
        out.weight *= deviation[None, :, None, None]
