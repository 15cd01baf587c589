"""The parameters of MusicGen-Style."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.api import Conditioning, ConfigError
from methods.musicgen.sampling import SamplingParameters

Use = Literal["style", "prompt", "content"]
_GIVEN: dict[Use, tuple[Conditioning, ...]] = {
    "style": ("style audio",),
    "prompt": ("style audio", "content audio"),
    "content": ("style text", "content audio"),
}
_FIT, _TRANSFER = {"role": "fit"}, {"role": "transfer"}
_LONGEST_PROMPT_S, _MOST_STAGES = 3.0, 6
SHORTEST_EXCERPT_S = 0.05  # a frame of features takes 25 ms


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleParameters(SamplingParameters):
    """Parameters of MusicGen-Style, beside those of the sampling.

    Args:
        use: style, prompt or content (module docstring).
        stages: Of the style's quantiser, 1 to 6: fewer let less of the excerpt through.
        excerpt_s: Length of the excerpt; trained with 1.5 to 4.5 s. A shorter clip is taken whole.
        excerpt: Its place: random, or middle.
        text_guidance_scale: Of text against style alone, at least 1; only `content` has a text.
        prompt_s: How much of the content `prompt` continues, at most 3 s.

    Raises:
        ConfigError: A value out of range.
    """

    use: Use = field(default="style", metadata=_FIT)
    stages: int = field(default=3, metadata=_FIT)
    excerpt_s: float = field(default=3.0, metadata=_FIT)
    excerpt: Literal["random", "middle"] = field(default="random", metadata=_FIT)
    text_guidance_scale: float = field(default=5.0, metadata=_TRANSFER)
    prompt_s: float = field(default=1.5, metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check the ranges."""
        SamplingParameters.__post_init__(self)
        if self.text_guidance_scale < 1.0:
            raise ConfigError(
                f"text_guidance_scale is {self.text_guidance_scale}; it must be at least 1. Use 1 "
                "for ordinary guidance."
            )
        if not 1 <= self.stages <= _MOST_STAGES or self.excerpt_s < SHORTEST_EXCERPT_S:
            raise ConfigError(
                f"stages is {self.stages} and excerpt_s {self.excerpt_s}; they must be 1 to "
                f"{_MOST_STAGES} and at least {SHORTEST_EXCERPT_S}. Leave them out."
            )
        if not 0.0 < self.prompt_s <= _LONGEST_PROMPT_S:
            raise ConfigError(
                f"prompt_s is {self.prompt_s}; it must be above 0 and at most "
                f"{_LONGEST_PROMPT_S}. Use 1.5."
            )

    def given(self, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """What each use hears of style and content."""
        del usually
        return _GIVEN[self.use]
