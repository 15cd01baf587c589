"""The frozen VAE at work: posteriors of images, and pixels of latents.

On the CPU images go one at a time, in float32, so that the bytes of a result do not depend on its
company. On CUDA they go several at a time; where the U-Net is compiled, so are encoder and decoder,
for one size of batches, to which smaller ones are padded. A single image goes the plain way.

**Half precision**: where the U-Net works in fewer bits than 32, the compiled decoder works in
float16. Measured on the trained weights of the mini profile over its data set, decoded in float16
all pixels are within one grey level of float32's, in bfloat16 99.85 % are, which is too few
(`tests/methods/riffusion/test_autoencoder.py`). Float16 has a smaller range than float32: pixels
that are no numbers are decoded again in float32, and logged. The encoder stays float32 (on CUDA
its convolutions round as TF32), because what is learnt rests on it.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from bench.batching import Batcher, affordable
from methods.acceleration import Accelerated, Acceleration, Pass
from methods.riffusion.spectrogram import image_to_pixels

_TOGETHER = 8
# Live activations of a pass in units of its widest map, which has the image's rows and columns and
# as many channels as the second level. A first guess: batches are halved where it is too low.
_MAPS = 6
# TF32 keeps ten bits of a product's factors, as float16 does: results differ as much.
_ROUNDS_AS = torch.float16
# Mean and standard deviation of one image's latents, each (1, channel, row, column).
Posterior = tuple[torch.Tensor, torch.Tensor]
logger = logging.getLogger(__name__)


class Autoencoder:
    """A frozen VAE; latents are scaled as the U-Net takes them.

    Args:
        vae: diffusers.AutoencoderKL, on its device.
        device: That device.
        way: How passes of the U-Net are made faster; single kernels of the VAE are so long that
            recording alone gains nothing.
        in_half: Whether a faster decoder may work in float16.
        most: Images that go together; left out, one on the CPU, else what memory allows.
    """

    def __init__(
        self,
        vae: Any,  # noqa: ANN401 - diffusers is untyped
        device: torch.device,
        way: Acceleration,
        *,
        in_half: bool,
        most: int | None = None,
    ) -> None:
        self._module = vae
        self._device = device
        self._factor = float(vae.config.scaling_factor)
        chosen: Acceleration = "compile" if way in ("compile", "compile-graph") else "eager"
        self._half = half_decoder(vae) if in_half and chosen != "eager" else None
        self._encoding = Accelerated(
            "the VAE's encoder", self._plain_encode, chosen, _ROUNDS_AS, size_for=self._size_for
        )
        self._decoding = Accelerated(
            "the VAE's decoder", self._plain_decode, chosen, _ROUNDS_AS, size_for=self._size_for
        )
        if self._half is not None:
            self._decoding.made_from(self._half)
        self._batcher = None if most is None else Batcher(most)

    @torch.no_grad()
    def encode(self, images: Sequence[torch.Tensor]) -> list[Posterior]:
        """Posterior of each image (mel, frame), uint8; images of one call have one shape."""
        if not images:
            return []
        return self._batches(images[0].shape).run(images, self._encode_together)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> list[torch.Tensor]:
        """Pixels (1, 3, row, column) of each latent (channel, row, column), on the device."""
        reduction = 2 ** (len(self._module.config.block_out_channels) - 1)
        shape = [reduction * side for side in latents.shape[-2:]]
        return self._batches(shape).run(list(latents), self._decode_together)

    def _batches(self, shape: Sequence[int]) -> Batcher:
        """What works through images of a shape, decided for the first one."""
        if self._batcher is None:
            widest = int(self._module.config.block_out_channels[:2][-1])
            each = _MAPS * math.prod(shape) * widest * torch.float32.itemsize
            on_cpu = self._device.type == "cpu"
            self._batcher = Batcher(1 if on_cpu else affordable(str(self._device), each, _TOGETHER))
        return self._batcher

    def _size_for(self, rows: int) -> int:
        """Rows of a faster pass: as many as go together."""
        return max(rows, self._batcher.size if self._batcher is not None else rows)

    def _encode_together(self, images: Sequence[torch.Tensor]) -> list[Posterior]:
        pixels = image_to_pixels(torch.stack(list(images))).to(self._device)
        work = self._plain_encode if len(images) == 1 else self._encoding
        mean, std = work(pixels).chunk(2, dim=1)
        return [
            (mean[row, None] * self._factor, std[row, None] * self._factor)
            for row in range(len(images))
        ]

    def _plain_encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """Mean and standard deviation, one after the other on the axis of channels."""
        posterior = self._module.encode(pixels).latent_dist
        return torch.cat([posterior.mean, posterior.std], dim=1)

    def _decode_together(self, latents: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        scaled = torch.stack(list(latents)) / self._factor
        work = self._plain_decode if len(latents) == 1 else self._decoding
        pixels = work(scaled)
        if self._half is not None and not torch.isfinite(pixels).all():
            logger.warning("the VAE's decoder gave no numbers; it is asked again in float32")
            pixels = self._plain_decode(scaled)
        return list(pixels.split(1))

    def _plain_decode(self, latents: torch.Tensor) -> torch.Tensor:
        pixels: torch.Tensor = self._module.decode(latents).sample
        return pixels


def half_decoder(vae: Any) -> Pass:  # noqa: ANN401 - diffusers is untyped
    """The decoder of a VAE in float16; takes and returns what the VAE does."""
    half: Any = copy.deepcopy(vae)
    half.encoder = half.quant_conv = None
    # Past the library's own `to`, which warns of any format.
    nn.Module.to(half, dtype=torch.float16)

    def decode(latents: torch.Tensor) -> torch.Tensor:
        pixels: torch.Tensor = half.decode(latents.to(torch.float16)).sample
        return pixels.to(latents.dtype)

    return decode
