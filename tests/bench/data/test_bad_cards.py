"""Cards and suites as people write them: messages name file, line and the nearest name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import BenchError, ConfigError, DatasetError, UnknownNameError
from bench.data.cards import load_dataset
from bench.outside.declarations import find_lines
from bench.plan.suite import load_suite
from bench.run.request import RunRequest, prepare

RATE = 8000
SUITE = """\
name = "own"
dataset = {dataset!r}
profile = "mini"
methods = ["copy-content"]
controls = []
metrics = ["chroma"]
"""
CARD = """\
schema_version = 1
name = "small"
licence = "CC0-1.0"
redistributable = true
"""
SUM = "0" * 64


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A dataset of one content and one style, without a card."""
    rng = np.random.default_rng(0)
    for name in ("content/tones/a.wav", "style/bells/b.wav", "style/bells/c.wav"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.uniform(-0.5, 0.5, RATE), RATE)
    return tmp_path


def suite(place: Path, addition: str = "", text: str = SUITE) -> Path:
    path = place / "own.toml"
    path.write_text(text.format(dataset=str(place / "data")) + addition, encoding="utf-8")
    return path


def card(place: Path, addition: str = "", text: str = CARD) -> str:
    (place / "data" / "dataset.toml").write_text(text + addition, encoding="utf-8")
    return str(place / "data")


SUITES: list[tuple[str, type[BenchError], str]] = [
    ("seds = 2\n", ConfigError, r"own\.toml:7: key 'seds' is not known\. Did you mean 'seeds'"),
    ("seeds = 'two'\n", ConfigError, r"own\.toml:7: seeds is 'two'; .*valid integer"),
    ("\n\nseeds = 2.5\n", ConfigError, r"own\.toml:9: seeds is 2\.5"),
    ("styles = 'bells'\n", ConfigError, r"own\.toml:7: styles is 'bells'; .*valid tuple"),
    ("style_clips = 'halves'\n", ConfigError, r"own\.toml:7: style_clips is 'halves'"),
    ("schema_version = 2\n", ConfigError, r"own\.toml:7: schema_version is 2"),
    ("seeds = = 2\n", ConfigError, r"own\.toml cannot be read as TOML .*line 7"),
    ("name = 'twice'\n", ConfigError, r"own\.toml cannot be read as TOML .*line 7"),
    ("[parameters.tvee]\nx = 1\n", UnknownNameError, r"own\.toml:7: .*'tvee' .*mean 'tve'"),
    ("styles = ['bels']\n", UnknownNameError, "'bels' is not known.*mean 'bells'"),
    (
        "[parameters.copy-content]\nx = 1\n",
        UnknownNameError,
        r"own\.toml:8: copy-content: parameter 'x' is not known; this method has none",
    ),
    (
        "[parameters.tve]\nstrength = 0.5\n\n[parameters.tve.styles.bels]\nstrength = 0.4\n",
        UnknownNameError,
        r"own\.toml:10: style 'bels' is not in dataset .*mean 'bells'",
    ),
]


@pytest.mark.parametrize(("addition", "error", "message"), SUITES)
def test_a_wrong_suite_is_answered_with_file_line_and_nearest_name(
    place: Path, addition: str, error: type[BenchError], message: str
) -> None:
    request = RunRequest(suite=str(suite(place, addition)), device="cpu", out=place / "run")
    with pytest.raises(error, match=message):
        prepare(request)
    assert not (place / "run").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("strenght = 0.5\n", r"own\.toml:10: tve: parameter 'strenght' .*mean 'strength'"),
        (
            "strength = 'much'\n",
            r"own\.toml:10: tve: parameter strength is 'much'; .*Give a number",
        ),
        ("strength = 1.5\n", r"own\.toml:10: tve: "),
        (
            "[parameters.tve.styles.bells]\nstrength = '1'\n",
            r"own\.toml:11: tve: .*strength is '1'",
        ),
    ],
)
def test_a_wrong_parameter_is_answered_with_its_line(
    place: Path, settings: str, message: str
) -> None:
    path = suite(place, "\n# a comment\n[parameters.tve]\n" + settings)
    with pytest.raises(BenchError, match=message):
        prepare(RunRequest(suite=str(path), methods="tve", device="cpu"))


