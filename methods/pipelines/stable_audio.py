"""Stable Audio from audio to audio: the content is noised, and denoised under the style's text.

**Source**: Evans et al. (2024), "Stable Audio Open", arXiv 2407.14358, by the pipeline of
diffusers, which takes an initial audio; in effect Meng et al. (2022), SDEdit, arXiv 2108.01073,
algorithm 1. Style clips are not used.

**Length**: the model renders 47.55 s at once, whatever the length of the content; it is told how
much of that is sound. A longer content is rendered in windows of that length, at least 3 s of which
two have in common, each from a seed of its own.

**Stable Audio 3** is not offered: the library has a pipeline for it, but its checkpoints are not
published in the library's layout and would have to be converted by hand.

Departures stand in the catalog and in `departures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import final

from bench.api import (
    Audio,
    ContentError,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
    Waveform,
)
from bench.batching import Batcher, affordable
from bench.seeds import derive_seed
from methods.holding import loaded, require_full
from methods.pipelines.noising import Noiser, Window, load_noiser
from methods.pipelines.parameters import StableAudioParameters
from methods.pipelines.parts import require_rate
from methods.pipelines.windows import cut_windows, join_windows

_WINDOWS_AT_ONCE = 8
# Activations of the transformer for a row, in units of its widest map; a first guess: batches are
# halved where it is too low.
_MAPS = 60
# Guidance and steps of the pipeline.
_PUBLISHED = (7.0, 100)


def _departures(parameters: StableAudioParameters, profile: Profile) -> Iterator[str]:
    chosen = (parameters.guidance_scale, parameters.num_inference_steps)
    if chosen != _PUBLISHED:
        yield "guidance {:g} and {} steps, where the pipeline has {:g} and {}".format(
            *chosen, *_PUBLISHED
        )
    if profile == "full":  # there is no mini model
        yield "on a GPU the transformer works in 16 bits (--precision float32)"


@final
class StableAudio(StyleTransferMethod[StableAudioParameters]):
    """The content redrawn under the style's text.

    References:
        Evans et al. (2024), arXiv 2407.14358; Meng et al. (2022), arXiv 2108.01073, algorithm 1.
    """

    def __init__(self) -> None:
        self._noiser: Noiser | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Load the published pipeline.

        Raises:
            UnsupportedError: The profile is mini: no small model of it has been trained.
            CheckpointError: The checkpoint is not here.
        """
        require_full(profile, "stable-audio")
        self.use(load_noiser(device))

    def use(self, noiser: Noiser) -> None:
        """Take a loaded pipeline."""
        self._noiser = noiser

    @property
    def _ready(self) -> Noiser:
        return loaded(self._noiser)

    @classmethod
    def departures(cls, parameters: StableAudioParameters, profile: Profile) -> tuple[str, ...]:
        """Other settings than the pipeline's own."""
        return tuple(_departures(parameters, profile))

    def fit(
        self, requests: Sequence[FitRequest[StableAudioParameters]], progress: Progress
    ) -> list[StyleState]:
        """Store each style's text.

        Raises:
            UnsupportedError: A style has no text.
        """
        states = []
        for request in requests:
            text = (request.style.text or "").strip()
            if not text:
                raise UnsupportedError(
                    f"style '{request.style.id}' has no text; stable-audio is driven by text. Give "
                    "the style a text in its dataset card."
                )
            states.append(StyleState(meta={"text": text}))
        progress(1.0, "texts stored")
        return states

    def transfer(self, requests: Sequence[TransferRequest[StableAudioParameters]]) -> list[Audio]:
        """Render each content, window by window.

        Windows of one length and equal settings are rendered together on a GPU, and one by one on
        the CPU, where a window's result then does not depend on the others by a bit.

        Raises:
            ContentError: A content has another rate, or no samples.
        """
        noiser = self._ready
        windows = [_windows_of(request, noiser) for request in requests]
        groups: dict[tuple[StableAudioParameters, int], list[Window]] = {}
        for request, own in zip(requests, windows, strict=True):
            groups.setdefault((request.parameters, len(own[0].sound)), []).extend(own)
        made: dict[Window, Waveform] = {}
        for (parameters, _), alike in groups.items():
            batcher = Batcher(_windows_at_once(noiser, parameters))
            rendered = batcher.run(alike, partial(noiser.render, parameters=parameters))
            made.update(zip(alike, rendered, strict=True))
        outputs = []
        for request, own in zip(requests, windows, strict=True):
            parts, length = [made[window] for window in own], request.content.audio.num_samples
            outputs.append(Audio(join_windows(parts, length)[None], noiser.sample_rate))
        return outputs


def _windows_of(
    request: TransferRequest[StableAudioParameters], noiser: Noiser
) -> tuple[Window, ...]:
    content = request.content
    require_rate(content, noiser.sample_rate, "Stable Audio")
    if not content.audio.num_samples:
        raise ContentError(
            f"content '{content.id}' has no samples; there is nothing to render. Leave it out."
        )
    text = str(request.state.meta["text"])
    return tuple(
        Window(sound, text, derive_seed("window", number, request.seed))
        for number, sound in enumerate(cut_windows(content.audio.mono, noiser.window))
    )


def _windows_at_once(noiser: Noiser, parameters: StableAudioParameters) -> int:
    """How many windows are rendered together."""
    if noiser.device.type == "cpu":
        return 1
    config = noiser.pipeline.transformer.config
    width = config.num_attention_heads * config.attention_head_dim
    each = parameters.rows * config.sample_size * width * 4 * _MAPS
    return affordable(str(noiser.device), each, _WINDOWS_AT_ONCE)
