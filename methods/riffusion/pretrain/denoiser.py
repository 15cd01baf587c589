"""The second stage of training mini Riffusion: noise predictor and text encoder together.

As in Rombach et al. (2022, section 3), on the latents of the finished autoencoder.

**Conventions**: latents (batch, channel, height, width); text (batch, token) ids.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from methods.riffusion.pretrain import mini_models
from methods.riffusion.pretrain.autoencoder import (
    encode_pictures,
    standardised_autoencoder,
    thinned,
)
from methods.riffusion.pretrain.corpus import caption_words, load_split
from methods.riffusion.pretrain.trainer import Curve, Recipe, Trainer

UNET_RECIPE = Recipe("unet", minutes=60, learning_rate=1e-3, report_s=240)
EVALUATED_TIMESTEPS = (100, 300, 500, 700, 900)
_CAPTION_DROP = 0.12


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
    train, test = load_split("train", folder), thinned(load_split("test", folder), 3)
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
