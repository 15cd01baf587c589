"""Loading MusicGen-Style: the published state dict onto the library's decoder.

**Source of the names**: the published checkpoint's own; the library's conversion of MusicGen melody
renames the language model in the same way. There is no class of MusicGen-Style in the library.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoTokenizer,
    EncodecModel,
    HubertConfig,
    HubertModel,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForCausalLM,
    PreTrainedTokenizerBase,
    T5EncoderModel,
)

from bench.api import CheckpointError
from bench.device import frozen_precision
from bench.weights import check_tokenizer, hub_folder, refusals
from methods.musicgen.configuration import decoder_config
from methods.musicgen.style_checkpoints import CODEC, FEATURES, LANGUAGE_MODEL, TEXT_ENCODER
from methods.musicgen.style_conditioner import ConditionerSettings, StyleConditioner

STYLE_PREFIX = "condition_provider.conditioners.self_wav."
TEXT_PREFIX = "condition_provider.conditioners.description.output_proj."
# What no weight shows, from facebookresearch/audiocraft at commit
# 896ec7c47f5e5d1e5aa1e4b260c4405328bf009d: config/model/lm/default.yaml and musicgen_lm.yaml for
# the language model (model_scale/*.yaml gives 64 per head at every size), and
# audiocraft/modules/conditioners.py for the conditioner.
_HEAD_WIDTH = 64
LANGUAGE_MODEL_CONSTANTS: dict[str, object] = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "audio_channels": 1,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "layerdrop": 0.0,
}
State = Mapping[str, Tensor]

# Published names to the library's, in this order.
_RENAMED = (
    (r"^emb\.", "model.decoder.embed_tokens."),
    (r"^transformer\.layers\.", "model.decoder.layers."),
    (r"^out_norm\.", "model.decoder.layer_norm."),
    (r"^linears\.", "lm_heads."),
    (r"\.linear1\.", ".fc1."),
    (r"\.linear2\.", ".fc2."),
    (r"\.norm1\.", ".self_attn_layer_norm."),
    (r"\.norm2\.", ".final_layer_norm."),
)


@dataclass(frozen=True, slots=True, eq=False)
class StyleModel:
    """All parts of MusicGen-Style.

    Args:
        decoder: The language model.
        conditioner: Of the style.
        text_projection: From the text encoder to the language model.
        text_encoder: T5.
        tokenizer: Of the text encoder.
        features: Makes the conditioner's features of sound at 24 kHz.
        codec: EnCodec.
    """

    decoder: MusicgenMelodyForCausalLM
    conditioner: StyleConditioner
    text_projection: nn.Linear
    text_encoder: T5EncoderModel
    tokenizer: PreTrainedTokenizerBase
    features: HubertModel
    codec: EncodecModel

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.text_projection.weight.device

    @property
    def sample_rate(self) -> int:
        """Hz of what it makes."""
        return int(self.codec.config.sampling_rate)

    @property
    def hop_length(self) -> int:
        """Samples per frame of codes."""
        return math.prod(self.codec.config.upsampling_ratios)

    def settle(self, device: str) -> StyleModel:
        """Put all parts into inference on a device; the decoder in its frozen precision."""
        parts = (self.decoder, self.conditioner, self.text_projection, self.text_encoder)
        for part in (*parts, self.features, self.codec):
            part.train(mode=False).requires_grad_(requires_grad=False).to(device)
        self.decoder.to(getattr(torch, frozen_precision(device)))
        return self


def decoder_state(state: State) -> dict[str, Tensor]:
    """The language model's weights under the library's names.

    The published attention has one matrix for query, key and value, the library three.
    """
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith("condition_provider."):
            continue
        for pattern, text in _RENAMED:
            name = re.sub(pattern, text, name)  # noqa: PLW2901 - each rule works on the last one's
        if name.endswith("in_proj_weight"):
            place = name.removesuffix("in_proj_weight")
            for letter, third in zip("qkv", value.chunk(3), strict=True):
                renamed[f"{place}{letter}_proj.weight"] = third
        else:
            renamed[name] = value
    return renamed


def decoder_config_of(state: State) -> MusicgenMelodyDecoderConfig:
    """The language model's configuration: sizes from its weights, the rest as published."""
    codebooks = len([name for name in state if re.fullmatch(r"emb\.\d+\.weight", name)])
    entries, hidden = state["emb.0.weight"].shape
    layers = len(
        [name for name in state if re.fullmatch(r"transformer\.layers\.\d+\.norm1\.bias", name)]
    )
    return decoder_config(
        {
            **LANGUAGE_MODEL_CONSTANTS,
            "vocab_size": entries - 1,  # the last row stands for no code
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // _HEAD_WIDTH,
            "ffn_dim": len(state["transformer.layers.0.linear1.weight"]),
            "num_codebooks": codebooks,
        }
    )


