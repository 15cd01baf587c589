"""ACE-Step's cover: the content's melody and structure, the style's timbre and text.

**Source**: the ACE-Step Team (2026), "ACE-Step 1.5: Pushing the Boundaries of Open-Source Music
Generation", arXiv 2602.00744, by the pipeline of diffusers in its task `cover`. The content becomes
semantic codes of 5 per second, which the transformer is conditioned on beside the style: 30 s of
its sound, heard by an encoder of timbre, and its text.

**Length**: up to 600 s in one piece, as the documentation has it; it begins at 10 s, and shorter
contents are repeated up to there.

**One by one**: the pipeline takes one content at a time, for it takes one length and one reference.

Departures stand in the catalog and in `departures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np
import torch

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
from bench.seeds import generator
from methods.holding import loaded, require_full
from methods.pipelines.checkpoints import describe_ace_step
from methods.pipelines.cover import Cover, CoverPipeline, cover, encode, load_cover, reference_of
from methods.pipelines.parameters import AceStepParameters
from methods.pipelines.parts import require_rate

SHORTEST_S = 10.0


def _departures(parameters: AceStepParameters, profile: Profile) -> Iterator[str]:
    if parameters.strength < 1.0:
        yield (
            f"latents begin with {parameters.strength:g} of noise and the rest of the content, "
            "where the pipeline begins with noise alone (strength=1.0)"
        )
    if parameters.prompt == "none":
        yield "the prompt is empty (prompt=style)"
    if profile == "full":  # there is no mini model
        yield "on a GPU the transformer works in 16 bits (--precision float32)"


def lengthened(waveform: Waveform, shortest: int) -> Waveform:
    """A sound that is repeated until it has so many samples, where it has fewer.

    Example:
        >>> lengthened(np.array([1, 2], np.float32), 3).tolist()
        [1.0, 2.0, 1.0]
    """
    if len(waveform) >= shortest:
        return waveform
    return np.tile(waveform, -(-shortest // len(waveform)))[:shortest]


@final
class AceStep(StyleTransferMethod[AceStepParameters]):
    """The content covered in the style's timbre.

    References:
        ACE-Step Team (2026), arXiv 2602.00744; see the module docstring.
    """

    def __init__(self) -> None:
        self._pipeline: CoverPipeline | None = None

    def load(self, profile: Profile, device: str) -> None:
        """Load the published pipeline.

        Raises:
            UnsupportedError: The profile is mini: no small model of it has been trained.
            CheckpointError: The checkpoint is not here.
        """
        require_full(profile, "ace-step")
        self.use(load_cover(device))

    def use(self, pipeline: CoverPipeline) -> None:
        """Take a loaded pipeline."""
        self._pipeline = pipeline

    @property
    def _ready(self) -> CoverPipeline:
        return loaded(self._pipeline)

    @classmethod
    def departures(cls, parameters: AceStepParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the pipeline's cover."""
        return tuple(_departures(parameters, profile))

    def fit(
        self, requests: Sequence[FitRequest[AceStepParameters]], progress: Progress
    ) -> list[StyleState]:
        """Encode the sound of each style, and store its text.

        Raises:
            UnsupportedError: A style has no clips.
        """
        states = []
        for number, request in enumerate(requests, start=1):
            states.append(self._fit(request))
            progress(number / len(requests), "styles encoded")
        return states

    def _fit(self, request: FitRequest[AceStepParameters]) -> StyleState:
        style, pipeline = request.style, self._ready
        if not style.clips:
            raise UnsupportedError(
                f"style '{style.id}' has 0 clips; ace-step hears its timbre in them. Add one to "
                "the style."
            )
        for clip in style.clips:
            require_rate(clip, pipeline.sample_rate, "ACE-Step")
        joined = np.concatenate([clip.audio.mono for clip in style.clips])
        timbre = encode(pipeline, reference_of(joined, pipeline.sample_rate))
        text = (style.text or "").strip() if request.parameters.prompt == "style" else ""
        return StyleState({"timbre": timbre.cpu().numpy()}, {"text": text})

    def transfer(self, requests: Sequence[TransferRequest[AceStepParameters]]) -> list[Audio]:
        """Cover each content, one by one.

        Raises:
            ContentError: A content has another rate, no samples, or is too long.
        """
        return [self._render(request) for request in requests]

    def _render(self, request: TransferRequest[AceStepParameters]) -> Audio:
        pipeline, audio = self._ready, request.content.audio
        require_rate(request.content, pipeline.sample_rate, "ACE-Step")
        longest_s = describe_ace_step("full").longest_s or 0.0
        if not 0 < audio.duration_s <= longest_s:
            raise ContentError(
                f"content '{request.content.id}' lasts {audio.duration_s:.2f} s; ACE-Step takes "
                f"more than 0 and at most {longest_s:g} s. Use --duration {longest_s:g}."
            )
        made = cover(
            pipeline,
            Cover(
                lengthened(audio.mono, round(SHORTEST_S * pipeline.sample_rate)),
                torch.from_numpy(request.state.arrays["timbre"].copy()),
                str(request.state.meta["text"]),
                request.parameters,
                generator(request.seed),
            ),
        )
        return Audio(made[None, : audio.num_samples].copy(), pipeline.sample_rate)
