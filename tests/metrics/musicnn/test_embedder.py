"""The embedder: unit norms, levels, company, the cache, and that it tells instruments apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import Audio, Clip, UnsupportedError
from bench.cache import Cache
from bench.weights import digest
from metrics.musicnn.checkpoints import FOLDER, NAME, describe
from metrics.musicnn.embedder import MusicnnEmbedder, load_embedder
from metrics.musicnn.front_end import prepare
from metrics.musicnn.network import read_network
from tests import rounding

ClipReader = Callable[[str, float], Clip]
RATE = 22_050


def noise(seed: int, seconds: float = 1.0) -> Audio:
    samples = np.random.default_rng(seed).standard_normal((1, round(seconds * RATE)))
    return Audio((0.05 * samples).astype(np.float32), RATE)


def fresh(**options: object) -> MusicnnEmbedder:
    given: dict[str, object] = {"cache": None, **options}
    return MusicnnEmbedder(read_network(FOLDER, "cpu"), "here", "cpu", **given)  # type: ignore[arg-type]


def test_an_embedding_is_the_mean_of_the_penultimate_layer_over_windows() -> None:
    clip = noise(0, 5.0)
    with torch.inference_mode():
        layers = read_network(FOLDER, "cpu")(torch.from_numpy(prepare(clip))).penultimate
    mean = layers.double().mean(0).numpy()
    found = fresh().embed_audio(clip)
    assert (found.dtype, found.shape) == (np.float64, (200,))
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-12)
    assert found @ (mean / np.linalg.norm(mean)) > 1 - 1e-9


@pytest.mark.parametrize("gain_db", [-20, 20])
def test_a_gain_moves_no_embedding(bundled: ClipReader, gain_db: float) -> None:
    clip = bundled("content/violin/violin_greensleeves", 4.0).audio
    other = Audio(clip.waveform * np.float32(10 ** (gain_db / 20)), clip.sample_rate)
    first, second = fresh().embed_all([clip, other])
    assert first @ second > 1 - 1e-9  # unlevelled, it would be about .7


def test_silence_has_no_embedding() -> None:
    with pytest.raises(UnsupportedError, match="MusicNN hears nothing"):
        fresh().embed_audio(Audio(np.zeros((1, RATE), np.float32), RATE))


def test_company_and_order_change_no_embedding() -> None:
    clips = [noise(seed, seconds) for seed, seconds in enumerate((1.0, 5.0, 3.02))]
    alone = [fresh().embed_audio(clip) for clip in clips]
    assert np.array_equal(fresh().embed_all(clips), alone)
    assert np.array_equal(fresh().embed_all(clips[::-1])[::-1], alone)
    together = fresh(windows_at_once=4).embed_all(clips)
    bound = 5 * rounding.likely(7 * 561)
    np.testing.assert_allclose(together, alone, rtol=0, atol=bound)


def test_embeddings_are_kept_on_disk_under_the_digest_of_the_sound(tmp_path: Path) -> None:
    made = fresh(cache=Cache(tmp_path)).embed_audio(noise(6))
    (path,) = tmp_path.rglob("*.npz")
    assert path.stem == noise(6).digest
    kind = path.parent.parent.name
    assert kind.startswith("musicnn-")
    Cache(tmp_path).save_array(kind, path.stem, -made)
    assert np.array_equal(fresh(cache=Cache(tmp_path)).embed_audio(noise(6)), -made)


def test_the_fingerprint_names_weights_layer_preprocessing_and_libraries() -> None:
    found = load_embedder("cpu").fingerprint()
    assert json.loads(json.dumps(found)) == found
    assert found["checkpoint"] == digest(NAME)
    assert found["layer"] == "penultimate"
    assert set(found) == {"checkpoint", "layer", "preprocessing", "libraries"}


def test_both_profiles_load_the_shipped_weights() -> None:
    assert describe("mini") == describe("full")
    assert describe("mini").weights == (NAME,)
    assert load_embedder("cpu") is load_embedder("cpu")


def test_another_clip_of_an_instrument_is_nearer_than_another_instrument(
    bundled: ClipReader,
) -> None:
    styles = ("accordion", "bells", "music_box")
    clips = [bundled(f"style/{name}/{name}_{n}", 5.0).audio for name in styles for n in (1, 2)]
    vectors = np.stack(load_embedder("cpu").embed_all(clips))
    cosines = vectors @ vectors.T - 2 * np.eye(len(clips))
    assert (cosines.argmax(1) // 2).tolist() == [0, 0, 1, 1, 2, 2]
