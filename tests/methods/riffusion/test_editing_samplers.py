"""Edits by inversion, on random weights and by predictions that are known in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.api import ConfigError
from bench.counts import passes_of
from bench.plan.plan import method_info
from bench.plugins.catalog import find_method
from bench.plugins.kinds import kind_of
from methods.riffusion.backbone import Backbone
from methods.riffusion.conditioning import ContextTable, PromptConditioning, RowsOfTables, tabulate
from methods.riffusion.editing.inversion import (
    NoiseMaps,
    follow_maps,
    noised_states,
    record_maps,
)
from methods.riffusion.editing.samplers import (
    Material,
    Predictor,
    count_noises,
    of_source,
    sample,
)
from methods.riffusion.parameters.editing import (
    DdimInversionParameters,
    SdeditParameters,
    ZetaParameters,
)
from methods.riffusion.parameters.edits import (
    BLOCK,
    AnySampling,
    InversionSettings,
    NoiseMapSettings,
    SourceSettings,
    StochasticSettings,
    settings_of,
)
from methods.riffusion.parameters.itinerary import ddim_grid
from methods.riffusion.parameters.rti import RtiParameters
from methods.riffusion.schedule import Schedule, add_noise, ddpm_deviation, make_schedule
from tests import rounding

SHAPE = (4, 4, 8)
SCHEDULE = make_schedule()


def material(settings: AnySampling, *seeds: int, shape: tuple[int, ...] = SHAPE) -> Material:
    """Latents and noises of contents, one per seed; drawn in the default format."""
    count = 1 + count_noises(settings)
    drawn = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn.append(torch.stack([torch.randn(shape, generator=generator) for _ in range(count)]))
    latents, *noises = torch.stack(drawn, dim=1)
    return Material(latents, torch.stack(noises) if noises else latents[None][:0], seeds)


def rows_of(given: Material, row: int) -> Material:
    here = slice(row, row + 1)
    return Material(given.latents[here], given.noises[:, here], given.seeds[here])


def under(backbone: Backbone, settings: AnySampling, *prompts: str) -> RowsOfTables:
    visited = settings.visited()
    return RowsOfTables(
        [tabulate(PromptConditioning(backbone, p), visited, backbone.device) for p in prompts]
    )


@contextmanager
def counted_rows(backbone: Backbone) -> Iterator[list[tuple[int, int]]]:
    """Rows and timestep of every pass of the U-Net."""
    seen: list[tuple[int, int]] = []

    def note(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append((len(inputs[0]), int(inputs[1][0])))

    handle = backbone.parts.unet.register_forward_pre_hook(note)
    yield seen
    handle.remove()


def recorded(
    predict: Predictor, schedule: Schedule, grid: tuple[int, ...], given: Material
) -> NoiseMaps:
    """The whole way of a content, its maps made in one pass."""
    states = noised_states(schedule, grid, given.latents, given.noises)
    return NoiseMaps(states[-1], record_maps(predict, schedule, (0, *grid), states))


def error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max())


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.25])
@pytest.mark.parametrize("source", [SourceSettings(), SourceSettings("a", 3.0)])
def test_kept_maps_give_the_content_back_under_the_prompt_that_made_them(
    tiny_backbone: Backbone, strength: float, source: SourceSettings
) -> None:
    settings = NoiseMapSettings(strength, source.guidance_scale, 4, source, "keep")
    given = material(settings, 1)
    prompts = under(tiny_backbone, settings, source.prompt)
    assert error(sample(tiny_backbone, prompts, settings, given), given.latents) < 1e-5


@pytest.mark.usefixtures("in_double")
def test_without_the_last_map_the_content_is_off_by_exactly_that_map(
    tiny_backbone: Backbone,
) -> None:
    settings = NoiseMapSettings(1.0, 1.0, 4)
    given, grid = material(settings, 1), settings.visited()
    predict = of_source(tiny_backbone, settings.source)
    schedule = tiny_backbone.schedule
    way = recorded(predict, schedule, grid, given)
    back = follow_maps(predict, schedule, grid, way)
    dropped = follow_maps(predict, schedule, grid, way.without_last())
    last = float(ddpm_deviation(schedule, timestep=1, previous=0)) * way.maps[0].abs()
    assert error(back, given.latents) < 1e-12
    assert error((dropped - back).abs(), last) < 1e-12
    assert float(last.max()) > 1e-3


def test_states_have_the_spread_of_their_levels_and_noises_of_their_own() -> None:
    latents, grid = torch.full((4000, 1, 1, 1), 0.7), ddim_grid(10)[:3]
    noises = torch.randn(3, *latents.shape, generator=torch.Generator().manual_seed(0))
    states = noised_states(SCHEDULE, grid, latents, noises)
    assert torch.equal(states[0], latents)
    parts = []
    for state, timestep in zip(states[1:], grid, strict=True):
        kept = SCHEDULE.alphas_cumprod[timestep]
        parts.append(((state - kept.sqrt() * latents) / (1 - kept).sqrt()).flatten())
    spread = torch.corrcoef(torch.stack(parts))
    assert error(torch.stack([p.mean() for p in parts]), torch.zeros(3)) < 6 / 4000**0.5
    assert error(torch.stack([p.std() for p in parts]), torch.ones(3)) < 6 / 8000**0.5
    assert error(spread, torch.eye(3)) < 6 / 4000**0.5


def test_less_strength_takes_the_first_of_the_same_noises() -> None:
    long, short = NoiseMapSettings(1.0, 1.0, 20), NoiseMapSettings(0.45, 1.0, 20)
    many, few = material(long, 3), material(short, 3)
    assert torch.equal(many.noises[:16], few.noises)
    assert long.visited()[:9] == short.visited()
    assert long.visited()[:16] == short.recorded()


@pytest.mark.parametrize("kind", [NoiseMapSettings, InversionSettings])
@pytest.mark.parametrize("strengths", [(0.45, 1.0, 0.1), (1.0, 0.45, 0.1)])
def test_a_sweep_of_the_strength_inverts_once_and_changes_no_result(
    tiny_backbone: Backbone,
    twin_backbone: Backbone,
    kind: type[NoiseMapSettings | InversionSettings],
    strengths: tuple[float, ...],
) -> None:
    settings = kind(1.0, 1.0, 20)
    given = material(settings, 3)
    for strength in strengths:
        some = replace(settings, strength=strength)
        part = replace(given, noises=given.noises[: count_noises(some)])
        with counted_rows(tiny_backbone) as seen:
            swept = sample(tiny_backbone, under(tiny_backbone, some, "a"), some, part)
        twin_backbone.inversions.clear()
        fresh = sample(twin_backbone, under(twin_backbone, some, "a"), some, part)
        assert torch.equal(swept, fresh)
        if strength == min(strengths):
            # DDIM inversion goes step by step, and begins its last piece anew.
            anew = 0 if kind is NoiseMapSettings else len(some.visited()) % BLOCK
            assert seen[anew:] == [(1, timestep) for timestep in some.visited()[::-1]]


def test_guidance_to_the_empty_prompt_changes_nothing(tiny_backbone: Backbone) -> None:
    settings = NoiseMapSettings(0.5, 5.0, 4)
    given = material(settings, 1)
    outputs = [
        sample(tiny_backbone, under(tiny_backbone, one, ""), one, given)
        for one in (settings, replace(settings, guidance_scale=1.0))
    ]
    assert error(*outputs) < 1e-5


def test_a_model_that_does_not_read_gives_the_content_back_under_any_prompt() -> None:
    settings = NoiseMapSettings(1.0, 5.0, 20, last_map="keep")
    given = material(settings, 1)

    def predict(latents: torch.Tensor, timestep: int | torch.Tensor) -> torch.Tensor:
        return latents.tanh() * (torch.as_tensor(timestep).view(-1, 1, 1, 1) / 1000)

    grid = settings.visited()
    way = recorded(predict, SCHEDULE, grid, given)
    assert error(follow_maps(predict, SCHEDULE, grid, way), given.latents) < 1e-5


def test_a_style_changes_the_content_and_sdedit_depends_on_the_seed(
    tiny_backbone: Backbone,
) -> None:
    found = {}
    for name in ("zeta", "sdedit", "ddim-inversion", "steer"):
        settings = settings_of(name, 0.5, 3.0, 4)
        one, other = material(settings, 1), material(settings, 2)
        again = replace(one, noises=other.noises, seeds=other.seeds)
        styled, plain = (under(tiny_backbone, settings, prompt) for prompt in ("b", ""))
        found[name] = {
            "style": error(*(sample(tiny_backbone, u, settings, one) for u in (styled, plain))),
            "seed": error(*(sample(tiny_backbone, plain, settings, m) for m in (one, again))),
        }
    assert all(each["style"] > 1e-4 for each in found.values())
    assert found["sdedit"]["seed"] > 0.1
    assert found["ddim-inversion"]["seed"] == 0
    # Only the map that is dropped depends on the seed, and it leaves s_1 |Z_1|.
    assert found["zeta"]["seed"] < 0.3


def test_the_reconstruction_of_zeta_does_not_depend_on_the_seed(tiny_backbone: Backbone) -> None:
    settings = NoiseMapSettings(0.5, 1.0, 4, last_map="keep")
    one, other = material(settings, 1), material(settings, 2)
    plain = under(tiny_backbone, settings, "")
    again = sample(
        tiny_backbone, plain, settings, replace(one, noises=other.noises, seeds=other.seeds)
    )
    assert error(again, sample(tiny_backbone, plain, settings, one)) < 1e-5


@pytest.mark.parametrize(
    ("settings", "up"),
    [
        (NoiseMapSettings(0.5, 3.0, 16), 1),
        (NoiseMapSettings(0.5, 3.0, 16, SourceSettings("a", 3.0)), 2),
        (NoiseMapSettings(0.5, 3.0, 4), 2),  # in whole blocks, of a grid of four
        (InversionSettings(1.0, 3.0, 2), 1),
        (InversionSettings(1.0, 1.0, 2, SourceSettings("a", 1.0)), 1),
        (StochasticSettings(0.5, 3.0, 4), 0),
    ],
)
def test_rows_are_those_that_the_settings_announce_and_inversions_are_made_once(
    tiny_backbone: Backbone, settings: AnySampling, up: int
) -> None:
    given, grid = material(settings, 1), settings.visited()
    with counted_rows(tiny_backbone) as seen:
        sample(tiny_backbone, under(tiny_backbone, settings, "a"), settings, given)
        first = len(seen)
        sample(tiny_backbone, under(tiny_backbone, settings, "b"), settings, given)
    down = 2 if settings.guidance_scale > 1 else 1
    assert sum(rows for rows, _ in seen[:first]) == settings.rows()
    assert settings.rows() == (up + down) * len(grid)
    assert seen[first:] == [(down, timestep) for timestep in grid[::-1]]


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize("name", ["zeta", "ddim-inversion", "sdedit", "steer"])
def test_a_batch_of_styles_gives_what_each_row_gives_alone(
    tiny_backbone: Backbone, twin_backbone: Backbone, name: str
) -> None:
    settings = settings_of(name, 0.5, 3.0, 4)
    prompts = ("a", "b", "a")
    given = material(settings, 1, 1, 2)
    together = sample(tiny_backbone, under(tiny_backbone, settings, *prompts), settings, given)
    for row, prompt in enumerate(prompts):
        one = rows_of(given, row)
        alone = sample(twin_backbone, under(twin_backbone, settings, prompt), settings, one)
        bound = rounding.of_networks(
            tiny_backbone.parts.unet, passes=2, scale=200 * rounding.magnitude(alone)
        )
        assert error(together[row : row + 1], alone) <= bound


@pytest.mark.parametrize("shape", [(4, 16, 32), (4, 16, 10)])
def test_no_side_needs_to_be_square(tiny_backbone: Backbone, shape: tuple[int, ...]) -> None:
    for name in ("zeta", "ddim-inversion", "sdedit", "steer"):
        settings = settings_of(name, 1.0, 1.0, 2)
        found = sample(
            tiny_backbone,
            under(tiny_backbone, settings, "a"),
            settings,
            material(settings, 1, shape=shape),
        )
        assert found.shape == (1, *shape)
        assert bool(torch.isfinite(found).all())


def test_an_inversion_never_reads_the_contexts_of_the_style(tiny_backbone: Backbone) -> None:
    """A learnt style may have an empty prompt of its own; the content is inverted without it."""
    settings = InversionSettings(1.0, 1.0, 3)
    given, own = material(settings, 1), torch.full((3, 8, 32), 7.0)
    learnt = RowsOfTables([ContextTable(torch.tensor(settings.visited()), own, own, own[:1])])
    sample(tiny_backbone, learnt, settings, given)
    with counted_rows(tiny_backbone) as seen:
        sample(tiny_backbone, under(tiny_backbone, settings, "a"), settings, given)
    assert len(seen) == 3


def test_sdedit_begins_at_the_level_of_its_first_step(tiny_backbone: Backbone) -> None:
    settings = StochasticSettings(0.5, 1.0, 4)
    given, seen = material(settings, 1), []

    def note(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen.append(inputs[0].clone())

    handle = tiny_backbone.parts.unet.register_forward_pre_hook(note)
    sample(tiny_backbone, under(tiny_backbone, settings, "a"), settings, given)
    handle.remove()
    top = torch.tensor([settings.visited()[-1]])
    expected = add_noise(tiny_backbone.schedule, given.latents, given.noises[0], top)
    assert torch.equal(seen[0], expected)


def test_presets_are_the_published_numbers_and_are_overruled_by_hand() -> None:
    assert ZetaParameters().sampling() == NoiseMapSettings(0.65, 5.0, 50)
    assert len(ZetaParameters().sampling().visited()) == 32
    full = ZetaParameters(preset="full", guidance_scale=8.0).sampling()
    assert (len(full.visited()), full.guidance_scale) == (64, 8.0)
    released = ZetaParameters(preset="released", source_prompt="a").sampling()
    assert (released.visited()[-1], released.source) == (496, SourceSettings("a", 3.0))
    assert DdimInversionParameters().sampling().visited()[-1] == 981
    assert SdeditParameters().passes().transfer == 64
    hosted = RtiParameters(sampler="zeta", strength=1.0).sampling()
    assert hosted == NoiseMapSettings(1.0, 5.0, 50)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zeta", "96 for a window"),
        ("ddim-inversion", "150 for a window"),
        ("sdedit", "64 for a window"),
        ("steer", "300 for a window"),
        ("stylus", "50 to fit, 200 for a window"),
    ],
)
def test_every_edit_says_what_it_asks_of_the_network(name: str, words: str) -> None:
    """By hand from the spans: up and down, a row under an empty prompt and two when guided."""
    kind, info = kind_of(find_method(name)), method_info(name)
    said = passes_of(kind.parameters({})).words(fits=info.fits_per_style)
    assert said == f"{words}: rows of the U-Net"
    assert kind.departures(kind.parameters({}), "mini")
    assert len(info.conditioned_on) == 2
    assert "arXiv" in info.source


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source_guidance": 3.0}, "source_prompt empty"),
        ({"source_guidance": 0.5, "source_prompt": "a"}, r"source_guidance is 0\.5"),
        ({"guidance_scale": 0.9}, r"guidance_scale is 0\.9"),
        ({"z_last": "drop"}, "z_last is 'drop'; it must be zero or keep"),
        ({"strength": 1.5}, r"strength 1\.5 with 50 steps"),
    ],
)
def test_settings_that_do_nothing_or_are_out_of_range_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ZetaParameters(**changes)  # type: ignore[arg-type]  # what a user may type


def test_an_unknown_sampler_of_a_learnt_style_is_refused() -> None:
    with pytest.raises(ConfigError, match="sampler is 'magic'; it must be stylise, sdedit, zeta"):
        RtiParameters(sampler="magic")  # type: ignore[arg-type]  # what a user may type
