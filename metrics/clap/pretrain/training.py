"""The training of the mini CLAP model: recipe, losses, steps, and how it continues.

The loss is the symmetric contrastive loss of CLAP (Elizalde et al. 2023, eq. 3; Wu et al. 2023,
eq. 1) plus the cross-entropy of each clip against one plain text per sound. The second part is
there because a batch holds several clips of a sound and the contrastive loss calls them negatives.
"""

from __future__ import annotations

import json
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, normalize
from transformers import ClapModel, PreTrainedTokenizerFast

from bench.corpus.rendering import TRAINED_SOUNDS
from metrics.clap.mini import build_extractor, build_model, build_tokenizer, vocabulary
from metrics.clap.pretrain.corpus import (
    Pool,
    clip_features,
    evaluation_clips,
    read_round_trips,
    read_shards,
    vocabulary_texts,
    word_caption,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All choices of a training; they are written beside the weights."""

    seed: int = 0
    rounds: int = 110
    codec_every: int = 4
    steps: int = 2500
    batch_size: int = 48
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warm_up_steps: int = 60
    sound_loss_weight: float = 0.5
    largest_logit_scale: float = 50.0
    round_trip_share: float = 0.25


@dataclass(slots=True)
class Trainer:
    """A training in progress."""

    recipe: Recipe
    model: ClapModel
    tokenizer: PreTrainedTokenizerFast
    optimiser: torch.optim.Optimizer
    step: int
    curve: list[dict[str, float]]


def embed_features(model: ClapModel, features: torch.Tensor) -> torch.Tensor:
    """Unit embeddings of features (clip, frame, mel)."""
    is_longer = torch.zeros(len(features), 1, dtype=torch.bool)
    found = model.get_audio_features(input_features=features[:, None], is_longer=is_longer)
    return normalize(found.pooler_output.float(), dim=-1)


def embed_texts(
    model: ClapModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]
) -> torch.Tensor:
    """Unit embeddings of texts."""
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    found = model.get_text_features(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
    )
    return normalize(found.pooler_output.float(), dim=-1)


def augment(features: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Vary what should not matter: gain, noise floor, ripple of a codec, position in time.

    Args:
        features: dB, (clip, frame, mel).
        generator: Source of every draw.
    """
    count = len(features)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    varied = features + uniform(-6, 4)
    varied = torch.maximum(varied, uniform(-75, -25))
    varied = varied + torch.randn(varied.shape, generator=generator) * uniform(0, 2.5)
    shift = int(torch.randint(0, varied.shape[1], (1,), generator=generator))
    return varied.roll(shift, dims=1)


def draw_batch(
    pool: Pool, sounds: NDArray[np.int64], recipe: Recipe, step: int
) -> tuple[NDArray[np.int64], list[str]]:
    """Indices of a batch, each sound equally likely, with a fresh caption for each clip."""
    rng = np.random.default_rng((recipe.seed, step))
    chosen = rng.permutation(np.arange(recipe.batch_size) % len(TRAINED_SOUNDS))
    indices = np.array([rng.choice(np.flatnonzero(sounds == sound)) for sound in chosen])
    return indices, [word_caption(pool.descriptions[index], rng) for index in indices]


def contrastive_loss(
    trainer: Trainer, features: torch.Tensor, captions: list[str], sounds: torch.Tensor
) -> torch.Tensor:
    """Symmetric contrastive loss plus the weighted cross-entropy against one text per sound."""
    plain = [f"{sound} music" for sound in TRAINED_SOUNDS]
    with torch.autocast("cpu", torch.bfloat16):
        heard = embed_features(trainer.model, features)
    texts = embed_texts(trainer.model, trainer.tokenizer, captions + plain)
    scale = trainer.model.logit_scale_a.exp().clamp(max=trainer.recipe.largest_logit_scale)
    logits = scale * heard @ texts[: len(captions)].T
    target = torch.arange(len(captions))
    pairs = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
    by_sound = cross_entropy(scale * heard @ texts[len(captions) :].T, sounds)
    return pairs + trainer.recipe.sound_loss_weight * by_sound


def _learning_rate(recipe: Recipe, step: int) -> float:
    """The learning rate of a step: linear warm-up, then half a cosine down to 2 %."""
    warm_up = min(1.0, (step + 1) / recipe.warm_up_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / recipe.steps)))
    return recipe.learning_rate * warm_up * (0.02 + 0.98 * cosine)


