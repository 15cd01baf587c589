"""The stages of `gpu_full`: each takes the rig and returns figures; none needs another's result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.api import Audio
from bench.device import peak_memory_bytes, reset_peak_memory
from bench.seeds import generator
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import (
    ContextTable,
    Learner,
    LearntConditioning,
    RowsOfTables,
    tabulate,
)
from methods.riffusion.embedding import StaticVector, TimeVaryingEmbedding
from methods.riffusion.fitting.inversion import begin_fit
from methods.riffusion.fitting.learning import initial_embedding
from methods.riffusion.fitting.training import run_fits
from methods.riffusion.parameters.settings import CanvasSettings, FittingPlan, StylisationSettings
from methods.riffusion.rendering import Rendering, draw_image, render
from methods.riffusion.schedule import make_schedule
from methods.riffusion.spectrogram import decode as decode_image
from methods.riffusion.spectrogram import image_to_pixels
from methods.riffusion.stylisation import stylise
from tests.benchmarks.as_published import Draws, Published
from tests.benchmarks.gpu_networks import (
    Figures,
    ceiling,
    clap,
    codec,
    flops,
    musicgen,
    own_flops,
    unet,
    vae,
)
from tests.benchmarks.gpu_rig import Rig, clock, median, recorded_alone
from tests.benchmarks.published_parity import stylisation_gap, training_gap, twin

SETTINGS = StylisationSettings(strength=0.5, guidance_scale=3.5, num_inference_steps=50)
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of the benchmark."""

    name: str
    about: str
    work: Callable[[Rig], Figures]


def memory(rig: Rig) -> Figures:
    """Peak memory of one content's transfer and of one style's fit, the U-Net in float16."""
    reset_peak_memory(rig.device)
    with recorded_alone(rig.device):
        backbone = rig.backbone("float16" if rig.device.startswith("cuda") else None)
    figures: Figures = {"unet": str(backbone.parts.unet.dtype)}
    table = _table(backbone, rig.learner(backbone))
    model, canvas = rig.model(backbone), CanvasSettings()
    render(model, [Rendering(rig.clip(1), 1, table)], SETTINGS, canvas)
    transfer = peak_memory_bytes(rig.device) / GIB
    reset_peak_memory(rig.device)
    fit = begin_fit(
        rig.style_images(backbone, 2), rig.learner(backbone), FittingPlan(4, 1, 1e-3), seed=0
    )
    run_fits(backbone, [fit], lambda *_: None)
    fitting = peak_memory_bytes(rig.device) / GIB
    figures |= {"transfer_gib": transfer, "fit_gib": fitting, "peak_gib": max(transfer, fitting)}
    if rig.device.startswith("cuda"):
        figures["reserved_gib"] = torch.cuda.max_memory_reserved(rig.device) / GIB
    return figures


def train(rig: Rig) -> Figures:
    """Steps of fitting by how many styles share a pass; shares count the U-Net alone."""
    backbone = rig.backbone()
    per_row = own_flops(rig.reduced)["unet_forward_backward"]
    figures: Figures = {"U-Net": str(backbone.parts.unet.dtype)}
    rates, style_steps = [], []
    for name, tve, rti in (
        ("tve x1", 1, 0), ("tve x3", 3, 0), ("tve x6", 6, 0), ("tve x3 + rti x3", 3, 3),
    ):  # fmt: skip
        step = step_s(rig, backbone, (tve, rti))
        rows = tve + rti
        figures[f"{name} step_s"] = step
        figures[f"{name} TFLOP/s"] = rows * per_row / step
        if rows > 1 and not rti:
            rates.append(rows * per_row / step)
            style_steps.append(step / rows)
    return {**figures, "best_tflops": max(rates), "best_style_step_s": min(style_steps)}


