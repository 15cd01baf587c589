"""The frozen diffusion model that every method of this family shares.

Stable Diffusion's parts in diffusers' folder layout, as Riffusion v1 ships them (full profile)
and as this project's own small models are stored (mini profile). Sizes, latent channels, context
width and token ids all come from the folder's configs.

**Conventions**: images are uint8 (batch, mel, frame), as `spectrogram.encode` draws them; latents
are float32 (batch, channel, row, column), already multiplied by the VAE's scaling factor; contexts
are float32 (batch, token, dim). The U-Net alone may work in fewer bits, because it does nearly all
of the arithmetic; its result is float32 again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench import counts
from bench.api import CheckpointError, Profile
from bench.device import Precision, frozen_precision, place
from bench.memo import Recent
from bench.weights import check_tokenizer, hub_folder, require_files
from methods.acceleration import (
    Accelerated,
    Acceleration,
    choose_acceleration,
    choose_layout,
    padded_size,
)
from methods.riffusion.autoencoder import Autoencoder
from methods.riffusion.checkpoints import FILES, MINI_FOLDER, RIFFUSION
from methods.riffusion.parameters.settings import Picture, VaeSample
from methods.riffusion.schedule import Schedule, read_schedule
from methods.riffusion.spectrogram import pixels_to_image

PLACEHOLDER = "*"

# Posteriors kept per backbone; one of the full model takes 128 KB.
_MOMENTS_KEPT = 1024
# Bytes of inversions kept per backbone; the noise maps of a window of the full model take 4 MB.
_INVERSIONS_KEPT = 1 << 30
# Layouts of joint passes for which recorded passes are kept; each holds its activations.
_JOINT_PASSES_KEPT = 4
# Weights of a U-Net from which on compiling it pays; the mini profile's has .5 million.
_LARGE = 100_000_000
# Activations of a U-Net's pass in units of its first and widest map; with a backward pass nearly
# all are kept. A first guess: batches are halved where it is too low.
_MAPS, _MAPS_LEARNING = 60, 800


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The VAE's posterior of images: mean and standard deviation, scaled like latents.

    Both are (batch, channel, row, column). Keeping them and drawing from them at each step gives
    the distribution that encoding each time would give.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __getitem__(self, indices: slice | torch.Tensor) -> Moments:
        """The posterior of some of the images."""
        return Moments(self.mean[indices], self.std[indices])

    def __len__(self) -> int:
        """How many images."""
        return int(self.mean.shape[0])


def join_moments(parts: Sequence[Moments]) -> Moments:
    """One batch of several."""
    return Moments(
        torch.cat([part.mean for part in parts]), torch.cat([part.std for part in parts])
    )


def draw_noise(
    shape: Sequence[int], generators: Sequence[torch.Generator], device: torch.device
) -> torch.Tensor:
    """Unit normal noise (len(generators), *shape), one CPU generator per item."""
    draws = [torch.randn(tuple(shape), generator=generator) for generator in generators]
    return place(torch.stack(draws), device)


def draw_latents(
    moments: Moments, generators: Sequence[torch.Generator], vae_sample: VaeSample = "sample"
) -> torch.Tensor:
    """Latents z_0 of images: a draw from the posterior, or its mode.

    The noise is drawn either way, so that this switch leaves all later draws of a generator alone.
    """
    noise = draw_noise(moments.mean.shape[1:], generators, moments.mean.device)
    return place_latents(moments, noise, vae_sample)


def place_latents(moments: Moments, noise: torch.Tensor, vae_sample: VaeSample) -> torch.Tensor:
    """The latents that unit noise picks from the posterior, or its mode."""
    return moments.mean + moments.std * noise if vae_sample == "sample" else moments.mean


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The library objects of a backbone."""

    vae: Any  # diffusers.AutoencoderKL
    unet: Any  # diffusers.UNet2DConditionModel
    text_encoder: Any  # transformers.CLIPTextModel
    tokenizer: Any  # transformers.CLIPTokenizer


