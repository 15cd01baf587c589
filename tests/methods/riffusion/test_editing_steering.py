"""Steering by the delta denoising score, on random weights and in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

import pytest
import torch
from torch import nn

from bench.api import ConfigError
from bench.memo import Recent
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import ContextTable, PromptConditioning, RowsOfTables
from methods.riffusion.editing.steering import draw_times, steer
from methods.riffusion.parameters.editing import SteerParameters
from methods.riffusion.parameters.edits import SourceSettings, SteeringSettings
from methods.riffusion.schedule import Schedule, make_schedule

SHAPE = (1, 4, 4, 8)
FEW = SteeringSettings(1.0, 3.0, 4)


@dataclass(frozen=True)
class Draws:
    """Latents, noises and timesteps of one content."""

    latents: torch.Tensor
    noises: torch.Tensor
    times: torch.Tensor


def draw(settings: SteeringSettings, seed: int = 0) -> Draws:
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(SHAPE, generator=generator)
    noises = [torch.randn(SHAPE, generator=generator) for _ in range(settings.drawn())]
    return Draws(latents, torch.stack(noises), draw_times(settings, [seed]))


def steered(
    backbone: Backbone, prompt: str, settings: SteeringSettings, given: Draws
) -> torch.Tensor:
    return steer(
        backbone,
        PromptConditioning(backbone, prompt),
        settings,
        latents=given.latents,
        noises=given.noises,
        times=given.times,
    )


class Reader:
    """A model whose prediction is a number per prompt, whatever it is shown."""

    def __init__(self, numbers: dict[str, float], spoilt: bool = False) -> None:
        self.numbers = numbers
        self.spoilt = spoilt
        self.schedule = Schedule(make_schedule().alphas_cumprod.double())
        self.inversions: Recent[torch.Tensor] = Recent(100)
        self.device = torch.device("cpu")

    def encode_prompt(self, prompt: str) -> torch.Tensor:
        return torch.full((1, 1, 1), self.numbers[prompt], dtype=torch.float64)

    def encode_empty(self, beside: str) -> torch.Tensor:
        return self.encode_prompt("")

    def predict_noise(
        self, latents: torch.Tensor, _t: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        found = contexts[:, :, :, None].expand_as(latents).clone()
        if self.spoilt:
            found[:, 0, 0, 0] = math.nan
        return found


def as_backbone(reader: Reader) -> Backbone:
    return cast("Backbone", reader)


@pytest.mark.usefixtures("in_double")
def test_one_prompt_for_both_leaves_the_content_where_it_is(tiny_backbone: Backbone) -> None:
    settings = replace(FEW, source_prompt="a")
    given = draw(settings)
    moved = steered(tiny_backbone, "a", settings, given)
    torch.testing.assert_close(moved, given.latents, rtol=0, atol=1e-10)
    assert float((steered(tiny_backbone, "b", settings, given) - given.latents).abs().max()) > 1e-4


@pytest.mark.parametrize("told", ["", "source"])
def test_a_model_that_only_reads_moves_by_the_sum_of_its_rates(told: str) -> None:
    reader = as_backbone(Reader({"": 0.5, "source": 0.2, "style": 0.9}))
    settings = SteeringSettings(0.75, 5.0, 40, source_prompt=told)
    given = draw(settings)
    moved = steered(reader, "style", settings, replace(given, latents=given.latents.double()))
    source = 0.5 + 5 * (0.2 - 0.5) if told else 0.5
    delta = 0.5 + 5 * (0.9 - 0.5) - source
    kept = make_schedule().alphas_cumprod.double()[given.times[: len(settings.rates()), 0]]
    expected = sum(0.2 * 0.9 ** (i // 2) * 2 * (1 - float(a)) * delta for i, a in enumerate(kept))
    assert len(kept) == 30
    torch.testing.assert_close(
        moved,
        given.latents.double() - expected,
        rtol=0,
        atol=1e-5,  # noises are float32
    )


def test_entries_that_are_no_numbers_stay_where_they_are() -> None:
    reader = as_backbone(Reader({"": 0.5, "style": 0.9}, spoilt=True))
    given = draw(FEW)
    apart = (steered(reader, "style", FEW, given) - given.latents).abs()
    assert float(apart[:, 0, 0, 0]) == 0
    assert int((apart > 0.01).sum()) == apart.numel() - 1


def test_timesteps_stay_within_their_bounds_and_reach_both() -> None:
    settings = SteeringSettings(num_inference_steps=4000, bounds=(200, 260), t_grid=999)
    times = draw_times(settings, [1, 2])
    assert times.shape == (4000, 2)
    assert (int(times.min()), int(times.max()), len(times.unique())) == (200, 260, 61)
    assert not torch.equal(times[:, 0], times[:, 1])
    assert FEW.visited()[0] == 21
    assert FEW.visited()[-1] == 961


def test_the_rate_falls_by_a_tenth_twenty_times_whatever_the_updates() -> None:
    released = SteeringSettings(num_inference_steps=400).rates()
    assert released == pytest.approx([0.02 * 0.9 ** (i // 20) for i in range(400)])
    ours = SteeringSettings(num_inference_steps=100).rates()
    assert ours == pytest.approx([0.08 * 0.9 ** (i // 5) for i in range(100)])
    assert sum(released) == pytest.approx(sum(ours)) == pytest.approx(3.51, abs=0.01)


def test_a_share_of_the_updates_is_the_beginning_of_all_of_them(tiny_backbone: Backbone) -> None:
    half = replace(FEW, strength=0.5)
    given, few = draw(FEW), draw(half)
    assert torch.equal(given.noises, few.noises)
    assert torch.equal(given.times, few.times)
    long, short = SteeringSettings(), SteeringSettings(strength=0.25)
    assert (long.drawn(), short.drawn(), len(short.rates())) == (100, 32, 25)
    assert torch.equal(draw_times(long, [1])[:32], draw_times(short, [1]))
    seen: list[torch.Tensor] = []
    handle = tiny_backbone.parts.unet.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0])
    )
    steered(tiny_backbone, "a", FEW, given)
    handle.remove()
    noised = seen[1 + 2][:1]  # after one pass over the content, the third update
    kept = tiny_backbone.schedule.alphas_cumprod[given.times[2]]
    third = (noised - (1 - kept).sqrt() * given.noises[2]) / kept.sqrt()
    found = steered(tiny_backbone, "a", half, few)
    torch.testing.assert_close(found, third, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("told", "each"), [("", 1), ("a", 2)])
def test_rows_are_counted_and_the_content_is_predicted_once(
    tiny_backbone: Backbone, told: str, each: int
) -> None:
    settings, rows = replace(FEW, source_prompt=told), []

    def note(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        rows.append(len(inputs[0]))

    handle = tiny_backbone.parts.unet.register_forward_pre_hook(note)
    steered(tiny_backbone, "a", settings, draw(settings))
    first = sum(rows)
    steered(tiny_backbone, "b", replace(settings, strength=1.0), draw(settings))
    handle.remove()
    assert first == settings.rows() == 4 * (each + 2)
    assert rows == [4 * each, *[2] * 8]


def test_a_sweep_of_the_strength_predicts_the_content_once(tiny_backbone: Backbone) -> None:
    settings = SteeringSettings(1.0, 1.0, 20)
    given, rows = draw(settings), []
    handle = tiny_backbone.parts.unet.register_forward_pre_hook(
        lambda _module, inputs: rows.append(len(inputs[0]))
    )
    for strength in (0.4, 1.0, 0.75, 0.1):
        some = replace(settings, strength=strength)
        few = Draws(given.latents, given.noises[: some.drawn()], given.times[: some.drawn()])
        steered(tiny_backbone, "a", some, few)
    handle.remove()
    assert rows == [8, *[1] * 8, 8, 4, *[1] * 20, *[1] * 15, *[1] * 2]


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_what_a_style_knows_beyond_its_words_is_added_with_its_weight(scale: float) -> None:
    reader = as_backbone(Reader({"": 0.5, "style": 0.9, "words": 0.7}))
    settings = SteeringSettings(1.0, scale, 8, plain_weight=0.5)
    given = draw(settings)
    latents = given.latents.double()
    table = ContextTable(
        torch.tensor(settings.visited()),
        *(
            reader.encode_prompt(prompt).expand(len(settings.visited()), -1, -1)
            for prompt in ("style", "")
        ),
        reader.encode_prompt("words"),
    )
    moved = steer(
        reader,
        RowsOfTables([table]),
        settings,
        latents=latents,
        noises=given.noises,
        times=given.times,
    )
    delta = scale * 0.4 + 0.5 * scale * 0.2  # guide(style) - guide(empty), and beyond the words
    kept = make_schedule().alphas_cumprod.double()[given.times[:, 0]]
    pace = sum(rate * 2 * (1 - float(a)) for rate, a in zip(settings.rates(), kept, strict=True))
    torch.testing.assert_close(moved, latents - pace * delta, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("in_double")
def test_plain_words_are_read_in_the_same_pass(tiny_backbone: Backbone) -> None:
    """A text is its own plain words, so that the term vanishes, at a row for each update."""
    settings, rows = replace(FEW, plain_weight=0.5), []
    given = draw(settings)
    without = steered(tiny_backbone, "a", FEW, given)
    handle = tiny_backbone.parts.unet.register_forward_pre_hook(
        lambda _module, inputs: rows.append(len(inputs[0]))
    )
    found = steered(tiny_backbone, "a", settings, given)
    handle.remove()
    assert rows == [3] * 4
    torch.testing.assert_close(found, without, rtol=0, atol=1e-10)
    assert settings.rows() == FEW.rows() + 4


def test_no_weight_of_the_model_gets_a_gradient(tiny_backbone: Backbone) -> None:
    moved = steered(tiny_backbone, "a", FEW, draw(FEW))
    assert not moved.requires_grad
    assert all(weight.grad is None for weight in tiny_backbone.parts.unet.parameters())


def test_presets_are_the_released_flags_and_ours() -> None:
    assert SteerParameters().sampling() == SteeringSettings(1.0, 3.0, 100)
    released = SteerParameters(preset="released", source_prompt="a").sampling()
    assert (released.guidance_scale, len(released.rates())) == (30, 400)
    assert released.source == SourceSettings("a", 30)
    assert SteerParameters().passes().transfer == 300


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t_low": 970}, "t_low 970 and t_high 980 leave no timestep of a grid of 50 steps"),
        ({"t_grid": 0}, r"t_grid is 0; it must be in 1\.\.999"),
        ({"guidance_scale": 0.5}, r"guidance_scale is 0\.5"),
        ({"strength": 0.001}, r"strength 0\.001 with 100 steps"),
        ({"contrast_weight": -1.0}, r"contrast_weight is -1\.0; it must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SteerParameters(**changes)  # type: ignore[arg-type]  # what a user may type
