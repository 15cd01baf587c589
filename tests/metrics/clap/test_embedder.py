"""The embedder: unit norms, independence of company, caches, and checkpoints it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import Audio, CheckpointError, UnsupportedError
from bench.batching import OVERLAP_VARIABLE
from bench.cache import Cache
from metrics.clap import checkpoints, laion_constants
from metrics.clap.checkpoints import MINI_FOLDER, Checkpoint, locate
from metrics.clap.embedder import ClapEmbedder, Towers, load_embedder, read_towers
from metrics.clap.preprocess import prepare
from metrics.directions import mean_direction, unit
from tests import rounding

RATE = 22050


def noise(seed: int, seconds: float = 1.0) -> Audio:
    samples = np.random.default_rng(seed).standard_normal((1, round(seconds * RATE)))
    return Audio((0.05 * samples).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def embedder() -> ClapEmbedder:
    return ClapEmbedder(read_towers(locate("mini")), "mini", "cpu")


@pytest.fixture
def weights_copy(tmp_path: Path) -> Path:
    folder = tmp_path / "clap"
    shutil.copytree(MINI_FOLDER, folder)
    return folder


def edit(folder: Path, name: str, **changes: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_embeddings_have_unit_norm_in_float64(embedder: ClapEmbedder) -> None:
    for embedding in (embedder.embed_audio(noise(0)), embedder.embed_text("piano music")):
        assert embedding.dtype == np.float64
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("at_once", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_clips_that_are_prepared_beside_the_device_have_the_same_embeddings(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Clips of one, two and three windows, so that passes end within clips."""
    clips = [noise(seed, seconds) for seed, seconds in enumerate((1.0, 9.0, 1.0, 12.0, 1.0))]
    found = []
    for word in ("off", "on"):
        monkeypatch.setenv(OVERLAP_VARIABLE, word)
        towers = read_towers(locate("mini"))
        each = ClapEmbedder(towers, "mini", "cpu", windows_at_once=at_once)
        found.append(each.embed_all(clips))
    assert np.array_equal(*found)


def test_an_embedding_does_not_depend_on_company_or_order() -> None:
    clips = [noise(seed) for seed in range(3)]
    first = ClapEmbedder(read_towers(locate("mini")), "mini", "cpu")
    second = ClapEmbedder(read_towers(locate("mini")), "mini", "cpu")
    forwards = [first.embed_audio(clip) for clip in clips]
    backwards = [second.embed_audio(clip) for clip in clips[::-1]][::-1]
    assert np.array_equal(forwards, backwards)


def test_many_windows_at_once_give_the_embeddings_of_each_alone(
    wide_towers: Callable[[], Towers],
) -> None:
    clips = [noise(seed, seconds) for seed, seconds in ((0, 1.0), (1, 12.0), (0, 1.0), (2, 3.0))]
    towers = wide_towers()
    at_once = ClapEmbedder(towers, "mini", "cpu", windows_at_once=4)
    embedder = ClapEmbedder(wide_towers(), "mini", "cpu")
    together = at_once.embed_all(clips)
    assert np.array_equal(together[0], together[2])
    alone = [embedder.embed_audio(clip) for clip in clips]
    bound = rounding.of_networks(towers.model)  # of vectors of length 1
    np.testing.assert_allclose(together, alone, rtol=0, atol=bound)


def test_a_gain_hardly_moves_an_embedding(embedder: ClapEmbedder) -> None:
    quiet = Audio(noise(4).waveform * np.float32(0.01), RATE)
    assert embedder.embed_audio(noise(4)) @ embedder.embed_audio(quiet) > 1 - 1e-5


def test_a_long_clip_is_the_mean_of_its_windows(embedder: ClapEmbedder) -> None:
    clip = noise(5, seconds=12.0)
    windows = prepare(clip, RATE, embedder.window_samples)
    assert len(windows) == 3
    single = [embedder.embed_audio(Audio(window[None], RATE)) for window in windows]
    expected = np.mean(single, axis=0) / np.linalg.norm(np.mean(single, axis=0))
    assert embedder.embed_audio(clip) @ expected > 1 - 1e-6


def test_the_case_of_a_text_does_not_matter(embedder: ClapEmbedder) -> None:
    first, second = (embedder.embed_text(text) for text in ("Piano Music", "piano music"))
    assert np.array_equal(first, second)


def test_an_unknown_word_is_declined(embedder: ClapEmbedder) -> None:
    with pytest.raises(UnsupportedError, match="unknown to this model: theremin"):
        embedder.embed_text("theremin music")


def test_the_vocabulary_is_that_of_the_tokenizer() -> None:
    towers = read_towers(locate("mini"))
    assert towers.vocabulary
    for word in towers.vocabulary:
        assert towers.tokenizer.unk_token_id not in towers.tokenizer(word)["input_ids"]
    assert towers.tokenizer.unk_token_id in towers.tokenizer("kalimba")["input_ids"]
    assert "kalimba" not in towers.vocabulary


def test_embeddings_are_kept_on_disk(tmp_path: Path) -> None:
    first = ClapEmbedder(read_towers(locate("mini")), "mini", "cpu", cache=Cache(tmp_path))
    made = first.embed_audio(noise(6))
    (path,) = tmp_path.rglob("*.npz")
    assert path.name.startswith(noise(6).digest)
    cache, kind = Cache(tmp_path), path.parent.parent.name
    stored = cache.load_array(kind, path.stem)
    assert stored is not None
    assert np.array_equal(stored, made)
    cache.save_array(kind, path.stem, -made)
    second = ClapEmbedder(read_towers(locate("mini")), "mini", "cpu", cache=Cache(tmp_path))
    assert np.array_equal(second.embed_audio(noise(6)), -made)


