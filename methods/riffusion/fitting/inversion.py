"""A fit: learn what the placeholder must be for a frozen model to know a style.

What is fitted and how, how far it has come, its checkpoints, and how well a style is known. The
steps are taken by `methods.riffusion.fitting.training`.

**Conventions**: latents are (batch, channel, row, column); everything is float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import torch

from bench.files import replace_file
from bench.seeds import derive_seed, generator
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import Conditioning, Learner
from methods.riffusion.parameters.settings import FittingPlan
from methods.riffusion.rendering import StyleImages
from methods.riffusion.schedule import add_noise

_PROGRESS_FILE = "progress.pt"
_FORM = "draws in blocks"  # of a fit and its checkpoint: others are not continued
OptimiserMoments = Mapping[str, Mapping[str, torch.Tensor]]  # name of a weight, kind of moment


@dataclass(slots=True, eq=False)
class Fit:
    """One style being fitted: its learner and all that must be kept to continue.

    Args:
        images: What to learn from.
        learner: What is trained.
        plan: How to fit.
        seed: Of every draw of this fit.
        checkpoint: Folder for progress, or None.
        moments: Adam's, of the learner's weights; empty before the first step.
    """

    images: StyleImages
    learner: Learner
    plan: FittingPlan
    seed: int
    checkpoint: Path | None = None
    moments: OptimiserMoments = field(default_factory=dict)
    _losses: list[float] = field(default_factory=list)
    _unread: list[torch.Tensor] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many in all."""
        return self.plan.count_steps(len(self.images))

    @property
    def step(self) -> int:
        """Steps done."""
        return len(self._losses) + len(self._unread)

    @property
    def losses(self) -> list[float]:
        """The loss of each step; asking makes the device catch up, so the loop does not."""
        if self._unread:
            self._losses += torch.stack(self._unread).tolist()
            self._unread = []
        return self._losses

    @property
    def fingerprint(self) -> str:
        """What this fit is of: its plan, seed and data. Others' checkpoints are not continued."""
        data = float(self.images.moments.mean.double().abs().sum())
        return f"{_FORM}: {self.plan!r} seed {self.seed} images {len(self.images)} {data!r}"

    def steps_undisturbed(self) -> int:
        """How many steps are to be taken before it ends, or a checkpoint is due."""
        every = self.plan.checkpoint_every
        due = every - self.step % every if self.checkpoint else self.steps
        return min(due, self.steps - self.step)

    def note(self, loss: torch.Tensor) -> None:
        """A step has been taken, and its loss () was this."""
        self._unread.append(loss)

    def restore(self, losses: Sequence[float]) -> None:
        """Put the losses of an earlier session in place."""
        self._losses, self._unread = list(losses), []


def begin_fit(
    images: StyleImages,
    learner: Learner,
    plan: FittingPlan,
    *,
    seed: int,
    checkpoint: Path | None = None,
) -> Fit:
    """A fit at its start, or where its checkpoint left it."""
    fit = Fit(images, learner, plan, seed, checkpoint)
    _resume(fit)
    return fit


def save_when_due(fits: Sequence[Fit]) -> None:
    """Write the progress of fits that have come to a checkpoint."""
    for fit in fits:
        due = fit.step % fit.plan.checkpoint_every == 0 and fit.step < fit.steps
        if fit.checkpoint and due:
            save_progress(fit, fit.checkpoint)


def save_progress(fit: Fit, folder: Path) -> None:
    """Write everything that a continued fit needs; the file is replaced wholly or not at all."""
    kept = {
        "fingerprint": fit.fingerprint,
        "learner": _copy(fit.learner.state_dict()),
        "moments": {name: _copy(moments) for name, moments in fit.moments.items()},
        "losses": fit.losses,
    }
    buffer = BytesIO()
    torch.save(kept, buffer)
    replace_file(folder / _PROGRESS_FILE, buffer.getvalue())


def _copy(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors by themselves: a slice would be written with all that it is cut from."""
    return {name: value.detach().clone() for name, value in tensors.items()}


def _resume(fit: Fit) -> None:
    """Continue from a checkpoint of this very fit; any other is left alone."""
    if fit.checkpoint is None or not (fit.checkpoint / _PROGRESS_FILE).is_file():
        return
    device = fit.images.weights.device
    kept = torch.load(fit.checkpoint / _PROGRESS_FILE, map_location=device, weights_only=True)
    if kept["fingerprint"] != fit.fingerprint:
        return
    fit.learner.load_state_dict(kept["learner"])
    fit.learner.to(device)
    fit.moments = kept["moments"]
    fit.restore(kept["losses"])


def weighted_error(
    predicted: torch.Tensor, noise: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Mean squared error over the cells that show sound; the plain mean where all do."""
    weighted = weights.expand_as(noise)
    return (weighted * (predicted - noise) ** 2).sum() / weighted.sum()


@dataclass(frozen=True, slots=True)
class ValidationGrid:
    """Timesteps and noises on which conditionings are compared; minibatch losses are too noisy.

    Args:
        timesteps: Each is applied to each image.
        draws: Noises per image and timestep.
        seed: Decides the noises alone.
    """

    timesteps: tuple[int, ...] = (100, 300, 500, 700, 900)
    draws: int = 1
    seed: int = 0


@torch.no_grad()
def validation_loss(
    backbone: Backbone,
    conditioning: Conditioning,
    images: StyleImages,
    grid: ValidationGrid | None = None,
) -> float:
    """Mean squared error of the predicted noise over a fixed grid, from posterior modes.

    Lower means that the conditioning tells the model more about these images; range [0, inf),
    about 1 for a model that knows nothing.
    """
    chosen = grid or ValidationGrid()
    errors = [
        _grid_error(backbone, conditioning, images, timestep, chosen.seed + draw)
        for timestep in chosen.timesteps
        for draw in range(chosen.draws)
    ]
    return sum(errors) / len(errors)


def _grid_error(
    backbone: Backbone, conditioning: Conditioning, images: StyleImages, timestep: int, seed: int
) -> float:
    latents = images.moments.mean
    drawn = torch.randn(
        latents.shape, generator=generator(derive_seed("validation", timestep, seed))
    )
    noise = drawn.to(latents.device)
    t = torch.full((len(images),), timestep, device=latents.device)
    noisy = add_noise(backbone.schedule, latents, noise, t)
    predicted = backbone.predict_noise(noisy, t, conditioning.cond(t))
    return float(weighted_error(predicted, noise, images.weights))
