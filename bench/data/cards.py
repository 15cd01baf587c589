"""Dataset cards and folders: from names to a `Dataset`.

See `bench.dataset` for the layout and for what counts as a recording.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from bench.api import DatasetError, UnknownNameError
from bench.audio import READABLE
from bench.checkout import DATASETS
from bench.data.archive import ArchiveCard, data_folder
from bench.data.clips import ClipSource, Dataset, Kind, StyleSource, TextSource, inspect
from bench.data.recordings import recording_of
from bench.declarations import Declared, TomlFile, parse, read_toml
from bench.errors import nearest

LAYOUT = "content/<category>/<clip> and style/<style>/<clip> (wav, flac, ogg, mp3)"


class ClipCard(Declared):
    """A clip of a card. `path` is relative to the card's root; times in seconds."""

    path: str
    recording: str | None = None
    start_s: float = Field(default=0.0, ge=0)
    duration_s: float | None = Field(default=None, gt=0)


class ContentCard(ClipCard):
    """A content of a card."""

    category: str


class StyleCard(Declared):
    """A style of a card; without `clips` they are those of the folder `style/<style>`."""

    text: str | None = None
    kind: Kind = "instrument"
    clips: list[ClipCard] = Field(default_factory=list)


class Card(Declared):
    """A dataset card; without `contents` they are those of the folder `content`.

    With an `archive` its clips lie in the data folder, where `python -m bench fetch` puts them.
    """

    schema_version: Literal[1]
    name: str
    licence: str
    redistributable: bool
    root: str = "."
    obtain: str = ""
    archive: ArchiveCard | None = None
    contents: dict[str, ContentCard] = Field(default_factory=dict)
    styles: dict[str, StyleCard] = Field(default_factory=dict)
    sha256: dict[str, str] = Field(default_factory=dict)  # path below the root -> 64 hex digits


@dataclass(frozen=True, slots=True)
class Desk:
    """A card with the file that it was read from and the folder of its clips."""

    card: Card
    file: TomlFile
    root: Path


def datasets() -> dict[str, Path]:
    """The cards of this checkout, by name."""
    return {path.stem: path for path in sorted(DATASETS.glob("*.toml"))}


def load_dataset(card_or_folder: str) -> Dataset:
    """Load a dataset by the name of a card in `datasets/`, the path of a card, or that of a folder.

    Raises:
        UnknownNameError: No such card, file or folder.
        DatasetError: A card, a folder or a clip breaks a rule; the message names it.
    """
    place = Path(card_or_folder).expanduser()
    known = datasets()
    if card_or_folder in known:
        return _load_card(known[card_or_folder])
    if place.is_dir():
        card = place / "dataset.toml"
        return _load_card(card) if card.is_file() else _load_folder(place)
    if place.suffix == ".toml" and place.is_file():
        return _load_card(place)
    raise UnknownNameError(
        f"dataset {card_or_folder!r} is neither a card ({', '.join(known)}) nor a .toml file nor "
        "a folder laid out "
        f"{LAYOUT}.{nearest(card_or_folder, known)}"
    )


def read_card(path: Path) -> Card:
    """Read a card without looking at its clips; DatasetError where it breaks a rule."""
    file = read_toml(path, DatasetError)
    return parse(Card, file.values, file.at, DatasetError)


def card_root(card: Card, path: Path) -> Path:
    """Where the clips of a card lie: beside it, or in the data folder if they are fetched."""
    return (path.parent if card.archive is None else data_folder()).joinpath(card.root).resolve()


def _load_card(path: Path) -> Dataset:
    file = read_toml(path, DatasetError)
    card = parse(Card, file.values, file.at, DatasetError)
    root = card_root(card, path)
    if not root.is_dir():
        raise DatasetError(
            f"dataset {card.name}: folder {root} does not exist; its clips lie there. "
            f"{card.obtain or f'Correct `root` in {path}.'}"
        )
    _check_sums(desk := Desk(card, file, root))
    contents = _card_contents(desk) or _scan_contents(root)
    styles = _card_styles(desk)
    return _checked(
        Dataset(card.name, card.licence, card.redistributable, tuple(contents), tuple(styles))
    )


