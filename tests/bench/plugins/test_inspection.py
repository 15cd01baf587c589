"""What is known of plug-ins from outside: nothing is imported here, and no file is missed."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from pydantic import TypeAdapter

from bench.api import (
    BenchError,
    ConfigError,
    Direction,
    HubCheckpoint,
    MethodInfo,
    MetricInfo,
    ProfileInfo,
    StyleState,
    UnknownNameError,
    UnsupportedError,
)
from bench.plan.plan import prepare_method
from bench.plan.suite import derive, load_suite
from bench.plugins import answers, catalog
from bench.plugins.inspection import digest_of, inspected, is_outside
from bench.plugins.kinds import kind_of
from bench.plugins.parameters import split_parameters
from bench.run.keys import identity_of
from bench.run.provenance import repository

METHOD = '''
from __future__ import annotations
import dataclasses, importlib, json, os
from pathlib import Path
import numpy as np
from bench.api import *
import helper
from parts import deep
computed = importlib.import_module("compu" + "ted")
FACTS = json.loads((Path(__file__).parent / "facts.json").read_text())

@dataclasses.dataclass(frozen=True)
class Settings:
    steps: int = dataclasses.field(default=3, metadata={"role": "fit"})
    layers: tuple[int, ...] = dataclasses.field(default=(1, 2), metadata={"role": "transfer"})
    def __post_init__(self):
        if self.steps > 9:
            raise ConfigError(f"steps is {self.steps}; at most 9 are possible. Lower it.")
    def given(self, usually):
        if self.steps == 8:
            return ["smell"]
        return ("style text",) if self.layers == (4,) else usually

class Mine(StyleTransferMethod[Settings]):
    """Mine."""
    INFO = MethodInfo("Mine", ("content audio",), fits_per_style=True, source="here")
    family = "ours"
    @classmethod
    def describe(cls, profile):
        if profile == "full":
            raise RuntimeError("no full profile")
        return ProfileInfo(sample_rate=np.int64(8000), weights=("weights.npz", "net"))
    @classmethod
    def departures(cls, parameters, profile):
        return (f"{len(parameters.layers)} layers",)
    @classmethod
    def transition(cls, first, second):
        if not first.arrays:
            raise UnsupportedError("there is nothing to go from.")
        return StyleState({"x": first.arrays["x"] + second.arrays["x"]})
    def load(self, profile, device):
        import lazy
    def fit(self, requests, progress): return []
    def transfer(self, requests): return []
'''
RUDE = """
import os, sys, random, locale
import numpy as np
np.mean = lambda *a, **k: 57.0
np.random.seed(0)
os.environ["RUDE"] = "yes"
os.chdir("/")
sys.setrecursionlimit(77)
json = sys.modules["json"]
json.dumps_of_old, json.separators = json.dumps, 3
"""


def written(folder: Path) -> Path:
    """A folder with a method and helpers of every kind beside it."""
    files = {
        "mine.py": METHOD,
        "helper.py": "import inner\n",
        "inner.py": "x = 1\n",
        "parts/__init__.py": "",
        "parts/deep.py": "from . import deeper\n",
        "parts/deeper.py": "x = 1\n",
        "computed.py": "x = 1\n",
        "lazy.py": "import lazier\n",
        "lazier.py": "x = 1\n",
        "facts.json": "{}",
        "unused.py": "x = 1\n",
        "notes.txt": "x",
        "net/a.bin": "1",
        "weights.npz": "1",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Such a folder, to be changed."""
    return written(tmp_path)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a folder in which nothing changes, so that one worker answers all questions."""
    return written(tmp_path_factory.mktemp("still"))


def test_every_file_that_a_method_takes_from_its_own_tree_is_part_of_its_identity(
    still: Path,
) -> None:
    entry = catalog.find_method(f"{still}/mine.py:Mine")
    names = [file.path.relative_to(still).as_posix() for file in inspected(entry.target).files]
    assert names == [
        "computed.py", "facts.json", "helper.py", "inner.py", "lazier.py", "lazy.py", "mine.py",
        "parts/__init__.py", "parts/deep.py", "parts/deeper.py",
    ]  # fmt: skip


def edited(path: Path, text: str) -> None:
    """Write with another time, whatever the clock of the file system can tell apart."""
    before = path.stat().st_mtime_ns
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [
        ("inner.py", "x = 2\n", True),
        ("lazier.py", "x = 2\n", True),
        ("facts.json", "[]", True),
        ("inner.py", "x = 1  # one\n", False),
        ("unused.py", "x = 2\n", False),
    ],
)
def test_a_change_of_any_of_them_is_another_identity(
    place: Path, name: str, text: str, changes: bool
) -> None:
    entry = catalog.find_method(f"{place}/mine.py:Mine")
    first = digest_of(entry)
    edited(place / name, text)
    assert (digest_of(entry) != first) is changes


def test_weights_beside_the_class_are_part_of_its_identity(place: Path) -> None:
    suite = derive(load_suite("mini"), methods=[f"{place}/mine.py:Mine"])
    planned = prepare_method(suite.choices[0], suite)
    seen = {identity_of(planned, "mini", "cpu").weights}
    for name in ("weights.npz", "net/a.bin"):
        edited(place / name, "2")
        seen.add(identity_of(planned, "mini", "cpu").weights)
    assert len(seen) == len(("first", "weights.npz", "net/a.bin"))
    assert planned.profile.weights == (str(place / "weights.npz"), str(place / "net"))


def test_a_worker_says_what_the_class_would_say(still: Path) -> None:
    entry = catalog.find_method(f"{still}/mine.py:Mine")
    assert entry.info.title == "Mine"
    assert type(catalog.describe(entry, "mini").sample_rate) is int
    with pytest.raises(ConfigError, match=r"cannot describe its profile full.*no full profile"):
        catalog.describe(entry, "full")
    kind = kind_of(entry)
    assert kind.family == "ours"
    for overrides, steps, layers in (
        ({}, 3, [1, 2]),
        ({"steps": 5}, 5, [1, 2]),
        ({"layers": [4]}, 3, [4]),
    ):
        made = kind.parameters(overrides)
        assert split_parameters(made) == ({"steps": steps}, {"layers": layers})
        assert kind.departures(made, "mini") == (f"{len(layers)} layers",)
        assert made.files == ()
        named = ("style text",) if layers == [4] else ("content audio",)
        assert kind.given(overrides, ("content audio",)) == named
    one, two = (StyleState({"x": np.array([x])}) for x in (1.0, 2.0))
    assert kind.transition(one, two).arrays["x"] == [3.0]


@pytest.mark.parametrize(
    ("ask", "kind", "words"),
    [
        (lambda kind: kind.parameters({"stepps": 1}), UnknownNameError, "mean 'steps'"),
        (lambda kind: kind.parameters({"steps": 10}), ConfigError, "steps is 10; at most 9"),
        (lambda kind: kind.parameters({"steps": "ten"}), ConfigError, "steps is 'ten'"),
        (
            lambda kind: kind.given({"steps": 8}, ("melody",)),
            ConfigError,
            r"says? that it is given \['smell'\]; it must be a tuple of style audio",
        ),
        (
            lambda kind: kind.transition(StyleState(), StyleState()),
            UnsupportedError,
            "nothing to go from",
        ),
    ],
)
def test_what_the_class_refuses_is_refused_in_its_words(
    still: Path, ask: Callable[[object], object], kind: type[BenchError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        ask(kind_of(catalog.find_method(f"{still}/mine.py:Mine")))


def test_nothing_that_importing_does_reaches_this_process(place: Path) -> None:
    (place / "helper.py").write_text(RUDE, encoding="utf-8")
    modules, before = sys.modules.keys() | set(), state_of_this_process()
    entry = catalog.find_method(f"{place}/mine.py:Mine")
    kind_of(entry).parameters({})
    digest_of(entry)
    catalog.describe(entry, "mini")
    assert state_of_this_process() == before
    assert not {"helper", "lazy", "computed"} & (sys.modules.keys() - modules)
    assert not any(str(place) in str(getattr(m, "__file__", "")) for m in [*sys.modules.values()])


def state_of_this_process() -> list[object]:
    """What the module `RUDE` changes where it is imported."""
    numbers = np.random.get_state()[1].tolist()  # noqa: NPY002 - only read
    words = ("RUDE" in os.environ, hasattr(json, "separators"))
    return [np.mean, numbers, Path.cwd(), sys.getrecursionlimit(), *words]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("os._exit(0)", "ended its process.*exit code 0"),
        pytest.param("raise SystemExit(0)", "SystemExit", marks=pytest.mark.slow),
        pytest.param("raise KeyboardInterrupt", "KeyboardInterrupt", marks=pytest.mark.slow),
        ("os.kill(os.getpid(), 11)", "ended by SIGSEGV"),
        ("1 / 0", "ZeroDivisionError"),
        ("class CheckpointError(Exception): pass\nraise CheckpointError('x')", "CheckpointError"),
    ],
)
def test_a_module_that_does_not_import_is_an_error_of_its_own(
    tmp_path: Path, line: str, words: str
) -> None:
    (tmp_path / "bad.py").write_text(f"import os\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"bad\.py cannot be imported.*{words}"):
        catalog.find_method(f"{tmp_path}/bad.py:Bad")


@pytest.mark.parametrize(
    "line", ["import metrics.loud", "from metrics import loud", "from reports.mine import table"]
)
def test_a_package_of_ones_own_that_ours_hides_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "loud.py").write_text("x = 1\n")
    (tmp_path / "mine.py").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'(metrics|reports)' is the bench's own package"):
        catalog.find_method(f"{tmp_path}/mine.py:Mine")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("INFO = 'x'", r"INFO is a str; it must be a bench\.api\.MethodInfo"),
        pytest.param(
            "INFO = MethodInfo(3, ('melody',), True, 's')",
            "INFO is wrong at title",
            marks=pytest.mark.slow,
        ),
        ("INFO = MethodInfo('t', ('smell',), True, 's')", r"INFO is wrong at conditioned_on\.0"),
        pytest.param(
            "ENVIRONMENT = 3",
            "ENVIRONMENT is 3; it must be text or None",
            marks=pytest.mark.slow,
        ),
        ("family = ('x',)", "family is .*; it must be text or None"),
    ],
)
def test_a_description_of_the_wrong_type_is_named(tmp_path: Path, line: str, words: str) -> None:
    text = f"from bench.api import *\nclass M(StyleTransferMethod[NoParameters]):\n    {line}\n"
    (tmp_path / "odd.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        catalog.find_method(f"{tmp_path}/odd.py:M")


VALUES = (
    *("melody", "each", "é", 3, True, 3.0, np.nan, None, b"x", np.str_("each")),
    *((), ("melody",), ("melody", "target"), (1.0, 2.0), (1, 2), (1.0,), ["melody"], (None,)),
    *(Direction.MAXIMIZE, HubCheckpoint("a/b", "main", ("x",), 1, "MIT")),
)


def test_what_is_plainly_of_its_type_is_what_reading_it_gives() -> None:
    """The library that reads the other values is the judge; most are left to it."""
    hints = [get_type_hints(kind).values() for kind in (MethodInfo, MetricInfo, ProfileInfo)]
    plain = 0
    for hint in itertools.chain(*hints):
        for value in VALUES:
            if answers._is_plainly(value, hint):
                read = TypeAdapter(hint).validate_python(value)
                assert (type(read), repr(read)) == (type(value), repr(value))
                plain += 1
    assert plain > 40


def test_a_plain_description_takes_no_library_that_reads_others(tmp_path: Path) -> None:
    """That would be half of the start of the worker; of the profiles, full is asked last."""
    (tmp_path / "plain.py").write_text(
        "import sys\nfrom bench.api import *\nclass Plain(StyleTransferMethod[NoParameters]):\n"
        "    INFO = MethodInfo('Plain', ('melody',), True, 's')\n    @classmethod\n"
        "    def describe(cls, profile):\n"
        "        return ProfileInfo(licence=str('pydantic' in sys.modules))\n"
    )
    entry = catalog.find_method(f"{tmp_path}/plain.py:Plain")
    assert catalog.describe(entry, "full").licence == "False"


def test_an_installed_method_is_listed_and_read_without_importing_it_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "their_methods-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-methods\nVersion: 1.0\n")
    points = "[bench.methods]\ntheirs = their_methods:ENTRY\nbroken = their_methods:NOTHING\n"
    (about / "entry_points.txt").write_text(points)
    line = "ENTRY = Entry('their_methods:Mine', MethodInfo('T', (), False, 's'), DESCRIBE)\n"
    (tmp_path / "their_methods.py").write_text(
        "from bench.api import *\nDESCRIBE = 'their_methods:say'\nNOTHING = 3\n"
        f"def say(profile): return ProfileInfo(longest_s=4)\n{line}"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [*catalog.methods()][-2:] == ["broken", "theirs"]
    entry = catalog.find_method("theirs")
    assert entry.info.title == "T"
    assert catalog.describe(entry, "full") == ProfileInfo(longest_s=4.0)
    with pytest.raises(ConfigError, match=r"'broken' of an installed package cannot be read"):
        catalog.find_method("broken")
    assert "their_methods" not in sys.modules


def test_only_what_is_not_of_this_project_is_from_outside() -> None:
    own = [*catalog.methods().values(), *catalog.metrics().values()]
    assert not any(is_outside(entry.target) for entry in own)
    assert all(map(is_outside, ["x.py:A", "methods.py:A", "tests.toys:A", "methodsx.y:A"]))
    assert repository(own[0]) is None


def test_the_state_of_a_method_is_that_of_its_own_repository(place: Path) -> None:
    entry = catalog.find_method(f"{place}/mine.py:Mine")
    alone = repository(entry)
    assert alone is not None
    assert (alone.commit, alone.digest) == ("", digest_of(entry)[:12])
    git = f"git -C {place} -c user.name=x -c user.email=x@y"
    assert os.system(f"git init -q {place} && {git} add . && {git} commit -q -m first") == 0  # noqa: S605 - words of this test
    clean = repository(entry)
    edited(place / "inner.py", "x = 2\n")
    changed = repository(entry)
    assert clean is not None
    assert changed is not None
    assert (len(clean.commit), clean.dirty, changed.dirty) == (40, False, True)
    assert clean.commit == changed.commit
    assert clean.digest != changed.digest
    assert changed.words == f"commit {clean.commit[:12]} with changes"
