"""VGGish and CNN14: the convolutions of two networks that were trained to name sounds.

Both look at logarithmic mel spectra as images. Layers and names are those of the published state
dicts, which load strictly; what lies behind the last convolution (the classifiers) is not built.
The mel bank is part of the graph, so that a linear spectrogram can be optimised through it.

**Conventions**: magnitudes are float (bin, frame), linear; features (channel, position), positions
over time and mel together. Everything is in evaluation mode and frozen.

Front ends are those of torchvggish/vggish_params.py and mel_features.py in harritaylor/torchvggish
at commit f3f90969ce8fb77a05d984b892ddf662e8466377, and of scripts/4_train.sh and pytorch/models.py
in qiuqiangkong/audioset_tagging_cnn at commit d2f4b8c18eab44737fcc0de1248ae21eb43f6aa4.

Departure: frames are centred, with mirrored ends; VGGish's own begin with the first sample.

References:
    Hershey et al. (2017), CNN architectures for large-scale audio classification, arXiv 1609.09430;
    Kong et al. (2020), PANNs, arXiv 1912.10211, table 2 (CNN14). The released CNN14 pools after
    each of its first five blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from bench.api import CheckpointError
from methods.gatys.matching import Features
from methods.gatys.rendering import magnitudes
from methods.phase import Geometry


@dataclass(frozen=True, slots=True)
class MelScale:
    """How magnitudes become the image that a network was trained on.

    Args:
        geometry: Lengths of the transform.
        num_mels: Bands.
        f_min_hz: Lower edge.
        f_max_hz: Upper edge.
        htk: HTK's mel scale, triangles straight in mel with peaks of 1 (VGGish); or Slaney's,
            triangles straight in hertz with equal areas (CNN14).
    """

    geometry: Geometry
    num_mels: int
    f_min_hz: float
    f_max_hz: float
    htk: bool

    def bank(self) -> torch.Tensor:
        """Triangles, float32 (mel, bin)."""
        if self.htk:
            return self._triangles_in_mel()
        bank = librosa.filters.mel(
            sr=self.geometry.sample_rate,
            n_fft=self.geometry.n_fft,
            n_mels=self.num_mels,
            fmin=self.f_min_hz,
            fmax=self.f_max_hz,
        )
        return torch.from_numpy(bank).float()

    def _triangles_in_mel(self) -> torch.Tensor:
        bins_hz = np.linspace(0, self.geometry.sample_rate / 2, self.geometry.n_fft // 2 + 1)
        bins, *ends = (_to_mel(hz) for hz in (bins_hz, self.f_min_hz, self.f_max_hz))
        step = (ends[1] - ends[0]) / (self.num_mels + 1)
        centres = ends[0] + step * np.arange(1, self.num_mels + 1)
        bank = np.maximum(0.0, 1 - np.abs(bins - centres[:, None]) / step)
        return torch.from_numpy(bank).float()


def _to_mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """HTK's mel scale, in the constants of the released code."""
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))


# 25 ms windows every 10 ms in a transform of 512, magnitudes.
VGGISH_MEL = MelScale(Geometry(16_000, 512, 400, 160), 64, 125.0, 7500.0, htk=True)
# PANNs' setting for 32 kHz, powers.
CNN14_MEL = MelScale(Geometry(32_000, 1024, 1024, 320), 64, 50.0, 14_000.0, htk=False)

# The convolutions of VGGish by their place in the published list of layers; None halves the image.
_VGGISH = (64, None, 128, None, 256, 256, None, 512, 512, None)
_VGGISH_STYLE, _VGGISH_CONTENT = (0, 3, 6, 11), 8
_CNN14 = (64, 128, 256, 512, 1024)
_CNN14_CONTENT = 2  # the third block


