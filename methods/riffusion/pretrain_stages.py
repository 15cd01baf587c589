"""The stages of training mini Riffusion: autoencoder, then noise predictor with text encoder.

Stage by stage as in Rombach et al. (2022, section 3); `methods.riffusion.pretrain` is the command.
Each stage continues from its last checkpoint in its folder and writes its curve to NAME.jsonl.

**Conventions**: images (batch, 3, mel, frame) in [-1, 1]; latents (batch, channel, height, width).
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn
from torch.nn import functional

from methods.riffusion import mini_models
from methods.riffusion.pretrain_corpus import (
    Pictures,
    caption_words,
    load_split,
)
from methods.riffusion.spectrogram import image_to_pixels

logger = logging.getLogger(__name__)

Curve = dict[str, float]
EVALUATED_TIMESTEPS = (100, 300, 500, 700, 900)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast a stage trains.

    Args:
        name: Of the stage, for its files.
        minutes: Wall-clock budget in all, over all starts.
        learning_rate: Of AdamW, after 100 steps of warm-up, until the last 30 % of the budget,
            where it falls to 3 %.
        batch_size: Clips per step.
        average: Decay per step of the averaged weights, which are what is evaluated and exported.
        seed: Of initial weights, batches and noise.
        report_s: Seconds between evaluations and checkpoints.
    """

    name: str
    minutes: float
    learning_rate: float
    batch_size: int = 16
    average: float = 0.998
    seed: int = 0
    report_s: float = 120.0


VAE_RECIPE = Recipe("vae", minutes=14, learning_rate=2e-3, average=0.99)
UNET_RECIPE = Recipe("unet", minutes=60, learning_rate=1e-3, report_s=240)

_WARM_UP_STEPS = 100
_DECAY_SHARE = 0.3
_KL_WEIGHT = 2e-3
_CROP_FRAMES = 64
_CAPTION_DROP = 0.12


def learning_rate_at(recipe: Recipe, step: int, progress: float) -> float:
    """Warm-up, plateau, linear decay at the end; `progress` through the budget is in [0, 1]."""
    warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS)
    decay = min(1.0, (1 - progress) / _DECAY_SHARE)
    return recipe.learning_rate * warm_up * max(decay, 0.03)


# ---------------------------------------------------------------------------- the loop


