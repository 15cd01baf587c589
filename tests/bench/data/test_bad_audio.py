"""Sound as people really have it: what is broken is refused before the work, the rest runs."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import BenchError, ConfigError, ContentError, DatasetError
from bench.audio import read_audio
from bench.cli.main import cli
from bench.data.cards import load_dataset
from bench.records.store import Run, load_run
from bench.run.request import RunRequest, prepare

RATE = 16_000
NOBODY = 65_534
SUITE = """
name = "battery"
dataset = {dataset!r}
profile = "mini"
methods = ["copy-content"]
controls = []
metrics = ["chroma"]
"""


def tone(duration_s: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """A tone per channel, shape (sample, channel)."""
    time = np.arange(round(rate * duration_s)) / rate
    return np.stack([0.4 * np.sin(2 * np.pi * 220 * (1 + c) * time) for c in range(channels)], 1)


def write(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of one content and one style of two clips, and a private cache."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return made(tmp_path)


def made(root: Path) -> Path:
    write(root / "data" / "content" / "tones" / "good.wav", tone())
    for number in range(2):
        write(root / "data" / "style" / "bells" / f"bell{number}.wav", tone(1 + number))
    (root / "battery.toml").write_text(SUITE.format(dataset=str(root / "data")), encoding="utf-8")
    return root


def request(place: Path, **options: object) -> RunRequest:
    """What `python -m bench run` is asked for."""
    return RunRequest(
        suite=str(place / "battery.toml"),
        device="cpu",
        out=place / "run",
        **options,  # type: ignore[arg-type]  # the fields of RunRequest
    )


def run(place: Path, *arguments: str) -> Run:
    """The whole way through the command line; it must end well."""
    words = ["run", "--suite", str(place / "battery.toml"), "--device", "cpu", "--no-html"]
    with pytest.raises(SystemExit, match="0"):
        cli.main([*words, "--out", str(place / "run"), *arguments], standalone_mode=False)
    return load_run(place / "run")


def cut(path: Path, share: float) -> None:
    """Cut a file short."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])


def nan_at_the_end(path: Path) -> None:
    samples = tone()
    samples[-1] = np.nan
    write(path, samples, subtype="FLOAT")


def infinite(path: Path) -> None:
    write(path, np.where(np.arange(RATE)[:, None] == 7, np.inf, tone()), subtype="FLOAT")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "zero bytes": (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\).*Copy"),
    "header only": (lambda path: cut(write(path, tone()), 44 / 32_044), "breaks off.*44 bytes"),
    "no samples": (lambda path: write(path, tone(0.0)), r"gives 0\.000 s"),
    "cut wav": (lambda path: cut(path, 0.5), r"breaks off: it has \d+ bytes and should have \d+"),
    "one byte cut": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "breaks off"),
    "text": (lambda path: path.write_text("not a sound\n" * 99), "cannot be decoded.*Convert"),
    "riff and nothing": (lambda path: path.write_bytes(b"RIFF" + b"x" * 99), "cannot be decoded"),
    "one sample": (lambda path: write(path, tone()[:1]), r"gives 0\.000 s.*at least 0\.5 s"),
    "0.4 s": (lambda path: write(path, tone(0.4)), r"gives 0\.400 s.*at least 0\.5 s"),
    "nan": (nan_at_the_end, "holds 1 samples that are NaN or infinite; .*Export"),
    "infinite": (infinite, "holds 1 samples that are NaN or infinite"),
    "a link to nowhere": (
        lambda path: (path.unlink(), path.symlink_to("gone.wav")),
        "does not exist.*Check the path",
    ),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "is not a file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_content_is_refused_before_the_work(place: Path, fault: str) -> None:
    break_it, message = FAULTS[fault]
    break_it(place / "data" / "content/tones/good.wav")
    with pytest.raises(DatasetError, match=rf"good\.wav {message}"):
        prepare(request(place))
    assert not (place / "run").exists()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_clip_of_a_style_is_left_out_and_named(place: Path, fault: str) -> None:
    """The plan is that of the dataset without the file."""
    break_it, message = FAULTS[fault]
    path = place / "data" / "style/bells/bell1.wav"
    break_it(path)
    prepared = prepare(request(place))
    told = rf"style 'bells' is used without 1 clip: bell1\.wav {message}"
    assert re.search(told, prepared.announcement)
    assert str(place / "data") not in told
    path.unlink()
    without = prepare(request(place))
    assert without.cells == prepared.cells
    assert without.plan.dataset.digest == prepared.plan.dataset.digest
    assert "without" not in without.announcement


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_compressed_file_that_was_cut_is_refused(place: Path, suffix: str, share: float) -> None:
    path = place / "data" / "content" / "tones" / f"short.{suffix}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)
    soundfile.write(path, noise, RATE)
    prepare(request(place))
    cut(path, share)
    with pytest.raises(
        DatasetError, match=rf"short\.{suffix} (breaks off|cannot be decoded|gives)"
    ):
        prepare(request(place))


