"""The reference values of the metrics: a row for each, the sounds, and that they are given here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.api import Json, Metric, Output, Profile, Score
from bench.cache import Cache
from bench.doctor.reference import (
    TABLE,
    Row,
    compare,
    nothing_remembered,
    outputs,
    read_table,
    sounds,
)
from bench.plugins.catalog import metrics
from bench.plugins.opening import open_metric
from metrics.clap import preprocess
from metrics.level import levelled
from metrics.pitch.contours import CLEAR, VOICED, open_contours
from metrics.pitch.note_maps import (
    FOLDER,
    MODEL,
    SAMPLE_RATE,
    THRESHOLD,
    open_session,
    posteriors,
)

sys.path.insert(0, str(Path(__file__).parent))

from reference_values import PITCH_LAYERS, PROFILES, Tolerance, forget, tolerance_of

ROWS = read_table()
HERE = [key for key, row in ROWS.items() if not row.not_here]


def opened(name: str, profile: Profile) -> Metric:
    metric = open_metric(metrics()[name], Path(os.devnull))
    metric.load(profile, "cpu")
    return metric


@pytest.fixture(scope="module", autouse=True)
def fresh() -> Iterator[None]:
    """Embeddings are computed here, not read from a cache."""
    forget()
    with nothing_remembered():
        yield
    forget()


def test_every_metric_has_a_row_for_each_profile() -> None:
    """A new metric fails here until its row is written (`reference_values.py`)."""
    assert set(ROWS) == {(name, profile) for name in metrics() for profile in PROFILES}
    assert all(bool(row.not_here) != bool(row.scores) for row in ROWS.values())


def test_what_needs_nothing_from_elsewhere_has_scores() -> None:
    offline = {
        name
        for name, entry in metrics().items()
        if entry.environment is None and not name.endswith("@music")
    }
    assert {name for name, profile in HERE if profile == "mini"} == offline
    assert all(len(ROWS[key].scores) == len(outputs()) for key in HERE)


def test_the_sounds_are_those_of_the_table() -> None:
    stored = json.loads(TABLE.read_text(encoding="utf-8"))["sounds"]
    assert {name: audio.digest for name, audio in sounds().items()} == stored


def test_the_sounds_are_made_as_they_are_described() -> None:
    """The same samples one by one, in Python's own integers."""

    def triangle(n: int, period: int) -> int:
        return abs((n % period) * 32768 // period - 16384) - 8192

    def decay(n: int, length: int) -> int:
        return (length - n % length) * 256 // length

    def rain(n: int) -> int:
        bits = (n + 1) * 2654435761 % 2**32
        bits = (bits ^ bits >> 16) * 2246822507 % 2**32
        bits = (bits ^ bits >> 13) * 3266489909 % 2**32
        return ((bits ^ bits >> 16) % 32768 - 16384) * decay(n, 4000) >> 8

    def melody(n: int, periods: tuple[int, ...] = (122, 109, 97, 91, 81, 122)) -> int:
        period = periods[n // 16000]
        if not period:
            return 0
        pulse = 8192 if n % period < period / 2 else -8192
        octave = 4096 if n % period * 4 // period in (0, 2) else -4096
        return (pulse + octave) * (64 + decay(n, 16000) // 2) >> 8

    places = [*range(300), *range(15_990, 16_300), *range(31_900, 32_300), *range(95_700, 96_000)]
    wanted = {
        "chord": [
            sum(triangle(n, p) for p in (145, 115, 97)) * decay(n, 16000) >> 8 for n in places
        ],
        "melody": [melody(n) for n in places],
        "rain": [rain(n) for n in places],
        "varied": [melody(n, (122, 102, 0, 91, 64, 0)) for n in places],
        "lowered": [melody(n, (244, 218, 194, 182, 162, 244)) for n in places],
    }
    for name, audio in sounds().items():
        assert audio.sample_rate == 32_000
        assert audio.waveform.shape == (1, 96_000)
        assert (audio.waveform[0, places] * 32_768).tolist() == wanted[name], name


@pytest.mark.parametrize(("name", "profile"), HERE)
def test_a_metric_gives_its_reference_values_here(name: str, profile: Profile) -> None:
    verdict = compare(ROWS[name, profile], opened(name, profile))
    assert verdict.fault == ""


@pytest.mark.parametrize(("name", "profile"), HERE)
def test_tolerances_are_derived_from_what_is_computed(name: str, profile: Profile) -> None:
    cells = json.loads(TABLE.read_text(encoding="utf-8"))["metrics"][name][profile]["tolerance"]
    derived = tolerance_of(opened(name, profile))
    value = cells.pop("value")
    assert Tolerance(**cells) == derived
    assert value == pytest.approx(derived.value, rel=1e-12)


@pytest.mark.parametrize(("name", "profile"), HERE)
def test_a_tolerance_is_small_beside_what_the_sounds_differ_by(name: str, profile: Profile) -> None:
    """Otherwise a metric could pass that hears nothing."""
    row = ROWS[name, profile]
    raws = np.unique([score[1] for score in row.scores if score is not None])
    assert len(raws) > 1
    assert np.median(np.diff(raws)) > 20 * row.tolerance


def test_no_part_of_a_count_lies_at_a_threshold() -> None:
    """So that rounding moves at most one, on whichever machine."""
    session, near = open_session(FOLDER / MODEL), Tolerance("float32", *PITCH_LAYERS, None).rounding
    assert near < 1e-4
    with nothing_remembered():
        hearing = open_contours(Cache.default())
        for name, audio in sounds().items():
            notes = posteriors(session, levelled(audio, SAMPLE_RATE))
            confidence = hearing.of(audio)[1]
            away = [abs(notes - THRESHOLD), abs(confidence - VOICED), abs(confidence - CLEAR)]
            assert min(float(distance.min()) for distance in away) > near, name


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("place", [0, 2])
def test_a_score_beyond_the_tolerance_is_a_fault(place: int, side: int) -> None:
    row, metric = ROWS["chroma", "mini"], opened("chroma", "mini")
    given = list(row.scores)
    value, raw = given[place] or (0.0, 0.0)
    moved = raw + side * 2 * row.tolerance
    given[place] = (value, moved)
    verdict = compare(replace(row, scores=tuple(given)), metric)
    assert f"scores {raw:.6f}, not {moved:.6f} within 1.1e-05" in verdict.fault
    assert verdict.fault.startswith(("chord", "rain")[place > 0])


def test_another_preparation_of_the_sound_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a decibel of level, and 8 bits in place of 16."""
    row = ROWS["cp", "mini"]
    for name, other in (("LEVEL_DBFS", -22.5), ("_INT16_SCALE", 127.0)):
        with monkeypatch.context() as patch, nothing_remembered():
            patch.setattr(preprocess, name, other)
            forget()
            metric = opened("cp", "mini")
            same = Row("", metric.fingerprint(), row.scores, row.tolerance)
            assert "within 2.0e-04" in compare(same, metric).fault, name
    forget()


def test_another_fingerprint_is_named_and_other_libraries_are_an_aside() -> None:
    row, metric = ROWS["chroma", "mini"], opened("chroma", "mini")
    there = dict(row.fingerprint or {})
    verdict = compare(replace(row, fingerprint={**there, "n_fft": 4096}), metric)
    assert verdict.fault == "another metric than the table's: n_fft is 8192, not 4096"
    old = {**there, "libraries": {"librosa": "0.1", "soxr": "0.1", "numpy": "1.0"}}
    verdict = compare(replace(row, fingerprint=old), metric)
    assert verdict.fault == ""
    assert len(verdict.libraries) == 3
    assert verdict.libraries[0].startswith("librosa ")


class Textless(Metric):
    """A metric whose style has lost its text."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def load(self, profile: Profile, device: str) -> None:
        """It is loaded."""

    def fingerprint(self) -> Mapping[str, Json]:
        return self._metric.fingerprint()

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        textless = [replace(one, style=replace(one.style, text=None)) for one in outputs]
        return self._metric.score(textless)


def test_an_output_without_a_number_is_a_fault() -> None:
    metric = Textless(opened("sf.text", "mini"))
    assert compare(ROWS["sf.text", "mini"], metric).fault.startswith("chord: unsupported (")
