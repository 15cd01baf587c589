"""Choosing the contents and styles of a run, and dividing the clips of a style.

Everything here is a pure function of the dataset and of a seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeVar

from bench.api import ConfigError, UnknownNameError
from bench.data.clips import ClipSource, Dataset, Kind, StyleSource, StyleSplit
from bench.errors import nearest
from bench.outside.names import composed
from bench.seeds import derive_seed

StyleClips = Literal["all", "paper", "split"]
SourceT = TypeVar("SourceT", ClipSource, StyleSource)


def select_contents(
    dataset: Dataset, wanted: int | Sequence[str] | None, seed: int
) -> tuple[ClipSource, ...]:
    """Choose contents, in the order of the dataset.

    Args:
        dataset: The dataset to choose from.
        wanted: Ids; or a number, drawn evenly from the categories (a larger number contains the
            smaller one's choice); or None for all.
        seed: Decides the draw.

    Raises:
        UnknownNameError: The dataset does not hold an id.
        ConfigError: The number is below 1 or above what there is, or an id is given twice.
    """
    if wanted is None:
        return dataset.contents
    if not isinstance(wanted, int):
        return _by_id(dataset.contents, wanted, f"content of dataset {dataset.name}")
    if not 1 <= wanted <= len(dataset.contents):
        raise ConfigError(
            f"contents is {wanted}; dataset {dataset.name} has {len(dataset.contents)}, so 1 to "
            "that many are possible. Give a number in that range, or ids."
        )
    chosen = {clip.id for clip in _in_turn(dataset.contents, seed)[:wanted]}
    return tuple(clip for clip in dataset.contents if clip.id in chosen)


def _in_turn(clips: Iterable[ClipSource], seed: int) -> list[ClipSource]:
    """All clips, one of each category, then a second of each, in an order that the seed decides."""
    drawn = sorted(clips, key=lambda clip: derive_seed(seed, "content", clip.id))
    turns: dict[str, int] = {}
    ranked = []
    for clip in drawn:
        turns[clip.category] = turns.get(clip.category, -1) + 1
        ranked.append((turns[clip.category], derive_seed(seed, "category", clip.category), clip))
    return [clip for *_, clip in sorted(ranked, key=lambda item: item[:2])]


def select_styles(dataset: Dataset, wanted: Sequence[str] | None) -> tuple[StyleSource, ...]:
    """Choose styles by id, in the order of the dataset; None for all.

    Raises:
        UnknownNameError: The dataset does not hold an id.
        ConfigError: An id is given twice, or none is given.
    """
    if wanted is None:
        return dataset.styles
    return _by_id(dataset.styles, wanted, f"style of dataset {dataset.name}")


def every_pair(
    dataset: Dataset, contents: Iterable[ClipSource], styles: Iterable[StyleSource]
) -> list[tuple[str, str]]:
    """The pairs of a content and a style in which there is something to do, as their ids.

    Where true results are known and a content is its own, nothing is: see `bench.data.targets`.
    """
    chosen = list(styles)
    return [
        (content.id, style.id)
        for content in contents
        for style in chosen
        if dataset.target_of(style.id, content.id) != content.id
    ]


def select_pairs(
    every: Sequence[tuple[str, str]], count: int, seed: int
) -> frozenset[tuple[str, str]]:
    """Draw from pairs of a content and a style, each at most once.

    A larger number contains the smaller one's choice.

    Raises:
        ConfigError: More pairs are wanted than there are.
    """
    if count > len(every):
        raise ConfigError(
            f"pairs is {count}; {len({c for c, _ in every})} contents and "
            f"{len({s for _, s in every})} styles give {len(every)}. Give at most that many."
        )
    drawn = sorted(every, key=lambda pair: derive_seed(seed, "pair", *pair))
    return frozenset(drawn[:count])


def _by_id(sources: tuple[SourceT, ...], wanted: Sequence[str], what: str) -> tuple[SourceT, ...]:
    known = [source.id for source in sources]
    wanted = [composed(name) for name in wanted]
    if not wanted or len(set(wanted)) < len(wanted):
        raise ConfigError(
            f"{what}: {', '.join(wanted) or 'none'} given; at least one is needed, and each may "
            "stand once. Correct the list."
        )
    for name in wanted:
        if name not in known:
            raise UnknownNameError(
                f"{what} {name!r} is not known; there are {', '.join(known)}.{nearest(name, known)}"
            )
    return tuple(source for source in sources if source.id in wanted)


def split_style(style: StyleSource, rule: StyleClips) -> StyleSplit:
    """Divide a style's clips into those to learn from and those to score with.

    "all" learns from every clip and holds none out. "split" learns from half of the clips, rounded
    up. "paper" learns from one clip of a natural sound and from three to five of an instrument (Li
    et al., 2024, section 4). Whole recordings go to either side, in the order of their digests, so
    the choice depends on nothing but the clips; one recording is always left for the held-out side
    where there are two or more. Where "paper" takes part of a recording, its other clips are
    unused.
    """
    if rule == "all":
        return StyleSplit(style.id, style.kind, style.text, style.clips, (), style.left_out)
    target = _number_to_fit(len(style.clips), style.kind, rule)
    fit, heldout = _divide(_recordings(style.clips), target)
    return StyleSplit(
        style.id,
        style.kind,
        style.text,
        _sorted(fit[:target] if rule == "paper" else fit),
        _sorted(heldout),
        style.left_out,
    )


def _number_to_fit(count: int, kind: Kind, rule: StyleClips) -> int:
    half = (count + 1) // 2
    if rule == "split":
        return half
    return 1 if kind == "natural" else min(5, max(3, half), count)


def _recordings(clips: Iterable[ClipSource]) -> list[list[ClipSource]]:
    """Clips by recording; recordings and their clips in the order of their digests."""
    groups: dict[str, list[ClipSource]] = {}
    for clip in sorted(clips, key=lambda clip: (clip.digest, clip.start_s)):
        groups.setdefault(clip.recording, []).append(clip)
    return list(groups.values())


def _divide(
    recordings: list[list[ClipSource]], target: int
) -> tuple[list[ClipSource], list[ClipSource]]:
    fit: list[ClipSource] = []
    taken = 0
    for group in recordings[: max(1, len(recordings) - 1)]:
        if len(fit) >= target:
            break
        fit += group
        taken += 1
    return fit, [clip for group in recordings[taken:] for clip in group]


def _sorted(clips: Iterable[ClipSource]) -> tuple[ClipSource, ...]:
    return tuple(sorted(clips, key=lambda clip: clip.id))
