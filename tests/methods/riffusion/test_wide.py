"""The noise predictor of any timbre: soft tokens, shards, batches, resuming, the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.api import ConfigError
from bench.corpus.nature import UNHEARD
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS, INSTRUMENTS
from bench.corpus.sources import FLUID, NATURE, PROCEDURAL, WORDED, allowed_programs
from bench.training.loop import Training
from bench.training.recipe import Recipe
from methods.riffusion.backbone import Backbone, read_backbone
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.pretrain import shards as material
from methods.riffusion.pretrain import wide
from methods.riffusion.pretrain.denoiser import TextedLatents
from methods.riffusion.pretrain.shards import KEPT_SHARDS, Renderer, Shard, Shards, Window
from methods.riffusion.pretrain.wide_export import write_weights
from methods.riffusion.soft_tokens import SoftTokens, statistics, with_tokens
from methods.riffusion.training_free.style_encoder import read_soft_tokens
from tests import kits
from tests.stopping import StoppedError, Stopping

SHAPE = (4, 8, 8)  # of the latents of the tiny backbone
FEW: material.Windows = {"worded": Window(2, 80), "timbres": Window(2, 20)}


def drawn(seed: int, count: int) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


def no_posterior(images: np.ndarray) -> tuple[Tensor, Tensor]:
    raise AssertionError(images.shape)


def shards_of(folder: Path) -> Shards:
    """Shards of noise, as many as a short training opens."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, kind in enumerate(("worded", "timbres")):
        captions = ["a", "b n"] * 2 if kind == "worded" else [""] * 4
        for number in range(2):
            means, deviations = drawn(10 * seed + number, 4), torch.full((4, *SHAPE), 0.1)
            path = material.path_of(folder, kind, number)  # type: ignore[arg-type]
            torch.save([means.half(), deviations.half(), captions], path)
    return Shards(Renderer((PROCEDURAL,), 0, no_posterior), folder, windows=FEW)


def model_of(backbone: Backbone) -> wide.WideModel:
    torch.manual_seed(0)
    return wide.WideModel(backbone, SHAPE[0] * SHAPE[1])


def lesson_of(model: wide.WideModel, recipe: Recipe, folder: Path) -> wide.WideLesson:
    test = TextedLatents(drawn(5, 3), drawn(6, 3), wide.tokens_of(model, ["a", "b", ""]))
    held_out = wide.HeldOut(drawn(7, 3), drawn(8, 3))
    return wide.WideLesson(model, shards_of(folder), recipe, "cpu", test, held_out)


def test_statistics_do_not_hear_which_way_time_runs() -> None:
    latents = drawn(1, 2)
    found, back = statistics(latents), statistics(latents.flip(-1))
    assert found.numpy() == pytest.approx(back.numpy(), abs=1e-6)
    assert found[:, :32].numpy() == pytest.approx(latents.numpy().mean(-1).reshape(2, -1), abs=1e-6)
    spread = latents.numpy().std(-1).reshape(2, -1)
    assert found[:, 32:64].numpy() == pytest.approx(spread, abs=1e-6)


def test_soft_tokens_begin_as_what_they_replace() -> None:
    torch.manual_seed(0)
    network = SoftTokens(32, torch.randn(6), torch.randn(4, 6))
    soft = network(drawn(1, 2))
    assert torch.equal(soft.row, network.get_buffer("row").expand(2, -1))
    assert torch.equal(soft.tokens, network.get_buffer("tokens").expand(2, -1, -1))


def test_tokens_take_the_last_places_of_a_context() -> None:
    contexts, tokens = torch.zeros(1, 6, 2), torch.ones(1, 4, 2)
    assert with_tokens(contexts, tokens)[0, :, 0].tolist() == [0, 0, 1, 1, 1, 1]


