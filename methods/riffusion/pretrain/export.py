"""Write the trained mini models as a checkpoint folder.

The folder has diffusers' layout (vae, unet, text_encoder, tokenizer, scheduler) with float16
weights, `spectrogram.json` (the codec), `training.json` (recipe, curves, evaluation) and
`MODEL_CARD.md`.
"""

from __future__ import annotations

import json
import logging
import platform
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from bench.api import Json
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from methods.riffusion.pretrain import autoencoder as first_stage
from methods.riffusion.pretrain import denoiser, mini_models
from methods.riffusion.pretrain.corpus import Pictures, caption_words, load_split
from methods.riffusion.spectrogram import MINI_PARAMETERS

logger = logging.getLogger(__name__)

Evaluation = dict[str, dict[str, float]]
Averages = dict[str, torch.Tensor]

_CARD = """# Mini Riffusion

Mel-spectrogram latent diffusion of {million:.1f} million weights, trained from scratch by this
project on {clips} clips of 5 s that it renders itself (`bench/corpus`: {sounds} sounds, General
MIDI instruments of the FluidR3 soundfont (MIT) and procedural sounds of nature). Same library
classes and same code path as the full Riffusion v1 checkpoint.

**For**: checking that the harness and the methods of this family work, on a CPU, offline. **Not
for**: any statement about recorded music, nor any comparison with published scores.

## Parts
* `vae`: AutoencoderKL, factor 8, 8 latent channels, 3 channels of image 128 x 256; latents are
  standard per channel (folded into `quant_conv` and `post_quant_conv`; scaling_factor 1).
* `unet`: UNet2DConditionModel on 8 x 16 x 32; predicts noise on Stable Diffusion's schedule.
* `text_encoder`, `tokenizer`: CLIPTextModel, 16 tokens, one token per word of the captions
  ({words} words, listed in `training.json`) and `*`; other words fall apart into letters the
  model has never met.
* Never heard in training: {held_out}, and the tunes of the bundled content clips.

## Figures
Of the weights in this folder, on test clips (the same sounds, other melodies).

| part | measure | value |
|---|---|---|
{rows}

An error lower with the right caption than with a wrong one shows that the text is heard. Whether
training had converged is for the curves in `training.json` to say.

## Training
`python -m methods.riffusion.pretrain render|vae|unet|export`, one seed, 16 clips per step, on one
shared CPU core: {vae_steps:.0f} steps of the autoencoder ({vae_minutes:.0f} minutes), then
{unet_steps:.0f} of the noise predictor ({unet_minutes:.0f} minutes).
{wide}
Licence: MIT, as the project.
"""

_WIDE_CARD = (
    "Then `python -m methods.riffusion.pretrain wide`, on any timbre: {samples} more clips in "
    "{minutes:.0f} minutes, half of them worded as before, half timbres without words ({sources}), "
    "each under the soft tokens (`soft_tokens`, of the method `style-encoder`) of another clip of "
    "it. Squared noise errors of {held_out} timbres that no training heard, as the curve ends: "
    "{own:.4f} under the soft tokens of their other clip, {swapped:.4f} under those of another "
    'timbre, {row:.4f} under the row of "*" alone, {empty:.4f} under no text.'
)


def _save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the tokenizer as one file, and as the older vocabulary with (no) merges."""
    tokenizer.save_pretrained(folder)
    by_id = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.json").write_text(json.dumps(dict(by_id)), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")


def _check_tokenizer(folder: Path, words: list[str]) -> None:
    """Read the tokenizer back: every word is one token of its own, and so is the placeholder."""
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    known = [word for word in [*words, "*"] if len(word) > 1 or word == "*"]
    ids = tokenizer(known).input_ids
    if any(len(row) != 3 for row in ids) or len({row[1] for row in ids}) != len(known):
        raise ValueError(f"tokenizer in {folder} splits or confuses words; each must be one token.")


def _write_models(work: Path, folder: Path, words: list[str], average: Averages) -> None:
    """Write all five parts in float16; `average` holds the noise predictor and text encoder."""
    tokenizer = mini_models.build_tokenizer(words)
    parts = {
        "unet": mini_models.build_unet(),
        "text_encoder": mini_models.build_text_encoder(tokenizer),
    }
    nn.ModuleDict(parts).load_state_dict(average)
    for name, part in parts.items():
        part.half().save_pretrained(folder / name)
    AutoencoderKL.from_pretrained(work / "vae_standardised").half().save_pretrained(folder / "vae")
    mini_models.build_scheduler().save_pretrained(folder / "scheduler")
    forget_places(folder)
    _save_tokenizer(tokenizer, folder / "tokenizer")
    _check_tokenizer(folder / "tokenizer", words)


def forget_places(folder: Path) -> None:
    """Take out of the parts' configurations where the libraries say that they were read from."""
    for path in folder.glob("*/config.json"):
        config = json.loads(path.read_text(encoding="utf-8"))
        if config.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def evaluate_folder(folder: Path, test: Pictures, held_out: Pictures) -> Evaluation:
    """Measure the weights as they will be loaded: images, noise by right and wrong text."""
    autoencoder = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32).eval()
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    model = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder}).eval()
    ids = mini_models.tokenize(tokenizer, test.captions)
    latents = denoiser.TextedLatents(*first_stage.encode_pictures(autoencoder, test), ids)
    with torch.no_grad():
        return {
            "vae_test": first_stage.reconstruction_error(autoencoder, test),
            "vae_held_out_sounds": first_stage.reconstruction_error(autoencoder, held_out),
            "unet_test": denoiser.denoising_error(model, latents),
        }


