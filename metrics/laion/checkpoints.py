"""The checkpoint of laion-clap, as data; importable without torch."""

from __future__ import annotations

from bench.api import Profile, ProfileInfo
from metrics.clap.checkpoints import LAION_630K


def describe(profile: Profile) -> ProfileInfo:
    """Describe a profile; they are alike, except that only the full one has weights."""
    return ProfileInfo(
        sample_rate=48_000,
        weights=(LAION_630K.name,) if profile == "full" else (),
        licence=LAION_630K.licence,
        bandwidth_hz=14_000.0,
        checkpoints=(LAION_630K,) if profile == "full" else (),
    )
