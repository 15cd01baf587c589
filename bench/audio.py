"""Reading, writing and reshaping sound.

**Conventions**: `Audio` is float32 (channel, sample) with the nominal range [-1, 1]; sample
rates are in Hz, times in seconds. Everything here is deterministic: the same input gives the same
samples.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Clip, ConfigError, DatasetError
from bench.files import replace_file

if TYPE_CHECKING:
    import soundfile

PCM_STEP = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23}
DEFAULT_SUBTYPE = {".flac": "PCM_16", ".wav": "FLOAT", ".ogg": "VORBIS", ".mp3": "MPEG_LAYER_III"}
CHUNK_HEAD_BYTES = 8
MP3_SLACK_S = 0.1  # what an MP3's header says of its length includes the encoder's delay
OGG_PAGE_BYTES = 65_307  # the longest page
OGG_HEAD_BYTES = 27
STREAMED_LENGTH = 0xFFFFF000  # some writers leave a few bytes below the largest number
READABLE = (".wav", ".flac", ".ogg", ".mp3")
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# libsndfile's Vorbis encoder ends the process above this rate, and with one very long block.
HIGHEST_OGG_RATE = 192_000
BLOCK_SAMPLES = 65_536


def read_audio(path: str | Path, start_s: float = 0.0, duration_s: float | None = None) -> Audio:
    """Read a WAV, FLAC, OGG or MP3 file at its own rate, with all its channels.

    Args:
        path: The file.
        start_s: Where to begin, in seconds.
        duration_s: How much to read, in seconds; None reads to the end. Less comes back if the
            file ends earlier.

    Raises:
        DatasetError: The file is missing, empty, cut short or not audio, or holds NaN or infinity.
    """
    import soundfile

    where = Path(path)
    require_whole(where)
    with decoding(where), soundfile.SoundFile(str(where)) as file:
        waveform, rate = _read_frames(file, start_s, duration_s), file.samplerate
    _require_samples(waveform, where)
    return Audio(waveform, int(rate))


def _read_frames(file: soundfile.SoundFile, start_s: float, duration_s: float | None) -> np.ndarray:
    start = min(round(start_s * file.samplerate), file.frames)
    file.seek(start)
    left = file.frames - start
    wanted = left if duration_s is None else min(round(duration_s * file.samplerate), left)
    frames = file.read(wanted, dtype="float32", always_2d=True)
    slack = round(MP3_SLACK_S * file.samplerate) if file.format == "MP3" else 0
    if len(frames) < wanted - slack:
        raise DatasetError(
            f"{file.name} breaks off after {start + len(frames)} of {file.frames} samples; audio "
            "must be complete. Copy the file again or remove it."
        )
    return np.ascontiguousarray(frames.T)


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn the decoder's errors into a `DatasetError` that names the file."""
    import soundfile

    try:
        yield
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DatasetError(
            f"{path} cannot be decoded ({error}); audio is WAV, FLAC, OGG or MP3. Convert it or "
            "leave it out."
        ) from error


def require_whole(path: Path) -> None:
    """Check without a decoder that a file can be opened, is not empty, and was not cut short.

    Raises:
        DatasetError: It is missing, not a file, not readable or empty, or it is a WAV or OGG that
            ends earlier than it says.
    """
    if not path.exists():
        raise DatasetError(f"{path} does not exist; an audio file was expected. Check the path.")
    if not path.is_file():
        raise DatasetError(
            f"{path} is not a file; an audio file was expected. Remove or rename it."
        )
    size = path.stat().st_size
    if size == 0:
        raise DatasetError(
            f"{path} is empty (0 bytes); audio was expected. Copy the file again or remove it."
        )
    try:
        promised = _promised_bytes(path)
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be opened ({error.strerror}); its user must be allowed to read it. "
            "Change its permissions or remove it."
        ) from error
    if promised > size:
        raise DatasetError(
            f"{path} breaks off: it has {size} bytes and should have {promised} or more; audio "
            "must be complete. Copy the file again or remove it."
        )


