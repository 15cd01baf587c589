"""What a listener is told of a transfer: sounds whose faults are put in by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio, ProfileInfo
from bench.run import remarks

RATE = 24_000


def sound(*parts: np.ndarray) -> Audio:
    return Audio(np.concatenate(parts).astype(np.float32)[None], RATE)


def tone(seconds: float, level_db: float = -12.0, hertz: float = 997.0) -> np.ndarray:
    """A sine whose root mean square has a level in dBFS."""
    times = np.arange(round(seconds * RATE)) / RATE
    return np.sqrt(2) * 10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * times)


PIECE = sound(tone(60))


def test_twenty_silent_seconds_of_sixty_are_named_with_their_place() -> None:
    output = sound(tone(31), np.zeros(20 * RATE), tone(9))
    assert remarks.silence_remark(output, PIECE) == (
        "the output is silent (below -60 dBFS) for 20.0 s where the content sounds: "
        "from 31.0 to 51.0 s"
    )
    assert not remarks.is_unusable(output)


def test_places_are_right_where_a_frame_has_no_whole_number_of_samples() -> None:
    """At 22,050 Hz a frame has 1102 samples for 1102.5."""
    rate, place = 22_050, 500
    content = np.full((1, 505 * rate), 0.1, np.float32)
    output = content.copy()
    output[:, place * rate : (place + 3) * rate] = 0
    said = remarks.silence_remark(Audio(output, rate), Audio(content, rate))
    assert said is not None
    assert said.endswith("from 500.0 to 503.0 s")


def test_of_several_silent_stretches_the_longest_is_named() -> None:
    output = sound(tone(10), tone(5, -61), tone(10), tone(15, -90), tone(20))
    said = remarks.silence_remark(output, PIECE)
    assert said is not None
    assert (
        "20.0 s where the content sounds: in 2 stretches, the longest from 25.0 to 40.0 s" in said
    )


@pytest.mark.parametrize(
    ("level_db", "content_db", "told"),
    [
        (-59.5, -12.0, False),
        (-60.5, -12.0, True),
        (-90.0, -47.5, True),
        (-90.0, -48.5, False),  # a content that is nearly silent itself may be so in the output
    ],
)
def test_a_stretch_is_lost_below_60_where_the_content_is_12_db_above(
    level_db: float, content_db: float, told: bool
) -> None:
    content = sound(tone(3), tone(2, content_db), tone(3))
    output = sound(tone(3), tone(2, level_db), tone(3))
    assert (remarks.silence_remark(output, content) is not None) == told


def test_a_rest_that_moved_is_no_lost_stretch() -> None:
    output = sound(tone(30), np.zeros(round(0.9 * RATE)), tone(29.1))
    assert remarks.silence_remark(output, PIECE) is None


def test_a_sound_in_one_channel_is_a_sound() -> None:
    output = Audio(np.stack([PIECE.mono, np.zeros_like(PIECE.mono)]), RATE)
    assert remarks.silence_remark(output, PIECE) is None
    assert not remarks.is_unusable(output)


@pytest.mark.parametrize(
    ("kept", "told"), [(6.4, True), (15.5, False), (26.0, False), (30.0, True)]
)
def test_a_drop_of_the_content_is_compared_with_that_of_the_output(kept: float, told: bool) -> None:
    content, output = (sound(tone(30), tone(30, -12 - drop)) for drop in (20.8, kept))
    wanted = (
        f"from its loud to its soft parts the content drops by 20.8 dB, the output by {kept:.1f} dB"
    )
    assert remarks.contour_remark(output, content) == (wanted if told else None)


def test_the_contour_is_that_of_the_content_and_not_a_range() -> None:
    """An output that falls where its content rises has the same range and another course."""
    content, output = sound(tone(5), tone(5, -24)), sound(tone(5, -24), tone(5))
    said = remarks.contour_remark(output, content)
    assert said is not None
    assert said.endswith("drops by 12.0 dB, the output by -12.0 dB")


@pytest.mark.parametrize("gain", [0.01, 1.0, 3.0])
def test_the_contour_does_not_depend_on_the_level(gain: float) -> None:
    content = sound(tone(4), tone(4, -24), tone(1, -13))
    output = Audio(np.float32(gain) * content.waveform, RATE)
    assert remarks.contour_remark(output, content) is None


def test_silence_of_the_content_is_no_soft_part() -> None:
    content = sound(tone(5), np.zeros(5 * RATE), tone(5))
    output = sound(tone(5), tone(5, -40), tone(5))
    assert remarks.contour_remark(output, content) is None


@pytest.mark.parametrize("top", [1000.0, 4000.0, 9000.0])
def test_the_reach_of_a_sum_of_tones_is_its_highest(top: float) -> None:
    content = sound(tone(2, -20, 300.0) + tone(2, -70, top) + tone(2, -90, 10_500.0))
    width = 3 * RATE / remarks.REACH_FRAME  # of a tone under the window, in bins
    assert remarks.reach_hz(content) == pytest.approx(top, abs=width)


@pytest.mark.parametrize(
    ("profile", "edge"),
    [
        (ProfileInfo(), None),
        (ProfileInfo(bandwidth_hz=10_000.0), None),
        (ProfileInfo(bandwidth_hz=8_000.0), "8.0 kHz"),
        (ProfileInfo(sample_rate=16_000), "8.0 kHz"),
        (ProfileInfo(sample_rate=16_000, bandwidth_hz=5_000.0), "5.0 kHz"),
        (ProfileInfo(sample_rate=8_000, bandwidth_hz=5_000.0), "4.0 kHz"),
    ],
)
def test_the_band_of_a_method_is_told_where_the_content_reaches_beyond(
    profile: ProfileInfo, edge: str | None
) -> None:
    said = remarks.band_remark(sound(tone(1, -20, 9000.0)), profile, "m")
    if edge is None:
        assert said is None
    else:
        assert said == f"m renders nothing above {edge}; the content reaches up to 9.0 kHz"


def test_the_small_models_say_so_in_the_mini_profile_alone() -> None:
    weights = ProfileInfo(weights=("methods/x",))
    assert "for testing" in str(remarks.mini_remark("mini", weights))
    assert remarks.mini_remark("full", weights) is None
    assert remarks.mini_remark("mini", ProfileInfo()) is None


@pytest.mark.parametrize(("level_db", "unusable"), [(-68.0, True), (-61.0, True), (-59.0, False)])
def test_what_lies_below_60_dbfs_cannot_be_used(level_db: float, unusable: bool) -> None:
    output = sound(tone(4, level_db))
    assert remarks.is_unusable(output) == unusable
    assert remarks.level_dbfs(output) == pytest.approx(level_db, abs=0.05)


def test_a_peak_is_told_beyond_full_scale_alone() -> None:
    assert remarks.peak_remark(sound(np.array([1.0, -1.0]))) is None
    assert str(remarks.peak_remark(sound(np.array([0.0, -1.25])))).startswith("its peak is 1.25,")
