"""The full-size architectures with random weights: do they build, and does our code drive them?

`python -m tests.benchmarks.full_architectures [riffusion] [musicgen] [clap]` builds each from its
published configuration (no file is fetched), compares the numbers of weights with the published
ones, and takes it through the code of the full profile on the CPU: one step of fitting TVE and one
transfer of two denoising steps; four frames of MusicGen melody; one CLAP embedding. It says what
each took in seconds and memory; all of it stays below 24 GiB.

Sources: Stable Diffusion 1.5 as Riffusion v1 uses it (Rombach et al., 2022); MusicGen melody,
1.5 billion parameters (Copet et al., 2023, arXiv 2306.05284); HTSAT-tiny and RoBERTa as in laion's
630k-audioset-best (Wu et al., 2023, arXiv 2211.06687).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import (
    ClapConfig,
    ClapModel,
    CLIPTextConfig,
    CLIPTextModel,
    EncodecConfig,
    EncodecModel,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForCausalLM,
    MusicgenMelodyForConditionalGeneration,
    T5Config,
    T5EncoderModel,
)

from bench.api import Audio, Clip
from bench.seeds import generator
from methods.musicgen import generation
from methods.musicgen.configuration import number, unnumbered
from methods.musicgen.sampling import Sampling
from methods.riffusion.backbone import Backbone, Parts
from methods.riffusion.conditioning import LearntConditioning, tabulate
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.fitting.inversion import begin_fit
from methods.riffusion.fitting.learning import initial_embedding
from methods.riffusion.fitting.training import train_step
from methods.riffusion.parameters.settings import CanvasSettings
from methods.riffusion.parameters.tve import TveParameters
from methods.riffusion.pretrain.mini_models import build_tokenizer
from methods.riffusion.rendering import Rendering, Riffusion, read_style, render
from methods.riffusion.schedule import make_schedule
from methods.riffusion.spectrogram import SpectrogramParameters
from metrics.clap import laion_files, mini
from metrics.clap.embedder import ClapEmbedder, Towers

RATE = 44_100
LIMIT_GIB = 24.0
# Millions of weights: autoencoder, U-Net and text encoder of Stable Diffusion 1.5; laion's model.
PUBLISHED = {"vae": 83.65, "unet": 859.52, "text encoder": 123.06, "clap": 153.5}


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def peak_gib() -> float:
    """The most memory that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long something took and the peak of memory so far."""
    begun = time.perf_counter()
    yield
    say(f"{what:<44} {time.perf_counter() - begun:8.1f} s   peak {peak_gib():5.1f} GiB")


def count(name: str, model: nn.Module) -> None:
    """Compare the number of weights with the published one, to its last digit.

    Raises:
        ValueError: They differ, so this is another architecture.
    """
    millions = sum(weight.numel() for weight in model.parameters()) / 1e6
    expected = PUBLISHED.get(name)
    if expected is not None and abs(millions - expected) > 0.1:
        raise ValueError(f"{name} has {millions:.2f} million weights; {expected} are published.")
    say(f"{name:<44} {millions:8.2f} million weights")


def noise(seconds: float, rate: int, seed: int) -> Audio:
    """Something to hear."""
    drawn = np.random.default_rng(seed).uniform(-0.5, 0.5, (1, round(seconds * rate)))
    return Audio(drawn.astype(np.float32), rate)


def stable_diffusion() -> Parts:
    """The parts of Stable Diffusion 1.5, untrained; the tokenizer knows few words."""
    tokenizer = build_tokenizer(["n", "music", "piano", "violin"])
    tokenizer.model_max_length = 77
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        sample_size=512,
    )
    unet = UNet2DConditionModel(
        sample_size=64, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=768
    )
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49_408,
            hidden_size=768,
            intermediate_size=3072,
            num_hidden_layers=12,
            num_attention_heads=12,
        )
    )
    for name, model in (("vae", vae), ("unet", unet), ("text encoder", text)):
        count(name, model)
    return Parts(vae, unet, text, tokenizer)


def riffusion() -> None:
    """One step of fitting TVE, and one transfer of two denoising steps with guidance."""
    with timed("riffusion: build"):
        backbone = Backbone(stable_diffusion(), make_schedule())
    model = Riffusion(backbone, SpectrogramParameters(sample_rate=RATE), RATE, 5.12)
    parameters = TveParameters(
        preset="paper", strength=0.5, guidance_scale=3.5, num_inference_steps=4
    )
    plan = parameters.plan()
    with timed("riffusion: spectrogram and posterior of a clip"):
        clip = Clip("noise", "noise", noise(5.0, RATE, 0))
        images = read_style(model, [clip], parameters.fit_width_mode)
    learner = TimeVaryingEmbedding(initial_embedding(backbone, parameters.chosen_e0()))
    fit = begin_fit(images, learner, plan, seed=0)
    with timed("riffusion: one step of fitting TVE, batch 1"):
        train_step(backbone, [fit])
    settings = parameters.stylisation()
    route = settings.itinerary()
    table = tabulate(
        LearntConditioning(backbone, learner.requires_grad_(False)),
        (route.start, *route.timesteps),
        backbone.device,
    )
    with timed(f"riffusion: transfer, {len(route.timesteps)} denoising steps"):
        (output,) = render(model, [Rendering(clip, 0, table)], settings, CanvasSettings())
    say(f"loss {fit.losses[0]:.3f}; output {output.waveform.shape}, {_finite(output.waveform)}")


def melody_model() -> MusicgenMelodyForConditionalGeneration:
    """MusicGen melody at its published size, untrained."""
    text = T5Config(d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12)
    codec = EncodecConfig(
        target_bandwidths=[2.2],
        sampling_rate=32_000,
        upsampling_ratios=[8, 5, 4, 4],
        num_filters=64,
        codebook_size=2048,
        codebook_dim=128,
        hidden_size=128,
        use_causal_conv=False,
        normalize=False,
    )
    sizes = {
        "vocab_size": 2048,
        "num_hidden_layers": 48,
        "ffn_dim": 6144,
        "num_attention_heads": 24,
        "hidden_size": 1536,
        "num_codebooks": 4,
    }
    decoder = MusicgenMelodyDecoderConfig(**unnumbered(sizes))
    model = MusicgenMelodyForConditionalGeneration(
        text_encoder=T5EncoderModel(text),
        audio_encoder=EncodecModel(codec),
        decoder=MusicgenMelodyForCausalLM(decoder),
    )
    number(model.decoder.config, sizes)
    model.decoder.set_attn_implementation("sdpa")
    model.config.chroma_length = 235
    model.generation_config.pad_token_id = 2048
    return model.train(mode=False).requires_grad_(requires_grad=False)


def musicgen() -> None:
    """Four frames with guidance, decoded: a prefix of 235 frames and a text, then 7 steps."""
    with timed("musicgen: build"):
        model = melody_model()
        count("musicgen melody", model)
    text = torch.randint(3, 30_000, (1, 6), generator=generator(0))
    melody = torch.randint(0, 12, (1, 40), generator=generator(1))
    conditions = generation.Conditions(text, torch.ones_like(text), melody)
    sampling = Sampling(3.0, 250, 1.0)
    with timed("musicgen: four frames with guidance"):
        codes = generation.generate_codes(model, conditions, 4, sampling, [generator(2)])
        waveform = generation.decode(model, codes)
    say(f"codes {tuple(codes.shape)}; waveform {tuple(waveform.shape)}, {_finite(waveform)}")


def clap() -> None:
    """One embedding of ten seconds."""
    with timed("clap: build"):
        model = ClapModel(ClapConfig())
        count("clap", model)
    words = mini.build_tokenizer(mini.vocabulary(["a piano", "a violin"]))
    towers = Towers(model.train(mode=False), laion_files.build_extractor(), words, None)
    embedder = ClapEmbedder(towers, "random", "cpu")
    with timed("clap: one clip"):
        embedding = embedder.embed_audio(noise(5.0, 48_000, 0))
    say(f"embedding {embedding.shape}, {_finite(embedding)}")


def _finite(values: object) -> str:
    return "finite" if np.isfinite(np.asarray(values)).all() else "NOT FINITE"


PARTS: dict[str, Callable[[], None]] = {"riffusion": riffusion, "musicgen": musicgen, "clap": clap}


def main() -> None:
    """Run the parts that are named, or all, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    chosen = parser.parse_args().parts or list(PARTS)
    say(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, random weights")
    torch.manual_seed(0)
    for name in chosen:
        PARTS[name]()
    verdict = "within" if peak_gib() <= LIMIT_GIB else "ABOVE"
    say(f"peak {peak_gib():.1f} GiB: {verdict} {LIMIT_GIB:g} GiB")


if __name__ == "__main__":
    main()
