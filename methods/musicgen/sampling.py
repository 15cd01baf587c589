"""What can be set of every MusicGen method: how codes are drawn, with the defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.api import ConfigError, Profile
from methods.presets import choose

# 250 of 2,048 codes is the published setting; the mini model has 256 codes in all.
DEFAULT_TOP_K: dict[Profile, int] = {"full": 250, "mini": 50}
_TRANSFER = {"role": "transfer"}
Melody = Literal["content", "none"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How codes are drawn.

    Args:
        guidance_scale: 1 means no guidance; larger values weigh the conditions more.
        top_k: Only the k likeliest codes may be drawn.
        temperature: Positive; below 1 sharpens the distribution.
    """

    guidance_scale: float
    top_k: int
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParameters:
    """What a user may set of the sampling; the defaults are those published with MusicGen.

    Args:
        guidance_scale: At least 1; 1 switches guidance off.
        top_k: At least 1; None takes the profile's own: 250 for full, 50 for mini.
        temperature: Positive.

    Raises:
        ConfigError: A value out of range.
    """

    guidance_scale: float = field(default=3.0, metadata=_TRANSFER)
    top_k: int | None = field(default=None, metadata=_TRANSFER)
    temperature: float = field(default=1.0, metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.guidance_scale < 1.0:
            raise ConfigError(
                f"guidance_scale is {self.guidance_scale}; it must be at least 1. Use 1 for none."
            )
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}; it must be at least 1. Leave it out.")
        if self.temperature <= 0.0:
            raise ConfigError(f"temperature is {self.temperature}; it must be positive. Use 1.0.")

    def sampling(self, profile: Profile) -> Sampling:
        """How codes are drawn in a profile."""
        top_k = choose(self.top_k, DEFAULT_TOP_K[profile])
        return Sampling(self.guidance_scale, top_k, self.temperature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(SamplingParameters):
    """Settings of MusicGen melody: how its codes are drawn."""
