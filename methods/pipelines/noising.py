"""Stable Audio's pipeline from audio to audio, with a level of noise to begin at.

The pipeline of the library adds the content's latents to noise of the highest level and has no knob
for it. The level follows from the noise schedule alone, so a schedule that begins lower is all that
is needed; it takes deterministic steps, for the published one draws noise at each by a library that
is not installed here.

**Conventions**: latents are float32 (batch, dim, frame); a window is as many samples as the
transformer has frames of.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import torch
from diffusers import (
    AutoencoderOobleck,
    EDMDPMSolverMultistepScheduler,
    StableAudioDiTModel,
    StableAudioPipeline,
    StableAudioProjectionModel,
)
from torch import Tensor
from transformers import T5EncoderModel

from bench.api import CheckpointError, Waveform
from bench.device import Precision, frozen_precision
from bench.seeds import generator
from bench.weights import hub_folder, refusals, require_files
from methods.pipelines.checkpoints import STABLE_AUDIO, STABLE_AUDIO_FILES, STABLE_AUDIO_RATE
from methods.pipelines.parameters import WEAKEST, StableAudioParameters
from methods.pipelines.parts import (
    as_channels,
    read_network,
    read_reduced,
    read_text_encoder,
    read_tokenizer,
    settle,
)
from methods.pipelines.schedules import start_sigma


@final
class AngularScheduler(EDMDPMSolverMultistepScheduler):  # type: ignore[misc]  # diffusers is untyped
    """DPM-Solver++ of second order whose times are angles, as Stable Audio was trained with.

    References:
        Lu et al. (2022), DPM-Solver++, arXiv 2211.01095, algorithm 2; times as in the schedule
        that is published with the model, which is this one with noise at every step.
    """

    @property
    def init_noise_sigma(self) -> float:
        """Of the noise that is added to a content: the first level itself."""
        return float(self.config.sigma_max)

    def precondition_noise(self, sigma: float | Tensor) -> Tensor:
        """The time of a level of noise: (2/pi) atan(sigma), in [0, 1)."""
        return torch.as_tensor(sigma).atan() * (2 / math.pi)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of noise that a model was trained with, in units of its latents' deviation."""

    lowest: float
    highest: float

    def schedule(self, strength: float) -> AngularScheduler:
        """A schedule from a strength down to the lowest level, and from there to none."""
        return AngularScheduler(
            sigma_min=self.lowest,
            sigma_max=start_sigma(strength, self.highest),
            sigma_data=1.0,
            sigma_schedule="exponential",
            prediction_type="v_prediction",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A window of a content that is to be rendered.

    Args:
        sound: Mono, at the pipeline's rate, (sample,), at most as long as the model's window.
        text: The prompt.
        seed: Of its noise.
    """

    sound: Waveform
    text: str
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Noiser:
    """Stable Audio with the levels of noise that it knows."""

    pipeline: StableAudioPipeline
    levels: Levels

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return int(self.pipeline.vae.config.sampling_rate)

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        device: torch.device = self.pipeline.vae.device
        return device

    @property
    def window(self) -> int:
        """Samples that it renders at once."""
        return int(self.pipeline.transformer.config.sample_size * self.pipeline.vae.hop_length)

    @torch.no_grad()
    def render(
        self, windows: Sequence[Window], parameters: StableAudioParameters
    ) -> list[Waveform]:
        """Render windows of one length together, each from its own seed.

        Returns:
            Per window the mean of the pipeline's channels, (sample,), as long as the window.
        """
        pipeline, samples = self.pipeline, len(windows[0].sound)
        pipeline.scheduler = self.levels.schedule(parameters.strength)
        sounds = as_channels([w.sound for w in windows], pipeline.vae.config.audio_channels)
        padded = torch.nn.functional.pad(sounds, (0, self.window - samples))
        latents = pipeline(
            prompt=[window.text for window in windows],
            audio_end_in_s=samples / self.sample_rate,
            num_inference_steps=parameters.num_inference_steps,
            guidance_scale=parameters.guidance_scale,
            generator=[generator(window.seed) for window in windows],
            initial_audio_waveforms=padded.to(self.device),
            initial_audio_sampling_rate=self.sample_rate,
            output_type="latent",
        ).audios
        return [self._decode(one[None])[:samples] for one in latents]

    def _decode(self, latents: Tensor) -> Waveform:
        """One at a time, for this is where most of the memory goes."""
        sound: Waveform = self.pipeline.vae.decode(latents).sample[0].mean(dim=0).cpu().numpy()
        return sound


def read_levels(path: Path) -> Levels:
    """The levels of noise in the configuration of a published schedule.

    Raises:
        CheckpointError: It holds none, or none that make sense.
    """
    with refusals(path, f"The levels of noise were expected. Fetch {STABLE_AUDIO.id} again."):
        stored = json.loads(path.read_text(encoding="utf-8"))
        levels = Levels(float(stored["sigma_min"]), float(stored["sigma_max"]))
        if not 0 < levels.lowest < start_sigma(WEAKEST, levels.highest):
            raise ValueError(f"sigma_min {levels.lowest} and sigma_max {levels.highest}")
    return levels


def load_noiser(device: str) -> Noiser:
    """The published pipeline, shared by all who ask for it in this process.

    Raises:
        CheckpointError: It is not here, incomplete, or of another rate.
    """
    return _load_noiser(device, frozen_precision(device))


@lru_cache(maxsize=1)
def _load_noiser(device: str, precision: Precision) -> Noiser:
    folder = hub_folder(STABLE_AUDIO)
    noiser = read_noiser(folder, device, precision)
    if noiser.sample_rate != STABLE_AUDIO_RATE:
        raise CheckpointError(
            f"Stable Audio: {folder} holds a model of {noiser.sample_rate} Hz; it must be "
            f"{STABLE_AUDIO_RATE} Hz. Fetch {STABLE_AUDIO.id} again."
        )
    return noiser


def read_noiser(folder: Path, device: str, precision: Precision = "float32") -> Noiser:
    """Read a pipeline of the library's layout; its transformer works in `precision`.

    Raises:
        CheckpointError: A file is missing, or the tokenizer is empty.
    """
    require_files(folder, STABLE_AUDIO_FILES, "Stable Audio")
    networks: dict[str, Any] = {
        "vae": read_network(AutoencoderOobleck, folder / "vae"),
        "text_encoder": read_text_encoder(T5EncoderModel, folder / "text_encoder"),
        "projection_model": read_network(StableAudioProjectionModel, folder / "projection_model"),
        "transformer": read_reduced(StableAudioDiTModel, folder / "transformer", precision),
    }
    settle(networks.values(), device)
    networks["vae"].enable_slicing()
    levels = read_levels(folder / "scheduler/scheduler_config.json")
    pipeline = StableAudioPipeline(
        **networks,
        tokenizer=read_tokenizer(folder / "tokenizer"),
        scheduler=levels.schedule(1.0),
    )
    pipeline.set_progress_bar_config(disable=True)
    return Noiser(pipeline, levels)
