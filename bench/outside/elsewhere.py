"""Methods that are a folder of outputs: `outputs:FOLDER`, and what its user says of them.

Nothing is looked for on the disk here; `bench.delivery` reads the folder when a run is prepared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from bench.description import (
    MADE_ELSEWHERE,
    NOT_SAID,
    Conditioning,
    Entry,
    MethodInfo,
    ProfileInfo,
    is_made_elsewhere,
)
from bench.errors import ConfigError

SOURCE = "made elsewhere"
UNLICENSED = f"sounds: {NOT_SAID}"


def place_of(name: str) -> Path:
    """The folder, or the list of files, that a name such as `outputs:FOLDER` stands for."""
    return Path(name.removeprefix(MADE_ELSEWHERE)).expanduser()


def entry_elsewhere(name: str) -> Entry:
    """The line that the catalog would have for a folder of outputs.

    Args:
        name: Such as `outputs:path/to/theirs`.

    Raises:
        ConfigError: It names no folder.

    Example:
        >>> entry_elsewhere("outputs:path/to/theirs").info.title
        'theirs'
    """
    place = place_of(name)
    if not name.removeprefix(MADE_ELSEWHERE).strip():
        raise ConfigError(
            f"method {name!r} names no folder; outputs that were made elsewhere are named by "
            "theirs. Write outputs:path/to/folder."
        )
    title = place.stem if place.suffix == ".csv" else place.absolute().name
    info = MethodInfo(title or str(place), (), fits_per_style=False, source=SOURCE)
    return Entry("methods.outputs:Outputs", info, parameters="methods.outputs:OutputsParameters")


def as_said(
    info: MethodInfo, profile: ProfileInfo, said: Mapping[str, object]
) -> tuple[MethodInfo, ProfileInfo]:
    """The description of such a method with what its parameters say: title, source, licence, sees.

    Example:
        >>> info = MethodInfo("theirs", (), False, SOURCE)
        >>> info, profile = as_said(info, ProfileInfo(), {"title": "MuseTimbre", "sees": "melody"})
        >>> info.title, info.conditioned_on, profile.licence
        ('MuseTimbre', ('melody',), 'sounds: not said')
    """
    title, source, licence, sees = (
        str(said.get(key) or "") for key in ("title", "source", "licence", "sees")
    )
    given = tuple(cast("Conditioning", part.strip()) for part in sees.split("+") if part.strip())
    described = replace(
        info,
        title=title or info.title,
        source=f"{SOURCE}: {source}" if source else SOURCE,
        conditioned_on=given,
    )
    return described, replace(profile, licence=f"sounds: {licence}" if licence else UNLICENSED)


def require_made_here(name: str, what: str) -> None:
    """Refuse outputs that were made elsewhere where a method has to work.

    Args:
        name: Of a method.
        what: What is asked of it, in words: "rendered with", "timed".

    Raises:
        ConfigError: It is such a folder.
    """
    if is_made_elsewhere(name):
        raise ConfigError(
            f"{name} stands for outputs that were made elsewhere; nothing can be {what} here. "
            "`run` scores them; name a method of the catalog or path/to/file.py:Class."
        )
