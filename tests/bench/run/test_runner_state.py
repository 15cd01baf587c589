"""What the runner concludes from the history of a cell, without running anything."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.api import Audio, ContentError, RecordError, UnsupportedError
from bench.failure import Failure, failure_of
from bench.outputs import restore
from bench.records.lock import locked
from bench.records.schema import CellRecord
from bench.run.keys import Identity, chunk_key, digest
from bench.run.runner import settle, suspects

MARK, OTHER = "1" * 32, "2" * 32
MARKS = {"a": MARK, "b": MARK}


def history(*statuses: str, identity: str | None = MARK) -> list[CellRecord]:
    facts = {"cell_id": "a", "identity": identity}
    return [CellRecord.model_validate({**facts, "status": status}) for status in statuses]


def test_one_open_start_is_nothing_and_two_are_suspect() -> None:
    assert suspects(history("started"), MARKS) == set()
    assert suspects(history("started", "started"), MARKS) == {"a"}
    assert suspects(history("started", "started", identity=None), MARKS) == {"a"}


@pytest.mark.parametrize("end", ["ok", "error", "cancelled", "crash"])
def test_an_ending_between_two_starts_clears_the_count(end: str) -> None:
    assert suspects(history("started", end, "started"), MARKS) == set()
    assert suspects(history("started", "started", end), MARKS) == set()


def test_what_another_identity_began_is_not_suspect() -> None:
    assert suspects(history("started", "started", identity=OTHER), MARKS) == set()


def test_retry_opens_failed_cells_but_not_finished_ones() -> None:
    seen = [*history("started", "error"), CellRecord(cell_id="b", status="ok", identity=MARK)]
    assert set(settle(seen, retry=False, marks=MARKS)) == {"a", "b"}
    assert set(settle(seen, retry=True, marks=MARKS)) == {"b"}


@pytest.mark.parametrize("status", ["ok", "error", "crash", "unsupported"])
@pytest.mark.parametrize("identity", [OTHER, None])
def test_a_cell_of_another_identity_is_open(status: str, identity: str | None) -> None:
    assert settle(history(status), retry=False, marks=MARKS)
    assert not settle(history(status, identity=identity), retry=False, marks=MARKS)
    again = [*history(status, identity=identity), *history("started", "ok")]
    assert settle(again, retry=False, marks=MARKS)["a"].status == "ok"


def test_an_identity_is_code_and_weights_and_no_device() -> None:
    base = Identity("tve", "1", "source", "mini", ("w",), "cpu")
    unlike = [
        replace(base, name="rti"),
        replace(base, version="2"),
        replace(base, source="changed"),
        replace(base, profile="full"),
        replace(base, weights=("v",)),
    ]
    assert len({base.mark, *(one.mark for one in unlike)}) == 6
    assert replace(base, device_type="cuda").mark == base.mark
    assert re.fullmatch("[0-9a-f]{32}", base.mark)


def test_a_folder_takes_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(RecordError, match="in use by another run"),
        locked(tmp_path),
    ):
        pass


def sound(num_samples: int, sample_rate: int = 16000, channels: int = 1) -> Audio:
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, num_samples))
    return Audio(waveform.astype(np.float32), sample_rate)


def test_an_output_gets_the_rate_and_the_exact_length_of_its_content() -> None:
    content = sound(44_111, 44_100, channels=2)
    heard = sound(16_004)
    restored = restore(sound(16_100), heard, content)
    assert isinstance(restored, Audio)
    assert restored.waveform.shape == (1, 44_111)
    assert restored.sample_rate == 44_100


def test_an_output_of_the_right_shape_is_untouched() -> None:
    content = sound(16_000)
    restored = restore(content, content, content)
    assert isinstance(restored, Audio)
    np.testing.assert_array_equal(restored.waveform, content.waveform)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (sound(16_900), "1.056 s, not 1.000 s"),
        (sound(16_000, 22_050), "22050 Hz, not 16000 Hz"),
        (sound(16_000, channels=2), "2 channels, not 1"),
        (Audio(np.full((1, 16_000), np.nan, np.float32), 16_000), "NaN or infinite samples"),
        (Audio(np.zeros((1, 0), np.float32), 16_000), "no samples"),
    ],
)
def test_a_broken_output_is_named(output: Audio, words: str) -> None:
    outcome = restore(output, sound(16_000), sound(16_000))
    assert isinstance(outcome, Failure)
    assert outcome.status == "invalid_output"
    assert words in outcome.reason


def test_faults_get_their_status() -> None:
    assert failure_of(UnsupportedError("text unknown to this model")).status == "unsupported"
    assert failure_of(MemoryError()).status == "oom"
    assert failure_of(ContentError("too long")).reason == "too long"
    assert failure_of(KeyError("x")).reason == "KeyError: 'x'"


def test_a_chunk_is_named_by_all_that_decides_it() -> None:
    base = Identity("tve", "1", "source", "mini", ("w",), "cpu")
    other = Identity("tve", "1", "changed", "mini", ("w",), "cpu")
    clips, seeds = [sound(100).digest, sound(200).digest], [1, 2]
    keys = {
        chunk_key(base, "fit", {"strength": 0.5}, clips, seeds),
        chunk_key(other, "fit", {"strength": 0.5}, clips, seeds),
        chunk_key(base, "tif", {"strength": 0.5}, clips, seeds),
        chunk_key(base, "fit", {"strength": 0.6}, clips, seeds),
        chunk_key(base, "fit", {"strength": 0.5}, clips[:1], seeds[:1]),
        chunk_key(base, "fit", {"strength": 0.5}, clips, [1, 3]),
    }
    assert len(keys) == 6
    assert digest({"a": 1, "b": [None]}) == digest({"b": [None], "a": 1})
