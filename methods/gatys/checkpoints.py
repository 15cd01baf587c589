"""What depends on the profile of these methods; importable without torch."""

from __future__ import annotations

from typing import Literal

from bench.api import HubCheckpoint, Profile, ProfileInfo

Trunk = Literal["vggish", "cnn14"]
SHALLOW_RATE = 22_050
RATES: dict[Trunk, int] = {"vggish": 16_000, "cnn14": 32_000}

# Published files, which no hub holds; a release does not change.
PUBLISHED: dict[Trunk, HubCheckpoint] = {
    "vggish": HubCheckpoint(
        id="github.com/harritaylor/torchvggish",
        revision="v0.1",
        files=("vggish-10086976.pth",),
        bytes=288_000_000,
        licence="Apache-2.0",
        part="vggish-10086976",
        url="https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
    ),
    "cnn14": HubCheckpoint(
        id="zenodo.org/3987831",
        revision="v1",
        files=("Cnn14_mAP=0.431.pth",),
        bytes=327_000_000,
        licence="CC-BY-4.0",
        part="Cnn14_mAP=0.431",
        url="https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth",
    ),
}
HUB_CHECKPOINTS = tuple(PUBLISHED.values())


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
        sample_rate=RATES[trunk],
        weights=(published.name,) if full else (),
        licence=published.licence if full else "none needed (random weights)",
        bandwidth_hz=RATES[trunk] / 2,
    )


def describe_vggish_mel(_profile: Profile) -> ProfileInfo:
    """The rate of VGGish and the edge of its bands; no weights."""
    return _describe_mel("vggish", 7_500.0)


def describe_cnn14_mel(_profile: Profile) -> ProfileInfo:
    """The rate of CNN14 and the edge of its bands; no weights."""
    return _describe_mel("cnn14", 14_000.0)


def _describe_mel(trunk: Trunk, bandwidth_hz: float) -> ProfileInfo:
    rate = RATES[trunk]
    return ProfileInfo(
        sample_rate=rate, licence="none needed (no weights)", bandwidth_hz=bandwidth_hz
    )
