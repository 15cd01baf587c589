"""A file of torch.save read as numbers: nothing of its pickle is imported, called or changed.

A pickle is a program: it names functions and classes, calls them, and sets attributes of whatever
it holds. Here each name of a short list stands for a value that cannot be changed, so that no file
alters anything of this process, and any other name ends the reading. What a file may cost is
bounded before it is read: its members, the opcodes of its pickle, and each tensor.

**Source**: the container is PyTorch's zip format (`torch.save` since 1.6); its pickle has
protocol 2.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided

from bench.weights import refusals

MOST_BYTES = 1 << 28  # of all members together: the largest real file has 60 MB
MOST_PICKLE_BYTES = 1 << 20  # a real one has 20 kB
MOST_TUPLES = 10_000  # hashing one tuple in another takes a frame of the C stack for each
MOST_MODULES = 1_000  # a real file has 30; one that holds itself would have no end
PROTOCOL = 2  # what torch.save writes
# Calls of classes by other ways than the list, and names outside of it.
_REFUSED_OPCODES = frozenset({"INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID"})
RULE = (
    "A style checkpoint of the released code holds its embedding manager in PyTorch's zip format "
    "and nothing else. Name an embeddings_gs-*.pt file that it wrote."
)


class _Unchangeable(type):
    """The kind of a class whose attributes stay as they were written."""

    def __setattr__(cls, name: str, value: object) -> NoReturn:
        """Refuse; a pickle sets attributes of the classes that it names."""
        raise AttributeError(f"{cls.__name__}.{name} cannot be changed")


class Inert(metaclass=_Unchangeable):
    """What stands for an object of the file: its attributes, and no behaviour."""

    __slots__ = ("attributes",)

    def __init__(self, *_: object) -> None:
        self.attributes: dict[str, object] = {}

    def __setstate__(self, state: object) -> None:
        """Keep the attributes that the pickle gives."""
        self.attributes = dict(state) if isinstance(state, dict) else {}


class _Storage(NamedTuple):
    """Numbers of one type as they lie in the container."""

    values: np.ndarray


class StoredTensor(NamedTuple):
    """A tensor of the file: where its numbers lie in a storage. Within the bounds of the storage.

    Attributes:
        values: All numbers of the storage, shape (number,).
        offset: Of its first number.
        size: Along each axis.
        stride: Numbers from one index of an axis to the next.
    """

    values: np.ndarray
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def tensor(self) -> torch.Tensor:
        """The tensor itself, a copy of its numbers and of no others in the storage."""
        if not math.prod(self.size):
            return torch.from_numpy(np.zeros(self.size, self.values.dtype))
        steps = [step * self.values.itemsize for step in self.stride]
        seen = as_strided(self.values[self.offset :], self.size, steps, writeable=False)
        return torch.from_numpy(np.array(seen))


class _Name(NamedTuple):
    """What the pickle gets for a name of the list that is not a class: a word, and a call.

    A function would do as well, but its defaults could be changed, for every later reading too.
    """

    role: str

    def __call__(self, *arguments: object) -> object:
        """Make a tensor of its parts; of a parameter's parts take its tensor."""
        if self.role == "tensor":
            return _stored(*arguments)
        if self.role == "parameter" and arguments:
            return arguments[0]
        raise pickle.UnpicklingError(f"a call of {self.role}")


