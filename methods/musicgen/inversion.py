"""Learning pseudo-words: rows of the text encoder's embedding table that stand for a style.

**Source**: the first strategy of Rouard, Adi, Copet, Roebel and Defossez (2024), "Audio
Conditioning for Music Generation via Discrete Bottleneck Features", arXiv 2407.12563, after Gal et
al. (2022), arXiv 2208.01618, equation 2: everything is frozen but the pseudo-words, and the loss is
the language model's own cross entropy on recordings of the style.

**Exact savings**: the melody stands before the text and attention is causal, so what the decoder
makes of a melody does not depend on the pseudo-words: it is computed once per clip and kept as
keys and values.

**Conventions**: codes are (batch, codebook, frame); the delayed matrix has code book k shifted by
k steps; styles share passes of the frozen networks and nothing else: each has its own words,
optimiser and random numbers, and the loss is the sum over styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import DynamicCache, MusicgenMelodyForConditionalGeneration

from bench.api import Clip, ConfigError, UnsupportedError
from bench.seeds import derive_seed, generator
from methods.musicgen.chroma import dominant_pitch_class
from methods.musicgen.generation import chroma_states, encode_text, undisturbed
from methods.musicgen.loading import Loaded
from methods.musicgen.textual_parameters import InversionPlan

_IGNORED = -100
_LOSS_SCALE = 1024.0  # keeps small gradients of a half-precision decoder
_CROPS_CHECKED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A stretch of a style clip as the language model sees it.

    Args:
        codes: (codebook, frame).
        keys: Of the melody, for each layer (head, position, width).
        values: Likewise.
    """

    codes: Tensor
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]


@dataclass(slots=True, eq=False)
class WordFit:
    """One style being learnt: its crops, its pseudo-words, and all that is its own."""

    crops: list[Crop]
    words: nn.Parameter
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    losses: list[float] = field(default_factory=list)

    def draw(self, count: int) -> list[Crop]:
        """Some crops, drawn with replacement."""
        picks = torch.randint(len(self.crops), (count,), generator=self.generator)
        return [self.crops[pick] for pick in picks.tolist()]


def delayed(codes: Tensor, pad: int) -> Tensor:
    """Shift code book k by k steps, padded; (..., codebook, frame + codebooks - 1)."""
    codebooks, frames = codes.shape[-2:]
    shifted = codes.new_full((*codes.shape[:-1], frames + codebooks - 1), pad)
    for codebook in range(codebooks):
        shifted[..., codebook, codebook : codebook + frames] = codes[..., codebook, :]
    return shifted


def history(steps: Tensor, pad: int) -> Tensor:
    """What the decoder has read before each delayed step: the steps one later, pad first."""
    start = torch.full_like(steps[..., :1], pad)
    return torch.cat([start, steps[..., :-1]], dim=-1)


def cross_entropy(logits: Tensor, steps: Tensor, pad: int) -> Tensor:
    """Mean cross entropy in nats of each row's codes (batch,); padding does not count.

    Args:
        logits: (batch, codebook, step, code).
        steps: The delayed codes (batch, codebook, step).
        pad: The number that means there is no code.
    """
    target = torch.where(steps == pad, _IGNORED, steps)
    each = nn.functional.cross_entropy(
        logits.float().flatten(0, 2), target.flatten(), ignore_index=_IGNORED, reduction="none"
    ).reshape(len(steps), -1)
    counted: Tensor = each.sum(dim=1) / (target != _IGNORED).flatten(1).sum(dim=1)
    return counted


