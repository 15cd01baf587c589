"""Sampling codes from MusicGen melody, one random stream per clip.

**Source**: Copet et al. (2023), sections 2.2 (delay pattern: code book k of a frame is predicted k
steps later) and 2.3 (conditions as a prefix), with classifier-free guidance (Ho and Salimans 2022,
equation 6, in the parametrisation unconditional + scale x (conditional - unconditional)).

**Why not the library's `generate`**: it draws from one global stream, so that a clip's result
depends on the others of the batch. Here each clip has a generator of its own: see
`methods.musicgen.draws`.

**Guidance**: the two versions of a clip share nothing. They differ from the first position on: one
begins with the melody, the other with all C. But what stands before the codes of the version
without conditions is the same for all clips, and is read once for a batch.

**Conventions**: codes are (batch, codebook, frame); prefixes are (batch, position, dim), chroma
before text.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import MusicgenMelodyForCausalLM, MusicgenMelodyForConditionalGeneration

from methods.musicgen.chroma import PITCH_CLASSES, one_hot, tile_to
from methods.musicgen.decoding import CachedDecoder
from methods.musicgen.draws import draw, gumbel_noise
from methods.musicgen.sampling import Sampling


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a batch is generated from.

    Args:
        text: Ids (batch, token), or rows of the embedding table (batch, token, dim) in their place.
        mask: 1 where a token counts, 0 where it is padding (batch, token).
        pitch_class: Dominant pitch class (batch, frame).
    """

    text: Tensor
    mask: Tensor
    pitch_class: Tensor


Combine = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Guide:
    """States before the audio codes, in versions with different conditions, and their combination.

    Args:
        states: Of each version, (batch, position, dim), or (1, position, dim) for all clips.
        combine: Takes logits (version * batch, codebook, code) to (batch, codebook, code).
    """

    states: tuple[Tensor, ...]
    combine: Combine


@torch.no_grad()
def prefix(model: MusicgenMelodyForConditionalGeneration, conditions: Conditions) -> Tensor:
    """Return the states before the audio codes: chroma, tiled to the model's length, then text."""
    chroma = chroma_states(model, conditions.pitch_class)
    return torch.cat([chroma, encode_text(model, conditions.text, conditions.mask)], dim=1)


def chroma_states(model: MusicgenMelodyForConditionalGeneration, pitch_class: Tensor) -> Tensor:
    """States (batch, position, dim) of pitch classes (batch, frame), tiled to full length."""
    chroma = one_hot(tile_to(pitch_class, model.config.chroma_length))
    if model.decoder.config.hidden_size != PITCH_CLASSES:
        chroma = model.audio_enc_to_dec_proj(chroma)
    return chroma


def encode_text(
    model: MusicgenMelodyForConditionalGeneration, text: Tensor, mask: Tensor
) -> Tensor:
    """States (batch, token, dim) of texts, 0 where the mask is 0; gradients reach embeddings.

    Args:
        model: MusicGen melody.
        text: Ids (batch, token), or rows of the embedding table (batch, token, dim).
        mask: (batch, token).
    """
    name = "inputs_embeds" if text.is_floating_point() else "input_ids"
    states = model.text_encoder(attention_mask=mask, **{name: text}).last_hidden_state
    if model.text_encoder.config.hidden_size != model.decoder.config.hidden_size:
        states = model.enc_to_dec_proj(states)
    masked: Tensor = states * mask[..., None]
    return masked


@torch.no_grad()
def null_prefix(model: MusicgenMelodyForConditionalGeneration, conditions: Conditions) -> Tensor:
    """Return the prefix without conditions, as trained: all C, and text states zero.

    It is the same for all clips, (1, position, dim).
    """
    chroma = chroma_states(model, torch.zeros_like(conditions.pitch_class[:1]))
    text = chroma.new_zeros(1, conditions.mask.shape[1], chroma.shape[-1])
    return torch.cat([chroma, text], dim=1)


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
def generate_codes(
    model: MusicgenMelodyForConditionalGeneration,
    conditions: Conditions,
    num_frames: int,
    sampling: Sampling,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Generate `num_frames` frames of codes for each clip, shape (batch, codebook, frame)."""
    states, scale = prefix(model, conditions), sampling.guidance_scale
    if scale == 1.0:
        guide = Guide((states,), lambda logits: logits)
    else:
        both = states, null_prefix(model, conditions)
        guide = Guide(both, lambda logits: guided(logits, scale))
    nothing = torch.empty(len(states), model.decoder.config.num_codebooks, 0, dtype=torch.long)
    return continue_codes(model.decoder, guide, (nothing, num_frames), sampling, generators)


@torch.no_grad()
def continue_codes(
    decoder: MusicgenMelodyForCausalLM,
    guide: Guide,
    length: tuple[Tensor, int],
    sampling: Sampling,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Continue given codes, shape (batch, codebook, frame), and return the whole.

    With delay it takes `num_frames + codebooks - 1` steps. Column i + 1 of the delayed matrix is
    predicted at step i; its entry for code book k belongs to frame i - k: it is the given code
    where that frame is given, drawn where it is not, and padding where there is no such frame.

    Args:
        decoder: The language model.
        guide: What stands before the codes.
        length: Given codes (batch, codebook, given frame), on the CPU, and the number of frames in
            all.
        sampling: How codes are drawn; its guidance scale is not looked at.
        generators: One per clip.
    """
    given, num_frames = length[0].to(decoder.device), length[1]
    batch, codebooks, known = given.shape
    steps = num_frames + codebooks - 1
    reader = CachedDecoder(decoder, guide.states, steps)
    column = torch.full((batch, codebooks), decoder.config.pad_token_id, device=decoder.device)
    padding = column
    columns: list[Tensor] = []
    shape = codebooks, decoder.config.vocab_size
    for step, noise in enumerate(gumbel_noise(generators, shape, steps, decoder.device)):
        logits = reader.read(column.repeat(len(guide.states), 1))
        drawn = draw(guide.combine(logits), sampling, noise)
        frames = [step - codebook for codebook in range(codebooks)]
        entries = [
            given[:, codebook, frame]
            if 0 <= frame < known
            else (drawn if 0 <= frame < num_frames else padding)[:, codebook]
            for codebook, frame in enumerate(frames)
        ]
        column = torch.stack(entries, dim=1)
        columns.append(column)
    delayed = torch.stack(columns, dim=-1).cpu()
    rows = [delayed[:, k, k : k + num_frames] for k in range(codebooks)]
    return torch.stack(rows, dim=1)


@torch.no_grad()
def decode(model: MusicgenMelodyForConditionalGeneration, codes: Tensor) -> Tensor:
    """Turn codes into waveforms, shape (batch, sample), float32."""
    stacked = codes[None].to(model.audio_encoder.device)
    waveform: Tensor = model.audio_encoder.decode(stacked, [None]).audio_values
    decoded: Tensor = waveform[:, 0].float().cpu()
    return decoded
