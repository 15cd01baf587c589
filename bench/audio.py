"""Reading, writing and reshaping sound.

**Conventions**: `Audio` is float32 (channel, sample) with the nominal range [-1, 1]; sample
rates are in Hz, times in seconds. Everything here is deterministic: the same input gives the same
samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Clip, ConfigError, DatasetError
from bench.files import replace_file
from bench.outside import ffmpeg
from bench.outside.containers import Stream, packed_streams, require_whole

if TYPE_CHECKING:
    import soundfile

BYTES_PER_SAMPLE = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
MOST_WAV_BYTES = 2**32 - 4096  # a WAV states its size in 32 bits, its head included
PCM_STEP = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23}
DEFAULT_SUBTYPE = {".flac": "PCM_16", ".wav": "FLOAT", ".ogg": "VORBIS", ".mp3": "MPEG_LAYER_III"}
READABLE = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc")
# Sound that is not read; it is named where it lies beside sound that is.
UNREADABLE = (
    *(".m4a", ".m4b", ".mp4", ".aac", ".ac3", ".alac", ".wma", ".ape", ".wv", ".mka", ".webm"),
    *(".mp2", ".amr", ".caf", ".au", ".snd", ".w64", ".mid", ".midi"),
)
FULL_SCALE = 1.0
BEYOND = "beyond full scale: an integer file would clip it"
USUAL_RATE = 44_100
LOWEST_RATE, HIGHEST_RATE = 1000, 768_000
# What is read at once: 512 MiB, which are 50 minutes at 44.1 kHz, or 25 of stereo.
MOST_VALUES = 1 << 27
# Sound unpacks to at most 300 times its size (Opus at its lowest rate), digital silence to
# thousands of times. Six minutes of silence are let through all the same.
MOST_UNPACKED = 1000
ALWAYS_VALUES = 1 << 24
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# libsndfile's Vorbis encoder ends the process above this rate, and with one very long block.
HIGHEST_OGG_RATE = 192_000
BLOCK_SAMPLES = 65_536


@dataclass(frozen=True, slots=True)
class SoundForm:
    """What a file holds: samples per channel, their rate in Hz, and channels."""

    num_samples: int
    sample_rate: int
    channels: int

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return self.num_samples / self.sample_rate


def read_audio(path: str | Path, start_s: float = 0.0, duration_s: float | None = None) -> Audio:
    """Read a WAV, AIFF, FLAC, OGG, Opus or MP3 file at its own rate, with all its channels.

    MPEG-4 and AAC are read too where the program ffmpeg is there.

    It is decoded until it ends, whatever length its header states; streams that were joined in one
    MP3 or OGG follow each other.

    Args:
        path: The file.
        start_s: Where to begin, in seconds.
        duration_s: How much to read, in seconds; None reads to the end. Less comes back if the
            file ends earlier.

    Raises:
        DatasetError: The file is missing, empty, cut short, too long or not audio, or holds NaN or
            infinity.
    """
    where = _to_decode(Path(path))
    require_whole(where)
    with decoding(where):
        streams = packed_streams(where)
        form = _first_form(where, streams)
        start = round(start_s * form.sample_rate)
        left = None if streams is not None else max(0, form.num_samples - start)
        wanted = left if duration_s is None else round(duration_s * form.sample_rate)
        if left is not None and wanted is not None:
            require_length(where, form, min(wanted, left))
        waveform = _gathered(where, form, _samples(where, streams, start), wanted)
    _require_samples(waveform, where)
    return Audio(waveform, form.sample_rate)


def measure(path: Path) -> SoundForm:
    """The samples, rate and channels of a file; a packed one is decoded to count its samples.

    Raises:
        DatasetError: As `read_audio`, NaN, infinity and length aside.
    """
    path = _to_decode(path)
    require_whole(path)
    with decoding(path):
        streams = packed_streams(path)
        form = _first_form(path, streams)
        if streams is None:
            return form
        count = sum(len(block) for block in _samples(path, streams, 0))
    return SoundForm(count, form.sample_rate, form.channels)


def _to_decode(path: Path) -> Path:
    """The file itself, or what ffmpeg makes of one that libsndfile cannot read."""
    return ffmpeg.decoded(path) if path.suffix.lower() in ffmpeg.SUFFIXES else path


def require_length(path: Path, form: SoundForm, num_samples: int) -> None:
    """Refuse to take more into memory than `MOST_VALUES`, as float32 at 44.1 kHz or more.

    Args:
        path: The file, for the message.
        form: Its rate and channels.
        num_samples: How many samples per channel are wanted.

    Raises:
        DatasetError: They are too many.
    """
    values_per_s = form.channels * max(form.sample_rate, USUAL_RATE)
    most_s = MOST_VALUES / values_per_s
    if num_samples > most_s * form.sample_rate:
        raise DatasetError(
            f"{path} is to be read for {num_samples / form.sample_rate:.6g} s or more at "
            f"{form.sample_rate} Hz with {form.channels} channels; at most {most_s:.0f} s of that "
            "can be taken at once. Take a part (--start and --duration), or cut the file."
        )


def _first_form(path: Path, streams: list[Stream] | None) -> SoundForm:
    """The form of a plain file, or that of the first stream, whose length is not to be believed."""
    source = path if streams is None else streams[0]
    with _opened(source) as file:
        form = SoundForm(file.frames, file.samplerate, file.channels)
    if not LOWEST_RATE <= form.sample_rate <= HIGHEST_RATE:
        raise DatasetError(
            f"{path} states a rate of {form.sample_rate} Hz; {LOWEST_RATE} to {HIGHEST_RATE} Hz "
            "can be read. Export it again."
        )
    return form


def _opened(source: Path | Stream) -> soundfile.SoundFile:
    import soundfile

    if isinstance(source, Path):
        return soundfile.SoundFile(str(source))

    class OneWay(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no annotations
        """A file that is only read onwards: its length, which seeking needs, is not known."""

        def seekable(self) -> bool:
            return False

    return OneWay(BytesIO(source.data))


def _samples(path: Path, streams: list[Stream] | None, start: int) -> Iterator[NDArray[np.float32]]:
    """The samples of a file from `start` on, in blocks of shape (sample, channel)."""
    if streams is None:
        with _opened(path) as file:
            file.seek(min(start, file.frames))
            yield from _blocks(path, file, file.frames - min(start, file.frames))
        return
    values, form = 0, _first_form(path, streams)
    most = max(ALWAYS_VALUES, MOST_UNPACKED * sum(len(one.data) for one in streams) // 4)
    for stream in streams:
        with _opened(stream) as file:
            _require_same_form(path, form, file)
            for block in _blocks(path, file, stream.least_samples):
                values += block.size
                if values > most:
                    raise DatasetError(
                        f"{path} unpacks to more than {MOST_UNPACKED} times its size; sound does "
                        "not. Leave it out, or cut it to the part that is wanted."
                    )
                yield block[max(0, start) :]
                start -= len(block)


def _require_same_form(path: Path, form: SoundForm, file: soundfile.SoundFile) -> None:
    if (file.samplerate, file.channels) != (form.sample_rate, form.channels):
        raise DatasetError(
            f"{path} joins streams of {form.sample_rate} Hz with {form.channels} channels and of "
            f"{file.samplerate} Hz with {file.channels}; all must be alike. Take them apart."
        )


def _blocks(path: Path, file: soundfile.SoundFile, least: int) -> Iterator[NDArray[np.float32]]:
    """All samples from here on; `least` of them must come."""
    size, count = max(1, BLOCK_SAMPLES // file.channels), 0
    while len(block := file.read(size, dtype="float32", always_2d=True)):
        count += len(block)
        yield block
    if count < least:
        raise DatasetError(
            f"{path} breaks off after {count} of {least} samples; audio must be complete. Copy the "
            "file again or remove it."
        )


def _gathered(
    path: Path, form: SoundForm, blocks: Iterable[NDArray[np.float32]], wanted: int | None
) -> NDArray[np.float32]:
    """At most `wanted` samples of some blocks, shape (channel, sample)."""
    taken: list[NDArray[np.float32]] = []
    count = 0
    for block in blocks:
        part = block if wanted is None else block[: wanted - count]
        count += len(part)
        taken.append(part)
        require_length(path, form, count)
        if count == wanted:
            break
    waveform = np.empty((form.channels, count), np.float32)
    place = 0
    for part in taken:
        waveform[:, place : place + len(part)] = part.T
        place += len(part)
    return waveform


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Turn the decoder's errors into a `DatasetError` that names the file."""
    import soundfile

    try:
        yield
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DatasetError(
            f"{path} cannot be decoded ({error}); audio is WAV, AIFF, FLAC, OGG, Opus or MP3. "
            "Convert it or leave it out."
        ) from error


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
        ValueError: An integer subtype would clip a sample, the suffix has no default subtype, or
            the sound is longer than a WAV can hold. Levels beyond full scale need a float WAV, see
            `unclipped_suffix`.
    """
    where = Path(path)
    chosen = subtype or DEFAULT_SUBTYPE.get(where.suffix.lower())
    if chosen is None:
        raise ValueError(
            f"{where} has the suffix {where.suffix!r}; a default exists for "
            f"{', '.join(DEFAULT_SUBTYPE)}. Use one of them."
        )
    _require_size(where, audio, chosen)
    if chosen in PCM_STEP and not fits_integer(audio):
        raise ValueError(
            f"{where}: peak {peak_words(peak_of(audio))} is beyond full scale; "
            f"{chosen} would clip it. Write a float .wav."
        )
    replace_file(where, _encoded(audio, where.suffix, chosen))


def _require_size(path: Path, audio: Audio, subtype: str) -> None:
    size = audio.waveform.size * BYTES_PER_SAMPLE.get(subtype, 0)
    if path.suffix.lower() == ".wav" and size > MOST_WAV_BYTES:
        raise ValueError(
            f"{path}: {audio.duration_s:.0f} s of {audio.waveform.shape[0]} channels are {size} "
            f"bytes; a WAV holds at most {MOST_WAV_BYTES}. Write a .flac, or cut it."
        )


def _encoded(audio: Audio, suffix: str, subtype: str) -> bytes:
    """The file's bytes, made in memory: libsndfile does not tell a full disk from other faults."""
    import soundfile

    container = {".aif": "AIFF"}.get(suffix.lower(), suffix[1:].upper())
    if (container, subtype) == ("WAV", "FLOAT"):
        return _float_wav(audio)
    channels, frames, buffer = audio.waveform.shape[0], audio.waveform.T, BytesIO()
    with soundfile.SoundFile(
        buffer, "w", audio.sample_rate, channels=channels, subtype=subtype, format=container
    ) as file:
        for start in range(0, audio.num_samples, BLOCK_SAMPLES):
            file.write(frames[start : start + BLOCK_SAMPLES])
    return buffer.getvalue()


