"""Which file of a folder is the output of which planned cell, what is missing and what is left.

A file's name is looked for among the names that the plan expects, so that a content called `a.1`
is told from the second output of `a`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import ConfigError
from bench.audio import READABLE
from bench.delivery.folder import LAYOUT, Found, read_folder
from bench.delivery.listing import LIST, Listed, Place, place_words
from bench.errors import nearest
from bench.files import json_digest, remembered_digest
from bench.outside.wording import some, visible
from bench.records.schema import PlannedCell


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """An output that was made elsewhere: its name in the folder, where it lies, and its SHA-256."""

    name: str
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outputs of one method that were made elsewhere, by the cells of a plan.

    Args:
        folder: Where they lie.
        files: The outputs by style, content and repetition.
        missing: Planned cells without a file.
        extra: Sound files, and lines of the list, that no planned cell asks for.
    """

    folder: Path
    files: Mapping[Place, DeliveredFile]
    missing: tuple[Place, ...]
    extra: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the files of all cells, 64 hex digits; no folder and no file name counts."""
        return json_digest(sorted([*place, file.digest] for place, file in self.files.items()))

    @property
    def words(self) -> str:
        """How many outputs are there, what is missing and what is left over, in a line."""
        total = len(self.files) + len(self.missing)
        lines = [f"{len(self.files)} of {total} outputs are there"]
        if self.missing:
            lines.append(f"not delivered: {some(map(place_words, self.missing), ', ')}")
        if self.extra:
            lines.append(f"not asked for: {some(self.extra, ', ')}")
        return visible("; ".join(lines))


def deliver(place: Path, cells: Iterable[PlannedCell]) -> Delivery:
    """Find the outputs of planned cells in a folder; the files are hashed and not decoded.

    Args:
        place: The folder, or a list of outputs in it.
        cells: Those of one method.

    Raises:
        ConfigError: The folder cannot be used, or holds nothing that was planned.
    """
    return match(read_folder(place), [(one.style, one.content, one.repetition) for one in cells])


def match(found: Found, places: Sequence[Place]) -> Delivery:
    """Match what lies in a folder with the places of a plan; raises as `deliver` does."""
    chosen = _by_name(found, places) if found.listed is None else _by_list(found, found.listed)
    names = {place: chosen[place] for place in places if place in chosen}
    if not names and places:
        raise _none_planned(found, places, chosen)
    used = set(names.values())
    extra = [name for name in found.files if name not in used]
    files = {
        place: DeliveredFile(name, found.files[name], remembered_digest(found.files[name]))
        for place, name in names.items()
    }
    missing = tuple(place for place in places if place not in names)
    return Delivery(found.folder, files, missing, (*extra, *found.unread))


def _by_list(found: Found, listed: Iterable[Listed]) -> dict[Place, str]:
    """What a list says, as far as the files are there."""
    for one in listed:
        if one.name and Path(one.name).suffix.lower() not in READABLE:
            raise ConfigError(
                f"{found.list_path}:{one.line} names {one.name!r:.200}; outputs are sound of a "
                f"kind that is read ({', '.join(READABLE)}). Convert it and correct the line."
            )
    return {one.place: one.name for one in listed if one.name in found.files}


def _by_name(found: Found, places: Iterable[Place]) -> dict[Place, str]:
    """What the names say: each file that is called as a planned cell is its output."""
    expected: dict[str, list[Place]] = {}
    for place in dict.fromkeys(places):
        style, content, repetition = place
        stems = {f"{style}/{content}.{repetition}", place_words(place)}
        for stem in stems:
            expected.setdefault(stem, []).append(place)
    chosen: dict[Place, str] = {}
    for name in found.files:
        wanted = expected.get(_stem(name), [])
        if len(wanted) > 1:
            style, content, repetition = wanted[1]
            raise ConfigError(
                f"{found.folder / name} may be {wanted[0][1]!r} or repetition {repetition} of "
                f"{content!r} in style {style!r}; a name must say which. Write a list, {LIST}."
            )
        for place in wanted:
            other = chosen.setdefault(place, name)
            if other != name:
                raise ConfigError(
                    f"{found.folder} holds two outputs of {place_words(place)}: {other} and "
                    f"{name}; each stands once. Remove one."
                )
    return chosen


def _stem(name: str) -> str:
    """A name without its suffix, which is what is read of it: "a.1.wav" is the stem "a.1"."""
    return name[: -len(Path(name).suffix)]


def _none_planned(
    found: Found, places: Sequence[Place], chosen: Mapping[Place, str]
) -> ConfigError:
    """What to say where nothing of a folder was planned."""
    wanted = place_words(places[0])
    if found.listed is None:
        have, counted = next(iter(found.files)), some_sounds(len(found.files))
        near = nearest(_stem(have), map(place_words, places))
        return ConfigError(
            f"outputs {found.folder} hold {counted}, such as {have!r:.200}, and none is "
            f"called as planned; they lie as {LAYOUT}, such as {wanted}.wav.{near} Rename them, or "
            f"write a list, {LIST}."
        )
    fact = "none of its files is there" if not chosen else "none of its lines is planned"
    return ConfigError(
        f"outputs {found.folder} have a list of {len(found.listed)} outputs, and {fact}; this run "
        f"plans {wanted} and {len(places) - 1} more. Correct {found.list_path}, or take it away."
    )


def some_sounds(count: int) -> str:
    """A number of sounds in words.

    Example:
        >>> some_sounds(1), some_sounds(2)
        ('1 sound', '2 sounds')
    """
    return f"{count} sound" + ("" if count == 1 else "s")
