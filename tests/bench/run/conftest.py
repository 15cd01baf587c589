"""A small finished run, made once for all tests of this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_run import Small, made


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A run that nothing has been done to; it must not be changed."""
    small = made(tmp_path_factory.mktemp("small"))
    assert small.run() == 0
    return small


@pytest.fixture
def small(finished: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A copy of it for one test, with an empty cache: what is rendered again is computed."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return finished.copy(tmp_path)
