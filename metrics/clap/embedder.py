"""Embeddings of audio and text by a CLAP model.

One code path for the mini model and the full checkpoints: what differs (rate, window, mel bands,
vocabulary) is read from the files of the checkpoint. `metrics.embeddings` says how many windows go
through at once.

**Conventions**: embeddings are float64 of shape (dim,) with unit norm.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, ClapAudioConfig, ClapConfig, ClapFeatureExtractor, ClapModel

from bench.api import Audio, CheckpointError, Json, Profile, UnsupportedError
from bench.cache import Cache
from bench.device import place
from bench.files import json_digest
from bench.weights import check_tokenizer
from metrics.clap import laion_files
from metrics.clap.checkpoints import Checkpoint, locate
from metrics.clap.front_end import DESCRIPTION, read_front_end
from metrics.clap.laion_constants import TEXT_TOWER
from metrics.clap.preprocess import (
    Mode,
    Mono,
    Windows,
    describe,
    prepare,
    prepare_as_published,
)
from metrics.directions import Embedding, unit
from metrics.embeddings import EmbeddedSounds

_LONGEST_TEXT = 77  # tokens; laion-clap cuts there
_PREPARATIONS = {"version_1": prepare, "as_published": prepare_as_published}


@dataclass(frozen=True, slots=True)
class Towers:
    """What a checkpoint holds.

    Args:
        model: The network, a `ClapModel`; transformers leaves most of its methods untyped.
        extractor: The library's front end, whose constants are read (`metrics.clap.front_end`).
        tokenizer: The front end of its text tower.
        vocabulary: The words it knows; None where it knows every text.
    """

    model: Any
    extractor: ClapFeatureExtractor
    tokenizer: Any
    vocabulary: frozenset[str] | None


def check_front_end(config: ClapAudioConfig, extractor: ClapFeatureExtractor, folder: Path) -> None:
    """Refuse a checkpoint whose scores would be random or wrong.

    Args:
        config: The configuration of the audio tower.
        extractor: The front end.
        folder: Where they come from, for the message.

    Raises:
        CheckpointError: The model is fused, crops or pads in another way, or the front end does not
            fit the tower.
    """
    if (
        config.enable_fusion
        or extractor.truncation != "rand_trunc"
        or extractor.padding != "repeatpad"
    ):
        raise CheckpointError(
            f"{folder} has fusion {config.enable_fusion}, truncation {extractor.truncation!r}, "
            f"padding {extractor.padding!r}; scores need an unfused model with 'rand_trunc' and "
            "'repeatpad'. Use laion/clap-htsat-unfused."
        )
    frames = window_length(extractor) // extractor.hop_length + 1
    most = config.spec_size * (config.spec_size // config.num_mel_bins)
    if extractor.feature_size != config.num_mel_bins or frames > most:
        raise CheckpointError(
            f"{folder} makes {frames} frames of {extractor.feature_size} mel bands; the tower "
            f"takes at most {most} of {config.num_mel_bins}. Restore its preprocessor_config.json."
        )


def window_length(extractor: ClapFeatureExtractor) -> int:
    """Length of the model's window in samples."""
    samples: float = extractor.max_length_s * extractor.sampling_rate
    return round(samples)


def _read_vocabulary(folder: Path) -> frozenset[str] | None:
    path = folder / "vocabulary.json"
    return frozenset(json.loads(path.read_text())["words"]) if path.is_file() else None


def _read_extractor(folder: Path) -> ClapFeatureExtractor:
    if not (folder / "preprocessor_config.json").is_file():
        raise CheckpointError(
            f"{folder} has no preprocessor_config.json; the library's defaults belong to another "
            "model. Restore the file."
        )
    return ClapFeatureExtractor.from_pretrained(folder)


def read_towers(checkpoint: Checkpoint) -> Towers:
    """Load a checkpoint from disk, in float32 and evaluation mode, and check that its parts fit.

    Raises:
        CheckpointError: A part is missing, or they do not fit.
    """
    folder = checkpoint.folder
    if checkpoint.weights_file is not None:
        model: Any = laion_files.load_laion(checkpoint.weights_file)
        extractor = laion_files.build_extractor()
    else:
        model = _read_saved(folder, laion_text_tower=checkpoint.laion_text_tower)
        extractor = _read_extractor(folder)
    check_front_end(model.config.audio_config, extractor, folder)
    words = checkpoint.tokenizer or folder
    tokenizer = AutoTokenizer.from_pretrained(words, local_files_only=True)
    check_tokenizer(tokenizer, words)
    return Towers(model, extractor, tokenizer, _read_vocabulary(folder))


def _read_saved(folder: Path, *, laion_text_tower: bool) -> Any:  # noqa: ANN401 - see `Towers`
    config = ClapConfig.from_pretrained(folder)
    if laion_text_tower:
        for name, value in TEXT_TOWER.items():
            setattr(config.text_config, name, value)
    model = ClapModel.from_pretrained(
        folder, config=config, dtype=torch.float32, local_files_only=True
    )
    return model.eval()


