"""The training of the mini CLAP model: recipe, batches, losses.

The loss is the symmetric contrastive loss of CLAP (Elizalde et al. 2023, eq. 3; Wu et al. 2023,
eq. 1) plus the cross-entropy of each clip against one plain text per sound. The second part is
there because a batch holds several clips of a sound and the contrastive loss calls them negatives.

**Timbres without words**, as an option: half of the clips of a step are then pairs of clips of one
timbre each, out of an endless stream, and are drawn together by the same contrastive loss between
the two clips (Chen et al. 2020, "A simple framework for contrastive learning of visual
representations", arXiv 2002.05709, equation 1, with the other timbres of the batch as negatives).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize
from transformers import ClapModel, PreTrainedTokenizerFast

from bench.api import Audio, ConfigError
from bench.corpus.rendering import TRAINED_SOUNDS
from bench.corpus.stream import CropStream
from bench.training.loop import Curve
from bench.training.recipe import Recipe, Schedule
from metrics.clap.front_end import FrontEnd, read_front_end
from metrics.clap.mini import SAMPLE_RATE, WINDOW_SAMPLES, build_extractor
from metrics.clap.preprocess import prepare
from metrics.clap.pretrain.corpus import Pool, word_caption

RECIPE = Recipe(
    "mini_clap",
    1.5e-3,
    48,
    steps=2500,
    warm_up_steps=60,
    schedule=Schedule("cosine", lowest=0.02),
    betas=(0.9, 0.999),
    weight_decay=0.02,
    average=0.0,
    report_s=90,
)
_SOUND_LOSS_WEIGHT = 0.5
_TIMBRE_LOSS_WEIGHT = 0.5
_LARGEST_LOGIT_SCALE = 50.0
_EVALUATED_AT_ONCE = 52
_FEWEST_WITH_TIMBRES = 8
PLAIN_TEXTS = [f"{sound} music" for sound in TRAINED_SOUNDS]


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """Token ids of texts (text, token), and which of them are not padding."""

    ids: Tensor
    mask: Tensor

    @staticmethod
    def of(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], device: str) -> Tokens:
        """The tokens of some texts, on a device."""
        found = tokenizer(list(texts), padding=True, return_tensors="pt")
        return Tokens(found["input_ids"].to(device), found["attention_mask"].to(device))


@dataclass(frozen=True, slots=True, eq=False)
class ClapBatch:
    """One step.

    Attributes:
        features: In dB, (clip, frame, mel): worded clips, then first, then second clips of timbres.
        texts: A caption for each worded clip, then the plain text of every sound.
        sounds: Number of the sound of each worded clip.
    """

    features: Tensor
    texts: Tokens
    sounds: Tensor


def embed_features(model: ClapModel, features: Tensor) -> Tensor:
    """Unit embeddings of features (clip, frame, mel)."""
    is_longer = torch.zeros(len(features), 1, dtype=torch.bool, device=features.device)
    found = model.get_audio_features(input_features=features[:, None], is_longer=is_longer)
    return normalize(found.pooler_output.float(), dim=-1)


def embed_texts(model: ClapModel, tokens: Tokens) -> Tensor:
    """Unit embeddings of texts."""
    found = model.get_text_features(input_ids=tokens.ids, attention_mask=tokens.mask)
    return normalize(found.pooler_output.float(), dim=-1)


def augment(features: Tensor, generator: torch.Generator) -> Tensor:
    """Vary what should not matter: gain, noise floor, ripple of a codec, position in time.

    Args:
        features: dB, (clip, frame, mel), on any device.
        generator: Source of every draw, on the CPU.
    """
    count = len(features)

    def uniform(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(count, 1, 1, generator=generator)).to(features)

    varied = features + uniform(-6, 4)
    varied = torch.maximum(varied, uniform(-75, -25))
    noise = torch.randn(varied.shape, generator=generator).to(features)
    varied = varied + noise * uniform(0, 2.5)
    shift = int(torch.randint(0, varied.shape[1], (1,), generator=generator))
    return varied.roll(shift, dims=1)


def sound_numbers(pool: Pool) -> NDArray[np.int64]:
    """Number of the sound of each clip."""
    return np.array([TRAINED_SOUNDS.index(described.sound) for described in pool.descriptions])


def draw_batch(
    pool: Pool, sounds: NDArray[np.int64], count: int, key: tuple[int, int]
) -> tuple[NDArray[np.int64], list[str]]:
    """Indices of so many clips, each sound equally likely, with a fresh caption for each.

    Args:
        pool: Of clips.
        sounds: Number of the sound of each.
        count: Clips.
        key: Seed and step.
    """
    rng = np.random.default_rng(key)
    chosen = rng.permutation(np.arange(count) % len(TRAINED_SOUNDS))
    indices = np.array([rng.choice(np.flatnonzero(sounds == sound)) for sound in chosen])
    return indices, [word_caption(pool.descriptions[index], rng) for index in indices]


def symmetric_loss(logits: Tensor) -> Tensor:
    """Mean cross-entropy of rows and of columns, whose own place is the right one."""
    target = torch.arange(len(logits), device=logits.device)
    return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


@dataclass(slots=True, eq=False)
class ClapLesson:
    """Clips and captions that belong together, and clips of one timbre.

    Args:
        model: Under training.
        tokenizer: Of its texts.
        pool: Worded clips.
        recipe: Its seed and batch size.
        device: Of the model.
        unseen: Worded clips that are evaluated.
        stream: Of timbres, whole windows; None has none.
    """

    model: ClapModel
    tokenizer: PreTrainedTokenizerFast
    pool: Pool
    recipe: Recipe
    device: str
    unseen: Pool
    stream: CropStream | None = None
    _sounds: NDArray[np.int64] = field(init=False)
    _front_end: FrontEnd = field(init=False)

    def __post_init__(self) -> None:
        """Read off once what every step needs.

        Raises:
            ConfigError: A step would have no two timbres to be told apart.
        """
        if self.stream and self.recipe.batch_size < _FEWEST_WITH_TIMBRES:
            raise ConfigError(
                f"a step has {self.recipe.batch_size} clips; beside words, two clips each of at "
                f"least two timbres take {_FEWEST_WITH_TIMBRES}. Pass a larger --batch-size, or "
                "leave out --sources."
            )
        self._sounds = sound_numbers(self.pool)
        self._front_end = read_front_end(build_extractor(), self.device)

    def batch(self, step: int) -> ClapBatch:
        """The clips of a step, varied, with their captions."""
        seed, timbres = self.recipe.seed, self.recipe.batch_size // 4 if self.stream else 0
        count = self.recipe.batch_size - 2 * timbres
        indices, captions = draw_batch(self.pool, self._sounds, count, (seed, step))
        features = torch.from_numpy(self.pool.features[indices].astype(np.float32)).to(self.device)
        if self.stream:
            features = torch.cat([features, self._timbres(self.stream.pairs(step, timbres))])
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        return ClapBatch(
            augment(features, generator),
            Tokens.of(self.tokenizer, captions + PLAIN_TEXTS, self.device),
            torch.from_numpy(self._sounds[indices]).to(self.device),
        )

    def _timbres(self, pairs: Tensor) -> Tensor:
        """Features of pairs of clips (timbre, 2, sample): of all first ones, then of the others."""
        waves = pairs.transpose(0, 1).flatten(0, 1).cpu().numpy()
        clips = [Audio(wave[None], SAMPLE_RATE) for wave in waves]
        windows = np.stack([prepare(clip, SAMPLE_RATE, WINDOW_SAMPLES)[0] for clip in clips])
        return self._front_end.log_mel(torch.from_numpy(windows).to(self.device)).to(self.device)

    def losses(self, batch: ClapBatch) -> Mapping[str, Tensor]:
        """What is minimised, and its parts; texts and logits always in float32."""
        heard, worded = embed_features(self.model, batch.features), len(batch.sounds)
        with torch.autocast(heard.device.type, enabled=False):
            texts = embed_texts(self.model, batch.texts)
            scale = self.model.logit_scale_a.exp().clamp(max=_LARGEST_LOGIT_SCALE)
            words = scale * heard[:worded]
            captions = symmetric_loss(words @ texts[:worded].T)
            by_sound = cross_entropy(words @ texts[worded:].T, batch.sounds)
            total = captions + _SOUND_LOSS_WEIGHT * by_sound
            parts = {"captions": captions, "by_sound": by_sound}
            if self.stream:
                first, second = heard[worded:].chunk(2)
                parts["timbres"] = symmetric_loss(scale * first @ second.T)
                total = total + _TIMBRE_LOSS_WEIGHT * parts["timbres"]
        return {"loss": total, **parts}

    def evaluate(self) -> Curve:
        """Share of unseen clips whose nearest plain text is that of their own sound."""
        tokens = Tokens.of(self.tokenizer, PLAIN_TEXTS, self.device)
        features = torch.from_numpy(self.unseen.features.astype(np.float32)).to(self.device)
        texts = embed_texts(self.model, tokens)
        batches = features.split(_EVALUATED_AT_ONCE)
        heard = torch.cat([embed_features(self.model, batch) for batch in batches])
        nearest = (heard @ texts.T).argmax(1).cpu().numpy()
        return {"zero_shot": round(float((nearest == sound_numbers(self.unseen)).mean()), 4)}
