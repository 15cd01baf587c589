"""Training SS VQ-VAE: the same steps as a plain loop, resuming, pairs, the folder it exports."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.api import Audio, ConfigError, Json
from bench.audio import write_audio
from bench.corpus.sources import PROCEDURAL
from bench.corpus.stream import CropStream
from bench.training.card import export as export_weights
from bench.training.card import read_export
from bench.training.loop import Training
from methods.phase import Geometry
from methods.ssvqvae.method import load_folder, log_spectra
from methods.ssvqvae.network import NetworkSettings, StyleVQVAE
from methods.ssvqvae.pretrain.data import Corpus, draw_pairs, read_folder
from methods.ssvqvae.pretrain.export import export
from methods.ssvqvae.pretrain.training import (
    RECIPE,
    PairSource,
    Pupil,
    VqVaeLesson,
    held_out_pairs,
    perplexity,
    restart_unused,
)
from tests import kits, rounding
from tests.stopping import StoppedError, Stopping

SMALL = NetworkSettings(bins=65, width=16, codes=8)
GEOMETRY = Geometry(16_000, 128, 128, 64)
SHORT = replace(RECIPE, budget_s=None, steps=53, batch_size=2, report_s=1e9)


def tones(shape: str, count: int) -> list[np.ndarray]:
    """Sine or saw tones of several pitches, int16."""
    time = np.arange(16_000) / 16_000
    made = []
    for number in range(count):
        phase = time * (220.0 * 2 ** (number / 6))
        wave = np.sin(2 * np.pi * phase) if shape == "sine" else 2 * (phase % 1) - 1
        made.append((wave * 9000).astype(np.int16))
    return made


CORPUS = Corpus({shape: tones(shape, 6) for shape in ("sine", "saw")})


def pupil(seed: int = 0) -> Pupil:
    torch.manual_seed(seed)
    return Pupil(StyleVQVAE(SMALL))


def lesson_of(learner: Pupil, stream: CropStream | None = None) -> VqVaeLesson:
    learnt, held_out = CORPUS.split()
    pairs = PairSource(learnt, GEOMETRY, "cpu", 512, stream)
    return VqVaeLesson(learner, pairs, SHORT, held_out_pairs(held_out, GEOMETRY, "cpu", 512))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training of 53 steps, in which the code book starts again twice."""
    folder = tmp_path_factory.mktemp("taught")
    training = Training(pupil(), SHORT, folder, device="cpu", resume=False)
    training.run(lesson_of(training.model))  # type: ignore[arg-type]  # a Pupil
    return training


def test_the_loop_takes_the_steps_of_a_plain_one(taught: Training) -> None:
    """Equation 4 by Adam, a warm-up and half a cosine: what the bundled weights came from."""
    network = pupil().network
    learner = torch.optim.Adam(network.parameters(), lr=1.0)
    draws, used = lesson_of(pupil()), torch.zeros(8)
    for step in range(53):
        pairs = draws.batch(step)
        if step in (0, 50):
            with torch.no_grad():
                latents = network.content_encoder(pairs.content)
            places = latents.transpose(1, 2).reshape(-1, 16)
            idle = [code for code in range(8) if not used[code]]
            assert idle
            drawn = torch.Generator().manual_seed(step)
            picks = torch.randint(len(places), (len(idle),), generator=drawn)
            with torch.no_grad():
                network.vq.embedding.weight[idle] = places[picks]
            used = torch.zeros(8)
        cosine = 0.5 * (1 + math.cos(math.pi * step / 53))
        learner.param_groups[0]["lr"] = 1e-3 * min(1.0, (step + 1) / 50) * (0.97 * cosine + 0.03)
        made, quantised = network(pairs.content, pairs.style)
        loss = functional.mse_loss(made, pairs.content)
        loss = loss + quantised.codebook_loss + 0.5 * quantised.commitment_loss
        learner.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        learner.step()
        for code in quantised.codes.flatten().tolist():
            used[code] += 1
    assert taught.model.get_buffer("used").tolist() == used.tolist()
    found = taught.model.get_submodule("network").state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(found[name], value), name
        assert torch.equal(taught.average[f"network.{name}"], value), name


@pytest.mark.slow
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path: Path, taught: Training) -> None:
    often = replace(SHORT, report_s=0.0)
    first = Training(pupil(), often, tmp_path / "parts", device="cpu", resume=False)
    with pytest.raises(StoppedError):
        first.run(Stopping(lesson_of(first.model), at=3))  # type: ignore[arg-type]  # a Pupil
    again = Training(pupil(7), SHORT, tmp_path / "parts", device="cpu", resume=True)
    assert again.step == 3
    again.run(lesson_of(again.model))  # type: ignore[arg-type]  # a Pupil
    for name, value in taught.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_it_learns_and_evaluating_draws_nothing(tmp_path: Path, taught: Training) -> None:
    learner = pupil()
    before = torch.get_rng_state()
    fresh = Training(learner, SHORT, tmp_path, device="cpu", resume=False)
    untaught = fresh.evaluate(lesson_of(learner))
    assert torch.equal(torch.get_rng_state(), before)
    last = taught.curve[-1]
    assert last["same source"] < 0.8 * untaught["same source"]
    assert {"other source", "no style", "mean spectrum", "perplexity", "training"} <= last.keys()


