"""The constants of foreign models are those that their authors published (`published.toml`)."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    ClapAudioConfig,
    ClapConfig,
    ClapModel,
    ClapTextConfig,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForCausalLM,
)

from methods.gatys.trunks import CNN14_MEL, VGGISH_MEL, Cnn14Trunk, MelScale
from methods.musicgen.sampling import DEFAULT_TOP_K, SamplingParameters
from methods.musicgen.style_conditioner import ConditionerSettings
from methods.musicgen.style_loading import decoder_config_of
from methods.musicgen.style_parameters import StyleParameters
from methods.riffusion import dropout, embedding
from methods.riffusion.audioldm2 import mel as audioldm2_mel
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.parameters.tve import PRESETS
from methods.riffusion.schedule import make_schedule
from methods.riffusion.spectrogram import SpectrogramParameters
from methods.ssvqvae.method import RELEASED
from methods.ssvqvae.network import NetworkSettings, StyleVQVAE
from metrics.clap import laion_files
from metrics.musicnn import front_end as musicnn_front_end
from metrics.musicnn import network as musicnn_network

PUBLISHED: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "published.toml").read_text(encoding="utf-8")
)
# Fields that no embedding and no logit depends on: bookkeeping of the library, the start of a
# training, and parts that these models lack (classifiers, fusion, beams, training).
_NO_EFFECT = {
    "_name_or_path", "architectures", "chunk_size_feed_forward", "dtype", "id2label",
    "initializer_factor", "initializer_range", "is_encoder_decoder", "label2id", "model_type",
    "output_attentions", "output_hidden_states", "problem_type", "return_dict",
    "transformers_version", "aff_block_r", "fusion_type", "num_classes", "max_position_embeddings",
    "tie_word_embeddings", "use_cache", "eos_token_id", "decoder_start_token_id",
    "add_cross_attention", "is_decoder", "cross_attention_hidden_size",
}  # fmt: skip


def section(*names: str) -> dict[str, Any]:
    """The values of sections, without their sources and their own sub-sections."""
    found: dict[str, Any] = {}
    for name in names:
        table: dict[str, Any] = PUBLISHED
        for part in name.split("."):
            table = table[part]
        found |= {key: value for key, value in table.items() if not isinstance(value, dict)}
    return {key: found[key] for key in found if key not in ("source", "revision")}


def unlike(config: dict[str, Any], published: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Fields with another value than published, or that decide a result and nobody published."""
    left_out = _NO_EFFECT - set(published)
    deciding = {name: value for name, value in config.items() if name not in left_out}
    names = sorted({*deciding, *published})
    return {
        name: (deciding.get(name), published.get(name))
        for name in names
        if deciding.get(name, ...) != published.get(name, ...)
    }


@pytest.mark.parametrize("size", ["tiny", "base"])
def test_a_laion_checkpoint_of_the_published_shapes_gets_the_published_configuration(
    size: str,
) -> None:
    """630k-audioset-best is the tiny tower, music_audioset_epoch_15_esc_90.14 the base one."""
    text = section("roberta_base", "laion_projections")
    audio = section("htsat", f"htsat.{size}", "laion_projections")
    config = ClapConfig(
        text_config=ClapTextConfig(**text).to_dict(),
        audio_config=ClapAudioConfig(**audio).to_dict(),
        projection_dim=text["projection_dim"],
    )
    with torch.device("meta"):
        shapes = ClapModel(config).state_dict()
    read = laion_files.read_config(shapes)
    assert unlike(read.text_config.to_dict(), text) == {}
    assert unlike(read.audio_config.to_dict(), audio) == {}


def test_laions_front_end() -> None:
    extractor = laion_files.build_extractor()
    wanted = section("laion_front_end")
    assert {name: getattr(extractor, name) for name in wanted} == wanted


def test_musicgen_styles_language_model() -> None:
    wanted = section("musicgen_style_lm")
    assert unlike(decoder_config_of(_published_shapes(wanted)).to_dict(), wanted) == {}


