"""Bringing the noise of a content to the statistics of a style's, channel by channel.

**Conventions**: latents are (row of the batch, channel, row, column); the contents are the windows
of one piece, which share their statistics, lest levels jump where windows meet; the styles are the
clips of one style, (clip, column) weights say where they show sound.

References:
    Huang and Belongie (2017), Arbitrary Style Transfer in Real-time with Adaptive Instance
    Normalization, arXiv 1703.06868, equation 8; Zhang et al. (2022), Exact Feature Distribution
    Matching, arXiv 2203.07740, equation 4.
"""

from __future__ import annotations

import torch

from methods.riffusion.parameters.edits import StartStyle

_SPREADLESS = 1e-5  # a channel of less spread says nothing, and is only moved


def match_start(
    contents: torch.Tensor, styles: torch.Tensor, weights: torch.Tensor, how: StartStyle
) -> torch.Tensor:
    """Contents with the style's mean and spread ("adain"), all its values ("efdm"), or as they are.

    Args:
        contents: The windows of one piece.
        styles: The clips of one style.
        weights: (clip, column) of 1 and 0.
        how: What is matched.
    """
    if how == "off":
        return contents
    shown = weights.bool()[:, None].expand(-1, styles.shape[2], -1)
    values = styles.transpose(0, 1)[:, shown]  # (channel, value)
    return adain(contents, values) if how == "adain" else match_values(contents, values)


def adain(contents: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Contents whose channels have the mean and the (unbiased) deviation of values (channel, n)."""
    own = contents.transpose(0, 1).flatten(1)
    mean, spread = own.mean(dim=1), own.std(dim=1)
    ratio = torch.where(spread > _SPREADLESS, values.std(dim=1) / spread, 1)
    wide = (1, -1, 1, 1)
    return (contents - mean.view(wide)) * ratio.view(wide) + values.mean(dim=1).view(wide)


def match_values(contents: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Contents whose channels have the very values (channel, n), in the order of their own.

    Where the numbers differ, values between neighbours are interpolated.
    """
    channels_first = contents.transpose(0, 1)
    own = channels_first.flatten(1)
    place = torch.linspace(0, values.shape[1] - 1, own.shape[1], dtype=torch.float64)
    below = place.floor().long()
    part = (place - below).to(values)
    ranked = values.sort(dim=1).values
    wanted = torch.lerp(
        ranked[:, below], ranked[:, (below + 1).clamp_max(ranked.shape[1] - 1)], part
    )
    made = torch.empty_like(own).scatter_(1, own.argsort(dim=1, stable=True), wanted)
    return made.view(channels_first.shape).transpose(0, 1)
