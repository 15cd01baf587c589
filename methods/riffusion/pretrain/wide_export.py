"""The weights of a wide training as a folder that the mini profile can load.

Autoencoder, tokenizer, schedule and vocabulary are those that the training began from; noise
predictor and text encoder are its averages, and soft tokens stand beside them.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from bench.corpus.rendering import TRAINED_SOUNDS
from methods.riffusion.backbone import read_backbone
from methods.riffusion.pretrain.corpus import load_split, render_split, splits
from methods.riffusion.pretrain.export import evaluate_folder, forget_places, model_card
from methods.riffusion.soft_tokens import SOFT_FILE

logger = logging.getLogger(__name__)


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
    forget_places(folder)
    target = folder / SOFT_FILE
    target.parent.mkdir(exist_ok=True)
    halved = {name: value.half().contiguous() for name, value in _of(average, "soft").items()}
    save_file(halved, target)


def adopt(work: Path, target: Path, processes: int) -> None:
    """Put the weights of a wide training in the place of those that it began from.

    Args:
        work: Of the training; its test clips are rendered into it.
        target: Folder of weights, replaced whole.
        processes: That render.
    """
    fresh = work / "weights"
    for split in splits(clips_per_sound=0)[1:]:
        render_split(split, work, processes)
    evaluation = evaluate_folder(fresh, load_split("test", work), load_split("held_out", work))
    logger.info("evaluation %s", json.dumps(evaluation))
    first = json.loads((target / "training.json").read_text(encoding="utf-8"))
    wide = json.loads((work / "wide.json").read_text(encoding="utf-8"))
    del wide["weights"]  # the file of the kit, which is in half precision too and stays behind
    record = first | {"wide": wide, "evaluation": evaluation}
    card = model_card(record, evaluation, fresh, len(TRAINED_SOUNDS))
    (fresh / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    (fresh / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(target)
    shutil.copytree(fresh, target)


def _of(average: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The weights of a part, without its name."""
    named = {name: value for name, value in average.items() if name.startswith(f"{part}.")}
    return {name.removeprefix(f"{part}."): value.detach().cpu() for name, value in named.items()}
