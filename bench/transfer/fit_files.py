"""A learnt style as one file that travels: a state with all that decided it.

The file is safetensors: the arrays of the state, and in its text part the state's JSON, where the
state comes from (`Origin`), and a SHA-256 over all of it. The digest shows that nothing was altered
or lost on the way; it is no signature. Nothing in such a file is ever run: arrays of plain numbers
and JSON are all that is read, within limits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from bench.api import ConfigError, StyleState
from bench.cache import state_checksum
from bench.files import replace_file
from bench.outside.texts import MOST_JSON_BYTES, parse_json
from bench.outside.wording import one_line
from bench.plugins.returned import ReturnError, admit_states
from bench.records.schema import Description, Record
from bench.run.keys import Identity, fit_key_of
from bench.weights import UNREADABLE

FORMAT = "music-style-bench fit"
SUFFIX = ".safetensors"
MOST_FIT_BYTES = 1 << 31  # a textual inversion has kilobytes, a folder of clips megabytes
_LENGTH_BYTES = 8  # of the length of the head
_WORDS = {"format", "origin", "meta", "sha256"}
AGAIN = "Export it again, or ask whoever made it for a whole copy."


class LearntClip(Record):
    """A clip that a style was learnt from.

    Attributes:
        name: Of the clip in its folder or data set.
        file_sha256: Of its file, 64 hex digits.
        heard_sha256: Of what the method heard of it, `Audio.digest`.
    """

    name: Description
    file_sha256: str
    heard_sha256: str


class Origin(Record):
    """All that decided a state, and what whoever uses it should know.

    Attributes:
        method: Name in the catalog, or `file.py:Class` without a folder.
        version: Of the method.
        source: Digest of its code, 64 hex digits.
        profile: Which of its checkpoints were loaded.
        weights: Digests of those checkpoints, by name.
        device_type: Where it was learnt, such as "cpu" or "cuda/bfloat16".
        parameters: Those of the fit, by name.
        style: Name of the style.
        text: The style in words.
        clips: What was learnt from, in order.
        heldout: Digests of held-out clips, which only controls see.
        seed: Of the fit.
        licence: Of the style's recordings, in the words of whoever exported it or of the card.
        weights_licence: Of the method's weights.
        made_by: Who exported it, if it was said.
        made_at: When, ISO 8601 in UTC.
        bench_version: By which version of this program.
    """

    method: Description
    version: str
    source: str
    profile: Literal["mini", "full"]
    weights: dict[str, str]
    device_type: str
    parameters: dict[str, Any]
    style: Description
    text: Description | None
    clips: tuple[LearntClip, ...]
    heldout: tuple[str, ...] = ()
    seed: int
    licence: Description = "unknown"
    weights_licence: Description = "unknown"
    made_by: Description = ""
    made_at: str
    bench_version: str

    def key(self, identity: Identity) -> str:
        """The name of the fit in the cache of a machine where the method has this identity."""
        heard = [clip.heard_sha256 for clip in self.clips]
        return fit_key_of(
            identity, self.parameters, (heard, list(self.heldout)), self.text, self.seed
        )

    @property
    def words(self) -> str:
        """What it is, in a line."""
        who = f" by {self.made_by}" if self.made_by else ""
        count = len(self.clips)
        return (
            f"style {self.style!r} as {self.method} ({self.profile}) learnt it from {count} "
            f"clip{'' if count == 1 else 's'}, licence {self.licence}; exported {self.made_at}{who}"
        )


@dataclass(frozen=True, slots=True)
class FitFile:
    """A learnt style and where it comes from."""

    origin: Origin
    state: StyleState


def write_fit(path: Path, fit: FitFile) -> None:
    """Write a learnt style, as a whole or not at all.

    Raises:
        ConfigError: It is too large for a file of this kind, or holds what `read_fit` refuses.
    """
    from safetensors.numpy import save

    arrays = {name: np.asarray(array, order="C") for name, array in fit.state.arrays.items()}
    fault = _fault(arrays)
    if fault:
        raise ConfigError(f"the fit of {fit.origin.style!r} {fault}. It cannot be exported.")
    words = {
        "format": FORMAT,
        "origin": fit.origin.model_dump_json(),
        "meta": json.dumps(dict(fit.state.meta)),
    }
    words["sha256"] = state_checksum(words, arrays)
    data = save(arrays, words)
    if len(data) > MOST_FIT_BYTES:
        raise ConfigError(
            f"the fit of {fit.origin.style!r} takes {len(data)} bytes; a file of a fit has at most "
            f"{MOST_FIT_BYTES}. Learn from fewer or shorter clips."
        )
    replace_file(path, data)


def read_fit(path: Path) -> FitFile:
    """Read a learnt style and check all of it.

    Raises:
        ConfigError: The file is missing, too large, no fit, or altered, or holds NaN.
    """
    if not path.is_file():
        raise ConfigError(f"fit {path} is not a file; a file of `fit export` is wanted.")
    size = path.stat().st_size
    if size > MOST_FIT_BYTES:
        raise ConfigError(
            f"fit {path} has {size} bytes; a file of a fit has at most {MOST_FIT_BYTES}. "
            "Leave it out."
        )
    data = path.read_bytes()
    try:
        words, arrays = _taken_apart(data)
        origin = Origin.model_validate_json(words["origin"])
        meta = parse_json(words["meta"])
        (state,) = admit_states([StyleState(arrays, meta)], 1)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"fit {path} cannot be read (its origin has {where}: {first['msg']}). {AGAIN}"
        ) from error
    except (*UNREADABLE, ReturnError) as error:
        raise ConfigError(f"fit {path} cannot be read ({one_line(error)}). {AGAIN}") from error
    return FitFile(origin, state)


def _taken_apart(data: bytes) -> tuple[dict[str, str], Mapping[str, np.ndarray]]:
    """The texts and the arrays of a file; raises what `UNREADABLE` names."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if not 0 < length <= min(MOST_JSON_BYTES, len(data) - _LENGTH_BYTES):
        raise ValueError("it is no safetensors file, or was cut short")
    head = parse_json(data[_LENGTH_BYTES : _LENGTH_BYTES + length].decode())
    words = head.get("__metadata__") if isinstance(head, dict) else None
    if not isinstance(words, dict) or words.get("format") != FORMAT:
        raise ValueError(f"it does not say that it is a {FORMAT}")
    if set(words) != _WORDS or not all(isinstance(text, str) for text in words.values()):
        raise ValueError("its texts are not those of a fit")
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise ValueError(f"its arrays are broken: {error}") from error
    if words["sha256"] != state_checksum({k: v for k, v in words.items() if k != "sha256"}, arrays):
        raise ValueError("it was altered after it was written: its digest is another")
    fault = _fault(arrays)
    if fault:
        raise ValueError(f"it {fault}")
    return words, arrays


def _fault(arrays: Mapping[str, np.ndarray]) -> str | None:
    """What is wrong with the numbers of a state, as the rest of a sentence."""
    for name, array in sorted(arrays.items()):
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            return f"holds numbers in {name!r} that are NaN or infinite"
    return None
