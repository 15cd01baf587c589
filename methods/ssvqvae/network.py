"""The network of SS VQ-VAE: a quantised content encoder, a style encoder, a decoder of both.

**Source**: Cifka, Ozerov, Simsekli and Richard (2021), "Self-Supervised VQ-VAE for One-Shot Music
Style Transfer", ICASSP, arXiv 2102.05749, section 2 and figure 1; sizes, slopes and strides are
those of experiments/model/config.yaml in cifkao/ss-vq-vae at commit
f890ad54319561d2abacca5ceb5be86b12c70459. At its published size the state dict has the released
checkpoint's 102 tensors (55,661,583 trained weights) under the same names, so that it loads
strictly.

**Conventions**: spectra are log(1 + magnitude), (batch, bin, frame); every convolution runs over
time with frequency bins as channels; a code covers four frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.1  # of the leaky rectifiers
SHORTEST_STYLE = 4  # frames: the kernel of the style encoder, which has no padding


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Sizes; the defaults are those of the released checkpoint.

    Args:
        bins: Frequency bins of a spectrum.
        width: Channels inside, and length of the style vector.
        codes: Entries of the code book.
    """

    bins: int = 1025
    width: int = 1024
    codes: int = 2048


@dataclass(frozen=True, slots=True)
class Quantised:
    """What the code book makes of latents.

    Args:
        values: The nearest codes (batch, width, code frame); gradients pass straight through.
        codes: Their numbers (batch, code frame).
        codebook_loss: Mean squared distance that moves the codes towards the latents.
        commitment_loss: The same distance, moving the latents towards the codes.
    """

    values: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor


class Residual(nn.Module):
    """x + module(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.module = nn.Sequential(*layers)

    def forward(self, values: Tensor) -> Tensor:
        """Add what the layers make of the values (batch, channel, frame)."""
        added: Tensor = values + self.module(values)
        return added


class Recurrent(nn.Module):
    """A gated recurrent unit over the frames of (batch, channel, frame)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(width, width, batch_first=True)

    def forward(self, values: Tensor) -> Tensor:
        """The states at every frame, same shape."""
        states: Tensor = self.rnn(values.transpose(1, 2))[0]
        return states.transpose(1, 2)


class VectorQuantiser(nn.Module):
    """Nearest neighbours in a code book, by Euclidean distance.

    References:
        van den Oord, Vinyals and Kavukcuoglu (2017), Neural Discrete Representation Learning,
        equations 1 to 3.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(settings.codes, settings.width)

    def nearest(self, latents: Tensor) -> Tensor:
        """Numbers (batch, code frame) of the codes nearest to latents (batch, width, frame)."""
        flat = latents.transpose(1, 2)
        codes = self.embedding.weight
        # |z - e|^2 without |z|^2, which is the same for all codes
        distance = codes.square().sum(dim=1) - 2.0 * flat @ codes.T
        return distance.argmin(dim=-1)

    def forward(self, latents: Tensor) -> Quantised:
        """Quantise latents (batch, width, code frame)."""
        codes = self.nearest(latents)
        chosen = self.embedding(codes).transpose(1, 2)
        return Quantised(
            latents + (chosen - latents).detach(),
            codes,
            functional.mse_loss(chosen, latents.detach()),
            functional.mse_loss(latents, chosen.detach()),
        )


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm1d(channels), nn.LeakyReLU(_SLOPE)


def _pointwise(channels: int) -> Residual:
    return Residual(*_normalised(channels), nn.Conv1d(channels, channels, 1))


def _content_encoder(settings: NetworkSettings) -> nn.Sequential:
    width = settings.width
    return nn.Sequential(
        nn.Conv1d(settings.bins, width, 4, stride=2, padding=2),
        *_normalised(width),
        nn.Conv1d(width, width, 4, stride=2, padding=2),
        _pointwise(width),
        nn.BatchNorm1d(width),
    )


def _style_encoder(settings: NetworkSettings) -> nn.Sequential:
    width = settings.width
    first = nn.Conv1d(settings.bins, width, 4, stride=2)
    return nn.Sequential(first, _pointwise(width), *_normalised(width))


def _decoder_stage(settings: NetworkSettings, *, last: bool) -> nn.Sequential:
    """One doubling of the frames; the last stage ends in spectra."""
    width, bins = settings.width, settings.bins
    layers = [
        *_normalised(2 * width),
        nn.ConvTranspose1d(2 * width, width, 1),
        Residual(*_normalised(width), Recurrent(width)),
        *_normalised(width),
        nn.ConvTranspose1d(width, width, 4, stride=2, padding=2, output_padding=1),
    ]
    if last:
        layers += [
            *_normalised(width),
            nn.ConvTranspose1d(width, bins, 1),
            Residual(*_normalised(bins), Recurrent(bins)),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


class StyleVQVAE(nn.Module):
    """Content codes and a style vector in, spectra out.

    The content passes a code book, which is too narrow for its timbre; the timbre comes from
    another recording of the same source in training, and from the style in a transfer.

    References:
        Cifka et al. (2021), section 2.
    """

    def __init__(self, settings: NetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or NetworkSettings()
        self.content_encoder = _content_encoder(self.settings)
        self.vq = VectorQuantiser(self.settings)
        self.style_encoder_1d = _style_encoder(self.settings)
        width = self.settings.width
        self.style_encoder_rnn = nn.GRU(width, width, batch_first=True)
        self.decoder_modules = nn.ModuleList(
            _decoder_stage(self.settings, last=last) for last in (False, True)
        )

    def encode_content(self, spectra: Tensor) -> Tensor:
        """Latents (batch, width, code frame) of spectra, before the code book."""
        latents: Tensor = self.content_encoder(spectra)
        return latents

    def encode_style(self, spectra: Tensor) -> Tensor:
        """Style vectors (batch, width): the last state over spectra of at least four frames."""
        features = self.style_encoder_1d(spectra).transpose(1, 2)
        last: Tensor = self.style_encoder_rnn(features)[1][0]
        return last

    def decode(self, values: Tensor, style: Tensor, num_frames: int) -> Tensor:
        """Spectra (batch, bin, num_frames) of quantised latents and style vectors."""
        hidden = values
        for stage in self.decoder_modules:
            told = style[..., None].expand(-1, -1, hidden.shape[-1])
            hidden = stage(torch.cat([hidden, told], dim=1))
        return hidden[..., :num_frames]

    def forward(self, content: Tensor, style: Tensor) -> tuple[Tensor, Quantised]:
        """Spectra of the content in the style, and what the code book did.

        Args:
            content: (batch, bin, frame).
            style: (batch, bin, any number of frames from four on).
        """
        quantised = self.vq(self.encode_content(content))
        return self.decode(quantised.values, self.encode_style(style), content.shape[-1]), quantised
