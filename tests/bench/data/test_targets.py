"""True results: how a card names them, and that nothing is planned where nothing is to be done."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import ConfigError, DatasetError
from bench.data.cards import load_dataset
from bench.data.clips import ClipSource, Dataset
from bench.data.material import Material
from bench.data.targets import find_targets
from bench.plan.plan import make_plan, prepare_methods
from bench.plan.suite import Suite

CARD = """
schema_version = 1
name = "trio"
licence = "CC0-1.0"
redistributable = true
targets = "{category}_{piece}"
"""
PIECES = ("air", "gigue")


@pytest.fixture
def trio(tmp_path: Path) -> Dataset:
    """Two pieces on two instruments that are styles, and one on a drum that is none."""
    names = [f"content/{who}/{who}_{what}" for who in ("flute", "oboe") for what in PIECES]
    names += ["content/drum/drum_air", "style/flute/a", "style/oboe/b"]
    names += ["changed/octave_down/oboe_air"]
    for number, name in enumerate(names):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, 8000)
        soundfile.write(path, noise, 8000)
    (tmp_path / "dataset.toml").write_text(CARD, encoding="utf-8")
    return load_dataset(str(tmp_path))


def suite(**more: object) -> Suite:
    facts = {"name": "s", "dataset": "d", "profile": "mini", "methods": ["mix"], "controls": []}
    return Suite.model_validate({**facts, **more})


def plan_pairs(dataset: Dataset, **more: object) -> set[tuple[str, str]]:
    asked = suite(**more)
    plan = make_plan(asked, dataset, prepare_methods(asked))
    return {(cell.content, cell.style) for cell in plan.cells}


def test_a_true_result_is_the_same_piece_in_the_style(trio: Dataset) -> None:
    assert trio.target_of("oboe", "flute_air") == "oboe_air"
    assert trio.target_of("flute", "oboe_gigue") == "flute_gigue"
    assert trio.target_of("oboe", "drum_air") == "oboe_air"
    assert trio.target_of("oboe", "oboe_air") == "oboe_air"
    assert trio.target_of("drum", "oboe_gigue") is None
    assert load_dataset("mini").target_of("bells", "piano_ode_to_joy") is None


def test_its_sound_is_that_of_the_content(trio: Dataset) -> None:
    material = Material(trio, {}, 0.5)
    target = material.target("oboe", "flute_air")
    assert target is not None
    assert target.digest == material.content("oboe_air").audio.digest
    assert target.duration_s == 0.5
    assert material.target("drum", "oboe_gigue") is None


def test_what_is_its_own_true_result_is_not_planned(trio: Dataset) -> None:
    assert plan_pairs(trio) == {
        ("flute_air", "oboe"), ("flute_gigue", "oboe"), ("oboe_air", "flute"),
        ("oboe_gigue", "flute"), ("drum_air", "oboe"), ("drum_air", "flute"),
    }  # fmt: skip
    assert len(plan_pairs(trio, pairs=4)) == 4
    assert plan_pairs(trio, pairs=4) < plan_pairs(trio)
    with pytest.raises(ConfigError, match="pairs is 7; 5 contents and 2 styles give 6"):
        plan_pairs(trio, pairs=7)
    with pytest.raises(ConfigError, match="are their own true results in oboe; nothing is left"):
        plan_pairs(trio, styles=["oboe"], contents=["oboe_air"])


def test_pieces_are_part_of_what_a_dataset_is(trio: Dataset) -> None:
    plain = Dataset(trio.name, trio.licence, True, trio.contents, trio.styles)
    assert plain.digest != trio.digest


def test_changed_contents_are_found_by_the_change(trio: Dataset) -> None:
    assert [(clip.category, clip.id) for clip in trio.changed] == [("octave_down", "oboe_air")]


def clip(name: str, category: str) -> ClipSource:
    return ClipSource(name, category, Path(name), name, 0.0, 1.0, name, 1)


@pytest.mark.parametrize("pattern", ["{category}", "{piece}{piece}", "{piece}_{take}", "x"])
def test_a_pattern_without_one_piece_is_refused(pattern: str) -> None:
    with pytest.raises(DatasetError, match=r"targets is .*with \{piece\} once"):
        find_targets(pattern, [])


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"'air' of category 'flute' is not named '\{category\}"):
        find_targets("{category}_{piece}", [clip("air", "flute")])
    with pytest.raises(DatasetError, match="'flute_' of category 'flute' is not named"):
        find_targets("{category}_{piece}", [clip("flute_", "flute")])


def test_a_piece_may_hold_what_stands_between() -> None:
    found = find_targets("{category}_{piece}", [clip("tin_whistle_a_b", "tin_whistle")])
    assert found.pieces == {"tin_whistle_a_b": "a_b"}