def _published_shapes(wanted: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Those tensors of the published state dict that sizes are read from, without numbers."""
    width, feed_forward = wanted["hidden_size"], wanted["ffn_dim"]
    shapes: dict[str, tuple[int, ...]] = {
        f"emb.{book}.weight": (wanted["vocab_size"] + 1, width)
        for book in range(wanted["num_codebooks"])
    }
    for layer in range(wanted["num_hidden_layers"]):
        shapes[f"transformer.layers.{layer}.norm1.bias"] = (width,)
        shapes[f"transformer.layers.{layer}.linear1.weight"] = (feed_forward, width)
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def test_every_norm_of_the_library_decoder_has_torchs_epsilon_as_audiocrafts_have() -> None:
    config = MusicgenMelodyDecoderConfig(
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=8
    )
    norms = [m for m in MusicgenMelodyForCausalLM(config).modules() if isinstance(m, nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {nn.LayerNorm(1).eps}


def test_musicgen_styles_conditioner() -> None:
    assert dataclasses.asdict(ConditionerSettings()) == section("musicgen_style_conditioner")


def test_musicgens_sampling() -> None:
    wanted = section("musicgen_sampling")
    sampling = SamplingParameters().sampling("full")
    style = StyleParameters()
    assert DEFAULT_TOP_K["full"] == wanted.pop("top_k")
    held = {**dataclasses.asdict(sampling), "stages": style.stages, "excerpt_s": style.excerpt_s}
    assert {name: held[name] for name in wanted} == wanted


@pytest.mark.parametrize(("scale", "name"), [(VGGISH_MEL, "vggish"), (CNN14_MEL, "cnn14")])
def test_front_ends_of_named_networks(scale: MelScale, name: str) -> None:
    held = {**dataclasses.asdict(scale.geometry), **dataclasses.asdict(scale)}
    wanted = section(name)
    wanted.pop("batch_norm_eps", None)
    assert {name: held[name] for name in wanted} == wanted


def test_musicnn() -> None:
    wanted = section("musicnn")
    assert wanted.pop("batch_norm_eps") == musicnn_network.EPSILON
    held = musicnn_front_end.describe()
    assert {name: held[name] for name in wanted} == wanted


def test_ssvqvae() -> None:
    with torch.device("meta"):
        network = StyleVQVAE()
    slopes = {m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)}
    wanted = section("ssvqvae")
    assert slopes == {wanted.pop("leaky_relu_slope")}
    assert _batch_norms(network) == {wanted.pop("batch_norm_eps")}
    held = {**dataclasses.asdict(RELEASED), **dataclasses.asdict(NetworkSettings())}
    assert {name: held[name] for name in wanted} == wanted


def test_cnn14s_batch_norms() -> None:
    assert _batch_norms(Cnn14Trunk(16)) == {section("cnn14")["batch_norm_eps"]}


def _batch_norms(network: nn.Module) -> set[float]:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    return {module.eps for module in network.modules() if isinstance(module, kinds)}


def test_the_spectrogram_codec() -> None:
    held, wanted = dataclasses.asdict(SpectrogramParameters()), section("riffusion_codec")
    assert {name: held[name] for name in wanted} == wanted


def test_the_spectrogram_of_audioldm2() -> None:
    assert section("audioldm2_mel") == {
        "filter_length": audioldm2_mel.N_FFT,
        "hop_length": audioldm2_mel.HOP_LENGTH,
        "win_length": audioldm2_mel.N_FFT,
        "n_mel_channels": audioldm2_mel.NUM_MELS,
        "sampling_rate": audioldm2_mel.SAMPLE_RATE,
        "mel_fmin": audioldm2_mel.LOWEST_HZ,
        "mel_fmax": audioldm2_mel.HIGHEST_HZ,
    }


def test_musictis_configuration() -> None:
    wanted = section("musicti")
    betas = wanted["beta_start"], wanted["beta_end"]
    schedule = make_schedule(*betas, num_train_timesteps=wanted["timesteps"])
    assert torch.equal(make_schedule().alphas_cumprod, schedule.alphas_cumprod)
    plan = PRESETS["released"].plan
    assert (plan.learning_rate, plan.batch_size, plan.steps) == (
        wanted["learning_rate"],
        wanted["batch_size"],
        wanted["steps"],
    )


def test_musictis_embedding() -> None:
    wanted = section("musicti_embedding")
    with torch.device("meta"):
        network = TimeVaryingEmbedding(torch.zeros(wanted["width"]), "full")
    inner = wanted["heads"] * wanted["head_width"]
    assert tuple(network.attention2.to_out.weight.shape) == (wanted["width"], inner)  # type: ignore[union-attr]  # a Linear in both forms
    assert network.time.first.out_features == wanted["time_width"]
    assert (wanted["heads"], wanted["dropout"]) == (embedding._HEADS, dropout.RATE)


def test_every_section_names_its_source() -> None:
    for name, table in PUBLISHED.items():
        assert ": " in table["source"], name
        assert len(table["revision"]) in (40, 64), name  # a commit, or SHA-256 of a wheel