def _card_contents(desk: Desk) -> list[ClipSource]:
    contents = []
    for name, content in desk.card.contents.items():
        with desk.file.blamed("contents", name):
            contents.append(_clip(desk.root, name, content.category, content))
    return contents


def _card_styles(desk: Desk) -> list[StyleSource]:
    styles = []
    for name in _names_of_styles(desk):
        with desk.file.blamed("styles", name):
            styles.append(_style(desk.root, name, desk.card.styles.get(name, StyleCard())))
    return styles


def _names_of_styles(desk: Desk) -> list[str]:
    """Those of the card where it names every clip, else the folders, which those must be among."""
    if _is_whole(desk.card):
        return list(desk.card.styles)
    found = _style_names(desk.root)
    for name in desk.card.styles:
        with desk.file.blamed("styles", name):
            _require_style(name, found, desk.root)
    return found


def _check_sums(desk: Desk) -> None:
    """Compare the files that the card gives checksums of; the others are not its claim."""
    for name, wanted in desk.card.sha256.items():
        path = desk.root / name
        with desk.file.blamed("sha256", name):
            _, found = inspect(path)
            if found != wanted.lower():
                raise DatasetError(
                    f"{path} has SHA-256 {found[:12]}..., the card says {wanted[:12]}...; a "
                    "dataset's clips are those of its card. Restore the file, or correct the card "
                    "if the clip was changed on purpose."
                )


def _is_whole(card: Card) -> bool:
    """Whether the card names every clip itself."""
    return bool(card.styles) and all(style.clips for style in card.styles.values())


def _load_folder(root: Path) -> Dataset:
    where = root.resolve()
    styles = [_style(where, name, StyleCard()) for name in _style_names(where)]
    licence = "unknown (a plain folder)"
    return _checked(
        Dataset(where.name, licence, False, tuple(_scan_contents(where)), tuple(styles))
    )


def _clip(root: Path, name: str, category: str, card: ClipCard) -> ClipSource:
    path = root / card.path
    length_s, digest = inspect(path, card.start_s, card.duration_s)
    recording = card.recording or recording_of(root, path) or path.stem
    return ClipSource(name, category, path, recording, card.start_s, length_s, digest)


def _style(root: Path, name: str, card: StyleCard) -> StyleSource:
    text, source = _text(root, name, card)
    if card.clips:
        clips = [_clip(root, _part_name(clip), name, clip) for clip in card.clips]
    else:
        files = _audio_files(_style_folder(root) / name)
        clips = [_clip(root, path.stem, name, ClipCard(path=str(path))) for path in files]
    return StyleSource(name, card.kind, text, source, tuple(clips))


def _part_name(clip: ClipCard) -> str:
    stem = Path(clip.path).stem
    return f"{stem}@{clip.start_s:g}" if clip.start_s else stem


def _text(root: Path, name: str, card: StyleCard) -> tuple[str, TextSource]:
    if card.text is not None:
        return card.text, "card"
    note = _style_folder(root) / name / "text.txt"
    words = note.read_text(encoding="utf-8").strip() if note.is_file() else ""
    return (words, "text.txt") if words else (name.replace("_", " "), "folder name")


# ------------------------------------------------------------------------------------- folders


def _style_folder(root: Path) -> Path:
    return root / "timbre" if (root / "timbre").is_dir() else root / "style"


def _style_names(root: Path) -> list[str]:
    return [folder.name for folder in _subfolders(_style_folder(root))]


def _require_style(name: str, found: Sequence[str], root: Path) -> None:
    if name not in found:
        raise DatasetError(
            f"style {name!r} of the card has no folder in {_style_folder(root)}; there are "
            f"{', '.join(found)}.{nearest(name, found)} Correct the card."
        )