def _better(evaluation: Evaluation, folder: Path) -> bool:
    """Whether the new weights predict noise better than those in place (or none are in place)."""
    record = folder / "training.json"
    if not record.is_file():
        return True
    old = json.loads(record.read_text(encoding="utf-8"))["evaluation"]
    if old["vae_test"]["l1"] != evaluation["vae_test"]["l1"]:
        return True  # another autoencoder: its latents' noise cannot be compared
    return bool(evaluation["unet_test"]["right"] < old["unet_test"]["right"])


def _training_record(curves: dict[str, Json], words: list[str], clips: int) -> dict[str, Json]:
    """Recipe, corpus, vocabulary, curves and versions."""
    recipes = (first_stage.VAE_RECIPE, denoiser.UNET_RECIPE)
    spent_s = {
        name: json.loads(json.dumps(curve))[-1]["elapsed_s"] for name, curve in curves.items()
    }
    return {
        "recipe": {
            recipe.name: asdict(recipe) | {"budget_s": spent_s[recipe.name]} for recipe in recipes
        },
        "corpus": {"clips": clips, "split_seeds": {"train": 1, "test": 2, "held_out": 3}},
        "held_out_sounds": list(HELD_OUT_INSTRUMENTS),
        "vocabulary": list(words),
        "curves": curves,
        "versions": {
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }


def model_card(
    record: Mapping[str, Json], evaluation: Evaluation, folder: Path, sounds: int
) -> str:
    """The model card with an export's figures; `record["wide"]` is the card of a wide training."""
    curves = json.loads(json.dumps(record["curves"]))
    last = {name: curve[-1] for name, curve in curves.items()}
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    rows = [
        f"| vae | mean absolute error, test, range [-1, 1] | {evaluation['vae_test']['l1']:.4f} |",
        f"| vae | the same, sounds never heard | {evaluation['vae_held_out_sounds']['l1']:.4f} |",
    ]
    for timestep in (*map(str, denoiser.EVALUATED_TIMESTEPS), ""):
        suffix, label = (f"_{timestep}", f"t = {timestep}") if timestep else ("", "mean")
        right, wrong = (evaluation["unet_test"][name + suffix] for name in ("right", "wrong"))
        rows.append(
            f"| unet | squared noise error, {label}, right / wrong caption "
            f"| {right:.4f} / {wrong:.4f} |"
        )
    return _CARD.format(
        million=size / 2e6,
        clips=json.loads(json.dumps(record["corpus"]))["clips"],
        sounds=sounds,
        words=len(json.loads(json.dumps(record["vocabulary"]))),
        held_out=", ".join(HELD_OUT_INSTRUMENTS),
        rows="\n".join(rows),
        vae_steps=last["vae"]["step"],
        vae_minutes=last["vae"]["elapsed_s"] / 60,
        unet_steps=last["unet"]["step"],
        unet_minutes=last["unet"]["elapsed_s"] / 60,
        wide=_wide_card(record["wide"]) if "wide" in record else "",
    )


def _wide_card(card: Json) -> str:
    wide = json.loads(json.dumps(card))
    last = wide["curve"][-1]
    text = _WIDE_CARD.format(
        samples=wide["samples"],
        minutes=wide["seconds"] / 60,
        sources="; ".join(f"{one['origin']}, {one['licence']}" for one in wide["sources"][1:]),
        held_out=wide["held_out_timbres"],
        **{name: last[name] for name in ("own", "swapped", "row", "empty")},
    )
    return f"\n{textwrap.fill(text, 100, break_on_hyphens=False)}\n"


def export(work: Path, target: Path) -> bool:
    """Write the checkpoint folder if it is better than the one in place.

    Args:
        work: Folder of the training, with both stages begun.
        target: Checkpoint folder, replaced whole.

    Returns:
        Whether `target` was replaced.
    """
    train, test = load_split("train", work), load_split("test", work)
    words = caption_words(train.captions)
    fresh = work / "export"
    shutil.rmtree(fresh, ignore_errors=True)
    # Read once: training may go on meanwhile, and the curve must end where these weights do.
    states = {name: torch.load(work / f"{name}.pt", weights_only=True) for name in ("vae", "unet")}
    _write_models(work, fresh, words, states["unet"]["average"])
    evaluation = evaluate_folder(fresh, test, load_split("held_out", work))
    logger.info("evaluation %s", json.dumps(evaluation))
    if not _better(evaluation, target):
        logger.info("the weights in place are better; nothing replaced")
        return False
    curves: dict[str, Json] = {name: state["curve"] for name, state in states.items()}
    record = _training_record(curves, words, len(train.images))
    card = model_card(record, evaluation, fresh, len(set(train.sounds)))
    (fresh / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    texts = {
        "training.json": record | {"evaluation": evaluation},
        "spectrogram.json": asdict(MINI_PARAMETERS),
    }
    for name, content in texts.items():
        (fresh / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(fresh, target)
    return True
