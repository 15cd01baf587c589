"""MPEG-4 and AAC: read by the program ffmpeg where it is there, and by nothing else."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import DatasetError
from bench.audio import measure, read_audio
from bench.data.folders import read_style, scan_style
from bench.outside import ffmpeg

RATE = 22_050
MPEG_4 = b"\0\0\0\x20ftypM4A " + bytes(24)
needs_ffmpeg = pytest.mark.skipif(not ffmpeg.is_there(), reason="needs the program ffmpeg")


def tone(seconds: float = 2.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of the same name that writes down its words and gives a known WAV, or obeys."""
    soundfile.write(tmp_path / "known.wav", tone(), RATE, subtype="FLOAT")
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, shutil, sys, time\n"
        f"home = pathlib.Path({str(tmp_path)!r})\n"
        "with (home / 'calls').open('a') as calls: print(*sys.argv[1:], file=calls)\n"
        "order = home / 'order'\n"
        "exec(order.read_text() if order.exists() else '')\n"
        "shutil.copy(home / 'known.wav', sys.argv[-1].removeprefix('file:'))\n",
        encoding="utf-8",
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    return tmp_path


def mpeg_4(folder: Path, name: str = "a.m4a", data: bytes = MPEG_4) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", ffmpeg.SUFFIXES)
def test_without_the_program_the_file_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = mpeg_4(tmp_path, f"a{suffix}")
    for read in (read_audio, measure):
        with pytest.raises(DatasetError, match=r"takes the program ffmpeg, .*Install it, or conv"):
            read(path)


def test_the_program_decodes_a_file_once_and_is_told_what_it_is(stand_in: Path) -> None:
    path = mpeg_4(stand_in)
    form, sound = measure(path), read_audio(path, 0.5, 1.0)
    assert (form.sample_rate, form.num_samples) == (RATE, 2 * RATE)
    assert sound.mono == pytest.approx(tone()[RATE // 2 : RATE // 2 + RATE].astype(np.float32))
    (call,) = (stand_in / "calls").read_text(encoding="utf-8").splitlines()
    assert f"-protocol_whitelist file -f mov -i file:{path} " in call
    assert f"-fs {ffmpeg.MOST_BYTES} " in call


def test_a_file_that_changed_is_decoded_again(stand_in: Path) -> None:
    path = mpeg_4(stand_in)
    measure(path)
    soundfile.write(stand_in / "known.wav", tone(1.0), RATE, subtype="FLOAT")
    mpeg_4(stand_in, data=MPEG_4 + b"\0")
    assert measure(path).num_samples == RATE


@pytest.mark.parametrize(
    "data", [b"#EXTM3U\nfile:///etc/passwd\n", b"concat:a|b", b"", b"\xff", b"RIFF\0\0\0\0WAVE"]
)
def test_what_only_pretends_never_reaches_the_program(stand_in: Path, data: bytes) -> None:
    with pytest.raises(DatasetError, match="neither MPEG-4 nor AAC by its first bytes"):
        read_audio(mpeg_4(stand_in, data=data))
    assert not (stand_in / "calls").exists()


@pytest.mark.parametrize(
    ("order", "limits", "message"),
    [
        ("sys.stderr.write('moov\\x1b atom'); sys.exit(1)", {}, r"ffmpeg: moov\\x1b atom\)"),
        ("time.sleep(60)", {"LONGEST_S": 0.2}, r"took more than 0\.2 s"),
        ("", {"MOST_BYTES": 1000}, "decoded to more than 1000 bytes"),
    ],
    ids=["fails", "hangs", "is endless"],
)
def test_what_the_program_cannot_do_is_said(
    stand_in: Path,
    monkeypatch: pytest.MonkeyPatch,
    order: str,
    limits: dict[str, float],
    message: str,
) -> None:
    (stand_in / "order").write_text(order, encoding="utf-8")
    for name, value in limits.items():
        monkeypatch.setattr(ffmpeg, name, value)
    with pytest.raises(DatasetError, match=message):
        read_audio(mpeg_4(stand_in))


def test_a_single_style_takes_such_clips_and_a_dataset_does_not(stand_in: Path) -> None:
    """What a data set holds must not depend on what is installed."""
    folder = stand_in / "data/style/bells"
    mpeg_4(folder, "b.m4a")
    soundfile.write(folder / "a.wav", tone(), RATE)
    assert [clip.id for clip in read_style(folder).clips] == ["a", "b"]
    assert [name for name, _ in scan_style(stand_in / "data", "bells")] == ["a"]


@needs_ffmpeg
@pytest.mark.parametrize("suffix", [".m4a", ".aac"])
def test_the_real_program_gives_the_sound_back(tmp_path: Path, suffix: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    path = tmp_path / f"a{suffix}"
    program = str(shutil.which("ffmpeg"))
    subprocess.run([program, "-v", "error", "-i", tmp_path / "a.wav", path], check=True)
    sound = read_audio(path)
    spectrum = np.abs(np.fft.rfft(sound.mono))
    peak_hz = spectrum.argmax() * RATE / sound.num_samples
    assert sound.sample_rate == RATE
    assert sound.duration_s == pytest.approx(2.0, abs=0.15)  # AAC frames before and behind
    assert peak_hz == pytest.approx(440, abs=2)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(DatasetError, match="cannot be decoded"):
        read_audio(path)
