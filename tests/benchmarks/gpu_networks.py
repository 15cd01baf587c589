"""Stages of `gpu_full` on single networks, the ceiling, and the count of operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.api import Json
from bench.device import frozen_precision
from bench.seeds import generator
from methods.musicgen.generation import Conditions, decode, generate_codes
from methods.musicgen.sampling import Sampling
from methods.riffusion.spectrogram import decode as decode_image
from methods.riffusion.spectrogram import image_to_mel, invert_mel
from tests.benchmarks.full_architectures import stable_diffusion
from tests.benchmarks.gpu_account import STATED
from tests.benchmarks.gpu_rig import Rig, clock, embedder, median, melody, small_diffusion

TERA = 1e12
Figures = dict[str, Json]


def ceiling(rig: Rig) -> Figures:
    """Largest rate of square matrix products in the format of the frozen networks."""
    dtype = getattr(torch, frozen_precision(rig.device))
    figures: Figures = {"format": str(dtype)}
    best = 0.0
    for side in rig.sizes.matmul:
        left, right = (torch.randn(side, side, device=rig.device, dtype=dtype) for _ in range(2))
        seconds = clock(rig, lambda _, a=left, b=right: a @ b, warm_ups=3, repetitions=20)  # type: ignore[misc]  # defaults bind the loop's values
        rate = 2 * side**3 / min(seconds) / TERA
        figures[f"{side} x {side}, TFLOP/s"] = rate
        best = max(best, rate)
    return {**figures, "tflops": best}


def flops(rig: Rig) -> Figures:
    """TFLOP per row of each network, counted on tensors without memory; against those stated."""
    full = own_flops(reduced=False)
    figures: Figures = {f"full: {name}": value for name, value in full.items()}
    for name, stated in STATED.items():
        figures[f"full: {name} / stated"] = full[name] / stated
    if rig.reduced:
        small = own_flops(reduced=True)
        figures |= {f"reduced: {name}": value for name, value in small.items()}
    return figures


def count_flops(
    build: Callable[[], Any], latent_shape: tuple[int, int, int], tokens: int
) -> dict[str, float]:
    """TFLOP of one row: a multiply-add counts 2, attention included."""
    with torch.device("meta"):
        parts = build()
        for module in (parts.vae, parts.unet, parts.text_encoder):
            module.eval().requires_grad_(False)
        rows, columns = (8 * side for side in latent_shape[1:])
        latents, pixels = torch.empty(1, *latent_shape), torch.empty(1, 3, rows, columns)
        context = torch.empty(1, tokens, parts.unet.config.cross_attention_dim)
        t, ids = torch.zeros(1, dtype=torch.long), torch.zeros(1, tokens, dtype=torch.long)

        def predict() -> torch.Tensor:
            noise: torch.Tensor = parts.unet(latents, t, encoder_hidden_states=context).sample
            return noise

        passes: dict[str, Callable[[], object]] = {
            "unet_forward": predict,
            "unet_forward_backward": lambda: torch.autograd.backward(predict().sum()),
            "vae_encode": lambda: parts.vae.encode(pixels),
            "vae_decode": lambda: parts.vae.decode(latents),
            "text_forward": lambda: parts.text_encoder(input_ids=ids),
        }
        counted = {}
        for name, work in passes.items():
            context.requires_grad_(name == "unet_forward_backward")
            with FlopCounterMode(display=False) as counter:
                work()
            counted[name] = counter.get_total_flops() / TERA
    return counted


def unet(rig: Rig) -> Figures:
    """Forward passes of the U-Net by rows, and what they achieve."""
    backbone = rig.backbone()
    per_row = own_flops(rig.reduced)["unet_forward"]
    figures: Figures = {"format": str(backbone.parts.unet.dtype)}
    for rows in rig.sizes.unet_rows:
        latents = torch.randn(rows, *rig.latent_shape, device=rig.device)
        t = torch.full((rows,), 500, device=rig.device)
        contexts = backbone.encode_prompt("n").expand(rows, -1, -1)

        @torch.no_grad()
        def forward(
            _: int, latents: torch.Tensor = latents, t: torch.Tensor = t, c: torch.Tensor = contexts
        ) -> None:
            backbone.predict_noise(latents, t, c)

        seconds = median(clock(rig, forward, warm_ups=3))
        figures[f"{rows} rows, s"] = seconds
        figures[f"{rows} rows, TFLOP/s"] = rows * per_row / seconds
    return figures


def vae(rig: Rig) -> Figures:
    """Encoding and decoding, through the engine; every image is new."""
    backbone, count, counted = rig.backbone(), rig.sizes.images, own_flops(rig.reduced)
    encoding = clock(rig, lambda n: backbone.encode(rig.images(count, 1000 + n)))
    latents = torch.randn(count, *rig.latent_shape, device=rig.device)
    decoding = clock(rig, lambda _: backbone.decode(latents))
    figures: Figures = {}
    for name, seconds in (("encode", encoding), ("decode", decoding)):
        each = median(seconds) / count
        figures[f"{name}, s per image"] = each
        figures[f"{name}, TFLOP"] = counted[f"vae_{name}"]
        figures[f"{name}, TFLOP/s"] = counted[f"vae_{name}"] / each
    return figures


def codec(rig: Rig) -> Figures:
    """From image to sound: inverse mel and Griffin-Lim, one at a time and together."""
    figures: Figures = {}
    each: list[float] = []
    rate, parameters = rig.sample_rate, rig.codec
    for count in (1, rig.sizes.sounds):
        images = rig.images(count, 5).to(rig.device)
        starts = [generator(seed, rig.device) for seed in range(count)]
        mel = image_to_mel(images)
        bank = median(clock(rig, lambda _, m=mel: invert_mel(m, parameters, rate)))  # type: ignore[misc]  # defaults bind the loop's values
        whole = clock(
            rig,
            lambda _, i=images, s=starts: decode_image(i, parameters, rate, s),  # type: ignore[misc]  # defaults bind the loop's values
        )
        figures[f"inverse mel, {count} together, s per clip"] = bank / count
        each.append(median(whole) / count)
        figures[f"whole, {count} together, s per clip"] = each[-1]
    return figures | {"best, s per clip": min(each)}


@cache
def own_flops(reduced: bool) -> dict[str, float]:
    """TFLOP per row of the networks that are measured."""
    if reduced:
        return count_flops(small_diffusion, (8, 16, 32), 16)
    return count_flops(stable_diffusion, (4, 64, 64), 77)


def clap(rig: Rig) -> Figures:
    """Embeddings of clips that were never heard, many at once where the engine does so."""
    made, count = embedder(rig), rig.sizes.windows
    rate = made.sample_rate

    def embed(number: int) -> Sequence[object]:
        clips = [rig.clip(20_000 * (number + 2) + n, rate) for n in range(count)]
        return made.embed_all([clip.audio for clip in clips])

    seconds = median(clock(rig, embed, repetitions=3)) / count
    return {"clips": count, "clip_s": seconds}


def musicgen(rig: Rig) -> Figures:
    """Tokens per second with guidance, several clips together; 4 tokens are one frame."""
    model = melody(rig)
    frames, codebooks = rig.sizes.frames, int(model.decoder.config.num_codebooks)
    words = int(model.text_encoder.config.vocab_size)

    def generate(number: int, clips: int, frames: int = frames) -> torch.Tensor:
        stream = generator(number + 5)
        text = torch.randint(3, words, (clips, 8), generator=stream).to(rig.device)
        melodies = torch.randint(0, 12, (clips, 40), generator=stream).to(rig.device)
        conditions = Conditions(text, torch.ones_like(text), melodies)
        streams = [generator(seed) for seed in range(clips)]
        codes = generate_codes(model, conditions, frames, Sampling(3.0, 250, 1.0), streams)
        return decode(model, codes)

    figures: Figures = {"frames": frames, "decoder": str(model.decoder.dtype)}
    each: list[float] = []
    for clips in rig.sizes.music:
        generate(0, clips, 8)
        seconds = median(
            clock(rig, lambda n, c=clips: generate(n, c), warm_ups=0, repetitions=2)  # type: ignore[misc]  # defaults bind the loop's values
        )
        each.append(seconds / clips)
        figures[f"{clips} together, tokens/s"] = clips * codebooks * frames / seconds
        figures[f"{clips} together, s per clip"] = seconds / clips
    return figures | {"chunk_clip_s": each[0], "clip_s": min(each)}
