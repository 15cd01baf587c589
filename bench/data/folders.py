"""Folders of audio: the contents and styles of a dataset, or a single style, found by their place.

The layout is described in `bench.data`.
"""

from __future__ import annotations

import logging
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from bench.api import DatasetError
from bench.audio import READABLE, UNREADABLE
from bench.data.card_model import ClipCard, clip_source, style_clips
from bench.data.clips import ClipSource, StyleSource
from bench.errors import nearest
from bench.outside import ffmpeg
from bench.outside.names import composed, on_disk, require_utf8
from bench.outside.texts import read_text

LAYOUT = "content/<category>/<clip> and style/<style>/<clip> (wav, aiff, flac, ogg, opus, mp3)"
logger = logging.getLogger(__name__)


def style_folder(root: Path) -> Path:
    """The folder in which the styles of a dataset lie: `timbre` if there is one, else `style`."""
    return root / "timbre" if (root / "timbre").is_dir() else root / "style"


def style_names(root: Path) -> list[str]:
    """The styles of a dataset: the names of the folders in its folder of styles.

    Raises:
        DatasetError: The folder is not laid out as a dataset.
    """
    return [composed(folder.name) for folder in _subfolders(style_folder(root))]


def scan_contents(root: Path) -> list[ClipSource]:
    """Find the contents of a dataset; one whose file name stands twice gets its category before it.

    Raises:
        DatasetError: The folder is not laid out as a dataset, or a file cannot be used.
    """
    files = [
        (composed(folder.name), composed(path.stem), path)
        for folder in _subfolders(root / "content")
        for path in _files_of_category(folder)
    ]
    counts = Counter(name for _, name, _ in files)
    return [
        clip_source(
            root,
            name if counts[name] == 1 else f"{category}_{name}",
            category,
            ClipCard(path=str(path)),
        )
        for category, name, path in files
    ]


def scan_changed(root: Path) -> list[ClipSource]:
    """Find the contents of a dataset with wrong notes and the like; none without such a folder.

    They lie in `changed/<change>/<id of the content>`; the change becomes their category.

    Raises:
        DatasetError: A file lies elsewhere in that folder, or cannot be used.
    """
    if not (root / "changed").is_dir():
        return []
    return [
        clip_source(root, composed(path.stem), composed(folder.name), ClipCard(path=str(path)))
        for folder in _subfolders(root / "changed")
        for path in _files_of_category(folder)
    ]


def scan_style(root: Path, name: str) -> list[tuple[str, ClipCard]]:
    """Find the files of one style of a dataset, each with its id.

    Raises:
        DatasetError: The style has no file.
    """
    return _named(_files_of_category(on_disk(style_folder(root) / name)))


def read_style(place: Path, text: str | None = None) -> StyleSource:
    """Find the clips of a style outside a dataset and hash them; their sound is read later.

    Args:
        place: A folder whose audio files are the clips, or one audio file. Its name becomes the
            style's.
        text: The style in words; None takes `text.txt` in the folder, else the name in words.

    Raises:
        DatasetError: The place does not exist or has no clip.
    """
    require_utf8(place)
    there = on_disk(place)
    if not there.exists():
        raise DatasetError(
            f"style {place} does not exist; it must be a folder of clips or one clip. Check the "
            "path."
        )
    where = there.resolve()
    # No data set depends on what is installed; a single style may.
    kinds = (*READABLE, *ffmpeg.SUFFIXES) if ffmpeg.is_there() else READABLE
    files = [where] if where.is_file() else _audio_in(where, kinds) or _none_in(place)
    _name_unread(where, kinds)
    name = composed(where.stem if where.is_file() else where.name)
    clips, left_out = style_clips(where, name, _named(files))
    return StyleSource(name, "instrument", style_text(where, name, text), clips, left_out)


def style_text(folder: Path, name: str, given: str | None) -> str:
    """The text of a style: the given one, else that of `text.txt`, else its name in words.

    Args:
        folder: The folder of the style's clips.
        name: Name of the style: "church_bell" becomes "church bell".
        given: What a card or the user says.
    """
    if given is not None:
        return given
    note = folder / "text.txt"
    words = _in_one_line(note) if note.is_file() else ""
    return words or name.replace("_", " ")


def _named(files: list[Path]) -> list[tuple[str, ClipCard]]:
    for path in files:
        require_utf8(path)
    return [(composed(path.stem), ClipCard(path=str(path))) for path in files]


def _in_one_line(note: Path) -> str:
    """The words of a text file, with one space between each."""
    try:
        words = " ".join(read_text(note).split())
        _require_no_control(words)
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{note} cannot be read ({error}); the text of a style is a line of UTF-8. Save it as "
            "UTF-8."
        ) from error
    return words


