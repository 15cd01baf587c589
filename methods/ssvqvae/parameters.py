"""The parameters of SS VQ-VAE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.api import ConfigError

StyleClips = Literal["average", "concatenate", "first"]
PUBLISHED_ITERATIONS = 32


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings of SS VQ-VAE.

    Args:
        style_clips: How several clips make one style vector: average of their vectors, or the
            vector of all of them one after the other, or of the first alone (as published).
        iterations: Of Griffin-Lim, at least 1; 32 as published.

    Raises:
        ConfigError: A value out of range.
    """

    style_clips: StyleClips = field(default="average", metadata={"role": "fit"})
    iterations: int = field(default=PUBLISHED_ITERATIONS, metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Check the range."""
        if self.iterations < 1:
            raise ConfigError(f"iterations is {self.iterations}; it must be at least 1. Use 32.")
