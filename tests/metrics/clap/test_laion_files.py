"""Laion checkpoints load into `ClapModel`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    ClapAudioConfig,
    ClapConfig,
    ClapModel,
    ClapTextConfig,
    RobertaConfig,
    RobertaModel,
)

from bench.api import CheckpointError
from metrics.clap import laion_files
from tests.laion_names import laion_state

ABOUT = ("source", "revision")


def tiny_model() -> ClapModel:
    """Ten seconds at 48 kHz as the full one, but narrow."""
    audio = ClapAudioConfig(
        patch_embeds_hidden_size=8,
        depths=[1, 2, 1],
        num_attention_heads=[1, 2, 4],
        hidden_size=32,
        num_hidden_layers=3,
        projection_dim=16,
        enable_fusion=False,
    )
    text = ClapTextConfig(
        vocab_size=50,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=32,
        max_position_embeddings=20,
        projection_dim=16,
        layer_norm_eps=1e-5,  # RoBERTa's, and so laion's; the library's default is 1e-12
    )
    torch.manual_seed(0)
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=16)
    model = ClapModel(config)
    for parameter in model.parameters():  # biases and norms too, so that a swap of two shows
        torch.nn.init.normal_(parameter, std=0.1)
    model.train(mode=False)
    return model


@pytest.mark.parametrize(("prefix", "nested"), [("module.", True), ("", False)])
def test_a_model_under_laions_names_gives_the_same_embeddings(
    tmp_path: Path, prefix: str, nested: bool
) -> None:
    model = tiny_model()
    state = laion_state(model, prefix)
    path = tmp_path / "630k.pt"
    torch.save({"epoch": 1, "state_dict": state} if nested else state, path)
    loaded = laion_files.load_laion(path)
    ids = torch.tensor([[0, 7, 9, 2]])
    features = torch.randn(1, 1, 1001, 64)
    longer = torch.zeros(1, 1, dtype=torch.bool)
    with torch.inference_mode():
        for each in (
            lambda m: m.get_text_features(input_ids=ids),
            lambda m: m.get_audio_features(input_features=features, is_longer=longer),
        ):
            assert torch.equal(each(loaded).pooler_output, each(model).pooler_output)
    assert torch.equal(loaded.logit_scale_a, model.logit_scale_a)


def test_the_configuration_is_read_off_the_shapes() -> None:
    model = tiny_model()
    config = laion_files.read_config(laion_files.convert(laion_state(model)))
    audio, expected = config.audio_config, model.config.audio_config
    assert audio.depths == expected.depths
    assert audio.num_attention_heads == expected.num_attention_heads
    assert audio.window_size == expected.window_size
    assert audio.hidden_size == expected.hidden_size
    assert config.text_config.num_hidden_layers == 2


def test_texts_are_those_of_roberta_with_its_published_constants(tmp_path: Path) -> None:
    """The library's own RoBERTa and two linear layers are laion's text tower, built anew.

    Embeddings are small, as RoBERTa's are, and norms have offsets, so that an epsilon shows.
    """
    published = tomllib.loads((Path(__file__).parents[2] / "published.toml").read_text())
    constants = {k: v for k, v in published["roberta_base"].items() if k not in ABOUT}
    sizes = {"vocab_size": 50, "hidden_size": 128, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 2, "intermediate_size": 256, "max_position_embeddings": 20}
    torch.manual_seed(1)
    tower = RobertaModel(RobertaConfig(**{**constants, **sizes})).train(mode=False)
    for module in tower.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.bias, std=0.5)
    head = nn.Sequential(nn.Linear(128, 16), nn.ReLU(), nn.Linear(16, 16))
    state = laion_state(tiny_model())
    state = {k: v for k, v in state.items() if "text_branch" not in k and "text_proj" not in k}
    state |= {f"module.text_branch.{name}": v for name, v in tower.state_dict().items()}
    state |= {f"module.text_projection.{name}": v for name, v in head.state_dict().items()}
    torch.save(state, tmp_path / "630k.pt")
    loaded = laion_files.load_laion(tmp_path / "630k.pt")
    ids = torch.tensor([[0, 7, 9, 30, 31, 2]])
    with torch.inference_mode():
        wanted = nn.functional.normalize(head(tower(input_ids=ids).pooler_output))
        found = nn.functional.normalize(loaded.get_text_features(input_ids=ids).pooler_output)
    assert float((found - wanted).norm()) < text_rounding(sizes)


def text_rounding(sizes: dict[str, int]) -> float:
    """How far apart two orders of the same float32 sums may put a unit vector.

    Each of the matrix products that follow one another (six in a layer: query and key, values,
    output, two of the feed-forward, and three at the end) sums at most `intermediate_size` terms,
    whose errors add up like a random walk.
    """
    products = 6 * sizes["num_hidden_layers"] + 3
    return float(2**-24 * (products * sizes["intermediate_size"]) ** 0.5)


def test_names_of_the_published_checkpoint_are_mapped() -> None:
    pairs = {
        "module.audio_branch.layers.2.blocks.5.attn.proj.weight": (
            "audio_model.audio_encoder.layers.2.blocks.5.attention.output.dense.weight"
        ),
        "module.text_branch.encoder.layer.11.attention.output.LayerNorm.bias": (
            "text_model.encoder.layer.11.attention.output.LayerNorm.bias"
        ),
        "module.audio_branch.bn0.running_var": "audio_model.audio_encoder.batch_norm.running_var",
        "module.audio_projection.2.bias": "audio_projection.linear2.bias",
    }
    assert {name: laion_files.rename(name) for name in pairs} == pairs


def test_a_fused_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fusion.pt"
    torch.save({"audio_branch.patch_embed.fusion_model.local_att.0.weight": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="fused CLAP model"):
        laion_files.load_laion(path)


def test_a_checkpoint_with_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "code.pt"
    torch.save({"state_dict": Path}, path)
    with pytest.raises(CheckpointError, match=r"cannot be read \(.* holds tensors and no code"):
        laion_files.load_laion(path)


def test_an_incomplete_checkpoint_is_refused(tmp_path: Path) -> None:
    state = laion_state(tiny_model())
    del state["module.audio_branch.layers.1.blocks.1.mlp.fc2.bias"]
    path = tmp_path / "cut.pt"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match=r"lacks .*output\.dense\.bias"):
        laion_files.load_laion(path)


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="not a laion CLAP model"):
        laion_files.load_laion(path)


def test_the_front_end_is_that_of_the_published_checkpoint() -> None:
    extractor = laion_files.build_extractor()
    assert extractor.sampling_rate == 48000
    assert extractor.nb_max_samples == 480000
    assert (extractor.fft_window_size, extractor.hop_length) == (1024, 480)
    assert (extractor.frequency_min, extractor.frequency_max) == (50, 14000)
    assert extractor.feature_size == 64
    assert (extractor.truncation, extractor.padding) == ("rand_trunc", "repeatpad")
