"""The VAE together and alone, and how far fewer bits move what it paints."""

from __future__ import annotations

import logging

import pytest
import torch

from bench.data.cards import load_dataset
from methods.riffusion.autoencoder import Autoencoder, half_decoder
from methods.riffusion.backbone import Backbone, load_backbone
from methods.riffusion.spectrogram import (
    MINI_PARAMETERS,
    encode,
    image_to_pixels,
    pixels_to_image,
)
from methods.riffusion.width import to_window
from tests import rounding

CPU = torch.device("cpu")
LEAST_SHARE = 0.999


def mini_images() -> torch.Tensor:
    """Spectrograms of the first clip of each style of the mini data set, and of four contents."""
    dataset = load_dataset("mini")
    sources = [*dataset.contents[:4], *(style.clips[0] for style in dataset.styles)]
    images = []
    for source in sources:
        audio = source.read().audio
        image = encode(torch.from_numpy(audio.mono.copy())[None], MINI_PARAMETERS, 22_050)[0]
        images.append(to_window(image.numpy(), MINI_PARAMETERS.num_frames, "resize").copy())
    return torch.stack([torch.from_numpy(image) for image in images])


@pytest.mark.slow
@pytest.mark.weights
@torch.no_grad()
def test_float16_paints_what_float32_does_within_one_grey_level() -> None:
    """On trained weights; bfloat16 reaches 99.85 %, and is not used."""
    vae = load_backbone("mini", "cpu").parts.vae
    latents = vae.encode(image_to_pixels(mini_images())).latent_dist.mean
    plain = pixels_to_image(vae.decode(latents).sample).double()
    half = pixels_to_image(half_decoder(vae)(latents)).double()
    assert plain.std() > 20  # music, not a grey surface
    assert float(((half - plain).abs() <= 1).double().mean()) >= LEAST_SHARE


def test_on_the_cpu_images_go_alone_to_the_byte(tiny_backbone: Backbone) -> None:
    vae = tiny_backbone.parts.vae
    made = Autoencoder(vae, CPU, "eager", in_half=False)
    images = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    latents = torch.randn(3, 4, 8, 8)
    with torch.no_grad():
        alone = [vae.encode(image_to_pixels(image[None])).latent_dist for image in images]
        painted = [vae.decode(one[None] / vae.config.scaling_factor).sample for one in latents]
    factor = vae.config.scaling_factor
    for (mean, std), one in zip(made.encode(list(images)), alone, strict=True):
        assert torch.equal(mean, one.mean * factor)
        assert torch.equal(std, one.std * factor)
    assert torch.equal(torch.cat(made.decode(latents)), torch.cat(painted))


def test_an_image_is_encoded_once(tiny_backbone: Backbone) -> None:
    """Twice in one call, and again in the next."""
    rows = []
    tiny_backbone.parts.vae.encoder.register_forward_hook(
        lambda _module, inputs, _output: rows.append(len(inputs[0]))
    )
    images = torch.randint(0, 256, (2, 16, 16), dtype=torch.uint8)
    moments = tiny_backbone.encode(images[[0, 1, 0]])
    again = tiny_backbone.encode(images[[1]])
    assert sum(rows) == 2
    assert torch.equal(moments.mean[0], moments.mean[2])
    assert torch.equal(again.std[0], moments.std[1])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")
@torch.no_grad()
def test_what_float16_cannot_hold_is_painted_in_float32(
    tiny_backbone: Backbone, caplog: pytest.LogCaptureFixture
) -> None:
    vae = tiny_backbone.parts.vae
    made = Autoencoder(vae, CPU, "compile", in_half=True, most=3)
    plain = Autoencoder(vae, CPU, "eager", in_half=False)
    latents = torch.randn(2, 4, 8, 8)
    with caplog.at_level(logging.WARNING):
        compiled, expected = (torch.cat(one.decode(latents)) for one in (made, plain))
        assert caplog.text == ""
        assert not torch.equal(compiled, expected)  # it is float16
        torch.testing.assert_close(compiled, expected, atol=0.01, rtol=0)
        large = 1e6 * latents
        found, expected = (torch.cat(one.decode(large)) for one in (made, plain))
        assert torch.isfinite(found).all()
        atol = rounding.of_networks(vae.decoder, scale=rounding.magnitude(expected))
        torch.testing.assert_close(found, expected, atol=atol, rtol=0)
    assert "gave no numbers" in caplog.text


def test_images_that_go_together_are_what_they_are_alone(tiny_backbone: Backbone) -> None:
    """Five in batches of two, of which the last holds one."""
    alone, together = (
        Autoencoder(tiny_backbone.parts.vae, CPU, "eager", in_half=False, most=most)
        for most in (1, 2)
    )
    latents = torch.randn(5, 4, 8, 8)
    images = list(torch.randint(0, 256, (5, 16, 16), dtype=torch.uint8))
    expected, found = (torch.cat(one.decode(latents)) for one in (alone, together))
    bound = rounding.of_networks(tiny_backbone.parts.vae)
    atol = bound * rounding.magnitude(expected)
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)
    for one, other in zip(alone.encode(images), together.encode(images), strict=True):
        for expected, found in zip(one, other, strict=True):
            atol = bound * rounding.magnitude(expected)
            torch.testing.assert_close(found, expected, atol=atol, rtol=0)
