"""Styles of the released code: read as numbers, never run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from bench.api import CheckpointError, ConfigError, FitRequest, Style
from methods.riffusion.embedding import TimeVaryingEmbedding, sinusoid
from methods.riffusion.parameters.tve import TveParameters
from methods.riffusion.released import styles as released
from methods.riffusion.released import unpickling
from methods.riffusion.released.styles import import_style
from methods.riffusion.released.unpickling import (
    Inert,
    StoredTensor,
    parameters_of,
    read_without_executing,
)
from methods.riffusion.tve import TVE
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


def stored(*values: float) -> StoredTensor:
    numbers = np.array(values, np.float32)
    return StoredTensor(numbers, 0, (len(values),), (1,))


def test_records_have_tensors_and_no_behaviour() -> None:
    record = Inert("anything")
    record.__setstate__({"_parameters": {"weight": stored(1, 2), "bias": None}, "_modules": {}})
    assert list(parameters_of(record, "layer.")) == ["layer.weight"]
    assert parameters_of("no record") == {}


def test_a_stored_tensor_is_the_one_that_was_saved(tmp_path: Path) -> None:
    whole = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    parts = {
        "whole": whole,
        "part": whole[1:3, ::2].T,
        "empty": torch.zeros(0, 3),
        "one": whole[3, 5],
    }
    read = read_without_executing(written(tmp_path / "views.pt", parts))
    assert isinstance(read, dict)
    for name, tensor in parts.items():
        assert torch.equal(read[name].tensor(), tensor), name


def pickled(path: Path, code: bytes, **members: bytes) -> Path:
    """A container with a pickle written by hand."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", code)
        for name, content in members.items():
            archive.writestr(f"archive/data/{name}", content)
    return path


def fingerprint_of_the_list() -> list[object]:
    """Whatever a pickle could change of what the list hands out."""
    return [
        (names, value, type(value), sorted(dir(value)), vars(type(value)).get("__defaults__"))
        for names, value in unpickling._KNOWN.items()
    ]


TENSOR, PARAMETER = b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n"
LINEAR, FLOATS = b"ctorch.nn.modules.linear\nLinear\n", b"ctorch\nFloatStorage\n"
ORDERED = b"ccollections\nOrderedDict\n"
# BUILD with (None, {name: value}) sets attributes, with {name: value} it writes into __dict__.
SLOTS = b"(N(dV__defaults__\n(I7\ntsV__code__\nNstb."


@pytest.mark.parametrize(
    "build", [SLOTS, b"}VX\nI1\nsb.", b"(VX\nI1\nltb.", b"(I3\nV>\nNNNI-1\nI-1\nI0\ntb."]
)
@pytest.mark.parametrize("name", [TENSOR, PARAMETER, LINEAR, FLOATS, ORDERED, b"cbuiltins\nset\n"])
def test_no_name_of_the_list_can_be_changed_for_the_process(
    tmp_path: Path, name: bytes, build: bytes
) -> None:
    before = fingerprint_of_the_list()
    with pytest.raises(CheckpointError, match=r"bad\.pt cannot be read"):
        read_without_executing(pickled(tmp_path / "bad.pt", name + build))
    assert fingerprint_of_the_list() == before
    assert np.dtype("<f4").str == "<f4"
    read_without_executing(written(tmp_path / "good.pt", {"a": torch.zeros(3)}))


def test_nothing_that_is_handed_out_has_defaults_or_attributes_of_its_own() -> None:
    for value in unpickling._KNOWN.values():
        with pytest.raises((AttributeError, TypeError), match=r"changed|attribute"):
            value.__defaults__ = (7,)  # type: ignore[attr-defined] # that is the attempt
        assert not hasattr(value, "__code__")


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        (TENSOR + b"(tR.", "a tensor without storage"),
        (TENSOR + b"(VFloatStorage\nI0\n(t(ttR.", "a tensor without storage"),
        (PARAMETER + b"(tR.", "a call of parameter"),
        (FLOATS + b"(I3\ntR.", "a call of <f4"),
        (FLOATS + b")\x81.", "NEWOBJ"),
        (b"(Vstorage\n" + TENSOR + b"V0\nVcpu\nI4\ntQ.", "a storage of an unknown kind"),
        (b"(Vstorage\n" + FLOATS + b"V../data.pkl\nVcpu\nI4\ntQ.", "There is no item"),
        (b"cbuiltins\nset\n(]tRNa.", "'set' object"),
        (ORDERED + b"(I100000000\ntR.", "not iterable"),
        (b"ctorch.nn.modules.linear\nLinear\x00\n.", "not on the list"),
        (b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".", "expected"),
        (b"\x80\x04\x95" + (1 << 62).to_bytes(8, "little") + b".", "the opcode FRAME"),
        (b"Nr\x00\x00\x00\x7f.", "numbered beyond its length"),
        (b"\x82\x01.", "the opcode EXT1"),
        (b"", "pickle exhausted"),
        (b".", "underflow"),
    ],
)  # fmt: skip
def test_odd_calls_and_claims_of_a_pickle_are_refused(
    tmp_path: Path, code: bytes, fact: str
) -> None:
    with pytest.raises(CheckpointError, match=rf"bad\.pt cannot be read.*{fact}"):
        read_without_executing(pickled(tmp_path / "bad.pt", code))