def train_step(trainer: Trainer, pool: Pool, sounds: NDArray[np.int64]) -> float:
    """Make one optimiser step and return its loss."""
    indices, captions = draw_batch(pool, sounds, trainer.recipe, trainer.step)
    generator = torch.Generator().manual_seed(trainer.recipe.seed * 1_000_003 + trainer.step)
    features = augment(torch.from_numpy(pool.features[indices].astype(np.float32)), generator)
    for group in trainer.optimiser.param_groups:
        group["lr"] = _learning_rate(trainer.recipe, trainer.step)
    loss = contrastive_loss(trainer, features, captions, torch.from_numpy(sounds[indices]))
    trainer.optimiser.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
    trainer.optimiser.step()
    trainer.step += 1
    return float(loss.detach())


def zero_shot(trainer: Trainer, features: NDArray[np.float16], sounds: NDArray[np.int64]) -> float:
    """Share of clips whose nearest plain text is that of their own sound."""
    trainer.model.train(mode=False)
    with torch.inference_mode():
        texts = embed_texts(
            trainer.model, trainer.tokenizer, [f"{sound} music" for sound in TRAINED_SOUNDS]
        )
        batches = torch.split(torch.from_numpy(features.astype(np.float32)), 52)
        heard = torch.cat([embed_features(trainer.model, batch) for batch in batches])
    trainer.model.train()
    return float(((heard @ texts.T).argmax(1).numpy() == sounds).mean())


def start(recipe: Recipe, work: Path) -> Trainer:
    """Begin a training, or take up the one that was interrupted in this folder."""
    torch.manual_seed(recipe.seed)
    word_ids = vocabulary(vocabulary_texts())
    model = build_model(len(word_ids))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    trainer = Trainer(recipe, model, build_tokenizer(word_ids), optimiser, 0, [])
    state_path = work / "state.pt"
    if state_path.is_file():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        trainer.step, trainer.curve = state["step"], state["curve"]
    return trainer


def save(trainer: Trainer, work: Path) -> None:
    """Save a training so that it can continue."""
    state = {
        "model": trainer.model.state_dict(),
        "optimiser": trainer.optimiser.state_dict(),
        "step": trainer.step,
        "curve": trainer.curve,
    }
    torch.save(state, work / "state.part")
    (work / "state.part").replace(work / "state.pt")


def _sound_numbers(pool: Pool) -> NDArray[np.int64]:
    return np.array([TRAINED_SOUNDS.index(described.sound) for described in pool.descriptions])


def load_pool(recipe: Recipe, work: Path, round_trips: Path | None) -> Pool:
    """Load all training clips: the rendered rounds, and round trips where a folder is named."""
    pool = read_shards(work / "shards", recipe.rounds)
    if round_trips is None:
        return pool
    extra = read_round_trips(build_extractor(), round_trips)
    share = recipe.round_trip_share / (1 - recipe.round_trip_share)
    copies = max(1, round(share * len(pool.descriptions) / len(extra.descriptions)))
    logger.info("%d prepared round trips, %d times each", len(extra.descriptions), copies)
    features = np.concatenate([pool.features, *[extra.features] * copies])
    return Pool(features, pool.descriptions + extra.descriptions * copies)


def train(recipe: Recipe, work: Path, round_trips: Path | None, check_every: int = 100) -> None:
    """Train to the last step of the recipe, saving and checking on unseen clips now and then."""
    pool = load_pool(recipe, work, round_trips)
    sounds = _sound_numbers(pool)
    clips = list(evaluation_clips(per_sound=6))
    unseen = clip_features(build_extractor(), [audio for audio, _ in clips])
    unseen_sounds = _sound_numbers(Pool(unseen, tuple(described for _, described in clips)))
    trainer, began, losses = start(recipe, work), time.monotonic(), []
    trainer.model.train()
    while trainer.step < recipe.steps:
        losses.append(train_step(trainer, pool, sounds))
        if trainer.step % check_every and trainer.step < recipe.steps:
            continue
        accuracy = zero_shot(trainer, unseen, unseen_sounds)
        point = {"step": trainer.step, "loss": float(np.mean(losses)), "zero_shot": accuracy}
        point["pool_clips"] = len(pool.descriptions)
        trainer.curve.append({name: round(value, 4) for name, value in point.items()})
        losses = []
        save(trainer, work)
        logger.info("%s after %.0f s", json.dumps(trainer.curve[-1]), time.monotonic() - began)