def _float_wav(audio: Audio) -> bytes:
    """A float WAV of nothing but the sound: libsndfile adds a peak chunk that holds the time."""
    from scipy.io import wavfile

    buffer = BytesIO()
    frames = np.ascontiguousarray(audio.waveform.T, dtype="<f4")
    wavfile.write(buffer, audio.sample_rate, frames)
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
    finite = bool(np.isfinite(audio.waveform).all())
    return finite and not is_beyond_full_scale(peak_of(audio))


def peak_of(audio: Audio) -> float:
    """The largest magnitude of a sample; 0 where there is none."""
    return float(np.abs(audio.waveform).max(initial=0.0))


def is_beyond_full_scale(peak: float) -> bool:
    """Whether a peak is one that integer files have no number for.

    Full scale is 1, exactly: samples are float32, which holds 1 exactly, so no tolerance is needed
    and the next number, 1.0000001, is beyond. (Integers end a step below 1; that step is what they
    round by anyway.)

    Example:
        >>> is_beyond_full_scale(1.0), is_beyond_full_scale(1.0000001)
        (False, True)
    """
    return peak > FULL_SCALE


def peak_words(peak: float) -> str:
    """A peak beyond full scale in words, with as many digits as show that it is.

    Example:
        >>> peak_words(1.3456), peak_words(1.0000001)
        ('1.35', '1.0000001')
    """
    short = f"{peak:.3g}"
    return short if is_beyond_full_scale(float(short)) else f"{peak:.8g}"


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
