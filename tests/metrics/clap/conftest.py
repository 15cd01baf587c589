"""The mini model in float64, for what is to be the same but for rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from metrics.clap.checkpoints import locate
from metrics.clap.embedder import Towers, read_towers


@pytest.fixture
def wide_towers() -> Callable[[], Towers]:
    """Reads the mini model anew, its weights widened; its front end stays float32."""

    def read() -> Towers:
        towers = read_towers(locate("mini"))
        towers.model.double()
        towers.model.audio_model.register_forward_pre_hook(_widen, with_kwargs=True)
        return towers

    return read


def _widen(_module: object, given: object, named: dict[str, Any]) -> tuple[object, dict[str, Any]]:
    floats = {k: v for k, v in named.items() if getattr(v, "dtype", None) == torch.float32}
    return given, named | {name: value.double() for name, value in floats.items()}
