"""ACE-Step's pipeline as a cover of a content in the timbre of a style, with its own draws.

The pipeline of the library encodes both sounds by draws from the global generator, whatever
generator it is given. Here it is handed latents instead, which are the means of what it would draw
from, so that a seed decides an output.

**Conventions**: latents are float32 (batch, frame, dim), 25 frames a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import torch
from diffusers import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
    AceStepPipeline,
    AceStepTransformer1DModel,
    AutoencoderOobleck,
    FlowMatchEulerDiscreteScheduler,
)
from torch import Tensor
from transformers import AutoModel

from bench.api import CheckpointError, Waveform
from bench.device import Precision, frozen_precision
from bench.weights import hub_folder, require_files
from methods.pipelines.checkpoints import ACE_STEP, ACE_STEP_FILES, ACE_STEP_RATE
from methods.pipelines.parameters import AceStepParameters
from methods.pipelines.parts import (
    as_channels,
    read_network,
    read_reduced,
    read_text_encoder,
    read_tokenizer,
    settle,
)
from methods.pipelines.schedules import flow_times

REFERENCE_S = 30  # of sound in which the timbre is heard, in three parts
_PART_S = REFERENCE_S // 3
# What the model was trained to read where nobody sings.
_NO_LYRICS = "[Instrumental]"


@final
class CoverPipeline(AceStepPipeline):  # type: ignore[misc]  # diffusers is untyped
    """The pipeline of the library, which is handed latents in place of both sounds."""

    def prepare_reference_audio_latents(
        self, reference_audio: Tensor, batch_size: int, device: torch.device, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """The latents of the style as they were given, and which of them belongs to whom."""
        latents = reference_audio.to(device=device, dtype=dtype).expand(batch_size, -1, -1)
        return latents, torch.arange(batch_size, device=device)

    def prepare_src_latents(
        self, *, device: torch.device, dtype: torch.dtype, src_audio: Tensor, **_others: object
    ) -> tuple[Tensor, int]:
        """What is left of the latents of the content when they have been codes, and its length."""
        given, silence = (
            tensor.to(device=device, dtype=dtype)
            for tensor in (src_audio, self.condition_encoder.silence_latent)
        )
        codes, _ = self.audio_tokenizer.tokenize(given, silence)
        frames = given.shape[1]
        return self.audio_token_detokenizer(codes)[:, :frames].contiguous(), frames


@dataclass(frozen=True, slots=True)
class Cover:
    """What is to be covered.

    Args:
        content: Mono, at the pipeline's rate, (sample,).
        timbre: Latents of the style (1, frame, dim).
        text: The prompt.
        parameters: How.
        noise: Draws what the latents begin with.
    """

    content: Waveform
    timbre: Tensor
    text: str
    parameters: AceStepParameters
    noise: torch.Generator


def reference_of(waveform: Waveform, sample_rate: int) -> Waveform:
    """The 30 s in which the timbre of a sound is heard, as the pipeline of the library cuts them.

    A shorter sound is repeated; of a longer one the first 10 s, those from a third of it on, and
    the last 10 s are taken.

    Args:
        waveform: Mono, (sample,).
        sample_rate: Hz.
    """
    whole, part = REFERENCE_S * sample_rate, _PART_S * sample_rate
    heard = torch.from_numpy(waveform.copy())
    heard = heard.repeat(max(1, -(-whole // len(heard))))
    starts = (0, len(heard) // 3, len(heard) - part)
    joined: Waveform = torch.cat([heard[start : start + part] for start in starts]).numpy()
    return joined


@torch.no_grad()
def encode(pipeline: AceStepPipeline, waveform: Waveform) -> Tensor:
    """The mean latents (1, frame, dim) of a sound (sample,), on both channels alike."""
    sound = as_channels([waveform], pipeline.vae.config.audio_channels).to(pipeline.vae.device)
    latents: Tensor = pipeline.vae.encode(sound).latent_dist.mode().transpose(1, 2)
    return latents


@torch.no_grad()
def cover(pipeline: AceStepPipeline, job: Cover) -> Waveform:
    """The cover of a content, as the mean of the pipeline's channels (sample,)."""
    parameters = job.parameters
    content = encode(pipeline, job.content)
    noise = torch.randn(content.shape, generator=job.noise).to(content.device)
    share = parameters.strength
    audio = pipeline(
        prompt=[job.text],
        lyrics=[_NO_LYRICS],
        task_type="cover",
        audio_duration=len(job.content) / pipeline.sample_rate,
        src_audio=content,
        reference_audio=job.timbre,
        latents=(1 - share) * content + share * noise,
        timesteps=list(flow_times(share, parameters.num_inference_steps)),
        num_inference_steps=parameters.num_inference_steps,
        guidance_scale=parameters.guidance_scale,
        audio_cover_strength=parameters.audio_cover_strength,
    ).audios
    made: Waveform = audio[0].mean(dim=0).cpu().numpy()
    return made


def load_cover(device: str) -> CoverPipeline:
    """The pipeline of the published checkpoint, shared by all who ask for it in this process.

    Raises:
        CheckpointError: It is not here, incomplete, or of another rate.
    """
    return _load_cover(device, frozen_precision(device))


@lru_cache(maxsize=1)
def _load_cover(device: str, precision: Precision) -> CoverPipeline:
    folder = hub_folder(ACE_STEP)
    pipeline = read_cover(folder, device, precision)
    if pipeline.sample_rate != ACE_STEP_RATE:
        raise CheckpointError(
            f"ACE-Step: {folder} holds a model of {pipeline.sample_rate} Hz; it must be "
            f"{ACE_STEP_RATE} Hz. Fetch {ACE_STEP.id} again."
        )
    return pipeline


def read_cover(folder: Path, device: str, precision: Precision = "float32") -> CoverPipeline:
    """Read a pipeline of the library's layout; its transformer works in `precision`.

    Raises:
        CheckpointError: A file is missing, or the tokenizer is empty.
    """
    require_files(folder, ACE_STEP_FILES, "ACE-Step")
    networks: dict[str, Any] = {
        "vae": read_network(AutoencoderOobleck, folder / "vae"),
        "text_encoder": read_text_encoder(AutoModel, folder / "text_encoder"),
        "transformer": read_reduced(AceStepTransformer1DModel, folder / "transformer", precision),
        "condition_encoder": read_network(AceStepConditionEncoder, folder / "condition_encoder"),
        "audio_tokenizer": read_network(AceStepAudioTokenizer, folder / "audio_tokenizer"),
        "audio_token_detokenizer": read_network(
            AceStepAudioTokenDetokenizer, folder / "audio_token_detokenizer"
        ),
    }
    settle(networks.values(), device)
    networks["vae"].enable_tiling()  # as its authors do: memory stays bounded in long pieces
    pipeline = CoverPipeline(
        **networks,
        tokenizer=read_tokenizer(folder / "tokenizer"),
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
