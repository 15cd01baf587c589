"""Training SS VQ-VAE: content and style from two stretches of one source.

**Source**: Cifka et al. (2021), equation 4: squared error of the spectra, plus the code-book loss,
plus half the commitment loss; Adam, which is AdamW without decay. **Departures** (for small data
and little time): the rate falls along a cosine after a warm-up, gradients are clipped, the code
book starts from latents of the first batch, and codes that were not used for a while start again
from latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.corpus.stream import CropStream
from bench.training.loop import Curve
from bench.training.recipe import Recipe, Schedule
from methods.phase import Geometry
from methods.ssvqvae.method import log_spectra
from methods.ssvqvae.network import Quantised, StyleVQVAE
from methods.ssvqvae.pretrain.data import Corpus, draw_pairs

RECIPE = Recipe(
    "ssvqvae",
    1e-3,  # 4e-4 as published, with 256 pairs per step
    16,
    budget_s=1500,
    warm_up_steps=50,
    schedule=Schedule("cosine", lowest=0.03),
    betas=(0.9, 0.999),
    weight_decay=0.0,
    average=0.0,
    report_s=90,
)
STRETCH_S = 1.6  # of content and of style
_COMMITMENT = 0.5
_RESTART_EVERY = 50
_VALIDATION_PAIRS, _VALIDATION_SEED = 48, 11
_OF_PAIRS = 1  # ends the seeds of batches


def spectrum_loss(made: Tensor, content: Tensor) -> Tensor:
    """Mean squared error of log spectra, over bins and frames."""
    return functional.mse_loss(made, content)


def total_loss(made: Tensor, content: Tensor, quantised: Quantised) -> Tensor:
    """What is minimised: Cifka et al. (2021), equation 4."""
    return (
        spectrum_loss(made, content)
        + quantised.codebook_loss
        + _COMMITMENT * quantised.commitment_loss
    )


@torch.no_grad()
def perplexity(codes: Tensor, size: int) -> float:
    """Two to the entropy of the codes in bits, 1 to `size`: how many of them are in use."""
    shares = torch.bincount(codes.flatten(), minlength=size) / codes.numel()
    return float(torch.exp(-torch.xlogy(shares, shares).sum()))


@torch.no_grad()
def restart_unused(network: StyleVQVAE, used: Tensor, latents: Tensor, seed: int) -> int:
    """Put codes that were not used onto latents (batch, width, frame); return how many."""
    flat = latents.transpose(1, 2).flatten(0, 1)
    unused = (used == 0).nonzero().flatten()
    drawn = torch.Generator().manual_seed(seed)
    picks = torch.randint(len(flat), (len(unused),), generator=drawn)
    network.vq.embedding.weight[unused] = flat[picks].to(network.vq.embedding.weight.dtype)
    return len(unused)


class Pupil(nn.Module):
    """The network under training, and how often each code was used of late."""

    def __init__(self, network: StyleVQVAE) -> None:
        super().__init__()
        self.network = network
        self.used: Tensor
        self.register_buffer("used", torch.zeros(network.settings.codes, dtype=torch.int64))

    def tend_codes(self, content: Tensor, step: int) -> None:
        """Start unused codes again, all of them at the beginning, and count anew."""
        if step == 0 or bool(self.used.any()):
            with torch.no_grad():
                latents = self.network.encode_content(content)
            restart_unused(self.network, self.used, latents, step)
        self.used.zero_()

    def forward(self, content: Tensor, style: Tensor) -> tuple[Tensor, Quantised]:
        """As the network, with the code book in float32 whatever the rest computes in."""
        latents = self.network.encode_content(content)
        with torch.autocast(content.device.type, enabled=False):
            quantised: Quantised = self.network.vq(latents.float())
        vectors = self.network.encode_style(style)
        made = self.network.decode(quantised.values, vectors, content.shape[-1])
        return made.float(), quantised


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Spectra of content and of style (pair, bin, frame), and the step that they are drawn for."""

    content: Tensor
    style: Tensor
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class PairSource:
    """Where pairs come from.

    Args:
        corpus: Recordings, by source.
        geometry: Of the spectra.
        device: Where they are wanted.
        stream: Of timbres, at the rate of the geometry: the second half of a batch; None has none.
        num_samples: Of a stretch.
    """

    corpus: Corpus
    geometry: Geometry
    device: str
    num_samples: int
    stream: CropStream | None = None

    def draw(self, count: int, seed: int, step: int) -> Pairs:
        """The pairs of a step."""
        streamed = count // 2 if self.stream else 0
        rng = np.random.default_rng((seed, step, _OF_PAIRS))
        content, style = self._recorded(count - streamed, rng)
        if self.stream:
            drawn = self.stream.pairs(step, streamed)
            content, style = torch.cat([content, drawn[:, 0]]), torch.cat([style, drawn[:, 1]])
        return Pairs(log_spectra(content, self.geometry), log_spectra(style, self.geometry), step)

    def _recorded(self, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        content, style = draw_pairs(self.corpus, count, self.num_samples, rng)
        return content.to(self.device), style.to(self.device)


def held_out_pairs(
    corpus: Corpus, geometry: Geometry, device: str, num_samples: int
) -> Pairs | None:
    """Pairs of recordings that no step draws; None without such recordings."""
    if not corpus.sources:
        return None
    rng = np.random.default_rng(_VALIDATION_SEED)
    content, style = draw_pairs(corpus, _VALIDATION_PAIRS, num_samples, rng)
    return Pairs(
        log_spectra(content.to(device), geometry), log_spectra(style.to(device), geometry), 0
    )


@dataclass(frozen=True, slots=True, eq=False)
class VqVaeLesson:
    """Content through the code book, in the style of another stretch of its source.

    Args:
        pupil: Under training.
        pairs: What is learnt from.
        recipe: Its seed and batch size.
        held_out: What is evaluated, if anything.
    """

    pupil: Pupil
    pairs: PairSource
    recipe: Recipe
    held_out: Pairs | None

    def batch(self, step: int) -> Pairs:
        """The pairs of a step."""
        return self.pairs.draw(self.recipe.batch_size, self.recipe.seed, step)

    def losses(self, batch: Pairs) -> Mapping[str, Tensor]:
        """What is minimised, and the squared error of the spectra alone."""
        if batch.step % _RESTART_EVERY == 0:
            self.pupil.tend_codes(batch.content, batch.step)
        made, quantised = self.pupil(batch.content, batch.style)
        self.pupil.used += torch.bincount(quantised.codes.flatten(), minlength=len(self.pupil.used))
        return {
            "loss": total_loss(made, batch.content, quantised),
            "training": spectrum_loss(made, batch.content),
        }

    def evaluate(self) -> Curve:
        """Errors on held-out recordings; empty without them."""
        return {} if self.held_out is None else evaluate(self.pupil.network, self.held_out)


@torch.no_grad()
def evaluate(network: StyleVQVAE, held_out: Pairs) -> Curve:
    """Errors on recordings that were not trained on.

    They are measured with a style of the same source, of another one, and with none (a vector of
    zeros); the first is lowest where the network listens to the style vector. "mean spectrum" is
    the error of each clip's average over time: an error below it means that the codes carry notes.

    Args:
        network: In inference mode.
        held_out: Pairs.
    """
    content = held_out.content
    quantised = network.vq(network.encode_content(content))
    vectors = network.encode_style(held_out.style)
    told = {
        "same source": vectors,
        "other source": vectors.roll(len(vectors) // 2, 0),
        "no style": torch.zeros_like(vectors),
    }
    figures = {
        name: float(
            spectrum_loss(network.decode(quantised.values, vector, content.shape[-1]), content)
        )
        for name, vector in told.items()
    }
    mean = content.mean(-1, keepdim=True).expand_as(content)
    figures["mean spectrum"] = float(spectrum_loss(mean, content))
    figures["perplexity"] = perplexity(quantised.codes, network.settings.codes)
    return figures
