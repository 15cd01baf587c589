"""Where the methods on MusicGen leave their sources, in words for records and tables.

What holds whatever the settings stands in the catalog (`methods/__init__.py`). A departure is one
clause without a semicolon, which separates them in tables.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.api import Profile
from methods.musicgen.sampling import DEFAULT_TOP_K, SamplingParameters


def of_profile(profile: Profile) -> Iterator[str]:
    """What the frozen model is."""
    if profile == "mini":
        yield "the frozen model is a small one of this project, not MusicGen (--profile full)"
    else:
        yield "on a GPU the language model works in 16 bits (--precision float32)"


def of_sampling(parameters: SamplingParameters, profile: Profile) -> Iterator[str]:
    """How codes are drawn, against MusicGen's own settings."""
    published = SamplingParameters().sampling("full")
    if parameters.sampling(profile) != published:
        chosen = parameters.sampling(profile)
        yield (
            f"codes are drawn with guidance {chosen.guidance_scale:g}, top_k {chosen.top_k} and "
            f"temperature {chosen.temperature:g}, where MusicGen has {published.guidance_scale:g}, "
            f"{DEFAULT_TOP_K['full']} and {published.temperature:g}"
        )
