"""MusicGen melody for style transfer: the style's text, the melody of the content.

**Source**: Copet et al. (2023), "Simple and Controllable Music Generation", arXiv 2306.05284; used
for style transfer as in the comparison of Li et al. (2024), arXiv 2402.13763: style text as the
prompt, content as the melody.

**Conventions**: mono at the codec's rate. The model generates the smallest whole number of code
frames that covers the content and the end is cut, so that an output has exactly the content's
samples.

**Departures**: style clips are not used; no source separation before the chroma; one random stream
per clip.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, final

import torch
from torch import Tensor
from transformers import (
    AutoTokenizer,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as library_logging

from bench.api import (
    Audio,
    CheckpointError,
    ConfigError,
    ContentError,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.seeds import generator
from bench.weights import check_tokenizer, hub_folder, require_files
from methods.musicgen.checkpoints import (
    FILES,
    MINI_FOLDER,
    MUSICGEN_MELODY,
    VOCABULARY,
    describe,
)
from methods.musicgen.chroma import ChromaSettings, dominant_pitch_class, tile_to
from methods.musicgen.generation import Conditions, Sampling, decode, generate_codes

__all__ = ["MusicgenMelody", "Parameters", "Vocabulary"]

# 250 of 2,048 codes is the published setting; the mini model has 256 codes in all.
_DEFAULT_TOP_K = {"full": 250, "mini": 50}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings of MusicGen melody; the defaults are those published with the checkpoint.

    Args:
        guidance_scale: At least 1; 1 switches guidance off.
        top_k: At least 1; None takes the profile's own: 250 for full, 50 for mini.
        temperature: Positive.

    Raises:
        ConfigError: A value out of range.
    """

    guidance_scale: float = field(default=3.0, metadata={"role": "transfer"})
    top_k: int | None = field(default=None, metadata={"role": "transfer"})
    temperature: float = field(default=1.0, metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.guidance_scale < 1.0:
            raise ConfigError(
                f"guidance_scale is {self.guidance_scale}; it must be at least 1. Use 1 for none."
            )
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}; it must be at least 1. Leave it out.")
        if self.temperature <= 0.0:
            raise ConfigError(f"temperature is {self.temperature}; it must be positive. Use 1.0.")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a small model declares to know.

    Args:
        sounds: Names of the sounds it was trained on, each with its spellings.
        text_length: Tokens of every text, padding included: part of the trained alignment.
    """

    sounds: dict[str, list[str]]
    text_length: int

    @staticmethod
    def read(folder: Path) -> Vocabulary | None:
        """Read the declaration of a model folder; None for a model that takes any text."""
        path = folder / VOCABULARY
        if not path.exists():
            return None
        stored = json.loads(path.read_text())
        return Vocabulary(stored["sounds"], stored["text_length"])

    def knows(self, text: str) -> bool:
        """Whether the text names a sound of the training, in whole words."""
        spoken = f" {' '.join(''.join(_letter(c) for c in text.lower()).split())} "
        return any(f" {name} " in spoken for names in self.sounds.values() for name in names)


def _letter(character: str) -> str:
    return character if character.isalnum() else " "


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model with all that belongs to it."""

    model: MusicgenMelodyForConditionalGeneration
    tokenizer: PreTrainedTokenizerBase
    chroma: ChromaSettings
    vocabulary: Vocabulary | None
    hop_length: int

    @property
    def longest_frames(self) -> int:
        """Code frames that the melody condition covers."""
        covered_samples = self.model.config.chroma_length * self.chroma.hop_length
        return int(covered_samples // self.hop_length)


@final
class MusicgenMelody(StyleTransferMethod):
    """MusicGen melody: text-driven, melody-conditioned generation.

    Nothing is learnt from style clips: `fit` stores the style's text. A model that declares a
    vocabulary refuses texts that name no sound it knows, because its output would be arbitrary.

    Example:
        >>> from bench.api import Clip, FitRequest, Style, TransferRequest
        >>> method = MusicgenMelody()
        >>> method.load("mini", "cpu")  # doctest: +SKIP
        >>> style = Style("organ", (), text="organ music")
        >>> states = method.fit([FitRequest(style, Parameters(), 0)], print)  # doctest: +SKIP
    """

    Parameters: ClassVar[type] = Parameters

    def __init__(self) -> None:
        self._loaded: _Loaded | None = None
        self._top_k = _DEFAULT_TOP_K["full"]

    def load(self, profile: Profile, device: str) -> None:
        """Load the checkpoint of the profile."""
        folder = MINI_FOLDER if profile == "mini" else hub_folder(MUSICGEN_MELODY)
        self.load_folder(folder, device)
        self._top_k = _DEFAULT_TOP_K[profile]
        rate = describe(profile).sample_rate
        if self._ready.chroma.sample_rate != rate:
            raise CheckpointError(
                f"MusicGen melody: {folder} holds a model of {self._ready.chroma.sample_rate} Hz; "
                f"the profile {profile} is described with {rate} Hz. Restore the folder."
            )

    def load_folder(self, folder: Path, device: str) -> None:
        """Load any MusicGen melody saved in the library's own layout.

        Raises:
            CheckpointError: A file is missing, the tokenizer is empty, or the rates do not agree.
        """
        require_files(folder, FILES, "MusicGen melody")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        check_tokenizer(tokenizer, folder)
        library_logging.disable_progress_bar()
        model = MusicgenMelodyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        # Built from parts, the decoder lacks an attention implementation, and then a causal mask.
        model.decoder.set_attn_implementation("sdpa")
        _set_special_ids(model)
        model = model.train(mode=False).requires_grad_(requires_grad=False).to(device)
        if device.startswith("cuda"):  # the rest stays float32: it is small, and audible
            model.decoder.half()
        hop_length = math.prod(model.audio_encoder.config.upsampling_ratios)
        self._loaded = _Loaded(
            model, tokenizer, _chroma_settings(folder, model), Vocabulary.read(folder), hop_length
        )

    @property
    def _ready(self) -> _Loaded:
        if self._loaded is None:
            raise ValueError("the method is not loaded; call load(profile, device) first.")
        return self._loaded

    def fit(self, requests: Sequence[FitRequest], progress: Progress) -> list[StyleState]:
        """Store each style's text."""
        states = []
        for request in requests:
            text = (request.style.text or "").strip()
            self._check_text(request.style.id, text)
            states.append(StyleState(meta={"text": text}))
        progress(1.0, "texts stored")
        return states

    def _check_text(self, style: str, text: str) -> None:
        if not text:
            raise UnsupportedError(
                f"style '{style}' has no text; MusicGen melody is driven by text. Give the style a "
                "text in its dataset card."
            )
        vocabulary = self._ready.vocabulary
        if vocabulary is None:
            return
        if not vocabulary.knows(text):
            raise UnsupportedError(
                f"text unknown to this model: '{text}' of style '{style}' names none of "
                f"{', '.join(vocabulary.sounds)}. Use the full profile."
            )
        tokens = len(self._ready.tokenizer(text)["input_ids"])
        if tokens > vocabulary.text_length:
            raise UnsupportedError(
                f"text too long for this model: '{text}' of style '{style}' has {tokens} tokens; "
                "it "
                f"takes {vocabulary.text_length}. Shorten the text."
            )

    def transfer(self, requests: Sequence[TransferRequest]) -> list[Audio]:
        """Render each content's melody with the style's text.

        Requests of equal text length, duration and parameters are generated together; padding a
        text would move the melody relative to the audio, so unlike lengths never share a batch.
        """
        groups: dict[tuple[int, int, object], list[int]] = {}
        for index, request in enumerate(requests):
            key = (self._tokens(request).shape[0], self._num_frames(request), request.parameters)
            groups.setdefault(key, []).append(index)
        outputs: dict[int, Audio] = {}
        for (_, num_frames, _), members in groups.items():
            made = self._transfer_group([requests[i] for i in members], num_frames)
            outputs.update(zip(members, made, strict=True))
        return [outputs[index] for index in range(len(requests))]

    def _tokens(self, request: TransferRequest) -> Tensor:
        loaded = self._ready
        text = str(request.state.meta["text"])
        if loaded.vocabulary is None:
            return torch.tensor(loaded.tokenizer(text)["input_ids"])
        padded = loaded.tokenizer(
            text, padding="max_length", max_length=loaded.vocabulary.text_length
        )
        return torch.tensor(padded["input_ids"])

    def _num_frames(self, request: TransferRequest) -> int:
        loaded, audio = self._ready, request.content.audio
        if audio.sample_rate != loaded.chroma.sample_rate:
            raise ContentError(
                f"content '{request.content.id}' has {audio.sample_rate} Hz; MusicGen melody takes "
                f"{loaded.chroma.sample_rate} Hz. Resample it."
            )
        frames = -(-audio.num_samples // loaded.hop_length)
        if not 1 <= frames <= loaded.longest_frames:
            longest_s = loaded.longest_frames * loaded.hop_length / audio.sample_rate
            raise ContentError(
                f"content '{request.content.id}' lasts {audio.duration_s:.2f} s; MusicGen melody "
                f"takes more than 0 and at most {longest_s:.2f} s. Use --duration {longest_s:.2f}."
            )
        return frames

    def _transfer_group(self, requests: Sequence[TransferRequest], num_frames: int) -> list[Audio]:
        loaded = self._ready
        device = loaded.model.device
        text = torch.stack([self._tokens(request) for request in requests])
        pad = loaded.tokenizer.pad_token_id
        melodies = [_melody(request, loaded) for request in requests]
        conditions = Conditions(
            text.to(device), (text != pad).long().to(device), torch.stack(melodies).to(device)
        )
        codes = generate_codes(
            loaded.model,
            conditions,
            num_frames,
            self._sampling(requests[0].parameters),
            [generator(request.seed) for request in requests],
        )
        waveforms = decode(loaded.model, codes).numpy()
        return [
            Audio(waveform[None, : r.content.audio.num_samples].copy(), loaded.chroma.sample_rate)
            for r, waveform in zip(requests, waveforms, strict=True)
        ]

    def _sampling(self, parameters: object) -> Sampling:
        if not isinstance(parameters, Parameters):
            raise TypeError(f"{parameters!r} are not the Parameters of MusicgenMelody.")
        top_k = self._top_k if parameters.top_k is None else parameters.top_k
        return Sampling(parameters.guidance_scale, top_k, parameters.temperature)


def _melody(request: TransferRequest, loaded: _Loaded) -> Tensor:
    waveform = torch.from_numpy(request.content.audio.mono.copy())
    frames = dominant_pitch_class(waveform, loaded.chroma)
    return tile_to(frames, loaded.model.config.chroma_length)


def _set_special_ids(model: MusicgenMelodyForConditionalGeneration) -> None:
    """Take the pad code from the decoder; a model built from parts leaves these ids open."""
    pad = model.decoder.config.pad_token_id
    generation = model.generation_config
    generation.pad_token_id = generation.bos_token_id = generation.decoder_start_token_id = pad


def _chroma_settings(folder: Path, model: MusicgenMelodyForConditionalGeneration) -> ChromaSettings:
    stored = json.loads((folder / "preprocessor_config.json").read_text())
    settings = ChromaSettings(stored["sampling_rate"], stored["n_fft"], stored["hop_length"])
    codec_rate = model.audio_encoder.config.sampling_rate
    if settings.sample_rate != codec_rate:
        raise CheckpointError(
            f"MusicGen melody: preprocessor_config.json in {folder} says {settings.sample_rate} "
            "Hz, "
            f"the codec {codec_rate} Hz; they must agree. Restore the folder."
        )
    return settings
