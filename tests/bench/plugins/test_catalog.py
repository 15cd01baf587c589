"""Finding methods and metrics, reading choices, and the digest of a plug-in's source."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from bench.api import ConfigError, Entry, MethodInfo, MetricInfo, ProfileInfo, UnknownNameError
from bench.plugins import catalog
from bench.plugins.choices import parse_methods
from bench.plugins.parameters import make_parameters, split_parameters
from bench.plugins.source_digest import code_digest, source_digest
from methods import METHODS
from metrics import METRICS

OUTSIDE = '''
"""A method of somebody else."""
from dataclasses import dataclass
from bench.api import MethodInfo, Metric, NoParameters, ProfileInfo, StyleTransferMethod

@dataclass(frozen=True)
class Settings:
    gain: float = 1.0

class Louder(StyleTransferMethod[Settings]):
    """Louder."""
    INFO = MethodInfo("Louder", ("content audio",), fits_per_style=False, source="here")

    @classmethod
    def describe(cls, profile):
        return ProfileInfo(sample_rate=8000)

class Distant(Louder):
    ENVIRONMENT = "elsewhere"

class Plain(StyleTransferMethod[NoParameters]):
    pass

class Measure(Metric):
    pass
'''


@dataclass(frozen=True, slots=True)
class Settings:
    """Parameters with one field of each usual type."""

    strength: float = field(default=0.65, metadata={"role": "transfer"})
    num_inference_steps: int = field(default=50, metadata={"role": "transfer"})
    variant: Literal["v3", "v4"] = field(default="v3", metadata={"role": "fit"})
    layers: tuple[int, ...] = field(default=(1, 2), metadata={"role": "fit"})
    text: str | None = field(default=None, metadata={"role": "fit"})

    def __post_init__(self) -> None:
        """Check the strength."""
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength is {self.strength}; it lies in [0, 1]. Lower it.")


def outside(folder: Path) -> str:
    path = folder / "mine.py"
    path.write_text(OUTSIDE, encoding="utf-8")
    return str(path)


def test_the_catalogs_begin_with_the_three_and_end_with_the_controls() -> None:
    names = list(catalog.methods())
    assert names[:3] == ["tve", "rti", "musicgen"]
    assert names[-8:] == [
        "copy-content",
        "copy-style",
        "mix",
        "noise",
        "oracle",
        "vocoder",
        "vae",
        "null",
    ]
    assert list(catalog.metrics())[:4] == ["cp", "sf.heldout", "sf.seen", "sf.text"]


def test_every_entry_is_described_statically() -> None:
    for entry in catalog.methods().values():
        assert isinstance(entry.info, MethodInfo)
        assert entry.info.conditioned_on
    for entry in catalog.metrics().values():
        assert isinstance(entry.info, MetricInfo)
        assert entry.info.range[0] < entry.info.range[1]


def test_listing_imports_no_heavy_library() -> None:
    code = (
        "import sys, bench.plan.plan, bench.plan.suite, bench.data.cards\n"
        "import bench.plugins.catalog as c\n"
        "c.methods(); c.metrics(); bench.plan.suite.load_suite('mini')\n"
        "heavy = 'torch', 'diffusers', 'transformers', 'librosa', 'soundfile', 'pandas'\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'musicgn' is not in the catalog.*mean 'musicgen'"):
        catalog.find_method("musicgn")
    with pytest.raises(UnknownNameError, match=r"mean 'sf\.seen'"):
        catalog.find_metric("sf.sen")


def test_a_class_in_a_file_is_a_method(tmp_path: Path) -> None:
    entry = catalog.find_method(f"{outside(tmp_path)}:Louder")
    assert entry.info.title == "Louder"
    assert catalog.describe(entry, "mini") == ProfileInfo(sample_rate=8000)
    assert catalog.resolve(entry) is catalog.resolve(entry)
    assert catalog.resolve(entry).__name__ == "Louder"
    assert entry.environment is None
    distant = catalog.find_method(f"{outside(tmp_path)}:Distant")
    assert distant.environment == str(tmp_path / "elsewhere")


def test_a_class_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    path = outside(tmp_path)
    with pytest.raises(ConfigError, match=r"Measure is not a method; it must derive from bench"):
        catalog.find_method(f"{path}:Measure")
    with pytest.raises(ConfigError, match=r"Louder is not a metric; it must derive from bench"):
        catalog.find_metric(f"{path}:Louder")


def test_a_line_with_a_class_alone_is_completed_by_the_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "louder", Entry(f"{outside(tmp_path)}:Louder"))
    monkeypatch.setitem(METRICS, "measure", Entry(f"{outside(tmp_path)}:Measure"))
    assert catalog.methods()["louder"] == catalog.find_method(f"{outside(tmp_path)}:Louder")
    assert catalog.find_method("louder").info.title == "Louder"
    assert catalog.find_metric("measure").info.title == "Measure"


def test_a_class_without_info_gets_a_plain_one(tmp_path: Path) -> None:
    entry = catalog.find_method(f"{outside(tmp_path)}:Plain")
    assert entry.info.title == "Plain"
    assert "declares no INFO" in entry.info.source


def test_an_entry_without_describe_has_no_limits() -> None:
    assert (
        catalog.describe(Entry("a:B", catalog.find_method("noise").info), "full") == ProfileInfo()
    )


def test_what_cannot_be_found_outside_is_named(tmp_path: Path) -> None:
    path = outside(tmp_path)
    with pytest.raises(UnknownNameError, match=r"has no class 'Lauder'.*mean 'Louder'"):
        catalog.find_method(f"{path}:Lauder")
    with pytest.raises(UnknownNameError, match="does not exist"):
        catalog.find_method(f"{tmp_path}/gone.py:Louder")
    with pytest.raises(UnknownNameError, match=r"module 'no_such_module\.x' is not importable"):
        catalog.find_method("no_such_module.x:Louder")


def test_a_file_that_does_not_import_says_why(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import no_such_library\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="needs the package 'no_such_library'"):
        catalog.find_method(f"{path}:X")
    path.write_text("def\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be imported"):
        catalog.find_method(f"{path}:X")


def test_sweeps_give_every_combination() -> None:
    text = "tve[strength=0.5|0.7,guidance_scale=3|5], rti"
    assert [choice.label for choice in parse_methods(text)] == [
        "tve[strength=0.5,guidance_scale=3]",
        "tve[strength=0.5,guidance_scale=5]",
        "tve[strength=0.7,guidance_scale=3]",
        "tve[strength=0.7,guidance_scale=5]",
        "rti",
    ]


def test_values_have_the_type_that_they_look_like() -> None:
    choice = parse_methods("m[a=true,b=3,c=1e-4,d=none,e=some text]")[0]
    assert choice.overrides == {"a": True, "b": 3, "c": 1e-4, "d": None, "e": "some text"}
    assert choice.label == "m[a=true,b=3,c=0.0001,d=none,e=some text]"


def test_a_label_reads_back_as_the_same_choice() -> None:
    choices = parse_methods("tve[strength=0.5|0.7,variant=v4,x=false],a/b.py:C[n=2]")
    assert len(choices) == 3
    assert [parse_methods(choice.label) for choice in choices] == [[c] for c in choices]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tve[strength=0.5", "brackets that do not pair"),
        ("tve[strength]", "'strength' is not a setting"),
        ("tve[=3]", "'=3' is not a setting"),
        (" , ", "name none"),
        ("tve,rti,tve", "name 'tve' twice"),
        ("tve[strength=0.5|0.50]", "twice"),
    ],
)
def test_a_broken_list_of_methods_is_explained(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_methods(text)


def test_parameters_are_typed() -> None:
    made = make_parameters(Settings, {"strength": 1, "layers": [3], "variant": "v4"})
    assert made == Settings(strength=1.0, layers=(3,), variant="v4")
    assert isinstance(made.strength, float)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"strength": "much"}, "parameter strength is 'much'.*Give a number"),
        (
            {"strength": True},
            r"parameter strength is True; it must be a valid number\. Give a number",
        ),
        ({"num_inference_steps": 2.5}, r"parameter num_inference_steps is 2\.5"),
        ({"variant": "v9"}, r"parameter variant is 'v9'; it must be .*\. Give .* or .*\."),
        ({"strength": 1.5}, r"strength is 1\.5; it lies in"),
    ],
)
def test_a_wrong_value_is_refused(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_parameters(Settings, overrides)  # type: ignore[arg-type]  # wrong on purpose


def test_the_word_none_is_a_choice_where_a_parameter_has_it() -> None:
    (choice,) = parse_methods("m[melody=none,seed=none]")

    @dataclass(frozen=True)
    class Sung:
        melody: Literal["content", "none"] = field(default="content", metadata={"role": "fit"})
        seed: int | None = field(default=1, metadata={"role": "fit"})

    made = make_parameters(Sung, choice.overrides)
    assert (made.melody, made.seed) == ("none", None)


def test_a_misspelt_parameter_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"'strenght' is not known.*mean 'strength'"):
        make_parameters(Settings, {"strenght": 0.5})


def test_parameters_divide_by_role() -> None:
    fit, transfer = split_parameters(Settings())
    assert fit == {"variant": "v3", "layers": [1, 2], "text": None}
    assert transfer == {"strength": 0.65, "num_inference_steps": 50}


def test_a_parameter_without_a_role_is_a_mistake() -> None:
    made = dataclasses.make_dataclass("Made", [("gain", float, 1.0)])()
    with pytest.raises(ValueError, match=r"Made\.gain has role None"):
        split_parameters(made)


def test_only_code_decides_a_code_digest() -> None:
    code = (
        "class A:\n    '''Old.'''\n    x = 1\n    'x'\n\n    def f(self):\n        return 'text'\n"
    )
    same = "class A:\n    '''New.'''\n    x = 1\n    def f(self):  # why\n        return ('text')\n"
    assert code_digest(code) == code_digest(same)
    assert code_digest(code) != code_digest(code.replace("return 'text'", "return 'other'"))


def package(root: Path) -> Path:
    inner = root / "outside_package" / "family"
    inner.mkdir(parents=True)
    (root / "outside_package" / "__init__.py").write_text("CATALOG = 1\n")
    (inner / "__init__.py").write_text("")
    (inner / "method.py").write_text(
        "import os\ndef f():\n    from . import part\n    return part\n"
    )
    (inner / "part.py").write_text("from outside_package.family.deep import x\n")
    (inner / "deep.py").write_text("x = 1\n")
    (inner / "unused.py").write_text("x = 1\n")
    return inner


def test_the_source_digest_follows_imports_within_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = package(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = Entry("outside_package.family.method:M", catalog.find_method("noise").info)
    first = source_digest(entry)
    (inner / "unused.py").write_text("x = 20\n")
    (inner.parent / "__init__.py").write_text("CATALOG = 20\n")
    assert source_digest(entry) == first
    (inner / "deep.py").write_text("x = 20\n")
    assert source_digest(entry) != first


def test_the_source_digest_of_a_file_is_that_of_the_file(tmp_path: Path) -> None:
    entry = catalog.find_method(f"{outside(tmp_path)}:Louder")
    first = source_digest(entry)
    (tmp_path / "mine.py").write_text(OUTSIDE.replace("gain: float = 1.0", "gain: float = 1.5"))
    assert source_digest(entry) != first
