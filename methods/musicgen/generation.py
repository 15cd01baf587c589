"""Sampling codes from MusicGen melody, one random stream per clip.

**Source**: Copet et al. (2023), sections 2.2 (delay pattern: code book k of a frame is predicted k
steps later) and 2.3 (conditions as a prefix), with classifier-free guidance (Ho and Salimans 2022,
equation 6, in the parametrisation unconditional + scale x (conditional - unconditional)).

**Why not the library's `generate`**: it draws from one global stream, so that a clip's result
depends on its company in the batch. Here each clip has a generator of its own on the CPU, and
draws by the Gumbel-max identity: the argmax of log-probabilities plus Gumbel noise is a draw from
the distribution (Gumbel 1954).

**Conventions**: codes are (batch, codebook, frame); prefixes are (batch, position, dim), chroma
before text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import MusicgenMelodyForConditionalGeneration

from methods.musicgen.chroma import PITCH_CLASSES, one_hot, tile_to


@dataclass(frozen=True, slots=True)
class Sampling:
    """How codes are drawn.

    Args:
        guidance_scale: 1 means no guidance; larger values weigh the conditions more.
        top_k: Only the k likeliest codes may be drawn.
        temperature: Positive; below 1 sharpens.
    """

    guidance_scale: float
    top_k: int
    temperature: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """Text ids and mask (batch, token), dominant pitch class (batch, frame)."""

    text: Tensor
    mask: Tensor
    pitch_class: Tensor


@torch.no_grad()
def prefix(model: MusicgenMelodyForConditionalGeneration, conditions: Conditions) -> Tensor:
    """Return the states before the audio codes: chroma, tiled to the model's length, then text."""
    hidden = model.decoder.config.hidden_size
    text = model.text_encoder(
        input_ids=conditions.text, attention_mask=conditions.mask
    ).last_hidden_state
    if model.text_encoder.config.hidden_size != hidden:
        text = model.enc_to_dec_proj(text)
    text = text * conditions.mask[..., None]
    chroma = one_hot(tile_to(conditions.pitch_class, model.config.chroma_length))
    if hidden != PITCH_CLASSES:
        chroma = model.audio_enc_to_dec_proj(chroma)
    return torch.cat([chroma, text], dim=1)


@torch.no_grad()
def null_prefix(model: MusicgenMelodyForConditionalGeneration, conditions: Conditions) -> Tensor:
    """Return the prefix without conditions, as trained: all C, and text states zero."""
    nothing = Conditions(
        conditions.text,
        torch.zeros_like(conditions.mask),
        torch.zeros_like(conditions.pitch_class),
    )
    states = prefix(model, nothing)
    states[:, model.config.chroma_length :] = 0.0  # an encoder given no token at all may return NaN
    return states


def draw(logits: Tensor, sampling: Sampling, generators: Sequence[torch.Generator]) -> Tensor:
    """Draw codes from (batch, codebook, code) logits, each clip from its own generator."""
    scaled = logits.float().cpu() / sampling.temperature
    kept = min(sampling.top_k, scaled.shape[-1])
    lowest = scaled.topk(kept, dim=-1).values[..., -1:]
    scaled = scaled.masked_fill(scaled < lowest, -torch.inf)
    uniform = torch.stack([torch.rand(scaled.shape[1:], generator=g) for g in generators])
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-20, 1.0 - 1e-7)))
    return (scaled + gumbel).argmax(dim=-1)


def guided(logits: Tensor, guidance_scale: float) -> Tensor:
    """Combine (conditional, unconditional) halves of a batch by classifier-free guidance."""
    conditional, unconditional = logits.chunk(2)
    return unconditional + guidance_scale * (conditional - unconditional)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Give Python's global generator back as it was.

    The library's decoder draws from it in every layer (for LayerDrop) and uses the draw only in
    training.
    """
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@undisturbed()
@torch.no_grad()
def generate_codes(
    model: MusicgenMelodyForConditionalGeneration,
    conditions: Conditions,
    num_frames: int,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Generate `num_frames` frames of codes for each clip, shape (batch, codebook, frame).

    With delay it takes `num_frames + codebooks - 1` steps. Column i + 1 of the delayed matrix is
    predicted at step i; its entry for code book k belongs to frame i - k, and is padding where
    there is no such frame.
    """
    guide = sampling.guidance_scale != 1.0
    states = prefix(model, conditions)
    if guide:
        states = torch.cat([states, null_prefix(model, conditions)])
    states = states.to(model.decoder.dtype)
    batch, codebooks = len(conditions.text), model.decoder.config.num_codebooks
    pad = model.generation_config.pad_token_id
    column = torch.full((batch, codebooks), pad)
    columns: list[Tensor] = []
    cache = None
    for step in range(num_frames + codebooks - 1):
        inputs = column.reshape(batch * codebooks, 1).to(states.device)
        output = model.decoder(
            input_ids=inputs.repeat(2, 1) if guide else inputs,
            encoder_hidden_states=states if step == 0 else None,
            past_key_values=cache,
            use_cache=True,
        )
        cache = output.past_key_values
        logits = output.logits[:, -1].reshape(-1, codebooks, output.logits.shape[-1])
        logits = guided(logits, sampling.guidance_scale) if guide else logits
        frame = step - torch.arange(codebooks)
        column = torch.where(
            (frame >= 0) & (frame < num_frames), draw(logits, sampling, generators), pad
        )
        columns.append(column)
    delayed = torch.stack(columns, dim=-1)
    rows = [delayed[:, k, k : k + num_frames] for k in range(codebooks)]
    return torch.stack(rows, dim=1)


@torch.no_grad()
def decode(model: MusicgenMelodyForConditionalGeneration, codes: Tensor) -> Tensor:
    """Turn codes into waveforms, shape (batch, sample), float32."""
    stacked = codes[None].to(model.audio_encoder.device)
    waveform: Tensor = model.audio_encoder.decode(stacked, [None]).audio_values
    decoded: Tensor = waveform[:, 0].float().cpu()
    return decoded
