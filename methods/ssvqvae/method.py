"""SS VQ-VAE for style transfer: the content's codes, decoded with the style's vector.

**Source**: Cifka, Ozerov, Simsekli and Richard (2021), "Self-Supervised VQ-VAE for One-Shot Music
Style Transfer", ICASSP, arXiv 2102.05749; a row of the comparison of Li et al. (2024), arXiv
2402.13763.

**Conventions**: mono at 16 kHz with full scale 1, which matters because the network hears and makes
log(1 + magnitude), (batch, bin, frame). Frame t is centred on sample t * hop_length, with mirrored
ends. An output has exactly the content's samples.

Departures stand in the catalog and in `departures`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from bench.api import (
    Audio,
    Clip,
    ContentError,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.seeds import generator
from bench.weights import fetch_line, hub_folder, refusals, require_files
from methods.holding import loaded
from methods.phase import Geometry, retrieve_phase, stft
from methods.ssvqvae.checkpoints import MINI_FILES, MINI_FOLDER, RELEASED_WEIGHTS
from methods.ssvqvae.network import SHORTEST_STYLE, NetworkSettings, StyleVQVAE
from methods.ssvqvae.parameters import PUBLISHED_ITERATIONS, Parameters, StyleClips

# Cifka et al. (2021), section 3.1, and the released configuration (see `network`).
RELEASED = Geometry(sample_rate=16_000, n_fft=2048, win_length=2000, hop_length=500)


_SEVERAL_CLIPS: dict[StyleClips, str] = {
    "average": "the vectors of all clips of a style are averaged, the source takes one clip "
    "(style_clips=first)",
    "concatenate": "the clips of a style are heard one after the other, the source takes one clip "
    "(style_clips=first)",
}


def _departures(parameters: Parameters, profile: Profile) -> Iterator[str]:
    if profile == "mini":
        yield "the network is a small one of this project, not the released one (--profile full)"
    if parameters.style_clips in _SEVERAL_CLIPS:
        yield _SEVERAL_CLIPS[parameters.style_clips]
    if parameters.iterations != PUBLISHED_ITERATIONS:
        yield (
            f"{parameters.iterations} iterations of Griffin-Lim, where {PUBLISHED_ITERATIONS} are "
            "published"
        )


def log_spectra(waveforms: Tensor, geometry: Geometry) -> Tensor:
    """Spectra (batch, bin, 1 + sample // hop_length) of waveforms (batch, sample)."""
    return torch.log1p(stft(waveforms, geometry).abs())


def waveforms_of(
    spectra: Tensor, geometry: Geometry, generator: torch.Generator, iterations: int
) -> Tensor:
    """Waveforms (batch, (frame - 1) * hop_length) whose magnitudes are those of the spectra.

    Args:
        spectra: Values below 0 count as 0.
        geometry: Of the model.
        generator: On the CPU; for the random phases of the start.
        iterations: Of the fast Griffin-Lim algorithm; the source takes 32.
    """
    magnitude = torch.expm1(spectra.clamp_min(0.0))
    start = torch.rand(magnitude.shape, dtype=torch.complex64, generator=generator)
    return retrieve_phase(magnitude, geometry, start.to(magnitude.device), iterations)


@dataclass(frozen=True, slots=True)
class Model:
    """A network with the spectra it was trained on."""

    network: StyleVQVAE
    geometry: Geometry

    def spectra(self, clip: Clip) -> Tensor:
        """Spectra (1, bin, frame) that cover a clip to its end.

        Raises:
            ContentError: The clip has another rate, or is too short to be mirrored at its ends.
        """
        audio, geometry = clip.audio, self.geometry
        if audio.sample_rate != geometry.sample_rate:
            raise ContentError(
                f"clip '{clip.id}' has {audio.sample_rate} Hz; SS VQ-VAE takes "
                f"{geometry.sample_rate} Hz. Resample it."
            )
        shortest = max(geometry.n_fft // 2 + 1, SHORTEST_STYLE * geometry.hop_length)
        if audio.num_samples < shortest:
            raise ContentError(
                f"clip '{clip.id}' has {audio.num_samples} samples; SS VQ-VAE takes at least "
                f"{shortest}. Take a longer clip."
            )
        waveform = torch.from_numpy(audio.mono.copy())[None]
        missing = -audio.num_samples % geometry.hop_length
        waveform = functional.pad(waveform, (0, missing)).to(self.device)
        return log_spectra(waveform, geometry)

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return self.network.vq.embedding.weight.device


def load_released(path: Path) -> Model:
    """Load the released checkpoint: a plain state dict, every name and shape of which must fit.

    Raises:
        CheckpointError: The file is another checkpoint.
    """
    network = StyleVQVAE()
    rule = (
        "SS VQ-VAE expects a state dict that fits the published network. Delete it and run "
        f"`{fetch_line('ssvqvae')}`."
    )
    with refusals(path, rule):  # other names or shapes, or no tensors
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Model(network, RELEASED)


def load_folder(folder: Path) -> Model:
    """Load a model that `methods.ssvqvae.pretrain` has exported.

    Raises:
        CheckpointError: A file is missing.
    """
    require_files(folder, MINI_FILES, "SS VQ-VAE")
    stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    network = StyleVQVAE(NetworkSettings(**stored["network"]))
    tensors = load_file(folder / "model.safetensors")
    network.load_state_dict({name: _widened(value) for name, value in tensors.items()})
    return Model(network, Geometry(**stored["geometry"]))


def _released_file() -> Path:
    return hub_folder(RELEASED_WEIGHTS) / RELEASED_WEIGHTS.files[0]


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


@final
class SelfSupervisedVqVae(StyleTransferMethod[Parameters]):
    """SS VQ-VAE: one-shot transfer by codes and a style vector.

    Nothing is learnt per style: `fit` encodes its clips.

    References:
        Cifka et al. (2021), section 2; see `departures`.
    """

    def __init__(self) -> None:
        self._model: Model | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Load the checkpoint of the profile."""
        mini = profile == "mini"
        model = load_folder(MINI_FOLDER) if mini else load_released(_released_file())
        self.use(model, device)

    def use(self, model: Model, device: str) -> None:
        """Take a model, in inference mode: batch normalisation must not follow the clip."""
        model.network.train(mode=False).requires_grad_(requires_grad=False).to(device)
        self._model = model

    @property
    def _ready(self) -> Model:
        return loaded(self._model)

    def fit(
        self, requests: Sequence[FitRequest[Parameters]], progress: Progress
    ) -> list[StyleState]:
        """Encode each style's clips into one vector.

        Raises:
            UnsupportedError: A style has no clips.
        """
        states = [self._encode(request) for request in requests]
        progress(1.0, "styles encoded")
        return states

    @classmethod
    def departures(cls, parameters: Parameters, profile: Profile) -> tuple[str, ...]:
        """The mini model, several clips of a style, another count of iterations."""
        return tuple(_departures(parameters, profile))

    def _encode(self, request: FitRequest[Parameters]) -> StyleState:
        if not request.style.clips:
            raise UnsupportedError(
                f"style '{request.style.id}' has 0 clips; SS VQ-VAE hears a style in its clips. "
                "Add one to the style."
            )
        model, how = self._ready, request.parameters.style_clips
        clips = request.style.clips[:1] if how == "first" else request.style.clips
        spectra = [model.spectra(clip) for clip in clips]
        if how == "concatenate":
            spectra = [torch.cat(spectra, dim=-1)]
        vectors = torch.cat([model.network.encode_style(one) for one in spectra])
        return StyleState({"style": vectors.mean(dim=0).cpu().numpy()}, {"clips": len(clips)})

    def transfer(self, requests: Sequence[TransferRequest[Parameters]]) -> list[Audio]:
        """Render each content with its style's vector, one by one: it takes little time.

        Raises:
            ContentError: A content is too short.
        """
        return [self._render(request) for request in requests]

    def _render(self, request: TransferRequest[Parameters]) -> Audio:
        model = self._ready
        spectra = model.spectra(request.content)
        style = torch.from_numpy(request.state.arrays["style"].copy())[None].to(model.device)
        codes = model.network.vq(model.network.encode_content(spectra)).values
        made = model.network.decode(codes, style, spectra.shape[-1])
        iterations = request.parameters.iterations
        waveform = waveforms_of(made, model.geometry, generator(request.seed), iterations)
        num_samples = request.content.audio.num_samples
        return Audio(waveform[:, :num_samples].cpu().numpy().copy(), model.geometry.sample_rate)
