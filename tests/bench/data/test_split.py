"""Which clips of a style are learnt from: by their sound alone, at most what the paper takes."""

from __future__ import annotations

from pathlib import Path

from bench.data.clips import ClipSource, Kind, StyleSource
from bench.data.selection import split_style


def style(kind: Kind, *clips: tuple[str, str, str, float]) -> StyleSource:
    """A style of clips, each an id, a digest, a recording and its start."""
    sources = tuple(
        ClipSource(name, "x", Path(f"{name}.wav"), recording, start_s, 5.0, digest, 1)
        for name, digest, recording, start_s in clips
    )
    return StyleSource("x", kind, "x", sources)


def test_a_new_name_of_a_clip_does_not_change_its_side() -> None:
    named = style("instrument", ("a", "4", "a", 0.0), ("b", "1", "b", 0.0), ("c", "3", "c", 0.0),
                  ("d", "2", "d", 0.0))  # fmt: skip
    split = split_style(named, "split")
    assert [clip.digest for clip in split.clips] == ["1", "2"]
    assert [clip.digest for clip in split.heldout_clips] == ["4", "3"]


def test_the_earlier_part_of_a_file_comes_first() -> None:
    parts = style("natural", ("a", "1", "r", 5.0), ("b", "1", "r", 0.0), ("c", "2", "s", 0.0))
    assert [clip.id for clip in split_style(parts, "paper").clips] == ["b"]


def test_the_paper_takes_one_clip_of_a_natural_sound_and_leaves_the_rest_of_its_recording() -> None:
    rain = style("natural", ("a", "1", "r", 0.0), ("b", "2", "r", 5.0), ("c", "3", "s", 0.0))
    split = split_style(rain, "paper")
    assert [clip.id for clip in split.clips] == ["a"]
    assert [clip.id for clip in split.heldout_clips] == ["c"]
    halves = split_style(rain, "split")
    assert [clip.id for clip in halves.clips] == ["a", "b"]