def test_a_soft_row_is_read_as_textual_inversion_reads_its_row(
    tiny_backbone: Backbone, twin_backbone: Backbone
) -> None:
    model, backbone = model_of(twin_backbone), tiny_backbone
    rows = torch.randn(2, backbone.context_dim, generator=torch.Generator().manual_seed(1))
    ids = wide.tokens_of(model, ["* a", "*", "*"])
    with torch.no_grad():
        contexts = model.contexts(ids, rows)
    assert torch.equal(contexts[1:], backbone.encode_placeholder(rows))
    alone = backbone.encode_prompt("* a")
    assert contexts[:1].numpy() == pytest.approx(alone.numpy(), abs=1e-5)


def test_what_is_alone_with_its_row_teaches_the_tokens_nothing(
    tmp_path: Path, tiny_backbone: Backbone
) -> None:
    model = model_of(tiny_backbone)
    lesson = lesson_of(model, Recipe("wide", 1e-3, 4, steps=1), tmp_path)
    batch = lesson.batch(0)
    ids = wide.tokens_of(model, ["a", "", "*", "*"])
    for alone, reaches in ((True, False), (False, True)):
        model.zero_grad()
        told = wide.WideBatch(
            batch.latents, batch.noise, batch.timesteps, ids, batch.heard, torch.tensor([alone] * 2)
        )
        torch.autograd.backward(lesson.losses(told)["timbres"])
        gradient = model.soft.second.weight.grad
        assert gradient is not None
        assert bool(gradient[:32].any())  # the row
        assert bool(gradient[32:].any()) is reaches  # the tokens


