"""The stylisation algorithm against its description (tve.md checks B1 to B3 and E1 to E5)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from bench.api import CheckpointError, ConfigError
from methods.riffusion.parameters.itinerary import ddim_grid, plan_itinerary
from methods.riffusion.parameters.settings import StylisationSettings
from methods.riffusion.schedule import Schedule, add_noise, ddim_step, make_schedule, read_schedule
from methods.riffusion.stylisation import predict_guided, stylise
from methods.riffusion.width import from_window, to_window
from tests import rounding

SCHEDULE = make_schedule()
DOUBLE = Schedule(SCHEDULE.alphas_cumprod.double())
OPERATIONS = 12  # of a step on one number: guidance, division, roots, two sums of two products
SHAPE = (3, 4, 6, 5)


class Contexts:
    """Contexts that carry what they are: +t for the style, -1 for the empty prompt."""

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """The timestep itself."""
        return timesteps.float()[:, None, None]

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Minus one."""
        return torch.full((len(timesteps), 1, 1), -1.0)


@dataclass
class Recorder:
    """A noise predictor, linear in the latents, that remembers its calls."""

    factor: float = 0.3
    calls: list[tuple[int, set[int], list[float]]] = field(default_factory=list)

    def __call__(
        self, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        """Depends on latents, timestep and context."""
        self.calls.append((len(latents), set(timesteps.tolist()), contexts[:, 0, 0].tolist()))
        shift = 0.01 * contexts[:, :, :, None] + timesteps[:, None, None, None] / 1e4
        return self.factor * latents.tanh() + shift


def _draw(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and noise, float64."""
    generator = torch.Generator().manual_seed(seed)
    latents, noise = torch.randn(2, *SHAPE, generator=generator, dtype=torch.float64)
    return latents, noise


def _require_same(found: torch.Tensor, expected: torch.Tensor, *, steps: int) -> None:
    """Equal but for the rounding of so many steps, of which the first divides by the smallest root.

    A step scales what came in by sqrt(abar' / abar), in all by at most sqrt(1 / abar_T) = 15.
    """
    largest = 15 * float(expected.abs().max())
    bound = rounding.worst(steps * OPERATIONS, scale=largest, dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=bound)


@pytest.mark.parametrize(
    ("timestep", "expected"),
    [
        (0, 0.99915),
        (1, 0.998296),
        (21, 0.980381),
        (450, 0.347045),
        (700, 0.0825209),
        (999, 0.0046601),
    ],
)
def test_schedule_holds_the_published_values(timestep: int, expected: float) -> None:
    assert SCHEDULE.alphas_cumprod[timestep].item() == pytest.approx(expected, rel=2e-6)


def test_schedule_equals_a_product_in_double_precision() -> None:
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    rtol = rounding.worst(1)  # a product in float64, kept as float32
    np.testing.assert_allclose(SCHEDULE.alphas_cumprod, np.cumprod(1 - betas), rtol=rtol)


@pytest.mark.parametrize(
    ("strength", "start", "count", "first"),
    [
        (0.45, 450, 22, 421),
        (0.5, 500, 25, 481),
        (0.55, 550, 27, 521),
        (0.6, 600, 30, 581),
        (0.65, 650, 32, 621),
        (0.7, 700, 35, 681),
    ],
)
def test_itinerary_is_the_published_one(
    strength: float, start: int, count: int, first: int
) -> None:
    route = plan_itinerary(strength, 50)
    assert (route.start, len(route.timesteps), route.timesteps[0]) == (start, count, first)
    assert (route.timesteps[-1], route.previous[-1]) == (1, 0)
    assert plan_itinerary(strength, 50, brs_grid="aligned").start == first


def test_products_are_taken_in_decimals() -> None:
    assert len(plan_itinerary(0.58, 50).timesteps) == 29


@pytest.mark.parametrize(("strength", "steps"), [(0.0, 50), (1.0, 50), (0.01, 50), (-0.5, 10)])
def test_a_strength_that_leaves_no_step_is_refused(strength: float, steps: int) -> None:
    with pytest.raises(ConfigError, match=f"strength {strength}"):
        plan_itinerary(strength, steps)


def test_grid_equals_the_library_scheduler() -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    rtol = rounding.likely(1000)  # the library multiplies in float32
    torch.testing.assert_close(scheduler.alphas_cumprod, SCHEDULE.alphas_cumprod, rtol=rtol, atol=0)
    scheduler.alphas_cumprod = DOUBLE.alphas_cumprod
    scheduler.final_alpha_cumprod = DOUBLE.alphas_cumprod[0]
    scheduler.set_timesteps(50)
    assert scheduler.timesteps.tolist() == list(reversed(ddim_grid(50)))
    latents, noise = _draw()
    expected, ours = latents, latents
    for timestep, previous in zip(ddim_grid(50)[::-1], [*ddim_grid(50)[-2::-1], 0], strict=True):
        expected = scheduler.step(noise, timestep, expected).prev_sample
        ours = ddim_step(DOUBLE, ours, noise, timestep=timestep, previous=previous)
    _require_same(ours, expected, steps=50)


def test_closed_form_has_the_variance_of_independent_single_steps() -> None:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    generator = torch.Generator().manual_seed(0)
    walked = torch.ones(100_000, dtype=torch.float64)
    for beta in betas[:451]:
        step = torch.randn(len(walked), generator=generator, dtype=torch.float64)
        walked = (1 - beta).sqrt() * walked + beta.sqrt() * step
    kept = SCHEDULE.alphas_cumprod[450].item()
    assert walked.mean().item() == pytest.approx(math.sqrt(kept), abs=0.01)
    assert walked.var().item() == pytest.approx(1 - kept, rel=0.02)


def _after_bias_reduction(
    predict: object, latents: torch.Tensor, noise: torch.Tensor
) -> torch.Tensor:
    """The noised content after step 3, seen by the first guided call."""
    seen: list[torch.Tensor] = []

    def spy(current: torch.Tensor, t: torch.Tensor, contexts: torch.Tensor) -> torch.Tensor:
        seen.append(current)
        return predict(current, t, contexts)  # type: ignore[operator,no-any-return]  # a predictor

    settings = StylisationSettings(0.7, 1.0, 50)
    stylise(spy, DOUBLE, Contexts(), settings, latents=latents, noise=noise)
    return seen[1]


def test_bias_reduction_changes_nothing_where_the_model_knows_the_noise() -> None:
    latents, noise = _draw()
    expected = add_noise(DOUBLE, latents, noise, torch.full((3,), 700))
    assert torch.equal(_after_bias_reduction(lambda *_: noise, latents, noise), expected)


def test_bias_reduction_with_no_predicted_noise_leaves_the_scaled_content() -> None:
    latents, noise = _draw()
    scaled = DOUBLE.alphas_cumprod[700].sqrt() * latents
    found = _after_bias_reduction(lambda *_: torch.zeros(SHAPE), latents, noise)
    _require_same(found, scaled, steps=1)


def test_bias_reduction_moves_by_the_error_of_the_prediction() -> None:
    latents, noise = _draw()
    kept = DOUBLE.alphas_cumprod[700]
    noised = add_noise(DOUBLE, latents, noise, torch.full((3,), 700))
    found = _after_bias_reduction(lambda *_: 0.4 * noise, latents, noise)
    expected = noised + (1 - kept).sqrt() * (0.4 * noise - noise)
    _require_same(found, expected, steps=1)


def test_one_unguided_call_at_the_start_then_k_guided_calls() -> None:
    model, (latents, noise) = Recorder(), _draw()
    settings = StylisationSettings(0.7, 5.0, 50)
    stylise(model, SCHEDULE, Contexts(), settings, latents=latents[:1], noise=noise[:1])
    assert model.calls[0] == (1, {700}, [700.0])
    assert [rows for rows, _, _ in model.calls[1:]] == [2] * 35
    assert sum(rows for rows, _, _ in model.calls) == 71
    assert model.calls[1] == (2, {681}, [-1.0, 681.0])


def test_scale_one_never_asks_for_the_empty_prompt() -> None:
    model, (latents, noise) = Recorder(), _draw()
    settings = StylisationSettings(0.5, 1.0, 50, brs="off")
    stylise(model, SCHEDULE, Contexts(), settings, latents=latents, noise=noise)
    assert len(model.calls) == 25
    assert all(rows == 3 and -1.0 not in contexts for rows, _, contexts in model.calls)


def test_stylising_equals_ten_lines_of_arithmetic() -> None:
    latents, noise = _draw()
    settings = StylisationSettings(0.6, 4.0, 50)
    found = stylise(Recorder(), DOUBLE, Contexts(), settings, latents=latents, noise=noise)
    model, abar = Recorder(), DOUBLE.alphas_cumprod

    def predict(x: torch.Tensor, t: int, context: float) -> torch.Tensor:
        return model(x, torch.full((3,), t), torch.full((3, 1, 1), context))

    x = abar[600].sqrt() * latents + (1 - abar[600]).sqrt() * noise
    x = abar[600].sqrt() * latents + (1 - abar[600]).sqrt() * predict(x, 600, 600)
    for t, lower in [(1 + 20 * i, max(0, 20 * i - 19)) for i in range(29, -1, -1)]:
        empty, styled = predict(x, t, -1), predict(x, t, t)
        e = empty + 4 * (styled - empty)
        x = (
            abar[lower].sqrt() * (x - (1 - abar[t]).sqrt() * e) / abar[t].sqrt()
            + (1 - abar[lower]).sqrt() * e
        )
    _require_same(found, x, steps=31)


def test_a_batch_equals_its_rows_one_by_one() -> None:
    latents, noise = _draw()
    settings = StylisationSettings(0.65, 5.0, 50)
    together = stylise(Recorder(), DOUBLE, Contexts(), settings, latents=latents, noise=noise)
    rows = [
        stylise(Recorder(), DOUBLE, Contexts(), settings, latents=z[None], noise=n[None])
        for z, n in zip(latents, noise, strict=True)
    ]
    _require_same(together, torch.cat(rows), steps=33)


@pytest.mark.parametrize("columns", [245, 251, 256, 257])
def test_near_the_window_the_image_is_stretched_and_comes_back(columns: int) -> None:
    image = np.tile(np.linspace(0, 255, columns).astype(np.uint8), (8, 1))
    window = to_window(image, 256, "resize")
    restored = from_window(window, columns, "resize")
    assert window.shape == (8, 256)
    assert restored.shape == image.shape
    assert np.abs(restored.astype(int) - image.astype(int)).max() <= 3


def test_far_from_the_window_the_image_is_padded_with_silence() -> None:
    image = np.arange(8 * 136, dtype=np.uint8).reshape(8, 136)
    window = to_window(image, 256, "resize")
    assert np.array_equal(window[:, :136], image)
    assert (window[:, 136:] == 255).all()
    assert np.array_equal(from_window(window, 136, "resize"), image)


def test_the_reports_width_is_a_multiple_of_32() -> None:
    assert to_window(np.zeros((8, 502), np.uint8), 512, "report").shape == (8, 480)


def test_betas_may_rise_linearly() -> None:
    linear = make_schedule(1e-4, 0.02, kind="linear")
    expected = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(linear.alphas_cumprod, expected, rtol=rounding.worst(1))


CONFIG = {
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
}


def test_a_schedule_is_what_its_file_says() -> None:
    expected = make_schedule(1e-4, 0.02, kind="linear").alphas_cumprod
    assert torch.equal(read_schedule(CONFIG).alphas_cumprod, expected)
    assert torch.equal(read_schedule({**CONFIG, "trained_betas": None}).alphas_cumprod, expected)


@pytest.mark.parametrize("name", sorted(CONFIG))
def test_a_file_that_lacks_a_value_is_refused(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"lacks {name}; .* Restore the file"):
        read_schedule({key: value for key, value in CONFIG.items() if key != name})


def test_betas_given_one_by_one_are_refused() -> None:
    with pytest.raises(CheckpointError, match="lists its betas one by one"):
        read_schedule({**CONFIG, "trained_betas": [0.1]})


def test_a_grid_has_fewer_steps_than_the_model_was_trained_on() -> None:
    assert ddim_grid(999) == tuple(range(1, 1000))
    with pytest.raises(ConfigError, match=r"num_inference_steps is 1000; it must be in 1\.\.999"):
        ddim_grid(1000)


@pytest.mark.parametrize("scale", [1.0, 1.5, 7.0])
def test_guidance_is_a_straight_line_through_both_predictions(scale: float) -> None:
    def predict(_: torch.Tensor, t: torch.Tensor, contexts: torch.Tensor) -> torch.Tensor:
        return contexts[:, :, :, None].expand(len(t), *SHAPE[1:])

    latents, t = torch.zeros(SHAPE), torch.full((SHAPE[0],), 10)
    found = predict_guided(predict, Contexts(), latents, t, scale)
    assert torch.equal(found, torch.full(SHAPE, -1 + scale * (10 - -1)))


def test_a_guidance_below_one_is_refused() -> None:
    assert StylisationSettings(guidance_scale=1.0).guidance_scale == 1
    with pytest.raises(ConfigError, match=r"guidance_scale is 0\.99; it must be at least 1"):
        StylisationSettings(guidance_scale=0.99)
