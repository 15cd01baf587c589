"""The contrastive pull: what holds a content's course in time while it is steered.

The decoder's self-attention is looked at while the network predicts the noise of the content as it
is, and again of the content as it moves. At each time, what is seen now shall be more like what was
seen there before than like what was seen at other times; the gradient of that wish by the moving
latent is the pull. It takes a pass backwards through the U-Net, whose weights get no gradient.

**Conventions**: latents are (row, channel, mel, time); features are (row, token, channel) as
attention gives them, its tokens running along time first; compared are positions in time, each with
all of its mel rows.

References:
    Niu et al. (2025), SteerMusic, arXiv 2504.10826, equation 5, and `PConLoss` of sony/steermusic
    at commit 67df26f, of which nothing is copied; Park et al. (2020), arXiv 2007.15651, equation
    3, for the loss. By the paper the features of the content as it is come from the pass over the
    source, and so they do here. The released code reads them after the last pass, which with its
    default settings is that of the regulariser, over the moving latent. It compares up to 256
    random positions; a window has no more than 64, and all are compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bench.api import UnsupportedError
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import Denoiser
from methods.riffusion.editing.injection import choose_layers
from methods.riffusion.schedule import add_noise

TEMPERATURE = 0.07


def pull(
    backbone: Denoiser,
    contents: torch.Tensor,
    moved: torch.Tensor,
    draw: tuple[torch.Tensor, torch.Tensor],
    contexts: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """The gradient of the contrastive loss by the moving latents, in their shape.

    Args:
        backbone: Frozen.
        contents: z_s, as they are.
        moved: z.
        draw: Noise, in the shape of the latents, and timesteps (row,), which both share.
        contexts: What the network is told of the contents and of their styles, (row, token, dim);
            neither is guided.

    Raises:
        UnsupportedError: The network is not Riffusion's, whose layers are looked at by name.
    """
    if not isinstance(backbone, Backbone):
        raise UnsupportedError(
            "contrast_weight is set, and the network is not Riffusion's; layers of that are "
            "compared. Leave it out, or set backbone=riffusion."
        )
    noise, timesteps = draw
    told, styled = contexts
    with torch.no_grad():
        noised = add_noise(backbone.schedule, contents, noise, timesteps)
        before = _look(backbone, noised, timesteps, told)
    with torch.enable_grad():
        latents = moved.detach().requires_grad_()
        noised = add_noise(backbone.schedule, latents, noise, timesteps)
        now = _look(backbone, noised, timesteps, styled)
        losses = [contrastive_loss(*pair) for pair in zip(before, now, strict=True)]
        (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), latents)
    return gradient


def contrastive_loss(before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """How hard the same time is to find among all times of a row, summed over the rows.

    InfoNCE: the mean over times of -log softmax(before_t . now / temperature)_t.

    Args:
        before: (row, time, width).
        now: The same later; both as `_over_time` makes them.

    Example:
        >>> apart = torch.eye(4)[None]
        >>> float(contrastive_loss(apart, apart)) < 1e-5
        True
        >>> round(float(contrastive_loss(apart, torch.ones(1, 4, 4))), 4)  # log 4
        1.3863
    """
    likeness = before @ now.transpose(1, 2) / TEMPERATURE
    places = torch.arange(now.shape[1], device=now.device).expand(len(now), -1)
    total: torch.Tensor = functional.cross_entropy(
        likeness.flatten(0, 1), places.flatten(), reduction="sum"
    )
    return total / now.shape[1]


def _look(
    backbone: Backbone, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
) -> list[torch.Tensor]:
    """What each self-attention of the decoder gives in a pass, (row, time, width) each."""
    unet = backbone.parts.unet
    names = choose_layers(list(unet.attn_processors), "all")
    layers = [unet.get_submodule(name.removesuffix(".processor")) for name in names]
    with _noted(layers) as seen:
        # Not through a recorded pass, which no gradient comes out of.
        unet(latents.to(unet.dtype), timesteps, encoder_hidden_states=contexts.to(unet.dtype))
    return [_over_time(each.to(latents.dtype), latents.shape[-2:]) for each in seen]


def _over_time(features: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Features by their place in time, each token of unit length: (row, time, mel x channel)."""
    mels, times = shape
    rows = round(math.sqrt(features.shape[1] * mels / times))
    unit: torch.Tensor = functional.normalize(features, dim=-1)
    return torch.unflatten(unit, 1, (rows, -1)).transpose(1, 2).flatten(2)


@contextmanager
def _noted(layers: Sequence[nn.Module]) -> Iterator[list[torch.Tensor]]:
    """The outputs of some layers, in the order in which they come."""
    seen: list[torch.Tensor] = []

    def note(_layer: nn.Module, _inputs: Any, output: torch.Tensor) -> None:  # noqa: ANN401 - whatever a layer is given
        seen.append(output)

    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
