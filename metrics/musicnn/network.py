"""The network of MusicNN, in the order of its graph.

Filters that are tall in mel hear timbres, filters that are long in time hear rhythms; each gives
its loudest band per frame. Three convolutions over time, two of them with a way around, follow;
all of it is pooled over time into a dense layer, the **penultimate** one: the embedding.

| step | arrays | result per window |
|---|---|---|
| batch-norm of the log-mel spectrum | `batch_normalization` | (frame, 96) |
| timbres: 7 frames x 38 bands, x 67 bands | `conv2d`, `conv2d_1` | 204 + 204 a frame |
| rhythms: 128, 64 and 32 frames x 1 band | `conv2d_2` to `conv2d_4` | 51 + 51 + 51 a frame |
| all of these: h | | 561 a frame |
| 7 frames of h: c1; of c1, and c1 added: c2; likewise c3 | `conv2d_5` to `conv2d_7` | 64 a frame |
| largest and mean of h, c1, c2, c3 over time, in turns | | 1506 |
| batch-norm, dense, ReLU, batch-norm: penultimate | `batch_normalization_9`, `dense` | 200 |
| dense: logits of 50 tags | `dense_1` | 50 |

A convolution is followed by ReLU and then batch-norm. Names and layouts of the arrays are those of
the published TensorFlow checkpoint.

**Conventions**: tensors are float32; log-mel spectra have the axes (batch, frame, mel), features
within (batch, channel, frame).

**Source**: Pons and Serra (2019), "musicnn: pre-trained convolutional neural networks for music
audio tagging", arXiv 1909.06654; the graph of MTT_musicnn in musicnn 0.1.0. Dropout is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn import functional

from bench.api import CheckpointError
from bench.checkout import restore_line
from metrics.musicnn.checkpoints import FILE, NAME

EPSILON = 0.001  # of every batch-norm
TIMBRES, RHYTHMS, BACK_END = ("", "_1"), ("_2", "_3", "_4"), ("_5", "_6", "_7")
_AROUND = 3  # frames of zeros before and after, for kernels of 7
Arrays = Mapping[str, torch.Tensor]


class Heard(NamedTuple):
    """What the network makes of windows.

    Attributes:
        features: All that is pooled, (batch, 753, frame).
        penultimate: The embeddings, (batch, 200).
        logits: Those of the tags, (batch, 50).
    """

    features: torch.Tensor
    penultimate: torch.Tensor
    logits: torch.Tensor


@final
@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A batch-norm at rest: scale and shift of each channel."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __call__(self, given: torch.Tensor) -> torch.Tensor:
        """Normalise axis 1."""
        shape = (-1, *[1] * (given.ndim - 2))
        return given * self.scale.reshape(shape) + self.shift.reshape(shape)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """A convolution, ReLU, batch-norm, and the largest value over all bands.

    ReLU and a batch-norm leave the order of values as it is, or turn it round where the scale is
    negative. So the largest result is that of the largest, or smallest, value of the convolution,
    and only that one is worked out: the kernels of the latter are kept with their sign turned. More
    than a quarter of the filters died in training: a kernel of zeros hears nothing, and its channel
    is what becomes of the bias.

    Args:
        kernel: (living filter, channel, frame, band), times `turned`.
        living: The places of these filters among all.
        turned: 1 or -1 for each living filter, (filter, 1).
        bias: Of all filters, (filter, 1).
        norm: Of all filters.
    """

    kernel: torch.Tensor
    living: torch.Tensor
    turned: torch.Tensor
    bias: torch.Tensor
    norm: Norm

    def __call__(self, given: torch.Tensor) -> torch.Tensor:
        """From (batch, channel, frame, band) to (batch, filter, frame)."""
        by_band = functional.conv2d(given, self.kernel)
        # What `amax` gives too, in a tenth of the time.
        largest = functional.max_pool2d(by_band, (1, by_band.shape[3]))[..., 0]
        heard = largest * self.turned
        every = heard.new_zeros(len(heard), len(self.bias), heard.shape[2])
        return self.norm(functional.relu(every.index_copy(1, self.living, heard) + self.bias))


def _norm(arrays: Arrays, suffix: str) -> Norm:
    gamma, beta, mean, variance = (
        arrays[f"batch_normalization{suffix}/{name}"]
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / torch.sqrt(variance + EPSILON)
    return Norm(scale, beta - mean * scale)


def _filters(arrays: Arrays, suffix: str, norm: str) -> Filters:
    kernel = arrays[f"conv2d{suffix}/kernel"].permute(3, 2, 0, 1)
    living = kernel.flatten(1).any(1).nonzero()[:, 0]
    found = _norm(arrays, norm)
    turned = torch.where(found.scale[living] < 0, -1.0, 1.0)
    kept = (kernel[living] * turned.reshape(-1, 1, 1, 1)).contiguous()
    return Filters(kept, living, turned[:, None], arrays[f"conv2d{suffix}/bias"][:, None], found)


def _around(given: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """Append frames of zeros to (batch, channel, frame, band)."""
    return functional.pad(given, (0, 0, before, after))


@final
class Musicnn:
    """The network with its arrays.

    Args:
        arrays: Those of the checkpoint, by their names there; any float type.
        device: Where to compute.
    """

    def __init__(self, arrays: Arrays, device: str) -> None:
        given = {name: array.to(device, torch.float32) for name, array in arrays.items()}
        self._entry = _norm(given, "")
        self._timbres = [_filters(given, one, f"_{n}") for n, one in enumerate(TIMBRES, 1)]
        self._rhythms = [_filters(given, one, f"_{n}") for n, one in enumerate(RHYTHMS, 3)]
        self._back_end = [_filters(given, one, f"_{n}") for n, one in enumerate(BACK_END, 6)]
        self._pooled, self._dense = _norm(given, "_9"), _norm(given, "_10")
        self._to_dense = given["dense/kernel"], given["dense/bias"]
        self._to_tags = given["dense_1/kernel"], given["dense_1/bias"]

    def __call__(self, log_mel: torch.Tensor) -> Heard:
        """Hear windows of any one length, (batch, frame, mel), on the device of the network."""
        spectrum = self._entry(log_mel[:, None])
        front = self._front(spectrum)
        features = torch.cat([front, *self._back(front)], 1)
        pooled = torch.stack([features.amax(2), features.mean(2)], 2).flatten(1)
        kernel, bias = self._to_dense
        penultimate = self._dense(functional.relu(self._pooled(pooled) @ kernel + bias))
        kernel, bias = self._to_tags
        return Heard(features, penultimate, penultimate @ kernel + bias)

    def _front(self, spectrum: torch.Tensor) -> torch.Tensor:
        padded = _around(spectrum, _AROUND, _AROUND)
        heard = [timbres(padded) for timbres in self._timbres]
        for rhythms in self._rhythms:
            length = rhythms.kernel.shape[2]  # TensorFlow's "same" puts the odd frame at the end
            heard.append(rhythms(_around(spectrum, (length - 1) // 2, length // 2)))
        return torch.cat(heard, 1)

    def _back(self, front: torch.Tensor) -> list[torch.Tensor]:
        first, *others = self._back_end
        found = [first(_over_time(front))]
        for filters in others:
            found.append(filters(_over_time(found[-1])) + found[-1])
        return found


def _over_time(features: torch.Tensor) -> torch.Tensor:
    """Features (batch, channel, frame) as an image whose bands are the channels, padded in time."""
    return _around(features.transpose(1, 2)[:, None], _AROUND, _AROUND)


def read_network(folder: Path, device: str) -> Musicnn:
    """The network with the weights of a folder.

    Raises:
        CheckpointError: The file cannot be read, or holds something else.
    """
    path = folder / FILE
    try:
        return Musicnn(load_file(path), device)
    except (OSError, SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"{path} does not hold the arrays of MTT_musicnn ({type(error).__name__}: {error}); "
            f"the shipped file was expected. Restore it: {restore_line(NAME)}"
        ) from error
