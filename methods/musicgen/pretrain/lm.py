"""Train the mini MusicGen melody language model on codes, chroma and text.

The recipe (see also the modules `data` and `model`): teacher forcing with the delay pattern;
part of the history is corrupted, because with an intact history the chroma only matters where
notes change, and the model would not learn to read it; condition dropout builds the null
conditions exactly as generation does (text states zero, chroma all C).
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import MusicgenMelodyForConditionalGeneration, PreTrainedTokenizerBase

from methods.musicgen.chroma import one_hot
from methods.musicgen.pretrain.codec import CODEBOOK_SIZE, NUM_CODEBOOKS
from methods.musicgen.pretrain.data import NUM_FRAMES, VALIDATION_CLIPS, Corpus
from methods.musicgen.pretrain.model import ALIASES, PAD, TEMPLATES, TEXT_LENGTH

LOGGER = logging.getLogger(__name__)

_BATCH = 16
_WARM_UP_STEPS = 100
_SAVE_EVERY_S = 120.0
_CURVE_CLIPS = 16  # a multiple of the instruments, whose clips take turns
_DROP_BOTH, _DROP_CHROMA, _DROP_TEXT = 0.12, 0.04, 0.04
_OTHER_CHROMA = 0.4  # share of clips whose melody condition comes from another instrument
_CORRUPTED_CLIPS, _CORRUPTION = 0.7, 0.6
_CANONICAL_TEXT = 0.5
_UNKNOWN_WORD = 0.05


@dataclass(frozen=True, slots=True)
class Batch:
    """Codes (batch, codebook, frame), chroma (batch, frame, 12), text ids and mask (batch, 8)."""

    codes: Tensor
    chroma: Tensor
    text: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class LanguageRecipe:
    """Seconds of wall clock, peak learning rate, seed."""

    seconds: float
    learning_rate: float = 1.5e-3
    seed: int = 0


def delayed(codes: Tensor) -> Tensor:
    """Shift code book k by k steps, padded; shape (batch, codebook, frame + codebooks - 1)."""
    batch, codebooks, frames = codes.shape
    shifted = torch.full((batch, codebooks, frames + codebooks - 1), PAD)
    for codebook in range(codebooks):
        shifted[:, codebook, codebook : codebook + frames] = codes[:, codebook]
    return shifted


def logits(model: MusicgenMelodyForConditionalGeneration, batch: Batch, history: Tensor) -> Tensor:
    """Return the logits of every delayed step given the (possibly corrupted) history of codes.

    The shape is (batch, codebook, step, code); step i predicts column i of `delayed`.
    """
    inputs = delayed(history)
    start = torch.full_like(inputs[..., :1], PAD)
    inputs = torch.cat([start, inputs[..., :-1]], dim=-1)
    rows, codebooks, steps = inputs.shape
    output = model(
        input_ids=batch.text,
        attention_mask=batch.mask,
        input_features=batch.chroma,
        decoder_input_ids=inputs.reshape(rows * codebooks, steps),
    ).logits
    predicted: Tensor = output[:, -steps:].reshape(rows, codebooks, steps, -1)
    return predicted


def cross_entropy(predicted: Tensor, codes: Tensor) -> Tensor:
    """Return the cross entropy of each code in nats, shape (batch, codebook, frame)."""
    target = delayed(codes)
    ignored = torch.where(target == PAD, -100, target)
    loss = nn.functional.cross_entropy(
        predicted.float().flatten(0, 2), ignored.flatten(), reduction="none"
    ).reshape(target.shape)
    frames = codes.shape[-1]
    return torch.stack([loss[:, k, k : k + frames] for k in range(codes.shape[1])], dim=1)


@dataclass(frozen=True, slots=True)
class TextTable:
    """Token ids of all wordings of all instruments; a row begins with the bare canonical name."""

    rows: tuple[Tensor, ...]

    @staticmethod
    def of(tokenizer: PreTrainedTokenizerBase) -> TextTable:
        """Tokenise all templates with all names."""
        rows = []
        for names in ALIASES.values():
            texts = [template.format(name) for name in names for template in TEMPLATES]
            ids = tokenizer(texts, padding="max_length", max_length=TEXT_LENGTH)["input_ids"]
            rows.append(torch.tensor(ids))
        return TextTable(tuple(rows))

    def draw(self, instruments: np.ndarray, generator: np.random.Generator) -> Tensor:
        """Draw one wording per instrument, canonical names half of the time."""
        chosen = []
        for instrument in instruments:
            row = self.rows[instrument]
            last = len(TEMPLATES) if generator.random() < _CANONICAL_TEXT else len(row)
            chosen.append(row[generator.integers(0, last)])
        return torch.stack(chosen)

    def canonical(self, instruments: np.ndarray) -> Tensor:
        """Return the bare names."""
        return torch.stack([self.rows[instrument][0] for instrument in instruments])


@dataclass(frozen=True, slots=True)
class Examples:
    """The corpus as the language model sees it."""

    corpus: Corpus
    codes: Tensor
    texts: TextTable

    def draw(self, generator: np.random.Generator) -> Batch:
        """Draw a training batch with condition dropout."""
        clips = generator.integers(VALIDATION_CLIPS, len(self.codes), _BATCH)
        variant = (generator.random(_BATCH) < _OTHER_CHROMA).astype(np.int64)
        pitch_class = torch.from_numpy(self.corpus.chroma[clips, variant].copy())
        text = self.texts.draw(self.corpus.instrument[clips], generator)
        mask = (text > 0).long()
        dropped = torch.from_numpy(generator.random(_BATCH))
        no_chroma = dropped < _DROP_BOTH + _DROP_CHROMA
        no_text = (dropped < _DROP_BOTH) | (
            (dropped >= _DROP_BOTH + _DROP_CHROMA)
            & (dropped < _DROP_BOTH + _DROP_CHROMA + _DROP_TEXT)
        )
        pitch_class[no_chroma] = 0
        mask[no_text] = 0
        unknown = torch.from_numpy(generator.random(text.shape)) < _UNKNOWN_WORD
        text = torch.where(unknown & self._filler(text), 2, text)
        return Batch(self.codes[clips], one_hot(pitch_class), text, mask)

    @staticmethod
    def _filler(text: Tensor) -> Tensor:
        # Specials and template words come first in the vocabulary; names may not become unknown.
        fillers = len(set(" ".join(TEMPLATES).replace("{}", " ").split()))
        return (text > 2) & (text < 3 + fillers)

    def validation(self, num_clips: int = VALIDATION_CLIPS) -> Batch:
        """Return held-out clips with their own chroma and bare names."""
        kept = slice(0, num_clips)
        text = self.texts.canonical(self.corpus.instrument[kept])
        chroma = one_hot(torch.from_numpy(self.corpus.chroma[kept, 0].copy()))
        return Batch(self.codes[kept], chroma, text, (text > 0).long())


def corrupted(codes: Tensor, generator: np.random.Generator) -> Tensor:
    """Replace frames of the history by pad or random codes, at a rate drawn per clip."""
    rows, codebooks, frames = codes.shape
    rate = generator.random((rows, 1, 1)) * _CORRUPTION
    rate *= generator.random((rows, 1, 1)) < _CORRUPTED_CLIPS
    broken = torch.from_numpy(generator.random((rows, 1, frames)) < rate)
    silent = torch.from_numpy(generator.random((rows, codebooks, frames)) < 0.5)
    random_codes = torch.from_numpy(generator.integers(0, CODEBOOK_SIZE, codes.shape))
    return torch.where(broken, torch.where(silent, PAD, random_codes), codes)


@torch.no_grad()
def validate(model: MusicgenMelodyForConditionalGeneration, batch: Batch) -> dict[str, float]:
    """Return the cross entropy with true conditions, with other chroma, with other text."""
    other_chroma = Batch(batch.codes, batch.chroma.roll(8, 0), batch.text, batch.mask)
    other_text = Batch(batch.codes, batch.chroma, batch.text.roll(1, 0), batch.mask.roll(1, 0))
    scores = {}
    for name, conditions in (
        ("true", batch),
        ("other chroma", other_chroma),
        ("other text", other_text),
    ):
        loss = cross_entropy(logits(model, conditions, batch.codes), batch.codes)
        scores[name] = float(loss.mean())
        scores[f"{name}, first code book"] = float(loss[:, 0].mean())
    return scores


@torch.no_grad()
def future_leak(model: MusicgenMelodyForConditionalGeneration) -> float:
    """Return how far early logits move when the last 20 frames change; 0 for a causal model."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, CODEBOOK_SIZE, (2, NUM_CODEBOOKS, NUM_FRAMES), generator=generator)
    pitch_class = torch.randint(0, 12, (2, NUM_FRAMES), generator=generator)
    text = torch.ones(2, TEXT_LENGTH, dtype=torch.long)
    batch = Batch(codes, one_hot(pitch_class), text, text)
    changed = codes.clone()
    changed[..., -20:] = 0
    difference = logits(model, batch, codes) - logits(model, batch, changed)
    return float(difference[:, :, :100].abs().max())


