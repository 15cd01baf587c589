"""The second stage of training mini Riffusion: noise predictor and text encoder together.

As in Rombach et al. (2022, section 3), on the latents of the finished autoencoder.

**Conventions**: latents (batch, channel, height, width); text (batch, token) ids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.training.loop import Curve, Training
from bench.training.recipe import Recipe
from methods.riffusion.pretrain import mini_models
from methods.riffusion.pretrain.autoencoder import (
    encode_pictures,
    standardised_autoencoder,
    thinned,
)
from methods.riffusion.pretrain.corpus import caption_words, load_split

UNET_RECIPE = Recipe("unet", 1e-3, 16, budget_s=60 * 60, report_s=240)
EVALUATED_TIMESTEPS = (100, 300, 500, 700, 900)
_CAPTION_DROP = 0.12
_OF_NOISE = 2  # ends the seeds of batches


@dataclass(frozen=True, slots=True, eq=False)
class TextedLatents:
    """Material of the noise predictor: posterior means and deviations, token ids (clip, 16)."""

    means: torch.Tensor
    deviations: torch.Tensor
    token_ids: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class NoiseBatch:
    """Noisy latents, their noise, timesteps (clip,), and token ids (clip, token)."""

    noisy: torch.Tensor
    noise: torch.Tensor
    timesteps: torch.Tensor
    token_ids: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class NoiseLesson:
    """Which noise lies in the latents of captioned clips, at any timestep.

    Args:
        model: `unet` and `text_encoder`, under training.
        train: What is learnt from.
        test: What is evaluated.
        empty_ids: Token ids of the empty caption, (1, token); 12 % of the captions become it.
        recipe: Its seed and batch size.
    """

    model: nn.ModuleDict
    train: TextedLatents
    test: TextedLatents
    empty_ids: torch.Tensor
    recipe: Recipe

    def batch(self, step: int) -> NoiseBatch:
        """Draws from the posterior of random clips, with noise."""
        rng = np.random.default_rng((self.recipe.seed, step, _OF_NOISE))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        retained = mini_models.build_scheduler().alphas_cumprod
        size, train = self.recipe.batch_size, self.train
        clips = torch.randint(0, len(train.means), (size,), generator=generator)
        means, deviations = train.means[clips], train.deviations[clips]
        latents = means + deviations * torch.randn(means.shape, generator=generator)
        dropped = torch.rand(size, 1, generator=generator) < _CAPTION_DROP
        token_ids = torch.where(dropped, self.empty_ids, train.token_ids[clips])
        timesteps = torch.randint(0, len(retained), (size,), generator=generator)
        noise = torch.randn(means.shape, generator=generator)
        kept = retained[timesteps][:, None, None, None]
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        return NoiseBatch(noisy, noise, timesteps, token_ids)

    def losses(self, batch: NoiseBatch) -> Mapping[str, torch.Tensor]:
        """Squared error of the predicted noise."""
        states = self.model["text_encoder"](batch.token_ids).last_hidden_state
        predicted = self.model["unet"](batch.noisy, batch.timesteps, states).sample
        return {"loss": functional.mse_loss(predicted.float(), batch.noise)}

    def evaluate(self) -> Curve:
        """Errors of the test clips under right and wrong captions."""
        return denoising_error(self.model, self.test)


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
    train, test = load_split("train", folder), thinned(load_split("test", folder), 3)
    autoencoder = standardised_autoencoder(folder, train)
    torch.manual_seed(recipe.seed)
    tokenizer = mini_models.build_tokenizer(caption_words(train.captions))
    text_encoder = mini_models.build_text_encoder(tokenizer)
    model = nn.ModuleDict({"unet": mini_models.build_unet(), "text_encoder": text_encoder})
    material, held = (
        TextedLatents(
            *encode_pictures(autoencoder, part), mini_models.tokenize(tokenizer, part.captions)
        )
        for part in (train, test)
    )
    training = Training(model, recipe, folder, device="cpu", resume=True)
    empty_ids = mini_models.tokenize(tokenizer, [""])
    training.run(NoiseLesson(model, material, held, empty_ids, recipe))
