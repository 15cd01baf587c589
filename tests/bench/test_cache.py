"""The store of fits, outputs and embeddings."""

from pathlib import Path

import numpy as np
import pytest

from bench.api import Audio, StyleState
from bench.cache import Cache

KEY = "ab12"


def test_a_state_comes_back_with_its_cost(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    arrays = {"token": np.arange(6, dtype=np.float32).reshape(2, 3).T, "count": np.array([7])}
    cache.save_state(
        KEY, StyleState(arrays, {"text": "Glöckchen", "steps": [1, 2]}), {"fit_s": 1.5}
    )
    back = cache.load_state(KEY)
    assert back is not None
    for name, array in arrays.items():
        np.testing.assert_array_equal(back.arrays[name], array)
    assert back.meta == {"text": "Glöckchen", "steps": [1, 2]}
    assert cache.load_cost(KEY) == {"fit_s": 1.5}


def test_a_state_without_arrays_comes_back(tmp_path: Path) -> None:
    Cache(tmp_path).save_state(KEY, StyleState(meta={"a": None}), {})
    assert Cache(tmp_path).load_state(KEY) == StyleState({}, {"a": None})


def test_an_output_comes_back_bit_for_bit_whatever_its_level(tmp_path: Path) -> None:
    audio = Audio(np.array([[3.0, np.nan, -1e-9]], np.float32), 44100)
    Cache(tmp_path).save_audio(KEY, audio, {"transfer_s": 0.25})
    back = Cache(tmp_path).load_audio(KEY)
    assert back is not None
    assert back[0].digest == audio.digest
    assert back[1] == {"transfer_s": 0.25}


def test_an_array_is_kept_by_kind_and_key(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.save_array("clap", KEY, np.ones(3, np.float32))
    assert cache.load_array("other", KEY) is None
    np.testing.assert_array_equal(cache.load_array("clap", KEY), np.ones(3))


def test_nothing_is_there_before_it_is_saved(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "new")
    found = [cache.load_state(KEY), cache.load_cost(KEY), cache.load_audio(KEY)]
    assert found == [None, None, None]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("keep", [0, 5, 40])
def test_a_broken_entry_counts_as_absent_and_can_be_replaced(tmp_path: Path, keep: int) -> None:
    cache = Cache(tmp_path)
    state, audio = StyleState({"x": np.ones(9)}), Audio(np.ones((1, 9), np.float32), 8000)
    cache.save_state(KEY, state, {})
    cache.save_audio(KEY, audio, {})
    cache.save_array("clap", KEY, np.ones(9))
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        path.write_bytes(path.read_bytes()[:keep])
    assert cache.load_state(KEY) is None
    assert cache.load_audio(KEY) is None
    assert cache.load_array("clap", KEY) is None
    cache.save_array("clap", KEY, np.ones(9))
    assert cache.load_array("clap", KEY) is not None


def test_no_scratch_file_is_left_behind(tmp_path: Path) -> None:
    Cache(tmp_path).save_array("clap", KEY, np.ones(3))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{KEY}.npz"]


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a plain name"):
        Cache(tmp_path).load_array("clap", "../../x")


def test_the_environment_names_the_default_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    assert Cache.default().root == tmp_path


@pytest.mark.parametrize(
    ("written", "altered"),
    [(b"\x00\x00\x80?", b"\x00\x00\x80@"), (b'"F32"', b'"I32"'), (b"[2,3]", b"[3,2]"),
     (b"bells", b"balls"), (b"1.5", b"2.5")],
    ids=["value", "type", "shape", "text", "cost"],
)  # fmt: skip
def test_a_state_that_was_altered_counts_as_absent(
    tmp_path: Path, written: bytes, altered: bytes
) -> None:
    cache = Cache(tmp_path)
    state = StyleState({"x": np.ones((2, 3), np.float32)}, {"text": "bells"})
    cache.save_state(KEY, state, {"fit_s": 1.5})
    path = cache.state_path(KEY)
    whole = path.read_bytes()
    assert written in whole
    path.write_bytes(whole.replace(written, altered, 1))
    assert cache.load_state(KEY) is None
    assert cache.load_cost(KEY) is None
    path.write_bytes(whole)
    assert cache.load_state(KEY) is not None
