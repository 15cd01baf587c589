"""MusicTI as its authors coded it, to compare with: no caches, no batches, everything in float32.

Per training step: the style's image goes through the VAE, a latent is drawn from its posterior, the
placeholder's embedding through the text encoder, one row through the U-Net, AdamW on all weights of
the embedding (idle ones too). Per stylisation: one content at a time; the embedding and two
prompts go through the text encoder at every sampling step. Attention is computed in plain steps
(scores, softmax, values), as the released code does.

Left out to the released code's advantage: the previews drawn every 300 steps (600 passes of the
U-Net each), which would make it slower by about a half. Everything random is an argument, so that
its results can be compared with the engine's number by number.

**Conventions**: pixels float32 (1, 3, row, column) in [-1, 1]; latents (1, channel, row, column);
timesteps 0..999.

References:
    Li et al. (AAAI 2024), arXiv 2402.13763, and the released code it names: ldm/models/diffusion,
    ldm/modules/embedding_manager.py and scripts/txt2img.py, described here in our own words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.nn import functional

from methods.riffusion.backbone import Parts

Dropout = Callable[[torch.Tensor], torch.Tensor]
DROPPED = 0.05
HEADS = 8


def live_dropout(values: torch.Tensor) -> torch.Tensor:
    """Dropout as it is in training."""
    return functional.dropout(values, DROPPED, training=True)


def no_dropout(values: torch.Tensor) -> torch.Tensor:
    """Dropout in evaluation."""
    return values


class PublishedAttention(nn.Module):
    """One of the two cross-attentions: 8 heads, no bias but at the output, dropout after it."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_k = nn.Linear(dim, inner, bias=False)
        self.to_v = nn.Linear(dim, inner, bias=False)
        self.to_out = nn.Linear(inner, dim)

    def forward(self, query: torch.Tensor, context: torch.Tensor, dropout: Dropout) -> torch.Tensor:
        """Attend from query to context, both (batch, token, dim)."""
        q, k, v = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part in (self.to_q(query), self.to_k(context), self.to_v(context))
        )
        scores = torch.einsum("bhid,bhjd->bhij", q, k) * q.shape[-1] ** -0.5
        attended = torch.einsum("bhij,bhjd->bhid", scores.softmax(dim=-1), v)
        return dropout(self.to_out(attended.transpose(1, 2).flatten(2)))


