"""Audio is decoded until it ends, whatever length its header states, and within limits."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import DatasetError
from bench.audio import MOST_UNPACKED, MOST_VALUES, SoundForm, measure, read_audio, require_length
from bench.data.clips import inspect
from bench.outside import mp3

RATE = 16_000
MP3_RATE = 44_100
LAYER_III_FRAME = 1152
FLAC_COUNT_BITS = 36


def noise(duration_s: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(duration_s * rate))


def encoded(samples: np.ndarray, rate: int, container: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def mp3_of(duration_s: float, seed: int = 0, rate: int = MP3_RATE) -> bytes:
    return encoded(noise(duration_s, rate, seed), rate, "MP3", "MPEG_LAYER_III")


def flac_claiming(count: int, samples: np.ndarray | None = None) -> bytes:
    """A FLAC of two seconds whose header states another number of samples (RFC 9639, 8.2)."""
    given = noise(2.0) if samples is None else samples
    data = bytearray(encoded(given, RATE, "FLAC", "PCM_16"))
    before = int.from_bytes(data[18:26], "big") >> FLAC_COUNT_BITS << FLAC_COUNT_BITS
    data[18:26] = (before | count).to_bytes(8, "big")
    return bytes(data)


def saved(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def alone(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float32")[0]


def frame_starts(data: bytes) -> list[int]:
    """Where frames of 44.1 kHz begin: each length by the formula of the standard."""
    kbit = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    starts, place = [], 0
    while place + 4 <= len(data):
        starts.append(place)
        padding = data[place + 2] >> 1 & 1
        place += 144_000 * kbit[data[place + 2] >> 4] // MP3_RATE + padding
    return starts


def test_an_mp3_without_its_first_frame_is_read_to_its_end(tmp_path: Path) -> None:
    data = mp3_of(13.0)
    whole = alone(data)
    path = saved(tmp_path, "a.mp3", data[frame_starts(data)[1] :])
    found = read_audio(path).waveform[0]
    assert abs(len(found) - len(whole)) <= 2 * LAYER_III_FRAME
    # Without it nothing says how much the encoder put before the sound.
    shifts = range(2 * LAYER_III_FRAME)
    part = slice(50_000, 60_000)
    best = min(shifts, key=lambda n: np.abs(whole[part] - found[50_000 + n : 60_000 + n]).max())
    last = slice(len(whole) - 20_000, len(whole) - 10_000)
    np.testing.assert_allclose(found[last.start + best : last.stop + best], whole[last], atol=1e-6)
    assert measure(path) == SoundForm(len(found), MP3_RATE, 1)


def test_two_joined_mp3_follow_each_other(tmp_path: Path) -> None:
    first, second = mp3_of(3.0), mp3_of(2.0, seed=1)
    found = read_audio(saved(tmp_path, "a.mp3", first + second))
    np.testing.assert_array_equal(found.waveform[0], np.concatenate([alone(first), alone(second)]))


def test_joined_mp3_with_tags_between_and_without_a_first_frame_are_read(tmp_path: Path) -> None:
    first, second = mp3_of(3.0), mp3_of(2.0, seed=1)
    tag = b"ID3\x04\0\0\0\0\x02\x01" + bytes(257)
    bare = second[frame_starts(second)[1] :]
    data = tag + first + b"TAG".ljust(128, b"x") + tag + bare + b"TAG".ljust(128, b"y")
    found = read_audio(saved(tmp_path, "a.mp3", data))
    assert abs(found.duration_s - 5.0) < 3 * LAYER_III_FRAME / MP3_RATE
    np.testing.assert_array_equal(found.waveform[0, : 3 * MP3_RATE], alone(first))


def test_a_part_of_a_joined_mp3_is_the_slice_of_the_whole(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.mp3", mp3_of(3.0) + mp3_of(2.0, seed=1))
    part, whole = read_audio(path, 2.5, 1.0).waveform, read_audio(path).waveform
    np.testing.assert_array_equal(part, whole[:, 110_250:154_350])


# One frame may be lacking: some encoders count the one that holds the number.
@pytest.mark.parametrize("frames", [2, 7, 40])
def test_an_mp3_that_lacks_frames_it_promises_is_refused(tmp_path: Path, frames: int) -> None:
    data = mp3_of(2.0)
    with pytest.raises(DatasetError, match=r"a\.mp3 breaks off: it has \d+ of \d+ frames"):
        measure(saved(tmp_path, "a.mp3", data[: frame_starts(data)[-frames]]))


def test_an_mp3_that_ends_within_a_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"the last of \d+ frames is incomplete"):
        measure(saved(tmp_path, "a.mp3", mp3_of(2.0)[:-1]))


def test_mp3_of_unlike_rates_are_not_joined(tmp_path: Path) -> None:
    data = mp3_of(2.0) + mp3_of(2.0, rate=22_050)
    with pytest.raises(DatasetError, match=r"joins streams of 44100 Hz .* 22050 Hz"):
        measure(saved(tmp_path, "a.mp3", data))


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 24_000, 32_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_of_every_kind_are_counted(tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.stack([noise(1.5, rate, seed) for seed in range(channels)], 1)
    data = encoded(samples, rate, "MP3", "MPEG_LAYER_III")
    assert measure(saved(tmp_path, "a.mp3", data)) == SoundForm(len(samples), rate, channels)
    first = mp3.runs(data)[0].data
    length = next(n for n in range(4, len(data)) if data[n : n + 2] == data[:2])
    bare = read_audio(saved(tmp_path, "b.mp3", first[length:]))
    assert abs(bare.num_samples - len(samples)) < 3 * LAYER_III_FRAME


@pytest.mark.parametrize(
    "data",
    [b"\xff" * 100_000, b"\xff\xfb\x90\xc4" * 100_000, b"ID3", b"ID3\x03\0\0" + b"\x7f" * 4],
)
def test_what_only_looks_like_an_mp3_is_refused_at_once(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DatasetError, match=r"a\.mp3 cannot be decoded .*Convert"):
        measure(saved(tmp_path, "a.mp3", data))


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_streams_that_follow_in_an_ogg_are_all_read(tmp_path: Path, subtype: str) -> None:
    first, second = (encoded(noise(1 + n, seed=n), RATE, "OGG", subtype) for n in range(2))
    found = read_audio(saved(tmp_path, "a.ogg", first + second))
    np.testing.assert_array_equal(found.waveform[0], np.concatenate([alone(first), alone(second)]))
    with pytest.raises(DatasetError, match="breaks off"):
        measure(saved(tmp_path, "b.ogg", first + second[: len(second) // 2]))


def test_an_ogg_without_its_last_page_is_refused(tmp_path: Path) -> None:
    data = encoded(noise(4.0), RATE, "OGG", "VORBIS")
    assert data.count(b"OggS") > 3
    path = saved(tmp_path, "a.ogg", data[: data.rfind(b"OggS")])
    with pytest.raises(DatasetError, match=r"a\.ogg breaks off: its last page is missing"):
        measure(path)


@pytest.mark.parametrize("count", [0, 1, RATE, 2 * RATE])
def test_a_flac_is_read_to_its_end_whatever_it_claims(tmp_path: Path, count: int) -> None:
    path = saved(tmp_path, "a.flac", flac_claiming(count))
    whole = alone(flac_claiming(2 * RATE))
    np.testing.assert_array_equal(read_audio(path).waveform[0], whole)
    assert inspect(path).duration_s == 2.0


@pytest.mark.parametrize("count", [2 * RATE + 1, 1 << 31, (1 << FLAC_COUNT_BITS) - 1])
def test_a_flac_that_claims_more_than_it_has_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(DatasetError, match=rf"a\.flac breaks off after 32000 of {count} samples"):
        inspect(saved(tmp_path, "a.flac", flac_claiming(count)))


def test_a_flac_of_68_billion_claimed_samples_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.flac", flac_claiming((1 << FLAC_COUNT_BITS) - 1))
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (2 << 30,) * 2)\n"
        "from bench.audio import read_audio\n"
        "from bench.errors import DatasetError\n"
        "try: read_audio(sys.argv[1])\n"
        "except DatasetError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert "breaks off after 32000 of 68719476735 samples" in done.stdout, done.stderr


@pytest.mark.slow
def test_half_an_hour_of_stereo_silence_is_refused_and_six_minutes_are_not(tmp_path: Path) -> None:
    long = saved(
        tmp_path, "a.flac", encoded(np.zeros((1800 * 44_100, 2), "i2"), 44_100, "FLAC", "PCM_16")
    )
    assert long.stat().st_size < 400_000
    with pytest.raises(DatasetError, match=rf"a\.flac unpacks to more than {MOST_UNPACKED} times"):
        inspect(long)
    honest = encoded(np.zeros(360 * 44_100, "i2"), 44_100, "FLAC", "PCM_16")
    assert inspect(saved(tmp_path, "b.flac", honest)).duration_s == 360.0


def test_what_is_taken_at_once_has_a_limit_that_knows_rate_and_channels() -> None:
    place = Path("a.wav")
    for rate, channels, most_s in [(44_100, 1, 3043), (44_100, 2, 1521), (192_000, 1, 699)]:
        form = SoundForm(1 << 40, rate, channels)
        require_length(place, form, (most_s - 1) * rate)
        with pytest.raises(DatasetError, match=r"a\.wav is to be read for .* --duration"):
            require_length(place, form, (most_s + 1) * rate)
    # A low rate is no way around it: it would be raised before anything else is done.
    slow = SoundForm(1 << 40, 1000, 1)
    with pytest.raises(DatasetError, match="at most 3043 s"):
        require_length(place, slow, 3100 * 1000)
    assert MOST_VALUES * 4 == 512 << 20


def test_a_long_wav_is_refused_whole_and_read_in_part(tmp_path: Path) -> None:
    data = bytearray(encoded(noise(1.0, 8000), 8000, "WAV", "PCM_U8"))
    length = 3600 * 8000
    data[40:44] = length.to_bytes(4, "little")
    data[4:8] = (length + 36).to_bytes(4, "little")
    path = saved(tmp_path, "a.wav", bytes(data[:44]))
    with path.open("rb+") as file:
        file.truncate(44 + length)
    with pytest.raises(DatasetError, match=r"a\.wav is to be read for 3600 s"):
        read_audio(path)
    assert inspect(path, 3000, 5.0).duration_s == 5.0
    assert read_audio(path, 3000, 5.0).num_samples == 40_000


@pytest.mark.parametrize("container", ["WAV", "AIFF"])
def test_joined_plain_files_are_not_read_as_the_first_alone(tmp_path: Path, container: str) -> None:
    data = encoded(noise(1.0), RATE, container, "PCM_16")
    path = saved(tmp_path, "a.wav", data + data)
    with pytest.raises(DatasetError, match=rf"ends at byte {len(data)}, and has {2 * len(data)};"):
        measure(path)


@pytest.mark.parametrize("promised", [0, 1000, 31_998])
def test_a_wav_whose_header_was_never_finished_is_refused(tmp_path: Path, promised: int) -> None:
    data = bytearray(encoded(noise(1.0), RATE, "WAV", "PCM_16"))
    data[40:44] = promised.to_bytes(4, "little")
    with pytest.raises(DatasetError, match="says that it ends at byte"):
        measure(saved(tmp_path, "a.wav", bytes(data)))


@pytest.mark.parametrize("tail", [b"", bytes(512), b"TAG".ljust(128, b"x"), b"id3 \x04\0\0\0abcd"])
def test_what_players_write_behind_a_wav_is_left_alone(tmp_path: Path, tail: bytes) -> None:
    data = encoded(noise(1.0), RATE, "WAV", "PCM_16")
    assert measure(saved(tmp_path, "a.wav", data + tail)).num_samples == RATE


def test_an_aiff_that_was_cut_is_refused(tmp_path: Path) -> None:
    data = encoded(noise(1.0), RATE, "AIFF", "PCM_16")
    with pytest.raises(DatasetError, match=rf"breaks off: .* should have {len(data)} or more"):
        measure(saved(tmp_path, "a.aiff", data[:-2]))


@pytest.mark.parametrize("rate", [1, 999, 800_000])
def test_a_rate_that_no_sound_has_is_refused(tmp_path: Path, rate: int) -> None:
    data = encoded(noise(1.0), rate, "WAV", "PCM_16")
    with pytest.raises(DatasetError, match=rf"states a rate of {rate} Hz; 1000 to 768000 Hz"):
        measure(saved(tmp_path, "a.wav", data))


@pytest.mark.parametrize("start_s", [float("nan"), float("inf"), 1e300])
def test_a_part_from_nowhere_is_refused(tmp_path: Path, start_s: float) -> None:
    path = saved(tmp_path, "a.wav", encoded(noise(1.0), RATE, "WAV", "PCM_16"))
    with pytest.raises(DatasetError, match=r"a\.wav gives .* at least 0\.5 s"):
        inspect(path, start_s)
