"""The mini networks: shapes, the tokenizer's words, and the folding of latent scales."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPTokenizer

from methods.riffusion.pretrain import mini_models, trainer
from methods.riffusion.pretrain.corpus import fit_width
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


@pytest.mark.parametrize(
    ("step", "progress", "expected"), [(0, 0.0, 1e-5), (500, 0.5, 1e-3), (500, 1.0, 3e-5)]
)
def test_the_learning_rate_warms_up_and_decays(step: int, progress: float, expected: float) -> None:
    recipe = trainer.Recipe("test", minutes=1, learning_rate=1e-3)
    assert trainer.learning_rate_at(recipe, step, progress) == pytest.approx(expected)


def test_a_stage_continues_where_it_was_saved(tmp_path: Path) -> None:
    recipe = trainer.Recipe("line", minutes=0.03, learning_rate=0.05, average=0.9)
    model = torch.nn.Linear(1, 1)
    inputs = torch.linspace(-1, 1, 32)[:, None]

    def losses() -> torch.Tensor:
        return torch.nn.functional.mse_loss(model(inputs), 2 * inputs + 1)

    before = float(losses().detach())
    trained = trainer.Trainer(model, recipe, tmp_path)
    trained.run(iter(losses, None), lambda: {"loss": float(losses())})
    again = trainer.Trainer(torch.nn.Linear(1, 1), recipe, tmp_path)
    assert again.step == trained.step > 0
    assert again.curve == trained.curve
    torch.testing.assert_close(again.model.state_dict(), trained.model.state_dict())
    assert trained.curve[-1]["loss"] < before  # by how much depends on how fast the machine is
