"""The committed mini weights do what their card says, on bundled clips that no training has met."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import soundfile
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from methods.riffusion.pretrain import mini_models
from methods.riffusion.pretrain.corpus import fit_width
from methods.riffusion.spectrogram import (
    MINI_PARAMETERS,
    SpectrogramParameters,
    encode,
    image_to_pixels,
)

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "methods" / "riffusion" / "weights"
RATE = 22_050

pytestmark = pytest.mark.weights


@cache
def autoencoder() -> AutoencoderKL:
    return AutoencoderKL.from_pretrained(WEIGHTS / "vae", torch_dtype=torch.float32).eval()


def pixels_of(pattern: str) -> torch.Tensor:
    paths = sorted((ROOT / "datasets" / "mini").glob(pattern))
    waveforms = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
    images = encode(torch.stack(waveforms), MINI_PARAMETERS, RATE).numpy()
    return image_to_pixels(torch.from_numpy(fit_width(images, MINI_PARAMETERS.num_frames)))


@torch.no_grad()
def latents_of(pattern: str) -> torch.Tensor:
    latents: torch.Tensor = autoencoder().encode(pixels_of(pattern)).latent_dist.mean
    return latents


@torch.no_grad()
def test_the_autoencoder_redraws_clips_it_never_met() -> None:
    pixels = pixels_of("content/*/*_[go]*.flac")
    rebuilt = autoencoder()(pixels).sample
    assert float((rebuilt - pixels).abs().mean()) < 0.13
    # Far from what any other clip would give.
    assert float((rebuilt.roll(1, 0) - pixels).abs().mean()) > 0.2


@torch.no_grad()
def test_drawn_latents_are_about_standard_in_every_channel() -> None:
    posterior = autoencoder().encode(pixels_of("*/*/*_1.flac")).latent_dist
    drawn = posterior.sample(torch.Generator().manual_seed(0))
    deviations = drawn.std(dim=(0, 2, 3))
    assert autoencoder().config.scaling_factor == 1.0
    assert float(deviations.min()) > 0.3
    assert float(deviations.max()) < 2.0


@torch.no_grad()
def test_the_right_text_predicts_the_noise_better_than_the_wrong_one() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(
        WEIGHTS / "text_encoder", dtype=torch.float32
    ).eval()
    unet = UNet2DConditionModel.from_pretrained(WEIGHTS / "unet", torch_dtype=torch.float32).eval()
    retained = DDIMScheduler.from_pretrained(WEIGHTS / "scheduler").alphas_cumprod[500]
    latents = torch.cat([latents_of(f"style/{name}/*.flac") for name in ("accordion", "bells")])
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    noisy = retained.sqrt() * latents + (1 - retained).sqrt() * noise
    texts = ["accordion music"] * 6 + ["the sound of bells"] * 6
    ids = mini_models.tokenize(tokenizer, texts)
    states = text_encoder(ids).last_hidden_state
    right, wrong = (
        float(functional.mse_loss(unet(noisy, 500, given).sample, noise))
        for given in (states, states.flip(0))
    )
    assert right < 0.2  # predicting zero gives 1
    assert right < 0.98 * wrong


def test_every_word_of_the_vocabulary_is_one_token() -> None:
    record = json.loads((WEIGHTS / "training.json").read_text(encoding="utf-8"))
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "tokenizer")
    ids = tokenizer([*record["vocabulary"], "*"]).input_ids
    assert "kalimba" not in record["vocabulary"]
    assert all(len(row) == 3 for row in ids)
    assert len({row[1] for row in ids}) == len(record["vocabulary"]) + 1


def test_the_codec_of_the_weights_is_the_mini_codec() -> None:
    stored = json.loads((WEIGHTS / "spectrogram.json").read_text(encoding="utf-8"))
    assert SpectrogramParameters(**stored) == MINI_PARAMETERS


def test_the_weights_stay_within_their_budget() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*")) < 17e6
