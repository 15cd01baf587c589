"""The mini model's training: captions, batches, resuming, and the folder it exports."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import ClapModel

from bench.api import Audio, ConfigError
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS, TRAINED_SOUNDS
from bench.corpus.sources import PROCEDURAL
from bench.corpus.stream import CropStream
from bench.seeds import derive_seed
from bench.training.card import read_export
from bench.training.loop import Training
from metrics.clap.checkpoints import MINI_FILES, MINI_FOLDER
from metrics.clap.mini import (
    SAMPLE_RATE,
    WINDOW_SAMPLES,
    build_extractor,
    build_model,
    build_tokenizer,
    vocabulary,
)
from metrics.clap.pretrain.corpus import (
    Description,
    Pool,
    clip_features,
    describe_melody,
    read_round_trips,
    read_shards,
    vocabulary_texts,
    word_caption,
)
from metrics.clap.pretrain.training import (
    RECIPE,
    ClapLesson,
    augment,
    draw_batch,
    sound_numbers,
    symmetric_loss,
)
from tests import kits
from tests.stopping import StoppedError, Stopping


def pool(copies: int = 1) -> Pool:
    descriptions = tuple(
        Description(sound, "slow", "low", "rising", "db minor", chords=True)
        for sound in TRAINED_SOUNDS * copies
    )
    rng = np.random.default_rng(0)
    features = rng.uniform(-80, 20, (len(descriptions), 251, 64)).astype(np.float16)
    return Pool(features, descriptions)


SHORT = replace(RECIPE, steps=3, batch_size=4, report_s=1e9)
WORDS = vocabulary(vocabulary_texts())
STREAM = CropStream((PROCEDURAL,), 3, WINDOW_SAMPLES, SAMPLE_RATE)


def model(seed: int = 0) -> ClapModel:
    torch.manual_seed(seed)
    return build_model(len(WORDS))


def lesson_of(
    learner: ClapModel, stream: CropStream | None = None, batch_size: int = 4
) -> ClapLesson:
    clips, recipe = pool(), replace(SHORT, batch_size=batch_size)
    few = Pool(clips.features[:3], clips.descriptions[:3])
    return ClapLesson(learner, build_tokenizer(WORDS), clips, recipe, "cpu", few, stream)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("taught")
    training = Training(model(), SHORT, folder, device="cpu", resume=False)
    training.run(lesson_of(training.model))  # type: ignore[arg-type]  # a ClapModel
    return training


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
    clips, count = pool(3), 2 * len(TRAINED_SOUNDS)
    indices, captions = draw_batch(clips, sound_numbers(clips), count, (0, 5))
    assert np.bincount(sound_numbers(clips)[indices]).tolist() == [2] * len(TRAINED_SOUNDS)
    again, same = draw_batch(clips, sound_numbers(clips), count, (0, 5))
    assert np.array_equal(indices, again)
    assert captions == same


def test_augmenting_follows_its_generator_and_spares_the_input() -> None:
    features = torch.randn(2, 251, 64)
    before = features.clone()
    first, second = (augment(features, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(features, before)
    assert not torch.equal(first, features)


def test_the_loop_takes_the_steps_of_a_plain_one(taught: Training) -> None:
    """Both contrastive directions, half a cross-entropy of sounds, AdamW, half a cosine."""
    learner = model()
    draws = lesson_of(learner)
    optimiser = torch.optim.AdamW(learner.parameters(), weight_decay=0.02)
    for step in range(3):
        fall = 0.98 * 0.5 * (1 + math.cos(math.pi * step / 3)) + 0.02
        optimiser.param_groups[0]["lr"] = 1.5e-3 * (step + 1) / 60 * fall
        batch = draws.batch(step)
        torch.manual_seed(derive_seed("step", 0, step))  # of dropout
        heard = learner.get_audio_features(
            input_features=batch.features[:, None], is_longer=torch.zeros(4, 1, dtype=torch.bool)
        ).pooler_output
        texts = learner.get_text_features(
            input_ids=batch.texts.ids, attention_mask=batch.texts.mask
        ).pooler_output
        heard, texts = (functional.normalize(part, dim=-1) for part in (heard, texts))
        scaled = learner.logit_scale_a.exp() * heard
        cosines, own = scaled @ texts[:4].T, torch.arange(4)
        loss = functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own)
        loss = loss / 2 + 0.5 * functional.cross_entropy(scaled @ texts[4:].T, batch.sounds)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimiser.step()
    for name, value in learner.state_dict().items():
        assert torch.equal(taught.average[name], value), name


@pytest.mark.slow
def test_an_interrupted_training_goes_on_as_if_it_had_not_been(
    tmp_path: Path, taught: Training
) -> None:
    often, learner = replace(SHORT, report_s=0.0), model()
    first = Training(learner, often, tmp_path, device="cpu", resume=False)
    with pytest.raises(StoppedError):
        first.run(Stopping(lesson_of(learner)))
    other = model(7)
    again = Training(other, SHORT, tmp_path, device="cpu", resume=True)
    assert again.step == 2
    again.run(lesson_of(other))
    for name, value in taught.model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_evaluating_draws_nothing() -> None:
    lesson = lesson_of(model().eval())
    before = torch.get_rng_state()
    with torch.no_grad():
        assert 0 <= lesson.evaluate()["zero_shot"] <= 1
    assert torch.equal(torch.get_rng_state(), before)


def test_half_of_the_clips_are_pairs_of_timbres_where_a_stream_is_named() -> None:
    learner = model().eval()
    with pytest.raises(ConfigError, match=r"a step has 4 clips; .* take 8\. Pass a larger"):
        lesson_of(learner, STREAM)
    lesson = lesson_of(learner, STREAM, 8)
    batch = lesson.batch(1)
    assert batch.features.shape == (8, 251, 64)
    assert len(batch.sounds) == 4
    # The front end is that of the scores.
    waves = STREAM.pairs(1, 1)[0].numpy()
    wanted = clip_features(build_extractor(), [Audio(wave[None], SAMPLE_RATE) for wave in waves])
    found = lesson._timbres(STREAM.pairs(1, 1)).numpy()
    np.testing.assert_allclose(found, wanted.astype(np.float32), atol=0.05)  # float16 of -100 dB
    with torch.no_grad():
        losses = lesson.losses(batch)
    whole = losses["captions"] + 0.5 * losses["by_sound"] + 0.5 * losses["timbres"]
    assert torch.equal(losses["loss"], whole)


def test_timbres_are_told_apart_both_ways() -> None:
    """The closed form of two rows whose own place is ahead by d: log(1 + exp(-d))."""
    found = symmetric_loss(torch.tensor([[3.0, 1.0], [1.0, 3.0]]))
    assert float(found) == pytest.approx(math.log1p(math.exp(-2)))


def test_what_was_rendered_is_read_and_what_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lacks 2 of 2 rounds of clips, round_0000.npz first"):
        read_shards(tmp_path, 2)


def command(stage: str, work: Path, *options: str) -> str:
    line = ["-m", "metrics.clap.pretrain", stage, "--work", str(work), *options]
    return kits.run([sys.executable, *line], kits.CHECKOUT)


@pytest.mark.slow
@pytest.mark.corpus
def test_the_command_renders_trains_goes_on_and_exports_what_loads(tmp_path: Path) -> None:
    small = ("--rounds", "1", "--per-sound", "1", "--device", "cpu", "--batch-size", "8")
    more = (*small, "--sources", "procedural")
    out = tmp_path / "out"
    assert "Run the stage `render`" in command("train", tmp_path, *small, "--steps", "2")
    done = command("all", tmp_path, *more, "--steps", "2", "--out", str(out))
    assert done.startswith("0 "), done
    assert "Pass --resume" in command("train", tmp_path, *more, "--steps", "4")
    assert command("train", tmp_path, *more, "--steps", "4", "--resume").startswith("0 ")
    card = json.loads((tmp_path / "mini_clap.json").read_text())
    assert card["samples"] == 32
    assert [source["name"] for source in card["sources"]] == ["worded", "procedural"]
    facts = json.loads((out / "training.json").read_text())
    assert (facts["samples"], facts["evaluation"]["clips"]) == (16, len(TRAINED_SOUNDS))
    assert {path.name for path in out.iterdir()} >= set(MINI_FILES)


@pytest.mark.slow
@pytest.mark.corpus
def test_a_kit_trains_alone_and_goes_on(tmp_path: Path) -> None:
    kit, out = tmp_path / "kit", tmp_path / "out"
    small = ("--rounds", "1", "--per-sound", "1", "--out", str(kit))
    assert command("kit", tmp_path, *small).startswith("0 ")
    assert "is there already, with clap" in command("kit", tmp_path, *small)
    for steps in (2, 4):
        done = kits.train(kit, "clap", out, kits.ALL, BATCH="8", STEPS=str(steps))
        assert done.startswith("0 "), done
        assert json.loads((out / "mini_clap.json").read_text())["samples"] == 8 * steps
    learner = model()
    learner.load_state_dict(read_export(out, "mini_clap")[0])


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
