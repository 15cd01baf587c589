"""Reading, writing and reshaping sound."""

import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.io import wavfile

from bench.api import Audio, ConfigError, DatasetError
from bench.audio import (
    fit_length,
    read_audio,
    require_format,
    resample,
    to_mono,
    unclipped_suffix,
    write_audio,
)


def tone(sample_rate: int, duration_s: float = 1.0, channels: int = 1) -> Audio:
    times = np.arange(round(sample_rate * duration_s)) / sample_rate
    rows = [0.5 * np.sin(2 * np.pi * 440 * (1 + row) * times) for row in range(channels)]
    return Audio(np.stack(rows).astype(np.float32), sample_rate)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_float_wav_comes_back_bit_for_bit(tmp_path: Path, channels: int) -> None:
    audio = Audio(3.0 * tone(44100, channels=channels).waveform, 44100)
    write_audio(tmp_path / "a.wav", audio)
    assert read_audio(tmp_path / "a.wav").digest == audio.digest


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_float_wav_holds_nothing_but_the_sound(tmp_path: Path, channels: int) -> None:
    """No chunk with the time of writing: the same sound is the same file at any time."""
    audio = Audio(3.0 * tone(44100, channels=channels).waveform, 44100)
    write_audio(tmp_path / "a.wav", audio)
    time.sleep(1.1)  # such a time would be in seconds
    write_audio(tmp_path / "b.wav", audio)
    data = (tmp_path / "a.wav").read_bytes()
    assert data == (tmp_path / "b.wav").read_bytes()
    assert chunks(data) == ["fmt ", "fact", "data"]
    for samples in (soundfile.read(tmp_path / "a.wav", dtype="float32")[0], scipy_read(data)):
        np.testing.assert_array_equal(samples.reshape(-1, channels).T, audio.waveform)


def chunks(data: bytes) -> list[str]:
    """The names of the chunks of a RIFF file that fills its length."""
    assert (data[:4], int.from_bytes(data[4:8], "little")) == (b"RIFF", len(data) - 8)
    names, place = [], 12
    while place < len(data):
        names.append(data[place : place + 4].decode())
        place += 8 + int.from_bytes(data[place + 4 : place + 8], "little")
    return names


def scipy_read(data: bytes) -> np.ndarray:
    return np.asarray(wavfile.read(BytesIO(data))[1])


@pytest.mark.parametrize(("subtype", "most"), [("FLOAT", 2**30), ("PCM_16", 2**31)])
def test_what_is_too_long_for_a_wav_is_refused(tmp_path: Path, subtype: str, most: int) -> None:
    """A silence of many gigabytes, of which only one sample is in memory."""
    endless = Audio(np.broadcast_to(np.float32(0), (1, most)), 44100)
    with pytest.raises(ValueError, match=r"a WAV holds at most 4294963200\. Write a \.flac"):
        write_audio(tmp_path / "a.wav", endless, subtype)
    assert list(tmp_path.iterdir()) == []


def test_a_flac_comes_back_within_half_a_16_bit_step(tmp_path: Path) -> None:
    audio = tone(22050, channels=2)
    write_audio(tmp_path / "a.flac", audio)
    back = read_audio(tmp_path / "a.flac")
    assert back.sample_rate == 22050
    assert np.abs(back.waveform - audio.waveform).max() <= 2.0**-16 + 1e-9


def test_what_was_read_from_a_flac_is_written_without_loss(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", tone(16000))
    once = read_audio(tmp_path / "a.flac")
    write_audio(tmp_path / "b.flac", once)
    assert read_audio(tmp_path / "b.flac").digest == once.digest


def test_a_level_beyond_full_scale_is_never_clipped_silently(tmp_path: Path) -> None:
    loud = Audio(2.5 * tone(16000).waveform, 16000)
    with pytest.raises(ValueError, match=r"peak 1\.25 is beyond full scale"):
        write_audio(tmp_path / "a.flac", loud)
    assert unclipped_suffix(loud) == ".wav"
    assert unclipped_suffix(tone(16000)) == ".flac"


def test_full_scale_itself_is_beyond_the_integers_of_a_flac() -> None:
    assert unclipped_suffix(Audio(np.array([[0.5, 1.0]], np.float32), 8000)) == ".wav"
    assert unclipped_suffix(Audio(np.array([[0.5, -1.0]], np.float32), 8000)) == ".wav"


def test_a_part_of_a_file_is_the_slice_of_the_whole(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", tone(8000, 2.0))
    whole = read_audio(tmp_path / "a.wav").waveform
    part = read_audio(tmp_path / "a.wav", start_s=0.5, duration_s=0.25).waveform
    np.testing.assert_array_equal(part, whole[:, 4000:6000])


def test_a_part_that_ends_after_the_file_is_what_there_is(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", tone(8000, 1.0))
    assert read_audio(tmp_path / "a.wav", 0.5, 10.0).duration_s == 0.5


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_files_are_read(tmp_path: Path, suffix: str) -> None:
    audio = tone(44100)
    soundfile.write(tmp_path / f"a.{suffix}", audio.waveform.T, 44100)
    back = read_audio(tmp_path / f"a.{suffix}")
    assert back.sample_rate == 44100
    assert back.duration_s == pytest.approx(1.0, abs=0.1)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.wav does not exist"):
        read_audio(tmp_path / "gone.wav")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(DatasetError, match=r"a\.wav is empty \(0 bytes\)"):
        read_audio(tmp_path / "a.wav")


def test_a_file_that_is_no_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"this is text, not sound" * 10)
    with pytest.raises(DatasetError, match=r"a\.wav cannot be decoded"):
        read_audio(tmp_path / "a.wav")


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    waveform = np.zeros(8000, np.float32)
    waveform[:3] = np.nan
    soundfile.write(tmp_path / "a.wav", waveform, 8000, subtype="FLOAT")
    with pytest.raises(DatasetError, match="holds 3 samples that are NaN or infinite"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 22050), (24000, 44100), (48000, 32000)])
