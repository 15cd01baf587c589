"""Datasets from cards and folders, and what a broken one is told."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import DatasetError, UnknownNameError
from bench.data.cards import load_dataset
from bench.data.selection import split_style

CARD = """
schema_version = 1
name = "small"
licence = "CC0-1.0"
redistributable = true
"""


def write_clip(path: Path, number: int, duration_s: float = 1.0, channels: int = 1) -> Path:
    """Noise that differs with the number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    soundfile.write(path, rng.uniform(-0.5, 0.5, (round(8000 * duration_s), channels)), 8000)
    return path


def folder(root: Path) -> Path:
    """Two categories of two contents, one style of three clips."""
    for number, name in enumerate(["piano/a.wav", "piano/b.flac", "drums/c.wav", "drums/d.ogg"]):
        write_clip(root / "content" / name, number, channels=1 + number % 2)
    for number in range(3):
        write_clip(root / "style" / "church_bell" / f"bell{number}.wav", 10 + number)
    return root


def test_the_bundled_dataset_is_whole() -> None:
    dataset = load_dataset("mini")
    assert Counter(clip.category for clip in dataset.contents) == dict.fromkeys(
        ["piano", "violin", "flute", "guitar"], 2
    )
    assert {style.id for style in dataset.styles} == {"accordion", "kalimba", "bells", "music_box"}
    for clip in [*dataset.contents, *(clip for style in dataset.styles for clip in style.clips)]:
        audio = clip.read().audio
        assert (audio.sample_rate, audio.num_samples) == (22050, 110250)


def test_a_plain_folder_is_a_dataset(tmp_path: Path) -> None:
    dataset = load_dataset(str(folder(tmp_path)))
    assert [clip.id for clip in dataset.contents] == ["c", "d", "a", "b"]
    style = dataset.styles[0]
    assert (style.id, style.text) == ("church_bell", "church bell")
    assert [clip.recording for clip in style.clips] == ["bell0", "bell1", "bell2"]
    assert not dataset.redistributable


def test_a_clip_keeps_its_channels_and_rate_and_can_be_cut(tmp_path: Path) -> None:
    clip = load_dataset(str(folder(tmp_path))).contents[1]
    assert clip.read().audio.waveform.shape == (2, 8000)
    assert clip.read(0.25).audio.waveform.shape == (2, 2000)
    assert clip.read(99.0).audio.duration_s == 1.0


def test_a_text_file_describes_a_style(tmp_path: Path) -> None:
    (folder(tmp_path) / "style" / "church_bell" / "text.txt").write_text("a deep bell\n")
    assert load_dataset(str(tmp_path)).styles[0].text == "a deep bell"


def test_a_folder_called_timbre_holds_styles(tmp_path: Path) -> None:
    (folder(tmp_path) / "style").rename(tmp_path / "timbre")
    assert load_dataset(str(tmp_path)).styles[0].id == "church_bell"


def test_a_card_in_a_folder_describes_it(tmp_path: Path) -> None:
    text = CARD + '[styles.church_bell]\ntext = "bells"\nkind = "natural"\n'
    (folder(tmp_path) / "dataset.toml").write_text(text)
    dataset = load_dataset(str(tmp_path))
    assert (dataset.name, dataset.licence, dataset.redistributable) == ("small", "CC0-1.0", True)
    assert (dataset.styles[0].text, dataset.styles[0].kind) == ("bells", "natural")


