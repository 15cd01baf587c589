"""Write the mini CLAP model as a checkpoint folder, and evaluate such a folder."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import ClapModel, PreTrainedTokenizerFast

from bench.api import Audio
from bench.corpus.rendering import TRAINED_SOUNDS
from bench.weights import digest
from metrics.clap.checkpoints import Checkpoint
from metrics.clap.embedder import ClapEmbedder, read_towers
from metrics.clap.mini import build_extractor
from metrics.clap.pretrain.corpus import codec_round_trip, evaluation_clips

logger = logging.getLogger(__name__)

_SPECIAL_PREFIX = "<"

_CARD = """# mini-clap

A small CLAP model (`transformers.ClapModel`, {parameters:,} parameters, float16 on disk) trained
from scratch by this project, so that the mini profile measures with the same code as the full one
on any CPU in seconds.

* **Data**: melodies from `bench.corpus.melodies` (random walks and public-domain tunes) played with
  the FluidR3 General MIDI soundfont (MIT licence), and procedural sounds from
  `bench.corpus.nature`; {sounds} sounds, with generated captions. Part of the clips is heard
  through mel and Griffin-Lim round trips; {round_trips} clips were heard through other codecs.
  Timbres without words: {timbres}. Kalimba and bagpipe were kept out, and so were all tunes of the
  bundled contents.
* **Training**: `python -m metrics.clap.pretrain all`; recipe, seed, curve and evaluation are in
  `training.json`.
* **Evaluation** on unseen clips, half of their melodies unseen tunes, through
  `metrics.clap.embedder`: zero-shot accuracy over {sounds} sounds {zero_shot:.3f} (chance
  {chance:.3f}); mean cosine of a clip and its codec round trip {round_trip:.3f}, of two clips of
  one sound {same:.3f}, of two sounds {different:.3f}.
* **Vocabulary**: the {words} words of `vocabulary.json`. A text with any other word has no score.
* **Use**: smoke and regression tests of the harness. It knows two dozen synthetic sounds and
  nothing of the world: its scores compare methods within the mini profile and with nothing
  published.
* **Licence**: MIT.
"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well a checkpoint tells the trained sounds apart, on clips it has not seen.

    Args:
        zero_shot: Share of clips nearest to the text of their own sound.
        zero_shot_codec: The same after a codec round trip.
        round_trip: Mean cosine of a clip and its codec round trip.
        same: Mean cosine of two clips of one sound.
        different: Mean cosine of two clips of different sounds.
        clips: How many clips.
        per_sound: Zero-shot accuracy by sound.
    """

    zero_shot: float
    zero_shot_codec: float
    round_trip: float
    same: float
    different: float
    clips: int
    per_sound: Mapping[str, float]

    def facts(self) -> dict[str, object]:
        """The figures as plain values, rounded to four decimals."""
        by_sound = {sound: round(share, 3) for sound, share in self.per_sound.items()}
        names = ("zero_shot", "zero_shot_codec", "round_trip", "same", "different")
        return {
            **{name: round(getattr(self, name), 4) for name in names},
            "clips": self.clips,
            "per_sound": by_sound,
        }


def read_embedder(folder: Path) -> ClapEmbedder:
    """The embedder that scores use, on a checkpoint folder, on the CPU and without any cache."""
    checkpoint = Checkpoint(folder, digest(str(folder)))
    return ClapEmbedder(read_towers(checkpoint), checkpoint.digest, "cpu")


def _hits(
    embeddings: NDArray[np.float64], texts: NDArray[np.float64], sounds: NDArray[np.int64]
) -> NDArray[np.bool_]:
    return np.asarray((embeddings @ texts.T).argmax(axis=1) == sounds)


def evaluate(embedder: ClapEmbedder, per_sound: int) -> Evaluation:
    """Compare unseen clips, plain and after a codec round trip, with the text of each sound."""
    texts = np.stack([embedder.embed_text(f"{sound} music") for sound in TRAINED_SOUNDS])
    clips = list(evaluation_clips(per_sound))
    sounds = np.array([TRAINED_SOUNDS.index(described.sound) for _, described in clips])
    plain = _embed(embedder, [audio for audio, _ in clips])
    heard = _embed(embedder, [codec_round_trip(audio, 1) for audio, _ in clips])
    cosines, same = plain @ plain.T, sounds[:, None] == sounds[None]
    hits, numbered = _hits(plain, texts, sounds), enumerate(TRAINED_SOUNDS)
    return Evaluation(
        zero_shot=float(hits.mean()),
        zero_shot_codec=float(_hits(heard, texts, sounds).mean()),
        round_trip=float(np.sum(plain * heard, axis=1).mean()),
        same=float(cosines[same & ~np.eye(len(sounds), dtype=bool)].mean()),
        different=float(cosines[~same].mean()),
        clips=len(clips),
        per_sound={sound: float(hits[sounds == i].mean()) for i, sound in numbered},
    )


def _embed(embedder: ClapEmbedder, clips: Sequence[Audio]) -> NDArray[np.float64]:
    return np.stack([embedder.embed_audio(clip) for clip in clips])


def export_weights(
    model: ClapModel,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    training: Mapping[str, Any],
    per_sound: int,
) -> Evaluation:
    """Write a checkpoint with its card, evaluate it, and write the training facts beside it.

    Args:
        model: In evaluation mode; saved in float16.
        tokenizer: Its word-level tokenizer.
        folder: Created if absent; files of the same names are replaced.
        training: The card of the training, written to training.json with the evaluation.
        per_sound: Clips of the evaluation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    halved: torch.nn.Module = copy.deepcopy(model)
    halved.to(torch.float16)
    model.save_pretrained(folder, state_dict=halved.state_dict())
    tokenizer.save_pretrained(folder)
    build_extractor().save_pretrained(folder)
    words = sorted(word for word in tokenizer.get_vocab() if not word.startswith(_SPECIAL_PREFIX))
    _write_json(folder / "vocabulary.json", {"words": words, "sounds": list(TRAINED_SOUNDS)})
    found = evaluate(read_embedder(folder), per_sound)
    _write_json(folder / "training.json", {**training, "evaluation": found.facts()})
    parameters = sum(parameter.numel() for parameter in model.parameters())
    (folder / "MODEL_CARD.md").write_text(_card(found, parameters, len(words), training))
    return found


def _card(found: Evaluation, parameters: int, words: int, training: Mapping[str, Any]) -> str:
    return _CARD.format(
        round_trips=training["round_trips"],
        timbres=", ".join(source["name"] for source in training["sources"][1:]) or "none",
        parameters=parameters,
        words=words,
        sounds=len(TRAINED_SOUNDS),
        chance=1 / len(TRAINED_SOUNDS),
        zero_shot=found.zero_shot,
        round_trip=found.round_trip,
        same=found.same,
        different=found.different,
    )


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
