"""What the pipelines of diffusers ask for, counted on tensors without memory.

Sizes are those of the library's classes, which are the published ones, but for ACE-Step's larger
transformer: 32 layers of width 2,560 with 32 heads and a feed-forward layer of 9,728. Those sizes
give the parameters of the published file, 4.99 billion with its encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from diffusers import AceStepTransformer1DModel, AutoencoderOobleck, StableAudioDiTModel
from diffusers.models.embeddings import get_1d_rotary_pos_embed

from methods.pipelines.ace_step import SHORTEST_S
from methods.pipelines.checkpoints import ACE_STEP_RATE
from methods.pipelines.parts import accepting_old_norms

_TOKENS = 128  # of a text, about
_ACE_STEP_RATIOS = [2, 4, 4, 6, 10]


def costs(counted: Callable[[Callable[[], object]], float], clip_s: float) -> Iterator[Any]:
    """The rows of transfers in the full profile, per second of clips of a length.

    Args:
        counted: Gflop of a call.
        clip_s: Seconds of a clip; both pipelines render more than that.
    """
    with torch.device("meta"), torch.no_grad(), accepting_old_norms():
        for name, (fixed, row) in {
            "ace-step": _ace_step(counted), "stable-audio": _stable_audio(counted)
        }.items():  # fmt: skip
            line = {"fixed": fixed / clip_s, "per_pass": row / clip_s}
            yield {"stage": "transfer", "name": name, "counted": line}


def _ace_step(counted: Callable[[Callable[[], object]], float]) -> tuple[float, float]:
    """Gflop of the autoencoder and of a row of the transformer, for the shortest content."""
    vae = AutoencoderOobleck(downsampling_ratios=_ACE_STEP_RATIOS, sampling_rate=ACE_STEP_RATE)
    transformer = AceStepTransformer1DModel(
        hidden_size=2560,
        intermediate_size=9728,
        num_hidden_layers=32,
        num_attention_heads=32,
        encoder_hidden_size=2048,
    )
    samples = round(SHORTEST_S * ACE_STEP_RATE)
    latents = torch.empty(1, samples // vae.hop_length, 64)
    time, context = torch.zeros(1), torch.empty(1, latents.shape[1], 2 * 64)
    states = torch.empty(1, _TOKENS, 2048)
    row = counted(lambda: transformer(latents, time, time, states, context, return_dict=False))
    return _round_trip(counted, vae, samples), row


def _stable_audio(counted: Callable[[Callable[[], object]], float]) -> tuple[float, float]:
    """Gflop of the autoencoder and of a row of the transformer, for a window."""
    vae, transformer = AutoencoderOobleck(), StableAudioDiTModel()
    frames = int(transformer.config.sample_size)
    latents, text = torch.empty(1, 64, frames), torch.empty(1, _TOKENS + 2, 768)
    seconds = torch.empty(1, 1, 2 * 768)
    with torch.device("cpu"):
        turns = get_1d_rotary_pos_embed(32, frames + 1, use_real=True, repeat_interleave_real=False)
    turns = tuple(part.to("meta") for part in turns)
    row = counted(
        lambda: transformer(latents, torch.zeros(1), text, seconds, turns, return_dict=False)
    )
    return _round_trip(counted, vae, frames * vae.hop_length), row


def _round_trip(
    counted: Callable[[Callable[[], object]], float], vae: AutoencoderOobleck, samples: int
) -> float:
    sound, latents = torch.empty(1, 2, samples), torch.empty(1, 64, samples // vae.hop_length)
    return counted(lambda: vae.encoder(sound)) + counted(lambda: vae.decoder(latents))