class ClapEmbedder:
    """A loaded CLAP model with the embeddings it has made.

    Args:
        towers: The model and its front ends; moved to `device`.
        identity: Digest of the checkpoint.
        device: Where to compute.
        mode: What happens to a sound before the model hears it, see `metrics.clap.preprocess`.
        cache: Where embeddings of audio are kept between runs; None keeps them in memory only.
        windows_at_once: How many share a pass; left out, 1 on the CPU and many elsewhere.
    """

    def __init__(
        self,
        towers: Towers,
        identity: str,
        device: str,
        *,
        mode: Mode = "version_1",
        cache: Cache | None = None,
        windows_at_once: int | None = None,
    ) -> None:
        self._towers = towers
        self._model = towers.model.to(device)
        self._front_end = read_front_end(towers.extractor, device)
        self._device = device
        self._mode: Mode = mode
        self._identity = identity
        self._texts: dict[str, Embedding] = {}
        kind_of_device = device.split(":", maxsplit=1)[0]
        facts = {**self.fingerprint(), "front_end": DESCRIPTION, "device": kind_of_device}
        self._sounds = EmbeddedSounds(
            self._prepare,
            self._embed_windows,
            kind=f"clap-{json_digest(facts)[:16]}",
            device=device,
            cache=cache,
            windows_at_once=windows_at_once,
        )

    @property
    def sample_rate(self) -> int:
        """The model's rate in Hz."""
        return int(self._towers.extractor.sampling_rate)

    @property
    def window_samples(self) -> int:
        """Length of the model's window at that rate."""
        return window_length(self._towers.extractor)

    def fingerprint(self) -> dict[str, Json]:
        """Checkpoint, preprocessing and libraries: all that decides an embedding beside audio."""
        names = ("torch", "transformers", "soxr", "numpy")
        libraries: dict[str, Json] = {name: version(name) for name in names}
        return {
            "checkpoint": self._identity,
            "sample_rate": self.sample_rate,
            "window_samples": self.window_samples,
            "preprocessing": describe(self._mode),
            "libraries": libraries,
        }

    def embed_audio(self, audio: Audio) -> Embedding:
        """Embed a clip as the mean direction of its windows; a clip is embedded only once.

        Args:
            audio: Finite samples, at least one; any rate and length.
        """
        return self.embed_all([audio])[0]

    def embed_all(self, audios: Sequence[Audio]) -> list[Embedding]:
        """Embed clips, in order, as `embed_audio` does."""
        return self._sounds.of(audios)

    def embed_text(self, text: str) -> Embedding:
        """Embed a text, only once; what is longer than laion-clap reads is cut.

        Raises:
            UnsupportedError: The model's vocabulary lacks a word of it.
        """
        if text not in self._texts:
            self._texts[text] = self._embed_text(text)
        return self._texts[text]

    def _embed_text(self, text: str) -> Embedding:
        self.require_words(text)
        tokens = self._towers.tokenizer(
            [text], return_tensors="pt", truncation=True, max_length=_LONGEST_TEXT
        ).to(self._device)
        with torch.inference_mode():
            found = self._model.get_text_features(
                input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
            )
        return unit(_pooled(found)[0])

    def require_words(self, text: str) -> None:
        """Check that the model knows every word of a text; one without a vocabulary knows all.

        Raises:
            UnsupportedError: It does not, or the text is empty.
        """
        words = set(text.lower().split())
        unknown = (
            sorted(words - self._towers.vocabulary) if self._towers.vocabulary is not None else []
        )
        if unknown or not words:
            raise UnsupportedError(
                f"text unknown to this model: {', '.join(unknown) or 'empty text'}"
            )

    def _prepare(self, audio: Audio) -> Windows:
        """The windows of a clip: on the CPU for every device, so that samples are the same."""
        return _PREPARATIONS[self._mode](audio, self.sample_rate, self.window_samples)

    def _embed_windows(self, windows: Sequence[Mono]) -> list[Embedding]:
        samples = place(torch.from_numpy(np.stack(windows)), self._front_end.window.device)
        with torch.inference_mode():
            found = self._model.get_audio_features(
                input_features=self._front_end.log_mel(samples)[:, None].to(self._device),
                is_longer=torch.zeros(len(windows), 1, dtype=torch.bool, device=self._device),
            )
        return [unit(vector) for vector in _pooled(found)]


def _pooled(found: Any) -> NDArray[np.float32]:  # noqa: ANN401 - a tensor in transformers 4, an object in 5
    tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
    return np.asarray(tensor.float().cpu().numpy())


@lru_cache(maxsize=4)
def load_embedder(profile: Profile, device: str, mode: Mode = "version_1") -> ClapEmbedder:
    """The embedder of a profile, made once per device and preprocessing and shared by all metrics.

    Raises:
        CheckpointError: The checkpoint is missing or incomplete.
    """
    towers, identity = _load_towers(profile, device)
    return ClapEmbedder(towers, identity, device, mode=mode, cache=Cache.default())


@lru_cache(maxsize=2)
def load_checkpoint(checkpoint: Checkpoint, device: str) -> ClapEmbedder:
    """The embedder of one checkpoint on our own preparation, shared by the metrics that name it.

    Raises:
        CheckpointError: It is incomplete, or its parts do not fit.
    """
    towers = read_towers(checkpoint)
    return ClapEmbedder(towers, checkpoint.digest, device, cache=Cache.default())


@lru_cache(maxsize=2)
def _load_towers(profile: Profile, device: str) -> tuple[Towers, str]:
    """The model of a profile and its digest; both preprocessings use one copy of it per device."""
    del device  # a key of the cache: the model is moved to its device
    checkpoint = locate(profile)
    return read_towers(checkpoint), checkpoint.digest
