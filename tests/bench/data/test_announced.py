"""A dataset that is not here: planned from the counts of its card."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.api import DatasetError
from bench.cli.main import cli
from bench.data.announced import announced
from bench.data.card_model import read_card
from bench.data.cards import datasets


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without clips and weights."""
    for name in ("BENCH_DATA", "BENCH_CACHE", "HF_HOME", "HF_HUB_CACHE", "BENCH_CHECKPOINTS"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    cli.main(["run", *words, "--dry-run", "--device", "cpu"], standalone_mode=False)
    return capsys.readouterr().out


def test_it_has_as_many_clips_as_its_card_counts() -> None:
    dataset, card = announced("musicti"), read_card(datasets()["musicti"])
    assert dataset is not None
    assert card.archive is not None
    assert {
        "categories": len({clip.category for clip in dataset.contents}),
        "contents": len({clip.id for clip in dataset.contents}),
        "styles": len(dataset.styles),
        "style_clips": sum(len(style.clips) for style in dataset.styles),
    } == card.archive.counts
    assert {style.id for style in dataset.styles} == set(card.styles)


def test_contents_that_are_asked_for_by_name_are_among_them() -> None:
    dataset = announced("musicti", ["some song"])
    assert dataset is not None
    assert len(dataset.contents) == 179
    assert dataset.contents[0].id == "some song"


def test_what_is_here_or_ships_with_the_project_is_not_announced(empty: Path) -> None:
    assert announced("mini") is None
    assert announced(str(empty)) is None
    (empty / "BENCH_DATA" / "musicti").mkdir(parents=True)
    assert announced("musicti") is None


def test_table_2_is_planned_without_clips_and_weights(
    empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = planned(capsys, "--suite", "table2")
    assert "5370 cells in 90 chunks" in said  # 10 methods, 3 styles, 179 contents
    assert "its clips are not here" in said
    for name, size, licence in (
        ("riffusion/riffusion-model-v1", "4.3 GB", "creativeml-openrail-m"),
        ("facebook/musicgen-melody", "6.1 GB", "CC-BY-NC-4.0"),
        ("laion/clap-htsat-unfused", "0.6 GB", "Apache-2.0"),
        ("dataset musicti", "0.1 GB", "Pixabay Content Licence"),
    ):
        (line,) = [line for line in said.splitlines() if line.startswith(name)]
        assert size in line
        assert licence in line
    assert "fetch table2 --accept-licences" in said
    assert list(empty.iterdir()) == [], "nothing is written"


def test_a_part_of_table_2_needs_what_belongs_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    said = planned(
        capsys, "--suite", "table2", "--methods", "mosaic", "--contents", "8", "--metrics", "chroma"
    )
    assert "contents 8" in said
    assert "musicgen-melody" not in said
    assert "fetch riffusion/riffusion-model-v1 musicti" in said  # the controls render with it


def test_a_card_without_counts_says_what_it_lacks(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = datasets()["musicti"].read_text(encoding="utf-8").replace("styles = 18, ", "")
    path = empty / "musicti.toml"
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr("bench.data.announced.datasets", lambda: {"musicti": path})
    with pytest.raises(DatasetError, match=r"counts no styles.*Fetch it first"):
        announced("musicti")


def test_a_run_without_its_clips_is_still_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--suite", "mini", "--dataset", "musicti", "--device", "cpu"]
    with pytest.raises(DatasetError, match="does not exist; its clips lie there"):
        cli.main(words, standalone_mode=False)
    assert "cells" not in capsys.readouterr().out
