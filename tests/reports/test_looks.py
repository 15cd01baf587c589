"""Colours and markers: nobody shares one, and they can be told apart with any eyes."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from reports.figures.looks import CONTROLS, DARK, LIGHT, OUTLINES, Kind, Look, looks

PAGE = Path(__file__).parents[2] / "reports" / "page" / "assets" / "page.css"
# Machado, Oliveira, Fernandes (2009), severity 1, on linear RGB.
EYES = {
    "all cones": np.eye(3),
    "no red": np.array([
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]),
    "no green": np.array([
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]),
    "no blue": np.array([
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ]),
}  # fmt: skip
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(colour: str) -> np.ndarray:
    """Linear RGB of a colour, by the formula of sRGB."""
    coded = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of a linear colour."""
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG."""
    dark, light = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_colours_stay_apart_for_all_eyes(palette: tuple[str, ...], eyes: str) -> None:
    seen = [lab(EYES[eyes] @ linear(colour)) for colour in palette]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 20


def test_colours_stand_out_from_the_paper_of_the_page() -> None:
    style = PAGE.read_text(encoding="utf-8")
    for paper, palette in zip(re.findall(r"--paper: (#\w+)", style), (LIGHT, DARK), strict=True):
        whole = "#ffffff" if paper == "#fff" else paper
        assert min(contrast(colour, whole) for colour in palette) > 3
        for place, colour in enumerate(palette):
            assert f"--hue{place}: {colour};" in style


def of_methods(count: int, per_family: int) -> list[Look]:
    named: list[tuple[str, str, Kind]] = [
        (f"m{n}", f"f{n // per_family}", "method") for n in range(count)
    ]
    return list(looks(named).values())


@pytest.mark.parametrize("per_family", [1, 3, 30])
def test_a_hundred_methods_share_no_look(per_family: int) -> None:
    found = of_methods(100, per_family)
    assert len(set(found)) == 100
    assert all(look.filled for look in found[:72])


def test_settings_of_a_method_share_its_colour() -> None:
    found = of_methods(12, 4)
    assert [look.hue for look in found] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_control_has_one_marker_in_every_run() -> None:
    alone = looks([("noise", "noise", "control")])["noise"]
    beside: list[tuple[str, str, Kind]] = [("tve", "tve", "method"), ("noise", "noise", "control")]
    assert looks(beside)["noise"] == alone == Look(-1, CONTROLS["noise"], filled=False)
    assert set(CONTROLS.values()) <= set(OUTLINES)
    assert len(set(CONTROLS.values())) == len(CONTROLS)
