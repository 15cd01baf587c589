"""The first stage of training mini Riffusion: the autoencoder of mel images.

As in Rombach et al. (2022, section 3). The latents of the trained autoencoder are standardised
before the noise predictor learns on them.

**Conventions**: images (batch, 3, mel, frame) in [-1, 1]; latents (batch, channel, height, width).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from methods.riffusion.pretrain import mini_models
from methods.riffusion.pretrain.corpus import Pictures, load_split
from methods.riffusion.pretrain.trainer import Curve, Recipe, Trainer
from methods.riffusion.spectrogram import image_to_pixels

logger = logging.getLogger(__name__)

VAE_RECIPE = Recipe("vae", minutes=14, learning_rate=2e-3, average=0.99)
_KL_WEIGHT = 2e-3
_CROP_FRAMES = 64


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


def thinned(pictures: Pictures, step: int) -> Pictures:
    """Every so many pictures of a split."""
    kept = slice(None, None, step)
    return Pictures(pictures.images[kept], pictures.captions[kept], pictures.sounds[kept])


def train_autoencoder(folder: Path, recipe: Recipe) -> None:
    """Train or continue the autoencoder."""
    torch.manual_seed(recipe.seed)
    model = mini_models.build_autoencoder().train()
    trainer = Trainer(model, recipe, folder)
    test = thinned(load_split("test", folder), 3)
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
    means, deviations = encode_pictures(model, thinned(train, 4))
    mean = means.mean(dim=(0, 2, 3))
    # Of drawn latents: a channel that the autoencoder does not use has hardly any spread of its
    # means, and would be blown up by it.
    deviation = (means.var(dim=(0, 2, 3)) + (deviations**2).mean(dim=(0, 2, 3))).sqrt()
    logger.info("latent deviations %s", [round(float(x), 3) for x in deviation])
    mini_models.fold_standardisation(model, mean, deviation)
    model.save_pretrained(kept)
    return model


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
