"""Styles of the released code: read as numbers, never run."""

from __future__ import annotations

import os
import pickle
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from bench.api import CheckpointError, ConfigError, FitRequest, Style
from methods.riffusion.embedding import TimeVaryingEmbedding, sinusoid
from methods.riffusion.released import Inert, import_style, parameters_of, read_without_executing
from methods.riffusion.tve import TVE, TveParameters
from tests import rounding

DIM, HEADS = 24, 8
INNER = HEADS * 2  # head width 2 at dim 24, as ours shrinks in proportion


class CrossAttention(nn.Module):
    """Shaped as in the released code."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.heads = HEADS
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_k = nn.Linear(dim, inner, bias=False)
        self.to_v = nn.Linear(dim, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, dim), nn.Dropout(0.05))


class Attentions(nn.Module):
    """Shaped as in the released code."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.attn1 = CrossAttention(dim, inner)
        self.attn2 = CrossAttention(dim, inner)
        self.net = nn.Sequential(nn.Dropout(0.05), nn.Linear(dim, dim))


@pytest.fixture
def released_modules() -> Iterator[None]:
    """The released package as far as its pickles name it, there only while files are written."""
    places = {"ldm": {}, "ldm.modules": {}}
    places |= {"ldm.modules.attention": {"CrossAttention": CrossAttention}}
    places |= {"ldm.modules.embedding_manager": {"Attentions": Attentions}}
    for name, members in places.items():
        module = ModuleType(name)
        for key, kind in members.items():
            kind.__module__, kind.__qualname__ = name, key
            setattr(module, key, kind)
        sys.modules[name] = module
    yield
    for name in places:
        del sys.modules[name]


def released_parts(dim: int = DIM, inner: int = INNER) -> dict[str, object]:
    torch.manual_seed(0)
    return {
        "string_to_token": {"*": torch.tensor(265)},
        "attention": Attentions(dim, inner),
        "time_embed": nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.SiLU(), nn.Linear(4 * dim, 4 * dim)
        ),
        "emb_layers": nn.Sequential(nn.SiLU(), nn.Linear(4 * dim, dim)),
        "initial_embeddings": nn.ParameterDict(
            {"*": nn.Parameter(torch.randn(1, dim), requires_grad=False)}
        ),
    }


def written(path: Path, parts: object) -> Path:
    """Save the parts, then forget the package that their classes come from."""
    torch.save(parts, path)
    return path


def released_embedding(parts: dict[str, object], timesteps: torch.Tensor) -> torch.Tensor:
    """What the released modules compute, step by step; softmax over one key is 1."""
    attention, time, out = parts["attention"], parts["time_embed"], parts["emb_layers"]
    start = parts["initial_embeddings"]["*"]  # type: ignore[index]  # a ParameterDict
    features = sinusoid(timesteps, DIM).to(start.dtype)
    hidden = out(time(features)) + start  # type: ignore[operator]  # modules
    second = attention.attn2  # type: ignore[attr-defined]  # Attentions
    attended = second.to_out[0](second.to_v(hidden))
    embedding: torch.Tensor = attention.net[1](attended)  # type: ignore[attr-defined]  # Attentions
    return embedding


@pytest.mark.usefixtures("released_modules")
def test_an_imported_style_is_the_released_embedding(tmp_path: Path) -> None:
    parts = released_parts()
    path = written(tmp_path / "embeddings_gs-300.pt", parts)
    for name in [name for name in sys.modules if name.startswith("ldm")]:
        sys.modules[name] = ModuleType(name)  # its classes are gone
    state = import_style(path, DIM, "bird")
    learner = TimeVaryingEmbedding(torch.zeros(DIM), "full")
    learner.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in state.arrays.items()})
    timesteps = torch.tensor([0, 1, 500, 999])
    modules = [part.double() for part in parts.values() if isinstance(part, nn.Module)]
    assert len(modules) == 4
    learner.double()  # both have the float32 weights of the file
    with torch.no_grad():
        expected = released_embedding(parts, timesteps)
        atol = rounding.of_networks(learner, scale=rounding.magnitude(expected))
        torch.testing.assert_close(learner(timesteps), expected, rtol=0, atol=atol)
    assert state.meta["imported"] == "embeddings_gs-300.pt"
    assert state.meta["parameter_set"] == "full"


class _Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.usefixtures("released_modules")
def test_nothing_of_the_file_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    parts = released_parts() | {"extra": _Malicious(trace)}
    path = written(tmp_path / "bad.pt", parts)
    with pytest.raises(CheckpointError, match=r"the name posix.mkdir, which is not on the list"):
        import_style(path, DIM, "bird")
    assert not trace.exists()


@pytest.mark.parametrize(
    "code",
    [b"cbuiltins\neval\n(V1\ntR.", b"cos\nsystem\n(Vtrue\ntR.", b"ctorch.hub\nload\n."],
    ids=["eval", "system", "hub"],
)
def test_names_that_are_not_on_the_list_end_the_reading(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "bad.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", code)
    with pytest.raises(CheckpointError, match=r"which is not on the list"):
        read_without_executing(path)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tensor.pt"
    torch.save({"a": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        names = {name: archive.read(name) for name in archive.namelist()}
    key = next(name for name in names if name.endswith("/data/0"))
    for stored in (b"\0" * 8, b""):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in names.items():
                archive.writestr(name, stored if name == key else content)
        with pytest.raises(CheckpointError, match=r"a tensor of \(4,\)"):
            read_without_executing(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match=r"not a zip file"):
        import_style(path, DIM, "bird")
    with pytest.raises(CheckpointError, match=r"No such file"):
        import_style(tmp_path / "none.pt", DIM, "bird")
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"lacks one of attention"):
        import_style(path, DIM, "bird")


@pytest.mark.usefixtures("released_modules")
def test_a_style_for_another_text_encoder_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "style.pt", released_parts())
    with pytest.raises(CheckpointError, match=r"shape \(1, 24\), not \(1, 768\)"):
        import_style(path, 768, "bird")


def test_records_have_tensors_and_no_behaviour() -> None:
    record = Inert("anything")
    record.__setstate__({"_parameters": {"weight": torch.ones(2), "bias": None}, "_modules": {}})
    assert list(parameters_of(record, "layer.")) == ["layer.weight"]
    assert parameters_of("no record") == {}


def test_reading_must_be_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"trust_checkpoint false"):
        TveParameters(checkpoint="style.pt")


@pytest.mark.weights
@pytest.mark.usefixtures("released_modules")
def test_tve_takes_an_imported_style_in_place_of_a_fit(tmp_path: Path) -> None:
    method = TVE()
    method.load("mini", "cpu")
    dim = method._model.backbone.context_dim
    inner = HEADS * max(1, dim * 2 // (3 * HEADS))
    written(tmp_path / "bird.pt", released_parts(dim, inner))
    parameters = TveParameters(checkpoint=str(tmp_path / "{style}.pt"), trust_checkpoint=True)
    (state,) = method.fit([FitRequest(Style("bird", ()), parameters, 0)], lambda *_: None)
    assert state.meta["imported"] == "bird.pt"
    assert method._rebuild(state).state_dict().keys() == state.arrays.keys()
