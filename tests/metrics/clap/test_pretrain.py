"""The mini model's training: captions, batches, resuming, and the folder it exports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.corpus.rendering import HELD_OUT_INSTRUMENTS, TRAINED_SOUNDS
from metrics.clap.checkpoints import MINI_FILES, MINI_FOLDER
from metrics.clap.mini import (
    SAMPLE_RATE,
    WINDOW_SAMPLES,
    build_extractor,
    build_model,
    build_tokenizer,
    vocabulary,
)
from metrics.clap.pretrain import training
from metrics.clap.pretrain.corpus import (
    Description,
    Pool,
    describe_melody,
    read_round_trips,
    vocabulary_texts,
    word_caption,
)


def pool(copies: int = 1) -> Pool:
    descriptions = tuple(
        Description(sound, "slow", "low", "rising", "db minor", chords=True)
        for sound in TRAINED_SOUNDS * copies
    )
    rng = np.random.default_rng(0)
    features = rng.uniform(-80, 20, (len(descriptions), 251, 64)).astype(np.float16)
    return Pool(features, descriptions)


def sounds_of(clips: Pool) -> np.ndarray:
    return np.array([TRAINED_SOUNDS.index(described.sound) for described in clips.descriptions])


def test_every_word_of_a_caption_is_in_the_vocabulary() -> None:
    words = set(vocabulary(vocabulary_texts()))
    rng = np.random.default_rng(1)
    for described in pool().descriptions * 20:
        caption = word_caption(described, rng)
        assert set(caption.split()) <= words


def test_captions_of_instruments_name_them() -> None:
    rng = np.random.default_rng(2)
    described = Description("organ", "", "high", "level", "c major", chords=False)
    assert all("organ" in word_caption(described, rng) for _ in range(50))


def test_a_sound_of_nature_has_no_words_of_melody() -> None:
    assert describe_melody("rain", None) == Description("rain")


def test_held_out_instruments_are_unknown_words() -> None:
    words = set(vocabulary(vocabulary_texts()))
    assert not words & set(HELD_OUT_INSTRUMENTS)


def test_a_batch_holds_every_sound_alike() -> None:
    clips, recipe = pool(3), training.Recipe(batch_size=2 * len(TRAINED_SOUNDS))
    indices, captions = training.draw_batch(clips, sounds_of(clips), recipe, step=5)
    assert np.bincount(sounds_of(clips)[indices]).tolist() == [2] * len(TRAINED_SOUNDS)
    again, same = training.draw_batch(clips, sounds_of(clips), recipe, step=5)
    assert np.array_equal(indices, again)
    assert captions == same


def test_augmenting_follows_its_generator_and_spares_the_input() -> None:
    features = torch.randn(2, 251, 64)
    before = features.clone()
    first, second = (training.augment(features, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(features, before)
    assert not torch.equal(first, features)


def test_an_interrupted_training_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    clips, recipe = pool(), training.Recipe(batch_size=4, steps=3)
    sounds = sounds_of(clips)
    whole = training.start(recipe, tmp_path)
    whole.model.train(mode=False)  # dropout draws from the global generator
    training.train_step(whole, clips, sounds)
    training.save(whole, tmp_path)
    expected = training.train_step(whole, clips, sounds)
    resumed = training.start(recipe, tmp_path)
    resumed.model.train(mode=False)
    assert resumed.step == 1
    assert training.train_step(resumed, clips, sounds) == expected


def test_the_front_end_has_the_corpus_window() -> None:
    extractor = build_extractor()
    assert round(extractor.max_length_s * extractor.sampling_rate) == WINDOW_SAMPLES
    assert extractor.sampling_rate == SAMPLE_RATE


def test_the_tokenizer_survives_saving(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(vocabulary(["a piano"]))
    assert tokenizer("A piano zither")["input_ids"] == [0, 4, 5, 3, 2]
    tokenizer.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"tokenizer.json", "tokenizer_config.json"}


def test_a_folder_without_round_trips_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no FLAC file of a trained sound"):
        read_round_trips(build_extractor(), tmp_path)


def test_the_committed_weights_are_whole_small_and_good() -> None:
    for name in MINI_FILES:
        assert (MINI_FOLDER / name).stat().st_size > 0
    assert (MINI_FOLDER / "model.safetensors").stat().st_size < 3e6
    facts = json.loads((MINI_FOLDER / "training.json").read_text())
    assert facts["evaluation"]["zero_shot"] >= 0.8
    assert len(facts["evaluation"]["per_sound"]) >= 20
    assert facts["recipe"]["seed"] == 0


def test_the_model_has_about_two_thirds_of_a_million_parameters() -> None:
    count = sum(parameter.numel() for parameter in build_model(80).parameters())
    assert 600_000 < count < 700_000
