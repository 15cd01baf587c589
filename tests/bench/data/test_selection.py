"""Choosing contents and styles, and dividing the clips of a style into seen and held-out ones."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from bench.api import BenchError, ConfigError, UnknownNameError
from bench.data.clips import ClipSource, Dataset, Kind, StyleSource
from bench.data.selection import select_contents, select_styles, split_style


def style_of(recordings: str, kind: Kind = "instrument") -> StyleSource:
    """A style with one clip per letter; equal letters are one recording."""
    clips = tuple(
        ClipSource(
            f"clip{n}", "x", Path(f"{n}.wav"), letter, float(n), 1.0, f"{ord(letter):04d}", 1
        )
        for n, letter in enumerate(recordings)
    )
    return StyleSource("x", kind, "x", clips)


def made_of(*categories: str) -> Dataset:
    contents = tuple(
        ClipSource(f"{c}{n}", c, Path("x"), str(n), 0.0, 1.0, str(n), 1)
        for n, c in enumerate(categories)
    )
    return Dataset("made", "CC0", True, contents, (style_of("a"),))


@pytest.mark.parametrize("number", range(1, 9))
def test_a_number_of_contents_is_drawn_evenly(number: int) -> None:
    dataset = made_of(*"aaaabbcd")
    chosen = select_contents(dataset, number, seed=3)
    counts = Counter(clip.category for clip in chosen)
    assert len(chosen) == number
    available = Counter(clip.category for clip in dataset.contents)
    for category, count in counts.items():
        lagging = [c for c in available if counts[c] < count - 1 and counts[c] < available[c]]
        assert not lagging, category


def test_a_larger_number_contains_the_smaller_choice() -> None:
    dataset = made_of(*"aaaabbbbcccc")
    choices = [{clip.id for clip in select_contents(dataset, n, 5)} for n in range(1, 13)]
    assert all(small < large for small, large in pairwise(choices))


def test_the_seed_decides_which_contents() -> None:
    dataset = made_of(*"aaaaaaaabbbbbbbb")
    choices = [select_contents(dataset, 4, seed) for seed in range(6)]
    assert choices[0] == select_contents(dataset, 4, 0)
    assert len(set(choices)) > 1


def test_ids_keep_the_order_of_the_dataset() -> None:
    dataset = made_of(*"abc")
    assert [clip.id for clip in select_contents(dataset, ["c2", "a0"], 0)] == ["a0", "c2"]
    assert select_contents(dataset, None, 0) == dataset.contents
    assert select_styles(dataset, None) == dataset.styles


@pytest.mark.parametrize(
    ("wanted", "error", "message"),
    [
        (0, ConfigError, "contents is 0; dataset made has 3"),
        (4, ConfigError, "contents is 4; dataset made has 3"),
        (["a0", "a0"], ConfigError, "each may stand once"),
        ([], ConfigError, "none given"),
        (["c3"], UnknownNameError, "'c3' is not known; there are a0, b1, c2.*mean 'c2'"),
    ],
)
def test_an_impossible_choice_is_refused(
    wanted: int | list[str], error: type[BenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        select_contents(made_of(*"abc"), wanted, 0)


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("rule", ["split", "paper"])
@pytest.mark.parametrize("kind", ["instrument", "natural"])
def test_single_recordings_divide_by_the_rule(count: int, rule: str, kind: Kind) -> None:
    split = split_style(style_of("abcdefghijkl"[:count], kind), rule)  # type: ignore[arg-type]  # parametrised
    half = -(-count // 2)
    wanted = half if rule == "split" else 1 if kind == "natural" else min(5, max(3, half))
    assert len(split.clips) == max(1, min(wanted, count - 1 if count > 1 else 1))
    assert len(split.clips) + len(split.heldout_clips) == count
    assert not {c.id for c in split.clips} & {c.id for c in split.heldout_clips}


@pytest.mark.parametrize("recordings", ["aab", "abb", "aabbcc", "aaaaab", "abbbbb", "aabcc"])
@pytest.mark.parametrize("rule", ["split", "paper"])
@pytest.mark.parametrize("kind", ["instrument", "natural"])
def test_no_recording_is_on_both_sides(recordings: str, rule: str, kind: Kind) -> None:
    split = split_style(style_of(recordings, kind), rule)  # type: ignore[arg-type]  # parametrised
    assert split.clips
    assert split.heldout_clips
    fit = {clip.recording for clip in split.clips}
    assert not fit & {clip.recording for clip in split.heldout_clips}


@pytest.mark.parametrize("recordings", ["a", "aaaa"])
def test_one_recording_leaves_nothing_to_hold_out(recordings: str) -> None:
    split = split_style(style_of(recordings), "split")
    assert len(split.clips) == len(recordings)
    assert split.heldout_clips == ()


def test_all_means_all() -> None:
    split = split_style(style_of("abc"), "all")
    assert (len(split.clips), split.heldout_clips) == (3, ())


def test_a_split_does_not_depend_on_the_order_of_the_clips() -> None:
    style = style_of("abcde")
    turned = StyleSource("x", "instrument", "x", tuple(reversed(style.clips)))
    assert split_style(style, "split") == split_style(turned, "split")
