"""Datasets by name: from a card, or from a plain folder, to a `Dataset`.

The layout of a folder, and what counts as a recording, is said in `bench.data`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import DatasetError, UnknownNameError
from bench.checkout import DATASETS
from bench.data.card_model import (
    Card,
    ClipCard,
    StyleCard,
    card_root,
    clip_source,
    parse_card,
    style_clips,
)
from bench.data.clips import ClipSource, Dataset, StyleSource
from bench.data.folders import (
    LAYOUT,
    scan_changed,
    scan_contents,
    scan_style,
    style_folder,
    style_names,
    style_text,
)
from bench.data.targets import Targets, find_targets
from bench.errors import nearest
from bench.files import remembered_digest
from bench.outside.containers import require_whole
from bench.outside.declarations import TomlFile, read_toml
from bench.outside.names import composed, on_disk, require_utf8


@dataclass(frozen=True, slots=True)
class CardOnDisk:
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
        UnknownNameError: There is no such card, file or folder.
        DatasetError: A card, a folder or a clip breaks a rule; the message names it.
    """
    require_utf8(card_or_folder)
    place = on_disk(Path(card_or_folder).expanduser())
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
        f"a folder laid out {LAYOUT}.{nearest(card_or_folder, known)}"
    )


def _load_folder(root: Path) -> Dataset:
    where = root.resolve()
    require_utf8(where)
    styles = tuple(_style(where, name, StyleCard()) for name in style_names(where))
    licence = "unknown (a plain folder)"
    return _checked(
        Dataset(composed(where.name), licence, False, tuple(scan_contents(where)), styles)
    )


def require_card(card: Card, root: Path) -> None:
    """Check that a folder holds what the card of a fetched dataset says, before it takes its place.

    Raises:
        DatasetError: A style of the card is not there, a clip stands twice, or a checksum differs.
    """
    path = datasets()[card.name]
    _load(CardOnDisk(card, read_toml(path, DatasetError), root))


def _load_card(path: Path) -> Dataset:
    file = read_toml(path, DatasetError)
    card = parse_card(file)
    root = card_root(card, path)
    if not root.is_dir():
        raise DatasetError(
            f"dataset {card.name}: folder {root} does not exist; its clips lie there. "
            f"{card.obtain or f'Correct `root` in {path}.'}"
        )
    return _load(CardOnDisk(card, file, root))


def _load(given: CardOnDisk) -> Dataset:
    _check_sums(given)
    card, root = given.card, given.root
    contents = tuple(_contents(given) or scan_contents(root))
    styles = tuple(_styles(given))
    return _checked(
        Dataset(
            card.name, card.licence, card.redistributable, contents, styles,
            _targets(given, contents), tuple(scan_changed(root)),
        )
    )  # fmt: skip


def _targets(given: CardOnDisk, contents: Sequence[ClipSource]) -> Targets | None:
    if given.card.targets is None:
        return None
    with given.file.blamed("targets"):
        return find_targets(given.card.targets, contents)


def _check_sums(given: CardOnDisk) -> None:
    """Compare the files that the card gives checksums of; the others may be any."""
    for name, wanted in given.card.sha256.items():
        path = on_disk(given.root / name)
        with given.file.blamed("sha256", name):
            require_whole(path)
            found = remembered_digest(path)
            if found != wanted.lower():
                raise DatasetError(
                    f"{path} has SHA-256 {found[:12]}..., the card says {wanted[:12]}...; a "
                    "dataset's clips are those of its card. Restore the file, or correct the card "
                    "if the clip was changed on purpose."
                )


def _contents(given: CardOnDisk) -> list[ClipSource]:
    contents = []
    for name, content in given.card.contents.items():
        with given.file.blamed("contents", name):
            contents.append(clip_source(given.root, name, content.category, content))
    return contents


def _styles(given: CardOnDisk) -> list[StyleSource]:
    styles = []
    for name in _names_of_styles(given):
        with given.file.blamed("styles", name):
            styles.append(_style(given.root, name, given.card.styles.get(name, StyleCard())))
    return styles


def _names_of_styles(given: CardOnDisk) -> list[str]:
    """The styles of the card if it names every clip, else the folders, which must include them."""
    if given.card.names_every_clip:
        return list(given.card.styles)
    found = style_names(given.root)
    for name in given.card.styles:
        with given.file.blamed("styles", name):
            if name not in found:
                raise DatasetError(
                    f"style {name!r} of the card has no folder in {style_folder(given.root)}; "
                    f"there are {', '.join(found)}.{nearest(name, found)} Correct the card."
                )
    return found


def _style(root: Path, name: str, card: StyleCard) -> StyleSource:
    text = style_text(on_disk(style_folder(root) / name), name, card.text)
    named = [(_part_name(clip), clip) for clip in card.clips]
    clips, left_out = style_clips(root, name, named or scan_style(root, name))
    return StyleSource(name, card.kind, text, clips, left_out)


def _part_name(clip: ClipCard) -> str:
    stem = composed(Path(clip.path).stem)
    return f"{stem}@{clip.start_s:g}" if clip.start_s else stem


def _checked(dataset: Dataset) -> Dataset:
    if not dataset.contents or not dataset.styles:
        raise DatasetError(
            f"dataset {dataset.name} has {len(dataset.contents)} contents and "
            f"{len(dataset.styles)} styles; it needs at least one of each, laid out {LAYOUT}. Add "
            "them."
        )
    _require_unlike(dataset.contents, f"contents of {dataset.name}")
    for style in dataset.styles:
        _require_unlike(_without_silent_twins(style.clips), f"style {style.id} of {dataset.name}")
    return dataset


def _without_silent_twins(clips: Sequence[ClipSource]) -> list[ClipSource]:
    """The clips without silent ones that are alike: they are left out of a run, see `sifting`."""
    alike = Counter(_sound_of(clip) for clip in clips)
    return [c for c in clips if alike[_sound_of(c)] == 1 or c.reference_fault() is None]


def _sound_of(clip: ClipSource) -> tuple[str, float, float]:
    """What decides the sound of a clip: the file, and which part of it."""
    return clip.digest, clip.start_s, clip.duration_s


def _require_unlike(clips: Sequence[ClipSource], what: str) -> None:
    """A clip that stands twice would be counted twice, or be on both sides of a split."""
    ids: dict[str, ClipSource] = {}
    sounds: dict[tuple[str, float, float], ClipSource] = {}
    for clip in clips:
        same_id = ids.setdefault(clip.id, clip)
        same = sounds.setdefault(_sound_of(clip), clip)
        if same_id is not clip or same is not clip:
            other, fact = (same, "the same sound") if same is not clip else (same_id, "the same id")
            raise DatasetError(
                f"{what}: {clip.path} and {other.path} have {fact}; each clip stands once. Remove "
                "one of the two."
            )
