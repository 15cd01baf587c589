"""Kits: parts beside each other, one script for all, and a limit that nothing passes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.api import ConfigError
from bench.training import kit
from bench.training.kit import Part, add_part, code_of
from tests.kits import CHECKOUT, run

SAYS = 'echo "$MODEL $WORK $@" > "$OUT/said"\n'


def part(model: str, carried: dict[str, Path] | None = None) -> Part:
    return Part(model, ("bench/training",), carried or {}, SAYS, "Carry less")


def test_a_kit_of_one_model_needs_no_name(tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    size = add_part(folder, part("toy"))
    files = [path for path in folder.rglob("*") if path.is_file()]
    # The script is written last: all of the rest is what was weighed.
    weighed = [p for p in files if p.name != "run.sh" and p.parent.name != "parts"]
    assert size == sum(path.stat().st_size for path in weighed)
    assert (folder / "bench" / "training" / "loop.py").is_file()
    out = tmp_path / "out"
    assert run(["sh", "run.sh"], folder, OUT=str(out)) == "0 "
    said = (out / "said").read_text()
    assert said == "toy work/toy --resume --budget-s 400 --device auto --report-s 60\n"
    asked = {"STEPS": "7", "BATCH": "3", "BUDGET_S": "9", "DEVICE": "cpu", "OUT": str(out)}
    assert run(["sh", "run.sh", "toy"], folder, **asked) == "0 "
    wanted = "--resume --budget-s 9 --steps 7 --batch-size 3 --device cpu --report-s 60"
    assert (out / "said").read_text() == f"toy work/toy {wanted}\n"


FAMILIES = sorted(path.parents[1] for path in CHECKOUT.glob("m*/*/pretrain/kit.py"))
ROOMS = ("bench", "methods", "metrics", "reports", "datasets")


def imported(path: Path) -> Iterator[str]:
    """What a module imports when it is imported itself: names of modules, or of what is in them."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(name: str, folder: Path) -> list[Path]:
    """The files that importing a module runs, those of its packages too."""
    parts = name.split(".")
    places = [folder.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return [*(place / "__init__.py" for place in places), places[-1].with_suffix(".py")]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda path: path.name)
def test_a_trainer_finds_in_its_kit_all_that_it_imports(family: Path, tmp_path: Path) -> None:
    folder, inside = tmp_path / "kit", family.relative_to(CHECKOUT)
    add_part(folder, Part("toy", code_of(str(inside)), {}, SAYS, "Carry less"))
    first = ".".join((*inside.parts, "pretrain", "__main__"))
    seen, left = set[str](), [first]
    while left:
        name = left.pop()
        if name in seen or name.partition(".")[0] not in ROOMS:
            continue
        seen.add(name)
        for here, there in zip(files_of(name, CHECKOUT), files_of(name, folder), strict=True):
            assert here.exists() == there.exists(), f"{there} is imported and not carried"
            left += imported(here) if here.exists() else []
    assert len(seen) > 30


def test_models_stand_beside_each_other_and_one_of_them_is_named(tmp_path: Path) -> None:
    folder, data = tmp_path / "kit", tmp_path / "data"
    (data / "inner").mkdir(parents=True)
    (data / "inner" / "clips").write_bytes(b"sound")
    first = add_part(folder, part("first", {"work/first": data}))
    second = add_part(folder, part("second", {"work/second/clips": data / "inner" / "clips"}))
    # The code is carried once; besides the second clip, the first script is there now.
    script = (folder / "parts" / "first.sh").stat().st_size + (folder / "run.sh").stat().st_size
    assert second == first + script + len(b"sound")
    assert (folder / "work" / "first" / "inner" / "clips").read_bytes() == b"sound"
    assert (folder / "work" / "second" / "clips").read_bytes() == b"sound"
    out = tmp_path / "out"
    assert run(["sh", "run.sh", "second"], folder, OUT=str(out)) == "0 "
    assert (out / "said").read_text().startswith("second work/second --resume")
    for asked in ([], ["third"]):
        said = run(["sh", "run.sh", *asked], folder)
        assert said == "2 error: name one model of this kit: first second \n"


def test_a_model_is_written_once(tmp_path: Path) -> None:
    add_part(tmp_path / "kit", part("toy"))
    with pytest.raises(ConfigError, match="is there already, with toy"):
        add_part(tmp_path / "kit", part("toy"))


def test_what_is_too_large_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kit"
    add_part(folder, part("toy"))
    monkeypatch.setattr(kit, "LARGEST_BYTES", 2**20)
    large = tmp_path / "large"
    large.write_bytes(b"0" * 2**20)
    with pytest.raises(
        ConfigError, match=r"1\.\d MiB with other, and 1 may be carried; Carry less"
    ):
        add_part(folder, part("other", {"large": large}))
    assert not (folder / "large").exists()
    assert not (folder / "parts" / "other.sh").exists()
    assert run(["sh", "run.sh"], folder, OUT=str(tmp_path / "out")) == "0 "