def _learning_rate(recipe: LanguageRecipe, step: int, elapsed: float) -> float:
    warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, elapsed / recipe.seconds)))
    return recipe.learning_rate * warm * (0.97 * cosine + 0.03)


def trained_state(model: MusicgenMelodyForConditionalGeneration) -> dict[str, Tensor]:
    """Return the weights this module trains: all but the codec."""
    state: dict[str, Tensor] = model.state_dict()
    return {name: value for name, value in state.items() if not name.startswith("audio_encoder.")}


Row = list[float | dict[str, float]]


@dataclass(slots=True)
class _Trainer:
    """The language model under training: where it stands, and its curve."""

    model: MusicgenMelodyForConditionalGeneration
    parameters: list[nn.Parameter]
    optimiser: torch.optim.Optimizer
    step: int
    elapsed: float
    curve: list[Row]

    def update(self, batch: Batch, history: Tensor, learning_rate: float) -> float:
        """Take one step; return the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        with torch.autocast("cpu", torch.bfloat16):
            predicted = logits(self.model, batch, history)
        loss = cross_entropy(predicted, batch.codes).mean()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        return loss.item()

    def save(self, path: Path) -> None:
        """Write everything needed to continue, in one replacement."""
        state = {
            "model": trained_state(self.model),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed": self.elapsed,
            "curve": self.curve,
        }
        torch.save(state, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)


def _trainer(
    model: MusicgenMelodyForConditionalGeneration, recipe: LanguageRecipe, path: Path
) -> _Trainer:
    parameters = [p for n, p in model.named_parameters() if not n.startswith("audio_encoder.")]
    optimiser = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    if not path.exists():
        return _Trainer(model, parameters, optimiser, 0, 0.0, [])
    stored = torch.load(path, weights_only=True)
    model.load_state_dict(stored["model"], strict=False)
    optimiser.load_state_dict(stored["optimiser"])
    state = (stored["step"], stored["elapsed"], stored["curve"])
    return _Trainer(model, parameters, optimiser, *state)


def train(
    model: MusicgenMelodyForConditionalGeneration,
    examples: Examples,
    recipe: LanguageRecipe,
    path: Path,
) -> list[Row]:
    """Train until `recipe.seconds` are spent, resuming from `path`; return the curve."""
    trainer = _trainer(model, recipe, path)
    generator = np.random.default_rng((recipe.seed, trainer.step))
    validation = examples.validation(_CURVE_CLIPS)
    started, saved = time.monotonic() - trainer.elapsed, trainer.elapsed
    recent: list[float] = []
    while trainer.elapsed < recipe.seconds:
        batch = examples.draw(generator)
        history = corrupted(batch.codes, generator)
        rate = _learning_rate(recipe, trainer.step, trainer.elapsed)
        recent.append(trainer.update(batch, history, rate))
        trainer.elapsed = time.monotonic() - started
        if trainer.elapsed - saved > _SAVE_EVERY_S or trainer.elapsed >= recipe.seconds:
            saved = trainer.elapsed
            loss = float(np.mean(recent[-50:]))
            scores = validate(model, validation)
            trainer.curve.append([trainer.step, round(trainer.elapsed), loss, scores])
            LOGGER.info("%s", trainer.curve[-1])
            trainer.save(path)
    return trainer.curve
