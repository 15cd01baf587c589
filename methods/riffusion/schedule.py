"""The noise schedule of the frozen diffusion model, and one step along it.

Closed form only: z_t = sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps. Iterating the one-step rule with
one and the same predicted noise would add it coherently and give another noise level (arXiv
2402.13763 writes the one-step rule but computes the closed form).

**Conventions**: latents float32 (batch, channel, row, column); timesteps are integers
    0..num_train_timesteps-1; noise has unit variance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bench.api import CheckpointError, Json

_SCHEDULE_KEYS = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """How much of a latent is left at each timestep.

    Args:
        alphas_cumprod: abar, shape (num_train_timesteps,), float32, falling from nearly 1 to
            nearly 0.
    """

    alphas_cumprod: torch.Tensor

    @property
    def num_train_timesteps(self) -> int:
        """How many timesteps the model was trained on."""
        return int(self.alphas_cumprod.shape[0])

    def to(self, device: str) -> Schedule:
        """The same schedule on a device."""
        return Schedule(self.alphas_cumprod.to(device))


def make_schedule(
    beta_start: float = 0.00085,
    beta_end: float = 0.012,
    *,
    num_train_timesteps: int = 1000,
    kind: str = "scaled_linear",
) -> Schedule:
    """Build abar from the range of betas, in float64, stored as float32.

    `scaled_linear` is Stable Diffusion's: beta_t = linspace(sqrt(start), sqrt(end), T)_t ** 2. The
    defaults are those of version 1, as in configs/stable-diffusion/v1-inference.yaml of
    lsfhuihuiff/MusicTI_AAAI2024 at commit 19c2200e7ef6da20cfa8beda6ee6b18b3d094e96.

    Raises:
        CheckpointError: `kind` is neither scaled_linear nor linear.
    """
    if kind not in ("scaled_linear", "linear"):
        raise CheckpointError(
            f"the schedule's betas are {kind!r}; this code knows scaled_linear and linear. Use "
            "another checkpoint."
        )
    power = 2 if kind == "scaled_linear" else 1
    ends = (beta_start ** (1 / power), beta_end ** (1 / power))
    betas = torch.linspace(*ends, num_train_timesteps, dtype=torch.float64) ** power
    return Schedule(torch.cumprod(1 - betas, dim=0).float())


def read_schedule(config: Mapping[str, Json]) -> Schedule:
    """Build the schedule that a diffusers scheduler config describes; nothing is assumed.

    A file without `prediction_type` is older than other predictions than that of the noise.

    Raises:
        CheckpointError: A value is missing, betas are given one by one, or the model does not
            predict the noise.
    """
    missing = [name for name in _SCHEDULE_KEYS if name not in config]
    if missing or config.get("trained_betas") is not None:
        fact = f"lacks {', '.join(missing)}" if missing else "lists its betas one by one"
        raise CheckpointError(
            f"scheduler_config.json {fact}; a schedule needs {', '.join(_SCHEDULE_KEYS)}, because "
            "a guess would be another model's. Restore the file."
        )
    prediction = config.get("prediction_type", "epsilon")
    if prediction != "epsilon":
        raise CheckpointError(
            f"the model predicts {prediction!r}; stylisation and fitting need one that predicts "
            "the noise (epsilon)."
        )
    return make_schedule(
        float(str(config["beta_start"])),
        float(str(config["beta_end"])),
        num_train_timesteps=int(str(config["num_train_timesteps"])),
        kind=str(config["beta_schedule"]),
    )


def add_noise(
    schedule: Schedule, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
) -> torch.Tensor:
    """Noise latents to a timestep each: sqrt(abar_t) z_0 + sqrt(1 - abar_t) eps.

    Args:
        schedule: The model's.
        latents: z_0, (batch, channel, row, column).
        noise: eps, same shape.
        timesteps: (batch,) integers.
    """
    kept = schedule.alphas_cumprod[timesteps].to(latents.dtype)[:, None, None, None]
    return kept.sqrt() * latents + (1 - kept).sqrt() * noise


def ddim_step(
    schedule: Schedule, latents: torch.Tensor, noise: torch.Tensor, *, timestep: int, previous: int
) -> torch.Tensor:
    """One deterministic DDIM step (eta 0).

    x_0 = (x - sqrt(1-a) e) / sqrt(a); x' = sqrt(a') x_0 + sqrt(1-a') e.

    No clipping. `timestep` and `previous` index abar. Where `previous` is the higher one, the step
    goes up: it is then one of DDIM inversion, and undoes the step down with the same noise.

    References:
        Song, Meng, Ermon (2021), Denoising diffusion implicit models, equation 12 with sigma = 0.
    """
    now, then = schedule.alphas_cumprod[timestep], schedule.alphas_cumprod[previous]
    original = (latents - (1 - now).sqrt() * noise) / now.sqrt()
    return then.sqrt() * original + (1 - then).sqrt() * noise


def ddpm_mean(
    schedule: Schedule, latents: torch.Tensor, noise: torch.Tensor, *, timestep: int, previous: int
) -> torch.Tensor:
    """Mean of the stochastic step (eta 1) from a timestep to a lower one.

    x_0 = (x - sqrt(1-a) e) / sqrt(a); m = sqrt(a') x_0 + sqrt(1 - a' - s^2) e, with s of
    `ddpm_deviation`.

    References:
        Song, Meng, Ermon (2021), equation 12 with the sigma of equation 16 at eta = 1.
    """
    now, then = schedule.alphas_cumprod[timestep], schedule.alphas_cumprod[previous]
    original = (latents - (1 - now).sqrt() * noise) / now.sqrt()
    variance = ddpm_deviation(schedule, timestep=timestep, previous=previous) ** 2
    return then.sqrt() * original + (1 - then - variance).sqrt() * noise


def ddpm_deviation(schedule: Schedule, *, timestep: int, previous: int) -> torch.Tensor:
    """Standard deviation s of the same step: s^2 = (1-a') / (1-a) (1 - a / a'); not 0 at the end.

    Example:
        >>> f"{float(ddpm_deviation(make_schedule(), timestep=1, previous=0)):.5f}"
        '0.02065'
    """
    now, then = schedule.alphas_cumprod[timestep], schedule.alphas_cumprod[previous]
    return ((1 - then) / (1 - now) * (1 - now / then)).sqrt()
