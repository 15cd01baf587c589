"""The parameters of these methods, checked before a model is loaded.

`strength` means the same in both, and what it means elsewhere in this project: more noise to begin
with, less of the content, more of the style.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.api import Conditioning, ConfigError
from bench.counts import Passes

_FIT, _TRANSFER = {"role": "fit"}, {"role": "transfer"}
# The lowest noise level of Stable Audio Open, sigma 0.3, is (2/pi) atan 0.3 = 0.186 of its time.
WEAKEST = 0.19
_HIGHEST_SCALE, _MOST_STEPS = 100.0, 1000


def _require(name: str, value: float, *, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(f"{name} is {value}; it must be {rule}. Leave it out for the default.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guided:
    """What both have: guidance and steps."""

    guidance_scale: float = field(default=7.0, metadata=_TRANSFER)
    num_inference_steps: int = field(default=50, metadata=_TRANSFER)

    def _check(self) -> None:
        scale, steps = self.guidance_scale, self.num_inference_steps
        rule = f"from 1 (none) to {_HIGHEST_SCALE:g}"
        _require("guidance_scale", scale, holds=1.0 <= scale <= _HIGHEST_SCALE, rule=rule)
        rule = f"from 1 to {_MOST_STEPS}"
        _require("num_inference_steps", steps, holds=1 <= steps <= _MOST_STEPS, rule=rule)

    @property
    def rows(self) -> int:
        """Rows of the transformer in a step."""
        return 2 if self.guidance_scale > 1.0 else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AceStepParameters(_Guided):
    """Parameters of ACE-Step's cover.

    Args:
        prompt: The style's text where it has one (style), or an empty prompt (none), by
            which the sound of the style alone is heard.
        strength: In (0, 1]: the share of noise that the content's latents begin with. 1 is noise
            alone, as in the pipeline's own cover.
        audio_cover_strength: In [0, 1], as the pipeline calls it: the weight of what is predicted
            for a cover of the content, against what is predicted for new music.
        guidance_scale: At least 1; 1 switches guidance off.
        num_inference_steps: At least 1; its documentation advises 30 to 60.

    Raises:
        ConfigError: A value out of range.
    """

    prompt: Literal["style", "none"] = field(default="style", metadata=_FIT)
    strength: float = field(default=1.0, metadata=_TRANSFER)
    audio_cover_strength: float = field(default=1.0, metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check the ranges."""
        self._check()
        strength, cover = self.strength, self.audio_cover_strength
        _require("strength", strength, holds=0.0 < strength <= 1.0, rule="above 0 and at most 1")
        _require("audio_cover_strength", cover, holds=0.0 <= cover <= 1.0, rule="from 0 to 1")

    def given(self, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """No words where the prompt is empty."""
        return tuple(what for what in usually if what != "style text" or self.prompt == "style")

    def passes(self) -> Passes:
        """Rows of the transformer for a content."""
        rows = self.rows + (1 if self.audio_cover_strength < 1.0 else 0)
        return Passes(transfer=rows * self.num_inference_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class StableAudioParameters(_Guided):
    """Parameters of Stable Audio from audio to audio.

    Args:
        strength: From 0.19 to 1: the noise that is added to the content, in the model's own time
            t = (2/pi) atan(sigma). 1 is the highest level, of which nothing is heard through.
        guidance_scale: At least 1; 1 switches guidance off.
        num_inference_steps: At least 1; all are taken between that level and none.

    Raises:
        ConfigError: A value out of range.
    """

    strength: float = field(default=0.7, metadata=_TRANSFER)
    num_inference_steps: int = field(default=100, metadata=_TRANSFER)

    def __post_init__(self) -> None:
        """Check the ranges."""
        self._check()
        rule = f"from {WEAKEST} to 1"
        _require("strength", self.strength, holds=WEAKEST <= self.strength <= 1.0, rule=rule)

    def passes(self) -> Passes:
        """Rows of the transformer for a window."""
        return Passes(transfer=self.rows * self.num_inference_steps)
