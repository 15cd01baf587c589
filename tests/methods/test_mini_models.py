"""The mini networks: shapes, the tokenizer's words, and the folding of latent scales."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from bench.training.recipe import Recipe
from methods.riffusion.pretrain import mini_models
from methods.riffusion.pretrain.autoencoder import PictureLesson
from methods.riffusion.pretrain.corpus import Pictures, fit_width
from methods.riffusion.pretrain.denoiser import NoiseLesson, TextedLatents
from tests import rounding

WORDS = ["a", "fast", "flute", "melody", "on", "piano", "played"]


def test_latents_are_an_eighth_of_the_image() -> None:
    autoencoder = mini_models.build_autoencoder().eval()
    pixels = torch.zeros(1, 3, 128, 256)
    latents = autoencoder.encode(pixels).latent_dist.mean
    assert tuple(latents.shape) == (1, 8, 16, 32)
    assert autoencoder.decode(latents).sample.shape == pixels.shape


def test_the_noise_predictor_takes_text_of_the_encoders_width() -> None:
    tokenizer = mini_models.build_tokenizer(WORDS)
    states = mini_models.build_text_encoder(tokenizer)(
        mini_models.tokenize(tokenizer, ["a melody played on flute"])
    ).last_hidden_state
    latents = torch.zeros(1, 8, 16, 32)
    assert mini_models.build_unet()(latents, 10, states).sample.shape == latents.shape


def test_a_saved_tokenizer_reads_words_whole(tmp_path: Path) -> None:
    mini_models.build_tokenizer(WORDS).save_pretrained(tmp_path)
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    first, second, star = (
        tokenizer(text).input_ids for text in ("A fast melody", "a melody", "a melody played on *")
    )
    assert [len(first), len(second), len(star)] == [5, 4, 7]
    assert len({first[2], first[3], star[-2]}) == 3
    assert first[1] == second[1]
    assert mini_models.tokenize(tokenizer, ["*", ""]).shape == (2, mini_models.TEXT_LENGTH)


def test_unknown_words_fall_apart() -> None:
    tokenizer = mini_models.build_tokenizer(WORDS)
    assert len(tokenizer("kazoo").input_ids) == 2 + len("kazoo")


@pytest.mark.usefixtures("in_double")
def test_folding_standardises_latents_and_keeps_reconstructions() -> None:
    torch.manual_seed(0)
    autoencoder = mini_models.build_autoencoder().eval()
    pixels = torch.rand(2, 3, 128, 64) * 2 - 1
    mean, deviation = torch.randn(8), torch.rand(8) + 0.5
    with torch.no_grad():
        before = autoencoder.encode(pixels).latent_dist
        rebuilt = autoencoder.decode(before.mean).sample
        mini_models.fold_standardisation(autoencoder, mean, deviation)
        after = autoencoder.encode(pixels).latent_dist
        again = autoencoder.decode(after.mean).sample
    scale = deviation[:, None, None]
    for found, expected, networks in (
        (after.mean * scale + mean[:, None, None], before.mean, [autoencoder.encoder]),
        (after.std * scale, before.std, [autoencoder.encoder]),
        (again, rebuilt, [autoencoder]),
    ):
        bound = rounding.of_networks(*networks, scale=rounding.magnitude(expected))
        torch.testing.assert_close(found, expected, rtol=0, atol=bound)


def test_the_schedule_is_stable_diffusions() -> None:
    retained = mini_models.build_scheduler().alphas_cumprod
    expected = {0: 0.99915, 500: 0.276333, 999: 0.00466010}
    for timestep, value in expected.items():
        printed = 0.5 * 10.0 ** -(6 if value > 0.1 else 8)  # half of the last digit
        rounded = rounding.likely(1000, scale=value)  # the library multiplies in float32
        assert float(retained[timestep]) == pytest.approx(value, rel=0, abs=printed + rounded)


def test_short_pictures_are_filled_with_white() -> None:
    image = torch.zeros(4, 5, dtype=torch.uint8).numpy()
    filled = fit_width(image, 8)
    assert filled.shape == (4, 8)
    assert (filled[:, 5:] == 255).all()
    assert fit_width(image, 3).shape == (4, 3)


def test_batches_of_pictures_follow_from_their_step() -> None:
    rows = np.arange(3, dtype=np.uint8)[:, None, None] * 80
    frames = np.arange(80, dtype=np.uint8)
    pictures = Pictures(np.broadcast_to(rows + frames, (3, 128, 80)), [""] * 3, [""] * 3)
    recipe = Recipe("vae", 1e-3, 8, steps=1)
    lesson = PictureLesson(mini_models.build_autoencoder(), pictures, pictures, recipe)
    (pixels, noise), (again, same) = lesson.batch(3), lesson.batch(3)
    assert torch.equal(pixels, again)
    assert torch.equal(noise, same)
    assert not torch.equal(lesson.batch(4)[1], noise)
    assert tuple(noise.shape) == (8, 8, 16, 8)
    grey = ((pixels + 1) * 127.5).round()
    assert bool((grey.diff(dim=-1) == 1).all())  # neighbouring frames of one picture


class Silent(torch.nn.Module):
    """Predicts no noise, or encodes every text alike."""

    def forward(self, given: torch.Tensor, *_: object) -> SimpleNamespace:
        return SimpleNamespace(sample=torch.zeros_like(given), last_hidden_state=given)


def test_the_noise_that_is_learnt_is_what_was_added() -> None:
    draws = torch.Generator().manual_seed(0)
    means, ids = torch.randn(4, 8, 2, 2, generator=draws), torch.arange(1, 5)[:, None]
    latents = TextedLatents(means, torch.zeros_like(means), ids)
    model = torch.nn.ModuleDict({"unet": Silent(), "text_encoder": Silent()})
    recipe = Recipe("unet", 1e-3, 200, steps=1)
    lesson = NoiseLesson(model, latents, latents, torch.zeros(1, 1, dtype=torch.int64), recipe)
    batch = lesson.batch(7)
    assert torch.equal(batch.noisy, lesson.batch(7).noisy)
    silent = lesson.losses(batch)["loss"]
    assert float(silent) == pytest.approx(float(batch.noise.square().mean()), rel=1e-6)
    kept = mini_models.build_scheduler().alphas_cumprod[batch.timesteps][:, None, None, None]
    clean = (batch.noisy - (1 - kept).sqrt() * batch.noise) / kept.sqrt()
    captioned = batch.token_ids[:, 0] > 0
    assert 8 <= int((~captioned).sum()) <= 44  # of 200, 12 % lose their caption: 24, sigma 4.6
    found, own = clean[captioned], means[batch.token_ids[captioned, 0] - 1]
    assert found.numpy() == pytest.approx(own.numpy(), abs=2e-4)  # float32 over sqrt(.0047)
