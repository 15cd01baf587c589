"""Training the mini MusicGen melody: the same steps as plain loops, resuming, what is left."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import EncodecModel, MusicgenMelodyForConditionalGeneration

from bench.api import ConfigError
from bench.training.card import read_export
from bench.training.loop import Training
from methods.musicgen.checkpoints import MINI_FOLDER
from methods.musicgen.pretrain import codec, data, lm, wide_codec
from methods.musicgen.pretrain.__main__ import codes_stage, lm_stage
from methods.musicgen.pretrain.data import (
    HOP_LENGTH,
    INSTRUMENTS,
    NUM_SAMPLES,
    SAMPLE_RATE,
    Corpus,
    FrameNote,
    Material,
)
from methods.musicgen.pretrain.model import build_model, build_tokenizer
from tests import kits
from tests.methods.musicgen.test_wide_codec import small_codec
from tests.stopping import StoppedError, Stopping

CLIPS = 68  # the first 64 are held out
STEPS = 3


def material() -> Material:
    rng = np.random.default_rng(0)
    codes, chroma = rng.integers(0, 256, (CLIPS, 4, 128)), rng.integers(0, 12, (CLIPS, 2, 128))
    return Material(codes, np.arange(CLIPS) % 8, chroma, "a codec")


LANGUAGE = replace(lm.RECIPE, budget_s=None, steps=STEPS, batch_size=2, report_s=1e9)
EXAMPLES = lm.Examples(material(), lm.TextTable.of(build_tokenizer()))


def language_model(seed: int = 0) -> MusicgenMelodyForConditionalGeneration:
    return build_model(small_codec(), seed)


def lesson_of(model: MusicgenMelodyForConditionalGeneration) -> lm.LanguageLesson:
    return lm.LanguageLesson(model, EXAMPLES, LANGUAGE, "cpu", EXAMPLES.validation(2))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Training:
    model, folder = language_model(), tmp_path_factory.mktemp("taught")
    training = Training(lm.trained_part(model), LANGUAGE, folder, device="cpu", resume=False)
    training.run(lesson_of(model))
    return training


def descend(
    learner: torch.optim.Optimizer,
    parameters: Iterable[nn.Parameter],
    rates: Iterable[float],
    loss_of: Callable[[int], Tensor],
) -> None:
    """Plain steps, one for each rate."""
    trained = list(parameters)
    for step, rate in enumerate(rates):
        learner.param_groups[0]["lr"] = rate
        loss = loss_of(step)
        learner.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, 1.0)
        learner.step()


def cosine(step: int, lowest: float) -> float:
    return (1 - lowest) * 0.5 * (1 + math.cos(math.pi * step / STEPS)) + lowest


@pytest.mark.slow
def test_the_language_model_takes_the_steps_of_a_plain_loop(taught: Training) -> None:
    """What the bundled one was trained by: teacher forcing, AdamW, a warm-up, half a cosine."""
    model = language_model()
    draws = lesson_of(model)
    trained = [p for name, p in model.named_parameters() if not name.startswith("audio_encoder.")]
    learner = torch.optim.AdamW(trained, lr=1.0, betas=(0.9, 0.98), weight_decay=0.01)

    def loss_of(step: int) -> Tensor:
        """Code k of frame f is said in column f + k, after what stood before it."""
        batch = draws.batch(step)
        rows, books, frames = batch.history.shape
        heard = torch.full((rows, books, frames + books), 256)
        for book in range(books):
            heard[:, book, book + 1 : book + 1 + frames] = batch.history[:, book]
        said = model(
            input_ids=batch.told.text,
            attention_mask=batch.told.mask,
            input_features=batch.told.chroma,
            decoder_input_ids=heard[..., :-1].reshape(rows * books, -1),
        ).logits
        said = said[:, -(frames + books - 1) :].reshape(rows, books, frames + books - 1, -1)
        kept = [said[:, book, book : book + frames] for book in range(books)]
        said = torch.stack(kept, 1).flatten(0, 2)
        return functional.cross_entropy(said, batch.told.codes.flatten(), reduction="none").mean()

    rates = [1.5e-3 * (step + 1) / 100 * cosine(step, 0.03) for step in range(STEPS)]
    descend(learner, trained, rates, loss_of)
    for name, value in lm.trained_part(model).state_dict().items():
        assert torch.equal(taught.average[name], value), name


@pytest.mark.slow
def test_a_resumed_language_model_is_the_uninterrupted_one(
    tmp_path: Path, taught: Training
) -> None:
    often, model = replace(LANGUAGE, report_s=0.0), language_model()
    first = Training(lm.trained_part(model), often, tmp_path, device="cpu", resume=False)
    with pytest.raises(StoppedError):
        first.run(Stopping(lesson_of(model)))
    other = language_model(7)
    again = Training(lm.trained_part(other), LANGUAGE, tmp_path, device="cpu", resume=True)
    assert again.step == 2
    again.run(lesson_of(other))
    for name, value in taught.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_evaluating_draws_nothing_and_names_each_condition(taught: Training) -> None:
    model = language_model()
    lesson = lesson_of(model)
    before = torch.get_rng_state()
    with torch.no_grad():
        found = lesson.evaluate()
    assert torch.equal(torch.get_rng_state(), before)
    kinds = ("true", "other chroma", "other text")
    assert found.keys() == {*kinds, *(f"{kind}, first code book" for kind in kinds)}
    assert found.keys() < taught.curve[-1].keys()


def test_material_survives_its_file(tmp_path: Path) -> None:
    kept = material()
    kept.write(tmp_path / "material.npz")
    found = Material.read(tmp_path / "material.npz")
    assert np.array_equal(found.codes, kept.codes)
    assert np.array_equal(found.chroma, kept.chroma)
    assert np.array_equal(found.instrument, kept.instrument)
    assert found.codes.dtype == np.int64
    assert found.codec == "a codec"
    with pytest.raises(ConfigError, match="the stage `codes` takes the codec of the folder"):
        Material.read(tmp_path / "none.npz")
    np.savez(
        tmp_path / "older.npz", codes=kept.codes, instrument=kept.instrument, chroma=kept.chroma
    )
    with pytest.raises(ConfigError, match="does not say which codec its codes are of"):
        Material.read(tmp_path / "older.npz")


def test_a_codec_is_known_by_what_decides_its_codes() -> None:
    one, other = small_codec(), small_codec()
    known = codec.identity(one)
    assert codec.identity(other) == known
    nn.init.normal_(next(iter(other.decoder.parameters())))
    assert codec.identity(other) == known
    other.quantizer.layers[0].codebook.embed[0, 0] += 1
    assert codec.identity(other) != known
    assert codec.identity(small_codec(1)) != known


@pytest.mark.weights
def test_codes_are_not_written_under_a_language_model_that_may_know_others(tmp_path: Path) -> None:
    """Also where the material that it was begun with is gone, or is of before it named a codec."""
    (tmp_path / "language_model.pt").touch()
    options = argparse.Namespace(work=tmp_path, weights=MINI_FOLDER, clips=1)
    with pytest.raises(ConfigError, match="begun with the codes of an unknown codec"):
        codes_stage(options)
    material().write(tmp_path / "material.npz")
    with pytest.raises(ConfigError, match="begun with the codes of a codec, and these would be of"):
        codes_stage(options)


@pytest.mark.weights
@pytest.mark.slow
def test_a_language_model_goes_on_from_the_committed_one_where_asked(tmp_path: Path) -> None:
    """A step of AdamW moves a weight by the learning rate, or less; from nothing all is far off."""
    committed = wide_codec.committed_model(MINI_FOLDER)
    known = lm.trained_part(committed).state_dict()
    far = {}
    for go_on in (True, False):
        work = tmp_path / f"{go_on}"
        work.mkdir()
        material().write(work / "material.npz")
        asked = {"work": work, "weights": MINI_FOLDER, "go_on": go_on, "steps": 1, "batch_size": 2}
        unasked = {"budget_s": None, "report_s": None, "seed": 0, "device": "cpu", "resume": False}
        lm_stage(argparse.Namespace(**asked, **unasked))
        weights, card = read_export(work, "language_model")
        far[go_on] = max(float((weights[name] - known[name]).abs().max()) for name in known)
        origin = f"the committed one, of codec {codec.identity(committed.audio_encoder)}"
        assert card["began_from"] == (origin if go_on else "nothing")
    assert far[True] < 1.02 * lm.RECIPE.rate_at(0, 0.0) + 2**-11
    assert far[False] > 0.1


def test_bells_are_struck_as_those_of_the_bundled_suite() -> None:
    """Each stroke has the partials of `nature.bells`, an octave up, and rings through the next."""
    first, second = FrameNote(0, 40, 60), FrameNote(40, 88, 67)
    both, alone = (data.render(notes, data.BELLS) for notes in ([first, second], [first]))
    border = 40 * HOP_LENGTH
    assert np.array_equal(both[:border], alone[:border])
    assert np.abs(alone[border:]).max() > 0.02 * np.abs(alone).max()
    assert np.abs((both - alone)[border:]).max() > 0.5 * np.abs(alone).max()
    spectrum = np.abs(np.fft.rfft(alone * np.hanning(len(alone))))
    hz = np.fft.rfftfreq(len(alone), 1 / SAMPLE_RATE)
    strike_hz = 523.25
    for ratio in (0.5, 1.0, 1.2, 1.5, 2.0, 2.67):
        near = np.abs(hz - strike_hz * ratio) < 3
        beside = np.abs(hz - strike_hz * ratio * 1.06) < 3
        assert spectrum[near].max() > 10 * spectrum[beside].max(), ratio


@pytest.mark.corpus
def test_the_corpus_has_each_instrument_at_one_level() -> None:
    corpus = data.build(len(INSTRUMENTS), 3)
    assert [*corpus.instrument] == [*range(len(INSTRUMENTS))]
    peaks = np.abs(corpus.waveform.astype(float)).max(axis=1) / 32767
    assert ((peaks > 0.2) & (peaks <= 1)).all()
    assert (corpus.note.max(axis=1) < 12).all()


def noise_corpus() -> Corpus:
    rng = np.random.default_rng(1)
    waveform = rng.integers(-9000, 9000, (CLIPS, NUM_SAMPLES)).astype(np.int16)
    none = np.zeros(0, np.int64)
    return Corpus(waveform, np.arange(CLIPS) % 8, none, none)


@pytest.mark.parametrize("decoder_only", [False, True])
def test_the_codec_takes_the_steps_of_a_plain_loop(tmp_path: Path, *, decoder_only: bool) -> None:
    """What the bundled one was trained by; its second stage fixes all but the decoder."""
    corpus, networks = noise_corpus(), (small_codec(), small_codec())
    recipe = codec.DECODER_RECIPE if decoder_only else codec.RECIPE
    short = replace(recipe, budget_s=None, steps=STEPS, batch_size=2, report_s=1e9)
    lessons = [codec.CropLesson(n, corpus, short, "cpu", quantise=decoder_only) for n in networks]
    if decoder_only:
        networks[0].encoder.requires_grad_(requires_grad=False)
    Training(networks[0], short, tmp_path, device="cpu", resume=False).run(lessons[0])
    plain: EncodecModel = networks[1]
    parts = [plain.decoder] if decoder_only else [plain.encoder, plain.decoder]
    trained = [parameter for part in parts for parameter in part.parameters()]
    learner = torch.optim.AdamW(trained, lr=1.0, betas=(0.8, 0.95))

    def loss_of(step: int) -> Tensor:
        crops = lessons[1].batch(step)
        assert crops.shape == (2, 1, 16 * HOP_LENGTH)
        latent = plain.encoder(crops)
        if decoder_only:
            with torch.no_grad():
                latent = plain.quantizer.decode(plain.quantizer.encode(latent))
        made = plain.decoder(latent)[..., : crops.shape[-1]]
        error = (made - crops).square().mean() / crops.square().mean()
        return 0.3 * codec.spectral_loss(made, crops) + error

    highest = 5e-4 if decoder_only else 8e-4
    rates = [highest * (step + 1) / 50 * cosine(step, 0.05) for step in range(STEPS)]
    descend(learner, trained, rates, loss_of)
    for name, value in plain.state_dict().items():
        assert torch.equal(networks[0].state_dict()[name], value), name


def command(stage: str, work: Path, *options: str) -> str:
    line = ["-m", "methods.musicgen.pretrain", stage, "--work", str(work), *options]
    return kits.run([sys.executable, *line], kits.CHECKOUT)


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.weights
def test_the_command_trains_a_language_model_for_the_committed_codec(tmp_path: Path) -> None:
    small = ("--device", "cpu", "--batch-size", "2")
    assert "the language model learns from it" in command("lm", tmp_path, *small, "--steps", "2")
    assert command("codes", tmp_path, "--clips", str(CLIPS)).startswith("0 ")
    assert command("lm", tmp_path, *small, "--steps", "2").startswith("0 ")
    assert "Pass --resume" in command("lm", tmp_path, *small, "--steps", "4")
    assert command("lm", tmp_path, *small, "--steps", "4", "--resume").startswith("0 ")
    card = json.loads((tmp_path / "language_model.json").read_text())
    assert card["samples"] == 8
    out = tmp_path / "out"
    assert command("export", tmp_path, "--out", str(out)).startswith("0 ")
    assert json.loads((out / "training.json").read_text())["language_model"]["samples"] == 8
    model = MusicgenMelodyForConditionalGeneration.from_pretrained(out, dtype=torch.float32)
    assert bool(torch.isfinite(model.decoder.lm_heads[0].weight).all())
    assert command("wide-codec", tmp_path, *small, "--sources", "nature", "--steps", "1")[0] == "0"
    assert "knows the codes of codec" in command("export", tmp_path, "--out", str(out))
    codes = ("codes", tmp_path, "--clips", str(CLIPS))
    assert "was begun with the codes of" in command(*codes)
    for path in tmp_path.glob("language_model.*"):
        path.unlink()
    assert command(*codes).startswith("0 ")
    assert command("lm", tmp_path, *small, "--steps", "2").startswith("0 ")
    assert command("export", tmp_path, "--out", str(out)).startswith("0 ")
    assert json.loads((tmp_path / "language_model.json").read_text())["began_from"] == "nothing"
    tuned = command("wide-decoder", tmp_path, *small, "--sources", "nature", "--steps", "2")
    assert tuned.startswith("0 ")
    assert command("export", tmp_path, "--out", str(out)).startswith("0 ")
    record = json.loads((out / "training.json").read_text())
    assert record["wide_decoder"]["began_from"] == f"codec {record['language_model']['codec']}"
    assert record["wide_codec"]["began_from"] == "the committed codec"


@pytest.mark.slow
@pytest.mark.corpus
@pytest.mark.weights
def test_a_kit_trains_language_model_and_codec_alone(tmp_path: Path) -> None:
    kit, out = tmp_path / "kit", tmp_path / "out"
    there = ("--out", str(kit))
    assert command("kit", tmp_path, *there, "--clips", str(CLIPS)).startswith("0 ")
    assert command("kit-codec", tmp_path, *there).startswith("0 ")
    for model, name in (("musicgen", "language_model"), ("musicgen-codec", "wide_codec")):
        for steps in (1, 2):
            done = kits.train(kit, model, out, kits.ALL, BATCH="2", STEPS=str(steps))
            assert done.startswith("0 "), done
            assert json.loads((out / f"{name}.json").read_text())["samples"] == 2 * steps
        assert (out / f"{name}.safetensors").stat().st_size < 16 * 2**20
