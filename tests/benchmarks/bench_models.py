"""What the kernels of a mini run cost: `python -m pytest tests/benchmarks/bench_models.py`.

Not collected by default. Times are of this machine; compare them within one session only. How busy
the machine was stands beside them, see `tests/benchmarks/watching.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from bench.api import Audio, Clip, FitRequest, Style, StyleState, TransferRequest
from bench.audio import resample
from bench.data.cards import load_dataset
from bench.run.calibration import kernel_s
from methods.musicgen.checkpoints import describe
from methods.musicgen.method import MusicgenMelody
from methods.riffusion.conditioning import LearntConditioning, PromptConditioning
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.fitting.draws import Ahead
from methods.riffusion.fitting.inversion import begin_fit
from methods.riffusion.fitting.learning import initial_embedding
from methods.riffusion.fitting.training import train
from methods.riffusion.parameters.settings import FittingPlan
from methods.riffusion.rendering import Riffusion, draw_image, load_riffusion, read_style
from methods.riffusion.spectrogram import decode, encode, image_to_mel, invert_mel
from methods.riffusion.stylisation import predict_guided
from metrics.clap.embedder import ClapEmbedder, load_embedder

pytest_plugins = ["tests.benchmarks.watching"]
PLAN = FittingPlan(100, 4, 5e-3, 0.01)


@pytest.fixture(scope="module")
def model() -> Riffusion:
    return load_riffusion("mini", "cpu")


@pytest.fixture(scope="module")
def content() -> Clip:
    return load_dataset("mini").contents[0].read(None)


@pytest.fixture(scope="module")
def style() -> Style:
    source = load_dataset("mini").styles[0]
    return Style(source.id, tuple(clip.read(None) for clip in source.clips[:3]), text=source.text)


def test_encode(benchmark: BenchmarkFixture, model: Riffusion, content: Clip) -> None:
    waveform = torch.from_numpy(content.audio.mono.copy())[None]
    benchmark(encode, waveform, model.codec, content.audio.sample_rate)


def test_inverse_mel(benchmark: BenchmarkFixture, model: Riffusion, content: Clip) -> None:
    image = torch.from_numpy(draw_image(model, content).copy())[None]
    benchmark(invert_mel, image_to_mel(image), model.codec, model.sample_rate)


def test_decode(benchmark: BenchmarkFixture, model: Riffusion, content: Clip) -> None:
    image = torch.from_numpy(draw_image(model, content).copy())[None]
    generators = [torch.Generator().manual_seed(0)]
    benchmark(decode, image, model.codec, model.sample_rate, generators)


@pytest.mark.parametrize("batch", [1, 4])
def test_guided_step(benchmark: BenchmarkFixture, model: Riffusion, batch: int) -> None:
    backbone = model.backbone
    config = backbone.parts.unet.config
    latents = torch.randn(batch, config.in_channels, 16, 32)
    prompts = PromptConditioning(backbone, "bells")
    step = torch.inference_mode()(predict_guided)
    timesteps = torch.full((batch,), 500)
    benchmark(step, backbone.predict_noise, prompts, latents, timesteps, 5.0)


@pytest.mark.parametrize("styles", [1, 3])
def test_training_step(
    benchmark: BenchmarkFixture, model: Riffusion, style: Style, styles: int
) -> None:
    images = read_style(model, style.clips, "resize")
    start = initial_embedding(model.backbone, "init_word:music")
    fits = [
        begin_fit(images, TimeVaryingEmbedding(start), PLAN, seed=seed) for seed in range(styles)
    ]
    benchmark(train, Ahead(model.backbone), fits, 1)


def test_learnt_contexts(benchmark: BenchmarkFixture, model: Riffusion) -> None:
    learner = TimeVaryingEmbedding(initial_embedding(model.backbone, "init_word:music"))
    benchmark(LearntConditioning(model.backbone, learner).cond, torch.arange(0, 1000, 20))


def test_clap_embedding(benchmark: BenchmarkFixture, content: Clip) -> None:
    embedder: ClapEmbedder = load_embedder("mini", "cpu")
    rng = np.random.default_rng(0)

    def embed_new_audio() -> None:
        quiet = np.float32(rng.uniform(0.5, 0.9))  # never seen, so never remembered
        embedder.embed_audio(Audio(content.audio.waveform * quiet, content.audio.sample_rate))

    benchmark(embed_new_audio)


@pytest.mark.parametrize("batch", [1, 4])
def test_musicgen(benchmark: BenchmarkFixture, content: Clip, style: Style, batch: int) -> None:
    method = MusicgenMelody()
    method.load("mini", "cpu")
    parameters = method.Parameters()
    states = method.fit([FitRequest(style, parameters, 0)], lambda *_: None)
    assert isinstance(states[0], StyleState)
    heard = Clip(
        content.id, content.category, resample(content.audio, describe("mini").sample_rate)
    )
    requests = [TransferRequest(heard, states[0], parameters, seed) for seed in range(batch)]
    benchmark.extra_info["seconds of audio"] = batch * content.audio.duration_s
    benchmark.pedantic(method.transfer, (requests,), rounds=3, warmup_rounds=1)


def test_calibration(benchmark: BenchmarkFixture) -> None:
    """The yardstick that the gate divides the other times by."""
    benchmark(kernel_s, "cpu")