def _scan_contents(root: Path) -> list[ClipSource]:
    files = [
        (folder.name, path)
        for folder in _subfolders(root / "content")
        for path in _audio_files(folder)
    ]
    counts = Counter(path.stem for _, path in files)
    return [
        _clip(
            root,
            path.stem if counts[path.stem] == 1 else f"{category}_{path.stem}",
            category,
            ClipCard(path=str(path)),
        )
        for category, path in files
    ]


def _subfolders(folder: Path) -> list[Path]:
    """The folders in `content` or `style`, which hold nothing else."""
    if not folder.is_dir():
        loose = len(list(_audio_in(folder.parent)))
        raise DatasetError(
            f"{folder.parent} has no folder {folder.name!r} ({loose} audio files lie loose in "
            "it); a dataset is laid out "
            f"{LAYOUT}.{_lead(folder)} Sort the clips into such folders."
        )
    loose_files = list(_audio_in(folder))
    if loose_files:
        raise DatasetError(
            f"{loose_files[0]} lies directly in {folder.name!r}; a dataset is laid out {LAYOUT}. "
            "Move it one folder down."
        )
    found = sorted(path for path in folder.iterdir() if path.is_dir() and _is_visible(path))
    if not found:
        raise DatasetError(f"{folder} is empty; a dataset is laid out {LAYOUT}. Add clips.")
    return found


def _lead(missing: Path) -> str:
    """Where the missing folder may be: under a like name, or one folder deeper."""
    inside = sorted(path for path in missing.parent.iterdir() if path.is_dir())
    for folder in inside:
        if (folder / "content").is_dir() and _style_folder(folder).is_dir():
            return f" {folder} is laid out so: name that folder."
    return nearest(missing.name, [folder.name for folder in inside])


def _audio_files(folder: Path) -> list[Path]:
    """The audio files of a category or style, which lie directly in it."""
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and _is_visible(path)):
        if any(_audio_in(inner)):
            raise DatasetError(
                f"{inner} holds audio one folder too deep; a dataset is laid out {LAYOUT}. Move "
                "it one folder up."
            )
    found = sorted(_audio_in(folder))
    if not found:
        raise DatasetError(
            f"{folder} holds no audio; each category and style has at least one clip "
            f"({', '.join(READABLE)}). Add one "
            "or remove the folder."
        )
    return found


def _audio_in(folder: Path) -> Iterable[Path]:
    inside = folder.iterdir() if folder.is_dir() else iter(())
    return (
        path
        for path in inside
        if path.suffix.lower() in READABLE and _is_visible(path) and not path.is_dir()
    )


def _is_visible(path: Path) -> bool:
    return not path.name.startswith((".", "__"))


# --------------------------------------------------------------------------------------- rules


def _checked(dataset: Dataset) -> Dataset:
    if not dataset.contents or not dataset.styles:
        raise DatasetError(
            f"dataset {dataset.name} has {len(dataset.contents)} contents and "
            f"{len(dataset.styles)} styles; it needs at "
            f"least one of each, laid out {LAYOUT}. Add them."
        )
    _require_unlike(dataset.contents, f"contents of {dataset.name}")
    for style in dataset.styles:
        _require_unlike(style.clips, f"style {style.id} of {dataset.name}")
    return dataset


def _require_unlike(clips: Sequence[ClipSource], what: str) -> None:
    """A clip that stands twice would be counted twice, or be on both sides of a split."""
    ids: dict[str, ClipSource] = {}
    sounds: dict[tuple[str, float, float], ClipSource] = {}
    for clip in clips:
        same_id = ids.setdefault(clip.id, clip)
        same = sounds.setdefault((clip.digest, clip.start_s, clip.duration_s), clip)
        if same_id is not clip or same is not clip:
            other, fact = (same, "the same sound") if same is not clip else (same_id, "the same id")
            raise DatasetError(
                f"{what}: {clip.path} and {other.path} have {fact}; each clip stands once. Remove "
                "one of the two."
            )
