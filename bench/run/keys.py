"""Names of cached results: a digest over everything that decides them, and nothing else.

A fit depends on the method's code and version, its fit parameters, the weights, the style's clips
and text, and the seed. A rendered chunk depends on its fits, the transfer parameters, its contents
and their seeds. Comments, docstrings, paths and the names of styles and contents do not enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.api import Audio, Json, Style
from bench.files import json_digest


@dataclass(frozen=True, slots=True)
class Identity:
    """What a method is, for keys.

    Version, digest of its source, profile, digests of its weights, device type.
    """

    name: str
    version: str
    source: str
    profile: str
    weights: tuple[str, ...]
    device_type: str


def digest(value: Json) -> str:
    """SHA-256 (32 hex digits) of the canonical JSON form of `value`.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return json_digest(value, separators=(",", ":"))[:32]


def fit_key(identity: Identity, parameters: Mapping[str, Json], style: Style, seed: int) -> str:
    """Name of one fit. `style` is what the method was handed.

    Without held-out clips unless it is a control.
    """
    return digest(
        {
            "stage": "fit",
            **_facts(identity),
            "parameters": dict(parameters),
            "clips": [clip.audio.digest for clip in style.clips],
            "heldout": [clip.audio.digest for clip in style.heldout_clips],
            "text": style.text,
            "seed": seed,
        }
    )


def chunk_key(
    identity: Identity,
    fit: str,
    parameters: Mapping[str, Json],
    contents: Sequence[Audio],
    seeds: Sequence[int],
) -> str:
    """Name of one rendered chunk.

    Its company is part of it, because a batch is re-run whole or not at all.
    """
    return digest(
        {
            "stage": "transfer",
            **_facts(identity),
            "fit": fit,
            "parameters": dict(parameters),
            "contents": [content.digest for content in contents],
            "seeds": list(seeds),
        }
    )


def _facts(identity: Identity) -> dict[str, Json]:
    return {
        "method": identity.name,
        "version": identity.version,
        "source": identity.source,
        "profile": identity.profile,
        "weights": list(identity.weights),
        "device": identity.device_type,
    }
