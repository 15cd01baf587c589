"""The parameters of the style encoder, which hears a style and learns nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from bench.api import ConfigError, Profile
from methods.riffusion.parameters import departures
from methods.riffusion.parameters.guided import FIT, TRANSFER, HostParameters
from methods.riffusion.width import WidthMode

Told = Literal["both", "row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleEncoderParameters(HostParameters):
    """Parameters of the stylisation, and what of the style is told.

    Args:
        fit_width_mode: How style clips are brought to the window.
        told: The row of "*" and the tokens beside it (both), or the row alone.

    Raises:
        ConfigError: A value out of range.
    """

    fit_width_mode: WidthMode = field(default="resize", metadata=FIT)
    told: Told = field(default="both", metadata=TRANSFER)

    def __post_init__(self) -> None:
        """Check everything now, before a model is loaded."""
        if self.told not in ("both", "row"):
            raise ConfigError(f"told is {self.told!r}; it must be both or row. Try both.")
        HostParameters.__post_init__(self)

    def departures(self, profile: Profile) -> Iterator[str]:
        """Where these settings leave what the network was trained for, and the family."""
        yield from departures.of_profile(profile)
        if self.told == "row":
            yield "of what is heard the row alone is told, half of it (told=both)"
        if self.sampler != "stylise":
            yield departures.of_sampler(self.sampler)
            yield from departures.of_contrast(self.contrast_weight)
        yield from departures.of_stylisation(self)
