"""The 8 bits of a decoded picture: rounded, or truncated as MusicTI's script does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.plugins.choices import parse_method
from bench.plugins.parameters import make_parameters, split_parameters
from methods.riffusion.backbone import Backbone
from methods.riffusion.parameters.rti import RtiParameters
from methods.riffusion.parameters.tve import TveParameters
from methods.riffusion.spectrogram import pixels_to_image


def as_the_script_writes(pixels: np.ndarray) -> np.ndarray:
    """What scripts/txt2img.py leaves of a decoded picture: the first channel, (row, column).

    It halves and shifts to [0, 1], clamps, multiplies by 255 and casts.
    """
    unit = np.clip((pixels + np.float32(1)) / np.float32(2), 0, 1)
    return (np.float32(255) * unit).astype(np.uint8)[0]


def test_a_truncated_picture_is_that_of_the_script() -> None:
    pixels = torch.randn(2, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    edges = torch.arange(256) / 127.5 - 1  # every grey level, and its neighbours in float32
    near = torch.stack([edges, edges.nextafter(edges + 1), edges.nextafter(edges - 1)])
    grid = near[None, None].expand(1, 3, -1, -1)
    for batch in (pixels, grid):
        found = pixels_to_image(batch, "truncated").numpy()
        wanted = [as_the_script_writes(one) for one in batch.numpy()]
        assert np.array_equal(found, np.stack(wanted))


def test_truncation_darkens_by_at_most_one_level() -> None:
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    rounded, truncated = (pixels_to_image(pixels, how).int() for how in ("rounded", "truncated"))
    assert set((rounded - truncated).unique().tolist()) == {0, 1}


def test_the_backbone_hands_on_how_it_is_done(tiny_backbone: Backbone) -> None:
    latents = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    factor = tiny_backbone.parts.vae.config.scaling_factor
    with torch.no_grad():
        decoded = [tiny_backbone.parts.vae.decode(one[None] / factor).sample for one in latents]
    wanted = [as_the_script_writes(picture[0].numpy()) for picture in decoded]
    found = tiny_backbone.decode(latents, "truncated").numpy()
    assert np.array_equal(found, np.stack(wanted))
    assert not np.array_equal(tiny_backbone.decode(latents).numpy(), found)


@pytest.mark.parametrize(
    ("text", "picture"),
    [
        ("tve", "rounded"),
        ("tve[preset=paper]", "rounded"),
        ("tve[variant=report]", "rounded"),
        ("tve[variant=musicti]", "truncated"),
        ("tve[preset=released]", "truncated"),
        ("tve[preset=released,picture=rounded]", "rounded"),
        ("tve[picture=truncated]", "truncated"),
    ],
)
def test_what_a_choice_of_tve_does(text: str, picture: str) -> None:
    parameters = make_parameters(TveParameters, parse_method(text).overrides)
    assert parameters.canvas().picture == picture


def test_the_baseline_rounds_unless_it_is_told_otherwise() -> None:
    assert RtiParameters().canvas().picture == "rounded"
    assert RtiParameters(picture="truncated").canvas().picture == "truncated"


def test_cached_results_of_either_kind_have_their_own_keys() -> None:
    """A key holds the parameters as they were set, of the fit and of the transfer."""
    texts = ("tve", "tve[variant=musicti]", "tve[preset=released]", "tve[picture=truncated]")
    kept: list[Any] = [
        split_parameters(make_parameters(TveParameters, parse_method(text).overrides))
        for text in texts
    ]
    assert len({str(one) for one in kept}) == len(texts)
    assert "picture" in kept[0][1]
