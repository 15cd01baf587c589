"""Do the engine and the algorithm as published compute the same? Both from the same draws.

The engine draws a fit's numbers a block at a time; here they are drawn once more, so that the
published algorithm is given the very numbers that the engine is about to use.
"""

from __future__ import annotations

import torch

from bench.seeds import generator
from methods.riffusion.backbone import Backbone, Parts
from methods.riffusion.conditioning import LearntConditioning
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.fitting.draws import draw, steps_per_block
from methods.riffusion.fitting.inversion import Fit, begin_fit
from methods.riffusion.fitting.training import train_step
from methods.riffusion.parameters.settings import FittingPlan, StylisationSettings
from methods.riffusion.rendering import StyleImages
from methods.riffusion.spectrogram import image_to_pixels
from methods.riffusion.stylisation import stylise
from tests.benchmarks.as_published import Draws, Dropout, Published, PublishedEmbedding

PLAN = FittingPlan(3, 1, 1e-3, 0.01)


def twin(alphas_cumprod: torch.Tensor, parts: Parts, learner: TimeVaryingEmbedding) -> Published:
    """The published algorithm around the weights of a learner (parameter_set "full").

    Args:
        alphas_cumprod: The noise schedule, on the device to be used.
        parts: In float32 on that device, not shared with an engine: their attention is changed.
        learner: Whose weights are copied.
    """
    inner = int(learner.attention2.to_v.weight.shape[0])  # type: ignore[union-attr, operator]  # a Linear in both forms
    embedding = PublishedEmbedding(learner.get_buffer("e0"), inner)
    embedding.load_state_dict(learner.state_dict())
    embedding.to(alphas_cumprod.device)
    return Published(parts, alphas_cumprod, embedding, PLAN.learning_rate)


def read_ahead(backbone: Backbone, fit: Fit) -> tuple[Draws, Dropout]:
    """What the fit's next step, of one row, will use; the fit is left as it is."""
    number, step = divmod(fit.step, steps_per_block(backbone, fit))
    drawn, device = draw(backbone, fit, number), backbone.device
    draws = Draws(
        drawn.posterior[step].to(device), drawn.noise[step].to(device), int(drawn.timesteps[step])
    )
    kept = iter([factors[step].to(device) for factors in drawn.kept])
    return draws, lambda values: values * next(kept)


def training_gap(
    engine: Backbone, published: Published, learner: TimeVaryingEmbedding, image: torch.Tensor
) -> tuple[float, float]:
    """Largest relative difference of the losses of some steps, and difference of the weights after.

    Args:
        engine: In float32.
        published: Its twin, see `twin`.
        learner: The twin's origin; both are trained.
        image: (1, mel, frame), uint8.
    """
    moments = engine.encode(image)
    weights = torch.ones(1, 1, 1, moments.mean.shape[-1], device=engine.device)
    fit = begin_fit(StyleImages(moments, weights), learner, PLAN, seed=3)
    pixels = image_to_pixels(image).to(engine.device)
    theirs = []
    for _ in range(PLAN.steps):
        draws, dropout = read_ahead(engine, fit)
        theirs.append(float(published.train_step(pixels, draws, dropout)))
        train_step(engine, [fit])
    losses = max(abs(a - b) / b for a, b in zip(fit.losses, theirs, strict=True))
    other = published.embedding.state_dict()
    gaps = [
        float((value - other[name]).abs().max()) for name, value in learner.state_dict().items()
    ]
    return losses, max(gaps)


@torch.no_grad()
def stylisation_gap(
    engine: Backbone,
    published: Published,
    learner: TimeVaryingEmbedding,
    image: torch.Tensor,
    settings: StylisationSettings,
) -> float:
    """Largest difference of the latents of one content, as a share of the largest latent."""
    moments, device = engine.encode(image), engine.device
    posterior, noise = (
        torch.randn(moments.mean.shape, generator=generator(seed)).to(device) for seed in (4, 5)
    )
    ours = stylise(
        engine.predict_noise,
        engine.schedule,
        LearntConditioning(engine, learner),
        settings,
        latents=moments.mean + moments.std * posterior,
        noise=noise,
    )
    theirs = published.stylise(
        image_to_pixels(image).to(device),
        Draws(posterior, noise),
        settings.strength,
        settings.guidance_scale,
        settings.num_inference_steps,
    )
    return float((ours - theirs).abs().max() / theirs.abs().max())
