"""From contents to outputs: requests are batched over contents, styles and methods.

**Conventions**: requests with equal settings share the passes of the model; a request whose state
joins two styles is rendered window by window between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import torch

from bench.api import Audio, Clip, StyleState, TransferRequest, UnsupportedError
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import (
    EMPTY_PROMPT,
    ContextTable,
    Denoiser,
    Learner,
    LearntConditioning,
    tabulate,
)
from methods.riffusion.parameters.edits import AnySampling, SteeringSettings
from methods.riffusion.parameters.settings import CanvasSettings, StylisationSettings
from methods.riffusion.rendering import Ending, Rendering, content_seed
from methods.riffusion.transition import Transition, amounts, blend_settings, split_state


class Stage(Protocol):
    """A loaded model with its way from contents to outputs."""

    @property
    def backbone(self) -> Denoiser:
        """What predicts the noise."""

    def count_windows(self, content: Clip) -> int:
        """Windows that a content is cut into."""

    def render(
        self, renderings: Sequence[Rendering], settings: AnySampling, canvas: CanvasSettings
    ) -> list[Audio]:
        """Audio of contents in their styles, in order."""


class Stylised(Protocol):
    """Parameters that say how a content is moved into a style."""

    def sampling(self) -> AnySampling:
        """The settings of the sampler."""

    def canvas(self) -> CanvasSettings:
        """The settings of the window."""


StylisedT = TypeVar("StylisedT", bound=Stylised)


def load_arrays(learner: Learner, state: StyleState, backbone: Backbone) -> Learner:
    """Put a state's arrays into a learner and move it beside the model."""
    tensors = {name: torch.from_numpy(array.copy()) for name, array in state.arrays.items()}
    learner.load_state_dict(tensors)
    return learner.to(backbone.device).requires_grad_(False)


MakeTable = Callable[[TransferRequest[StylisedT], tuple[int, ...]], ContextTable]


def transfer_styles(
    model: Stage,
    requests: Sequence[TransferRequest[StylisedT]],
    make_table: MakeTable[StylisedT],
) -> list[Audio]:
    """Render every request, batched over contents and styles that share their transfer parameters.

    Args:
        model: Loaded.
        requests: In any order.
        make_table: Contexts of a request at the timesteps that its settings visit.
    """
    outputs: dict[int, Audio] = {}
    # Split once and kept until the end: a state's identity is a key.
    ways = {id(request.state): split_state(request.state) for request in requests}
    for (settings, canvas), numbers in _jobs(requests).items():
        visited = _visited(model, settings)
        renderings = []
        for request in [requests[number] for number in numbers]:
            way = ways[id(request.state)]
            if way is None:
                contexts = make_table(request, visited)
                seed = _noise_seed(request, settings)
                renderings.append(
                    Rendering(request.content, request.seed, contexts, noise_seed=seed)
                )
            else:
                renderings.append(_on_the_way(model, request, way, settings, make_table))
        audios = model.render(renderings, settings, canvas)
        outputs |= dict(zip(numbers, audios, strict=True))
    return [outputs[number] for number in range(len(requests))]


def _visited(model: Stage, *settings: AnySampling) -> tuple[int, ...]:
    """Every timestep at which the model is asked, for any of several settings."""
    steps = model.backbone.schedule.num_train_timesteps
    return tuple(dict.fromkeys(t for one in settings for t in one.visited(steps)))


def _on_the_way(
    model: Stage,
    request: TransferRequest[StylisedT],
    way: Transition,
    start: AnySampling,
    make_table: MakeTable[StylisedT],
) -> Rendering:
    """A content that goes from one style to another."""
    end = way.settings.end(start)
    count = model.count_windows(request.content)
    between = [blend_settings(start, end, a) for a in amounts(count, way.settings.curve)]
    visited = _visited(model, *between)
    first, second = (
        make_table(replace(request, state=state), visited) for state in (way.first, way.second)
    )
    noise_seed = _noise_seed(request, start)
    ending = Ending(second, end, derive_seed("transition", noise_seed), way.settings.curve)
    return Rendering(request.content, request.seed, first, ending, noise_seed)


def _noise_seed(request: TransferRequest[StylisedT], settings: AnySampling) -> int:
    """The seed of a content's noises: edits take the same for every style, to keep inversions."""
    return request.seed if isinstance(settings, StylisationSettings) else content_seed(request)


def _jobs(
    requests: Sequence[TransferRequest[StylisedT]],
) -> dict[tuple[AnySampling, CanvasSettings], list[int]]:
    """The numbers of the requests that are rendered together, by their settings."""
    jobs: dict[tuple[AnySampling, CanvasSettings], list[int]] = {}
    for number, request in enumerate(requests):
        settings = (request.parameters.sampling(), request.parameters.canvas())
        jobs.setdefault(settings, []).append(number)
    return jobs


class TableMaker:
    """Context tables of learnt styles: one per state, route and words.

    It lives for one call of `transfer`, so that a state's identity is safe as a key.

    Args:
        backbone: Frozen.
        rebuild: Makes the learner of a state.
        read: Gives a text as the model reads it; None for one that it cannot.
    """

    def __init__(
        self,
        backbone: Backbone,
        rebuild: Callable[[StyleState], Learner],
        read: Callable[[str], str | None],
    ) -> None:
        self._backbone = backbone
        self._rebuild = rebuild
        self._read = read
        self._tables: dict[tuple[int, tuple[int, ...], str], ContextTable] = {}

    def __call__(
        self, request: TransferRequest[Stylised], visited: tuple[int, ...]
    ) -> ContextTable:
        """The contexts of a request's style at the visited timesteps."""
        key = (id(request.state), visited, self._words(request))
        if key not in self._tables:
            self._tables[key] = self._make(request.state, key[1:], None)
        return self._tables[key]

    def with_dropout(
        self, request: TransferRequest[Stylised], visited: tuple[int, ...]
    ) -> ContextTable:
        """The same with live dropout, drawn from the seed of the request."""
        dropout = generator(derive_seed("dropout", request.seed))
        return self._make(request.state, (visited, self._words(request)), dropout)

    def _words(self, request: TransferRequest[Stylised]) -> str:
        """What the style is called, if the settings ask for it.

        Raises:
            UnsupportedError: It has no text, or the model does not know its words.
        """
        settings = request.parameters.sampling()
        if not isinstance(settings, SteeringSettings) or settings.plain_weight == 0:
            return EMPTY_PROMPT
        text = str(request.state.meta.get("text") or "")
        words = self._read(text)
        if words is None:
            raise UnsupportedError(
                f"the style's text is {text!r}, with a word that this model does not know or none; "
                "plain_weight compares what was learnt with these words. Leave it out, or give the "
                "style a text in its dataset card."
            )
        return words

    def _make(
        self,
        state: StyleState,
        asked: tuple[tuple[int, ...], str],
        dropout: torch.Generator | None,
    ) -> ContextTable:
        visited, words = asked
        learner = load_arrays(self._rebuild(state), state, self._backbone)
        learnt = LearntConditioning(self._backbone, learner, dropout, words)
        return tabulate(learnt, visited, self._backbone.device)
