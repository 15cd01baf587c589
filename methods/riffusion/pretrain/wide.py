"""The noise predictor of any timbre: words keep their meaning, soft tokens mean what lies between.

Half of every batch is the worded corpus with its captions, as in the first training. The other half
are timbres without words, each painted under the soft tokens (`methods.riffusion.soft_tokens`) of
another clip of the same timbre; half of those have the row of "*" alone, so that the row carries
what it can: it is where textual inversion searches. The autoencoder is frozen.

**Head start.** Where the weights have no soft tokens yet, these alone learn before the first step,
on the worded clips, what the text encoder says of their captions (`head_start`): the noise
predictor listens to them from the beginning, in a language that it knows.

Both halves learn what noise lies in their latents (Ho et al., 2020, equation 14); a share of the
contexts is that of the empty text, for guidance.

**The curve**: `right` and `wrong` are errors of test clips of the worded sounds under their own and
other captions; `own`, `swapped`, `row` and `empty` those of timbres that no training hears, under
the soft tokens of their other clip, of another timbre, under the row alone, and under no text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bench.corpus.rendering import TRAINED_SOUNDS
from bench.corpus.sources import Source
from bench.training.loop import Curve
from bench.training.recipe import Recipe
from methods.riffusion.backbone import PLACEHOLDER, Backbone, find_by_suffix, read_backbone
from methods.riffusion.pretrain import mini_models
from methods.riffusion.pretrain.corpus import render_picture
from methods.riffusion.pretrain.denoiser import TextedLatents
from methods.riffusion.pretrain.shards import TAKES, Shard, Shards, timbre_images
from methods.riffusion.soft_tokens import SOFT_FILE, TOKENS, SoftTokens, read_soft, with_tokens
from methods.riffusion.spectrogram import image_to_pixels

NAME = "wide"
RECIPE = Recipe(NAME, 5e-4, 16, steps=1, report_s=60)
HELD_OUT_SEED, _TEST_SEED = 7_000_001, 2
HELD_OUT_TIMBRES = 24
EVALUATED_TIMESTEPS = (300, 500, 700)
_ENCODED_AT_ONCE = 16
_EMPTY_SHARE, _ROW_ALONE_SHARE = 0.12, 0.5
_HEAD_START_STEPS, _HEAD_START_CLIPS, _HEAD_START_RATE = 800, 32, 2e-3


@lru_cache(maxsize=1)
def _autoencoder(folder: Path) -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval()


@dataclass(frozen=True, slots=True)
class FrozenPosterior:
    """The autoencoder of a folder of weights, loaded where it is first called."""

    folder: Path

    def __call__(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Means and deviations of the latents of images (clip, mel, frame)."""
        means, deviations = [], []
        for start in range(0, len(images), _ENCODED_AT_ONCE):
            pixels = image_to_pixels(torch.from_numpy(images[start : start + _ENCODED_AT_ONCE]))
            with torch.no_grad():
                posterior = _autoencoder(self.folder).encode(pixels).latent_dist
            means.append(posterior.mean)
            deviations.append(posterior.std)
        return torch.cat(means), torch.cat(deviations)


