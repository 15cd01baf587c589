"""The stacked training step: its cost, a plain loop to compare with, company and checkpoints."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from methods.riffusion.backbone import Backbone, Moments
from methods.riffusion.conditioning import Learner
from methods.riffusion.embedding import ReportEncoder, StaticVector, TimeVaryingEmbedding
from methods.riffusion.fitting.draws import (
    MOST_BYTES,
    STEPS_AHEAD,
    Ahead,
    Drawn,
    draw,
    steps_per_block,
)
from methods.riffusion.fitting.inversion import (
    Fit,
    FittingPlan,
    StyleImages,
    begin_fit,
    save_progress,
)
from methods.riffusion.fitting.learning import build_seeded
from methods.riffusion.fitting.training import gather, run_fits, take_step
from tests import rounding
from tests.dispatched import Watching
from tests.gradients import flat, step

DIM, TOKENS, SIDE = 32, 8, 8
BUILD: dict[str, Callable[[torch.Tensor], Learner]] = {
    "tve": TimeVaryingEmbedding,
    "tve full": lambda start: TimeVaryingEmbedding(start, "full"),
    "rti": StaticVector,
    "report": lambda start: ReportEncoder(len(start)),
    "report_seq": lambda start: ReportEncoder(len(start), over_positions=True),
}
PLAN = FittingPlan(20, 2, 5e-3, 0.01, checkpoint_every=4)


def _images(seed: int, count: int = 3) -> StyleImages:
    """Random posteriors; the last columns of the first image are padding."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, 4, SIDE, SIDE, generator=generator)
    weights = torch.ones(count, 1, 1, SIDE)
    weights[0, ..., 5:] = 0
    return StyleImages(Moments(mean, torch.full_like(mean, 0.1)), weights)


def _fit(kind: str, seed: int, plan: FittingPlan = PLAN, checkpoint: Path | None = None) -> Fit:
    def build() -> Learner:
        return BUILD[kind](torch.randn(DIM))

    return begin_fit(
        _images(seed), build_seeded(build, seed), plan, seed=seed, checkpoint=checkpoint
    )


def _weights(fit: Fit) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in fit.learner.parameters()])


def _silent(_fraction: float, _text: str) -> None:
    """No progress wanted."""


# ------------------------------------------------------------------------------------------- cost