def a_tensor(size: bytes, stride: bytes, offset: bytes = b"I0\n") -> bytes:
    storage = b"(Vstorage\n" + FLOATS + b"V0\nVcpu\nI4\ntQ"
    return TENSOR + b"(" + storage + offset + size + stride + b"tR."


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        (a_tensor(b"(I5\nt", b"(I1\nt"), "more than its storage holds"),
        (a_tensor(b"(I2\nt", b"(I9\nt"), "beyond its storage"),
        (a_tensor(b"(I1\nt", b"(I1\nt", b"I4\n"), "beyond its storage"),
        (a_tensor(b"(I2\nt", b"(I-1\nt"), "not of whole numbers"),
        (a_tensor(b"(F2.0\nt", b"(I1\nt"), "not of whole numbers"),
        (a_tensor(b"(I1\nI1\nt", b"(I1\nt"), "zip"),
        (a_tensor(b"V44\n", b"V11\n"), "whose size is no tuple"),
        (a_tensor(b"(L" + b"9" * 5000 + b"L\nt", b"(I1\nt"), "integer string"),
    ],
)  # fmt: skip
def test_a_tensor_has_the_size_of_its_numbers(tmp_path: Path, code: bytes, fact: str) -> None:
    with pytest.raises(CheckpointError, match=fact):
        read_without_executing(pickled(tmp_path / "bad.pt", code, **{"0": b"\0" * 16}))


@pytest.mark.parametrize("opener", [b"(", b"]", b"}V\n"])
def test_nesting_without_end_is_refused_with_the_file_named(tmp_path: Path, opener: bytes) -> None:
    """A tuple in a tuple, a hundred thousand deep, as a key: hashing it would end the process."""
    deep = b"(" + b"N" + b"\x85" * 100_000
    code = {b"(": b"}" + deep + b"Nst.", b"]": b"]" * 900_000 + b".", b"}V\n": b"}V\n" * 300_000}
    fact = "nested or numbered" if opener == b"(" else ""
    with pytest.raises(CheckpointError, match=rf"deep\.pt.*{fact}"):
        import_style(pickled(tmp_path / "deep.pt", code[opener]), DIM, "bird")


def test_a_module_that_holds_itself_and_one_that_multiplies_are_refused(tmp_path: Path) -> None:
    circle = Inert()
    circle.__setstate__({"_modules": {"0": circle}})
    tree: object = Inert()
    for _ in range(60):
        parent = Inert()
        parent.__setstate__({"_modules": {"a": tree, "b": tree}})
        tree = parent
    for record in (circle, tree):
        with pytest.raises(pickle.UnpicklingError, match="more modules"):
            parameters_of(record)
    sections = b"".join(b"V%s\ng1\ns" % name.encode() for name in released._SECTIONS)
    itself = LINEAR + b")\x81p1\n(dV_modules\n(dV0\ng1\nssb0}" + sections + b"."
    with pytest.raises(CheckpointError, match=r"circle\.pt cannot be read .*more modules"):
        import_style(pickled(tmp_path / "circle.pt", itself), DIM, "bird")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_unpacks_to_more_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(CheckpointError, match=r"bomb\.pt cannot be read.*which is compressed"):
        read_without_executing(path)


def test_a_pickle_in_a_pickle_and_two_of_them_are_refused(tmp_path: Path) -> None:
    inner = pickled(tmp_path / "inner.pt", b"N.").read_bytes()
    with pytest.raises(CheckpointError, match=r"outer\.pt cannot be read"):
        read_without_executing(pickled(tmp_path / "outer.pt", inner))
    path = pickled(tmp_path / "two.pt", b"N.")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", b"N.")
    with pytest.raises(CheckpointError, match=r"two\.pt cannot be read .*too many values"):
        read_without_executing(path)


# The process may have as much memory as it has, and a little more.
POOR = """
import resource, sys
from pathlib import Path
import torch
from bench.api import CheckpointError
from methods.riffusion.released import styles as released
from methods.riffusion.released import unpickling
from methods.riffusion.released.styles import import_style
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20),) * 2)
try:
    import_style(Path(sys.argv[1]), 24, "bird")
except CheckpointError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel how much memory is used")
def test_memory_that_is_not_there_is_a_refusal_with_the_file_named(tmp_path: Path) -> None:
    path = written(tmp_path / "large.pt", {"a": torch.zeros(50_000_000)})
    done = subprocess.run(
        [sys.executable, "-c", POOR, str(path)],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout.startswith(f"{path} cannot be read (MemoryError"), done.stderr


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