@undisturbed()
@torch.no_grad()
def read_crops(loaded: Loaded, clips: Sequence[Clip], style: str, crop_s: float) -> list[Crop]:
    """Cut style clips into crops, with their codes and what the decoder makes of their melody.

    Each crop has its own chroma, so that melody has somewhere else to go than into the words.
    Crops begin every half crop; those of one style are equally long.

    Raises:
        UnsupportedError: There are no clips, or none lasts a frame of codes.
    """
    shortest = min((clip.audio.num_samples for clip in clips), default=0) // loaded.hop_length
    frames = min(round(crop_s * loaded.chroma.sample_rate) // loaded.hop_length, shortest)
    frames = min(frames, loaded.longest_frames)
    if frames < 1:
        raise UnsupportedError(
            f"style {style!r} has {len(clips)} clips and {shortest} frames of codes in the "
            "shortest; MusicGen learns from clips of at least one frame. Add longer clips."
        )
    length = frames * loaded.hop_length
    cut = [
        torch.from_numpy(clip.audio.mono[start : start + length].copy())
        for clip in clips
        for start in range(0, clip.audio.num_samples - length + 1, max(length // 2, 1))
    ]
    return [_read_crop(loaded, waveform) for waveform in cut]


def _read_crop(loaded: Loaded, waveform: Tensor) -> Crop:
    model = loaded.model
    device = model.device
    codes = model.audio_encoder.encode(waveform[None, None].to(device)).audio_codes[0, 0]
    pitch_class = dominant_pitch_class(waveform, loaded.chroma)
    layers = melody_cache(model, pitch_class[None].to(device))
    keys, values = (tuple(part[0] for part in parts) for parts in zip(*layers, strict=True))
    return Crop(codes[: model.decoder.config.num_codebooks], keys, values)


def melody_cache(
    model: MusicgenMelodyForConditionalGeneration, pitch_class: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Keys and values (batch, head, position, width) of each layer at the melody's positions.

    Args:
        model: MusicGen melody.
        pitch_class: (batch, frame); tiled to the model's length.
    """
    chroma = chroma_states(model, pitch_class)
    cache = DynamicCache()
    decoder = model.decoder.model.decoder
    decoder(inputs_embeds=chroma.to(decoder.dtype), past_key_values=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


def crop_losses(
    model: MusicgenMelodyForConditionalGeneration, crops: Sequence[Crop], text: Tensor, mask: Tensor
) -> Tensor:
    """Cross entropy (batch,) of crops, each under its text; gradients reach the text.

    Args:
        model: Frozen.
        crops: Equally long.
        text: Rows of the embedding table (batch, token, dim).
        mask: 1 where a token counts (batch, token).
    """
    pad = model.decoder.config.pad_token_id
    steps = delayed(torch.stack([crop.codes for crop in crops]), pad)
    cache = DynamicCache()
    for layer in range(model.decoder.config.num_hidden_layers):
        keys = torch.stack([crop.keys[layer] for crop in crops])
        cache.update(keys, torch.stack([crop.values[layer] for crop in crops]), layer)
    states = encode_text(model, text, mask).to(model.decoder.dtype)
    logits = model.decoder(
        input_ids=history(steps, pad).flatten(0, 1),
        encoder_hidden_states=states,
        past_key_values=cache,
        use_cache=True,
    ).logits
    predicted = logits.reshape(*steps.shape[:2], *logits.shape[-2:])
    return cross_entropy(predicted[:, :, -steps.shape[-1] :], steps, pad)


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """The text around pseudo-words: rows of the embedding table, the first of which they replace.

    Args:
        rows: (token, dim).
        mask: 1 where a token counts (token,).
    """

    rows: Tensor
    mask: Tensor

    def with_words(self, words: Tensor) -> Tensor:
        """Rows (token, dim) with the words (word, dim) in the first places."""
        return torch.cat([words, self.rows[len(words) :]])


def make_prompt(loaded: Loaded, word: str, count: int) -> Prompt:
    """A text of one word, several times over: where pseudo-words start from.

    Raises:
        ConfigError: The word is not one token of this model, or there are too many.
    """
    ids = loaded.tokens(" ".join([word] * count))
    tokenizer = loaded.tokenizer
    ended = len(ids) > count and int(ids[count]) == tokenizer.eos_token_id
    known = int(ids[0]) != tokenizer.unk_token_id
    fits = loaded.vocabulary is None or len(ids) <= loaded.vocabulary.text_length
    if not (ended and known and fits and len(set(ids[:count].tolist())) == 1):
        raise ConfigError(
            f"{count} pseudo-words from {word!r} read as {ids.tolist()}; the word must be one "
            "token of the text encoder, and fit in its text so many times. Choose another "
            "init_word or fewer pseudo_words."
        )
    mask = (ids != tokenizer.pad_token_id).long()
    device = loaded.model.device
    table = loaded.model.text_encoder.get_input_embeddings()
    return Prompt(table(ids.to(device)).detach(), mask.to(device))


def begin_fit(
    crops: list[Crop], prompt: Prompt, count: int, plan: InversionPlan, seed: int
) -> WordFit:
    """A style at its start: its words are those of the prompt."""
    words = nn.Parameter(prompt.rows[:count].clone())
    optimiser = torch.optim.Adam([words], lr=plan.learning_rate)
    return WordFit(crops, words, optimiser, generator(derive_seed("words", seed)))


@undisturbed()
def step_together(
    loaded: Loaded, fits: Sequence[WordFit], prompts: Sequence[Prompt], batch_size: int
) -> None:
    """One optimiser step of each fit; all rows pass the frozen networks together.

    The crops of all fits must be equally long, and their prompts too.
    """
    crops = [crop for fit in fits for crop in fit.draw(batch_size)]
    pairs = list(zip(fits, prompts, strict=True))
    rows = torch.stack([prompt.with_words(fit.words) for fit, prompt in pairs])
    mask = torch.stack([prompt.mask for prompt in prompts])
    rows, mask = (part.repeat_interleave(batch_size, dim=0) for part in (rows, mask))
    losses = crop_losses(loaded.model, crops, rows, mask).unflatten(0, (len(fits), batch_size))
    means = losses.mean(dim=1)
    for fit in fits:
        fit.optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(means.sum() * _LOSS_SCALE)
    for fit, loss in zip(fits, means.tolist(), strict=True):
        if fit.words.grad is not None:
            fit.words.grad /= _LOSS_SCALE
        fit.optimiser.step()
        fit.losses.append(loss)


@undisturbed()
@torch.no_grad()
def checked_loss(loaded: Loaded, fit: WordFit, prompt: Prompt) -> float:
    """Mean cross entropy in nats per code of the first crops under the words as they are."""
    crops = fit.crops[:_CROPS_CHECKED]
    rows = prompt.with_words(fit.words)[None].expand(len(crops), -1, -1)
    mask = prompt.mask[None].expand(len(crops), -1)
    return float(crop_losses(loaded.model, crops, rows, mask).mean())