def _require_no_control(words: str) -> None:
    control = next((one for one in words if unicodedata.category(one) == "Cc"), None)
    if control is not None:
        raise ValueError(f"it holds the control character {control!r}")


def _subfolders(folder: Path) -> list[Path]:
    """The folders in `content` or `style`, which hold nothing else."""
    if not folder.is_dir():
        loose = len(_audio_in(folder.parent))
        raise DatasetError(
            f"{folder.parent} has no folder {folder.name!r} ({loose} audio files lie loose in "
            f"it); a dataset is laid out {LAYOUT}.{_lead(folder)} Sort the clips into such folders."
        )
    if loose_files := _audio_in(folder):
        raise DatasetError(
            f"{loose_files[0]} lies directly in {folder.name!r}; a dataset is laid out {LAYOUT}. "
            "Move it one folder down."
        )
    found = sorted(path for path in folder.iterdir() if path.is_dir() and _is_visible(path))
    if not found:
        raise DatasetError(f"{folder} is empty; a dataset is laid out {LAYOUT}. Add clips.")
    _require_unlike_names(found)
    return found


def _require_unlike_names(folders: list[Path]) -> None:
    names: dict[str, Path] = {}
    for folder in folders:
        require_utf8(folder)
        other = names.setdefault(composed(folder.name), folder)
        if other is not folder:
            raise DatasetError(
                f"{folder.parent} has two folders {composed(folder.name)!r}, which differ only in "
                "how their letters are coded; each name stands once. Put their clips into one."
            )


def _lead(missing: Path) -> str:
    """Say where the missing folder may be: under a similar name, or one folder deeper."""
    inside = sorted(path for path in missing.parent.iterdir() if path.is_dir())
    for folder in inside:
        if (folder / "content").is_dir() and style_folder(folder).is_dir():
            return f" {folder} is laid out like that: name that folder."
    return nearest(missing.name, [folder.name for folder in inside])


def _files_of_category(folder: Path) -> list[Path]:
    """The audio files of a category or style, which lie directly in its folder."""
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and _is_visible(path)):
        if _audio_in(inner):
            raise DatasetError(
                f"{inner} holds audio one folder too deep; a dataset is laid out {LAYOUT}. Move "
                "it one folder up."
            )
    found = _audio_in(folder)
    if not found:
        raise DatasetError(
            f"{folder} holds no audio{_but(folder)}; each category and style has at least one clip "
            f"({', '.join(READABLE)}). Add one or remove the folder."
        )
    _name_unread(folder)
    return found


def _unread_in(folder: Path, kinds: Collection[str] = READABLE) -> list[str]:
    """Names of the files that lie directly in a folder and are sound of a kind that is not read."""
    if not folder.is_dir():
        return []
    return sorted(
        composed(path.name)
        for path in folder.iterdir()
        if path.suffix.lower() in {*UNREADABLE} - {*kinds} and _is_visible(path)
    )


def _name_unread(folder: Path, kinds: Collection[str] = READABLE) -> None:
    if names := _unread_in(folder, kinds):
        logger.warning(
            "%s: skipped %s; %s are read. Convert them to use them.",
            folder,
            ", ".join(map(ascii, names)),
            ", ".join(kinds),
        )


def _but(folder: Path) -> str:
    """What lies there instead of clips, if it is sound."""
    names = _unread_in(folder)
    return f" that is read, only {', '.join(map(ascii, names))}" if names else ""


def _none_in(place: Path) -> list[Path]:
    """Say what is wrong with a folder without clips; point to a style where it holds several."""
    deeper = sorted(path for path in place.glob("**/") if path != place and _audio_in(path))
    styles = [path for path in deeper if path.parent.name in {"style", "timbre"}] or deeper
    if styles:
        raise DatasetError(
            f"style {place} has no clips of its own, only folders with clips in them; one style is "
            f"needed. Name one, such as {styles[0]}."
        )
    raise DatasetError(
        f"style {place} holds no audio{_but(on_disk(place))} ({', '.join(READABLE)}); a style "
        "has at least one clip. Add one, or name another folder."
    )


def _audio_in(folder: Path, kinds: Collection[str] = READABLE) -> list[Path]:
    """The audio files that lie directly in a folder, sorted; none if the folder does not exist."""
    return sorted(_readable(folder, kinds)) if folder.is_dir() else []


def _readable(folder: Path, kinds: Collection[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.suffix.lower() in kinds and _is_visible(path) and not path.is_dir():
            yield path


def _is_visible(path: Path) -> bool:
    return not path.name.startswith((".", "__"))