def test_a_broken_clip_that_is_not_used_stops_nothing(place: Path) -> None:
    nan_at_the_end(place / "data" / "content" / "tones" / "other.wav")
    assert len(prepare(request(place, contents="good")).cells) == 1


def test_a_streamed_wav_without_a_length_is_whole(place: Path) -> None:
    path = place / "data" / "content" / "tones" / "good.wav"
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert read_audio(path).num_samples == RATE
    assert prepare(request(place)).cells


def test_ten_minutes_are_too_long_for_a_window_and_the_way_out_is_named(place: Path) -> None:
    write(place / "data" / "content" / "tones" / "long.wav", tone(600, rate=8000), rate=8000)
    with pytest.raises(ContentError, match=r"'long' is 600\.00 s; tve .* --duration"):
        prepare(request(place, methods="tve"))
    assert prepare(request(place, methods="tve", duration=5.0)).cells


def shapes() -> dict[str, tuple[np.ndarray, int, str]]:
    """Name -> samples, rate, subtype of what must go through."""
    square = np.sign(tone())
    odd: dict[str, tuple[np.ndarray, int, str]] = {
        "eight_channels": (tone(channels=8), RATE, "PCM_16"),
        "constant": (np.full((RATE, 1), 0.5), RATE, "PCM_16"),
        "square": (square, RATE, "PCM_16"),
        "silence": (np.zeros((RATE, 1)), RATE, "PCM_16"),
        "beyond_full_scale": (4.0 * tone(), RATE, "FLOAT"),
        "half_a_second": (tone(0.5), RATE, "PCM_16"),
    }
    rates = (8000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000)
    odd |= {f"rate_{rate}": (tone(rate=rate), rate, "PCM_16") for rate in rates}
    subtypes = ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
    return odd | {subtype.lower(): (tone(), RATE, subtype) for subtype in subtypes}


def test_odd_sounds_come_through_at_their_own_rate_and_length(place: Path) -> None:
    given = shapes()
    folder = place / "data" / "content" / "tones"
    for name, (samples, rate, subtype) in given.items():
        write(folder / f"{name}.wav", samples, rate, subtype)
    done = run(place)
    assert {cell.content for cell in done.plan} == {*given, "good"}
    for cell in done.plan:
        if cell.content == "good":
            continue
        samples, rate, _ = given[cell.content]
        record, score = done.cells[cell.cell_id], done.scores[cell.cell_id, "chroma"]
        output = read_audio(done.folder / str(record.audio))
        assert (output.sample_rate, output.waveform.shape) == (rate, (1, len(samples)))
        np.testing.assert_allclose(output.waveform[0], samples.mean(1), atol=1 / 120)
        if cell.content == "silence":
            assert (score.status, score.value) == ("unsupported", None)
        else:
            assert score.value == pytest.approx(1.0, abs=1e-3)


def test_ten_minutes_come_through(place: Path) -> None:
    write(place / "data" / "content" / "tones" / "long.wav", tone(600, rate=8000), rate=8000)
    done = run(place, "--contents", "long", "--metrics", "")
    (record,) = done.cells.values()
    assert (record.status, record.duration_s) == ("ok", 600.0)


NAMES = (
    "with spaces",
    'it\'s "quoted"',
    "Mädchen 音楽 🎵",
    "a" * 200,
    "50% & more_than | 1 $",
    "-rf",
    "a[b]=c",
)


def test_odd_names_come_through_to_the_tables(place: Path) -> None:
    data = place / "data"
    for number, name in enumerate(NAMES):
        write(data / "content" / name / f"{name}.wav", tone(1.1 + number / 10))
        write(data / "style" / name / f"{name}.wav", tone(1.1 + number / 10))
    done = run(place)
    assert {cell.content for cell in done.plan} == {"good", *NAMES}
    assert {cell.style for cell in done.plan} == {"bells", *NAMES}
    assert {cell.status for cell in done.cells.values()} == {"ok"}
    table = (place / "run" / "report" / "table1.md").read_text(encoding="utf-8")
    assert len({line.count(" | ") for line in table.splitlines() if line.startswith("|")}) <= 2


LAYOUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "clips beside the styles": (
        lambda data: (data / "style" / "bells" / "bell0.wav").rename(data / "style" / "bell0.wav"),
        "bell0.wav lies directly in 'style'.*Move it one folder down",
    ),
    "a folder too deep": (
        lambda data: write(data / "style" / "bells" / "takes" / "a.wav", tone()),
        "takes holds audio one folder too deep.*Move it one folder up",
    ),
    "a misspelt folder": (
        lambda data: (data / "style").rename(data / "styles"),
        "no folder 'style' .*Did you mean 'styles'",
    ),
    "only clips": (
        lambda data: (shutil.rmtree(data), write(data / "a.wav", tone())),
        r"\(1 audio files lie loose in it\)",
    ),
    "an outer folder": (
        lambda data: (
            shutil.move(shutil.copytree(data, data.parent / "x"), data)
            and [shutil.rmtree(data / name) for name in ("content", "style")]
        ),
        "/x is laid out like that: name that folder",
    ),
    "an empty style": (lambda data: (data / "style" / "harp").mkdir(), "harp holds no audio"),
    "no content": (lambda data: shutil.rmtree(data / "content"), "no folder 'content'"),
}


@pytest.mark.parametrize("fault", LAYOUTS)
def test_a_folder_laid_out_otherwise_is_told_the_layout(place: Path, fault: str) -> None:
    arrange, message = LAYOUTS[fault]
    arrange(place / "data")
    with pytest.raises(DatasetError, match=message) as refusal:
        load_dataset(str(place / "data"))
    if fault != "an empty style":
        assert "content/<category>/<clip> and style/<style>/<clip>" in str(refusal.value)


@contextmanager
def powerless() -> Iterator[None]:
    """Without the rights of root, whom permissions do not bind."""
    for name in ("bench.run.session", "multiprocessing.context"):
        importlib.import_module(name)  # Python itself may lie where only root may read
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same dataset in a folder that other users may enter, as `tmp_path` is not."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o777)
    monkeypatch.setenv("BENCH_CACHE", str(root / "cache"))
    yield made(root)
    for path in (root, *root.rglob("*")):
        path.chmod(0o777)
    shutil.rmtree(root)


def test_a_file_that_may_not_be_read_is_named(shared: Path) -> None:
    path = shared / "data" / "content" / "tones" / "good.wav"
    path.chmod(0)
    with powerless(), pytest.raises(DatasetError, match=r"good\.wav cannot be opened \(Permission"):
        load_dataset(str(shared / "data"))


def test_a_card_that_may_not_be_read_is_named(shared: Path) -> None:
    (shared / "battery.toml").chmod(0)
    with powerless(), pytest.raises(ConfigError, match=r"battery\.toml cannot be read.*Permission"):
        prepare(request(shared))


@pytest.mark.parametrize(
    ("locked", "message"),
    [
        (".", r"run cannot be written \(Permission denied\); .*--out"),
        ("run", r"run cannot be written \(Permission denied\); .*--out"),
        ("run/audio", r"audio cannot be written \(Permission denied\); .*--out"),
        ("cache", r"cache cannot be written \(Permission denied\); .*BENCH_CACHE"),
    ],
)
def test_a_folder_that_may_not_be_written_is_named_before_the_work(
    shared: Path, locked: str, message: str
) -> None:
    for name in ("run/audio", "run/logs", "cache"):
        (shared / name).mkdir(parents=True, exist_ok=locked != ".")
    if locked == ".":
        shutil.rmtree(shared / "run")
    for path in (shared, *(p for p in shared.rglob("*") if p.is_dir())):
        path.chmod(0o777)
    (shared / locked).chmod(0o555)
    words = ["run", "--suite", str(shared / "battery.toml"), "--out", str(shared / "run")]
    with powerless(), pytest.raises(BenchError, match=message):
        cli.main([*words, "--device", "cpu"], standalone_mode=False)
    assert not list(shared.glob("run/*.json*"))


def test_a_run_folder_that_cannot_exist_is_named(place: Path) -> None:
    words = ["run", "--suite", str(place / "battery.toml"), "--out", "/proc/nowhere/run"]
    with pytest.raises(ConfigError, match=r"/proc/nowhere.* cannot be written .*--out"):
        cli.main([*words, "--device", "cpu"], standalone_mode=False)
