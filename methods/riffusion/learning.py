"""What TVE and R+TI share as methods: requests in, states out; contents in, audio out.

A method of this family is its parameters: they say how to fit, what to learn, and how to stylise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, cast

import torch

from bench.api import (
    Audio,
    ConfigError,
    FitRequest,
    Json,
    Progress,
    StyleState,
    TransferRequest,
)
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import PLACEHOLDER, Backbone
from methods.riffusion.conditioning import ContextTable, Learner, LearntConditioning, tabulate
from methods.riffusion.inversion import (
    Fit,
    FittingPlan,
    StyleImages,
    begin_fit,
    run_fits,
    validation_loss,
)
from methods.riffusion.rendering import (
    CanvasSettings,
    Ending,
    Rendering,
    Riffusion,
    count_windows,
    read_style,
    render,
)
from methods.riffusion.stylisation import StylisationSettings
from methods.riffusion.transition import Transition, amounts, blend_settings, split_state
from methods.riffusion.width import WidthMode

# Fitting clips on which a fit reports its loss before and after, on a fixed grid.
_CLIPS_CHECKED = 4
# Methods whose fits are learners for one frozen U-Net, and so can share its passes.
FAMILY = "riffusion"
Value = TypeVar("Value")


class FitParameters(Protocol):
    """Parameters that say how to fit."""

    @property
    def fit_width_mode(self) -> WidthMode:
        """How style clips are brought to the window."""

    def plan(self) -> FittingPlan:
        """Steps, rate and so on."""

    def build(self, backbone: Backbone, style: str) -> Learner:
        """A learner at its start, drawn from torch's global generator (seeded by the caller)."""

    def describe_fit(self) -> dict[str, Json]:
        """What a state must say so that its learner can be built again."""


class TransferParameters(Protocol):
    """Parameters that say how to stylise."""

    def stylisation(self) -> StylisationSettings:
        """Strength, guidance and so on."""

    def canvas(self) -> CanvasSettings:
        """How contents are laid onto the window."""


def choose(value: Value | None, otherwise: Value) -> Value:
    """An explicit value, or the preset's."""
    return otherwise if value is None else value


def initial_embedding(backbone: Backbone, e0: str, style: str = "") -> torch.Tensor:
    """The vector (dim,) that a fit starts from.

    Args:
        backbone: Whose words are meant.
        e0: letter_n: token "n" plus position 0, what the released configuration amounts to (it
            reads "None" as a word and takes its first letter).
            placeholder: token "*" plus position 0. init_word:<word>: that token. style_name: the
                token of the style's name, which
            tells the model in words what the style is. zeros.
        style: Name of the style.

    Raises:
        ConfigError: `e0` is none of these.
        CheckpointError: The word is not one token of this model.
    """
    if e0 == "zeros":
        return torch.zeros(backbone.context_dim, device=backbone.device)
    if e0 in ("letter_n", "placeholder"):
        word = "n" if e0 == "letter_n" else PLACEHOLDER
        return backbone.word_embedding(word, with_position=True)
    if e0 == "style_name":
        return backbone.word_embedding(style)
    if e0.startswith("init_word:"):
        return backbone.word_embedding(e0.removeprefix("init_word:"))
    raise ConfigError(
        f"initial embedding is {e0!r}; it must be letter_n, placeholder, init_word:<word>, "
        "style_name or zeros."
    )


# ---------------------------------------------------------------------------- fitting


def fit_styles(
    model: Riffusion, requests: Sequence[FitRequest], progress: Progress
) -> list[StyleState]:
    """Learn every style; all go through the frozen networks together, whatever their plans.

    A style's result is decided by its clips, parameters and seed, not by its company, up to
    rounding.
    """
    fits = [_begin(model, request) for request in requests]
    starts = [_checked_loss(model, fit) for fit in fits]
    run_fits(model.backbone, fits, progress)
    return [
        _state(model, fit, request, start)
        for fit, request, start in zip(fits, requests, starts, strict=True)
    ]


def _parameters(request: FitRequest) -> FitParameters:
    return request.parameters  # type: ignore[return-value]  # the method's own Parameters


def _begin(model: Riffusion, request: FitRequest) -> Fit:
    parameters = _parameters(request)
    images = read_style(model, request.style.clips, parameters.fit_width_mode)
    learner = build_seeded(
        lambda: parameters.build(model.backbone, request.style.id),
        derive_seed("init", request.seed),
    ).to(model.backbone.device)
    return begin_fit(
        images, learner, parameters.plan(), seed=request.seed, checkpoint=request.checkpoint
    )


