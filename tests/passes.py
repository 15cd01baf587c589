"""A pass of a U-Net as the library makes it, and what goes into one."""

from __future__ import annotations

import torch

from methods.riffusion.backbone import Backbone


def inputs(
    backbone: Backbone, timesteps: tuple[int, int] = (3, 700), *, learning: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents (2, 4, 8, 8), two timesteps, and contexts, which may ask for a gradient."""
    generator = torch.Generator().manual_seed(0)
    contexts = backbone.encode_prompt("a piano").expand(2, -1, -1).clone()
    latents = torch.randn(2, 4, 8, 8, generator=generator, dtype=contexts.dtype)
    return latents, torch.tensor(timesteps), contexts.requires_grad_(learning)


def plain(
    backbone: Backbone, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
) -> torch.Tensor:
    """The noise that the U-Net predicts."""
    result: torch.Tensor = backbone.parts.unet(
        latents, timesteps, encoder_hidden_states=contexts
    ).sample
    return result
