"""What depends on the profile of these methods; importable without torch."""

from __future__ import annotations

from functools import partial
from typing import Literal

from bench.api import HubCheckpoint, Profile, ProfileInfo

Trunk = Literal["vggish", "cnn14"]
SHALLOW_RATE = 22_050
RATES: dict[Trunk, int] = {"vggish": 16_000, "cnn14": 32_000}
HIGHEST_BAND_HZ: dict[Trunk, float] = {"vggish": 7_500.0, "cnn14": 14_000.0}

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


def describe_shallow(_profile: Profile) -> ProfileInfo:
    """The rate of the source in every profile; clips of any length, no weights."""
    return ProfileInfo(
        sample_rate=SHALLOW_RATE,
        licence="none needed (random weights)",
        bandwidth_hz=SHALLOW_RATE / 2,
    )


def describe_trunk(trunk: Trunk, profile: Profile) -> ProfileInfo:
    """A pretrained network; the mini profile has no model of it."""
    published = PUBLISHED[trunk]
    full = profile == "full"
    return ProfileInfo(
        sample_rate=RATES[trunk],
        weights=(published.name,) if full else (),
        licence=published.licence if full else "none needed (random weights)",
        bandwidth_hz=RATES[trunk] / 2,
        checkpoints=(published,) if full else (),
    )


def describe_mel(trunk: Trunk, _profile: Profile) -> ProfileInfo:
    """The mel image of a pretrained network: its rate and the edge of its bands; no weights."""
    return ProfileInfo(
        sample_rate=RATES[trunk],
        licence="none needed (no weights)",
        bandwidth_hz=HIGHEST_BAND_HZ[trunk],
    )


# What the catalog names: a function of the profile alone.
describe_vggish = partial(describe_trunk, "vggish")
describe_cnn14 = partial(describe_trunk, "cnn14")
describe_vggish_mel = partial(describe_mel, "vggish")
describe_cnn14_mel = partial(describe_mel, "cnn14")