def build_seeded(build: Callable[[], Learner], seed: int) -> Learner:
    """Build a module under a seed, leaving torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build()


def _checked_loss(model: Riffusion, fit: Fit) -> float:
    """Loss on the fixed grid over some of the clips that are fitted."""
    images = StyleImages(fit.images.moments[:_CLIPS_CHECKED], fit.images.weights[:_CLIPS_CHECKED])
    return validation_loss(model.backbone, LearntConditioning(model.backbone, fit.learner), images)


def _state(model: Riffusion, fit: Fit, request: FitRequest, start: float) -> StyleState:
    tail = fit.losses[-50:]
    return StyleState(
        arrays={
            name: value.detach().cpu().numpy().copy()
            for name, value in fit.learner.state_dict().items()
        },
        meta={
            **_parameters(request).describe_fit(),
            "style": request.style.id,
            "clips": len(fit.images),
            "steps": fit.step,
            "seed": request.seed,
            "seen_loss_before": start,
            "seen_loss_after": _checked_loss(model, fit),
            "minibatch_loss_last": sum(tail) / len(tail),
        },
    )


# ---------------------------------------------------------------------------- transferring


def load_arrays(learner: Learner, state: StyleState, backbone: Backbone) -> Learner:
    """Put a state's arrays into a learner and move it beside the model."""
    tensors = {name: torch.from_numpy(array.copy()) for name, array in state.arrays.items()}
    learner.load_state_dict(tensors)
    return learner.to(backbone.device).requires_grad_(False)


@dataclass(frozen=True, slots=True)
class _Job:
    """Requests that are rendered together: the same transfer parameters."""

    parameters: TransferParameters
    numbers: list[int]


MakeTable = Callable[[TransferRequest, tuple[int, ...]], ContextTable]


def transfer_styles(
    model: Riffusion, requests: Sequence[TransferRequest], make_table: MakeTable
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
    for job in _jobs(requests):
        settings = job.parameters.stylisation()
        visited = _visited(model, settings)
        renderings = []
        for request in [requests[number] for number in job.numbers]:
            way = ways[id(request.state)]
            if way is None:
                contexts = make_table(request, visited)
                renderings.append(Rendering(request.content, request.seed, contexts))
            else:
                renderings.append(_on_the_way(model, request, way, settings, make_table))
        audios = render(model, renderings, settings, job.parameters.canvas())
        outputs |= dict(zip(job.numbers, audios, strict=True))
    return [outputs[number] for number in range(len(requests))]


def _visited(model: Riffusion, *settings: StylisationSettings) -> tuple[int, ...]:
    """Every timestep at which the model is asked, for any of several settings."""
    steps = model.backbone.schedule.num_train_timesteps
    routes = [one.itinerary(steps) for one in settings]
    return tuple(dict.fromkeys(t for route in routes for t in (route.start, *route.timesteps)))


def _on_the_way(
    model: Riffusion,
    request: TransferRequest,
    way: Transition,
    start: StylisationSettings,
    make_table: MakeTable,
) -> Rendering:
    """A content that goes from one style to another."""
    end = way.settings.end(start)
    count = count_windows(model, request.content)
    between = [blend_settings(start, end, a) for a in amounts(count, way.settings.curve)]
    visited = _visited(model, *between)
    first, second = (
        make_table(replace(request, state=state), visited) for state in (way.first, way.second)
    )
    seed = derive_seed("transition", request.seed)
    ending = Ending(second, end, seed, way.settings.curve)
    return Rendering(request.content, request.seed, first, ending)


def _jobs(requests: Sequence[TransferRequest]) -> list[_Job]:
    jobs: dict[object, _Job] = {}
    for number, request in enumerate(requests):
        parameters = cast("TransferParameters", request.parameters)
        key = (parameters.stylisation(), parameters.canvas())
        jobs.setdefault(key, _Job(parameters, [])).numbers.append(number)
    return list(jobs.values())


class TableMaker:
    """Context tables of learnt styles: one per state and route.

    Where dropout stays live there is one per request.

    Lives for one call of `transfer`, so that a state's identity is safe as a key.
    """

    def __init__(self, backbone: Backbone, rebuild: Callable[[StyleState], Learner]) -> None:
        self._backbone = backbone
        self._rebuild = rebuild
        self._tables: dict[tuple[int, tuple[int, ...]], ContextTable] = {}

    def __call__(self, request: TransferRequest, visited: tuple[int, ...]) -> ContextTable:
        """The contexts of a request's style at the visited timesteps."""
        if getattr(request.parameters, "tve_infer_dropout", False):
            return self._make(request, visited, generator(derive_seed("dropout", request.seed)))
        key = (id(request.state), visited)
        if key not in self._tables:
            self._tables[key] = self._make(request, visited, None)
        return self._tables[key]

    def _make(
        self, request: TransferRequest, visited: tuple[int, ...], dropout: torch.Generator | None
    ) -> ContextTable:
        learner = load_arrays(self._rebuild(request.state), request.state, self._backbone)
        learnt = LearntConditioning(self._backbone, learner, dropout)
        return tabulate(learnt, visited, self._backbone.device)