def test_a_card_names_parts_of_recordings(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.wav", 1, 4.0)
    card = tmp_path / "card.toml"
    card.write_text(
        CARD
        + '[contents.first]\npath = "long.wav"\ncategory = "x"\nduration_s = 1.0\n'
        + '[styles.bell]\nclips = [{path = "long.wav", start_s = 1.0, duration_s = 1.5},'
        + ' {path = "long.wav", start_s = 2.5, recording = "evening"}]\n'
    )
    dataset = load_dataset(str(card))
    clips = dataset.styles[0].clips
    assert [clip.duration_s for clip in (*dataset.contents, *clips)] == [1.0, 1.5, 1.5]
    assert [clip.recording for clip in clips] == ["long", "evening"]
    whole = soundfile.read(tmp_path / "long.wav", dtype="float32")[0]
    np.testing.assert_array_equal(clips[0].read().audio.waveform[0], whole[8000:20000])


def test_equal_stems_in_two_categories_get_two_ids(tmp_path: Path) -> None:
    write_clip(folder(tmp_path) / "content" / "flute" / "a.wav", 99)
    ids = [clip.id for clip in load_dataset(str(tmp_path)).contents]
    assert ids == ["c", "d", "flute_a", "piano_a", "b"]


def test_the_digest_follows_the_sound_and_not_the_place(tmp_path: Path) -> None:
    first = load_dataset(str(folder(tmp_path / "one"))).digest
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert load_dataset(str(tmp_path / "two")).digest == first
    write_clip(tmp_path / "two" / "content" / "piano" / "a.wav", 77)
    assert load_dataset(str(tmp_path / "two")).digest != first


def broken(root: Path, fault: str) -> None:
    """Break the folder dataset in one way."""
    piano, bell = root / "content" / "piano", root / "style" / "church_bell"
    actions: dict[str, Callable[[], object]] = {
        "zero bytes": lambda: (piano / "a.wav").write_bytes(b""),
        "corrupt": lambda: (piano / "a.wav").write_bytes(b"RIFF" + b"x" * 100),
        "too short": lambda: write_clip(piano / "a.wav", 1, 0.4),
        "empty style": (root / "style" / "harp").mkdir,
        "too deep": lambda: write_clip(piano / "more" / "e.wav", 1),
        "too high": lambda: write_clip(root / "content" / "e.wav", 1),
        "copy": lambda: (bell / "again.wav").write_bytes((bell / "bell0.wav").read_bytes()),
        "same stem": lambda: write_clip(bell / "bell0.flac", 55),
        "no style": lambda: (root / "style").rename(root / "styles"),
    }
    actions[fault]()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("zero bytes", r"a\.wav is empty \(0 bytes\)"),
        ("corrupt", r"a\.wav cannot be decoded"),
        ("too short", r"a\.wav gives 0\.400 s .*at least 0\.5 s"),
        ("empty style", "harp holds no audio"),
        ("too deep", "more holds audio one folder too deep; .*content/<category>/<clip>"),
        ("too high", r"e\.wav lies directly in 'content'; .*content/<category>/<clip>"),
        ("copy", r"bell0\.wav and .*again\.wav|again\.wav.*the same sound"),
        ("same stem", "have the same id"),
        ("no style", "has no folder 'style'"),
    ],
)
def test_a_broken_folder_says_what_is_wrong(tmp_path: Path, fault: str, message: str) -> None:
    broken(folder(tmp_path), fault)
    with pytest.raises(DatasetError, match=message):
        load_dataset(str(tmp_path))


def test_loose_files_are_told_the_layout(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", 1)
    with pytest.raises(DatasetError, match=r"no folder 'style' \(1 audio files lie loose"):
        load_dataset(str(tmp_path))


def test_a_sound_that_is_no_number_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = folder(tmp_path) / "content" / "piano" / "a.wav"
    soundfile.write(path, np.full(8000, np.nan, np.float32), 8000, subtype="FLOAT")
    clip = next(clip for clip in load_dataset(str(tmp_path)).contents if clip.id == "a")
    with pytest.raises(DatasetError, match=r"a\.wav holds 8000 samples that are NaN"):
        clip.read()


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ('licnce = "x"\n', "key 'licnce' is not known. Did you mean 'licence'"),
        ("[styles.church_bell]\nkynd = 'natural'\n", "kynd' is not known. Did you mean 'kind'"),
        ("[styles.church_bell]\nkind = 'naturl'\n", "styles.church_bell.kind is 'naturl'"),
        ("[styles.church_bell]\ntext = 3\n", "styles.church_bell.text is 3"),
        ("[styles.church_bel]\n", "'church_bel' of the card has no folder .*mean 'church_bell'"),
        ("[contents.x]\npath = 'gone.wav'\ncategory = 'x'\n", "gone.wav does not exist"),
        ("[contents.x]\npath = 'gone.wav'\n", "key 'contents.x.category' is missing"),
        ("root = 'nowhere'\n", "folder .*nowhere does not exist"),
        ("[styles\n", "cannot be read as TOML"),
    ],
)
def test_a_broken_card_names_the_key(tmp_path: Path, addition: str, message: str) -> None:
    (folder(tmp_path) / "dataset.toml").write_text(CARD + addition)
    with pytest.raises(DatasetError, match=message):
        load_dataset(str(tmp_path))


def test_an_unknown_dataset_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'mimi' is neither a card .*mean 'mini'"):
        load_dataset("mimi")


def test_a_split_style_reads_both_sides(tmp_path: Path) -> None:
    style = split_style(load_dataset(str(folder(tmp_path))).styles[0], "split").read(0.5)
    assert (len(style.clips), len(style.heldout_clips)) == (2, 1)
    assert {clip.audio.duration_s for clip in (*style.clips, *style.heldout_clips)} == {0.5}