class PublishedTime(nn.Module):
    """Sinusoid and three linear layers."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.first = nn.Linear(dim, 4 * dim)
        self.second = nn.Linear(4 * dim, 4 * dim)
        self.third = nn.Linear(4 * dim, dim)

    def forward(self, timestep: torch.Tensor) -> torch.Tensor:
        """The vector of a timestep, (1, dim)."""
        half = self.dim // 2
        index = torch.arange(half, dtype=torch.float32, device=timestep.device)
        rates = torch.exp(-math.log(10_000) * index / half)
        angles = timestep.float()[:, None] * rates[None]
        features = torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)
        features = features.to(self.first.weight.dtype)
        hidden = self.second(functional.silu(self.first(features)))
        out: torch.Tensor = self.third(functional.silu(hidden))
        return out


class PublishedEmbedding(nn.Module):
    """The embedding manager: v(t) of the placeholder, with both attentions in full.

    Weights are named as those of the engine's embedding with parameter_set "full".
    """

    def __init__(self, e0: torch.Tensor, inner: int) -> None:
        super().__init__()
        dim = len(e0)
        self.register_buffer("e0", e0.clone())
        self.time = PublishedTime(dim)
        self.attention1 = PublishedAttention(dim, inner)
        self.attention2 = PublishedAttention(dim, inner)
        self.final = nn.Linear(dim, dim)

    def forward(self, timestep: torch.Tensor, dropout: Dropout) -> torch.Tensor:
        """The embedding at a timestep (1,), shape (1, dim)."""
        hidden = (self.time(timestep) + self.get_buffer("e0"))[:, None]
        first = self.attention1(hidden, hidden, no_dropout)  # has no way to the result
        second = self.attention2(first, hidden, dropout)
        out: torch.Tensor = self.final(dropout(second))
        return out[:, 0]


@dataclass(frozen=True, slots=True)
class Draws:
    """What is random in a step or in a stylisation: noise of the posterior, and of the diffusion.

    Args:
        posterior: (1, channel, row, column), unit normal.
        noise: Likewise.
        timestep: Of a training step; not used by a stylisation.
    """

    posterior: torch.Tensor
    noise: torch.Tensor
    timestep: int = 0


class Published:
    """The frozen model with an embedding to be learnt.

    Args:
        parts: In float32 on one device; their attention is put into plain steps.
        alphas_cumprod: The noise schedule, (1000,).
        embedding: What is learnt.
        learning_rate: Of AdamW with weight decay 0.01.
    """

    def __init__(
        self,
        parts: Parts,
        alphas_cumprod: torch.Tensor,
        embedding: PublishedEmbedding,
        learning_rate: float,
    ) -> None:
        for module in (parts.vae, parts.unet, parts.text_encoder):
            module.eval().requires_grad_(False)
        for module in (parts.vae, parts.unet):
            module.set_attn_processor(AttnProcessor())
        self.parts = parts
        self.embedding = embedding
        self.optimiser = torch.optim.AdamW(
            embedding.parameters(), lr=learning_rate, weight_decay=0.01
        )
        self._alphas = alphas_cumprod
        self._device = alphas_cumprod.device
        self._factor = float(parts.vae.config.scaling_factor)
        self._table = next(
            module
            for name, module in parts.text_encoder.named_modules()
            if name.endswith("token_embedding")
        )

    # ------------------------------------------------------------------ parts of a step

    def encode(self, pixels: torch.Tensor, posterior: torch.Tensor) -> torch.Tensor:
        """A latent drawn from the posterior of an image; the VAE runs every time."""
        with torch.no_grad():
            found = self.parts.vae.encode(pixels).latent_dist
            latent: torch.Tensor = self._factor * (found.mean + found.std * posterior)
        return latent

    def context(self, prompt: str, timestep: torch.Tensor, dropout: Dropout) -> torch.Tensor:
        """What the text encoder makes of a prompt, the placeholder replaced; runs every time."""
        tokenizer = self.parts.tokenizer
        longest = min(
            tokenizer.model_max_length, self.parts.text_encoder.config.max_position_embeddings
        )
        words = tokenizer(prompt, padding="max_length", max_length=longest, truncation=True)
        ids = torch.tensor([words["input_ids"]], device=self._device)
        (star,) = tokenizer("*", add_special_tokens=False)["input_ids"]
        learnt = self.embedding(timestep, dropout)

        def replace(_module: object, _inputs: object, rows: torch.Tensor) -> torch.Tensor:
            return torch.where((ids == star)[..., None], learnt[:, None], rows)

        handle = self._table.register_forward_hook(replace)
        try:
            states: torch.Tensor = self.parts.text_encoder(input_ids=ids).last_hidden_state
        finally:
            handle.remove()
        return states

    def noised(self, latent: torch.Tensor, noise: torch.Tensor, timestep: int) -> torch.Tensor:
        """The closed form of the forward process."""
        kept = self._alphas[timestep]
        return kept.sqrt() * latent + (1 - kept).sqrt() * noise

    def _unet(
        self, latents: torch.Tensor, timestep: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        predicted: torch.Tensor = self.parts.unet(
            latents, timestep, encoder_hidden_states=contexts
        ).sample
        return predicted

    # ------------------------------------------------------------------ the two algorithms

    def train_step(
        self, pixels: torch.Tensor, draws: Draws, dropout: Dropout = live_dropout
    ) -> torch.Tensor:
        """One step on one image; the loss (), on the device."""
        latent = self.encode(pixels, draws.posterior)
        t = torch.full((1,), draws.timestep, device=self._device)
        context = self.context("*", t, dropout)
        noisy = self.noised(latent, draws.noise, draws.timestep)
        loss = functional.mse_loss(self._unet(noisy, t, context), draws.noise)
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()
        return loss.detach()

    @torch.no_grad()
    def stylise(
        self, pixels: torch.Tensor, draws: Draws, strength: float, scale: float, steps: int
    ) -> torch.Tensor:
        """Latents of one content in the style: bias reduction, then guided DDIM with eta 0.

        Dropout is off, as in evaluation; the released script most likely leaves it on.
        """
        latent = self.encode(pixels, draws.posterior)
        first = int(1000 * strength)
        t = torch.full((1,), first, device=self._device)
        current = self.noised(latent, draws.noise, first)
        predicted = self._unet(current, t, self.context("*", t, no_dropout))
        current = self.noised(latent, predicted, first)
        grid = range(1, 1000, 1000 // steps)
        for index in reversed(range(int(steps * strength))):
            guided = self._guided(current, grid[index], scale)
            now, then = self._alphas[grid[index]], self._alphas[grid[index - 1] if index else 0]
            original = (current - (1 - now).sqrt() * guided) / now.sqrt()
            idle = torch.randn_like(current)  # drawn at every step, and multiplied by eta = 0
            current = then.sqrt() * original + (1 - then).sqrt() * guided + 0 * idle
        return current

    def _guided(self, latents: torch.Tensor, timestep: int, scale: float) -> torch.Tensor:
        t = torch.full((1,), timestep, device=self._device)
        contexts = torch.cat([self.context("", t, no_dropout), self.context("*", t, no_dropout)])
        both = self._unet(torch.cat([latents] * 2), torch.cat([t] * 2), contexts)
        without, styled = both.chunk(2)
        return without + scale * (styled - without)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pixels (1, 3, row, column) of latents."""
        pixels: torch.Tensor = self.parts.vae.decode(latents / self._factor).sample
        return pixels
