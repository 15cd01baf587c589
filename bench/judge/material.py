"""The clips that metrics are judged by: grids of pieces and instruments, styles, changed clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.api import Audio, Clip, DatasetError, Style
from bench.audio import fit_length, to_mono
from bench.data.clips import ClipSource, Dataset
from bench.data.targets import Targets

LEAST_PIECES, LEAST_INSTRUMENTS = 2, 3  # for comparisons that have neither in common
Cell = tuple[int, int]  # index of the piece, index of the instrument


@dataclass(frozen=True, slots=True)
class Grid:
    """Pieces that are each played by the same instruments.

    Args:
        pieces: Their names.
        instruments: Their names, which are those of styles.
        clips: By index of the piece and of the instrument; mono, all of one length.
    """

    pieces: tuple[str, ...]
    instruments: tuple[str, ...]
    clips: Mapping[Cell, Clip]

    @property
    def title(self) -> str:
        """Its size in words."""
        chords = " with chords" if all(name.endswith("_chords") for name in self.pieces) else ""
        return f"{len(self.pieces)} pieces{chords} x {len(self.instruments)} instruments"


@dataclass(frozen=True, slots=True)
class JudgeMaterial:
    """All that a metric is judged by.

    Args:
        name: Of the dataset, and the head of its digest.
        grids: The largest first; at least one.
        styles: By name; each has all its clips on both sides, seen and held out, because no method
            has learnt from any.
        changed: For each change its clips; what a clip would be without it is found by its id.
        originals: The clips that `changed` has other forms of, with the piece of each.
    """

    name: tuple[str, str]
    grids: tuple[Grid, ...]
    styles: Mapping[str, Style]
    changed: Mapping[str, tuple[Clip, ...]]
    originals: Mapping[str, Clip]

    def rivals(self, style: str) -> tuple[Style, ...]:
        """The other styles."""
        return tuple(other for name, other in self.styles.items() if name != style)


def read_material(dataset: Dataset) -> JudgeMaterial:
    """Read the clips of a dataset that metrics can be judged by.

    Raises:
        DatasetError: It names no true results, or too few pieces are played by enough instruments;
            or a clip cannot be read.
    """
    targets = dataset.targets
    if targets is None:
        raise DatasetError(
            f"dataset {dataset.name} names no true results; a metric is judged by pieces that "
            "several instruments play. Take --dataset pairs, or say `targets` in its card."
        )
    styles = {style.id: _style(dataset, style.id) for style in dataset.styles}
    sounds = {source.id: _mono(source.read()) for source in dataset.contents}
    grids = tuple(_grids(targets, styles, sounds))
    if not grids:
        raise DatasetError(
            f"dataset {dataset.name} has no {LEAST_PIECES} pieces that the same "
            f"{LEAST_INSTRUMENTS} instruments play, each of which is a style; a metric is judged "
            "by such. Take --dataset pairs."
        )
    originals = {source.id: sounds[source.id] for source in dataset.changed if source.id in sounds}
    return JudgeMaterial(
        (dataset.name, dataset.digest[:12]),
        grids,
        styles,
        _changed(dataset.changed, originals),
        originals,
    )


def _style(dataset: Dataset, name: str) -> Style:
    (source,) = (style for style in dataset.styles if style.id == name)
    clips = tuple(clip.read() for clip in source.clips)
    return Style(source.id, clips, clips, source.text)


def _mono(clip: Clip) -> Clip:
    return Clip(clip.id, clip.category, to_mono(clip.audio))


def _grids(
    targets: Targets, styles: Mapping[str, Style], sounds: Mapping[str, Clip]
) -> Iterator[Grid]:
    """Pieces by who plays them, the largest group first."""
    players: dict[str, set[str]] = {}
    for instrument, piece in targets.players:
        if instrument in styles:
            players.setdefault(piece, set()).add(instrument)
    groups: dict[tuple[str, ...], list[str]] = {}
    for piece, found in players.items():
        groups.setdefault(tuple(sorted(found)), []).append(piece)
    enough = [
        (sorted(pieces), instruments)
        for instruments, pieces in groups.items()
        if len(pieces) >= LEAST_PIECES and len(instruments) >= LEAST_INSTRUMENTS
    ]
    for pieces, instruments in sorted(enough, key=lambda group: -len(group[0]) * len(group[1])):
        clips = {
            (p, i): sounds[targets.players[instrument, piece]]
            for p, piece in enumerate(pieces)
            for i, instrument in enumerate(instruments)
        }
        yield Grid(tuple(pieces), instruments, _of_one_length(clips))


def _of_one_length(clips: Mapping[Cell, Clip]) -> dict[Cell, Clip]:
    """All cut to the shortest, so that none is told by its length."""
    shortest_s = min(clip.audio.duration_s for clip in clips.values())
    return {cell: _cut(clip, shortest_s) for cell, clip in clips.items()}


def _cut(clip: Clip, seconds: float) -> Clip:
    length = round(seconds * clip.audio.sample_rate)
    if clip.audio.num_samples == length:
        return clip
    return Clip(clip.id, clip.category, fit_length(clip.audio, length))


def _changed(
    sources: Sequence[ClipSource], originals: Mapping[str, Clip]
) -> dict[str, tuple[Clip, ...]]:
    """Changed clips whose original is known, by change."""
    found: dict[str, list[Clip]] = {}
    for source in sources:
        if source.id in originals:
            audio: Audio = to_mono(source.read().audio)
            found.setdefault(source.category, []).append(Clip(source.id, source.category, audio))
    return {change: tuple(clips) for change, clips in found.items()}
