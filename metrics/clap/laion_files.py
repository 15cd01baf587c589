"""Read laion-clap checkpoints into transformers' `ClapModel`.

Such checkpoints are `630k-audioset-best.pt` and `music_audioset_epoch_15_esc_90.14.pt`. Both are
the same network (HTSAT and RoBERTa with two-layer projections) under other names; in laion's, the
query, key and value of the audio tower lie in one matrix. Sizes are read off the shapes, so tiny
and base towers load alike; what no shape shows stands in `metrics.clap.laion_constants`. Only
models without fusion are read: a fused one draws at random on short clips.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

from bench.api import CheckpointError
from bench.weights import refusals
from metrics.clap.laion_constants import AUDIO_TOWER, FRONT_END, TEXT_HEAD_SIZE, TEXT_TOWER

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
    tower = "audio_model.audio_encoder"
    stages = _count(state, r"audio_encoder\.layers\.(\d+)\.blocks")
    first = f"{tower}.layers.0.blocks.0"
    tables = [
        state[f"{tower}.layers.{stage}.blocks.0.attention.self.relative_position_bias_table"]
        for stage in range(stages)
    ]
    width, channels, patch, _ = state[f"{tower}.patch_embed.proj.weight"].shape
    return {
        **AUDIO_TOWER,
        "patch_embeds_hidden_size": width,
        "patch_embed_input_channels": channels,
        "patch_size": patch,
        "enable_patch_layer_norm": f"{tower}.patch_embed.norm.weight" in state,
        "hidden_size": width * 2 ** (stages - 1),
        "depths": [
            _count(state, rf"audio_encoder\.layers\.{stage}\.blocks\.(\d+)\.")
            for stage in range(stages)
        ],
        "num_attention_heads": [table.shape[1] for table in tables],
        "num_hidden_layers": stages,
        "window_size": (round(tables[0].shape[0] ** 0.5) + 1) // 2,
        "qkv_bias": f"{first}.attention.self.query.bias" in state,
        "mlp_ratio": state[f"{first}.intermediate.dense.weight"].shape[0] / width,
        "num_mel_bins": state[f"{tower}.batch_norm.weight"].shape[0],
    }


def _text_config(state: State) -> dict[str, object]:
    """The text tower's configuration, from converted names and shapes."""
    tables = {
        kind: state[f"text_model.embeddings.{kind}_embeddings.weight"]
        for kind in ("word", "position", "token_type")
    }
    width = tables["word"].shape[1]
    return {
        **TEXT_TOWER,
        "vocab_size": tables["word"].shape[0],
        "hidden_size": width,
        "num_hidden_layers": _count(state, r"text_model\.encoder\.layer\.(\d+)\."),
        "num_attention_heads": max(1, width // TEXT_HEAD_SIZE),
        "intermediate_size": state["text_model.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": tables["position"].shape[0],
        "type_vocab_size": tables["token_type"].shape[0],
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
    rule = "A checkpoint holds tensors and no code. Save its state_dict alone with torch.save."
    with refusals(path, rule):
        found = torch.load(path, map_location="cpu", weights_only=True)
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
    return ClapFeatureExtractor(**FRONT_END)
