"""MP3 files by their frames, so that no length that one states has to be believed.

An MP3 is a row of frames, each with a header of four bytes that gives its length. A first frame
without sound ("Xing", "Info") may say how many follow and what to cut from both ends. A decoder
believes it, or guesses from the first frame's bit rate where it is missing. Here the frames are
counted, and every run of frames gets a first frame that is right.

Source: ISO/IEC 11172-3 and 13818-3, section 2.4 (headers); the first frame as LAME writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_HEADER_BYTES = 4
_ID3_BYTES = 10  # the header of a tag before the sound
_OLD_TAG_BYTES = 128  # a tag behind the sound
_APE_BYTES = 32
_FRAMES_ARE_GIVEN = 1  # the flag in an information frame
_DELAY_SAMPLES = 2 * 4095 + 1152  # the most that both ends may lose, and one frame
# kbit/s by (first version of the standard, layer), for the indices 1 to 14.
_KILOBITS = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
_MONO = 3
_FIRST_VERSION, _LAYER_III = 3, 3  # their codes
_AMPLE_INDEX = 9  # a bit rate whose frame has room for the information
# Eleven bits that are set, then no reserved version, layer, bit rate or sample rate.
_SECOND = bytes(b for b in range(0xE0, 0x100) if b >> 3 & 3 != 1 and b & 6)
_THIRD = bytes(b for b in range(0x10, 0xF0) if b >> 2 & 3 in {0, 1, 2})
_WORD = b"\xff[" + re.escape(_SECOND) + b"][" + re.escape(_THIRD) + b"]."
_HEADER = re.compile(_WORD, re.DOTALL)
_BEGINNING = re.compile(_WORD + b"|ID3|TAG|APETAGEX", re.DOTALL)
_MOST_FALSE_STARTS = 10_000
MOST_FRAMES = 1 << 20  # seven hours


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame: where it begins, and what its header says. `kind` must stay within a stream."""

    start: int
    bytes: int
    kind: tuple[int, int, int, bool]  # version code, layer, rate in Hz, mono
    samples: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.start + self.bytes


@dataclass(frozen=True, slots=True)
class Run:
    """A run of frames that was encoded in one go, with a first frame that tells their number.

    Args:
        data: The bytes for the decoder.
        least_samples: It decodes to this many, per channel, or more.
    """

    data: bytes
    least_samples: int


class BrokenOffError(ValueError):
    """Frames are missing; the text says how many."""


def runs(data: bytes) -> list[Run]:
    """Divide an MP3 into the runs that were joined in it; one for a file as encoders write it.

    Args:
        data: The whole file; tags and other bytes between frames are left out.

    Raises:
        BrokenOffError: A frame is incomplete, or there are fewer than the file says.
        ValueError: There is no frame.

    Example:
        >>> runs(b"no sound")
        Traceback (most recent call last):
        ...
        ValueError: it has no MP3 frame
    """
    frames = list(_frames(data))
    if not frames:
        raise ValueError("it has no MP3 frame")
    if frames[-1].end > len(data):
        raise BrokenOffError(f"the last of {len(frames)} frames is incomplete")
    found = []
    while frames:
        taken = _first_run(data, frames)
        found.append(_run(data, frames[:taken]))
        frames = frames[taken:]
    return [run for run in found if run.data]


def _first_run(data: bytes, frames: Sequence[Frame]) -> int:
    """How many frames belong to the first run, with its information frame."""
    given = _stated(data, frames[0])
    for number, frame in enumerate(frames[1:], start=1):
        over = given and number > given
        if over or frame.kind != frames[0].kind or _information(data, frame) is not None:
            return _require_frames(number, given)
    return _require_frames(len(frames), given)


def _require_frames(number: int, given: int | None) -> int:
    # Some encoders count the frame with the information too.
    if given and number < given:
        raise BrokenOffError(f"it has {number - 1} of {given} frames")
    return number


def _run(data: bytes, frames: Sequence[Frame]) -> Run:
    known, first = _information(data, frames[0]), frames[0]
    sound = frames if known is None else frames[1:]
    if not sound:
        return Run(b"", 0)
    body = b"".join(data[frame.start : frame.end] for frame in sound)
    samples = len(sound) * first.samples
    if _stated(data, first) in {len(sound), len(sound) + 1}:
        head = data[first.start : first.end]
    else:
        head = _head(data, sound[0], len(sound)) if first.kind[1] == _LAYER_III else b""
    return Run(head + body, max(0, samples - _DELAY_SAMPLES))


