"""What a training leaves: averaged weights in half precision, and a card that says how they came.

Two files: NAME.safetensors and NAME.json. The card holds the recipe, the sources with their
licences, what was held out, how many samples were seen, on what, and the whole curve.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.api import ConfigError, Json
from bench.files import file_digest
from bench.training.loop import Training


def export(training: Training, folder: Path, facts: Mapping[str, Json]) -> Path:
    """Write the averaged weights of a training as float16, and its card; return the card's path.

    Args:
        training: Finished or not.
        folder: It is made.
        facts: What the loop cannot know: sources, what was held out, where the training began.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = training.recipe.name
    weights = folder / f"{name}.safetensors"
    save_file({key: _halved(value) for key, value in training.average.items()}, weights)
    card = {
        "name": name,
        "weights": {"file": weights.name, "sha256": file_digest(weights)},
        "recipe": asdict(training.recipe),
        "samples": training.samples,
        "seconds": round(training.elapsed_s, 1),
        "machine": f"{platform.machine()}, {_kind(training.device)}, torch {torch.__version__}",
        **facts,
        "curve": training.curve,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return path


def read_export(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Json]]:
    """Weights, on the CPU in half precision, and the card that a training left.

    Args:
        folder: Of the training, or where its two files were carried.
        name: Of its recipe.

    Raises:
        ConfigError: One of the two is not there.
    """
    weights, card = (folder / f"{name}.{suffix}" for suffix in ("safetensors", "json"))
    missing = [path.name for path in (weights, card) if not path.is_file()]
    if missing:
        raise ConfigError(
            f"{folder} holds no {' and no '.join(missing)}; a training leaves both when its budget "
            "is spent. Train first, or name the folder that it left them in."
        )
    return load_file(weights), json.loads(card.read_text(encoding="utf-8"))


def _halved(value: Tensor) -> Tensor:
    kept = value.half() if value.is_floating_point() else value
    return kept.detach().cpu().contiguous()


def _kind(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads"