def test_a_training_goes_on_from_the_soft_tokens_of_its_weights() -> None:
    model = wide.build_model(MINI_FOLDER, 0)
    latents = torch.randn(2, 8, 16, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, kept = model.soft(latents), read_soft_tokens(MINI_FOLDER)(latents)
    assert torch.equal(found.row, kept.row)
    assert torch.equal(found.tokens, kept.tokens)


def worded(seed: int) -> Shard:
    """Loud clips are called "a", soft ones "b n"."""
    means = 0.3 * drawn(seed, 8) + torch.tensor([1.0, -1.0] * 4)[:, None, None, None]
    return Shard(means.half(), torch.full_like(means, 0.1).half(), ("a", "b n") * 4)


def test_a_head_start_teaches_the_soft_tokens_what_captions_say_and_nothing_else(
    tiny_backbone: Backbone,
) -> None:
    model = model_of(tiny_backbone)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    left = wide.head_start(model, [worded(1), worded(2)], 0, steps=60)
    changed = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert {name.split(".")[0] for name in changed} == {"soft"}
    assert all(parameter.grad is None for parameter in model.parameters())
    # A test clip that nothing was learnt from is called by its own words.
    with torch.no_grad():
        said = model.contexts(wide.tokens_of(model, ["a", "b n"]))
        soft = model.soft(worded(3).means.float())
        star = wide.tokens_of(model, ["*"]).expand(8, -1)
        by_row = model.contexts(star, soft.row)
    tails = torch.stack([(soft.tokens - one[-4:]).square().mean((1, 2)) for one in said])
    whole = torch.stack([(by_row - one).square().mean((1, 2)) for one in said])
    assert tails.argmin(0).tolist() == whole.argmin(0).tolist() == [0, 1] * 4
    assert left < 0.5


def test_a_batch_is_half_words_and_half_other_clips_of_the_same_timbres(
    tmp_path: Path, tiny_backbone: Backbone
) -> None:
    model = model_of(tiny_backbone)
    lesson = lesson_of(model, Recipe("wide", 1e-3, 8, steps=1), tmp_path)
    words, stars, pairs = 0, 0, 0
    clips = torch.cat([shard.means for shard in lesson.shards.open_at("timbres", 0)]).float()
    for step in range(6):
        batch = lesson.batch(step)
        placeholder = (batch.token_ids == model.placeholder_id).any(1)
        assert not bool(placeholder[:4].any())
        words, stars = words + 4, stars + int(placeholder[4:].sum())
        for painted, heard in zip(batch.latents[4:], batch.heard, strict=True):
            nearest = [
                int((clips - one).square().mean((1, 2, 3)).argmin()) for one in (painted, heard)
            ]
            assert nearest[0] ^ 1 == nearest[1]
            pairs += 1
        again = lesson.batch(step)
        assert torch.equal(again.latents, batch.latents)
        assert torch.equal(again.noise, batch.noise)
    assert words == pairs == 24
    assert 12 <= stars < 24  # 12 % are the empty text


@pytest.mark.slow
def test_a_resumed_training_is_the_uninterrupted_one(
    tmp_path: Path, tiny_backbone: Backbone, twin_backbone: Backbone
) -> None:
    recipe = Recipe("wide", 1e-3, 2, steps=3, report_s=0.0)
    states = []
    for backbone in (tiny_backbone, twin_backbone):
        stops = backbone is twin_backbone
        folder = tmp_path / str(stops)
        model = model_of(backbone)
        training = Training(model, recipe, folder, device="cpu", resume=False)
        if stops:
            with pytest.raises(StoppedError):
                training.run(Stopping(lesson_of(model, recipe, tmp_path / "shards")))
            model = model_of(backbone)
            model.unet.conv_in.weight.data.zero_()  # all of it comes from the checkpoint
            training = Training(model, recipe, folder, device="cpu", resume=True)
            assert training.step == 2
        training.run(lesson_of(model, recipe, tmp_path / "shards"))
        states.append(training.average)
    assert states[0].keys() == states[1].keys()
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []


def test_exported_weights_are_the_averages_in_a_folder_that_loads(tmp_path: Path) -> None:
    model = wide.build_model(MINI_FOLDER, 0)
    with torch.no_grad():
        model.soft.second.bias.fill_(0.5)
        model.unet.conv_out.bias.add_(1)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    write_weights(average, MINI_FOLDER, tmp_path / "weights")
    before, after = (read_backbone(f).parts.unet for f in (MINI_FOLDER, tmp_path / "weights"))
    moved = after.conv_out.bias - before.conv_out.bias
    assert moved.detach().numpy() == pytest.approx(1, abs=2**-9)  # float16 around 1
    assert torch.equal(after.conv_in.weight, before.conv_in.weight)
    for part in ("unet", "text_encoder", "vae"):
        folders = (MINI_FOLDER, tmp_path / "weights")
        configs = [json.loads((f / part / "config.json").read_text()) for f in folders]
        assert configs[0] == configs[1]
        assert "_name_or_path" not in configs[1]


def test_a_window_opens_shard_by_shard_and_lets_go_of_the_oldest() -> None:
    window = Window(2, 10)
    assert [len(window.at(step)) for step in (0, 9, 10, 25)] == [2, 2, 3, 4]
    late = window.at(10 * KEPT_SHARDS)
    assert (late.start, len(late)) == (2, KEPT_SHARDS)


def test_shards_that_have_closed_leave_the_disk(tmp_path: Path) -> None:
    shards = shards_of(tmp_path)
    assert len(shards.open_at("timbres", 0)) == 2
    later = FEW["timbres"].every * KEPT_SHARDS
    for number in FEW["timbres"].at(later):
        torch.save(
            [drawn(0, 2), drawn(0, 2), ["", ""]], material.path_of(tmp_path, "timbres", number)
        )
    assert len(shards.open_at("timbres", later)) == KEPT_SHARDS
    assert not material.path_of(tmp_path, "timbres", 0).exists()
    assert material.path_of(tmp_path, "worded", 0).exists()


def test_programs_of_the_evaluation_and_held_out_instruments_are_never_trained_on() -> None:
    trained = set(material.timbres_for(FLUID, of_evaluation=False))
    kept = set(material.timbres_for(FLUID, of_evaluation=True))
    assert trained | kept == set(allowed_programs())
    assert not trained & kept
    assert not (trained | kept) & {INSTRUMENTS[name] for name in HELD_OUT_INSTRUMENTS}


def test_a_colour_is_one_curve_over_frequency() -> None:
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(2, 4410)).astype(np.float32)
    gains = [
        np.abs(np.fft.rfft(material.coloured(clip, np.random.default_rng(5))))
        / np.abs(np.fft.rfft(clip))
        for clip in clips
    ]
    assert gains[0] == pytest.approx(gains[1], rel=1e-2)
    assert 20 * np.log10(gains[0].max() / gains[0].min()) > 3


