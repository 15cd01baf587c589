"""MPEG-4 and AAC files, which libsndfile cannot read: decoded by the program ffmpeg where it is.

ffmpeg reads hundreds of formats, some of which name other files or addresses. It is therefore told
which of two formats the file is, by its first bytes, opens nothing but that file, and has a limit
on its time and on what it writes.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from bench.errors import DatasetError
from bench.outside.wording import one_line

SUFFIXES = (".m4a", ".m4b", ".mp4", ".aac")
LONGEST_S = 300.0  # an hour of music takes seconds
MOST_BYTES = (1 << 29) + (1 << 20)  # of the WAV: more is not read at once anyway
_SYNC, _SYNC_MASK = 0xFFF0, 0xFFF6  # how a frame of AAC begins, whatever its version


def is_there() -> bool:
    """Whether the program is on the PATH."""
    return shutil.which("ffmpeg") is not None


def decoded(path: Path) -> Path:
    """A float WAV of the first sound in a file; it is decoded once, and gone when Python ends.

    Args:
        path: A file with one of `SUFFIXES`.

    Raises:
        DatasetError: The program is not there, or the file cannot be decoded or is too long.
    """
    stat = path.stat()
    return _decoded(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _decoded(path: Path, mtime_ns: int, size: int) -> Path:
    del mtime_ns, size  # only keys of the cache: a changed file is decoded again
    program = shutil.which("ffmpeg")
    if program is None:
        raise DatasetError(
            f"{path} is MPEG-4 or AAC, which takes the program ffmpeg, and there is none on the "
            "PATH. Install it, or convert the file to WAV or FLAC elsewhere."
        )
    target = Path(_folder().name) / f"{secrets.token_hex(8)}.wav"
    source = ["-protocol_whitelist", "file", "-f", _format(path), "-i", f"file:{path.resolve()}"]
    form = ["-map", "0:a:0", "-c:a", "pcm_f32le", "-fs", str(MOST_BYTES), "-f", "wav", "-y"]
    command = [program, "-nostdin", "-v", "error", "-xerror", *source, *form, f"file:{target}"]
    try:
        done = subprocess.run(  # noqa: S603 - a program of the user's own, with words of ours
            command, capture_output=True, check=False, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired as error:
        raise _refused(path, f"ffmpeg took more than {LONGEST_S:g} s") from error
    if done.returncode:
        raise _refused(path, f"ffmpeg: {one_line(done.stderr.decode(errors='replace'))}")
    if target.stat().st_size >= MOST_BYTES:
        raise _refused(path, f"it is decoded to more than {MOST_BYTES} bytes")
    return target


def _refused(path: Path, reason: str) -> DatasetError:
    return DatasetError(
        f"{path} cannot be decoded ({reason}). Convert it to WAV or FLAC, or leave it out."
    )


def _format(path: Path) -> str:
    """The name of the format for ffmpeg, by the first bytes of the file."""
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:] == b"ftyp":
        return "mov"
    if int.from_bytes(head[:2], "big") & _SYNC_MASK == _SYNC:
        return "aac"
    raise _refused(path, "it is neither MPEG-4 nor AAC by its first bytes")


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="bench-decoded-")