def test_half_of_a_batch_is_two_clips_of_streamed_timbres() -> None:
    stream = CropStream((PROCEDURAL,), 1, 512, 16_000)
    plain, mixed = lesson_of(pupil()).batch(4), lesson_of(pupil(), stream).batch(4)
    assert mixed.content.shape == plain.content.shape
    # The half that was recorded is what a batch of that size draws.
    learnt = PairSource(CORPUS.split()[0], GEOMETRY, "cpu", 512).draw(1, SHORT.seed, 4)
    assert torch.equal(mixed.content[:1], learnt.content)
    assert torch.equal(mixed.style[:1], learnt.style)
    drawn = log_spectra(stream.pairs(4, 1)[0], GEOMETRY)
    assert torch.equal(mixed.content[1], drawn[0])
    assert torch.equal(mixed.style[1], drawn[1])


def test_an_exported_training_loads_in_half_precision(tmp_path: Path, taught: Training) -> None:
    facts: dict[str, Json] = {
        "network": {"bins": 65, "width": 16, "codes": 8},
        "geometry": {"sample_rate": 16_000, "n_fft": 128, "win_length": 128, "hop_length": 64},
        "recordings": {"sine": 6, "saw": 6},
        "sources": [],
        "held_out": [],
    }
    export_weights(taught, tmp_path, facts)
    export(*read_export(tmp_path, "ssvqvae"), tmp_path / "out")
    model = load_folder(tmp_path / "out")
    assert model.geometry == GEOMETRY
    for name, value in taught.model.get_submodule("network").state_dict().items():
        stored = model.network.state_dict()[name]
        atol = rounding.worst(1, scale=rounding.magnitude(value), dtype=torch.float16)
        torch.testing.assert_close(stored, value, rtol=0, atol=atol)
    assert "53 steps of 2 pairs" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_nothing_is_exported_before_a_training_has_ended(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no ssvqvae.safetensors and no ssvqvae.json"):
        read_export(tmp_path, "ssvqvae")


def command(stage: str, work: Path, *options: str) -> str:
    line = ["-m", "methods.ssvqvae.pretrain", stage, "--work", str(work), *options]
    return kits.run([sys.executable, *line], kits.CHECKOUT)


@pytest.mark.slow
def test_the_command_trains_goes_on_and_exports_what_loads(tmp_path: Path) -> None:
    for name, waves in CORPUS.sources.items():
        for number, wave in enumerate(waves):
            path = tmp_path / "data" / name / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, Audio(wave[None].astype(np.float32) / 32_767, 16_000))
    data = ("--data", str(tmp_path / "data"), "--sources", "procedural")
    small = (*data, "--device", "cpu", "--batch-size", "4")
    assert "holds no ssvqvae_mini.safetensors" in command("export", tmp_path)
    assert command("train", tmp_path, *small, "--steps", "2").startswith("0 ")
    assert "Pass --resume" in command("train", tmp_path, *small, "--steps", "4")
    assert command("train", tmp_path, *small, "--steps", "4", "--resume").startswith("0 ")
    card = json.loads((tmp_path / "ssvqvae_mini.json").read_text())
    assert (card["samples"], card["recordings"]) == (16, {"saw": 6, "sine": 6})
    assert [source["name"] for source in card["sources"]] == ["procedural"]
    out = tmp_path / "out"
    assert command("export", tmp_path, "--out", str(out)).startswith("0 ")
    assert load_folder(out).network.settings.codes == 256


@pytest.mark.slow
@pytest.mark.corpus
def test_a_kit_trains_alone_and_goes_on(tmp_path: Path) -> None:
    kit, out = tmp_path / "kit", tmp_path / "out"
    assert command("kit", tmp_path, "--out", str(kit), "--clips", "5").startswith("0 ")
    assert "is there already, with ssvqvae" in command("kit", tmp_path, "--out", str(kit))
    for steps in (2, 4):
        done = kits.train(kit, "ssvqvae", out, kits.ALL, BATCH="4", STEPS=str(steps))
        assert done.startswith("0 "), done
        assert json.loads((out / "ssvqvae_mini.json").read_text())["samples"] == 4 * steps
    assert command("export", out, "--out", str(tmp_path / "weights")).startswith("0 ")
    assert load_folder(tmp_path / "weights").network.settings.codes == 256


def test_perplexity_counts_the_codes_in_use() -> None:
    assert perplexity(torch.tensor([3, 3, 3]), 8) == pytest.approx(1.0)
    assert perplexity(torch.arange(8), 8) == pytest.approx(
        8.0, rel=rounding.worst(8 + 8)
    )  # a sum, its exponential


def test_unused_codes_start_again_from_latents() -> None:
    network = StyleVQVAE(SMALL)
    before = network.vq.embedding.weight.detach().clone()
    used = torch.tensor([1.0, 0, 1, 1, 0, 1, 1, 1])
    latents = torch.randn(2, SMALL.width, 6)
    assert restart_unused(network, used, latents, seed=0) == 2
    after = network.vq.embedding.weight.detach()
    assert torch.equal(after[used > 0], before[used > 0])
    rows = latents.transpose(1, 2).flatten(0, 1)
    assert all((rows == after[code]).all(-1).any() for code in (1, 4))


def test_a_folder_is_read_by_its_sub_folders(tmp_path: Path) -> None:
    audio = Audio(np.full((1, 4000), 0.25, np.float32), 8000)
    for name in ("flute/a.wav", "flute/b.wav", "solo.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_audio(tmp_path / name, audio)
    corpus = read_folder(tmp_path, 16_000)
    assert {name: len(clips) for name, clips in corpus.sources.items()} == {"flute": 2, "solo": 1}
    content, style = draw_pairs(corpus, 3, 3000, np.random.default_rng(0))
    assert content.shape == style.shape == (3, 3000)
