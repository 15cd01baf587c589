"""Train the mini MusicGen melody language model on codes, chroma and text.

The recipe (see also the modules `data` and `model`): teacher forcing with the delay pattern;
part of the history is corrupted, because with an intact history the chroma only matters where
notes change, and the model would not learn to read it; condition dropout builds the null
conditions exactly as generation does (text states zero, chroma all C).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import MusicgenMelodyForConditionalGeneration, PreTrainedTokenizerBase

from bench.training.loop import Curve
from bench.training.recipe import Recipe, Schedule
from methods.musicgen.chroma import one_hot
from methods.musicgen.pretrain.codec import CODEBOOK_SIZE, NUM_CODEBOOKS
from methods.musicgen.pretrain.data import NUM_FRAMES, VALIDATION_CLIPS, Material
from methods.musicgen.pretrain.model import ALIASES, PAD, TEMPLATES, TEXT_LENGTH

RECIPE = Recipe(
    "language_model",
    1.5e-3,
    16,
    budget_s=600,
    warm_up_steps=100,
    schedule=Schedule("cosine", lowest=0.03),
    betas=(0.9, 0.98),
    weight_decay=0.01,
    average=0.0,
    report_s=120,
)
_OF_EXAMPLES = 1  # ends the seeds of batches
CURVE_CLIPS = 16  # a multiple of the instruments, whose clips take turns
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

    def to(self, device: str) -> Batch:
        """The batch on a device."""
        moved = (part.to(device) for part in (self.codes, self.chroma, self.text, self.mask))
        return Batch(*moved)


def delayed(codes: Tensor) -> Tensor:
    """Shift code book k by k steps, padded; shape (batch, codebook, frame + codebooks - 1)."""
    batch, codebooks, frames = codes.shape
    shifted = codes.new_full((batch, codebooks, frames + codebooks - 1), PAD)
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

    material: Material
    texts: TextTable

    def draw(self, generator: np.random.Generator, count: int) -> Batch:
        """Draw a training batch of so many clips, with condition dropout."""
        material = self.material
        clips = generator.integers(VALIDATION_CLIPS, len(material.codes), count)
        variant = (generator.random(count) < _OTHER_CHROMA).astype(np.int64)
        pitch_class = torch.from_numpy(material.chroma[clips, variant].copy())
        text = self.texts.draw(material.instrument[clips], generator)
        mask = (text > 0).long()
        dropped = torch.from_numpy(generator.random(count))
        no_chroma = dropped < _DROP_BOTH + _DROP_CHROMA
        no_text = (dropped < _DROP_BOTH) | (
            (dropped >= _DROP_BOTH + _DROP_CHROMA)
            & (dropped < _DROP_BOTH + _DROP_CHROMA + _DROP_TEXT)
        )
        pitch_class[no_chroma] = 0
        mask[no_text] = 0
        unknown = torch.from_numpy(generator.random(text.shape)) < _UNKNOWN_WORD
        text = torch.where(unknown & self._filler(text), 2, text)
        return Batch(torch.from_numpy(material.codes[clips]), one_hot(pitch_class), text, mask)

    @staticmethod
    def _filler(text: Tensor) -> Tensor:
        # Specials and template words come first in the vocabulary; names may not become unknown.
        fillers = len(set(" ".join(TEMPLATES).replace("{}", " ").split()))
        return (text > 2) & (text < 3 + fillers)

    def validation(self, num_clips: int = VALIDATION_CLIPS) -> Batch:
        """Return held-out clips with their own chroma and bare names."""
        kept = slice(0, num_clips)
        material = self.material
        text = self.texts.canonical(material.instrument[kept])
        chroma = one_hot(torch.from_numpy(material.chroma[kept, 0].copy()))
        return Batch(torch.from_numpy(material.codes[kept]), chroma, text, (text > 0).long())


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


def trained_part(model: MusicgenMelodyForConditionalGeneration) -> nn.ModuleDict:
    """What this module trains, under the names it has in the model: all but the codec."""
    children: dict[str, nn.Module] = dict(model.named_children())
    del children["audio_encoder"]
    return nn.ModuleDict(children)


@dataclass(frozen=True, slots=True)
class LanguageBatch:
    """What is to be said, and the corrupted history it is said after."""

    told: Batch
    history: Tensor


@dataclass(frozen=True, slots=True)
class LanguageLesson:
    """The next codes, from those before, chroma and text.

    Args:
        model: On the device; its `trained_part` is under training.
        examples: What is learnt from.
        recipe: Its seed and batch size.
        device: Of the model.
        held_out: What is evaluated, on the device.
    """

    model: MusicgenMelodyForConditionalGeneration
    examples: Examples
    recipe: Recipe
    device: str
    held_out: Batch

    def batch(self, step: int) -> LanguageBatch:
        """The clips of a step, and their history."""
        generator = np.random.default_rng((self.recipe.seed, step, _OF_EXAMPLES))
        told = self.examples.draw(generator, self.recipe.batch_size)
        history = corrupted(told.codes, generator)
        return LanguageBatch(told.to(self.device), history.to(self.device))

    def losses(self, batch: LanguageBatch) -> Mapping[str, Tensor]:
        """Cross entropy of the codes in nats."""
        predicted = logits(self.model, batch.told, batch.history)
        return {"loss": cross_entropy(predicted, batch.told.codes).mean()}

    def evaluate(self) -> Curve:
        """Cross entropies of held-out clips under true and wrong conditions."""
        return validate(self.model, self.held_out)
