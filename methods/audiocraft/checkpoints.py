"""The checkpoint of MusicGen melody in its authors' own layout, as data; importable without torch.

audiocraft asks the network for two models more when it first loads: the text encoder t5-base from
the hub, and htdemucs, which takes drums and bass out of the content before its chroma.
"""

from __future__ import annotations

from bench.api import HubCheckpoint, Profile, ProfileInfo
from methods.audiocraft.melody import RATE, TITLE, WINDOW_S

MUSICGEN_MELODY = HubCheckpoint(
    id="facebook/musicgen-melody",
    revision="main",
    files=("state_dict.bin", "compression_state_dict.bin"),
    bytes=3_010_000_000,
    licence="CC-BY-NC-4.0",
    part=TITLE,
)

HUB_CHECKPOINTS = (MUSICGEN_MELODY,)


def describe(profile: Profile) -> ProfileInfo:
    """The same in every profile, but that only the full one has weights."""
    return ProfileInfo(
        sample_rate=RATE,
        longest_s=WINDOW_S,
        weights=(MUSICGEN_MELODY.name,) if profile == "full" else (),
        licence=MUSICGEN_MELODY.licence,
        bandwidth_hz=RATE / 2,
    )
