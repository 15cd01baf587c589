"""Styles that were learnt with the released code of MusicTI, read without executing its pickles.

The released code saves whole modules, so that an ordinary load imports and runs whatever the file
names. Here the file is read as numbers (`methods.riffusion.released.unpickling`). All the same it
is done only on request (`checkpoint` and `trust_checkpoint` of TVE's parameters), because a
checkpoint decides what is heard.

To render as the released code most likely does, besides: `preset=released`,
`tve_infer_dropout=true`, `unstretch=false`, `width_mode=resize`, `brs_grid=released`. What stays
different: the order of random draws, and its sampling script's 200 steps, which are
`num_inference_steps=200`. The picture is truncated to 8 bits as there (`picture`).

**Source**: the format is that of `EmbeddingManager.save` in the released
`ldm/modules/embedding_manager.py` (Li et al., AAAI 2024, arXiv 2402.13763), in PyTorch's zip
container.
"""

from __future__ import annotations

from pathlib import Path

import torch

from bench.api import CheckpointError, StyleState
from bench.weights import refusals
from methods.riffusion.embedding import TimeVaryingEmbedding
from methods.riffusion.released.unpickling import RULE, parameters_of, read_without_executing

# Where the released names go in `TimeVaryingEmbedding` with all its parameters.
_PLACES = {
    "time_embed.0": "time.first",
    "time_embed.2": "time.second",
    "emb_layers.1": "time.third",
    **{
        f"attention.attn{number}.{theirs}": f"attention{number}.{ours}"
        for number in (1, 2)
        for theirs, ours in (
            ("to_q", "to_q"),
            ("to_k", "to_k"),
            ("to_v", "to_v"),
            ("to_out.0", "to_out"),
        )
    },
    "attention.net.1": "final",
}
_PLACEHOLDER = "*"
_SECTIONS = ("attention", "time_embed", "emb_layers", "initial_embeddings")


def import_style(path: Path, context_dim: int, style: str) -> StyleState:
    """The state of a style from a checkpoint of the released code.

    Args:
        path: As the released code wrote it.
        context_dim: Width of the text encoder that the style is for.
        style: Its name.

    Raises:
        CheckpointError: The file is another, holds several vectors per style, or is for a text
            encoder of another width.
    """
    found = _parameters(path)
    e0 = found.pop(f"initial_embeddings.{_PLACEHOLDER}", None)
    if e0 is None or e0.shape != (1, context_dim):
        shape = None if e0 is None else tuple(e0.shape)
        raise _refusal(path, f"its initial embedding has the shape {shape}, not (1, {context_dim})")
    learner = TimeVaryingEmbedding(torch.zeros(context_dim), "full")
    with refusals(path, RULE):
        learner.load_state_dict({**found, "e0": e0[0]})
    arrays = {name: value.numpy().copy() for name, value in learner.state_dict().items()}
    meta = {"variant": "musicti", "parameter_set": "full", "style": style, "imported": path.name}
    return StyleState(arrays=arrays, meta=dict(meta))


def _parameters(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint under our names; the initial embedding keeps its own."""
    stored = read_without_executing(path)
    if not (isinstance(stored, dict) and set(_SECTIONS) <= set(stored)):
        raise _refusal(path, "it lacks one of " + ", ".join(_SECTIONS))
    with refusals(path, RULE):
        found = {
            name: tensor
            for section in _SECTIONS
            for name, tensor in parameters_of(stored[section], f"{section}.").items()
        }
        return {_place(path, name): tensor.tensor().float() for name, tensor in found.items()}


def _refusal(path: Path, fact: str) -> CheckpointError:
    return CheckpointError(f"{path}: {fact}. {RULE}")


def _place(path: Path, name: str) -> str:
    if name.startswith("initial_embeddings."):
        if name == f"initial_embeddings.{_PLACEHOLDER}":
            return name
        raise _refusal(path, f"it has the embedding {name!r:.60}, besides that of its placeholder")
    layer, _, kind = name.rpartition(".")
    if layer not in _PLACES:
        raise _refusal(
            path, f"it has the weight {name!r:.60}, which is not in the released network"
        )
    return f"{_PLACES[layer]}.{kind}"
