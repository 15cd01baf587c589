"""ARCHITECTURE.md says what is there: its paths, its rooms, and the direction that is checked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)
DRAWING = next(text for language, text in BLOCKS if language == "mermaid")
TREE = next(text for language, text in BLOCKS if not language)


def contract(name: str) -> dict[str, list[str]]:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, list[str]]] = contracts["tool"]["importlinter"]["contracts"]
    return next(one for one in found if name in one["name"])


def test_every_path_on_the_page_is_there() -> None:
    named = re.findall(r"`((?:bench|methods|metrics|reports|datasets|tests)/[\w/.]+)`", PAGE)
    named += ["CONTRIBUTING.md", *(line.split()[0] for line in TREE.splitlines())]
    assert len(named) > 30
    assert [path for path in named if not (CHECKOUT / path).exists()] == []


def test_the_tree_has_a_line_for_every_room() -> None:
    packages = {path.parent.name for path in (CHECKOUT / "bench").glob("*/__init__.py")}
    assert set(re.findall(r"^bench/(\w+)/ ", TREE, re.MULTILINE)) == packages


def test_the_drawing_shows_the_direction_that_is_checked() -> None:
    layers = [layer for layer in contract("each room")["layers"] if layer != "__main__"]
    rooms = {path.parent.name for path in (CHECKOUT / "bench").glob("*/__init__.py")}
    drawn = re.findall(r'\["([\w |]+)"\]', DRAWING)
    assert drawn == [layer for layer in layers if set(layer.split(" | ")) <= rooms]


def test_the_page_fits_a_screen_or_two() -> None:
    assert len(PAGE.splitlines()) <= 80
