"""AudioLDM 2 as the edits see it: predictions of noise, latents of a spectrogram, and sound.

**Conventions**: spectrograms are (batch, frame, mel) as `mel.log_mel` draws them; latents float32
(batch, channel, row, column), time on rows, already multiplied by the VAE's scaling factor. The
U-Net alone may work in fewer bits. Passes are plain calls on every device.

References:
    Liu et al. (2024), AudioLDM 2, arXiv 2308.05734; `AudioLDM2Pipeline` of diffusers, whose parts
    these are. How the edits' authors use it: code/models.py of HilaManor/AudioEditingCode at commit
    48cec22, steermusic_utils.py of sony/steermusic at commit 67df26f.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import counts
from bench.api import CheckpointError
from bench.device import Precision, frozen_precision
from bench.memo import Recent
from bench.weights import check_tokenizer, hub_folder, require_files
from methods.riffusion.audioldm2.mel import HOP_LENGTH, NUM_MELS, Mel
from methods.riffusion.audioldm2.prompts import TextParts, count_tokens, encode, unpack
from methods.riffusion.backbone import Moments
from methods.riffusion.checkpoints import AUDIOLDM2
from methods.riffusion.conditioning import EMPTY_PROMPT
from methods.riffusion.schedule import Schedule, read_schedule

_INVERSIONS_KEPT = 1 << 30  # bytes; noise maps of a window take 13 MB for each 100 steps


@dataclass(frozen=True, slots=True, eq=False)
class SoundParts:
    """The library objects that make sound of latents, and latents of sound."""

    vae: Any  # diffusers.AutoencoderKL
    unet: Any  # diffusers.AudioLDM2UNet2DConditionModel
    vocoder: Any  # transformers.SpeechT5HifiGan


class AudioLdm2Backbone:
    """The frozen model: `conditioning.Denoiser`, and the way from spectrograms to latents and back.

    Args:
        sound: Put into evaluation mode, their gradients switched off.
        texts: The same.
        schedule: The noise schedule that they were trained with.
        device: "cpu", "cuda:0", "mps".

    Attributes:
        inversions: What was inverted by this model, by what decides it (`editing.kept`).

    Raises:
        CheckpointError: The vocoder takes other spectrograms than are drawn here.
    """

    def __init__(
        self, sound: SoundParts, texts: TextParts, schedule: Schedule, device: str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        networks = (sound.vae, sound.unet, sound.vocoder)
        for network in (*networks, texts.clap, texts.t5, texts.projection, texts.gpt2):
            network.eval().requires_grad_(False).to(device)
        taken = (
            int(np.prod(sound.vocoder.config.upsample_rates)),
            sound.vocoder.config.model_in_dim,
        )
        if taken != (HOP_LENGTH, NUM_MELS):
            raise CheckpointError(
                f"the vocoder makes {taken[0]} samples of a frame of {taken[1]} mels; it must be "
                f"{HOP_LENGTH} of {NUM_MELS}. Use the checkpoint {AUDIOLDM2.title}."
            )
        self.schedule = schedule.to(device)
        self.inversions: Recent[torch.Tensor] = Recent(_INVERSIONS_KEPT, lambda kept: kept.nbytes)
        self._sound, self._texts = sound, texts
        self._contexts: dict[tuple[str, int], torch.Tensor] = {}

    @property
    def latent_reduction(self) -> int:
        """Frames per latent row, and mels per latent column."""
        return int(2 ** (len(self._sound.vae.config.block_out_channels) - 1))

    @property
    def window(self) -> int:
        """Frames of the window that the model was trained on."""
        return int(self._sound.unet.config.sample_size) * self.latent_reduction

    def predict_noise(
        self, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        """Noise in latents at timesteps (batch,), given contexts of `prompts`."""
        counts.count("unet")
        dtype = self._sound.unet.dtype
        told = unpack(contexts.to(dtype), self._texts.widths)
        noise: torch.Tensor = self._sound.unet(
            latents.to(dtype),
            timesteps,
            encoder_hidden_states=told.generated,
            encoder_hidden_states_1=told.states,
            encoder_attention_mask_1=told.mask,
        ).sample
        return noise.to(latents.dtype)

    def encode_prompt(self, prompt: str) -> torch.Tensor:
        """Context (1, token, dim) of a text."""
        return self._encode(prompt, 0)

    def encode_empty(self, beside: str) -> torch.Tensor:
        """Context (1, token, dim) of the empty prompt, filled up to the tokens of a text."""
        return self._encode(EMPTY_PROMPT, count_tokens(self._texts, beside))

    def _encode(self, prompt: str, tokens: int) -> torch.Tensor:
        key = (prompt, max(tokens, count_tokens(self._texts, prompt)))
        if key not in self._contexts:
            self._contexts[key] = encode(self._texts, *key)
        return self._contexts[key]

    @torch.no_grad()
    def encode(self, mels: list[Mel]) -> Moments:
        """Posterior of spectrograms of equal size, whose frames `latent_reduction` divides."""
        pictures = torch.from_numpy(np.stack(mels)[:, None]).to(self.device)
        posterior = self._sound.vae.encode(pictures).latent_dist
        factor = float(self._sound.vae.config.scaling_factor)
        return Moments(posterior.mean * factor, posterior.std * factor)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> list[Mel]:
        """Spectrograms of latents."""
        factor = float(self._sound.vae.config.scaling_factor)
        decoded: torch.Tensor = self._sound.vae.decode(latents / factor).sample[:, 0]
        return list(decoded.cpu().numpy())

    @torch.no_grad()
    def sound(self, mel: Mel) -> torch.Tensor:
        """Waveform (sample,) of a spectrogram, at least `HOP_LENGTH` samples for each frame."""
        waveform: torch.Tensor = self._sound.vocoder(torch.from_numpy(mel).to(self.device))
        return waveform.float().cpu()


def read_audioldm2(
    folder: Path, device: str = "cpu", precision: Precision = "float32"
) -> AudioLdm2Backbone:
    """Load a folder of `AudioLDM2Pipeline`; the U-Net in `precision`, everything else in float32.

    Raises:
        CheckpointError: A file is missing, a tokenizer is empty, or the parts do not fit together.
    """
    import diffusers
    import transformers

    require_files(folder, AUDIOLDM2.files, "the AudioLDM 2 model")
    whole = torch.float32
    sound = SoundParts(
        vae=_read(diffusers.AutoencoderKL, folder / "vae", torch_dtype=whole),
        unet=_read(
            diffusers.AudioLDM2UNet2DConditionModel,
            folder / "unet",
            torch_dtype=getattr(torch, precision),
        ),
        vocoder=_read(transformers.SpeechT5HifiGan, folder / "vocoder", dtype=whole),
    )
    texts = TextParts(
        clap=_read(transformers.ClapModel, folder / "text_encoder", dtype=whole),
        t5=_read(transformers.T5EncoderModel, folder / "text_encoder_2", dtype=whole),
        projection=_read(
            diffusers.AudioLDM2ProjectionModel, folder / "projection_model", torch_dtype=whole
        ),
        gpt2=_read(transformers.GPT2Model, folder / "language_model", dtype=whole),
        clap_tokenizer=_tokenizer(transformers.RobertaTokenizerFast, folder / "tokenizer"),
        t5_tokenizer=_tokenizer(transformers.T5TokenizerFast, folder / "tokenizer_2"),
    )
    config = json.loads((folder / "scheduler/scheduler_config.json").read_text(encoding="utf-8"))
    return AudioLdm2Backbone(sound, texts, read_schedule(config), device)


def _read(library_class: Any, folder: Path, **dtype: torch.dtype) -> Any:  # noqa: ANN401 - untyped libraries
    """A model in a format; `dtype` calls that argument as its library does."""
    safe = any(folder.glob("*.safetensors"))
    return library_class.from_pretrained(
        str(folder), use_safetensors=safe, local_files_only=True, **dtype
    )


def _tokenizer(library_class: Any, folder: Path) -> Any:  # noqa: ANN401 - untyped libraries
    tokenizer = library_class.from_pretrained(str(folder), local_files_only=True)
    check_tokenizer(tokenizer, folder)
    return tokenizer


def load_backbone(device: str) -> AudioLdm2Backbone:
    """The model as it was fetched, shared by all methods of this process.

    Raises:
        CheckpointError: Weights are missing; the message names the file and the way out.
    """
    return _load_backbone(device, frozen_precision(device))


@lru_cache(maxsize=1)
def _load_backbone(device: str, precision: Precision) -> AudioLdm2Backbone:
    return read_audioldm2(hub_folder(AUDIOLDM2), device, precision)