def test_another_preprocessing_has_entries_of_its_own(tmp_path: Path) -> None:
    towers, cache = read_towers(locate("mini")), Cache(tmp_path)
    owned = ClapEmbedder(towers, "mini", "cpu", cache=cache)
    published = ClapEmbedder(towers, "mini", "cpu", mode="as_published", cache=cache)
    clip = noise(7, seconds=2.6)  # laion would append 2.5 s of silence
    assert owned.embed_audio(clip) @ published.embed_audio(clip) < 0.999
    assert len(list(tmp_path.rglob("*.npz"))) == 2
    assert owned.fingerprint() != published.fingerprint()


def test_metrics_share_one_embedder() -> None:
    assert load_embedder("mini", "cpu") is load_embedder("mini", "cpu")


def test_the_fingerprint_names_checkpoint_preprocessing_and_libraries() -> None:
    fingerprint = load_embedder("mini", "cpu").fingerprint()
    assert fingerprint["checkpoint"] == locate("mini").digest
    assert json.loads(json.dumps(fingerprint)) == fingerprint
    assert set(fingerprint) >= {"preprocessing", "libraries", "window_samples", "sample_rate"}


def test_a_vector_without_direction_is_refused() -> None:
    with pytest.raises(ValueError, match=r"norm 0\.0"):
        unit(np.zeros(3))
    with pytest.raises(ValueError, match="norm nan"):
        unit(np.array([1.0, np.nan]))


def test_a_mean_direction_is_a_unit_vector_between() -> None:
    between = mean_direction([np.array([1.0, 0.0]), np.array([0.0, 1.0])])
    assert between.tolist() == pytest.approx([0.5**0.5, 0.5**0.5])


def test_the_mini_window_is_never_cropped_or_padded() -> None:
    """Only at exactly its own length does the extractor neither crop at random nor pad."""
    extractor = read_towers(locate("mini")).extractor
    window = noise(8, seconds=5.12).mono
    assert len(window) == extractor.nb_max_samples
    first, second = (
        extractor(window, sampling_rate=RATE, return_tensors="np")["input_features"]
        for _ in range(2)
    )
    assert np.array_equal(first, second)
    assert first.shape == (1, 1, 251, 64)


def test_missing_tokenizer_files_are_not_silence(weights_copy: Path) -> None:
    """A folder without them gives a tokenizer of special tokens only, without any error."""
    (weights_copy / "tokenizer.json").unlink()
    (weights_copy / "tokenizer_config.json").unlink()
    with pytest.raises((CheckpointError, OSError, ValueError), match="tokenizer"):
        read_towers(Checkpoint(weights_copy, "copy"))


def test_a_missing_front_end_is_refused(weights_copy: Path) -> None:
    (weights_copy / "preprocessor_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no preprocessor_config\.json"):
        read_towers(Checkpoint(weights_copy, "copy"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"truncation": "fusion"}, "truncation 'fusion'"),
        ({"padding": "pad"}, "padding 'pad'"),
        ({"hop_length": 441}, "257 frames of 64 mel bands"),
        ({"feature_size": 32}, "frames of 32 mel bands"),
    ],
)
def test_an_unfit_front_end_is_refused(
    weights_copy: Path, change: dict[str, object], reason: str
) -> None:
    edit(weights_copy, "preprocessor_config.json", **change)
    with pytest.raises(CheckpointError, match=reason):
        read_towers(Checkpoint(weights_copy, "copy"))


def test_a_fused_model_is_refused(weights_copy: Path) -> None:
    config = json.loads((weights_copy / "config.json").read_text())
    config["audio_config"]["enable_fusion"] = True
    (weights_copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="fusion True"):
        read_towers(Checkpoint(weights_copy, "copy"))


@pytest.mark.parametrize(("of_laion", "epsilon"), [(True, 1e-5), (False, 1e-12)])
def test_a_conversion_of_laions_weights_gets_laions_text_tower(
    weights_copy: Path, of_laion: bool, epsilon: float
) -> None:
    """Any other saved model is what its own configuration says (1e-12 in this one's)."""
    checkpoint = Checkpoint(weights_copy, "copy", laion_text_tower=of_laion)
    tower = read_towers(checkpoint).model.text_model
    norms = [m.eps for m in tower.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert set(norms) == {epsilon}


def test_a_folder_of_ones_own_takes_the_place_of_the_full_checkpoint(
    weights_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(checkpoints.ENVIRONMENT, str(weights_copy))
    found = locate("full")
    assert (found.folder, found.weights_file) == (weights_copy, None)
    assert checkpoints.describe("full").weights == (str(weights_copy),)


def test_a_laion_file_needs_its_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({}, tmp_path / "630k-audioset-best.pt")
    monkeypatch.setenv(checkpoints.ENVIRONMENT, str(tmp_path))
    with pytest.raises(CheckpointError, match="tokenizer of the laion checkpoint"):
        locate("full")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    found = locate("full")
    assert found.weights_file == tmp_path / "630k-audioset-best.pt"
    assert found.digest.endswith(f"+{laion_constants.DIGEST}")  # scores depend on them


def test_an_empty_folder_of_ones_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(checkpoints.ENVIRONMENT, str(tmp_path))
    with pytest.raises(CheckpointError, match=r"one laion \.pt file"):
        locate("full")
