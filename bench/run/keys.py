"""Names of cached results: a digest over everything that decides them, and nothing else.

A fit depends on the method's code and version, its fit parameters, the weights, the style's clips
and text, and the seed. A rendered chunk depends on its fits, the transfer parameters, its contents
and their seeds. Comments, docstrings, paths and the names of styles and contents do not enter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import ConfigError, Json, Profile, ProfileInfo, Style
from bench.device import device_kind
from bench.files import json_digest, remembered_digest
from bench.plan.plan import Plan, PlannedMethod, parameters_of
from bench.plugins.catalog import find_method
from bench.plugins.inspection import digest_of
from bench.plugins.parameters import named_files
from bench.records.identity import FILES
from bench.records.schema import IdentityFacts
from bench.weights import digest as weights_digest

HEAD = 12  # hex digits of a digest that records keep to name what changed


@dataclass(frozen=True, slots=True)
class Identity:
    """The part of a cache key that identifies a method.

    Args:
        name: Its name in the catalog, or `file.py:Class`.
        version: As its description says.
        source: Digest of its code.
        profile: Which of its checkpoints are loaded.
        weights: Digests of those checkpoints.
        device_type: "cpu", "cuda" or "mps", with the precision where it is not float32.
        files: Digest of the outputs of a method that were made elsewhere, or of the files that its
            parameters name; empty for all others.
    """

    name: str
    version: str
    source: str
    profile: str
    weights: tuple[str, ...]
    device_type: str
    files: str = ""

    @property
    def mark(self) -> str:
        """Digest of the code and the weights, for records: 32 hex digits; no device counts."""
        return digest({key: value for key, value in _facts(self).items() if key != "device"})


def identity_of(method: PlannedMethod, profile: Profile, device: str, files: str = "") -> Identity:
    """The identity of a method of a run.

    Args:
        method: The method.
        profile: Which of its checkpoints are loaded.
        device: Where it works.
        files: Digest of its outputs, where they were made elsewhere, or of `named_by`.

    Raises:
        CheckpointError: A checkpoint of the method is missing.
    """
    return Identity(
        name=method.choice.name,
        version=method.info.version,
        source=digest_of(find_method(method.choice.name)),
        profile=profile,
        weights=tuple(weights_digest(name) for name in method.profile.weights),
        device_type=device_kind(device),
        files=files,
    )


def named_by(plan: Plan, method: PlannedMethod) -> str:
    """Digest of the files that the parameters of a method name for the styles of a plan, or empty.

    Raises:
        ConfigError: One is not there.
    """
    found: dict[str, Json] = {}
    for style, parameters in parameters_of(plan, method).items():
        try:
            named = named_files(parameters, style)
        except ConfigError as error:
            raise ConfigError(f"{method.choice.name}: {error}") from error
        found |= {f"{name} {style}": remembered_digest(path) for name, path in named.items()}
    return digest(found) if found else ""


def facts_of(identity: Identity, method: PlannedMethod) -> IdentityFacts:
    """What an identity stands for, as records keep it."""
    weights = {  # that of a hub's checkpoint is its name with the commit
        name: (digest(found) if found.startswith("hub:") else found)[:HEAD]
        for name, found in named_weights(identity, method.profile).items()
    }
    files = {FILES: identity.files[:HEAD]} if identity.files else {}
    return IdentityFacts(
        version=identity.version, source=identity.source[:HEAD], weights={**weights, **files}
    )


def named_weights(identity: Identity, profile: ProfileInfo) -> dict[str, str]:
    """The digests of a method's checkpoints by name, without folders of this machine."""
    return dict(zip(weights_names(profile), identity.weights, strict=True))


def weights_names(profile: ProfileInfo) -> list[str]:
    """The checkpoints of a method without folders of this machine."""
    return [
        Path(name).name if "/" in name and not name.startswith("hub:") else name
        for name in profile.weights
    ]


def digest(value: Json) -> str:
    """SHA-256 (32 hex digits) of the canonical JSON form of `value`.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return json_digest(value, separators=(",", ":"))[:32]


def fit_key(identity: Identity, parameters: Mapping[str, Json], style: Style, seed: int) -> str:
    """The name of one fit in the cache.

    `style` is what the method was handed: without held-out clips unless the method is a control.
    """
    heard = [clip.audio.digest for clip in style.clips]
    heldout = [clip.audio.digest for clip in style.heldout_clips]
    return fit_key_of(identity, parameters, (heard, heldout), style.text, seed)


def fit_key_of(
    identity: Identity,
    parameters: Mapping[str, Json],
    clips: tuple[list[str], list[str]],
    text: str | None,
    seed: int,
) -> str:
    """As `fit_key`, from the digests of what was heard of the clips and of the held-out ones."""
    heard, heldout = clips
    return digest(
        {
            "stage": "fit",
            **_facts(identity),
            "parameters": dict(parameters),
            "clips": [*heard],
            "heldout": [*heldout],
            "text": text,
            "seed": seed,
        }
    )


def chunk_key(
    identity: Identity,
    fit: str,
    parameters: Mapping[str, Json],
    contents: Sequence[str],
    seeds: Sequence[int],
) -> str:
    """The name of one rendered chunk in the cache, by the digests of its contents' audio.

    All contents of the chunk are part of it, because a chunk is rendered whole or not at all. For a
    control that is told the true results, these stand behind the contents. What a plan draws for a
    content alone follows from what its seed follows from, so the seed stands for both.
    """
    return digest(
        {
            "stage": "transfer",
            **_facts(identity),
            "fit": fit,
            "parameters": dict(parameters),
            "contents": list(contents),
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
        **({"files": identity.files} if identity.files else {}),
    }