def decoder_of(state: State) -> MusicgenMelodyForCausalLM:
    """The language model, with the sizes that its weights have."""
    decoder = MusicgenMelodyForCausalLM(decoder_config_of(state))
    # Built from its configuration, it has no attention implementation, and then no causal mask.
    decoder.set_attn_implementation("sdpa")
    _fill(decoder, decoder_state(state), "language model")
    return decoder


def conditioner_of(state: State) -> StyleConditioner:
    """The style conditioner, with the sizes that its weights have."""
    own = {
        name.removeprefix(STYLE_PREFIX): value
        for name, value in state.items()
        if name.startswith(STYLE_PREFIX)
    }
    width, feature_width = own["embed.weight"].shape
    settings = ConditionerSettings(
        feature_width=feature_width,
        width=width,
        layers=len([name for name in own if name.endswith("norm1.bias")]),
        heads=width // _HEAD_WIDTH,
        code_books=len([name for name in own if name.endswith("_codebook.embed")]),
        codes=len(own["rvq.vq.layers.0._codebook.embed"]),
        output_width=len(own["output_proj.weight"]),
    )
    conditioner = StyleConditioner(settings)
    _fill(conditioner, own, "style conditioner")
    return conditioner


def text_projection_of(state: State) -> nn.Linear:
    """The projection of text states."""
    weight, bias = state[f"{TEXT_PREFIX}weight"], state[f"{TEXT_PREFIX}bias"]
    projection = nn.Linear(weight.shape[1], weight.shape[0])
    _fill(projection, {"weight": weight, "bias": bias}, "text projection")
    return projection


def _fill(module: nn.Module, state: State, what: str) -> None:
    """Load weights, all of which must fit."""
    try:
        module.load_state_dict({name: value.float() for name, value in state.items()})
    except RuntimeError as error:
        raise CheckpointError(
            f"MusicGen-Style: the {what} does not fit its weights ({error}). Fetch "
            f"{LANGUAGE_MODEL.id} again."
        ) from error


def read_published(path: Path) -> State:
    """The weights of a published `state_dict.bin`.

    Raises:
        CheckpointError: The file is another checkpoint.
    """
    with refusals(path, f"The state dict of {LANGUAGE_MODEL.id} was expected. Fetch it again."):
        stored: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    state = stored.get("best_state") if isinstance(stored, dict) else None
    needed = ("emb.0.weight", f"{STYLE_PREFIX}embed.weight", f"{TEXT_PREFIX}weight")
    missing = [name for name in needed if not isinstance(state, dict) or name not in state]
    if missing or not isinstance(state, dict):
        raise CheckpointError(
            f"MusicGen-Style: {path} lacks {', '.join(missing)}; it must be the state dict of "
            f"{LANGUAGE_MODEL.id}. Fetch it again."
        )
    return state


def features_of(folder: Path) -> HubertModel:
    """MERT's weights in the library's HuBERT, which has its architecture, without remote code.

    Raises:
        CheckpointError: A weight of HuBERT has none in the folder.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for unwanted in ("auto_map", "architectures", "model_type"):
        config.pop(unwanted, None)
    model = HubertModel(HubertConfig(**config))
    state = read_weights(folder)
    renamed = {
        name.replace("conv.weight_g", "conv.parametrizations.weight.original0").replace(
            "conv.weight_v", "conv.parametrizations.weight.original1"
        ): value.float()
        for name, value in state.items()
    }
    missing = set(model.load_state_dict(renamed, strict=False).missing_keys) - {"masked_spec_embed"}
    if missing:
        raise CheckpointError(
            f"MusicGen-Style: {folder} lacks {', '.join(sorted(missing)[:3])} and so on; it must "
            f"hold {FEATURES.id}. Fetch it again."
        )
    return model


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a model folder: safetensors before a pickle, which is read as tensors only.

    Raises:
        CheckpointError: The file cannot be read.
    """
    path = folder / "model.safetensors"
    if path.is_file():
        return load_file(path)
    path = folder / "pytorch_model.bin"
    with refusals(path, "A state dict was expected. Fetch it again."):
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def load_style_model(device: str) -> StyleModel:
    """Load all parts from the hub's local cache.

    Raises:
        CheckpointError: One of them is not here, or is another.
    """
    state = read_published(hub_folder(LANGUAGE_MODEL) / "state_dict.bin")
    text = hub_folder(TEXT_ENCODER)
    tokenizer = AutoTokenizer.from_pretrained(text)
    check_tokenizer(tokenizer, text)
    return StyleModel(
        decoder_of(state),
        conditioner_of(state),
        text_projection_of(state),
        T5EncoderModel.from_pretrained(text, dtype=torch.float32),
        tokenizer,
        features_of(hub_folder(FEATURES)),
        EncodecModel.from_pretrained(hub_folder(CODEC), dtype=torch.float32),
    ).settle(device)