class Backbone:
    """A frozen latent diffusion model with a placeholder word.

    Args:
        parts: The library objects; put into evaluation mode, their gradients switched off.
        schedule: The noise schedule they were trained with.
        device: "cpu", "cuda:0", "mps".

    Attributes:
        inversions: What was inverted by this model, by what decides it (`editing.kept`).

    Raises:
        CheckpointError: The placeholder is not exactly one known token, or text and U-Net widths
            differ.
    """

    def __init__(self, parts: Parts, schedule: Schedule, device: str = "cpu") -> None:
        self.device = torch.device(device)
        for module in (parts.vae, parts.unet, parts.text_encoder):
            module.eval().requires_grad_(False).to(device)
        way = choose_acceleration(self.device, large=_weights_of(parts.unet) >= _LARGE)
        self.parts = parts
        self._lay_out(way)
        self.schedule = schedule.to(device)
        self.placeholder_id = self.find_token(PLACEHOLDER)
        self.context_dim = int(parts.text_encoder.config.hidden_size)
        if self.context_dim != parts.unet.config.cross_attention_dim:
            raise CheckpointError(
                f"text encoder is {self.context_dim} wide, the U-Net expects "
                f"{parts.unet.config.cross_attention_dim}; "
                "both must agree. Take both from one checkpoint."
            )
        self._token_embedding = find_by_suffix(parts.text_encoder, "token_embedding")
        self._position_embedding = find_by_suffix(parts.text_encoder, "position_embedding")
        self._moments: Recent[Moments] = Recent(_MOMENTS_KEPT)
        self.inversions: Recent[torch.Tensor] = Recent(_INVERSIONS_KEPT, lambda kept: kept.nbytes)
        self._prompts: dict[str, torch.Tensor] = {}
        self._pass = Accelerated(
            "the U-Net", self._plain_pass, way, parts.unet.dtype, size_for=padded_size
        ).laid_out_by(self._lay_out)
        in_half = parts.unet.dtype in (torch.float16, torch.bfloat16)
        self._joint: Recent[Accelerated] = Recent(_JOINT_PASSES_KEPT)
        self._joint_way: Acceleration = "eager" if way == "eager" else "graph"
        self._vae = Autoencoder(parts.vae, self.device, way, in_half=in_half)

    @property
    def latent_reduction(self) -> int:
        """Image columns per latent column."""
        return int(2 ** (len(self.parts.vae.config.block_out_channels) - 1))

    def encode(self, images: torch.Tensor) -> Moments:
        """Posterior of images (batch, mel, frame), uint8; remembered per image.

        On the CPU images go through the VAE one at a time, so that an image's posterior does not
        depend on the others of the batch.
        """
        keys = [_key_of(image) for image in images]
        keyed = dict(zip(keys, images, strict=True))
        held = {key: self._moments.find(key) for key in keyed}
        known = {key: moments for key, moments in held.items() if moments is not None}
        new = [key for key in keyed if key not in known]
        made = self._vae.encode([keyed[key] for key in new])
        known |= {
            key: self._moments.keep(key, Moments(*posterior))
            for key, posterior in zip(new, made, strict=True)
        }
        return join_moments([known[key] for key in keys])

    def decode(self, latents: torch.Tensor, picture: Picture = "rounded") -> torch.Tensor:
        """Images (batch, mel, frame), uint8 on the CPU: first channel, clamped, rounded or cut."""
        images = [pixels_to_image(pixels, picture) for pixels in self._vae.decode(latents)]
        return torch.cat(images).cpu()

    def predict_noise(
        self, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        """Noise in latents at timesteps (batch,), given contexts (batch, token, dim)."""
        counts.count("unet")
        dtype = self.parts.unet.dtype
        noise = self._pass(latents.to(dtype), timesteps, contexts.to(dtype))
        return noise.to(latents.dtype)

    def predict_jointly(
        self,
        layout: Hashable,
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        contexts: torch.Tensor,
    ) -> torch.Tensor:
        """The same where rows see each other, as the attention that is in place lets them.

        Nothing is padded, and a recorded pass is never shared with another layout.

        Args:
            layout: All that decides how rows see each other.
            latents: (batch, channel, row, column).
            timesteps: (batch,).
            contexts: (batch, token, dim).
        """
        counts.count("unet")
        dtype = self.parts.unet.dtype
        joint = self._joint.get(
            layout,
            lambda: Accelerated("the joint U-Net", self._plain_pass, self._joint_way, dtype),
        )
        return joint(latents.to(dtype), timesteps, contexts.to(dtype)).to(latents.dtype)

    def _lay_out(self, way: Acceleration) -> None:
        """Bring the maps of the U-Net into the layout that suits a way of passing them."""
        self.parts.unet.to(memory_format=choose_layout(self.device, way))

    def _plain_pass(
        self, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        prediction: torch.Tensor = self.parts.unet(
            latents, timesteps, encoder_hidden_states=contexts
        ).sample
        return prediction

    def bytes_per_row(self, shape: Sequence[int], *, learning: bool) -> int:
        """About what one row of latents (..., row, column) takes in a pass, activations and all."""
        widest_map = math.prod(shape[-2:]) * int(self.parts.unet.config.block_out_channels[0])
        return (
            widest_map
            * int(self.parts.unet.dtype.itemsize)
            * (_MAPS_LEARNING if learning else _MAPS)
        )

    def find_token(self, word: str) -> int:
        """The id of a word that is exactly one token.

        Raises:
            CheckpointError: It is several tokens, or none that the tokenizer knows.
        """
        tokenizer = self.parts.tokenizer
        tokens: list[str] = tokenizer.tokenize(word)
        ids: list[int] = tokenizer.convert_tokens_to_ids(tokens)
        if len(ids) != 1 or self._is_unknown(word, ids[0]):
            raise CheckpointError(
                f"{word!r} is {len(ids)} tokens ({' '.join(tokens)}) for this model; it must be "
                "one that it knows. Choose another word."
            )
        return int(ids[0])

    def _is_unknown(self, word: str, token: int) -> bool:
        """Whether the tokenizer does not know a word; its unknown token is also the end of text."""
        tokenizer = self.parts.tokenizer
        return bool(token == tokenizer.unk_token_id and word != tokenizer.unk_token)

    def word_embedding(self, word: str, *, with_position: bool = False) -> torch.Tensor:
        """The embedding of a one-token word, (dim,), on request with that of position 0."""
        row: torch.Tensor = self._token_embedding.weight[self.find_token(word)]
        return row + self._position_embedding.weight[0] if with_position else row.clone()

    def encode_prompt(self, prompt: str) -> torch.Tensor:
        """Context (1, token, dim) of a text: the last hidden state after the final norm."""
        if prompt not in self._prompts:
            with torch.no_grad():
                self._prompts[prompt] = self._encode_ids(self._tokenize(prompt))
        return self._prompts[prompt]

    def encode_empty(self, beside: str) -> torch.Tensor:
        """Context (1, token, dim) of the empty prompt; it is the same beside any text."""
        return self.encode_prompt("")

    def encode_placeholder(self, rows: torch.Tensor) -> torch.Tensor:
        """Contexts (batch, token, dim) of "*" with its embedding replaced by rows (batch, dim).

        Gradients flow to `rows`. Positions before the placeholder do not change, because the
        encoder is causal.
        """
        ids = self._tokenize(PLACEHOLDER).expand(len(rows), -1)
        with self._placeholder_as(rows, ids):
            return self._encode_ids(ids)

    def _tokenize(self, prompt: str) -> torch.Tensor:
        tokenizer = self.parts.tokenizer
        longest = min(
            tokenizer.model_max_length, self.parts.text_encoder.config.max_position_embeddings
        )
        ids = tokenizer(prompt, padding="max_length", max_length=longest, truncation=True)[
            "input_ids"
        ]
        return torch.tensor([ids], device=self.device)

    def _encode_ids(self, ids: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.parts.text_encoder(input_ids=ids).last_hidden_state
        return states

    @contextmanager
    def _placeholder_as(self, rows: torch.Tensor, ids: torch.Tensor) -> Iterator[None]:
        """Swap the embedding where the placeholder stands; nothing is written in place."""
        chosen = (ids == self.placeholder_id)[..., None]

        def swap(_module: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
            return torch.where(chosen, rows[:, None].to(output.dtype), output)

        handle = self._token_embedding.register_forward_hook(swap)
        try:
            yield
        finally:
            handle.remove()


def _key_of(image: torch.Tensor) -> str:
    words = image.cpu().numpy().tobytes() + str(tuple(image.shape)).encode()
    return hashlib.sha256(words).hexdigest()


def _weights_of(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def find_by_suffix(model: nn.Module, suffix: str) -> nn.Embedding:
    """An embedding by the end of its name; transformers 4 and 5 differ in what comes before."""
    for name, module in model.named_modules():
        if name.endswith(suffix) and isinstance(module, nn.Embedding):
            return module
    raise CheckpointError(
        f"the text encoder has no embedding named ...{suffix}; it must be a CLIP text model."
    )


def read_backbone(folder: Path, device: str = "cpu", precision: Precision = "float32") -> Backbone:
    """Load a diffusers-style folder (vae, unet, text_encoder, tokenizer, scheduler).

    The U-Net is loaded in `precision`, everything else in float32. Pickled weights are read without
    executing code: both libraries pass weights_only to torch.load.

    Raises:
        CheckpointError: A file is missing, or the tokenizer is empty.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    require_files(folder, FILES, "the Riffusion model")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"))
    check_tokenizer(tokenizer, folder / "tokenizer")
    parts = Parts(
        vae=_read(AutoencoderKL, folder / "vae", {"torch_dtype": torch.float32}),
        unet=_read(
            UNet2DConditionModel, folder / "unet", {"torch_dtype": getattr(torch, precision)}
        ),
        text_encoder=_read(CLIPTextModel, folder / "text_encoder", {"dtype": torch.float32}),
        tokenizer=tokenizer,
    )
    config = json.loads(
        (folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8")
    )
    return Backbone(parts, read_schedule(config), device)


def _read(library_class: Any, folder: Path, dtype: dict[str, torch.dtype]) -> Any:  # noqa: ANN401 - untyped libraries
    """A model in a format; `dtype` calls that argument as its library does."""
    safe = any(folder.glob("*.safetensors"))
    options = {**dtype, "use_safetensors": safe, "local_files_only": True}
    return library_class.from_pretrained(str(folder), **options)


def load_backbone(profile: Profile, device: str) -> Backbone:
    """The backbone of a profile, shared by all methods of this process.

    Raises:
        CheckpointError: Weights are missing; the message names the file and the way out.
    """
    return _load_backbone(profile, device, frozen_precision(device))


@lru_cache(maxsize=2)
def _load_backbone(profile: Profile, device: str, precision: Precision) -> Backbone:
    folder = MINI_FOLDER if profile == "mini" else hub_folder(RIFFUSION)
    return read_backbone(folder, device, precision)
