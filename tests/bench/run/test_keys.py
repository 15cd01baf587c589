"""What a cache key depends on: everything that decides the result, each by itself."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from bench.api import Audio, Clip, Style
from bench.run.keys import Identity, chunk_key, fit_key

IDENTITY = Identity("tve", "1", "source", "mini", ("w",), "cpu")


def sound(seed: int) -> Audio:
    waveform = np.random.default_rng(seed).uniform(-0.5, 0.5, (1, 100))
    return Audio(waveform.astype(np.float32), 16000)


def clip(seed: int, name: str = "clip") -> Clip:
    return Clip(name, "bell", sound(seed))


STYLE = Style("bells", (clip(1), clip(2)), (clip(3),), "bells ringing")


def others() -> list[Identity]:
    """Identities that differ from `IDENTITY` in one field each."""
    changed = [
        replace(IDENTITY, **{one.name: ("v",) if one.name == "weights" else "other"})
        for one in fields(IDENTITY)
    ]
    assert len(changed) == 7
    return changed


def test_a_fit_is_named_by_each_thing_that_decides_it() -> None:
    styles = [
        replace(STYLE, clips=STYLE.clips[:1]),
        replace(STYLE, clips=STYLE.clips[::-1]),
        replace(STYLE, heldout_clips=()),
        replace(STYLE, text="bells"),
        replace(STYLE, text=None),
    ]
    keys = [
        fit_key(IDENTITY, {"steps": 3}, STYLE, 1),
        fit_key(IDENTITY, {"steps": 4}, STYLE, 1),
        fit_key(IDENTITY, {"steps": 3}, STYLE, 2),
        *(fit_key(IDENTITY, {"steps": 3}, style, 1) for style in styles),
        *(fit_key(other, {"steps": 3}, STYLE, 1) for other in others()),
    ]
    assert len(set(keys)) == len(keys)


def test_a_fit_does_not_depend_on_the_names_of_style_and_clips() -> None:
    renamed = replace(
        STYLE, id="chimes", clips=tuple(replace(one, id=f"{one.id}-new") for one in STYLE.clips)
    )
    assert fit_key(IDENTITY, {}, renamed, 1) == fit_key(IDENTITY, {}, STYLE, 1)


def test_a_chunk_is_named_by_each_field_of_the_identity_and_by_its_seeds() -> None:
    contents = [sound(4).digest, sound(5).digest]
    keys = [
        chunk_key(IDENTITY, "fit", {}, contents, [1, 2]),
        chunk_key(IDENTITY, "fit", {}, contents, [2, 1]),
        chunk_key(IDENTITY, "fit", {}, contents[::-1], [1, 2]),
        *(chunk_key(other, "fit", {}, contents, [1, 2]) for other in others()),
    ]
    assert len(set(keys)) == len(keys)


def test_a_fit_and_a_chunk_never_share_a_name() -> None:
    bare = Style("bells", ())
    assert fit_key(IDENTITY, {}, bare, 1) != chunk_key(IDENTITY, "", {}, [], [])