class VggishTrunk(nn.Module):
    """The convolutions of VGGish, `features.{0,3,6,8,11,13}` in the published state dict.

    Args:
        thinning: Divides all channels; 1 is the published network.
    """

    def __init__(self, thinning: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for width in _VGGISH:
            if width is None:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            outputs = width // thinning
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        self.features = nn.Sequential(*layers)

    def forward(self, image: torch.Tensor) -> Features:
        """Features of an image (batch 1, 1, frame, mel), after the rectifiers."""
        seen = {}
        for number, layer in enumerate(self.features):
            image = layer(image)
            if isinstance(layer, nn.ReLU):
                seen[number - 1] = _flat(image)
        return Features((seen[_VGGISH_CONTENT],), tuple(seen[n] for n in _VGGISH_STYLE))


class ConvBlock(nn.Module):
    """Two convolutions with batch norms, named as in PANNs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the two rectifiers give."""
        first = functional.relu(self.bn1(self.conv1(image)))
        return first, functional.relu(self.bn2(self.conv2(first)))


class Cnn14Trunk(nn.Module):
    """`bn0` and the first five blocks of CNN14, `conv_block1` to `conv_block5`.

    Args:
        thinning: Divides all channels; 1 is the published network.
    """

    def __init__(self, thinning: int = 1) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(CNN14_MEL.num_mels)
        widths = [1, *(width // thinning for width in _CNN14)]
        for number, outputs in enumerate(widths[1:], start=1):
            self.add_module(f"conv_block{number}", ConvBlock(widths[number - 1], outputs))

    def forward(self, image: torch.Tensor) -> Features:
        """Features of an image (batch 1, 1, frame, mel).

        The first convolution of each block is the style, the second of the third block the content.
        """
        image = self.bn0(image.transpose(1, 3)).transpose(1, 3)
        style, content = [], []
        for number in range(len(_CNN14)):
            first, image = self.get_submodule(f"conv_block{number + 1}")(image)
            style.append(_flat(first))
            if number == _CNN14_CONTENT:
                content.append(_flat(image))
            if number + 1 < len(_CNN14):
                image = functional.avg_pool2d(image, 2)
        return Features(tuple(content), tuple(style))


def _flat(image: torch.Tensor) -> torch.Tensor:
    return image[0].flatten(1)


class MelNetwork:
    """A trunk behind the mel image of a compressed linear spectrum, as `matching.Network`."""

    def __init__(self, trunk: VggishTrunk | Cnn14Trunk, device: str = "cpu") -> None:
        self._trunk = trunk.eval().requires_grad_(False).to(device)
        self._vggish = isinstance(trunk, VggishTrunk)
        mel = VGGISH_MEL if self._vggish else CNN14_MEL
        self._bank = mel.bank().to(device)

    def __call__(self, spectrum: torch.Tensor, scale: float) -> Features:
        """Features of a compressed spectrum (bin, frame)."""
        features: Features = self._trunk(self.image(magnitudes(spectrum, scale)))
        return features

    def image(self, magnitude: torch.Tensor) -> torch.Tensor:
        """Logarithmic mel image (1, 1, frame, mel) of magnitudes (bin, frame).

        VGGish sees log(mel + 0.01) of magnitudes, CNN14 decibels of powers, at least -100.
        """
        if self._vggish:
            image = torch.log(self._bank @ magnitude + 0.01)
        else:
            image = 10 * torch.log10((self._bank @ magnitude.square()).clamp_min(1e-10))
        return image.T[None, None]


def load_vggish(trunk: VggishTrunk, state: Mapping[str, torch.Tensor]) -> None:
    """Load the published VGGish; its `embeddings.*` (the classifier) are left out.

    Raises:
        CheckpointError: A tensor is missing, not known, or has another shape.
    """
    _load(trunk, state, "VGGish", left_out=("embeddings.", "pproc."))


def load_cnn14(trunk: Cnn14Trunk, state: Mapping[str, torch.Tensor]) -> None:
    """Load the published CNN14: a state dict, or the file's mapping with it under "model".

    Its front end (`spectrogram_extractor.*`, `logmel_extractor.*`), sixth block and classifiers are
    left out.

    Raises:
        CheckpointError: A tensor is missing, not known, or has another shape.
    """
    inner = state.get("model", state)
    if not isinstance(inner, Mapping):
        raise CheckpointError(
            "CNN14: 'model' of the file is not a state dict. Fetch the file again."
        )
    left_out = (
        "spectrogram_extractor.",
        "logmel_extractor.",
        "conv_block6.",
        "fc1.",
        "fc_audioset.",
    )
    _load(trunk, inner, "CNN14", left_out)


def _load(
    trunk: nn.Module, state: Mapping[str, torch.Tensor], what: str, left_out: tuple[str, ...]
) -> None:
    used = {name: tensor for name, tensor in state.items() if not name.startswith(left_out)}
    try:
        trunk.load_state_dict(used, strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{what}: the state dict is not the published one ({error}). Fetch the file again."
        ) from error