def test_clips_of_a_procedural_timbre_are_two_and_its_number_decides_them() -> None:
    images = material.timbre_images((PROCEDURAL,), 1, [3])
    assert images.shape == (2, 128, 256)
    assert (images[0] != images[1]).any()


@pytest.mark.parametrize("source", [NATURE, WORDED])
def test_sources_that_have_words_are_no_timbres(source: object) -> None:
    with pytest.raises(ConfigError, match="in the worded half of every batch already"):
        Renderer((PROCEDURAL, source), 0, no_posterior)  # type: ignore[arg-type]


@pytest.mark.corpus
def test_a_shard_follows_from_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "TIMBRES_PER_SHARD", 2)
    renderer = Renderer((PROCEDURAL, FLUID), 1, wide.FrozenPosterior(MINI_FOLDER))
    made: Shard = renderer.shard("timbres", 1)
    material.write_shard(renderer, tmp_path, "timbres", 1)
    means, _, captions = torch.load(material.path_of(tmp_path, "timbres", 1), weights_only=True)
    assert torch.equal(means, made.means)
    assert tuple(captions) == made.captions == ("",) * 4
    assert means.shape == (4, 8, 16, 32)


def test_there_are_no_more_shards_than_were_carried() -> None:
    window = Window(3, 1, most=3)
    assert window.at(0) == window.at(1000) == window.ahead(1000, 9) == range(3)
    assert Window(2, 10).ahead(25, 2) == range(6)


def command(stage: str, work: Path, *options: str) -> str:
    arguments = [stage, "--work", str(work), "--device", "cpu", "--processes", "1", *options]
    return kits.run([sys.executable, "-m", "methods.riffusion.pretrain", *arguments], kits.CHECKOUT)


@pytest.mark.slow
@pytest.mark.corpus
def test_the_command_trains_goes_on_and_leaves_weights_with_a_card(tmp_path: Path) -> None:
    assert command("wide", tmp_path, "--steps", "2").startswith("0 ")
    assert "Pass --resume" in command("wide", tmp_path, "--steps", "4")
    assert command("wide", tmp_path, "--steps", "4", "--resume").startswith("0 ")
    card = json.loads((tmp_path / "wide.json").read_text())
    assert card["samples"] == 4 * card["recipe"]["batch_size"]
    assert [source["name"] for source in card["sources"]] == ["worded", "procedural", "fluid"]
    assert set(card["held_out"]) == {*HELD_OUT_INSTRUMENTS, *UNHEARD}
    assert {"right", "wrong", "own", "swapped", "row", "empty"} <= card["curve"][-1].keys()
    assert read_backbone(tmp_path / "weights").context_dim == 64


@pytest.mark.slow
@pytest.mark.corpus
def test_a_kit_trains_alone_without_a_soundfont_and_goes_on(tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    options = ("--out", str(kit), "--worded", "1")
    assert command("kit", tmp_path / "work", *options).startswith("0 ")
    assert "is there already" in command("kit", tmp_path / "work", *options)
    for steps in (2, 4):
        out = tmp_path / f"out{steps}"
        done = kits.train(kit, "riffusion", out, kits.SCIENCE, BATCH="4", STEPS=str(steps))
        assert done.startswith("0 "), done
        assert json.loads((out / "wide.json").read_text())["samples"] == 4 * steps
        back = {path.name: path.stat().st_size for path in out.iterdir()}
        assert {
            "unet.safetensors",
            "text_encoder.safetensors",
            "soft_tokens.safetensors",
        } < back.keys()
        assert max(back.values()) < 16 * 2**20
