"""A small band, written and read once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from band import write_band

from bench.data.cards import load_dataset
from bench.judge.material import JudgeMaterial, read_material


@pytest.fixture(scope="session")
def band(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the band."""
    return write_band(tmp_path_factory.mktemp("band"))


@pytest.fixture(scope="session")
def material(band: Path) -> JudgeMaterial:
    """Its clips."""
    return read_material(load_dataset(str(band)))