class Counting(Watching):
    """Counts the operations that are dispatched."""

    count = 0

    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Count it."""
        self.count += 1


def _operations(backbone: Backbone, fits: Sequence[Fit]) -> tuple[int, float]:
    """Those of one step, and those of stacking and drawing, per step of a block."""
    with Counting() as before:
        company = gather(Ahead(backbone), fits, STEPS_AHEAD)
    take_step(backbone, company, 0)  # the first makes the optimiser's moments
    with Counting() as step_alone:
        take_step(backbone, company, 1)
    return step_alone.count, before.count / STEPS_AHEAD


@pytest.mark.parametrize(
    "kinds", [["tve"], ["rti"], ["tve", "rti"], ["tve full"], ["report", "report_seq"]], ids=str
)
def test_a_step_of_six_styles_dispatches_about_as_much_as_that_of_one(
    tiny_backbone: Backbone, kinds: list[str]
) -> None:
    one, six = (
        _operations(tiny_backbone, [_fit(kind, seed) for kind in kinds for seed in range(styles)])
        for styles in (1, 6)
    )
    assert one[0] > 500
    assert six[0] <= 1.3 * one[0]
    assert sum(six) <= 1.3 * sum(one)


# ------------------------------------------------------------------------- against a plain loop


class PlainTve(nn.Module):
    """v(t) = Wf drop(drop(Wo Wv (g(t) + e0) + bo)) + bf, of one style, from torch.nn alone."""

    def __init__(self, learner: nn.Module) -> None:
        super().__init__()
        linear = [module for module in learner.modules() if isinstance(module, nn.Linear)]
        self.layers = nn.ModuleList(copy.deepcopy(linear))
        self.e0 = learner.get_buffer("e0").clone()

    def forward(self, timesteps: torch.Tensor, kept: Sequence[torch.Tensor]) -> torch.Tensor:
        first, second, third, values, out, final = self.layers
        rates = torch.exp(-math.log(10_000) * torch.arange(DIM // 2).float() / (DIM // 2))
        angles = timesteps.float()[:, None] * rates
        features = torch.cat([angles.cos(), angles.sin()], dim=1).to(self.e0.dtype)
        silu = nn.functional.silu
        hidden = (third(silu(second(silu(first(features))))) + self.e0)[:, None]
        embedding: torch.Tensor = final(out(values(hidden)) * kept[0] * kept[1])
        return embedding[:, 0]


class PlainVector(nn.Module):
    """One vector for all timesteps."""

    def __init__(self, learner: StaticVector) -> None:
        super().__init__()
        self.vector = nn.Parameter(learner.vector.detach().clone())

    def forward(self, timesteps: torch.Tensor, _kept: Sequence[torch.Tensor]) -> torch.Tensor:
        return self.vector.repeat(len(timesteps), 1)


@dataclass(frozen=True)
class Plain:
    """One style fitted by itself: what it draws is given, all else is written out here."""

    backbone: Backbone
    images: StyleImages
    learner: nn.Module
    optimiser: torch.optim.Optimizer

    def step(self, drawn: Drawn, number: int) -> tuple[float, torch.Tensor]:
        """Loss and gradient of a step of a block, which is then taken."""
        picks, timesteps, noise = (
            each[number] for each in (drawn.picks, drawn.timesteps, drawn.noise)
        )
        moments = self.images.moments
        latents = moments.mean[picks] + moments.std[picks] * drawn.posterior[number]
        alpha = self.backbone.schedule.alphas_cumprod[timesteps].to(noise.dtype).view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        rows = self.learner(timesteps, [factors[number] for factors in drawn.kept])
        predicted = self.backbone.parts.unet(
            noisy, timesteps, encoder_hidden_states=self._contexts(rows)
        ).sample
        sounds = self.images.weights[picks].expand_as(noise) == 1
        loss = nn.functional.mse_loss(predicted[sounds], noise[sounds])
        self.optimiser.zero_grad()
        loss.backward()
        gradient = flat(
            {n: w.grad for n, w in self.learner.named_parameters() if w.grad is not None}
        )
        self.optimiser.step()
        return float(loss.detach()), gradient

    def _contexts(self, rows: torch.Tensor) -> torch.Tensor:
        parts = self.backbone.parts
        words = parts.tokenizer("*", padding="max_length", max_length=TOKENS)["input_ids"]
        ids = torch.tensor([words]).repeat(len(rows), 1)
        (star,) = parts.tokenizer("*", add_special_tokens=False)["input_ids"]
        (table,) = (
            module
            for name, module in parts.text_encoder.named_modules()
            if name.endswith("token_embedding")
        )
        handle = table.register_forward_hook(
            lambda _module, _inputs, out: torch.where((ids == star)[..., None], rows[:, None], out)
        )
        states: torch.Tensor = parts.text_encoder(input_ids=ids).last_hidden_state
        handle.remove()
        return states


def _plain(backbone: Backbone, fit: Fit) -> Plain:
    learner = (
        PlainVector(fit.learner) if isinstance(fit.learner, StaticVector) else PlainTve(fit.learner)
    )
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[fit.plan.optimiser]
    optimiser = kind(
        learner.parameters(), lr=fit.plan.learning_rate, weight_decay=fit.plan.weight_decay
    )
    return Plain(backbone, fit.images, learner, optimiser)


@pytest.mark.usefixtures("in_double")
def test_stacked_styles_go_the_way_of_a_plain_loop_over_single_ones(
    tiny_backbone: Backbone,
) -> None:
    """Gradients of every step within 1e-5, weights after 20 steps within 1e-3 of their way."""
    other = replace(PLAN, optimiser="adam", learning_rate=1e-2, batch_size=3)
    fits = [_fit("tve", seed) for seed in range(3)] + [_fit("rti", seed, other) for seed in (5, 6)]
    loops = [_plain(tiny_backbone, fit) for fit in fits]
    starts = [_weights(fit) for fit in fits]
    drawn = [draw(tiny_backbone, fit, 0) for fit in fits]
    company = gather(Ahead(tiny_backbone), fits, 20)
    for number in range(20):
        take_step(tiny_backbone, company, number)
        found = [
            flat({name: weight.grad[place] for name, weight in stack.weights.items()})  # type: ignore[index]  # the step has left gradients
            for stack in company.stacks
            for place in range(len(stack.fits))
        ]
        for fit, ours, loop, numbers in zip(fits, found, loops, drawn, strict=True):
            loss, theirs = loop.step(numbers, number)
            assert fit.losses[-1] == pytest.approx(loss, rel=1e-5)
            apart = rounding.magnitude(ours - theirs) / rounding.magnitude(theirs)
            assert apart <= 1e-5
    for fit, start, loop in zip(fits, starts, loops, strict=True):
        end = torch.cat([weight.detach().flatten() for weight in loop.learner.parameters()])
        assert rounding.magnitude(_weights(fit) - end) <= 1e-3 * rounding.magnitude(end - start)


# ---------------------------------------------------------------------------------------- company


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize(
    "kind",
    [pytest.param(x, marks=() if x in {"tve", "rti"} else pytest.mark.slow) for x in BUILD],
)
def test_a_style_learns_in_company_what_it_learns_alone(tiny_backbone: Backbone, kind: str) -> None:
    """The third ends early; the others go on with their moments."""
    plans = [replace(PLAN, steps=steps) for steps in (12, 12, 5)]
    together = [_fit(kind, seed, plan) for seed, plan in enumerate(plans)]
    run_fits(tiny_backbone, together, _silent)
    assert [fit.step for fit in together] == [12, 12, 5]
    for seed, fit in enumerate(together):
        alone = _fit(kind, seed, plans[seed])
        (gradients,) = step(tiny_backbone, [_fit(kind, seed, plans[seed])])
        run_fits(tiny_backbone, [alone], _silent)
        networks = (tiny_backbone.parts.text_encoder, tiny_backbone.parts.unet, fit.learner)
        apart = rounding.of_networks(*networks, passes=rounding.BACKWARD) * rounding.magnitude(
            flat(gradients)
        )
        bound = rounding.of_adam(apart, rate=fit.plan.learning_rate, steps=fit.step)
        assert rounding.magnitude(_weights(fit) - _weights(alone)) <= bound
        assert bound < rounding.magnitude(_weights(alone) - _weights(_fit(kind, seed))) / 1000


def test_learners_with_other_options_or_rates_are_not_stacked(tiny_backbone: Backbone) -> None:
    fits = [
        _fit("report", 1),
        _fit("report_seq", 1),
        _fit("report", 2),
        _fit("report", 3, replace(PLAN, learning_rate=1e-4)),
    ]
    company = gather(Ahead(tiny_backbone), fits, 1)
    assert [stack.fits for stack in company.stacks] == [
        (fits[0], fits[2]),
        (fits[1],),
        (fits[3],),
    ]


@pytest.mark.parametrize("kind", list(BUILD))
def test_gradients_lie_in_memory_as_weights_and_moments_do(
    tiny_backbone: Backbone, kind: str
) -> None:
    """Fused optimisers of an accelerator take no others."""
    company = gather(Ahead(tiny_backbone), [_fit(kind, seed) for seed in range(3)], 1)
    take_step(tiny_backbone, company, 0)
    for name, weight in company.stacks[0].weights.items():
        assert weight.grad is not None
        moments = company.stacks[0].fits[0].moments[name]
        assert weight.stride() == weight.grad.stride()
        assert {moment.stride() for moment in moments.values()} == {weight.stride()[1:]}


def test_dropout_is_live_in_training(tiny_backbone: Backbone) -> None:
    """The gradient is another than with nothing dropped."""
    dropping, keeping = (gather(Ahead(tiny_backbone), [_fit("tve", 1)], 20) for _ in range(2))
    factors = torch.cat([each.flatten() for each in dropping.kept[0]])
    assert 0.02 < float((factors == 0).double().mean()) < 0.08
    whole = [tuple(torch.ones_like(each) for each in keeping.kept[0])]
    for company in (dropping, replace(keeping, kept=whole)):
        take_step(tiny_backbone, company, 0)
    gradients = [company.stacks[0].weights["final.weight"].grad for company in (dropping, keeping)]
    assert gradients[0] is not None
    assert gradients[1] is not None
    assert not torch.allclose(*gradients)


# ------------------------------------------------------------------------------------ checkpoints


def _company(folder: Path | None) -> list[Fit]:
    def fit(kind: str, seed: int, steps: int) -> Fit:
        checkpoint = folder / f"{kind} {seed}" if folder else None
        if checkpoint:
            checkpoint.mkdir(parents=True, exist_ok=True)
        return _fit(kind, seed, replace(PLAN, steps=steps), checkpoint)

    return [fit("tve", 1, 10), fit("tve", 2, 10), fit("rti", 1, 14), fit("rti", 2, 10)]


def _stop_after(share: float) -> Callable[[float, str], None]:
    def stop(done: float, _text: str) -> None:
        if done >= share:
            raise KeyboardInterrupt("stop")

    return stop


def test_a_resumed_company_goes_on_bit_by_bit(tiny_backbone: Backbone, tmp_path: Path) -> None:
    whole = _company(tmp_path / "whole")
    run_fits(tiny_backbone, whole, _silent)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        run_fits(tiny_backbone, _company(tmp_path / "broken"), _stop_after(0.6))
    resumed = _company(tmp_path / "broken")
    assert [fit.step for fit in resumed] == [4, 4, 4, 4]
    run_fits(tiny_backbone, resumed, _silent)
    for ours, theirs in zip(resumed, whole, strict=True):
        assert ours.losses == theirs.losses
        assert torch.equal(_weights(ours), _weights(theirs))


def test_a_checkpoint_holds_one_style_and_nothing_of_its_company(
    tiny_backbone: Backbone, tmp_path: Path
) -> None:
    company = [_fit("tve", seed) for seed in range(4)]
    step(tiny_backbone, company)
    alone = _fit("tve", 0)
    step(tiny_backbone, [alone])
    sizes = []
    for name, fit in (("company", company[0]), ("alone", alone)):
        (tmp_path / name).mkdir()
        save_progress(fit, tmp_path / name)
        sizes.append((tmp_path / name / "progress.pt").stat().st_size)
    assert sizes[0] == sizes[1]
    again = _fit("tve", 0, checkpoint=tmp_path / "company")
    assert again.step == 1
    assert torch.equal(_weights(again), _weights(company[0]))
    for name, moments in company[0].moments.items():
        assert moments.keys() == {"exp_avg", "exp_avg_sq"}
        assert all(torch.equal(again.moments[name][kind], moments[kind]) for kind in moments)


def test_a_checkpoint_of_the_older_form_is_left_alone(tmp_path: Path) -> None:
    fit = _fit("rti", 1)
    data = float(fit.images.moments.mean.double().abs().sum())
    older = {
        "fingerprint": f"{PLAN!r} seed 1 images 3 {data!r}",
        "learner": fit.learner.state_dict(),
        "optimiser": {},
        "generator": torch.Generator().get_state(),
        "losses": [1.0],
    }
    torch.save(older, tmp_path / "progress.pt")
    assert _fit("rti", 1, checkpoint=tmp_path).step == 0


# ------------------------------------------------------------------------------------------ draws


def _stretches(ahead: Ahead, fit: Fit, lengths: Sequence[int]) -> Iterator[torch.Tensor]:
    for length in lengths:
        batches, kept = ahead.next(fit, length)
        assert len(batches.noisy) == len(kept[0]) == length
        yield batches.noise
        for _ in range(length):
            fit.note(torch.zeros(()))


def test_draws_do_not_depend_on_how_the_steps_are_cut(tiny_backbone: Backbone) -> None:
    """A fit that goes on later, or in shorter stretches, draws what it would have drawn."""
    length = steps_per_block(tiny_backbone, _fit("tve", 1))
    assert length == STEPS_AHEAD
    cut = torch.cat(list(_stretches(Ahead(tiny_backbone), _fit("tve", 1), [7, length - 7, 5])))
    blocks = [draw(tiny_backbone, _fit("tve", 1), number) for number in range(2)]
    assert torch.equal(cut, torch.cat([blocks[0].noise, blocks[1].noise[:5]]))
    fit = _fit("tve", 1)
    fit.restore([0.0] * (length + 2))
    assert torch.equal(Ahead(tiny_backbone).next(fit, 3)[0].noise, blocks[1].noise[2:5])


def test_blocks_and_seeds_draw_apart(tiny_backbone: Backbone) -> None:
    first = draw(tiny_backbone, _fit("tve", 1), 0)
    for other in (draw(tiny_backbone, _fit("tve", 1), 1), draw(tiny_backbone, _fit("tve", 2), 0)):
        assert not torch.equal(first.noise, other.noise)
        assert not torch.equal(first.timesteps, other.timesteps)
    assert not torch.equal(first.noise, first.posterior)
    assert 0 <= int(first.timesteps.min()) < 50
    assert 950 < int(first.timesteps.max()) < 1000
    assert set(first.picks.flatten().tolist()) == {0, 1, 2}


@pytest.mark.parametrize(("side", "batch_size"), [(8, 2), (64, 1), (256, 4), (512, 16)])
def test_a_block_stays_within_its_memory(
    tiny_backbone: Backbone, side: int, batch_size: int
) -> None:
    mean = torch.zeros(1, 4, side, side)
    images = StyleImages(Moments(mean, mean), torch.ones(1, 1, 1, side))
    fit = begin_fit(
        images, StaticVector(torch.zeros(DIM)), replace(PLAN, batch_size=batch_size), seed=0
    )
    steps = steps_per_block(tiny_backbone, fit)
    latents = batch_size * 4 * side * side * 4  # bytes
    assert 4 * steps * latents <= MOST_BYTES or steps == 1
    assert steps == STEPS_AHEAD or 4 * (steps + 1) * latents > MOST_BYTES