def step_s(rig: Rig, backbone: Backbone, styles: tuple[int, int]) -> float:
    """Seconds per step of so many styles by TVE and by R+TI: from fits of two lengths.

    Their difference leaves out what happens once per fit, such as recording a pass.
    """
    few, many = rig.sizes.fit_steps
    images = [rig.style_images(backbone, 100 + seed) for seed in range(sum(styles))]

    def fits(steps: int) -> None:
        plan = FittingPlan(steps, 1, 1e-3, 0.01)
        learners = _learners(rig, backbone, styles)
        begun = [
            begin_fit(each, learner, plan, seed=seed)
            for seed, (each, learner) in enumerate(zip(images, learners, strict=True))
        ]
        run_fits(backbone, begun, lambda *_: None)

    short = clock(rig, lambda _: fits(few), repetitions=3)
    long = clock(rig, lambda _: fits(many), warm_ups=0, repetitions=3)
    return (median(long) - median(short)) / (many - few)


def _learners(rig: Rig, backbone: Backbone, styles: tuple[int, int]) -> list[Learner]:
    start = initial_embedding(backbone, "letter_n")
    tve: list[Learner] = [rig.learner(backbone, seed) for seed in range(styles[0])]
    return [*tve, *(StaticVector(start).to(backbone.device) for _ in range(styles[1]))]


def stylise_clips(rig: Rig) -> Figures:
    """Whole transfers, from audio to audio, every content new; and the sampling alone."""
    backbone = rig.backbone()
    model, table = rig.model(backbone), _table(backbone, rig.learner(backbone))

    def transfer(number: int, count: int) -> list[Audio]:
        contents = [rig.clip(10_000 * (number + 2) + 100 * count + n) for n in range(count)]
        jobs = [Rendering(content, n, table) for n, content in enumerate(contents)]
        return render(model, jobs, SETTINGS, CanvasSettings())

    figures: Figures = {}
    each: list[float] = []
    for count in rig.sizes.contents:
        seconds = clock(rig, lambda n, c=count: transfer(n, c), repetitions=3)  # type: ignore[misc]  # defaults bind the loop's values
        each.append(median(seconds) / count)
        figures[f"{count} contents together, s per clip"] = each[-1]
    figures |= {"chunk_clip_s": each[0], "clip_s": min(each), "clips_per_s": 1 / min(each)}
    return figures | _sampling(rig, backbone, table)


def _sampling(rig: Rig, backbone: Backbone, table: ContextTable) -> Figures:
    """Bias reduction and guided steps on latents, and the contexts that they need."""
    at_once = min(16, max(rig.sizes.contents))
    latents = torch.randn(at_once, *rig.latent_shape, device=rig.device)
    rows = RowsOfTables([table] * at_once)
    sampling = clock(
        rig,
        lambda _: stylise(
            backbone.predict_noise, backbone.schedule, rows, SETTINGS,
            latents=latents, noise=latents.flip(0),
        ),
        repetitions=3,
    )  # fmt: skip
    sampling_s = median(sampling) / at_once
    passes = 1 + 2 * len(SETTINGS.itinerary().timesteps)
    tables = clock(rig, lambda _: _table(backbone, rig.learner(backbone)), repetitions=3)
    work = passes * own_flops(rig.reduced)["unet_forward"]
    return {
        "sampling, s per clip": sampling_s,
        "sampling, TFLOP": work,
        "sampling, TFLOP/s": work / sampling_s,
        "contexts of a style, s": median(tables),
    }


@torch.no_grad()
def _table(backbone: Backbone, learner: TimeVaryingEmbedding) -> ContextTable:
    route = SETTINGS.itinerary()
    conditioning = LearntConditioning(backbone, learner)
    return tabulate(conditioning, (route.start, *route.timesteps), backbone.device)


def published(rig: Rig) -> Figures:
    """The algorithm as the authors coded it: a training step, and one content from audio to audio.

    Spectrogram and sound are made by this project's codec, one clip at a time: they are the same
    in both.
    """
    reset_peak_memory(rig.device)
    theirs = _published(rig)
    pixels = image_to_pixels(rig.images(1, 7)).to(rig.device)

    def learn(number: int) -> None:
        theirs.train_step(pixels, _draws(rig, number + 20, 37 * (number + 5) % 1000))

    step = median(clock(rig, learn, warm_ups=2))
    clip = median(clock(rig, lambda n: _whole_clip(rig, theirs, n), repetitions=3))
    figures: Figures = {"train_step_s": step, "clip_s": clip}
    if rig.device.startswith("cuda"):
        figures["peak_gib"] = peak_memory_bytes(rig.device) / GIB
        figures["convolutions may use TF32 (torch's default)"] = torch.backends.cudnn.allow_tf32
    return figures


