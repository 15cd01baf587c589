"""What depends on the profile of these methods; importable without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.api import Profile, ProfileInfo

Trunk = Literal["vggish", "cnn14"]
SHALLOW_RATE = 22_050


@dataclass(frozen=True, slots=True)
class Published:
    """A published file of weights, which no hub holds.

    Args:
        name: What identifies it in the keys of cached results: a release does not change.
        file: Its name.
        url: Where it was published.
        megabytes: Its size, about.
        licence: Of the weights.
        sample_rate: Of the network, Hz.
    """

    name: str
    file: str
    url: str
    megabytes: int
    licence: str
    sample_rate: int


PUBLISHED: dict[Trunk, Published] = {
    "vggish": Published(
        "hub:github.com/harritaylor/torchvggish@v0.1#vggish-10086976",
        "vggish-10086976.pth",
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        288,
        "Apache-2.0",
        16_000,
    ),
    "cnn14": Published(
        "hub:zenodo.org/3987831@v1#Cnn14_mAP=0.431",
        "Cnn14_mAP=0.431.pth",
        "https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth",
        327,
        "CC-BY-4.0",
        32_000,
    ),
}


def checkpoint_folder() -> Path:
    """Where files lie that no hub holds: BENCH_CHECKPOINTS, or a folder of the user's cache."""
    default = Path.home() / ".cache" / "music-style-bench" / "checkpoints"
    return Path(os.environ.get("BENCH_CHECKPOINTS") or default)


def describe_shallow(_profile: Profile) -> ProfileInfo:
    """The rate of the source in every profile; clips of any length, no weights."""
    return ProfileInfo(
        sample_rate=SHALLOW_RATE,
        licence="none needed (random weights)",
        bandwidth_hz=SHALLOW_RATE / 2,
    )


def describe_vggish(profile: Profile) -> ProfileInfo:
    """VGGish; the mini profile has no model of it."""
    return _describe("vggish", profile)


def describe_cnn14(profile: Profile) -> ProfileInfo:
    """CNN14; the mini profile has no model of it."""
    return _describe("cnn14", profile)


def _describe(trunk: Trunk, profile: Profile) -> ProfileInfo:
    published = PUBLISHED[trunk]
    full = profile == "full"
    return ProfileInfo(
        sample_rate=published.sample_rate,
        weights=(published.name,) if full else (),
        licence=published.licence if full else "none needed (random weights)",
        bandwidth_hz=published.sample_rate / 2,
    )


def describe_vggish_mel(_profile: Profile) -> ProfileInfo:
    """The rate of VGGish and the edge of its bands; no weights."""
    return _describe_mel("vggish", 7_500.0)


def describe_cnn14_mel(_profile: Profile) -> ProfileInfo:
    """The rate of CNN14 and the edge of its bands; no weights."""
    return _describe_mel("cnn14", 14_000.0)


def _describe_mel(trunk: Trunk, bandwidth_hz: float) -> ProfileInfo:
    rate = PUBLISHED[trunk].sample_rate
    return ProfileInfo(
        sample_rate=rate, licence="none needed (no weights)", bandwidth_hz=bandwidth_hz
    )