class Trainer:
    """One stage's weights, their running average, optimiser, time spent, curve; can continue."""

    def __init__(self, model: nn.Module, recipe: Recipe, folder: Path) -> None:
        self.model, self.recipe = model, recipe
        self.average = {name: value.clone() for name, value in model.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-3
        )
        self.step, self.elapsed_s, self.curve = 0, 0.0, list[Curve]()
        self.path = folder / f"{recipe.name}.pt"
        if self.path.is_file():
            self._restore()

    def _restore(self) -> None:
        state = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average, self.curve = state["average"], state["curve"]
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]

    def save(self) -> None:
        """Write the checkpoint (in one move) and the curve."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average,
            "curve": self.curve,
            "step": self.step,
            "elapsed_s": self.elapsed_s,
        }
        partial = self.path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self.path)
        lines = "".join(json.dumps(point) + "\n" for point in self.curve)
        self.path.with_suffix(".jsonl").write_text(lines, encoding="utf-8")

    def _update(self, loss: torch.Tensor) -> None:
        progress = self.elapsed_s / (60 * self.recipe.minutes)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(self.recipe, self.step, progress)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        # Early weights must not linger in the average.
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)

    def evaluate(self, score: Callable[[], Curve]) -> Curve:
        """Score the averaged weights; the live ones are put back."""
        live = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        with torch.no_grad():
            point = score()
        self.model.load_state_dict(live)
        self.model.train()
        return point

    def run(self, losses: Iterator[torch.Tensor], score: Callable[[], Curve]) -> None:
        """Train until the budget is spent; evaluate and save on the way and at the end."""
        due_s = self.elapsed_s + self.recipe.report_s / 2
        while self.elapsed_s < 60 * self.recipe.minutes:
            started = time.monotonic()
            self._update(next(losses))
            self.elapsed_s += time.monotonic() - started
            if self.elapsed_s >= due_s:
                due_s += self.recipe.report_s
                self._report(score)
        self._report(score)

    def _report(self, score: Callable[[], Curve]) -> None:
        point = {"step": float(self.step), "elapsed_s": round(self.elapsed_s, 1)}
        self.curve.append(point | self.evaluate(score))
        self.save()
        logger.info("%s %s", self.recipe.name, json.dumps(self.curve[-1]))


# ---------------------------------------------------------------------------- autoencoder


def _crops(pictures: Pictures, recipe: Recipe, start: int) -> Iterator[torch.Tensor]:
    """Batches of random stretches of 64 frames; `start` moves the seed on after a restart."""
    rng = np.random.default_rng((recipe.seed, start))
    count, _, frames = pictures.images.shape
    while True:
        clips = rng.integers(0, count, recipe.batch_size)
        offsets = rng.integers(0, frames - _CROP_FRAMES + 1, recipe.batch_size)
        cut = [
            pictures.images[clip, :, offset : offset + _CROP_FRAMES]
            for clip, offset in zip(clips, offsets, strict=True)
        ]
        yield image_to_pixels(torch.from_numpy(np.stack(cut)))


def _autoencoder_losses(
    model: AutoencoderKL, batches: Iterator[torch.Tensor]
) -> Iterator[torch.Tensor]:
    """L1 + squared error + a little Kullback-Leibler divergence, each a mean per element."""
    for pixels in batches:
        with torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(pixels).latent_dist
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        latents = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        with torch.autocast("cpu", torch.bfloat16):
            rebuilt = model.decode(latents).sample
        error = rebuilt.float() - pixels
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        yield error.abs().mean() + (error**2).mean() + _KL_WEIGHT * divergence


def reconstruction_error(model: AutoencoderKL, pictures: Pictures) -> Curve:
    """Mean absolute and squared error of reconstructions from the posterior mean, range [-1, 1]."""
    absolute, squared = [], []
    for start in range(0, len(pictures.images), 16):
        pixels = image_to_pixels(torch.from_numpy(pictures.images[start : start + 16]))
        error = model.decode(model.encode(pixels).latent_dist.mean).sample - pixels
        absolute.append(error.abs().mean(dim=(1, 2, 3)))
        squared.append((error**2).mean(dim=(1, 2, 3)))
    return {"l1": float(torch.cat(absolute).mean()), "mse": float(torch.cat(squared).mean())}


def _thinned(pictures: Pictures, step: int) -> Pictures:
    kept = slice(None, None, step)
    return Pictures(pictures.images[kept], pictures.captions[kept], pictures.sounds[kept])


def train_autoencoder(folder: Path, recipe: Recipe) -> None:
    """Train or continue the autoencoder."""
    torch.manual_seed(recipe.seed)
    model = mini_models.build_autoencoder().train()
    trainer = Trainer(model, recipe, folder)
    test = _thinned(load_split("test", folder), 3)
    batches = _crops(load_split("train", folder), recipe, trainer.step)
    trainer.run(_autoencoder_losses(model, batches), lambda: reconstruction_error(model, test))


def standardised_autoencoder(folder: Path, train: Pictures) -> AutoencoderKL:
    """The trained autoencoder with standardisation folded in; kept in `folder` once made."""
    kept = folder / "vae_standardised"
    if kept.is_dir():
        return AutoencoderKL.from_pretrained(kept).eval()
    model = mini_models.build_autoencoder().eval()
    state = torch.load(folder / "vae.pt", weights_only=True)
    model.load_state_dict(state["average"])
    means, deviations = encode_pictures(model, _thinned(train, 4))
    mean = means.mean(dim=(0, 2, 3))
    # Of drawn latents: a channel that the autoencoder does not use has hardly any spread of its
    # means, and would be blown up by it.
    deviation = (means.var(dim=(0, 2, 3)) + (deviations**2).mean(dim=(0, 2, 3))).sqrt()
    logger.info("latent deviations %s", [round(float(x), 3) for x in deviation])
    mini_models.fold_standardisation(model, mean, deviation)
    model.save_pretrained(kept)
    return model


# ---------------------------------------------------------------------------- noise and text


def encode_pictures(model: AutoencoderKL, pictures: Pictures) -> tuple[torch.Tensor, torch.Tensor]:
    """Posterior means and deviations of all images, each (clip, channel, height, width)."""
    means, deviations = [], []
    for start in range(0, len(pictures.images), 32):
        pixels = image_to_pixels(torch.from_numpy(pictures.images[start : start + 32]))
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            posterior = model.encode(pixels).latent_dist
        means.append(posterior.mean.float())
        deviations.append(posterior.std.float())
    return torch.cat(means), torch.cat(deviations)


@dataclass(frozen=True, slots=True, eq=False)
class TextedLatents:
    """Material of the noise predictor: posterior means and deviations, token ids (clip, 16)."""

    means: torch.Tensor
    deviations: torch.Tensor
    token_ids: torch.Tensor


def _denoising_losses(
    model: nn.ModuleDict, material: TextedLatents, empty_ids: torch.Tensor, recipe: Recipe
) -> Iterator[torch.Tensor]:
    """Squared error of predicted noise at uniform timesteps; 12 % of the captions are dropped."""
    generator = torch.Generator().manual_seed(recipe.seed)
    retained = mini_models.build_scheduler().alphas_cumprod
    size, count = recipe.batch_size, len(material.means)
    while True:
        clips = torch.randint(0, count, (size,), generator=generator)
        means, deviations = material.means[clips], material.deviations[clips]
        latents = means + deviations * torch.randn(means.shape, generator=generator)
        dropped = torch.rand(size, 1, generator=generator) < _CAPTION_DROP
        token_ids = torch.where(dropped, empty_ids, material.token_ids[clips])
        timesteps = torch.randint(0, len(retained), (size,), generator=generator)
        noise = torch.randn(means.shape, generator=generator)
        kept = retained[timesteps][:, None, None, None]
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        with torch.autocast("cpu", torch.bfloat16):
            states = model["text_encoder"](token_ids).last_hidden_state
            predicted = model["unet"](noisy, timesteps, states).sample
        yield functional.mse_loss(predicted.float(), noise)


def denoising_error(model: nn.ModuleDict, material: TextedLatents) -> Curve:
    """Error of the predicted noise on test clips with right captions and with other clips'.

    Returns:
        `right_T` and `wrong_T` for each of `EVALUATED_TIMESTEPS`, and their means `right`,
        `wrong`; lower is better, and right below wrong shows that the text is heard.
    """
    generator = torch.Generator().manual_seed(0)
    retained = mini_models.build_scheduler().alphas_cumprod
    states = model["text_encoder"](material.token_ids).last_hidden_state
    captions = {"right": states, "wrong": states.roll(len(states) // 3, dims=0)}
    point: Curve = {}
    for timestep in EVALUATED_TIMESTEPS:
        noise = torch.randn(material.means.shape, generator=generator)
        kept = retained[timestep]
        noisy = kept.sqrt() * material.means + (1 - kept).sqrt() * noise
        for name, given in captions.items():
            predicted = model["unet"](noisy, timestep, given).sample
            point[f"{name}_{timestep}"] = round(float(functional.mse_loss(predicted, noise)), 5)
    for name in captions:
        point[name] = round(math.fsum(point[f"{name}_{t}"] for t in EVALUATED_TIMESTEPS) / 5, 5)
    return point


def train_unet(folder: Path, recipe: Recipe) -> None:
    """Train or continue noise predictor and text encoder on the finished autoencoder's latents."""
    train, test = load_split("train", folder), _thinned(load_split("test", folder), 3)
    autoencoder = standardised_autoencoder(folder, train)
    torch.manual_seed(recipe.seed)
    tokenizer = mini_models.build_tokenizer(caption_words(train.captions))
    text_encoder = mini_models.build_text_encoder(tokenizer)
    model = nn.ModuleDict({"unet": mini_models.build_unet(), "text_encoder": text_encoder}).train()
    material, held = (
        TextedLatents(
            *encode_pictures(autoencoder, part), mini_models.tokenize(tokenizer, part.captions)
        )
        for part in (train, test)
    )
    trainer = Trainer(model, recipe, folder)
    empty_ids = mini_models.tokenize(tokenizer, [""])
    # A restart draws other batches than the first start did.
    batches = replace(recipe, seed=recipe.seed + trainer.step)
    losses = _denoising_losses(model, material, empty_ids, batches)
    trainer.run(losses, lambda: denoising_error(model, held))
