"""Training SS VQ-VAE: content and style from two stretches of one source.

**Source**: Cifka et al. (2021), equation 4: squared error of the spectra, plus the code-book loss,
plus half the commitment loss; Adam. **Departures** (for small data and little time): the rate
falls along a cosine after a warm-up, gradients are clipped, the code book starts from latents of
the first batch, and codes that were not used for a while start again from latents.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.api import Json
from methods.phase import Geometry
from methods.ssvqvae.method import log_spectra
from methods.ssvqvae.network import Quantised, StyleVQVAE
from methods.ssvqvae.pretrain.data import Corpus, draw_pairs

logger = logging.getLogger(__name__)

_COMMITMENT = 0.5
_WARM_UP_STEPS = 50
_RESTART_EVERY = 50
_SAVE_EVERY_S = 90.0
_VALIDATION_PAIRS = 48


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Args:
        seconds: Wall clock in all; training goes on from its checkpoint until they are spent.
        batch_size: Pairs per step; 256 as published.
        stretch_s: Length of content and of style.
        learning_rate: Highest; 4e-4 as published.
        seed: Of every draw.
    """

    seconds: float
    batch_size: int = 16
    stretch_s: float = 1.6
    learning_rate: float = 1e-3
    seed: int = 0

    def rate_at(self, step: int, elapsed_s: float) -> float:
        """Learning rate of a step."""
        warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, elapsed_s / self.seconds)))
        return self.learning_rate * warm * (0.97 * cosine + 0.03)


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


@dataclass(slots=True)
class Training:
    """A network under training: where it stands, and its curve."""

    network: StyleVQVAE
    optimiser: torch.optim.Optimizer
    used: Tensor
    step: int = 0
    elapsed_s: float = 0.0
    curve: list[Json] = field(default_factory=list)

    def update(self, content: Tensor, style: Tensor, rate: float) -> float:
        """Take one step; return the squared error of the spectra."""
        self._tend_codes(content)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        made, quantised = self.network(content, style)
        loss = total_loss(made, content, quantised)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.used += torch.bincount(quantised.codes.flatten(), minlength=len(self.used))
        self.step += 1
        return float(spectrum_loss(made.detach(), content))

    def _tend_codes(self, content: Tensor) -> None:
        """Start unused codes again, all of them at the beginning."""
        if self.step % _RESTART_EVERY:
            return
        if self.step == 0 or self.used.any():
            with torch.no_grad():
                latents = self.network.encode_content(content)
            restart_unused(self.network, self.used, latents, self.step)
        self.used.zero_()

    def save(self, path: Path) -> None:
        """Write everything that a continued training needs, in one replacement."""
        kept = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "curve": self.curve,
            "used": self.used,
        }
        torch.save(kept, path.with_suffix(".partial"))
        path.with_suffix(".partial").replace(path)


def begin(network: StyleVQVAE, recipe: Recipe, path: Path) -> Training:
    """A training at its start, or where its checkpoint left it."""
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    training = Training(network, optimiser, used=torch.zeros(network.settings.codes))
    if path.is_file():
        kept = torch.load(path, weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        training.step, training.elapsed_s = kept["step"], kept["elapsed_s"]
        training.curve, training.used = kept["curve"], kept.get("used", training.used)
    return training


def train(
    training: Training, corpus: Corpus, geometry: Geometry, recipe: Recipe, path: Path
) -> Training:
    """Train until the recipe's seconds are spent, with checkpoints at `path`."""
    training_set, held_out = corpus.split()
    generator = np.random.default_rng((recipe.seed, training.step))
    num_samples = round(recipe.stretch_s * geometry.sample_rate)
    started, saved = time.monotonic() - training.elapsed_s, training.elapsed_s
    recent: list[float] = []
    while training.elapsed_s < recipe.seconds:
        pairs = draw_pairs(training_set, recipe.batch_size, num_samples, generator)
        content, style = (log_spectra(waveforms, geometry) for waveforms in pairs)
        rate = recipe.rate_at(training.step, training.elapsed_s)
        recent.append(training.update(content, style, rate))
        training.elapsed_s = time.monotonic() - started
        if training.elapsed_s - saved > _SAVE_EVERY_S or training.elapsed_s >= recipe.seconds:
            saved = training.elapsed_s
            figures: dict[str, Json] = {"step": training.step, "s": round(saved)}
            figures["training"] = float(np.mean(recent[-100:]))
            figures |= evaluate(training.network, held_out, geometry, num_samples)
            training.curve.append(figures)
            logger.info("%s", figures)
            training.save(path)
    return training


@torch.no_grad()
def evaluate(
    network: StyleVQVAE, held_out: Corpus, geometry: Geometry, num_samples: int
) -> dict[str, Json]:
    """Errors on recordings that were not trained on; empty without such recordings.

    They are measured with a style of the same source, of another one, and with none (a vector of
    zeros); the first is lowest where the network listens to the style vector. "mean spectrum" is
    the error of each clip's average over time: an error below it means that the codes carry notes.
    """
    if not held_out.sources:
        return {}
    pairs = draw_pairs(held_out, _VALIDATION_PAIRS, num_samples, np.random.default_rng(11))
    content, style = (log_spectra(waveforms, geometry) for waveforms in pairs)
    was_training = network.training
    network.train(mode=False)
    quantised = network.vq(network.encode_content(content))
    vectors = network.encode_style(style)
    others = vectors.roll(_VALIDATION_PAIRS // 2, 0)
    figures: dict[str, Json] = {
        name: float(
            spectrum_loss(network.decode(quantised.values, told, content.shape[-1]), content)
        )
        for name, told in (
            ("same source", vectors),
            ("other source", others),
            ("no style", torch.zeros_like(vectors)),
        )
    }
    figures["mean spectrum"] = float(
        spectrum_loss(content.mean(-1, keepdim=True).expand_as(content), content)
    )
    figures["perplexity"] = perplexity(quantised.codes, network.settings.codes)
    network.train(mode=was_training)
    return figures
