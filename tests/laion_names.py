"""A `ClapModel` under laion's names, by the inverse of the key map, which is made here."""

from __future__ import annotations

import torch
from transformers import ClapModel

_BLOCK = {
    "attention.output.dense": "attn.proj",
    "attention.self.": "attn.",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "batch_norm": "bn0",
}


def laion_name(name: str) -> str:
    """The inverse of the key map, written from laion's module tree rather than from ours."""
    tower, _, rest = name.partition(".")
    if tower == "text_model":
        return f"text_branch.{rest}"
    if tower != "audio_model":
        return name.replace("linear1", "0").replace("linear2", "2")
    inner = rest.removeprefix("audio_encoder.")
    theirs = next((part for part in _BLOCK if part in inner), "")
    return "audio_branch." + (inner.replace(theirs, _BLOCK[theirs]) if theirs else inner)


def laion_state(model: ClapModel, prefix: str = "module.") -> dict[str, torch.Tensor]:
    """The model's tensors as laion would have saved them, with parts no embedding needs."""
    own = model.state_dict()
    saved: dict[str, torch.Tensor] = {}
    for name, tensor in own.items():
        if ".attention.self.query." in name and name.startswith("audio_model"):
            parts = [own[name.replace("query", part)] for part in ("query", "key", "value")]
            place = name.removeprefix("audio_model.audio_encoder.")
            place = place.replace("attention.self.query", "attn.qkv")
            saved[f"{prefix}audio_branch.{place}"] = torch.cat(parts)
        elif not (
            name.startswith("audio_model") and (".self.key." in name or ".self.value." in name)
        ):
            saved[prefix + laion_name(name)] = tensor
    saved[prefix + "audio_branch.layers.0.blocks.1.attn_mask"] = torch.zeros(4, 4)
    saved[prefix + "audio_branch.spectrogram_extractor.stft.conv_real.weight"] = torch.ones(2)
    saved[prefix + "audio_branch.logmel_extractor.melW"] = torch.ones(2)
    saved[prefix + "audio_branch.tscam_conv.weight"] = torch.ones(2)
    saved[prefix + "audio_branch.head.weight"] = torch.ones(2)
    saved[prefix + "text_transform.sequential.0.weight"] = torch.ones(2)
    saved[prefix + "audio_transform.sequential.3.weight"] = torch.ones(2)
    return saved