def _head(data: bytes, frame: Frame, count: int) -> bytes:
    """A frame without sound that says how many frames follow, for a run that has none."""
    header = bytearray(data[frame.start : frame.start + _HEADER_BYTES])
    header[1] |= 1  # no checksum
    header[2] = (header[2] & 0x0C) | (_AMPLE_INDEX << 4)
    made = _parse(bytes(header), 0)
    if made is None:
        raise ValueError("an MP3 frame has a header that contradicts itself")
    told = b"Xing" + _FRAMES_ARE_GIVEN.to_bytes(4, "big") + count.to_bytes(4, "big")
    place = _HEADER_BYTES + _side_bytes(made)
    return (bytes(header) + bytes(place - _HEADER_BYTES) + told).ljust(made.bytes, b"\0")


def _side_bytes(frame: Frame) -> int:
    version, _, _, mono = frame.kind
    if version == _FIRST_VERSION:
        return 17 if mono else 32
    return 9 if mono else 17


def _information(data: bytes, frame: Frame) -> int | None:
    """Where the information of a frame without sound stands; None for a frame with sound."""
    if frame.kind[1] != _LAYER_III:
        return None
    place = frame.start + _HEADER_BYTES + _side_bytes(frame)
    if data[place : place + 4] in {b"Xing", b"Info"}:
        return place
    fraunhofer = frame.start + 36
    return fraunhofer if data[fraunhofer : fraunhofer + 4] == b"VBRI" else None


def _stated(data: bytes, frame: Frame) -> int | None:
    """How many frames follow, as an information frame says; None where none says so."""
    place = _information(data, frame)
    if place is None or data[place : place + 4] == b"VBRI":
        return None
    flags = int.from_bytes(data[place + 4 : place + 8], "big")
    return (
        int.from_bytes(data[place + 8 : place + 12], "big") if flags & _FRAMES_ARE_GIVEN else None
    )


def _frames(data: bytes) -> Iterator[Frame]:
    """All frames in their order; the last one may reach beyond the end."""
    place, false_starts = 0, 0
    former: Frame | None = None
    for _ in range(MOST_FRAMES):
        while (frame := _begins(data, place, former)) is None:
            place = _next(data, place)
            false_starts += 1
            if false_starts > _MOST_FALSE_STARTS:
                raise ValueError("most of it is no MP3 frame")
            if place >= len(data):
                return
        yield frame
        former, place = frame, frame.end
        if place >= len(data):
            return
    raise ValueError(f"it has more than {MOST_FRAMES} MP3 frames")


def _begins(data: bytes, place: int, former: Frame | None) -> Frame | None:
    """The frame that begins here, or None: bytes of a tag may look like a header."""
    frame = _parse(data, place)
    if frame is None:
        return None
    if former is not None and former.end == place and former.kind == frame.kind:
        return frame
    return frame if _continues(data, frame) else None


def _continues(data: bytes, frame: Frame) -> bool:
    """Whether two more frames of the same kind follow, or a tag, or the end."""
    kind = frame.kind
    for _ in range(2):
        after = _parse(data, frame.end)
        if after is None or after.kind != kind:
            return frame.end == len(data) or tag_bytes(data, frame.end) > 0
        frame = after
    return True


def _next(data: bytes, place: int) -> int:
    """Where a frame may begin next: behind a tag, or at the next bytes that look like a header."""
    if tag := tag_bytes(data, place):
        return place + tag
    found = _BEGINNING.search(data, place + 1)
    return found.start() if found else len(data)


def tag_bytes(data: bytes, start: int = 0) -> int:
    """How many bytes a tag has that begins here; 0 where none does."""
    head = data[start : start + _APE_BYTES]
    if head[:3] == b"ID3" and len(head) >= _ID3_BYTES and max(head[6:10]) < 0x80:  # noqa: PLR2004 - seven bits each
        return _ID3_BYTES + sum(byte << 7 * (3 - place) for place, byte in enumerate(head[6:10]))
    if head[:3] == b"TAG":
        return _OLD_TAG_BYTES
    if head[:8] == b"APETAGEX" and len(head) == _APE_BYTES:
        return _APE_BYTES + int.from_bytes(head[12:16], "little")
    return 0


def begins(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a frame."""
    return _HEADER.match(head) is not None


def _parse(data: bytes, place: int) -> Frame | None:
    """The frame whose header stands here; None where there is no valid one."""
    if _HEADER.match(data, place) is None:
        return None
    version, layer = data[place + 1] >> 3 & 3, 4 - (data[place + 1] >> 1 & 3)
    index, rate = data[place + 2] >> 4, data[place + 2] >> 2 & 3
    first = version == _FIRST_VERSION
    rate_hz, bits = _RATES_HZ[version][rate], 1000 * _KILOBITS[first, layer][index - 1]
    padding = data[place + 2] >> 1 & 1
    if layer == 1:
        size, samples = 4 * (12 * bits // rate_hz + padding), 384
    else:
        samples = 576 if layer == _LAYER_III and not first else 1152
        size = samples // 8 * bits // rate_hz + padding
    kind = (version, layer, rate_hz, data[place + 3] >> 6 == _MONO)
    return Frame(place, size, kind, samples)