def _stored(
    storage: object = None, offset: object = 0, size: object = (), stride: object = (), *_: object
) -> StoredTensor:
    """A tensor over a storage, within its bounds."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without storage")
    if not (isinstance(size, tuple) and isinstance(stride, tuple)):
        raise pickle.UnpicklingError("a tensor whose size is no tuple")
    if any(type(number) is not int or number < 0 for number in (offset, *size, *stride)):
        raise pickle.UnpicklingError(f"a tensor of size {size!r:.60}, not of whole numbers")
    begin, held = int(str(offset)), len(storage.values)
    if math.prod(size) > held:
        raise pickle.UnpicklingError(f"a tensor of {size!r:.60}, more than its storage holds")
    last = begin + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= held:
        raise pickle.UnpicklingError(f"a tensor of {size!r:.60} beyond its storage")
    return StoredTensor(storage.values, begin, size, stride)


_TYPES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}
_KNOWN: dict[tuple[str, str], object] = {
    **{("torch", kind): _Name(code) for kind, code in _TYPES.items()},
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): _Name("tensor"),
    ("torch._utils", "_rebuild_parameter"): _Name("parameter"),
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

    def __init__(self, archive: zipfile.ZipFile, root: str, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        self._archive = archive
        self._root = root
        self._storages: dict[tuple[str, str], _Storage] = {}

    def find_class(self, module: str, name: str) -> object:
        """Look a name up in the list.

        Raises:
            UnpicklingError: It is not there.
        """
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(
                f"the name {module!s:.60}.{name!s:.60}, which is not on the list"
            )
        return _KNOWN[module, name]

    def persistent_load(self, pid: object) -> _Storage:
        """Read the numbers that a storage names, once however often it is named."""
        _, kind, key, *_ = pid if isinstance(pid, tuple) else (None, None, None)
        if not (isinstance(kind, _Name) and kind.role in _TYPES.values() and isinstance(key, str)):
            raise pickle.UnpicklingError(f"a storage of an unknown kind, {pid!r:.60}")
        place = (kind.role, key)
        if place not in self._storages:
            stored = self._archive.read(f"{self._root}/data/{key}")
            self._storages[place] = _Storage(np.frombuffer(stored, np.dtype(kind.role)))
        return self._storages[place]


def read_without_executing(path: Path) -> object:
    """The value of a file that torch.save wrote.

    Modules are `Inert` records and tensors are `StoredTensor`.

    Raises:
        CheckpointError: It is not such a file, names something that is not on the list, is larger
            or nested deeper than such a file is, or does not fit the memory.
    """
    with refusals(path, RULE), zipfile.ZipFile(path) as archive:
        _require_stored(archive)
        (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        program = archive.read(pickled)
        _require_modest(program)
        return _Reader(archive, pickled.removesuffix("/data.pkl"), program).load()


def _require_stored(archive: zipfile.ZipFile) -> None:
    """Bound what the members can take before one is read; torch.save compresses none of them."""
    members = archive.infolist()
    packed = [member for member in members if member.compress_type != zipfile.ZIP_STORED]
    if packed:
        raise pickle.UnpicklingError(f"the member {packed[0].filename!r:.60}, which is compressed")
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES:
        raise pickle.UnpicklingError(f"{total} bytes, more than the {MOST_BYTES} of such a file")


def _require_modest(program: bytes) -> None:
    """Refuse a pickle that is long, deeply nested, or uses what torch.save never writes."""
    if len(program) > MOST_PICKLE_BYTES:
        raise pickle.UnpicklingError(f"a pickle of {len(program)} bytes")
    tuples = 0
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.proto > PROTOCOL or opcode.name in _REFUSED_OPCODES:
            raise pickle.UnpicklingError(f"the opcode {opcode.name} in its pickle")
        tuples += opcode.name.startswith("TUPLE")
        far = opcode.name in {"LONG_BINPUT", "PUT"} and int(argument or 0) > len(program)
        if tuples > MOST_TUPLES or far:
            raise pickle.UnpicklingError("a pickle that is nested or numbered beyond its length")


def parameters_of(record: object, prefix: str = "") -> dict[str, StoredTensor]:
    """The tensors of a module's record and of those in it, by their dotted names.

    Raises:
        UnpicklingError: There are more modules or numbers than in such a file; a record that is
            held by itself has no end of them.
    """
    found: dict[str, StoredTensor] = {}
    left, modules = [(prefix, record)], 0
    while left:
        place, module = left.pop()
        if not isinstance(module, Inert):
            continue
        modules += 1
        own, children = module.attributes.get("_parameters"), module.attributes.get("_modules")
        if isinstance(own, Mapping):
            found |= {f"{place}{key}": t for key, t in own.items() if isinstance(t, StoredTensor)}
        if isinstance(children, Mapping):
            left += [(f"{place}{key}.", child) for key, child in children.items()]
        numbers = sum(math.prod(tensor.size) for tensor in found.values())
        if modules + len(left) > MOST_MODULES or numbers > MOST_BYTES // 4:
            raise pickle.UnpicklingError("more modules or numbers than in such a file")
    return found
