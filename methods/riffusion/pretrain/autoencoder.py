"""The first stage of training mini Riffusion: the autoencoder of mel images.

As in Rombach et al. (2022, section 3). The latents of the trained autoencoder are standardised
before the noise predictor learns on them.

**Conventions**: images (batch, 3, mel, frame) in [-1, 1]; latents (batch, channel, height, width).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from bench.training.loop import Curve, Training
from bench.training.recipe import Recipe
from methods.riffusion.pretrain import mini_models
from methods.riffusion.pretrain.corpus import Pictures, load_split
from methods.riffusion.spectrogram import image_to_pixels

logger = logging.getLogger(__name__)

VAE_RECIPE = Recipe("vae", 2e-3, 16, budget_s=14 * 60, average=0.99)
_KL_WEIGHT = 2e-3
_CROP_FRAMES = 64
_OF_PICTURES = 1  # ends the seeds of batches


@dataclass(frozen=True, slots=True, eq=False)
class PictureLesson:
    """Stretches of 64 frames in, the same out of latents.

    Args:
        model: The autoencoder under training.
        train: What is learnt from.
        test: What is evaluated.
        recipe: Its seed and batch size.
    """

    model: AutoencoderKL
    train: Pictures
    test: Pictures
    recipe: Recipe

    def batch(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Random stretches (clip, 3, mel, frame), and the noise of their latents."""
        rng = np.random.default_rng((self.recipe.seed, step, _OF_PICTURES))
        count, mels, frames = self.train.images.shape
        clips = rng.integers(0, count, self.recipe.batch_size)
        offsets = rng.integers(0, frames - _CROP_FRAMES + 1, self.recipe.batch_size)
        cut = [
            self.train.images[clip, :, offset : offset + _CROP_FRAMES]
            for clip, offset in zip(clips, offsets, strict=True)
        ]
        config = self.model.config
        reduction = 2 ** (len(config.block_out_channels) - 1)
        shape = (config.latent_channels, mels // reduction, _CROP_FRAMES // reduction)
        noise = rng.standard_normal((len(cut), *shape), np.float32)
        return image_to_pixels(torch.from_numpy(np.stack(cut))), torch.from_numpy(noise)

    def losses(self, batch: tuple[torch.Tensor, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """L1 + squared error + a little Kullback-Leibler divergence, each a mean per element."""
        pixels, noise = batch
        posterior = self.model.encode(pixels).latent_dist
        mean, log_variance = posterior.mean.float(), posterior.logvar.float()
        latents = mean + (0.5 * log_variance).exp() * noise
        error = self.model.decode(latents).sample.float() - pixels
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        return {"loss": error.abs().mean() + (error**2).mean() + _KL_WEIGHT * divergence}

    def evaluate(self) -> Curve:
        """Errors of the test pictures."""
        return reconstruction_error(self.model, self.test)


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
    model = mini_models.build_autoencoder()
    train, test = load_split("train", folder), thinned(load_split("test", folder), 3)
    training = Training(model, recipe, folder, device="cpu", resume=True)
    training.run(PictureLesson(model, train, test, recipe))


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