def test_a_resampled_sine_is_the_sine_of_the_new_rate(rate: int, new_rate: int) -> None:
    ours, theirs = resample(tone(rate, channels=2), new_rate), tone(new_rate, channels=2)
    assert ours.num_samples == theirs.num_samples
    inner = slice(new_rate // 10, -new_rate // 10)
    np.testing.assert_allclose(ours.waveform[:, inner], theirs.waveform[:, inner], atol=2e-3)


def test_resampling_to_the_same_rate_changes_nothing() -> None:
    audio = tone(22050)
    assert resample(audio, 22050) is audio


@pytest.mark.parametrize("num_samples", [1, 7919, 44101])
def test_the_resampled_length_is_the_rounded_ratio(num_samples: int) -> None:
    audio = Audio(np.zeros((1, num_samples), np.float32), 44100)
    assert resample(audio, 22050).num_samples == round(num_samples / 2)


def test_fit_length_cuts_or_appends_silence_at_the_end() -> None:
    audio = Audio(np.arange(4, dtype=np.float32)[None], 8000)
    np.testing.assert_array_equal(fit_length(audio, 6).waveform, [[0, 1, 2, 3, 0, 0]])
    np.testing.assert_array_equal(fit_length(audio, 2).waveform, [[0, 1]])
    assert fit_length(audio, 4) is audio


def test_mono_is_the_mean_of_the_channels() -> None:
    audio = Audio(np.array([[1.0, 0.0], [0.0, 0.5]], np.float32), 8000)
    np.testing.assert_array_equal(to_mono(audio).waveform, [[0.5, 0.25]])
    assert to_mono(to_mono(audio)).digest == to_mono(audio).digest


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_files_keep_rate_and_length(tmp_path: Path, suffix: str) -> None:
    audio = tone(22050)
    write_audio(tmp_path / f"a.{suffix}", audio)
    back = read_audio(tmp_path / f"a.{suffix}")
    assert (back.sample_rate, back.num_samples) == (audio.sample_rate, audio.num_samples)
    assert np.corrcoef(back.waveform[0], audio.waveform[0])[0, 1] > 0.99


def test_minutes_of_ogg_are_written(tmp_path: Path) -> None:
    """In one block the encoder's stack overflows and takes the process down."""
    minutes = Audio(np.zeros((1, 5_000_000), np.float32), 44100)
    write_audio(tmp_path / "a.ogg", minutes)
    assert soundfile.info(str(tmp_path / "a.ogg")).frames == minutes.num_samples


@pytest.mark.parametrize(
    ("name", "rate", "message"),
    [
        ("a.m4a", 44100, r"suffix '\.m4a'; it must be one of \.flac, .*Name it a\.wav"),
        ("a", 44100, r"suffix ''.*Name it a\.wav"),
        ("a.mp3", 96_000, r"\.mp3 has no rate of 96000 Hz.*Name it a\.wav"),
        ("a.OGG", 384_000, r"\.ogg has no rate of 384000 Hz"),
    ],
)
def test_what_cannot_be_written_is_known_beforehand(name: str, rate: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_format(Path(name), rate)


@pytest.mark.parametrize("name", ["a.wav", "a.FLAC", "a.ogg", "a.mp3"])
def test_what_passes_can_be_written(name: str, tmp_path: Path) -> None:
    require_format(Path(name), 48_000)
    write_audio(tmp_path / name, tone(48_000))
    assert read_audio(tmp_path / name).sample_rate == 48_000
