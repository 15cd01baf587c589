"""The device under measurement: networks at full or reduced size, audio to feed them, a clock."""

from __future__ import annotations

import copy
import gc
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import ClapConfig, ClapModel, MusicgenMelodyForConditionalGeneration

from bench.api import Audio, Clip
from bench.device import frozen_precision, synchronise
from bench.plan.suite import load_suite
from bench.seeds import generator
from methods.acceleration import VARIABLE
from methods.musicgen.checkpoints import MINI_FOLDER
from methods.musicgen.loading import load_folder
from methods.riffusion.backbone import Backbone, Parts
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.fitting.learning import initial_embedding
from methods.riffusion.pretrain import mini_models
from methods.riffusion.rendering import Riffusion, StyleImages
from methods.riffusion.schedule import make_schedule
from methods.riffusion.spectrogram import MINI_PARAMETERS, SpectrogramParameters
from metrics.clap import laion_files, mini
from metrics.clap.embedder import ClapEmbedder, Towers
from tests.benchmarks.full_architectures import melody_model, stable_diffusion

WINDOW_S = 5.12
CLIP_S = 5.0
CHUNK = load_suite("table2").chunk_size


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is computed.

    Args:
        matmul: Sides of the square matrices.
        unet_rows: Rows of a forward pass.
        fit_steps: Two numbers of steps, whose difference is timed.
        contents: Stylised together: first as a run of the suite `table2` chunks them.
        images: Through the VAE.
        sounds: Through Griffin-Lim together.
        music: Clips generated together, likewise.
        frames: Of each; 50 are a second.
        windows: Clips embedded by CLAP.
        repetitions: At most, of each measurement.
        most_s: A measurement ends after the repetition that passes this many seconds.
    """

    matmul: tuple[int, ...] = (8192, 16384)
    unet_rows: tuple[int, ...] = (2, 16, 64)
    fit_steps: tuple[int, int] = (10, 50)
    contents: tuple[int, ...] = (CHUNK, 32)
    images: int = 8
    sounds: int = 8
    music: tuple[int, ...] = (CHUNK, 8)
    frames: int = 250
    windows: int = 64
    repetitions: int = 7
    most_s: float = 8.0


REDUCED = Sizes(
    matmul=(512, 1024), unet_rows=(2, 8), fit_steps=(2, 6), contents=(2, 4), images=4, sounds=4,
    music=(2, 4), frames=50, windows=8, repetitions=3, most_s=4.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rig:
    """What every stage works with.

    Args:
        device: Such as "cuda:0".
        reduced: Small networks in place of the full ones.
        sizes: How much is computed.
        master: The diffusion model's parts in float32 on the CPU; stages take copies.
    """

    device: str
    reduced: bool
    sizes: Sizes
    master: Parts

    @property
    def codec(self) -> SpectrogramParameters:
        """The codec of the networks' size."""
        return MINI_PARAMETERS if self.reduced else SpectrogramParameters(sample_rate=44_100)

    @property
    def sample_rate(self) -> int:
        """Of contents, Hz."""
        return int(self.codec.sample_rate or 44_100)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return self.codec.num_mels, self.codec.num_frames

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a latent."""
        channels = int(self.master.unet.config.in_channels)
        return channels, self.codec.num_mels // 8, self.codec.num_frames // 8

    def copy_parts(self, unet_dtype: torch.dtype = torch.float32) -> Parts:
        """A copy of the parts on the device, the U-Net in a format."""
        parts = copy.deepcopy(self.master)
        for module in (parts.vae, parts.text_encoder):
            module.to(self.device)
        # Past the library's own `to`, which warns of any format.
        nn.Module.to(parts.unet, device=self.device, dtype=unet_dtype)
        return parts

    def backbone(self, precision: str | None = None) -> Backbone:
        """The engine around a copy; by default in the format that it chooses for the device."""
        dtype = getattr(torch, precision or frozen_precision(self.device))
        return Backbone(self.copy_parts(dtype), make_schedule(), self.device)

    def model(self, backbone: Backbone) -> Riffusion:
        """What renders with a backbone."""
        return Riffusion(backbone, self.codec, self.sample_rate, WINDOW_S)

    def learner(self, backbone: Backbone, seed: int = 0) -> TimeVaryingEmbedding:
        """An embedding at its random start."""
        torch.manual_seed(seed)
        start = initial_embedding(backbone, "letter_n")
        return TimeVaryingEmbedding(start, "live").to(backbone.device)

    def images(self, count: int, seed: int) -> torch.Tensor:
        """Random images that no VAE has seen, uint8."""
        drawn = torch.randint(0, 256, (count, *self.image_shape), generator=generator(seed))
        return drawn.to(torch.uint8)

    def style_images(self, backbone: Backbone, seed: int) -> StyleImages:
        """Three images of a style, encoded."""
        moments = backbone.encode(self.images(3, seed))
        weights = torch.ones(3, 1, 1, self.latent_shape[2], device=backbone.device)
        return StyleImages(moments, weights)

    def clip(self, seed: int, rate: int | None = None) -> Clip:
        """Five seconds of noise that nobody has heard before."""
        samples = round(CLIP_S * (rate or self.sample_rate))
        drawn = np.random.default_rng(seed).uniform(-0.5, 0.5, (1, samples))
        audio = Audio(drawn.astype(np.float32), rate or self.sample_rate)
        return Clip(f"noise {seed}", "noise", audio)


def make_rig(device: str, *, reduced: bool, quick: bool = False) -> Rig:
    """Build the diffusion model's parts; on the device, whose generator is faster, then moved."""
    sizes = REDUCED if reduced else Sizes()
    if quick:
        sizes = replace(sizes, repetitions=1, most_s=1.0)
    torch.manual_seed(0)
    with torch.device(device):
        parts = small_diffusion() if reduced else stable_diffusion()
    for module in (parts.vae, parts.unet, parts.text_encoder):
        module.to("cpu")
    free(device)
    return Rig(device, reduced, sizes, parts)


