"""A dataset before it is fetched: as many contents and styles as its card says, without sound.

With it a run can be planned and its cost estimated where no clip is. The ids of contents and clips
are made up, apart from those that are asked for by name, so nothing of such a plan may be recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.api import DatasetError
from bench.data.archive import ArchiveCard
from bench.data.card_model import Card, StyleCard, card_root, read_card
from bench.data.cards import datasets
from bench.data.clips import ClipSource, Dataset, StyleSource

COUNTED = ("categories", "contents", "styles", "style_clips")


def announced(name: str, contents: Iterable[str] = ()) -> Dataset | None:
    """The dataset of a card whose clips have not been fetched; None where nothing is to be.

    Args:
        name: Of the dataset, as `load_dataset` takes it.
        contents: Ids of contents that are asked for, which are taken to be among those of the card.

    Raises:
        DatasetError: The card breaks a rule, or counts no contents or styles.
    """
    path = datasets().get(name)
    if path is None:
        return None
    card = read_card(path)
    if card.archive is None or card_root(card, path).is_dir():
        return None
    _require_counts(card, card.archive)
    return Dataset(
        card.name,
        card.licence,
        card.redistributable,
        tuple(_contents(card.archive, contents)),
        tuple(_styles(card, card.archive)),
    )


def _require_counts(card: Card, archive: ArchiveCard) -> None:
    missing = sorted(name for name in COUNTED if archive.counts.get(name, 0) < 1)
    if missing:
        raise DatasetError(
            f"dataset {card.name} is not here, and its card counts no {', '.join(missing)}; a run "
            "over clips that are not here is planned from these counts. Fetch it first."
        )


def _contents(archive: ArchiveCard, named: Iterable[str]) -> Iterator[ClipSource]:
    """As many contents as the card counts, dealt out over as many categories."""
    count, categories = archive.counts["contents"], archive.counts["categories"]
    made = (f"content-{number:03d}" for number in range(count))
    ids = [*dict.fromkeys([*named, *made])][:count]
    for number, content in enumerate(ids):
        yield _clip(content, f"category-{number % categories:02d}", archive)


def _styles(card: Card, archive: ArchiveCard) -> Iterator[StyleSource]:
    """The styles of the card, and more up to its count; the clips are dealt out evenly."""
    count, clips = archive.counts["styles"], archive.counts["style_clips"]
    made = (f"style-{number:03d}" for number in range(count))
    ids = [*dict.fromkeys([*card.styles, *made])][: max(count, len(card.styles))]
    for number, style in enumerate(ids):
        facts = card.styles.get(style, StyleCard())
        own = clips // len(ids) + (number < clips % len(ids))
        files = tuple(_clip(f"{style}-{place}", style, archive) for place in range(own))
        yield StyleSource(style, facts.kind, facts.text or style.replace("_", " "), files)


def _clip(name: str, category: str, archive: ArchiveCard) -> ClipSource:
    """A clip of which nothing is known but its place; its digest is a name that no file has."""
    return ClipSource(name, category, Path(name), name, 0.0, archive.clip_s, f"announced:{name}", 1)
