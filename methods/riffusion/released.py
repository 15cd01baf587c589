"""Styles that were learnt with the released code of MusicTI, read without executing its pickles.

The released code saves whole modules, so that an ordinary load imports and runs whatever the file
names. Here the pickle is read by an unpickler that knows a short list of names and makes inert
records of them: nothing of the file is called, and any other name ends the reading. All the same
it is done only on request (`checkpoint` and `trust_checkpoint` of TVE's parameters), because a
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

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bench.api import CheckpointError, StyleState
from methods.riffusion.embedding import TimeVaryingEmbedding

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
# What reading a broken or foreign file may raise.
_UNREADABLE = (
    OSError, KeyError, TypeError, ValueError, EOFError, RuntimeError, AttributeError, IndexError,
    zipfile.BadZipFile, pickle.UnpicklingError,
)  # fmt: skip
_PLACEHOLDER = "*"
_SECTIONS = ("attention", "time_embed", "emb_layers", "initial_embeddings")


class Inert:
    """What stands for an object of the file: its attributes, and no behaviour."""

    def __init__(self, *_: object) -> None:
        self.attributes: dict[str, object] = {}

    def __setstate__(self, state: object) -> None:
        """Keep the attributes that the pickle gives."""
        self.attributes = dict(state) if isinstance(state, dict) else {}


@dataclass(frozen=True, slots=True)
class _Storage:
    """Numbers of one type as they lie in the container."""

    values: np.ndarray


def _tensor(
    storage: object, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> torch.Tensor:
    """A tensor over a storage, within its bounds."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    if math.prod(size) > len(storage.values):
        raise pickle.UnpicklingError(f"a tensor of {size}, more than its storage holds")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride), default=0) < 0 or last >= max(len(storage.values), 1):
        raise pickle.UnpicklingError(f"a tensor of {size} beyond its storage")
    flat = torch.from_numpy(storage.values.copy())
    return torch.as_strided(flat, size, stride, offset).clone()


def _parameter(data: object, *_: object) -> object:
    """A parameter is its data."""
    return data


_TYPES = {
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "DoubleStorage"): np.dtype("<f8"),
    ("torch", "HalfStorage"): np.dtype("<f2"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}
_KNOWN: dict[tuple[str, str], object] = {
    **_TYPES,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.nn.modules.linear", "Linear"): Inert,
    ("torch.nn.modules.linear", "Identity"): Inert,
    ("torch.nn.modules.dropout", "Dropout"): Inert,
    ("torch.nn.modules.activation", "SiLU"): Inert,
    ("torch.nn.modules.container", "Sequential"): Inert,
    ("torch.nn.modules.container", "ModuleList"): Inert,
    ("torch.nn.modules.container", "ParameterDict"): Inert,
    ("ldm.modules.attention", "CrossAttention"): Inert,
    ("ldm.modules.embedding_manager", "Attentions"): Inert,
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows `_KNOWN` and nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> object:
        """Look a name up in the list.

        Raises:
            UnpicklingError: It is not there.
        """
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"the name {module}.{name}, which is not on the list")
        return _KNOWN[module, name]

    def persistent_load(self, pid: object) -> _Storage:
        """Read the numbers that a storage names."""
        _, kind, key, *_ = pid if isinstance(pid, tuple) else (None, None, None)
        if not isinstance(kind, np.dtype):
            raise pickle.UnpicklingError(f"a storage of an unknown kind, {pid!r:.60}")
        return _Storage(np.frombuffer(self._archive.read(f"{self._root}/data/{key}"), kind))


def read_without_executing(path: Path) -> object:
    """The value of a file that torch.save wrote, with `Inert` records for its modules.

    Raises:
        CheckpointError: It is not such a file, or names something that is not on the list.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            return _Reader(archive, pickled.removesuffix("/data.pkl")).load()
    except _UNREADABLE as error:
        raise _refusal(path, str(error)) from error


def _refusal(path: Path, fact: str) -> CheckpointError:
    return CheckpointError(
        f"{path}: {fact}; a style checkpoint of the released code holds its embedding manager in "
        "PyTorch's zip format and nothing else. Name an embeddings_gs-*.pt file that it wrote."
    )


def parameters_of(record: object, prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a module's record, by their dotted names."""
    if not isinstance(record, Inert):
        return {}
    found: dict[str, torch.Tensor] = {}
    own, children = record.attributes.get("_parameters"), record.attributes.get("_modules")
    if isinstance(own, Mapping):
        found |= {f"{prefix}{key}": t for key, t in own.items() if isinstance(t, torch.Tensor)}
    if isinstance(children, Mapping):
        for key, child in children.items():
            found |= parameters_of(child, f"{prefix}{key}.")
    return found


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
    stored = read_without_executing(path)
    if not (isinstance(stored, dict) and set(_SECTIONS) <= set(stored)):
        raise _refusal(path, "it lacks one of " + ", ".join(_SECTIONS))
    found = {
        name: tensor.float()
        for section in _SECTIONS
        for name, tensor in parameters_of(stored[section], f"{section}.").items()
    }
    e0 = found.pop(f"initial_embeddings.{_PLACEHOLDER}", None)
    if e0 is None or e0.shape != (1, context_dim):
        shape = None if e0 is None else tuple(e0.shape)
        raise _refusal(path, f"its initial embedding has the shape {shape}, not (1, {context_dim})")
    state = {_place(path, name): tensor for name, tensor in found.items()}
    learner = TimeVaryingEmbedding(torch.zeros(context_dim), "full")
    try:
        learner.load_state_dict({**state, "e0": e0[0]})
    except RuntimeError as error:
        raise _refusal(path, str(error)) from error
    arrays = {name: value.numpy().copy() for name, value in learner.state_dict().items()}
    meta = {"variant": "musicti", "parameter_set": "full", "style": style, "imported": path.name}
    return StyleState(arrays=arrays, meta=dict(meta))


def _place(path: Path, name: str) -> str:
    layer, _, kind = name.rpartition(".")
    if layer not in _PLACES:
        raise _refusal(path, f"it has the weight {name}, which is not in the released network")
    return f"{_PLACES[layer]}.{kind}"