def _promised_bytes(path: Path) -> int:
    """The least size that a WAV or OGG says it has, in bytes; 0 for other files.

    A decoder takes a file that was cut short for a shorter one.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            return _promised_by_wav(file)
        if head[:4] == b"OggS":
            return _promised_by_ogg(file)
    return 0


def _promised_by_ogg(file: BinaryIO) -> int:
    """The end of an OGG's last page; one byte more than the file has if that page is missing.

    A page is "OggS", a byte of version, one of flags (4: the last page), and from byte 26 on the
    number of its segments and the length of each.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - OGG_PAGE_BYTES))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < OGG_HEAD_BYTES or not page[5] & 4 or len(page) < OGG_HEAD_BYTES + page[26]:
        return size + 1
    segments = page[OGG_HEAD_BYTES : OGG_HEAD_BYTES + page[26]]
    return size - len(page) + OGG_HEAD_BYTES + len(segments) + sum(segments)


def _promised_by_wav(file: BinaryIO) -> int:
    """The end of a WAV's samples as its header says; 0 if the file was streamed.

    A RIFF file is a list of chunks, each a name of four bytes and a length of four; the samples are
    in the chunk "data". Programs that write to a pipe do not know the length beforehand and leave
    the largest number there.
    """
    while len(chunk := file.read(8)) == CHUNK_HEAD_BYTES:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            return 0 if length >= STREAMED_LENGTH else file.tell() + length
        file.seek(length + length % 2, os.SEEK_CUR)
    return 0


def _require_samples(waveform: np.ndarray, path: Path) -> None:
    if waveform.shape[1] == 0:
        raise DatasetError(
            f"{path} holds no samples there; at least one is needed. Check start_s or remove it."
        )
    if not np.isfinite(waveform).all():
        count = int((~np.isfinite(waveform)).sum())
        raise DatasetError(
            f"{path} holds {count} samples that are NaN or infinite; audio must be finite. Export "
            "it again."
        )


def write_audio(path: str | Path, audio: Audio, subtype: str | None = None) -> None:
    """Write an audio file, as a whole or not at all.

    Args:
        path: The file; its suffix picks the container: `.flac` (16-bit by default), `.wav`
            (32-bit float by default), `.ogg` (Vorbis) or `.mp3`. Other suffixes that libsndfile
            knows need `subtype`.
        audio: The sound to write.
        subtype: A libsndfile subtype, such as "PCM_24" or "FLOAT".

    Raises:
        ValueError: An integer subtype would clip a sample, or the suffix has no default subtype.
            Levels beyond full scale need a float WAV, see `unclipped_suffix`.
    """
    where = Path(path)
    chosen = subtype or DEFAULT_SUBTYPE.get(where.suffix.lower())
    if chosen is None:
        raise ValueError(
            f"{where} has the suffix {where.suffix!r}; a default exists for "
            f"{', '.join(DEFAULT_SUBTYPE)}. Use one of them."
        )
    if chosen in PCM_STEP and not fits_integer(audio):
        raise ValueError(
            f"{where}: peak {float(np.abs(audio.waveform).max()):.3f} is beyond full scale; "
            f"{chosen} would clip it. Write a float .wav."
        )
    replace_file(where, _encoded(audio, where.suffix, chosen))


def _encoded(audio: Audio, suffix: str, subtype: str) -> bytes:
    """The file's bytes, made in memory: libsndfile does not tell a full disk from other faults."""
    import soundfile

    container = {".aif": "AIFF"}.get(suffix.lower(), suffix[1:].upper())
    channels, frames, buffer = audio.waveform.shape[0], audio.waveform.T, BytesIO()
    with soundfile.SoundFile(
        buffer, "w", audio.sample_rate, channels=channels, subtype=subtype, format=container
    ) as file:
        for start in range(0, audio.num_samples, BLOCK_SAMPLES):
            file.write(frames[start : start + BLOCK_SAMPLES])
    return buffer.getvalue()


