"""The clusters that tests share."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_slurm import LocalSlurm, local_slurm


@pytest.fixture(scope="module")
def slurm() -> Iterator[LocalSlurm]:
    """A Slurm with the interpreter of the tests."""
    with tempfile.TemporaryDirectory() as place:
        environment = dict(os.environ) | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        with local_slurm(Path(place) / "slurm", environment) as started:
            yield started