def test_a_missing_key_is_named_and_a_misspelt_one_is_shown_first(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"own\.toml: key 'methods' is missing; .*Add it"):
        load_suite(str(suite(place, text=SUITE.replace("methods", "#"))))
    misspelt = suite(place, text=SUITE.replace("methods", "metods"))
    with pytest.raises(ConfigError, match=r"own\.toml:4: key 'metods' .*mean 'methods'"):
        load_suite(str(misspelt))


def test_an_override_is_not_blamed_on_the_file(place: Path) -> None:
    request = RunRequest(suite=str(suite(place)), methods="copy-contnt", device="cpu")
    with pytest.raises(UnknownNameError, match=r"^suite own\+methods: method 'copy-contnt'"):
        prepare(request)


CARDS: list[tuple[str, str]] = [
    ("licens = 'x'\n", r"dataset\.toml:5: key 'licens' is not known\. Did you mean 'licence'"),
    ("root = 3\n", r"dataset\.toml:5: root is 3"),
    (
        "[styles.bells]\ntext = 'bells'\nknd = 'natural'\n",
        r"dataset\.toml:7: key 'styles\.bells\.knd' .*'kind'",
    ),
    (
        "[styles.bells]\nkind = 'animal'\n",
        r"dataset\.toml:6: styles\.bells\.kind is 'animal'; .*'instrument' or 'natural'",
    ),
    ("[styles.bels]\ntext = 'bells'\n", r"dataset\.toml:5: style 'bels' .*mean 'bells'"),
    (
        "[contents.x]\npath = 'gone.wav'\n",
        r"dataset\.toml:5: key 'contents\.x\.category' is missing",
    ),
    (
        "[contents.x]\ncategory = 'y'\npath = 'gone.wav'\n",
        r"dataset\.toml:5: .*gone\.wav does not exist",
    ),
    (
        "[contents.x]\ncategory = 'y'\npath = 'content/tones/a.wav'\nstart_s = 0.9\n",
        r"dataset\.toml:5: .*a\.wav gives 0\.100 s from 0\.9 s on",
    ),
    (
        f'\n[sha256]\n"content/tones/a.wav" = "{SUM}"\n',
        r"dataset\.toml:7: .*a\.wav has SHA-256 [0-9a-f]{12}\.\.\., the card says 000000000000",
    ),
    (
        f'[sha256]\n"content/tones/lost.wav" = "{SUM}"\n',
        r"dataset\.toml:6: .*lost\.wav does not exist",
    ),
]


@pytest.mark.parametrize(("addition", "message"), CARDS)
def test_a_wrong_card_is_answered_with_file_line_and_nearest_name(
    place: Path, addition: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(card(place, addition))


def test_a_card_without_a_licence_is_refused(place: Path) -> None:
    text = CARD.replace("licence", "#")
    with pytest.raises(DatasetError, match=r"dataset\.toml: key 'licence' is missing"):
        load_dataset(card(place, text=text))


def test_right_checksums_change_nothing(place: Path) -> None:
    plain = load_dataset(card(place))
    addition = f'[sha256]\n"content/tones/a.wav" = "{plain.contents[0].digest.upper()}"\n'
    assert load_dataset(card(place, addition)).digest == plain.digest


def test_every_bundled_clip_has_a_checksum(checkout: Path) -> None:
    text = (checkout / "datasets" / "mini.toml").read_text(encoding="utf-8")
    folder = checkout / "datasets" / "mini"
    clips = [clip.relative_to(folder).as_posix() for clip in folder.rglob("*.flac")]
    assert clips
    assert [clip for clip in clips if clip not in text] == []


def test_lines_are_found_under_quotes_dots_and_comments() -> None:
    text = 'a = 1 # b = 2\n\n["x y".z]  # heading\nc.d = [\n  {e = 1},\n]\n"f=g" = 2\n'
    assert find_lines(text) == {
        ("a",): 1,
        ("x y", "z"): 3,
        ("x y", "z", "c", "d"): 4,
        ("x y", "z", "f=g"): 7,
    }


def bench(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_bad_input_ends_with_one_message_and_exit_code_2(place: Path) -> None:
    path = suite(place, "seds = 2\n")
    done = bench("run", "--suite", path, "--out", place / "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (f"error: {path}:7: key 'seds' is not known. Did you mean 'seeds'?\n")
    assert not (place / "run").exists()


def test_what_the_system_refuses_is_bad_input_too(place: Path) -> None:
    done = bench("run", "--suite", suite(place), "--device", "cpu", "--out", place / ("x" * 300))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "File name too long" in done.stderr
