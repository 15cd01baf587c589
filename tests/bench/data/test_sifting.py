"""Which clips of a style are left out, and that the rest is as if they had never been there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import DatasetError
from bench.data.cards import load_dataset
from bench.data.clips import Dataset, LeftOut, StyleSource
from bench.data.selection import split_style
from bench.data.sifting import sift

RATE = 8000
SILENT = "is silent (below -60 dBFS)"
CARD = """
schema_version = 1
name = "small"
licence = "CC0-1.0"
redistributable = true
"""


def write(path: Path, level: float, seconds: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name) + ord(path.stem[-1])).uniform(-1, 1, RATE)
    samples = level * np.tile(noise, 10)[: round(RATE * seconds)]
    soundfile.write(path, samples, RATE, subtype="FLOAT")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One content, and two styles of four clips."""
    write(tmp_path / "content/tones/a.wav", 0.5)
    for style in ("bells", "drums"):
        for number in range(4):
            write(tmp_path / "style" / style / f"{number}.wav", 0.5)
    return tmp_path


def sifted(data: Path, *, duration_s: float | None = None) -> tuple[Dataset, StyleSource]:
    """The dataset as a run over the bells uses it, and the bells."""
    found = sift(load_dataset(str(data)), ["bells"], duration_s)
    return found, next(style for style in found.styles if style.id == "bells")


def left_out(data: Path, duration_s: float | None = None) -> list[LeftOut]:
    return list(sifted(data, duration_s=duration_s)[1].left_out)


def test_nothing_is_left_out_of_sound_clips(data: Path) -> None:
    assert sifted(data)[0] == load_dataset(str(data))


@pytest.mark.parametrize(("level", "out"), [(0.0, True), (0.0015, True), (0.002, False)])
def test_a_clip_below_60_db_is_left_out(data: Path, level: float, out: bool) -> None:
    """White noise of peak `level` has its root mean square at level / sqrt(3)."""
    write(data / "style/bells/2.wav", level)
    assert left_out(data) == ([LeftOut("2.wav", SILENT)] if out else [])


def test_a_clip_of_one_click_is_left_out_as_a_silent_output_would_be(data: Path) -> None:
    samples = np.zeros(5 * RATE)
    samples[:400] = 0.5
    soundfile.write(data / "style/bells/2.wav", samples, RATE)
    (found,) = left_out(data)
    assert found.reason == "is silent (below -60 dBFS in more than 95% of its time)"


def test_what_is_left_is_divided_as_if_the_others_were_not_there(data: Path) -> None:
    for number in (0, 3):
        write(data / f"style/bells/{number}.wav", 0.0, 1 + number)
    found, bells = sifted(data)
    split = split_style(bells, "split")
    assert [one.clip for one in split.left_out] == ["0.wav", "3.wav"]
    assert (len(split.clips), len(split.heldout_clips)) == (1, 1)
    for number in (0, 3):
        (data / f"style/bells/{number}.wav").unlink()
    without = load_dataset(str(data))
    assert found.digest == without.digest
    plain = split_style(without.styles[0], "split")
    assert (split.clips, split.heldout_clips) == (plain.clips, plain.heldout_clips)


def test_only_the_part_that_is_used_counts(data: Path) -> None:
    late = np.concatenate([np.zeros(3 * RATE), np.full(RATE, 0.5)])
    soundfile.write(data / "style/bells/2.wav", late, RATE)
    assert left_out(data) == []
    assert left_out(data, 2.0) == [LeftOut("2.wav", f"{SILENT} in its first 2 s")]


def test_styles_that_a_run_does_not_use_are_not_listened_to(data: Path) -> None:
    write(data / "style/drums/2.wav", 0.0)
    assert sifted(data)[0] == load_dataset(str(data))


def test_silent_clips_may_be_alike_and_others_not(data: Path) -> None:
    for number in range(3):
        write(data / f"style/bells/{number}.wav", 0.0)
    assert [one.clip for one in left_out(data)] == ["0.wav", "1.wav", "2.wav"]
    original = data / "style/bells/3.wav"
    (data / "style/bells/twin.wav").write_bytes(original.read_bytes())
    with pytest.raises(DatasetError, match=r"twin\.wav and .*3\.wav have the same sound"):
        load_dataset(str(data))


def test_a_silent_part_of_a_file_is_named_with_its_beginning(data: Path) -> None:
    late = np.concatenate([np.full(RATE, 0.5), np.zeros(RATE)])
    soundfile.write(data / "style/bells/2.wav", late, RATE)
    parts = ", ".join(
        f'{{path = "style/bells/2.wav", start_s = {start:.1f}, duration_s = 1.0}}'
        for start in (0, 1)
    )
    card = f"{CARD}[styles.bells]\nclips = [{parts}]\n"
    (data / "dataset.toml").write_text(card, encoding="utf-8")
    assert left_out(data) == [LeftOut("2.wav from 1 s", SILENT)]


def test_a_clip_that_a_card_names_and_that_is_not_there_is_a_fault_of_the_card(data: Path) -> None:
    card = f'{CARD}[styles.bells]\nclips = [{{path = "style/bells/gone.wav"}}]\n'
    (data / "dataset.toml").write_text(card, encoding="utf-8")
    with pytest.raises(DatasetError, match=r"dataset\.toml:6: .*gone\.wav does not exist"):
        load_dataset(str(data))


def test_a_short_clip_with_the_right_checksum_is_left_out_too(data: Path) -> None:
    write(data / "style/bells/2.wav", 0.5, 0.4)
    digest = load_dataset(str(data)).contents[0].digest
    import hashlib

    short = hashlib.sha256((data / "style/bells/2.wav").read_bytes()).hexdigest()
    sums = f'[sha256]\n"style/bells/2.wav" = "{short}"\n"content/tones/a.wav" = "{digest}"\n'
    (data / "dataset.toml").write_text(CARD + sums, encoding="utf-8")
    (found,) = left_out(data)
    assert found.clip == "2.wav"
    assert found.reason.startswith("gives 0.400 s from 0 s on; a clip has at least 0.5 s")
