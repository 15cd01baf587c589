"""The order of `python -m bench fetch`: what it would download, under which licences, and doing so.

Targets are suites, methods, metrics, datasets, and checkpoints by their title; a suite stands for
all that its run needs. Nothing is downloaded before the licences have been accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import CheckpointError, DatasetError, HubCheckpoint, UnknownNameError
from bench.checkout import data_folder
from bench.data.archive import ArchiveCard, unpack
from bench.data.card_model import Card, card_root, read_card
from bench.data.cards import datasets, load_dataset, require_card
from bench.data.clips import Dataset
from bench.data.recordings import write_manifest
from bench.errors import nearest
from bench.fetching.google_drive import download_archive, drive_url
from bench.fetching.hub import download
from bench.fetching.hub_dataset import fetch_from_hub
from bench.files import file_digest, require_plain, size_words
from bench.first_use import FileFact, Locked, read_locked, require_same, write_locked
from bench.plan.needed import checkpoints_of_suite, fetch_target
from bench.plan.suite import Suite, load_suite, suites
from bench.plugins.catalog import methods, metrics
from bench.plugins.checkpoints import checkpoint_table, checkpoints_of
from bench.weights import client_line, fetch_line, is_here

ARCHIVE = "archive"  # the name of the one file of a dataset that is recorded


@dataclass(frozen=True, slots=True)
class Order:
    """The targets that were asked for, with the checkpoints and datasets that they stand for."""

    targets: tuple[str, ...]
    checkpoints: tuple[HubCheckpoint, ...]
    cards: tuple[Path, ...]

    @property
    def line(self) -> str:
        """The command that accepts the licences and fetches."""
        return fetch_line(*self.targets)


def make_order(targets: Sequence[str]) -> Order:
    """Find out what targets stand for.

    Raises:
        UnknownNameError: A target is not a suite, method, metric, dataset or checkpoint.
    """
    parts = [_order_one(target) for target in targets]
    checkpoints = dict.fromkeys(found for part in parts for found in part.checkpoints)
    cards = dict.fromkeys(found for part in parts for found in part.cards)
    return Order(tuple(targets), tuple(checkpoints), tuple(cards))


def _order_one(target: str) -> Order:
    table, cards = checkpoint_table(), datasets()
    entries = {**metrics(), **methods()}
    if target in suites() or target.endswith(".toml"):
        suite = load_suite(target)
        card = cards.get(suite.dataset)
        return Order((target,), checkpoints_of_suite(suite), _fetched(card))
    if target in cards:
        return Order((target,), (), _fetched(cards[target]))
    entry = entries.get(target) or metrics().get(target)  # a metric with settings is in no list
    if entry is not None:
        return Order((target,), checkpoints_of(entry), ())
    if target in table:
        return Order((target,), (table[target],), ())
    known = [*suites(), *cards, *entries, *table]
    raise UnknownNameError(
        f"{target!r} cannot be fetched; there are {', '.join(known)}.{nearest(target, known)}"
    )


def _fetched(path: Path | None) -> tuple[Path, ...]:
    return (path,) if path is not None and read_card(path).fetched_bytes is not None else ()


def describe_order(order: Order) -> str:
    """A table of what would be fetched: name, size, whether it is here, revision and licence."""
    rows = [("what", "size", "here", "revision", "licence")]
    rows += [
        (c.title, size_words(c.bytes), _here(c), c.revision[:12], c.licence)
        for c in order.checkpoints
    ]
    for path in order.cards:
        card = read_card(path)
        size = size_words(card.fetched_bytes or 0)
        here = "yes" if card_root(card, path).is_dir() else "no"
        revision = "-" if card.hub is None else card.hub.revision[:12]
        rows.append((f"dataset {card.name}", f"about {size}", here, revision, card.licence))
    if len(rows) == 1:
        return f"{', '.join(order.targets)}: nothing to fetch; all of it ships with this checkout."
    total = sum(c.bytes for c in order.checkpoints)
    by_client = [f"  {client_line(c)}" for c in order.checkpoints]
    more = [
        f"checkpoints together: {size_words(total)}",
        "or with the hub's own client:",
        *by_client,
    ]
    return "\n".join([*_columns(rows), *(more if by_client else [])])


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    from tabulate import tabulate

    lines = tabulate(rows, tablefmt="plain", disable_numparse=True).splitlines()
    return [line.rstrip() for line in lines]


@dataclass(frozen=True, slots=True)
class Absent:
    """A checkpoint or dataset that is not here: its name for `fetch`, its size and its licence."""

    name: str
    words: str
    bytes: int
    licence: str


def absent_lines(suite: Suite) -> list[str]:
    """What a run of a suite would have to fetch first, in lines of text; none where all is here."""
    absent = list(_absent(suite))
    if not absent:
        return []
    targets = [suite.name] if suite.name in suites() else [one.name for one in absent]
    rows = [(one.words, size_words(one.bytes), one.licence) for one in absent]
    together = size_words(sum(one.bytes for one in absent))
    return [
        "",
        "not here, and needed before the run:",
        *_columns(rows),
        f"together about {together}; this fetches it, once its licences are accepted: "
        + fetch_line(*targets),
    ]


def _absent(suite: Suite) -> Iterator[Absent]:
    for checkpoint in checkpoints_of_suite(suite):
        if _here(checkpoint) == "no":
            target = fetch_target(suite, checkpoint)
            yield Absent(target, checkpoint.title, checkpoint.bytes, checkpoint.licence)
    for path in _fetched(datasets().get(suite.dataset)):
        card = read_card(path)
        if not card_root(card, path).is_dir():
            yield Absent(card.name, f"dataset {card.name}", card.fetched_bytes or 0, card.licence)


def is_complete(order: Order) -> bool:
    """Whether nothing is left to fetch."""
    roots = [card_root(read_card(path), path) for path in order.cards]
    return all(root.is_dir() for root in roots) and all(
        _here(checkpoint) == "yes" for checkpoint in order.checkpoints
    )


def _here(checkpoint: HubCheckpoint) -> str:
    try:
        return "yes" if is_here(checkpoint) else "no"
    except CheckpointError:
        return "changed"


def carry_out(
    order: Order, local_dir: Path | None = None, archive: Path | None = None
) -> Iterator[str]:
    """Fetch everything of an order and yield a line of text for each finished part.

    Args:
        order: The order.
        local_dir: A folder for checkpoints in place of the hub's cache.
        archive: A zip file that the user has, in place of a download of the dataset.

    Raises:
        CheckpointError: See `bench.fetching.hub.download`.
        DatasetError: See `bench.data.archive.unpack` and
        `bench.fetching.google_drive.download_archive`.
    """
    if archive is not None and len(order.cards) != 1:
        raise DatasetError(
            f"--zip {archive} was given for {len(order.cards)} datasets; it is one archive. Name "
            "one dataset or a suite with one."
        )
    for checkpoint in order.checkpoints:
        yield f"{checkpoint.title}: complete, in {download(checkpoint, local_dir)}"
    for path in order.cards:
        card = read_card(path)
        root = card_root(card, path)
        here = archive is None and root.is_dir()
        dataset = load_dataset(card.name) if here else fetch_dataset(card, root, archive)
        grouped = " (our grouping, see manifest.json there)" if card.archive is not None else ""
        yield f"{_describe_dataset(dataset)}{grouped}, in {root}"


def fetch_dataset(card: Card, root: Path, archive: Path | None) -> Dataset:
    """Get a dataset, from the hub or from an archive that is given or downloaded, and load it.

    Raises:
        DatasetError: It cannot be downloaded, differs from the one that was fetched first, or
            differs from the card.
    """
    require_plain(data_folder() / card.root)
    root.parent.mkdir(parents=True, exist_ok=True)
    if card.hub is not None and archive is None:
        fetch_from_hub(card, card.hub, root)
        return load_dataset(card.name)
    source = _archive(card)
    file = archive or _downloaded(card, source)
    if not file.is_file():
        raise DatasetError(
            f"{file} does not exist; --zip names the archive of the dataset. Check the path."
        )
    try:
        facts = _recognised(card, file)
        unpack(file, root, source, lambda folder: _accept(card, folder, facts))
    finally:
        if archive is None:
            file.unlink()
    return load_dataset(card.name)


def _downloaded(card: Card, source: ArchiveCard) -> Path:
    by_hand = (
        f"By hand: find the archive at {source.page}, download it in a browser, and run "
        f"`{fetch_line(card.name)} --zip FILE`."
    )
    target = data_folder() / f"{card.name}.zip"
    return download_archive(drive_url(source.drive_id), target, by_hand, source.most_bytes)


def _recognised(card: Card, file: Path) -> FileFact:
    """What an archive is; it must be the one that was accepted first, if one was."""
    fact = FileFact(bytes=file.stat().st_size, sha256=file_digest(file), mtime_ns=0)
    locked = read_locked(_lock_name(card))
    if locked is not None:
        require_same({ARCHIVE: fact}, locked.files, f"dataset {card.name} ({file})")
    return fact


def _accept(card: Card, folder: Path, fact: FileFact) -> None:
    """Describe what was unpacked and compare it with the card; only then is the archive recorded.

    Recorded before, a wrong archive would lock the right one out.
    """
    write_manifest(folder, fact.sha256)
    require_card(card, folder)
    write_locked(_lock_name(card), Locked(files={ARCHIVE: fact}), f"dataset {card.name}")


def _lock_name(card: Card) -> str:
    return f"dataset:{card.name}"


def _archive(card: Card) -> ArchiveCard:
    if card.archive is None:
        raise DatasetError(
            f"dataset {card.name} comes without an archive, so --zip has none to be. Leave it out."
        )
    return card.archive


def _describe_dataset(dataset: Dataset) -> str:
    clips = [clip for style in dataset.styles for clip in style.clips]
    recordings = {(clip.category, clip.recording) for clip in clips}
    return (
        f"dataset {dataset.name}: {len(dataset.contents)} contents, {len(clips)} clips of "
        f"{len(dataset.styles)} styles from {len(recordings)} recordings"
    )
