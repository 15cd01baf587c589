"""Names and texts as disks, archives and keyboards give them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import ConfigError, DatasetError, UnknownNameError
from bench.cli.main import cli
from bench.data.cards import load_dataset
from bench.data.folders import read_style
from bench.data.selection import select_contents, select_styles
from bench.outside.names import on_disk
from bench.plugins.catalog import find_method
from bench.run.request import RunRequest, prepare

RATE = 8000
NFC, NFD = "caf\u00e9", "cafe\u0301"
SUITE = """
name = "own"
dataset = {dataset!r}
profile = "mini"
methods = ["copy-content"]
controls = []
metrics = ["chroma"]
"""


def sound(path: Path, seed: int = 0, **how: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, RATE)
    soundfile.write(path, samples, RATE, **how)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset whose names are in NFD, as some disks and archives hold them."""
    root = tmp_path / "data"
    sound(root / "content" / NFD / f"{NFD}.wav", 1)
    sound(root / "style" / NFD / "b.wav", 2)
    sound(root / "style" / "bells" / "c.wav", 3)
    return root


def suite(data: Path, addition: str = "") -> str:
    path = data.parent / "own.toml"
    path.write_text(SUITE.format(dataset=str(data)) + addition, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("typed", [NFC, NFD])
def test_names_are_found_in_either_form(data: Path, typed: str) -> None:
    found = load_dataset(str(data))
    assert [style.id for style in found.styles] == ["bells", NFC]
    assert [style.id for style in select_styles(found, [typed])] == [NFC]
    assert [(clip.id, clip.category) for clip in select_contents(found, [typed], 0)] == [(NFC, NFC)]
    cells = prepare(RunRequest(suite=suite(data), styles=typed, contents=typed, device="cpu")).cells
    assert [(cell.style, cell.content) for cell in cells] == [(NFC, NFC)]


@pytest.mark.parametrize("typed", [NFC, NFD])
def test_a_card_and_a_suite_find_them_too(data: Path, typed: str) -> None:
    (data / "dataset.toml").write_text(
        "schema_version = 1\nname = 'own'\nlicence = 'CC0-1.0'\nredistributable = true\n"
        f"[contents.a]\ncategory = 'x'\npath = 'content/{typed}/{typed}.wav'\n"
        f"[styles.'{typed}']\ntext = 'a café'\n",
        encoding="utf-8",
    )
    assert [style.text for style in load_dataset(str(data)).styles] == ["bells", "a café"]
    addition = f"styles = ['{typed}']\n[parameters.mix.styles.'{typed}']\n"
    assert len(prepare(RunRequest(suite=suite(data, addition), device="cpu")).cells) == 1


def test_a_folder_outside_a_dataset_is_found_in_the_other_form(data: Path) -> None:
    assert read_style(data / "style" / NFC).id == NFC
    assert on_disk(data / "style" / NFC) == data / "style" / NFD
    assert on_disk(data / "nothing" / NFC) == data / "nothing" / NFC
    assert load_dataset(str(sound(data.parent / NFD / "content/x/a.wav", 4).parents[2] / "../data"))


def test_two_names_that_look_alike_are_refused(data: Path) -> None:
    sound(data / "style" / NFC / "d.wav", 5)
    with pytest.raises(DatasetError, match="two folders 'café', which differ only"):
        load_dataset(str(data))


@pytest.mark.parametrize("name", ["content/x/%s.wav", "content/%s/a.wav", "style/%s/a.wav"])
def test_a_name_that_is_not_utf_8_is_refused_and_shown(data: Path, name: str) -> None:
    target = Path(os.fsdecode(os.fsencode(data / name).replace(b"%s", b"caf\xe9")))
    target.parent.mkdir(parents=True, exist_ok=True)
    sound(data / "a.wav").rename(target)  # libsndfile was given a plain name
    with pytest.raises(DatasetError, match=r"caf\\xe9.* is a name that is not UTF-8; .*Rename"):
        load_dataset(str(data))


def test_an_argument_that_is_not_utf_8_ends_with_one_message() -> None:
    for words in (["run", "--out"], ["report"], ["transfer", "--method", "mix", "--content"]):
        command = [sys.executable, "-m", "bench", *words, os.fsdecode(b"/tmp/caf\xe9")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd())
        assert done.returncode == 2
        assert done.stderr.startswith("error: b'/tmp/caf\\xe9' is a name that is not UTF-8")


TEXTS: list[tuple[bytes, str]] = [
    (b"a  church\tbell\r\n  rings\n", "a church bell rings"),
    ("\ufeffa bell".encode(), "a bell"),
    ("a café".encode("utf-16"), "a café"),
    (f"a {NFD}".encode(), "a café"),
    ("a\u00a0bell\u2028rings".encode(), "a bell rings"),
    (b" \n\t", "bells"),
]


@pytest.mark.parametrize(("content", "words"), TEXTS)
def test_the_text_of_a_style_is_one_line(data: Path, content: bytes, words: str) -> None:
    (data / "style" / "bells" / "text.txt").write_bytes(content)
    assert load_dataset(str(data)).styles[0].text == words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a café".encode("latin-1"), r"byte 5 is not utf-8\); .*Save it as UTF-8"),
        ("a bell".encode("utf-16-le"), r"holds the control character '\\x00'"),
        (b"a \x1b[31mbell", r"holds the control character '\\x1b'"),
        (b"a" * 100_000, "larger than 65536 bytes"),
    ],
)
def test_a_text_in_another_encoding_is_refused(data: Path, content: bytes, message: str) -> None:
    (data / "style" / "bells" / "text.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"text\.txt cannot be read \(.*{message}"):
        load_dataset(str(data))


def test_a_name_that_no_disk_holds_is_refused(data: Path) -> None:
    (data / "dataset.toml").write_text(
        "schema_version = 1\nname = 'own'\nlicence = 'CC0-1.0'\nredistributable = true\n"
        f"[contents.a]\ncategory = 'x'\npath = '{'a' * 300}.wav'\n",
        encoding="utf-8",
    )
    with pytest.raises(
        DatasetError, match=r"dataset\.toml:5: .*a\.wav cannot be opened \(File name"
    ):
        load_dataset(str(data))


@pytest.mark.parametrize("contents", ["01", "2", "02"])
def test_a_number_that_is_a_name_is_the_name(data: Path, contents: str) -> None:
    for number, name in enumerate(("01", "2", "3")):
        sound(data / "content" / "numbered" / f"{name}.wav", 10 + number)
    cells = prepare(RunRequest(suite=suite(data), contents=contents, device="cpu")).cells
    named = {cell.content for cell in cells}
    assert named == {contents} if contents in {"01", "2"} else len(named) == 2


def test_a_method_whose_path_has_commas_and_brackets_is_quoted(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data.parent / "my, [own] method.py"
    path.write_text(
        "from methods.controls import Mix\n\n\nclass Own(Mix):\n    pass\n", encoding="utf-8"
    )
    chosen = f"'{path}:Own',copy-content"
    words = ["run", "--suite", suite(data), "--device", "cpu", "--methods", chosen, "--dry-run"]
    cli.main(words, standalone_mode=False)
    assert f'methods "{path}:Own", copy-content' in capsys.readouterr().out
    assert find_method(f"{path}:Own").info


def test_sound_that_is_not_read_is_named_and_the_rest_is_read(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed, (name, how) in enumerate(
        {
            "d.aiff": {"format": "AIFF"},
            "e.aif": {"format": "AIFF"},
            "f.opus": {"format": "OGG", "subtype": "OPUS"},
        }.items()
    ):
        sound(data / "style" / "bells" / name, 20 + seed, **how)
    (data / "style" / "bells" / "g.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    with caplog.at_level(logging.WARNING):
        bells = load_dataset(str(data)).styles[0]
    assert [clip.id for clip in bells.clips] == ["c", "d", "e", "f"]
    assert [clip.read().audio.num_samples for clip in bells.clips] == [RATE] * 4
    (message,) = caplog.messages
    assert "skipped 'g.m4a'" in message


def test_a_folder_with_nothing_else_says_what_it_has(data: Path) -> None:
    (data / "style" / "bells" / "c.wav").rename(data / "style" / "bells" / "c.m4a")
    for look in (lambda: load_dataset(str(data)), lambda: read_style(data / "style" / "bells")):
        with pytest.raises(DatasetError, match=r"holds no audio that is read, only 'c\.m4a'"):
            look()


def test_names_with_commas_can_be_quoted(data: Path) -> None:
    sound(data / "style" / "a, b" / "x.wav", 30)
    cells = prepare(RunRequest(suite=suite(data), styles="'a, b',bells", device="cpu")).cells
    assert {cell.style for cell in cells} == {"a, b", "bells"}
    with pytest.raises(ConfigError, match="quotation mark that has no partner"):
        prepare(RunRequest(suite=suite(data), styles="'a, b", device="cpu"))
    with pytest.raises(UnknownNameError, match="'a' is not known"):
        prepare(RunRequest(suite=suite(data), styles="a, b", device="cpu"))
