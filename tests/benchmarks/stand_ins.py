"""Stand-ins for what `table2` fetches: checkpoints of random weights, and a data set of noise.

The three checkpoints lie file by file as `python -m bench fetch table2 --local-dir FOLDER` leaves
them, recorded in the lock file, so that a run takes them for what was fetched: Riffusion as pickles
with the names of 2022, MusicGen melody in two shards, CLAP as one pickle. At full size they have
the architectures of `full_architectures` (11 GB); reduced, those of the tests of fetching. The
tokenizers know a few words and letters at either size.

The data set has what the card of MusicTI counts: 179 contents in 13 categories, 74 clips of 18
styles, five seconds each, at the three rates.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from transformers import ClapConfig, ClapModel

from bench.api import HubCheckpoint
from bench.checkout import DATASETS
from bench.data.card_model import parse_card
from bench.errors import DatasetError
from bench.first_use import Locked, facts_of, write_locked
from bench.outside.declarations import read_toml
from methods.musicgen.checkpoints import MUSICGEN_MELODY
from methods.riffusion.checkpoints import RIFFUSION
from metrics.clap.checkpoints import UNFUSED
from tests.benchmarks.full_architectures import melody_model, stable_diffusion
from tests.hub import tiny

CLIP_S = 5.0
RATES = (24_000, 44_100, 48_000)
COMMIT = "0" * 40
PART = "diffusion_pytorch_model.bin"
TEXT_LENGTH = 77  # of Stable Diffusion's text encoder


def write_checkpoints(root: Path, device: str, *, reduced: bool) -> dict[str, Locked]:
    """Write the three checkpoints into `<root>/<owner>/<name>`, and say what a fetch would record.

    Args:
        root: Where they lie.
        device: Where the weights are drawn, which takes minutes on a CPU.
        reduced: Tiny networks of the same classes.
    """
    scratch = root / "scratch"
    small = {
        RIFFUSION: tiny.riffusion(),
        MUSICGEN_MELODY: tiny.musicgen(scratch / "musicgen"),
        UNFUSED: tiny.clap(scratch / "clap"),
    }
    shutil.rmtree(scratch)
    for checkpoint, files in small.items():
        _write(root / checkpoint.id, files)
    if not reduced:
        torch.manual_seed(0)
        _enlarge_riffusion(root / RIFFUSION.id, device)
        _enlarge_musicgen(root / MUSICGEN_MELODY.id, device)
        _enlarge_clap(root / UNFUSED.id, device)
    return {checkpoint.name: _locked(root, checkpoint) for checkpoint in small}


def record(locked: Mapping[str, Locked]) -> None:
    """Write what a fetch would have recorded into the lock file of the cache in use."""
    for name, entry in locked.items():
        write_locked(name, entry, name)


def _write(folder: Path, files: tiny.Files) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _locked(root: Path, checkpoint: HubCheckpoint) -> Locked:
    folder = (root / checkpoint.id).resolve()
    present = [path for path in folder.rglob("*") if path.is_file()]
    names = sorted(path.relative_to(folder).as_posix() for path in present)
    commit = COMMIT if checkpoint.revision == "main" else checkpoint.revision
    return Locked(commit=commit, folder=str(folder), files=facts_of(folder, names))


def _enlarge_riffusion(folder: Path, device: str) -> None:
    with torch.device(device):
        parts = stable_diffusion()
    for model in (parts.vae, parts.unet, parts.text_encoder):
        model.to("cpu")
    torch.save(tiny.autoencoder_state(parts.vae), folder / "vae" / PART)
    torch.save(parts.unet.state_dict(), folder / "unet" / PART)
    text = folder / "text_encoder"
    torch.save(tiny.text_encoder_state(parts.text_encoder), text / "pytorch_model.bin")
    (folder / "vae" / "config.json").write_bytes(tiny.config_of_2022(parts.vae))
    (folder / "unet" / "config.json").write_bytes(tiny.config_of_2022(parts.unet))
    (text / "config.json").write_bytes(tiny.config_of(parts.text_encoder))
    settings = folder / "tokenizer" / "tokenizer_config.json"
    longer = json.loads(settings.read_text()) | {"model_max_length": TEXT_LENGTH}
    settings.write_text(json.dumps(longer))


def _enlarge_musicgen(folder: Path, device: str) -> None:
    for path in folder.glob("model*"):
        path.unlink()
    with torch.device(device):
        model: Any = melody_model()
    model.to("cpu").save_pretrained(folder, max_shard_size="5GB")


def _enlarge_clap(folder: Path, device: str) -> None:
    with torch.device(device):
        model = ClapModel(ClapConfig())
    torch.save(model.to("cpu").state_dict(), folder / "pytorch_model.bin")
    (folder / "config.json").write_bytes(tiny.config_of(model))


def write_dataset(root: Path) -> dict[str, int]:
    """Write a data set of noise with the counts of MusicTI's card; returns those counts.

    Clips differ in level over time, so that no two sound alike. How the clips are shared out over
    categories and styles is not published; here it is as evenly as can be.
    """
    card = parse_card(read_toml(DATASETS / "musicti.toml", DatasetError))
    counts = dict(card.archive.counts) if card.archive is not None else {}
    places = [f"category_{number}" for number in range(counts["categories"])]
    drawn = np.random.default_rng(0)
    for number in range(counts["contents"]):
        _clip(root / "content" / places[number % len(places)] / f"c{number}.wav", number, drawn)
    styles = sorted(card.styles)
    for number in range(counts["style_clips"]):
        style = styles[number % len(styles)]
        _clip(root / "style" / style / f"{style}{number // len(styles)}.wav", number, drawn)
    return counts


def _clip(path: Path, number: int, drawn: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rate = RATES[number % len(RATES)]
    samples = round(CLIP_S * rate)
    level = np.interp(np.linspace(0, 8, samples), np.arange(9), drawn.uniform(0.05, 0.5, 9))
    noise = drawn.uniform(-1, 1, samples).astype(np.float32)
    soundfile.write(path, level.astype(np.float32) * noise, rate, subtype="PCM_16")
