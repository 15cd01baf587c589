"""Folders that nobody should send: each is refused with words that name the thing and the way out.

And names of files: those that look alike, those that could mean two cells, and those of a list.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import ConfigError
from bench.delivery.folder import read_folder
from bench.delivery.listing import Place, read_list
from bench.delivery.matching import Delivery, match

RATE = 8000
PLACES: list[Place] = [("bells", "a", 0), ("bells", "a", 1), ("bells", "b", 0), ("café", "a", 0)]
HEAD = "style,content,repetition,path\n"


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(RATE, 0.5), RATE)
    return path


def listed(folder: Path, text: str | bytes, name: str = "outputs.csv") -> None:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def delivered(folder: Path, places: list[Place] = PLACES) -> Delivery:
    return match(read_folder(folder), places)


def names(delivery: Delivery) -> dict[Place, str]:
    return {place: file.name for place, file in delivery.files.items()}


def link(folder: Path) -> None:
    (folder / "bells" / "b.wav").symlink_to(folder / "bells" / "a.wav")


def linked_folder(folder: Path) -> None:
    (folder / "café").symlink_to(folder / "bells")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "bells" / "b.wav")


def latin(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder / "bells") + b"/caf\xe9.wav")).write_bytes(b"x")


def twins(folder: Path) -> None:
    for form in ("NFC", "NFD"):
        sound(folder / unicodedata.normalize(form, "café") / "a.wav")


def huge(folder: Path) -> None:
    with (folder / "bells" / "b.wav").open("wb") as file:
        file.truncate((1 << 31) + 1)


def empty(folder: Path) -> None:
    (folder / "bells" / "a.wav").unlink()
    (folder / "bells" / "a.m4a").write_bytes(b"x")


def elsewhere(folder: Path) -> None:
    (folder / "bells").rename(folder / "bell")


MALFORMED: list[tuple[Callable[[Path], object], str]] = [
    (link, r"b\.wav is a link to '.*a\.wav'; .* plain files in their folder\. Copy the file there"),
    (linked_folder, r"café is a link to .* Copy the file there"),
    (pipe, r"b\.wav is not a file; an output is one\. Remove or rename it"),
    (latin, r"caf\\xe9\.wav' is a name that is not UTF-8"),
    (twins, r"holds 'café/a\.wav' twice, in names that differ only in how their letters are coded"),
    (huge, r"b\.wav has 2147483649 bytes; an output has at most 2147483648"),
    (empty, r"hold no sound that is read, only bells/a\.m4a"),
    (elsewhere, r"1 sound, such as 'bell/a\.wav', .* Did you mean 'bells/a'\? Rename"),
    (lambda f: sound(f / "bells" / "a.0.flac"),
     r"two outputs of bells/a: bells/a\.0\.flac and bells/a\.wav; each stands once"),
    (lambda f: listed(f, "bells,a,0,bells/a.wav\n"),
     r":1 has the columns bells, a, 0, bells/a\.wav; .* with style,content,repetition,path"),
    (lambda f: listed(f, ""), r"outputs\.csv:1 has the columns none"),
    (lambda f: listed(f, HEAD + "bells,a\n"), r"outputs\.csv:2 has 2 fields; each line has 4"),
    (lambda f: listed(f, HEAD + "\nbells,a,first,bells/a.wav\n"),
     r"outputs\.csv:3 has the repetition 'first'; repetitions are 0, 1, 2"),
    (lambda f: listed(f, HEAD + "bells,a,-1,bells/a.wav\n"), r"outputs\.csv:2 has the repetition"),
    (lambda f: listed(f, HEAD + ",a,0,bells/a.wav\n"), r"outputs\.csv:2 names no style"),
    (lambda f: listed(f, HEAD + "bells,a,0,../secret.wav\n"),
     r"outputs\.csv:2 has the path '\.\./secret\.wav'; .* stay in it"),
    (lambda f: listed(f, HEAD + "bells,a,0,/etc/a.wav\n"), r"outputs\.csv:2 has the path '/etc"),
    (lambda f: listed(f, HEAD + "bells,a,0,bells/a.m4a\n"),
     r"outputs\.csv:2 names 'bells/a\.m4a'; outputs are sound of a kind that is read"),
    (lambda f: listed(f, HEAD + "bells,a,0,bells/a.wav\nbells,a,,x.wav\n"),
     r"outputs\.csv:3 names bells/a again, as line 2 does"),
    (lambda f: listed(f, HEAD.encode() + b"bells,caf\xe9,0,a.wav\n"), r"byte \d+ is not utf-8"),
    (lambda f: listed(f, HEAD + 'bells,"a,0,bells/a.wav\n'), r"outputs\.csv cannot be read"),
    (lambda f: listed(f, HEAD + "drum,a,0,bells/a.wav\n"),
     r"list of 1 outputs, and none of its lines is planned; this run plans bells/a and 3 more"),
    (lambda f: listed(f, HEAD + "bells,a,0,bells/b.wav\n"), r"none of its files is there"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), MALFORMED)
def test_a_malformed_folder_is_refused_with_the_way_out(
    tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    sound(tmp_path / "bells" / "a.wav")
    assert len(delivered(tmp_path).files) == 1
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=words):
        delivered(tmp_path)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere do not exist; .* Check the path"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"a\.wav are one file; .* Name the folder, or a list"):
        read_folder(sound(tmp_path / "a.wav"))


def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["x"] * 40)
    sound(deep / "a.wav")
    with pytest.raises(ConfigError, match="folders more than 32 deep"):
        read_folder(tmp_path)


def test_names_are_told_by_the_plan_with_and_without_the_number(tmp_path: Path) -> None:
    for name in ("bells/a.wav", "bells/a.1.FLAC", "bells/b.0.ogg", "bells/c.wav", "other/a.wav"):
        sound(tmp_path / name)
    (tmp_path / "bells" / "notes.txt").write_text("not a sound", encoding="utf-8")
    (tmp_path / ".hidden.wav").symlink_to(tmp_path)
    found = delivered(tmp_path)
    assert names(found) == {
        PLACES[0]: "bells/a.wav", PLACES[1]: "bells/a.1.FLAC", PLACES[2]: "bells/b.0.ogg"
    }  # fmt: skip
    assert found.missing == (("café", "a", 0),)
    assert found.extra == ("bells/c.wav", "other/a.wav")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_both_ways_of_coding_a_letter_are_one_name(tmp_path: Path, form: str) -> None:
    sound(tmp_path / unicodedata.normalize(form, "café") / "a.wav")
    assert list(names(delivered(tmp_path))) == [("café", "a", 0)]
    listed(tmp_path, HEAD + unicodedata.normalize("NFD", "café,a,0,café/a.wav\n"))
    assert list(names(delivered(tmp_path))) == [("café", "a", 0)]


def test_contents_with_folders_and_dots_in_their_names_are_found(tmp_path: Path) -> None:
    places: list[Place] = [("bells", "set/a", 0), ("bells", "a.b", 0), ("bells", "a.b", 1)]
    for name in ("bells/set/a.wav", "bells/a.b.wav", "bells/a.b.1.wav"):
        sound(tmp_path / name)
    assert len(delivered(tmp_path, places).files) == 3


def test_a_name_that_could_mean_two_cells_asks_for_a_list(tmp_path: Path) -> None:
    places: list[Place] = [("bells", "a", 0), ("bells", "a", 1), ("bells", "a.1", 0)]
    sound(tmp_path / "bells" / "a.1.wav")
    with pytest.raises(ConfigError, match=r"may be .* Write a list, outputs\.csv"):
        delivered(tmp_path, places)
    listed(tmp_path, HEAD + "bells,a.1,0,bells/a.1.wav\n")
    assert names(delivered(tmp_path, places)) == {("bells", "a.1", 0): "bells/a.1.wav"}


@pytest.mark.parametrize("name", ["outputs.csv", "mine.csv"])
def test_a_list_names_files_as_it_likes(tmp_path: Path, name: str) -> None:
    sound(tmp_path / "x" / "0001.wav")
    sound(tmp_path / "x" / "0002.wav")
    rows = "bells;a;;x/0001.wav\n\nbells;a;1;x/0001.wav\nbells;b;0;\n"
    listed(tmp_path, "\ufeff" + HEAD.replace(",", ";") + rows, name)
    found = delivered(tmp_path / name)
    assert names(found) == {PLACES[0]: "x/0001.wav", PLACES[1]: "x/0001.wav"}
    assert found.missing == (PLACES[2], PLACES[3])
    assert found.extra == ("x/0002.wav",)


def test_the_digest_is_of_what_each_cell_gets_and_not_of_names(tmp_path: Path) -> None:
    for name in ("one/bells/a.wav", "two/bells/a.0.wav", "three/x.wav"):
        sound(tmp_path / name)
    listed(tmp_path / "three", HEAD + "bells,a,0,x.wav\n")
    digests = {delivered(tmp_path / name).digest for name in ("one", "two", "three")}
    assert len(digests) == 1
    sound(tmp_path / "one" / "bells" / "b.wav")
    assert delivered(tmp_path / "one").digest not in digests


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path: Path) -> None:
    listed(tmp_path, HEAD + "bells,a,0,a.wav\n\nbells,b,2,b.wav\n")
    assert [(one.line, one.place) for one in read_list(tmp_path / "outputs.csv")] == [
        (2, ("bells", "a", 0)), (4, ("bells", "b", 2))
    ]  # fmt: skip
