"""The codec of any timbre: code books, errors, resuming, and the command from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import EncodecConfig, EncodecModel

from bench.corpus.nature import UNHEARD
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from bench.corpus.sources import NATURE, PROCEDURAL
from bench.corpus.stream import CropStream
from bench.training.loop import Training
from bench.training.recipe import Recipe
from methods.musicgen.pretrain import codec
from methods.musicgen.pretrain.data import HOP_LENGTH, SAMPLE_RATE
from methods.musicgen.pretrain.wide_codec import (
    CodecLesson,
    begin_counting,
    learn_codes,
    quantise,
    spectral_error,
    waveform_error,
)
from tests.stopping import StoppedError, Stopping

CHECKOUT = Path(__file__).resolve().parents[3]


def small_codec(seed: int = 0) -> EncodecModel:
    """A codec of the same frame rate and a hundredth of the weights."""
    torch.manual_seed(seed)
    config = EncodecConfig(
        sampling_rate=SAMPLE_RATE,
        num_filters=2,
        hidden_size=8,
        codebook_dim=8,
        codebook_size=16,
        upsampling_ratios=[8, 5, 4, 4],
        num_lstm_layers=1,
        target_bandwidths=[0.2],
        normalize=False,
        use_causal_conv=False,
        norm_type="weight_norm",
    )
    network = EncodecModel(config)
    for layer in network.quantizer.layers:
        layer.codebook.embed.normal_(0, 0.1)
    begin_counting(network)
    return network


def book_of(network: EncodecModel) -> torch.nn.Module:
    book: torch.nn.Module = network.quantizer.layers[0].codebook
    return book


def wave(*hertz: float) -> Tensor:
    time = torch.arange(2 * HOP_LENGTH * 4) / SAMPLE_RATE
    return torch.stack([torch.sin(2 * torch.pi * f * time) for f in hertz])[:, None]


def test_quantising_is_what_the_library_does() -> None:
    network = small_codec()
    latent = 0.1 * torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(1))
    found, _ = quantise(network, latent, learn=False)
    codes = network.quantizer.encode(latent)
    assert found.numpy() == pytest.approx(network.quantizer.decode(codes).numpy(), abs=1e-6)


def test_gradients_pass_through_the_code_books() -> None:
    latent = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    weights = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(2))
    found, _ = quantise(small_codec(), latent, learn=False)
    torch.autograd.backward((found * weights).sum())
    assert latent.grad is not None
    assert torch.equal(latent.grad, weights)


def test_codes_become_the_means_of_what_chose_them() -> None:
    book = book_of(small_codec())
    centres = torch.zeros(16, 8)
    centres[:, 0] = torch.arange(16.0)
    generator = torch.Generator().manual_seed(3)
    for _ in range(1500):  # .99 ** 1500 of where they began
        vectors = centres.repeat(3, 1) + 0.01 * torch.randn(48, 8, generator=generator)
        learn_codes(book, vectors, torch.arange(16).repeat(3))
    # The running mean of about 600 draws, each off by .01.
    assert book.get_buffer("embed").numpy() == pytest.approx(centres.numpy(), abs=0.01)


def test_a_dead_code_restarts_where_codes_are_missing() -> None:
    book = book_of(small_codec())
    book.get_buffer("cluster_size").fill_(1.0)
    book.get_buffer("cluster_size")[5] = 0.0
    far = torch.full((1, 8), 9.0)
    vectors = torch.cat([book.get_buffer("embed")[:1].clone(), far])
    learn_codes(book, vectors, torch.tensor([0, 0]))
    assert torch.equal(book.get_buffer("embed")[5], far[0])


def test_learning_codes_is_asked_for() -> None:
    network = small_codec()
    before = book_of(network).get_buffer("embed").clone()
    latent = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(1))
    quantise(network, latent, learn=False)
    assert torch.equal(book_of(network).get_buffer("embed"), before)
    quantise(network, latent, learn=True)
    assert not torch.equal(book_of(network).get_buffer("embed"), before)


def test_code_books_learn_in_float32_where_networks_compute_in_bfloat16() -> None:
    latent = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(1))
    books = []
    for lower in (False, True):
        network = small_codec()
        with torch.autocast("cpu", torch.bfloat16, enabled=lower):
            quantise(network, latent, learn=True)
        books.append(book_of(network).get_buffer("embed"))
    assert torch.equal(*books)
    lesson = lesson_of(small_codec())
    with torch.autocast("cpu", torch.bfloat16):
        loss = lesson.losses(lesson.batch(0))["loss"]
    torch.autograd.backward(loss)
    assert bool(torch.isfinite(loss))


def test_errors_of_the_same_and_of_silence() -> None:
    sound = wave(440.0, 1000.0)
    assert float(spectral_error(sound, sound)) == 0
    assert float(waveform_error(sound, sound)) == 0
    assert float(waveform_error(torch.zeros_like(sound), sound)) == pytest.approx(1, abs=1e-5)
    assert float(spectral_error(-sound, sound)) == pytest.approx(0, abs=1e-5)  # hears no phase


def test_a_soft_clip_counts_as_much_as_a_loud_one() -> None:
    sound, other = wave(440.0, 1000.0), wave(500.0, 700.0)
    gains = torch.tensor([1.0, 0.1])[:, None, None]
    even = waveform_error(other, sound)
    assert float(waveform_error(gains * other, gains * sound)) == pytest.approx(float(even), 1e-4)


def lesson_of(network: EncodecModel) -> CodecLesson:
    stream = CropStream((PROCEDURAL, NATURE), 1, 4 * HOP_LENGTH, SAMPLE_RATE)
    return CodecLesson(network, stream, 2, stream.crops(99, 1)[:, None])


def test_a_resumed_codec_is_that_of_an_uninterrupted_training(tmp_path: Path) -> None:
    recipe = Recipe("codec", 1e-3, 2, steps=4, report_s=0.0)
    whole = Training(small_codec(), recipe, tmp_path / "whole", device="cpu", resume=False)
    whole.run(lesson_of(whole.model))
    half = Training(small_codec(), recipe, tmp_path / "parts", device="cpu", resume=False)
    with pytest.raises(StoppedError):
        half.run(Stopping(lesson_of(half.model)))
    again = Training(small_codec(7), recipe, tmp_path / "parts", device="cpu", resume=True)
    assert again.step == 2
    again.run(lesson_of(again.model))
    for name, value in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name
        assert torch.equal(again.average[name], whole.average[name]), name


def test_where_the_decoder_goes_on_alone_codes_stay(tmp_path: Path) -> None:
    network = small_codec()
    known, before = codec.identity(network), small_codec().state_dict()
    network.encoder.requires_grad_(requires_grad=False)
    lesson = replace(lesson_of(network), decoder_only=True)
    recipe = Recipe("decoder", 1e-3, 2, steps=3)
    training = Training(network, recipe, tmp_path, device="cpu", resume=False)
    training.run(lesson)
    network.load_state_dict(training.average)
    assert codec.identity(network) == known
    changed = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert {name.partition(".")[0] for name in changed} == {"decoder"}


def command(work: Path, *options: str) -> str:
    arguments = ["wide-codec", "--work", str(work), "--device", "cpu"]
    arguments += ["--sources", "procedural,nature", *options]
    done = subprocess.run(
        [sys.executable, "-m", "methods.musicgen.pretrain", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    return f"{done.returncode} {done.stderr}"


@pytest.mark.slow
def test_the_command_trains_goes_on_and_leaves_weights_with_a_card(tmp_path: Path) -> None:
    assert command(tmp_path, "--fresh", "--steps", "12").startswith("0 ")
    assert "Pass --resume" in command(tmp_path, "--fresh", "--steps", "24")
    assert command(tmp_path, "--fresh", "--steps", "24", "--resume").startswith("0 ")
    card = json.loads((tmp_path / "wide_codec.json").read_text())
    assert card["samples"] == 24 * card["recipe"]["batch_size"]
    assert card["began_from"] == "nothing"
    assert [source["name"] for source in card["sources"]] == ["procedural", "nature"]
    assert set(card["held_out"]) == {*HELD_OUT_INSTRUMENTS, *UNHEARD}
    assert card["curve"][-1]["loss"] < card["curve"][0]["loss"]
    network = EncodecModel(codec.codec_config())
    network.load_state_dict(load_file(tmp_path / "wide_codec.safetensors"))