def _published(rig: Rig) -> Published:
    parts = rig.copy_parts()
    torch.manual_seed(0)
    start = torch.randn(parts.text_encoder.config.hidden_size)
    learner = TimeVaryingEmbedding(start, "full").to(rig.device)
    alphas = make_schedule().to(rig.device).alphas_cumprod
    return twin(alphas, parts, learner)


def _draws(rig: Rig, seed: int, timestep: int = 0) -> Draws:
    stream = generator(abs(seed))
    posterior, noise = (
        torch.randn(1, *rig.latent_shape, generator=stream).to(rig.device) for _ in range(2)
    )
    return Draws(posterior, noise, timestep)


def _whole_clip(rig: Rig, theirs: Published, number: int) -> torch.Tensor:
    """One content as the released scripts take it: spectrogram, stylisation, image, sound."""
    clip = rig.clip(5000 + number)
    whole = torch.from_numpy(draw_image(rig.model(_Nothing()), clip).copy())[None]  # type: ignore[arg-type]  # the spectrogram needs no network
    images = torch.nn.functional.interpolate(whole[:, None].float(), rig.image_shape)[:, 0]
    pixels = image_to_pixels(images.to(torch.uint8)).to(rig.device)
    draws = _draws(rig, 6000 + number)
    latents = theirs.stylise(
        pixels, draws, SETTINGS.strength, SETTINGS.guidance_scale, SETTINGS.num_inference_steps
    )
    painted = ((theirs.decode(latents)[:, 0] + 1) / 2).clamp(0, 1)
    grey = (255 * painted.nan_to_num()).to(torch.uint8)
    return decode_image(grey, rig.codec, rig.sample_rate, [generator(number + 1, rig.device)])


class _Nothing:
    """In place of a network that is not needed."""


def parity(rig: Rig) -> Figures:
    """The engine in float32 against the algorithm as published, from the same draws.

    TF32 is off here, so that both round alike.
    """
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with recorded_alone(rig.device):
            engine = rig.backbone("float32")
        torch.manual_seed(1)
        learner = TimeVaryingEmbedding(initial_embedding(engine, "letter_n"), "full")
        learner.to(rig.device)
        theirs = twin(engine.schedule.alphas_cumprod, rig.copy_parts(), learner)
        image = rig.images(1, 8)
        route = StylisationSettings(0.5, 3.5, 4)
        latents = stylisation_gap(engine, theirs, learner, image, route)
        losses, weights = training_gap(engine, theirs, learner, image)
    finally:
        torch.backends.cudnn.allow_tf32 = before
    return {
        "largest relative difference of the losses of 3 steps": losses,
        "largest difference of the learnt weights afterwards": weights,
        "largest difference of latents after 2 guided steps / largest latent": latents,
    }


STAGES = (
    Stage("ceiling", "Square matrix products; the best of several.", ceiling),
    Stage("flops", "Counted with torch's FlopCounterMode; TFLOP per row.", flops),
    Stage("memory", "One content, one style; the largest use so far.", memory),
    Stage("train", "One row per style and step; median of 3, per step.", train),
    Stage("stylise", "Strength .5, 50 steps, scale 3.5: 51 rows per clip.", stylise_clips),
    Stage("published", "Float32, batch 1, nothing remembered.", published),
    Stage("musicgen", "Guidance 3, decoded to audio.", musicgen),
    Stage("clap", "Clips of 5 s.", clap),
    Stage("unet", "Forward passes.", unet),
    Stage("vae", "Through the engine.", vae),
    Stage("codec", "Griffin-Lim, 32 iterations.", codec),
    Stage("parity", "The published algorithm and the engine in float32.", parity),
)
