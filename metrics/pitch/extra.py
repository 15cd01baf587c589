"""The optional libraries behind the note judges: whether they are here, and what installs them.

They are no part of a plain installation, because the runtime takes 80 MB. Nothing else in this
package imports them at module level, so that lists, help and the doctor do without.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module, metadata

from bench.api import Json, UnsupportedError
from bench.checkout import extra_line

EXTRA = "notes"
RUNTIME, TRACKER = "onnxruntime", "swift-f0"
TRACKER_RELEASES = ((0, 3), (0, 4))  # from, and up to but not including: the next may ask otherwise


@cache
def lacking() -> str:
    """Why the judges cannot hear here, as a sentence with the way out; empty where they can."""
    for distribution in (RUNTIME, TRACKER):
        try:
            import_module(distribution.replace("-", "_"))
        except ImportError as error:
            return _refusal(f"{distribution} cannot be imported ({error})")
    release = tuple(int(part) for part in re.findall(r"\d+", metadata.version(TRACKER))[:2])
    least, first_unlike = TRACKER_RELEASES
    if least <= release < first_unlike:
        return ""
    return _refusal(f"{TRACKER} is {metadata.version(TRACKER)}, not 0.3")


def _refusal(fact: str) -> str:
    return f"{fact}; this metric needs the extra {EXTRA!r}. Install it: `{extra_line(EXTRA)}`"


def require() -> None:
    """Refuse to go on without the libraries.

    Raises:
        UnsupportedError: One is absent, or another version than this was written for.
    """
    if lacking():
        raise UnsupportedError(lacking())


def versions(*distributions: str) -> dict[str, Json]:
    """The versions of distributions by name; None for one that is absent."""
    return {name: _version(name) for name in distributions}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