class WideModel(nn.Module):
    """What is trained: noise predictor, text encoder, soft tokens.

    Args:
        backbone: To begin from; its noise predictor and text encoder are trained in place.
        places: Channels times rows of its latents.
    """

    def __init__(self, backbone: Backbone, places: int) -> None:
        super().__init__()
        parts = backbone.parts
        self.placeholder_id = backbone.placeholder_id
        self.tokenizer = parts.tokenizer
        self.unet = parts.unet.to(memory_format=torch.channels_last).requires_grad_()
        self.text_encoder = parts.text_encoder.requires_grad_()
        row, last = backbone.word_embedding(PLACEHOLDER), backbone.encode_prompt("")[0, -TOKENS:]
        self.soft = SoftTokens(places, row, last)

    def contexts(self, token_ids: Tensor, rows: Tensor | None = None) -> Tensor:
        """Contexts (text, token, dim) of token ids; the last texts have "*" read as `rows`."""
        if rows is None:
            return self._states(token_ids)
        first = len(token_ids) - len(rows)
        chosen = (token_ids == self.placeholder_id)[..., None]
        placed = torch.cat([rows.new_zeros(first, rows.shape[1]), rows])[:, None]
        chosen[:first] = False

        def swap(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            return torch.where(chosen, placed.to(output.dtype), output)

        handle = find_by_suffix(self.text_encoder, "token_embedding").register_forward_hook(swap)
        try:
            return self._states(token_ids)
        finally:
            handle.remove()

    def _states(self, token_ids: Tensor) -> Tensor:
        states: Tensor = self.text_encoder(input_ids=token_ids).last_hidden_state
        return states

    def predict(self, noisy: Tensor, timesteps: Tensor, contexts: Tensor) -> Tensor:
        """The noise in latents (clip, channel, height, width) at timesteps (clip,)."""
        predicted: Tensor = self.unet(noisy, timesteps, contexts).sample
        return predicted.float()


def tokens_of(model: WideModel, texts: Sequence[str]) -> Tensor:
    """Token ids (text, token)."""
    tokenizer = model.tokenizer
    longest = tokenizer.model_max_length
    encoded = tokenizer(list(texts), padding="max_length", max_length=longest, truncation=True)
    return torch.tensor(encoded["input_ids"])


def build_model(folder: Path, seed: int) -> WideModel:
    """Exported weights and their soft tokens; where they have none, some that say nothing yet."""
    torch.manual_seed(seed)
    backbone = read_backbone(folder)
    rows = int(backbone.parts.unet.config.sample_size[0])
    model = WideModel(backbone, mini_models.LATENT_CHANNELS * rows)
    if (folder / SOFT_FILE).is_file():
        model.soft = read_soft(folder)
    return model


@dataclass(frozen=True, slots=True, eq=False)
class WideBatch:
    """One step: worded clips first, then timbres with the latents of their other clips.

    Attributes:
        latents: (clip, channel, height, width), drawn from the posterior.
        noise: The same shape.
        timesteps: (clip,).
        token_ids: (clip, token): captions, "*" for timbres, or the empty text.
        heard: Latents of the other clips, (timbre, channel, height, width).
        row_alone: Whether a timbre has no tokens beside its row, (timbre,).
    """

    latents: Tensor
    noise: Tensor
    timesteps: Tensor
    token_ids: Tensor
    heard: Tensor
    row_alone: Tensor

    def to(self, device: str) -> WideBatch:
        """The batch on a device."""
        moved = (getattr(self, name).to(device) for name in self.__slots__)
        return WideBatch(*moved)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Timbres that no training hears: latents and, place by place, those of their other clips."""

    latents: Tensor
    heard: Tensor


def noised(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Latents with noise, as the schedule has it at each timestep."""
    kept = _retained().to(latents.device)[timesteps][:, None, None, None]
    return kept.sqrt() * latents + (1 - kept).sqrt() * noise


@lru_cache(maxsize=1)
def _retained() -> Tensor:
    retained: Tensor = mini_models.build_scheduler().alphas_cumprod
    return retained


def _draw(shards: list[Shard], rng: np.random.Generator) -> tuple[Shard, int]:
    """A shard and the number of a clip in it."""
    shard = shards[int(rng.integers(len(shards)))]
    return shard, int(rng.integers(len(shard.means)))


def _other(clip: int) -> int:
    """The other clip of the same timbre."""
    return clip ^ 1


@dataclass(slots=True, eq=False)
class WideLesson:
    """Half words, half timbres.

    Args:
        model: Under training.
        shards: Of latents.
        recipe: Its seed and batch size.
        device: Of the model.
        test: Clips of the worded sounds, with captions.
        held_out: Timbres.
    """

    model: WideModel
    shards: Shards
    recipe: Recipe
    device: str
    test: TextedLatents
    held_out: HeldOut

    def batch(self, step: int) -> WideBatch:
        """The clips of a step."""
        rng = np.random.default_rng((self.recipe.seed, step, 1))
        half = self.recipe.batch_size // 2
        worded = [_draw(self.shards.open_at("worded", step), rng) for _ in range(half)]
        timbres = [
            _draw(self.shards.open_at("timbres", step), rng)
            for _ in range(self.recipe.batch_size - half)
        ]
        draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        texts = [*(shard.captions[clip] for shard, clip in worded), *([PLACEHOLDER] * len(timbres))]
        texts = ["" if rng.random() < _EMPTY_SHARE else text for text in texts]
        chosen = [*worded, *timbres]
        latents = _sampled(chosen, draws)
        batch = WideBatch(
            latents,
            torch.randn(latents.shape, generator=draws),
            torch.randint(0, len(_retained()), (len(chosen),), generator=draws),
            tokens_of(self.model, texts),
            _sampled([(shard, _other(clip)) for shard, clip in timbres], draws),
            torch.rand(len(timbres), generator=draws) < _ROW_ALONE_SHARE,
        )
        return batch.to(self.device)

    def losses(self, batch: WideBatch) -> Mapping[str, Tensor]:
        """Squared errors of the predicted noise: of all, of the worded half, of the timbres."""
        contexts = self._contexts(batch)
        noisy = noised(batch.latents, batch.noise, batch.timesteps)
        predicted = self.model.predict(noisy, batch.timesteps, contexts)
        errors = (predicted - batch.noise).square().mean((1, 2, 3))
        words = len(errors) - len(batch.heard)
        return {
            "loss": errors.mean(),
            "worded": errors[:words].mean(),
            "timbres": errors[words:].mean(),
        }

    def _contexts(self, batch: WideBatch) -> Tensor:
        soft, first = self.model.soft(batch.heard), len(batch.latents) - len(batch.heard)
        contexts = self.model.contexts(batch.token_ids, soft.row)
        told = (batch.token_ids[first:] == self.model.placeholder_id).any(1) & ~batch.row_alone
        beside = with_tokens(contexts[first:], soft.tokens)
        chosen = torch.where(told[:, None, None], beside, contexts[first:])
        return torch.cat([contexts[:first], chosen])

    def evaluate(self) -> Curve:
        """Errors on the test clips and on the held-out timbres; lower is better."""
        return self._of_words() | self._of_timbres()

    def _of_words(self) -> Curve:
        right = self.model.contexts(self.test.token_ids)
        given = {"right": right, "wrong": right.roll(len(right) // 3, 0)}
        return self._errors(self.test.means, given)

    def _of_timbres(self) -> Curve:
        soft = self.model.soft(self.held_out.heard)
        count = len(self.held_out.latents)
        ids = tokens_of(self.model, [PLACEHOLDER, ""]).to(self.device)
        row = self.model.contexts(ids[:1].expand(count, -1), soft.row)
        own = with_tokens(row, soft.tokens)
        empty = self.model.contexts(ids[1:]).expand(count, -1, -1)
        given = {"own": own, "swapped": own.roll(count // 3, 0), "row": row, "empty": empty}
        return self._errors(self.held_out.latents, given)

    def _errors(self, latents: Tensor, given: Mapping[str, Tensor]) -> Curve:
        """Mean error of the predicted noise under each of several contexts; the same noise."""
        generator = torch.Generator().manual_seed(0)
        errors: dict[str, list[float]] = {}
        for timestep in EVALUATED_TIMESTEPS:
            noise = torch.randn(latents.shape, generator=generator).to(self.device)
            timesteps = torch.full((len(latents),), timestep, device=self.device)
            noisy = noised(latents, noise, timesteps)
            for name, contexts in given.items():
                predicted = self.model.predict(noisy, timesteps, contexts)
                errors.setdefault(name, []).append(float(functional.mse_loss(predicted, noise)))
        return {name: round(math.fsum(found) / len(found), 5) for name, found in errors.items()}


def head_start(
    model: WideModel, shards: list[Shard], seed: int, steps: int = _HEAD_START_STEPS
) -> float:
    """Teach the soft tokens what the captions of worded clips say; nothing else is changed.

    The row is to make the text encoder say of "*" what it says of the caption, and the tokens are
    to be the last positions of that.

    Args:
        model: On any device; its text encoder is as it was trained.
        shards: Worded.
        seed: Of the clips.
        steps: How many.

    Returns:
        Mean squared error of the last step, as a share of the variance between the captions.
    """
    device = next(model.soft.parameters()).device
    optimiser = torch.optim.AdamW(model.soft.parameters(), lr=_HEAD_START_RATE)
    star = tokens_of(model, [PLACEHOLDER]).to(device)
    error = torch.tensor(math.nan)
    for step in range(steps):
        rng = np.random.default_rng((seed, step, 3))
        clips = [_draw(shards, rng) for _ in range(_HEAD_START_CLIPS)]
        draws = torch.Generator().manual_seed(int(rng.integers(2**62)))
        ids = tokens_of(model, [shard.captions[clip] for shard, clip in clips]).to(device)
        with torch.no_grad():
            said = model.contexts(ids)
        soft = model.soft(_sampled(clips, draws).to(device))
        by_row = model.contexts(star.expand(len(clips), -1), soft.row)
        missed = (by_row - said).square().mean() + (soft.tokens - said[:, -TOKENS:]).square().mean()
        error = missed / (2 * said.var(0).mean())
        optimiser.zero_grad()
        torch.autograd.backward(error)
        optimiser.step()
    model.zero_grad()
    return float(error.detach())


def _sampled(chosen: list[tuple[Shard, int]], draws: torch.Generator) -> Tensor:
    """A draw from the posterior of each clip."""
    means = torch.stack([shard.means[clip] for shard, clip in chosen]).float()
    deviations = torch.stack([shard.deviations[clip] for shard, clip in chosen]).float()
    return means + deviations * torch.randn(means.shape, generator=draws)


def write_test(posterior: FrozenPosterior, folder: Path) -> Path:
    """Keep one test clip of each worded sound in `folder`: the first training's test split."""
    path = folder / "test.pt"
    if not path.is_file():
        sounds = enumerate(TRAINED_SOUNDS)
        drawn = [render_picture((_TEST_SEED, sound, index, 0)) for index, sound in sounds]
        means, deviations = posterior(np.stack([image for image, _ in drawn]))
        folder.mkdir(parents=True, exist_ok=True)
        torch.save([means, deviations, [text for _, text in drawn]], path)
    return path


def read_test(model: WideModel, path: Path, device: str) -> TextedLatents:
    """The test clips on a device."""
    means, deviations, captions = torch.load(path, weights_only=True)
    ids = tokens_of(model, captions)
    return TextedLatents(means.to(device), deviations.to(device), ids.to(device))


def write_held_out(sources: tuple[Source, ...], posterior: FrozenPosterior, folder: Path) -> Path:
    """Keep timbres of another seed in `folder`, of programs and instruments that are held back."""
    path = folder / f"held_out_{'-'.join(source.name for source in sources)}.pt"
    if not path.is_file():
        images = timbre_images(sources, HELD_OUT_SEED, range(HELD_OUT_TIMBRES), of_evaluation=True)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(posterior(images)[0], path)
    return path


def read_held_out(path: Path, device: str) -> HeldOut:
    """The timbres on a device: the first clip of each is painted, the other one heard."""
    means = torch.load(path, weights_only=True).to(device)
    return HeldOut(means[::TAKES], means[1::TAKES])
