"""What is built once for all tests from a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ci.building import build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A folder with a wheel and a source distribution of this checkout."""
    out = tmp_path_factory.mktemp("built")
    build(checkout, tmp_path_factory.mktemp("tree"), out)
    return out
