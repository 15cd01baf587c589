"""What depends on the profile of these methods; importable without torch."""

from __future__ import annotations

from bench.api import Profile, ProfileInfo

SHALLOW_RATE = 22_050


def describe_shallow(_profile: Profile) -> ProfileInfo:
    """The rate of the source in every profile; clips of any length, no weights."""
    return ProfileInfo(
        sample_rate=SHALLOW_RATE,
        licence="none needed (random weights)",
        bandwidth_hz=SHALLOW_RATE / 2,
    )
