"""At which rate the baselines work; importable without numpy's heavier company."""

from __future__ import annotations

from bench.api import Profile, ProfileInfo

SAMPLE_RATE: dict[Profile, int] = {"mini": 22_050, "full": 44_100}


def describe(profile: Profile) -> ProfileInfo:
    """The rate of the profile; clips of any length, no weights, the whole band."""
    return ProfileInfo(sample_rate=SAMPLE_RATE[profile], licence="none needed (no weights)")