def small_diffusion() -> Parts:
    """The mini profile's architecture, untrained."""
    tokenizer = mini_models.build_tokenizer(["n", "music"])
    return Parts(
        mini_models.build_autoencoder(),
        mini_models.build_unet(),
        mini_models.build_text_encoder(tokenizer),
        tokenizer,
    )


def melody(rig: Rig) -> MusicgenMelodyForConditionalGeneration:
    """MusicGen melody on the device, its decoder in the engine's format."""
    if rig.reduced:
        return load_folder(MINI_FOLDER, rig.device).model
    with torch.device(rig.device):
        model: Any = melody_model()
    model = model.to(rig.device)
    model.decoder.to(getattr(torch, frozen_precision(rig.device)))
    found: MusicgenMelodyForConditionalGeneration = model
    return found


def embedder(rig: Rig) -> ClapEmbedder:
    """CLAP on the device, untrained."""
    words = mini.vocabulary(["a piano", "a violin"])
    tokenizer = mini.build_tokenizer(words)
    if rig.reduced:
        model, extractor = mini.build_model(len(words)), mini.build_extractor()
    else:
        model, extractor = ClapModel(ClapConfig()), laion_files.build_extractor()
    towers = Towers(model.train(mode=False), extractor, tokenizer, None)
    return ClapEmbedder(towers, "random", rig.device)


def clock(
    rig: Rig, work: Callable[[int], object], *, warm_ups: int = 1, repetitions: int | None = None
) -> list[float]:
    """Seconds of each repetition; `work` is told its number, so that it can take fresh input."""
    for number in range(warm_ups):
        work(-1 - number)
    seconds: list[float] = []
    most = repetitions or rig.sizes.repetitions
    while len(seconds) < most and (not seconds or sum(seconds) < rig.sizes.most_s):
        synchronise(rig.device)
        begun = time.perf_counter()
        work(len(seconds))
        synchronise(rig.device)
        seconds.append(time.perf_counter() - begun)
    return seconds


def median(seconds: list[float]) -> float:
    """The middle of some repetitions."""
    return float(np.median(seconds))


@contextmanager
def recorded_alone(device: str) -> Iterator[None]:
    """Keep backbones made in a block from being compiled, where a minute for that gains nothing."""
    if not device.startswith("cuda"):
        yield
        return
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = before or "graph"
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]


def free(device: str) -> None:
    """Give back what no stage holds any more."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
