"""The weights of a wide training as a folder that the mini profile can load.

Autoencoder, tokenizer, schedule and vocabulary are those that the training began from; noise
predictor and text encoder are its averages, and soft tokens stand beside them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from methods.riffusion.backbone import read_backbone
from methods.riffusion.soft_tokens import SOFT_FILE


def write_weights(average: Mapping[str, Tensor], start: Path, folder: Path) -> None:
    """Write averaged weights as float16.

    Args:
        average: Of `methods.riffusion.pretrain.wide.WideModel`.
        start: The folder of weights that the training began from.
        folder: Is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(start, folder)
    parts = read_backbone(start).parts
    for name, part in (("unet", parts.unet), ("text_encoder", parts.text_encoder)):
        part.load_state_dict(_of(average, name))
        part.half().save_pretrained(folder / name)
    target = folder / SOFT_FILE
    target.parent.mkdir(exist_ok=True)
    halved = {name: value.half().contiguous() for name, value in _of(average, "soft").items()}
    save_file(halved, target)


def _of(average: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of a part, without its name."""
    named = {name: value for name, value in average.items() if name.startswith(f"{part}.")}
    return {name.removeprefix(f"{part}."): value.detach().cpu() for name, value in named.items()}
