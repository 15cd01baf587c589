"""Read laion-clap checkpoints into transformers' `ClapModel`.

Such checkpoints are `630k-audioset-best.pt` and `music_audioset_epoch_15_esc_90.14.pt`. Both are
the same network (HTSAT and RoBERTa with two-layer projections) under other names; in laion's, the
query, key and value of the audio tower lie in one matrix. The configuration is read off the shapes,
so tiny and base towers load alike. Only models without fusion are read: a fused one draws at random
on short clips.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

from bench.api import CheckpointError

# The order matters: later rules see what earlier ones made.
_RENAMED = (
    (r"^module\.", ""),
    (r"^text_branch", "text_model"),
    (r"^audio_branch", "audio_model.audio_encoder"),
    (r"bn0", "batch_norm"),
    (r"\.attn\.attention_mask", ".attn_mask"),
    (r"\.attn\.proj", ".attention.output.dense"),
    (r"\.attn\.", ".attention.self."),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
    (r"norm1", "layernorm_before"),
    (r"norm2", "layernorm_after"),
    (r"_projection\.0", "_projection.linear1"),
    (r"_projection\.2", "_projection.linear2"),
)
# Parts of a laion checkpoint that no embedding passes through, or that the library computes itself.
_UNUSED = (
    "audio_model.audio_encoder.spectrogram_extractor",
    "audio_model.audio_encoder.logmel_extractor",
    "audio_model.audio_encoder.tscam_conv",
    "audio_model.audio_encoder.head",
    "audio_transform",
    "text_transform",
)
_POSITION_ID_BUFFERS = ("position_ids", "token_type_ids")
_TEXT_HEAD_SIZE = 64  # RoBERTa's
# HTSAT on ten seconds at 48 kHz (laion-clap, HTSAT-tiny.json and HTSAT-base.json).
SAMPLE_RATE, HOP_LENGTH, N_FFT, WINDOW_S = 48000, 480, 1024, 10
NUM_MELS, LOWEST_HZ, HIGHEST_HZ = 64, 50, 14000

State = Mapping[str, torch.Tensor]


def rename(name: str) -> str:
    """The name of a laion tensor in `ClapModel`; `convert` splits `qkv` tensors beforehand."""
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def _split_attention(state: State) -> dict[str, torch.Tensor]:
    """Cut each fused query-key-value tensor of the audio tower into its three."""
    split: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if ".attn.qkv." not in name:
            split[name] = tensor
            continue
        for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
            split[name.replace("qkv", part)] = third.clone()
    return split


def convert(state: State) -> dict[str, torch.Tensor]:
    """Rename a laion state dict for `ClapModel`, leaving out what it does not use."""
    renamed = {rename(name): tensor for name, tensor in _split_attention(state).items()}
    return {
        name: tensor
        for name, tensor in renamed.items()
        if not name.startswith(_UNUSED)
        and not name.endswith((*_POSITION_ID_BUFFERS, "attn_mask", "relative_position_index"))
    }


def _count(state: State, pattern: str) -> int:
    """How many different numbers the first group of a pattern takes among the names."""
    return len({match.group(1) for name in state if (match := re.search(pattern, name))})


def _audio_config(state: State) -> dict[str, object]:
    """The audio tower's configuration, from converted names and shapes."""
    encoder = r"audio_encoder\.layers\."
    stages = _count(state, encoder + r"(\d+)\.blocks")
    tables = [
        state[
            f"audio_model.audio_encoder.layers.{stage}.blocks.0.attention.self.relative_position_bias_table"
        ]
        for stage in range(stages)
    ]
    width = state["audio_model.audio_encoder.patch_embed.proj.weight"].shape[0]
    return {
        "patch_embeds_hidden_size": width,
        "hidden_size": width * 2 ** (stages - 1),
        "depths": [
            _count(state, encoder + rf"{stage}\.blocks\.(\d+)\.") for stage in range(stages)
        ],
        "num_attention_heads": [table.shape[1] for table in tables],
        "num_hidden_layers": stages,
        "window_size": (round(tables[0].shape[0] ** 0.5) + 1) // 2,
        "num_mel_bins": NUM_MELS,
        "enable_fusion": False,
    }


def _text_config(state: State) -> dict[str, object]:
    """The text tower's configuration, from converted names and shapes."""
    positions = state["text_model.embeddings.position_embeddings.weight"]
    vocabulary_size, width = state["text_model.embeddings.word_embeddings.weight"].shape
    return {
        "vocab_size": vocabulary_size,
        "hidden_size": width,
        "num_hidden_layers": _count(state, r"text_model\.encoder\.layer\.(\d+)\."),
        "num_attention_heads": max(1, width // _TEXT_HEAD_SIZE),
        "intermediate_size": state["text_model.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": positions.shape[0],
    }


def read_config(state: State) -> ClapConfig:
    """Derive the configuration of a converted state dict from its shapes."""
    projection = state["audio_projection.linear2.weight"].shape[0]
    audio = {**_audio_config(state), "projection_dim": projection}
    text = {**_text_config(state), "projection_dim": projection}
    return ClapConfig(text_config=text, audio_config=audio, projection_dim=projection)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a `.pt` file without running code from it; tensors lie under "state_dict" or at the top.

    Raises:
        CheckpointError: The file holds more than tensors, or belongs to a fused model.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises many kinds
        raise CheckpointError(
            f"{path} cannot be read as tensors only ({error}); a checkpoint must hold no code. "
            "Save its state_dict alone with torch.save."
        ) from error
    state: dict[str, torch.Tensor] = found.get("state_dict", found)
    if any("fusion_model" in name or "mel_conv2d" in name for name in state):
        raise CheckpointError(
            f"{path} is a fused CLAP model; its embeddings of short clips are random. "
            "Use an unfused checkpoint."
        )
    return state


def load_laion(path: Path) -> ClapModel:
    """Build a `ClapModel` from a laion checkpoint, in evaluation mode and float32.

    Raises:
        CheckpointError: The file is unreadable, fused, or lacks tensors of the network.
    """
    state = convert(read_state(path))
    try:
        model = ClapModel(read_config(state))
    except KeyError as error:
        raise CheckpointError(
            f"{path} has no tensor {error}; it is not a laion CLAP model. Check the file."
        ) from error
    missing, unexpected = model.load_state_dict(state, strict=False)
    own = [
        name
        for name in missing
        if not name.endswith((*_POSITION_ID_BUFFERS, "relative_position_index"))
    ]
    if own or unexpected:
        raise CheckpointError(
            f"{path} lacks {own[:3]} and has unknown {unexpected[:3]}; it is not an unfused laion "
            "CLAP model. Check the file."
        )
    model.train(mode=False)
    return model


def build_extractor() -> ClapFeatureExtractor:
    """The front end that belongs to laion's unfused checkpoints."""
    return ClapFeatureExtractor(
        feature_size=NUM_MELS,
        sampling_rate=SAMPLE_RATE,
        hop_length=HOP_LENGTH,
        max_length_s=WINDOW_S,
        fft_window_size=N_FFT,
        frequency_min=LOWEST_HZ,
        frequency_max=HIGHEST_HZ,
        truncation="rand_trunc",
        padding="repeatpad",
    )
