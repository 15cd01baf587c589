"""A file system that fills up; and which of these tests another system than Linux can be asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# They ask what Linux alone has: limits of memory that hold, and a keeper that finds every orphan.
collect_ignore = (
    [] if sys.platform == "linux" else ["test_links.py", "test_misbehaviour.py", "test_oddities.py"]
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    try:
        done = subprocess.run(mounting, check=False, capture_output=True)
    except OSError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)  # noqa: S607 - found on PATH on purpose
