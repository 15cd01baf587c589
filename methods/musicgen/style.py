"""MusicGen-Style in three uses, none of which its paper makes of it: it transfers no content.

**Source**: Rouard et al. (2024), "Audio Conditioning for Music Generation via Discrete Bottleneck
Features", arXiv 2407.12563: music like an excerpt, steered by text, with double classifier-free
guidance (section 3.4). It is evaluated there as generation, not as style transfer.

**Our uses** (`use`):
* `style`: like an excerpt of the style; the content decides nothing but the length. Content
  preservation is chance: an upper bound of style fit, not a transfer.
* `prompt`: likewise, continuing the content's first seconds. They are left out of the output, so
  that only what was generated is scored.
* `content`: like an excerpt of the *content*, with the style's text, under double guidance. The
  style's clips are not used.

Departures stand in the catalog and in `departures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from bench.api import (
    Audio,
    Clip,
    ContentError,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.audio import resample
from bench.seeds import derive_seed, generator
from methods.holding import loaded, require_full
from methods.musicgen import departures
from methods.musicgen.generation import Guide, continue_codes, guided, undisturbed
from methods.musicgen.style_loading import StyleModel, load_style_model
from methods.musicgen.style_parameters import SHORTEST_EXCERPT_S, StyleParameters, Use

_FEATURE_RATE = 24_000


# What each use makes of the method, which its paper does not.
_USES: dict[Use, tuple[str, ...]] = {
    "style": (
        "the content decides nothing but the length (use=content)",
        "of several style clips one is drawn",
    ),
    "prompt": (
        "the content's first seconds are continued and left out of the output (use=content)",
        "of several style clips one is drawn",
    ),
    "content": ("the excerpt is the content's and the style is heard as text alone (use=style)",),
}


def _departures(parameters: StyleParameters, profile: Profile) -> Iterator[str]:
    yield from _USES[parameters.use]
    yield (
        "the excerpt's place is drawn from the seed of the cell"
        if parameters.excerpt == "random"
        else "the excerpt is the clip's middle, not drawn (excerpt=random)"
    )
    published = StyleParameters()
    if (parameters.stages, parameters.excerpt_s) != (published.stages, published.excerpt_s):
        yield (
            f"an excerpt of {parameters.excerpt_s:g} s in {parameters.stages} stages, where "
            f"{published.excerpt_s:g} s in {published.stages} are published"
        )
    if profile == "full":  # there is no mini model
        yield from departures.of_profile(profile)
        yield from departures.of_sampling(parameters, profile)


def double_guided(logits: Tensor, guidance_scale: float, text_guidance_scale: float) -> Tensor:
    """Combine logits of text and style, of style alone, and of nothing.

    l = l_0 + a (l_s + b (l_ts - l_s) - l_0), with a for all conditions and b for the text.

    Args:
        logits: The three thirds of a batch, in the order text and style, style, nothing.
        guidance_scale: a.
        text_guidance_scale: b; 1 gives ordinary guidance by text and style.

    References:
        Rouard et al. (2024), equation 4.
    """
    both, style, nothing = logits.chunk(3)
    return nothing + guidance_scale * (style + text_guidance_scale * (both - style) - nothing)


def excerpt_of(clip: Clip, parameters: StyleParameters, seed: int) -> Clip:
    """A stretch of a clip, or all of a clip that is shorter."""
    audio = clip.audio
    length = min(round(parameters.excerpt_s * audio.sample_rate), audio.num_samples)
    last = audio.num_samples - length
    drawn = int(torch.randint(last + 1, (1,), generator=generator(derive_seed("excerpt", seed))))
    start = drawn if parameters.excerpt == "random" else last // 2
    cut = Audio(audio.waveform[:, start : start + length].copy(), audio.sample_rate)
    return Clip(clip.id, clip.category, cut)


@final
class MusicgenStyle(StyleTransferMethod[StyleParameters]):
    """MusicGen-Style; what it is given depends on `use`.

    References:
        Rouard et al. (2024), arXiv 2407.12563; the uses are ours (module docstring).
    """

    def __init__(self) -> None:
        self._model: StyleModel | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Load the published checkpoints.

        Raises:
            UnsupportedError: The profile is mini: no small model of it has been trained.
            CheckpointError: A checkpoint is not here.
        """
        require_full(profile, "musicgen-style")
        self.use(load_style_model(device))

    def use(self, model: StyleModel) -> None:
        """Take a loaded model."""
        self._model = model

    @property
    def _ready(self) -> StyleModel:
        return loaded(self._model)

    @classmethod
    def departures(cls, parameters: StyleParameters, profile: Profile) -> tuple[str, ...]:
        """What the chosen use makes of the method, and other settings than published."""
        return tuple(_departures(parameters, profile))

    def fit(
        self, requests: Sequence[FitRequest[StyleParameters]], progress: Progress
    ) -> list[StyleState]:
        """Encode an excerpt of each style, or store its text, as `use` has it.

        Raises:
            UnsupportedError: A style lacks the clips or the text that the use needs.
        """
        states = [self._fit(request) for request in requests]
        progress(1.0, "styles encoded")
        return states

    def _fit(self, request: FitRequest[StyleParameters]) -> StyleState:
        parameters, style = request.parameters, request.style
        if parameters.use == "content":
            text = (style.text or "").strip()
            if not text:
                raise UnsupportedError(
                    f"style '{style.id}' has no text; use=content is driven by text. Give the "
                    "style a text in its dataset card, or take another use."
                )
            return StyleState(meta={"text": text})
        if not style.clips:
            raise UnsupportedError(
                f"style '{style.id}' has 0 clips; use={parameters.use} hears an excerpt of one. "
                "Add one to the style."
            )
        drawn = generator(derive_seed("clip", request.seed))
        clip = style.clips[int(torch.randint(len(style.clips), (1,), generator=drawn))]
        vectors = self._encode(excerpt_of(clip, parameters, request.seed), parameters.stages)
        return StyleState({"style": vectors.cpu().numpy()}, {"clip": clip.id})

    @undisturbed()
    @torch.no_grad()
    def _encode(self, excerpt: Clip, stages: int) -> Tensor:
        """Vectors (position, dim) of an excerpt."""
        model = self._ready
        heard = resample(excerpt.audio, _FEATURE_RATE).mono
        if len(heard) < SHORTEST_EXCERPT_S * _FEATURE_RATE:
            raise ContentError(
                f"clip '{excerpt.id}' lasts {excerpt.audio.duration_s:.3f} s; MusicGen-Style hears "
                f"at least {SHORTEST_EXCERPT_S} s. Take a longer clip."
            )
        waveform = torch.from_numpy(heard.copy())[None].to(model.device)
        features = model.features(waveform).last_hidden_state
        vectors: Tensor = model.conditioner(features, stages)[0]
        return vectors

    @torch.no_grad()
    def _text(self, text: str) -> Tensor:
        """States (token, dim) of a text; none is one token of zeros."""
        model = self._ready
        ids = torch.tensor([model.tokenizer(text)["input_ids"]], device=model.device)
        states = model.text_encoder(input_ids=ids).last_hidden_state
        projected: Tensor = model.text_projection(states)[0]
        return projected if text else torch.zeros_like(projected)

    def transfer(self, requests: Sequence[TransferRequest[StyleParameters]]) -> list[Audio]:
        """Generate the length of each content, one by one.

        Raises:
            ContentError: A content has another rate, or is too short to be heard.
        """
        return [self._render(request) for request in requests]

    def _render(self, request: TransferRequest[StyleParameters]) -> Audio:
        model, parameters = self._ready, request.parameters
        audio = request.content.audio
        if audio.sample_rate != model.sample_rate:
            raise ContentError(
                f"content '{request.content.id}' has {audio.sample_rate} Hz; MusicGen-Style takes "
                f"{model.sample_rate} Hz. Resample it."
            )
        given = self._prompt(request.content, parameters)
        skipped = given.shape[-1]
        num_frames = skipped - (-audio.num_samples // model.hop_length)
        sampling = parameters.sampling("full")
        guide, own = self._guide(request), [generator(request.seed)]
        with undisturbed():
            codes = continue_codes(model.decoder, guide, (given, num_frames), sampling, own)
        waveform = self._decode(codes)[:, skipped * model.hop_length :]
        return Audio(waveform[:, : audio.num_samples].cpu().numpy().copy(), model.sample_rate)

    @torch.no_grad()
    def _decode(self, codes: Tensor) -> Tensor:
        """Waveforms (batch, sample) of codes (batch, codebook, frame)."""
        codec = self._ready.codec
        decoded: Tensor = codec.decode(codes[None].to(codec.device), [None]).audio_values
        return decoded[:, 0].float()

    @torch.no_grad()
    def _prompt(self, content: Clip, parameters: StyleParameters) -> Tensor:
        """Codes (1, codebook, frame) of the content's beginning, none unless it is a prompt."""
        model = self._ready
        codebooks = model.decoder.config.num_codebooks
        samples = round(parameters.prompt_s * model.sample_rate)
        if parameters.use != "prompt" or min(samples, content.audio.num_samples) < model.hop_length:
            return torch.empty(1, codebooks, 0, dtype=torch.long)
        waveform = torch.from_numpy(content.audio.mono[:samples].copy())[None, None]
        codes: Tensor = model.codec.encode(waveform.to(model.device)).audio_codes[0]
        return codes[:, :codebooks].cpu()

    def _guide(self, request: TransferRequest[StyleParameters]) -> Guide:
        """States before the codes, style before text, and how their logits are combined."""
        parameters = request.parameters
        a, b = parameters.guidance_scale, parameters.text_guidance_scale
        if parameters.use == "content":
            excerpt = excerpt_of(request.content, parameters, request.seed)
            style = self._encode(excerpt, parameters.stages)
            text = self._text(str(request.state.meta["text"]))
            states = _versions(style, text, [(1, 1), (1, 0), (0, 0)])
            return Guide(states, lambda logits: double_guided(logits, a, b))
        style = torch.from_numpy(request.state.arrays["style"].copy()).to(self._ready.device)
        states = _versions(style, self._text(""), [(1, 1), (0, 0)])
        return Guide(states, lambda logits: guided(logits, a))


def _versions(style: Tensor, text: Tensor, kept: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
    """[style | text] for each version, with zeros where a condition is left out."""
    return tuple(
        torch.cat([style * with_style, text * with_text])[None] for with_style, with_text in kept
    )
