"""DDIM inversion in its three conventions, and single steps along the noise levels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMInverseScheduler

from bench.api import ConfigError
from methods.riffusion.editing.inversion import Prediction, climb, descend, steps_down
from methods.riffusion.parameters.itinerary import (
    Climb,
    Convention,
    count_steps,
    ddim_grid,
    plan_climb,
)
from methods.riffusion.schedule import (
    Schedule,
    add_noise,
    ddim_step,
    ddpm_deviation,
    ddpm_mean,
    make_schedule,
)

SCHEDULE = make_schedule()
DOUBLE = Schedule(SCHEDULE.alphas_cumprod.double())
ABAR = DOUBLE.alphas_cumprod
ROUNDING = 1e-10  # float64, up to 200 steps that each divide by at least .068


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def of_time(latents: torch.Tensor, timestep: int) -> torch.Tensor:
    """A prediction that ignores what it is shown."""
    return torch.full_like(latents, math.sin(timestep / 100))


def of_gaussian_data(latents: torch.Tensor, timestep: int) -> torch.Tensor:
    """The exact prediction where clean latents are unit normal."""
    return (1 - ABAR[timestep]).sqrt() * latents


def round_trip(
    predict: Prediction, grid: tuple[int, ...], convention: Convention, latents: torch.Tensor
) -> torch.Tensor:
    """Relative error of inversion and sampling."""
    moves = plan_climb(grid, convention)
    top = climb(predict, DOUBLE, moves, latents)[-1]
    back = descend(predict, DOUBLE, grid, top)
    return (back - latents).norm() / latents.norm()


def test_a_step_up_undoes_the_step_down() -> None:
    latents, noise = draw(2, 2, 3, 4, 5)
    for low, high in ((0, 1), (1, 981), (481, 961), (981, 999)):
        up = ddim_step(DOUBLE, latents, noise, timestep=low, previous=high)
        down = ddim_step(DOUBLE, up, noise, timestep=high, previous=low)
        torch.testing.assert_close(down, latents, rtol=0, atol=ROUNDING)


def test_a_step_with_the_true_noise_ends_where_that_noise_is_added_at_once() -> None:
    latents, noise = draw(2, 2, 3, 4, 5)
    levels = torch.tensor([[21, 21], [621, 621]])
    low, high = (add_noise(DOUBLE, latents, noise, level) for level in levels)
    moved = ddim_step(DOUBLE, low, noise, timestep=21, previous=621)
    torch.testing.assert_close(moved, high, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("steps", [5, 20, 50])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_label_inversion_is_exact_where_the_prediction_ignores_the_latents(
    steps: int, share: float
) -> None:
    grid = ddim_grid(steps)[: count_steps(share, steps)]
    latents = draw(2, 3, 4, 5)
    assert round_trip(of_time, grid, "label", latents) < ROUNDING


def test_the_other_conventions_are_off_by_the_levels_that_they_confuse() -> None:
    grid, latents, value = ddim_grid(50), torch.ones(1, 1, 1, 1, dtype=torch.float64), 0.7

    def constant(given: torch.Tensor, _timestep: int) -> torch.Tensor:
        return torch.full_like(given, value)

    def back(convention: Convention) -> float:
        top = climb(constant, DOUBLE, plan_climb(grid, convention), latents)[-1]
        # The released sampler leaves out the first timestep, as if it stood there already.
        down = grid[:-1] if convention == "released" else grid
        return float(descend(constant, DOUBLE, down, top) - latents)

    a0, a1 = float(ABAR[0]), float(ABAR[1])
    clean = (1 - math.sqrt(1 - a1) * value) / math.sqrt(a1)
    expected = math.sqrt(a0) * clean + math.sqrt(1 - a0) * value - 1
    assert back("level") == pytest.approx(expected, abs=ROUNDING)
    assert abs(back("level")) == pytest.approx(8e-3, rel=0.1)
    assert abs(back("released")) == pytest.approx(0.19, rel=0.1)


@pytest.mark.parametrize(
    ("convention", "errors", "order"),
    [
        ("label", (0.0050, 0.0008, 0.0002), 4),
        ("level", (0.122, 0.052, 0.027), 2),
    ],
)
def test_the_error_of_a_round_trip_falls_with_the_steps(
    convention: Convention, errors: tuple[float, float, float], order: int
) -> None:
    latents = draw(1, 1, 8, 8)
    found = [
        float(round_trip(of_gaussian_data, ddim_grid(steps), convention, latents))
        for steps in (20, 50, 100)
    ]
    assert found == pytest.approx(errors, rel=0.15)
    assert found[1] / found[2] == pytest.approx(order, rel=0.25)


def test_the_released_convention_stands_at_the_last_timestep_of_all() -> None:
    moves = plan_climb(ddim_grid(50), "released")
    assert len(moves) == 50
    assert moves[0] == Climb(1, 1, 21)
    assert moves[-1] == Climb(981, 981, 999)
    assert plan_climb(ddim_grid(50)[:20], "released")[-1] == Climb(381, 381, 401)


def test_the_conventions_visit_their_own_levels_and_labels() -> None:
    asked: list[int] = []

    def spy(latents: torch.Tensor, timestep: int) -> torch.Tensor:
        asked.append(timestep)
        return latents

    grid = ddim_grid(50)[:32]
    label, level = plan_climb(grid), plan_climb(grid, "level")
    assert [climb.end for climb in label] == list(grid)
    assert [climb.start for climb in label] == [0, *grid[:-1]]
    assert (len(level), level[0], level[-1]) == (31, Climb(1, 1, 21), Climb(601, 601, 621))
    states = climb(spy, DOUBLE, label, draw(1, 1, 2, 2))
    assert (len(states), asked) == (33, list(grid))
    asked.clear()
    descend(spy, DOUBLE, grid, states[-1])
    assert asked == list(grid[::-1])
    assert steps_down(grid)[-1] == (1, 0)


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(ConfigError, match="inversion is 'upwards'; it must be label, level, rel"):
        plan_climb((1, 21), "upwards")  # type: ignore[arg-type]  # what a user may type


def test_label_inversion_equals_the_librarys_scheduler() -> None:
    scheduler = DDIMInverseScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        steps_offset=1,
        clip_sample=False,
    )
    scheduler.set_timesteps(50)
    grid = ddim_grid(50)
    assert scheduler.timesteps.tolist() == list(grid)
    latents = expected = draw(1, 2, 3, 4).float()
    for timestep in scheduler.timesteps:
        noise = of_gaussian_data(expected, int(timestep)).float()
        expected = scheduler.step(noise, timestep, expected).prev_sample

    def predict(given: torch.Tensor, timestep: int) -> torch.Tensor:
        return of_gaussian_data(given, timestep).float()

    found = climb(predict, SCHEDULE, plan_climb(grid), latents)[-1]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("timestep", "previous"), [(1, 0), (21, 1), (981, 961)])
def test_a_stochastic_step_keeps_the_spread_that_the_schedule_demands(
    timestep: int, previous: int
) -> None:
    """With the true noise: what is known of it and what is drawn anew add up to 1 - abar'."""
    latents, noise = draw(2, 1, 1, 1, 1)
    now, then = ABAR[timestep], ABAR[previous]
    noised = now.sqrt() * latents + (1 - now).sqrt() * noise
    mean = ddpm_mean(DOUBLE, noised, noise, timestep=timestep, previous=previous)
    deviation = ddpm_deviation(DOUBLE, timestep=timestep, previous=previous)
    known = (mean - then.sqrt() * latents) / noise
    assert float(known**2 + deviation**2) == pytest.approx(float(1 - then), abs=ROUNDING)


def test_the_deviations_are_those_of_the_library() -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        set_alpha_to_one=False,
        steps_offset=1,
    )
    scheduler.set_timesteps(50)
    grid = ddim_grid(50)
    found = [float(ddpm_deviation(SCHEDULE, timestep=t, previous=p)) for t, p in steps_down(grid)]
    variances = [scheduler._get_variance(t, t - 20) for t in grid[::-1]]
    np.testing.assert_allclose(found, np.sqrt(variances), rtol=1e-4)
    assert found[-1] == pytest.approx(0.02065, abs=1e-5)
    assert found[0] == pytest.approx(0.454, abs=1e-3)


def test_a_strength_of_one_takes_every_step_and_more_is_refused() -> None:
    assert (count_steps(1.0, 50), count_steps(0.58, 50), count_steps(0.65, 50)) == (50, 29, 32)
    for strength in (1.01, 0.0, 0.01):
        with pytest.raises(ConfigError, match=f"strength {strength:g}"):
            count_steps(strength, 50)
