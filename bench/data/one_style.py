"""A style outside a dataset: one folder of clips, or one clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.api import DatasetError
from bench.audio import READABLE
from bench.data.clips import ClipSource, StyleSource, inspect


def read_style(place: Path, text: str | None = None) -> StyleSource:
    """Find the clips of one style and hash them; their sound is read later.

    Args:
        place: A folder whose audio files are the clips, or one audio file. Its name becomes the
            style's.
        text: The style in words; None takes `text.txt` in the folder, else the name in words.

    Raises:
        DatasetError: There is no such place, no clip in it, or a clip that cannot be used.
    """
    if not place.exists():
        raise DatasetError(
            f"style {place} does not exist; a folder of clips or one clip is wanted. Check the "
            "path."
        )
    where = place.resolve()
    files = [where] if where.is_file() else sorted(_audio_in(where)) or _none_in(place)
    name = where.stem if where.is_file() else where.name
    clips = tuple(_clip(path, name) for path in files)
    if text is not None:
        return StyleSource(name, "instrument", text, "card", clips)
    note = where / "text.txt"
    words = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    if words:
        return StyleSource(name, "instrument", words, "text.txt", clips)
    return StyleSource(name, "instrument", name.replace("_", " "), "folder name", clips)


def _clip(path: Path, style: str) -> ClipSource:
    length_s, digest = inspect(path)
    return ClipSource(path.stem, style, path, path.stem, 0.0, length_s, digest)


def _none_in(place: Path) -> list[Path]:
    """Say what is wrong with a folder without clips; point to a style where it holds several."""
    deeper = sorted(path for path in place.glob("**/") if path != place and any(_audio_in(path)))
    styles = [path for path in deeper if path.parent.name in {"style", "timbre"}] or deeper
    if styles:
        raise DatasetError(
            f"style {place} has no clips of its own, but folders with clips in it; one style is "
            f"wanted. Name one, such as {styles[0]}."
        )
    raise DatasetError(
        f"style {place} holds no audio ({', '.join(READABLE)}); a style has at least one clip. "
        "Add one, or name another folder."
    )


def _audio_in(folder: Path) -> Iterator[Path]:
    return (
        path
        for path in folder.iterdir()
        if path.suffix.lower() in READABLE and not path.name.startswith((".", "__"))
    )
