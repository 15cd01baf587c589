"""The contract: what a class says by its brackets, and requests that stay as they are."""

from __future__ import annotations

import dataclasses
import math
import pickle
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.api import (
    HIGHEST_RATE_HZ,
    Audio,
    FitRequest,
    Metric,
    NoParameters,
    ParametersT,
    ProfileInfo,
    Style,
    StyleTransferMethod,
)


@dataclass(frozen=True, slots=True)
class Strength:
    """Parameters of the methods below."""

    strength: float = 0.5


class Shared(StyleTransferMethod[ParametersT]):
    """A base class that leaves its parameters open."""


class Direct(StyleTransferMethod[Strength]):
    """A method that names its parameters."""


class Indirect(Shared[Strength]):
    """A method that names them through another class."""


class Heir(Indirect):
    """A method that names nothing."""


def test_the_brackets_of_the_base_class_name_the_parameters() -> None:
    assert [kind.Parameters for kind in (Direct, Indirect, Heir)] == [Strength] * 3


def test_without_brackets_there_are_no_parameters() -> None:
    class Open(StyleTransferMethod[Any]):
        """A stand-in for any method."""

    assert Shared.Parameters is NoParameters
    assert Open.Parameters is NoParameters


@pytest.mark.parametrize("base", [Direct, Heir])
def test_other_parameters_than_those_in_the_brackets_are_refused(base: type) -> None:
    with pytest.raises(TypeError, match=r"Torn sets Parameters to .*NoParameters.*but is a .*Str"):
        type("Torn", (base,), {"Parameters": NoParameters})


def test_what_a_plug_in_does_not_declare_has_a_default() -> None:
    for kind in (Direct, Metric):
        assert (kind.INFO, kind.ENVIRONMENT) == (None, None)
        assert kind.describe("mini") == ProfileInfo()
    assert Direct.family is None


def test_a_request_is_frozen_and_can_be_sent_to_another_process() -> None:
    request = FitRequest(Style("bells", ()), Strength(), seed=1)
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own bytes
    assert not hasattr(request, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError, match="seed"):
        request.seed = 2  # type: ignore[misc]  # refused, which is the point


SOUND = np.zeros((1, 4), np.float32)


@pytest.mark.parametrize(
    "rate",
    [
        *(44100, 44100.0, np.int64(44100), np.uint16(44100), np.float32(44100), np.float64(44100)),
        *(Fraction(44100), Fraction(88200, 2), Decimal(44100), Decimal("4.41e4")),
    ],
)
def test_a_whole_rate_of_any_type_becomes_a_plain_number(rate: Any) -> None:  # noqa: ANN401 - any type
    audio = Audio(SOUND, rate)
    assert (type(audio.sample_rate), audio.sample_rate) == (int, 44100)
    assert audio.digest == Audio(SOUND, 44100).digest
    assert type(pickle.loads(pickle.dumps(audio)).sample_rate) is int  # noqa: S301 - our own bytes


@pytest.mark.parametrize("rate", [1, HIGHEST_RATE_HZ, np.int8(127), True + 0])
def test_the_ends_of_the_range_are_rates(rate: int) -> None:
    assert Audio(SOUND, rate).sample_rate == int(rate)


@pytest.mark.parametrize(
    "rate",
    [
        *(44100.5, math.nan, math.inf, -math.inf, "44100", b"44100", None, True, np.bool_(1)),
        *(0, -1, 0.0, -44100.0, 0.5, HIGHEST_RATE_HZ + 1, 2**70, 10**5000, 1e300, 44100 + 0j),
        *(Fraction(1, 3), Decimal("NaN"), Decimal("sNaN"), Decimal("1e999999"), Decimal("0.1")),
        *([44100], np.array([44100]), np.array(44100), object(), np.float32("nan")),
    ],
    ids=lambda rate: type(rate).__name__,
)
def test_other_rates_are_refused_by_name(rate: Any) -> None:  # noqa: ANN401 - any type
    with pytest.raises(ValueError, match=r"sample_rate is .*; it must be a whole number"):
        Audio(SOUND, rate)


def test_the_refusal_of_a_rate_says_value_rule_and_way_out() -> None:
    with pytest.raises(ValueError, match="sample_rate is") as refused:
        Audio(SOUND, "44100")  # type: ignore[arg-type]  # refused, which is the point
    assert str(refused.value) == (
        "sample_rate is '44100'; it must be a whole number of Hz from 1 to 2147483647. Give "
        "round(sample_rate), or int(...) of a text."
    )


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        ([[0.0]], "waveform is a list; it must be a numpy array"),
        (None, "waveform is a NoneType"),
        (memoryview(SOUND), "waveform is a memoryview"),
        (np.float32(0), "waveform is a float32; it must be a numpy array"),
        (np.zeros(4, np.float32), r"waveform is float32 with shape \(4,\)"),
        (np.zeros((1, 1, 4), np.float32), r"with shape \(1, 1, 4\)"),
        (np.zeros((1, 4)), "waveform is float64 with shape"),
        (np.zeros((1, 4), np.int16), "waveform is int16"),
        (np.zeros((1, 4), ">f4"), "waveform is >f4 with shape"),
        (np.zeros((1, 4), object), "waveform is object"),
        (np.ma.masked_array(SOUND, mask=True), "waveform is a masked array; what is masked"),
        (np.ma.masked_array(SOUND), "waveform is a masked array"),
    ],
)
def test_what_is_no_waveform_is_refused_by_name(waveform: Any, words: str) -> None:  # noqa: ANN401 - any
    with pytest.raises(ValueError, match=words):
        Audio(waveform, 8000)


def test_arrays_of_other_layouts_are_the_same_sound(tmp_path: Path) -> None:
    sound = np.arange(8, dtype=np.float32).reshape(2, 4)
    mapped = np.memmap(tmp_path / "sound", np.float32, "w+", shape=(2, 4))
    mapped[:] = sound
    layouts = [
        np.asfortranarray(sound), sound.repeat(2, axis=1)[:, ::2], mapped,
        sound[::-1][::-1],
    ]  # fmt: skip
    for layout in layouts:
        audio = Audio(layout, 8000)
        assert type(audio.waveform) is np.ndarray
        assert audio.digest == Audio(sound, 8000).digest
        assert not audio.waveform.flags.writeable
