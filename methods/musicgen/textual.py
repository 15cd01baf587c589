"""Textual inversion on MusicGen melody: a style's clips become pseudo-words of the prompt.

**Source**: the first strategy of Rouard et al. (2024), "Audio Conditioning for Music Generation via
Discrete Bottleneck Features", arXiv 2407.12563, which learns pseudo-words on MusicGen to generate
music like a recording.

**Our combination**: the paper transfers no content. Here the words are learnt on MusicGen melody
under each clip's own chroma, and a transfer joins them to the chroma of the content. With
`melody=none` the content is not used at all, which is nearer to the paper, and no transfer. The
published settings could not be checked against the paper; the preset `full` holds what is reported
of them.

**Conventions**: mono at the codec's rate; an output has exactly the content's samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch

from bench.api import (
    Audio,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    TransferRequest,
)
from methods.musicgen import departures
from methods.musicgen.inversion import (
    Prompt,
    WordFit,
    begin_fit,
    checked_loss,
    make_prompt,
    read_crops,
    step_together,
)
from methods.musicgen.method import MelodyMethod
from methods.musicgen.rendering import Job, render
from methods.musicgen.textual_parameters import PRESETS, InversionPlan, TextualParameters

_STYLES_AT_ONCE = 8  # bounds the memory of the activations


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """A style being learnt, with its prompt and plan, and the loss it began with."""

    fit: WordFit
    prompt: Prompt
    plan: InversionPlan
    before: float

    @property
    def group(self) -> tuple[InversionPlan, int, int]:
        """What must be equal for styles to share passes: plan, crop length, text length."""
        return self.plan, self.fit.crops[0].codes.shape[-1], len(self.prompt.mask)


def _departures(parameters: TextualParameters, profile: Profile) -> Iterator[str]:
    yield from departures.of_profile(profile)
    plan, reported = parameters.plan(), PRESETS["full"]
    if plan != reported:
        yield (
            f"learnt in {plan.steps} steps of {plan.batch_size} crops of {plan.crop_s:g} s at "
            f"{plan.learning_rate:g}, where {reported.steps} of {reported.batch_size} of "
            f"{reported.crop_s:g} s at {reported.learning_rate:g} are reported (preset=full)"
        )
    if parameters.melody == "none":
        yield "the content is not heard (melody=content)"
    yield from departures.of_sampling(parameters, profile)


@final
class MusicgenTextual(MelodyMethod[TextualParameters]):
    """Pseudo-words learnt from style clips, with the content's melody.

    References:
        Rouard et al. (2024), arXiv 2407.12563, textual inversion; the combination with melody is
        ours (module docstring).
    """

    @classmethod
    def departures(cls, parameters: TextualParameters, profile: Profile) -> tuple[str, ...]:
        """The mini model, a plan or draws with other settings than published."""
        return tuple(_departures(parameters, profile))

    def fit(
        self, requests: Sequence[FitRequest[TextualParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn each style's pseudo-words; styles with equal plans share the networks' passes.

        Raises:
            UnsupportedError: A style has no clip of at least one frame of codes.
            ConfigError: The word to start from is not one token.
        """
        tasks = [self._begin(request) for request in requests]
        total, done = sum(task.plan.steps for task in tasks), 0
        for group in dict.fromkeys(task.group for task in tasks):
            same = [task for task in tasks if task.group == group]
            for first in range(0, len(same), _STYLES_AT_ONCE):
                together = same[first : first + _STYLES_AT_ONCE]
                for step in range(group[0].steps):
                    self._step(together)
                    made = done + (step + 1) * len(together)
                    progress(made / total, f"step {step + 1} of {group[0].steps}")
                done += group[0].steps * len(together)
        return [self._state(*pair) for pair in zip(tasks, requests, strict=True)]

    def _begin(self, request: FitRequest[TextualParameters]) -> _Task:
        loaded, parameters = self._ready, request.parameters
        plan, count = parameters.plan(), parameters.pseudo_words
        crops = read_crops(loaded, request.style.clips, request.style.id, plan.crop_s)
        prompt = make_prompt(loaded, parameters.init_word, count)
        fit = begin_fit(crops, prompt, count, plan, request.seed)
        return _Task(fit, prompt, plan, checked_loss(loaded, fit, prompt))

    def _step(self, together: Sequence[_Task]) -> None:
        fits, prompts = [task.fit for task in together], [task.prompt for task in together]
        step_together(self._ready, fits, prompts, together[0].plan.batch_size)

    def _state(self, task: _Task, request: FitRequest[TextualParameters]) -> StyleState:
        parameters = request.parameters
        return StyleState(
            arrays={"words": task.fit.words.detach().cpu().numpy().copy()},
            meta={
                "style": request.style.id,
                "clips": len(request.style.clips),
                "crops": len(task.fit.crops),
                "steps": len(task.fit.losses),
                "init_word": parameters.init_word,
                "seed": request.seed,
                "seen_loss_before": task.before,
                "seen_loss_after": checked_loss(self._ready, task.fit, task.prompt),
            },
        )

    def transfer(self, requests: Sequence[TransferRequest[TextualParameters]]) -> list[Audio]:
        """Render each content's melody under its style's pseudo-words.

        Raises:
            ContentError: A content has another rate, no samples, or is longer than the window.
        """
        return render(self._ready, [self._job(request) for request in requests])

    def _job(self, request: TransferRequest[TextualParameters]) -> Job:
        parameters = request.parameters
        words = torch.from_numpy(request.state.arrays["words"].copy()).to(self._ready.model.device)
        prompt = make_prompt(self._ready, str(request.state.meta["init_word"]), len(words))
        sampling = parameters.sampling(self._profile)
        text = prompt.with_words(words)
        return Job(request.content, request.seed, text, prompt.mask, sampling, parameters.melody)