def require_format(path: Path, sample_rate: int) -> None:
    """Check, before any work, that `write_audio` can write this file at this rate (Hz).

    Raises:
        ConfigError: Files with that suffix cannot be written, or not at that rate.
    """
    suffix = path.suffix.lower()
    if suffix not in DEFAULT_SUBTYPE:
        raise ConfigError(
            f"output {path} has the suffix {suffix!r}; it must be one of "
            f"{', '.join(DEFAULT_SUBTYPE)}. Name it {path.with_suffix('.wav').name}."
        )
    lacks_rate = {
        ".mp3": sample_rate not in MP3_RATES,
        ".ogg": sample_rate > HIGHEST_OGG_RATE,
    }
    if lacks_rate.get(suffix, False):
        raise ConfigError(
            f"output {path}: {suffix} has no rate of {sample_rate} Hz, which is the content's. "
            f"Name it {path.with_suffix('.wav').name}."
        )


def fits_integer(audio: Audio) -> bool:
    """Whether an integer file keeps the level: every sample is finite and within [-1, 1]."""
    return bool(np.isfinite(audio.waveform).all() and (np.abs(audio.waveform) <= 1.0).all())


def unclipped_suffix(audio: Audio) -> str:
    """The suffix of a file that clips no sample: ".flac" below full scale, else (float) ".wav".

    A sample of exactly 1 is a step too large for the integers of a FLAC.
    """
    return ".flac" if bool((np.abs(audio.waveform) < 1.0).all()) else ".wav"


def resample(audio: Audio, sample_rate: int) -> Audio:
    """Resample each channel with soxr's high quality; the same object when the rate is right.

    The length is `round(num_samples * sample_rate / audio.sample_rate)`, whatever the resampler
    rounds to.
    """
    if audio.sample_rate == sample_rate:
        return audio
    converted = resample_waveform(audio.waveform.T, audio.sample_rate, sample_rate)
    samples = np.ascontiguousarray(converted.T)
    length = round(audio.num_samples * sample_rate / audio.sample_rate)
    return fit_length(Audio(samples, sample_rate), length)


def resample_waveform(
    waveform: NDArray[np.float32], original_rate: int, sample_rate: int
) -> NDArray[np.float32]:
    """Resample with soxr's high quality; the same array when the rates are equal.

    Args:
        waveform: Shape (sample,) or (sample, channel).
        original_rate: Its rate, Hz.
        sample_rate: The wanted rate, Hz.

    Returns:
        float32 of as many samples as the resampler rounds to; `resample` has an exact length.
    """
    if original_rate == sample_rate:
        return waveform
    import soxr

    converted = soxr.resample(waveform, original_rate, sample_rate, quality="HQ")
    return np.asarray(converted, np.float32)


def fit_length(audio: Audio, num_samples: int) -> Audio:
    """Cut the end, or append zeros, to exactly `num_samples` per channel."""
    if audio.num_samples == num_samples:
        return audio
    if audio.num_samples > num_samples:
        return Audio(audio.waveform[:, :num_samples].copy(), audio.sample_rate)
    missing = num_samples - audio.num_samples
    return Audio(np.pad(audio.waveform, ((0, 0), (0, missing))), audio.sample_rate)


def to_mono(audio: Audio) -> Audio:
    """The mean of the channels, shape (1, sample); the same object when it is mono already."""
    if audio.waveform.shape[0] == 1:
        return audio
    return Audio(audio.mono[None], audio.sample_rate)


def as_heard(clip: Clip, sample_rate: int | None) -> Clip:
    """A clip as a method receives it: mono, at the method's native rate.

    `bench.outputs.restore` is the way back, from an output to the content's own rate and length.

    Args:
        clip: As it is in the dataset.
        sample_rate: The native rate, Hz; None keeps the clip's own.
    """
    mono = to_mono(clip.audio)
    return replace(clip, audio=resample(mono, sample_rate) if sample_rate else mono)
