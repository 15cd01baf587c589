"""The engine changes speed and memory, not results: batches, precision, compiled passes."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from bench.api import Audio, Clip, ConfigError, FitRequest, Style, Waveform
from bench.batching import Batcher
from bench.device import PRECISION_VARIABLE, device_kind, frozen_precision
from methods.acceleration import (
    VARIABLE,
    Accelerated,
    Acceleration,
    choose_acceleration,
    largest_difference,
)
from methods.musicgen.decoding import CachedDecoder, Positions
from methods.musicgen.loading import load_melody
from methods.riffusion.backbone import Backbone, Moments, load_backbone
from methods.riffusion.conditioning import (
    ContextTable,
    Learner,
    PromptConditioning,
    RowsOfTables,
    tabulate,
)
from methods.riffusion.embedding import ReportEncoder, StaticVector, TimeVaryingEmbedding
from methods.riffusion.fitting.inversion import Fit, begin_fit
from methods.riffusion.fitting.learning import build_seeded
from methods.riffusion.fitting.training import run_fits, train_step
from methods.riffusion.parameters.rti import RtiParameters
from methods.riffusion.parameters.settings import FittingPlan, StylisationSettings
from methods.riffusion.parameters.tve import TveParameters
from methods.riffusion.rendering import StyleImages
from methods.riffusion.rti import RTI
from methods.riffusion.stylisation import stylise
from methods.riffusion.tve import TVE
from tests import passes, rounding
from tests.dispatched import Watching
from tests.gradients import flat, step

DIM = 32
# Of unlike methods, rates, optimisers and batch sizes.
FITS = [
    (TimeVaryingEmbedding, FittingPlan(8, 2, 1e-3)),
    (StaticVector, FittingPlan(8, 1, 5e-3, optimiser="adam")),
    (StaticVector, FittingPlan(5, 3, 1e-3, weight_decay=0.1)),
]


def _fit(seed: int) -> Fit:
    kind, plan = FITS[seed]
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(2, 4, 8, 8, generator=generator)
    images = StyleImages(Moments(mean, torch.full_like(mean, 0.1)), torch.ones(2, 1, 1, 8))
    start = torch.randn(DIM, generator=generator)
    return begin_fit(images, build_seeded(lambda: kind(start), seed), plan, seed=seed)


def _silent(_fraction: float, _text: str) -> None:
    """No progress wanted."""


def _rounding(backbone: Backbone, *fits: Fit) -> float:
    """How far gradients of fits may differ by rounding, in the format of the backbone.

    Relative to the largest gradient: both networks forwards and backwards, and the learner.
    """
    learners = [fit.learner for fit in fits]
    networks = (backbone.parts.text_encoder, backbone.parts.unet, *learners)
    return rounding.of_networks(*networks, passes=rounding.BACKWARD)


def _weights(fit: Fit) -> torch.Tensor:
    return torch.cat([w.detach().flatten() for w in fit.learner.parameters()])


# Compiling takes a minute, and the compiler uses what its library has deprecated.
SLOW_COMPILING = (
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning"),
)


@pytest.mark.usefixtures("in_double")
def test_a_step_of_unlike_methods_together_has_the_gradients_of_each_alone(
    tiny_backbone: Backbone,
) -> None:
    together = [_fit(seed) for seed in range(3)]
    gradients = step(tiny_backbone, together)
    for seed, fit in enumerate(together):
        (alone,) = step(tiny_backbone, [_fit(seed)])
        ours, theirs = flat(gradients[seed]), flat(alone)
        difference = float((ours - theirs).abs().max() / theirs.abs().max())
        assert difference <= _rounding(tiny_backbone, fit)


@pytest.mark.usefixtures("in_double")
def test_eight_steps_together_end_where_each_ends_alone(tiny_backbone: Backbone) -> None:
    together = [_fit(seed) for seed in range(3)]
    run_fits(tiny_backbone, together, _silent)
    assert [fit.step for fit in together] == [8, 8, 5]
    for seed, fit in enumerate(together):
        alone = _fit(seed)
        run_fits(tiny_backbone, [alone], _silent)
        (gradients,) = step(tiny_backbone, [_fit(seed)])
        bound = rounding.of_adam(
            _rounding(tiny_backbone, fit) * rounding.magnitude(flat(gradients)),
            rate=fit.plan.learning_rate,
            steps=fit.step,
        )
        moved = float((_weights(alone) - _weights(_fit(seed))).abs().max())
        assert bound < moved / 1000
        assert float((_weights(fit) - _weights(alone)).abs().max()) <= bound
        assert fit.losses == pytest.approx(alone.losses, rel=bound)


@pytest.mark.usefixtures("in_double")
def test_contexts_may_be_mapped_beside_rows(tiny_backbone: Backbone) -> None:
    def fit(kind: type[Learner]) -> Fit:
        built = build_seeded(
            lambda: kind(DIM) if kind is ReportEncoder else kind(torch.ones(DIM)), 3
        )
        return begin_fit(_fit(0).images, built, FITS[0][1], seed=3)

    together = [fit(ReportEncoder), fit(StaticVector)]
    train_step(tiny_backbone, together)
    for kind, one in zip((ReportEncoder, StaticVector), together, strict=True):
        alone = fit(kind)
        train_step(tiny_backbone, [alone])
        assert one.losses == pytest.approx(alone.losses, rel=_rounding(tiny_backbone, one))


@pytest.mark.usefixtures("in_double")
def test_a_step_that_runs_out_of_memory_is_done_in_halves(tiny_backbone: Backbone) -> None:
    whole, halved = ([_fit(0), _fit(1)] for _ in range(2))
    gradients = step(tiny_backbone, whole)
    train_step(tiny_backbone, halved, Batcher(1))
    for ours, theirs, gradient in zip(halved, whole, gradients, strict=True):
        apart = _rounding(tiny_backbone, ours) * rounding.magnitude(flat(gradient))
        for name, moments in ours.moments.items():
            found = moments["exp_avg"] / (1 - 0.9)  # of a first step, the gradient
            torch.testing.assert_close(found, gradient[name], rtol=0, atol=apart)
        atol = rounding.of_adam(apart, rate=ours.plan.learning_rate)
        assert atol < ours.plan.learning_rate / 1000
        torch.testing.assert_close(_weights(ours), _weights(theirs), rtol=0, atol=atol)


@pytest.mark.usefixtures("in_double")
def test_steps_done_before_memory_runs_out_stay_done(tiny_backbone: Backbone) -> None:
    passes: list[int] = []

    def run_out(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        passes.append(len(inputs[0]))
        if len(passes) == 3:
            raise torch.OutOfMemoryError("no room")

    together = [_fit(seed) for seed in (0, 1)]
    handle = tiny_backbone.parts.unet.register_forward_pre_hook(run_out)
    run_fits(tiny_backbone, together, _silent)
    handle.remove()
    assert passes == [3, 3, 3, *[2] * 6, *[1] * 6]
    for seed, fit in enumerate(together):
        alone = _fit(seed)
        run_fits(tiny_backbone, [alone], _silent)
        (gradients,) = step(tiny_backbone, [_fit(seed)])
        apart = _rounding(tiny_backbone, fit) * rounding.magnitude(flat(gradients))
        atol = rounding.of_adam(apart, rate=fit.plan.learning_rate, steps=fit.step)
        torch.testing.assert_close(_weights(fit), _weights(alone), rtol=0, atol=atol)


def _stylise(
    backbone: Backbone, rows: Sequence[int], settings: StylisationSettings
) -> torch.Tensor:
    """Latents of some of four contents under two prompts."""
    generator = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 4, 4, 8, 8, generator=generator)
    itinerary = settings.itinerary()
    visited = (itinerary.start, *itinerary.timesteps)
    tables = [
        tabulate(PromptConditioning(backbone, prompt), visited, backbone.device)
        for prompt in ("a piano", "a violin")
    ]
    chosen = list(rows)
    return stylise(
        backbone.predict_noise,
        backbone.schedule,
        RowsOfTables([tables[row % 2] for row in chosen]),
        settings,
        latents=latents[chosen],
        noise=noise[chosen],
    )


@pytest.mark.usefixtures("in_double")
def test_a_batch_gives_the_latents_of_its_rows_alone(tiny_backbone: Backbone) -> None:
    settings = StylisationSettings(strength=0.5, guidance_scale=3.5, num_inference_steps=20)
    together = _stylise(tiny_backbone, range(4), settings)
    for row in range(4):
        alone = _stylise(tiny_backbone, [row], settings)
        bound = rounding.of_networks(
            tiny_backbone.parts.unet,
            passes=len(settings.itinerary().timesteps),
            scale=2 * settings.guidance_scale * rounding.magnitude(alone),
        )
        assert float((together[row : row + 1] - alone).abs().max()) <= bound


def test_rows_of_tables_read_their_own_table_and_refuse_other_timesteps() -> None:
    visited = torch.tensor([1, 21])
    one, other = (ContextTable(visited, *torch.rand(3, 2, 3, 4)) for _ in "ab")
    rows, t = RowsOfTables([one, other, one]), torch.tensor([21, 1, 1])
    expected = [one.styled[1], other.styled[0], one.styled[0]]
    assert torch.equal(rows.cond(t), torch.stack(expected))
    assert torch.equal(rows.uncond(t)[1], other.empty[0])
    with pytest.raises(IndexError, match=r"out of bounds|out of range"):
        rows.cond(torch.tensor([1, 2, 21]))


@pytest.mark.slow
def test_bfloat16_stays_near_float32_on_the_trained_small_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not farther than twice what the format alone does: weights and what layers hand on rounded.

    Sums are kept in float32 here, as processors do within a layer; steps between layers are not.
    """
    settings = StylisationSettings(strength=0.5, guidance_scale=3.5, num_inference_steps=6)
    found = {}
    for precision in ("float32", "bfloat16"):
        monkeypatch.setenv(PRECISION_VARIABLE, precision)
        backbone = load_backbone("mini", "cpu")
        assert backbone.parts.unet.dtype == getattr(torch, precision)
        found[precision] = _mini_latents(backbone, settings)
    monkeypatch.setenv(PRECISION_VARIABLE, "float32")
    plain = load_backbone("mini", "cpu")
    parts = replace(plain.parts, unet=_rounded_to_bfloat16(plain.parts.unet))
    rounded = Backbone(parts, plain.schedule)
    allowed = _mini_latents(rounded, settings) - found["float32"]
    error = found["bfloat16"] - found["float32"]
    assert 0 < float(error.std()) <= 2 * float(allowed.std())
    assert float(error.abs().max()) <= 2 * float(allowed.abs().max())
    assert float(allowed.std()) < 0.05 * float(found["float32"].std())


def _rounded_to_bfloat16(unet: nn.Module) -> nn.Module:
    """A copy that computes in float32 and hands on what bfloat16 can hold."""

    def narrow(_module: object, _inputs: object, output: object) -> object:
        return output.bfloat16().float() if isinstance(output, torch.Tensor) else output

    copied = copy.deepcopy(unet)
    copied.bfloat16().float()
    for module in copied.modules():
        if not list(module.children()):
            module.register_forward_hook(narrow)
    return copied


def _mini_latents(backbone: Backbone, settings: StylisationSettings) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    channels = int(backbone.parts.unet.config.in_channels)
    latents, noise = torch.randn(2, 2, channels, 16, 32, generator=generator)
    prompt = PromptConditioning(backbone, "piano")
    return stylise(
        backbone.predict_noise, backbone.schedule, prompt, settings, latents=latents, noise=noise
    )


def test_attention_is_fused_and_convolutions_have_the_fast_layout() -> None:
    unet = load_backbone("mini", "cpu").parts.unet
    kinds = {type(processor).__name__ for processor in unet.attn_processors.values()}
    assert kinds == {"AttnProcessor2_0"}  # diffusers' name of scaled_dot_product_attention
    weight = unet.conv_in.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert load_melody("mini", "cpu").model.decoder.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    "learning", [pytest.param(way, marks=SLOW_COMPILING) for way in (False, True)]
)
@pytest.mark.usefixtures("in_double")
def test_compiled_passes_equal_plain_ones(
    tiny_backbone: Backbone, caplog: pytest.LogCaptureFixture, *, learning: bool
) -> None:
    def plain(*inputs: torch.Tensor) -> torch.Tensor:
        return passes.plain(tiny_backbone, *inputs)

    compiled = Accelerated("it", plain, "compile", torch.float64)
    latents, timesteps, contexts = passes.inputs(tiny_backbone, learning=learning)
    timesteps = timesteps.clamp(max=7)  # the library's features of time are float32
    with caplog.at_level(logging.WARNING):
        difference = largest_difference(compiled, plain, (latents, timesteps, contexts))
    bound = rounding.of_networks(tiny_backbone.parts.unet, passes=rounding.BACKWARD)
    assert difference <= bound + rounding.worst(4, scale=1 + 2 * 7)  # an angle t exp(-x)
    assert "plain calls go on" not in caplog.text


def test_what_cannot_be_recorded_falls_back_to_plain_passes(
    tiny_backbone: Backbone, caplog: pytest.LogCaptureFixture
) -> None:
    """A graph needs CUDA; without it the warning says so and results are those of plain calls."""
    if torch.cuda.is_available():
        pytest.skip("graphs can be recorded here")

    def plain(*inputs: torch.Tensor) -> torch.Tensor:
        return passes.plain(tiny_backbone, *inputs)

    inputs = passes.inputs(tiny_backbone)
    with caplog.at_level(logging.WARNING):
        result = Accelerated("the U-Net", plain, "graph", torch.float32)(*inputs)
    assert "the U-Net: no graph, plain calls go on" in caplog.text
    assert torch.equal(result, plain(*inputs))


def test_autograd_does_not_warn_of_the_streams_of_recordings(tiny_backbone: Backbone) -> None:
    """Whether it would is a switch of torch that newer versions have."""
    asked = getattr(torch._C, "_warn_on_accumulate_grad_stream_mismatch", None)
    if asked is None:
        pytest.skip("this torch never warns of it")
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(True)

    def plain(*inputs: torch.Tensor) -> torch.Tensor:
        return passes.plain(tiny_backbone, *inputs)

    learnt = passes.inputs(tiny_backbone, learning=True)
    Accelerated("the U-Net", plain, "graph", torch.float32)(*learnt)
    assert not asked()


def test_a_difference_of_results_or_of_gradients_is_seen() -> None:
    def plain(_latents: torch.Tensor, _t: torch.Tensor, contexts: torch.Tensor) -> torch.Tensor:
        return contexts * 2

    def other_gradient(
        latents: torch.Tensor, t: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        return plain(latents, t, contexts) + contexts - contexts.detach()

    contexts = torch.ones(2, 3)
    inputs = (torch.ones(2), torch.ones(2), contexts)
    assert largest_difference(other_gradient, plain, inputs) == 0
    inputs[2].requires_grad_()
    assert largest_difference(other_gradient, plain, inputs) == pytest.approx(0.5)
    assert largest_difference(plain, plain, inputs) == 0


class NoLooking(Watching):
    """Refuses to hand a tensor's value to Python, for which a device would have to be waited for.

    A pass that asks for one cannot be recorded either.
    """

    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Raise where it asks for a value."""
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default):
            raise ValueError("looked at a value")


def test_looking_at_a_value_is_noticed() -> None:
    with NoLooking(), pytest.raises(ValueError, match="looked at a value"):
        bool(torch.ones(1) > 0)


@pytest.mark.parametrize("learning", [False, True])
def test_a_pass_of_the_unet_never_looks_at_a_value(
    tiny_backbone: Backbone, *, learning: bool
) -> None:
    inputs = passes.inputs(tiny_backbone, learning=learning)
    with NoLooking():
        result = passes.plain(tiny_backbone, *inputs)
        if learning:
            torch.autograd.backward(result.sum())


def test_stylising_never_looks_at_a_value(tiny_backbone: Backbone) -> None:
    settings = StylisationSettings(strength=0.5, guidance_scale=3.5, num_inference_steps=8)
    visited = (settings.itinerary().start, *settings.itinerary().timesteps)
    prompt = PromptConditioning(tiny_backbone, "a piano")
    table = RowsOfTables([tabulate(prompt, visited, tiny_backbone.device)])
    latents, noise = torch.randn(2, 1, 4, 8, 8)
    with NoLooking():
        stylise(
            tiny_backbone.predict_noise,
            tiny_backbone.schedule,
            table,
            settings,
            latents=latents,
            noise=noise,
        )


def test_a_step_of_the_decoder_never_looks_at_a_value() -> None:
    decoder = load_melody("mini", "cpu").model.decoder
    states = torch.randn(2, 12, decoder.config.hidden_size)
    column = torch.zeros(2, decoder.config.num_codebooks, dtype=torch.long)
    reader = CachedDecoder(decoder, [states], 4, "graph")
    for _ in range(2):  # the first column comes with the prefix, the second finds its way of passes
        reader.read(column)
    with NoLooking():
        reader.read(column)
    assert not isinstance(decoder.model.decoder.embed_positions, Positions)


@pytest.mark.parametrize("way", ["graph", pytest.param("compile", marks=SLOW_COMPILING)])
@pytest.mark.usefixtures("in_double")
def test_a_decoder_with_a_fixed_cache_reads_as_with_a_growing_one(way: Acceleration) -> None:
    decoder = copy.deepcopy(load_melody("mini", "cpu").model.decoder).double()
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(2, 12, decoder.config.hidden_size, generator=generator)
    columns = torch.randint(0, 200, (6, 2, decoder.config.num_codebooks), generator=generator)
    growing, fixed = (CachedDecoder(decoder, [states], 6, each) for each in ("eager", way))
    for column in columns:
        ours, theirs = fixed.read(column), growing.read(column)
        atol = rounding.of_networks(decoder, scale=rounding.magnitude(theirs))
        torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


@pytest.mark.parametrize(("value", "expected"), [("compile", "compile"), ("eager", "eager")])
def test_the_way_of_passes_is_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: Acceleration
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    assert choose_acceleration(torch.device("cpu")) == expected
    monkeypatch.setenv(VARIABLE, "warp")
    with pytest.raises(
        ConfigError, match="BENCH_ACCELERATION is 'warp'; it must be auto, eager, graph"
    ):
        choose_acceleration(torch.device("cpu"))


def test_precision_enters_the_name_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRECISION_VARIABLE, raising=False)
    assert (frozen_precision("cpu"), device_kind("cpu")) == ("float32", "cpu")
    monkeypatch.setenv(PRECISION_VARIABLE, "bfloat16")
    assert device_kind("cpu") == "cpu/bfloat16"
    monkeypatch.setenv(PRECISION_VARIABLE, "int8")
    with pytest.raises(ConfigError, match="BENCH_PRECISION is 'int8'; it must be auto, float32"):
        frozen_precision("cpu")


def test_batches_are_halved_when_memory_runs_out_and_stay_so() -> None:
    tried: list[int] = []

    def work(part: Sequence[int]) -> list[int]:
        tried.append(len(part))
        if len(part) > 2:
            raise torch.OutOfMemoryError("too many")
        return [10 * item for item in part]

    batcher = Batcher(8)
    assert batcher.run(range(10), work) == [10 * item for item in range(10)]
    assert tried == [8, 4, 2, 2, 2, 2, 2]
    assert batcher.size == 2


def test_one_item_that_does_not_fit_is_the_callers_to_record() -> None:
    def work(_part: Sequence[int]) -> list[int]:
        raise torch.OutOfMemoryError("tried to take 3 GiB")

    with pytest.raises(torch.OutOfMemoryError, match="tried to take 3 GiB"):
        Batcher(2).run([1, 2], work)


def test_methods_of_a_family_learn_in_one_call_what_each_learns_alone() -> None:
    clip = Clip("tone", "tone", Audio(_tone(), 22_050))
    style = Style("bells", (clip,))
    requests = [
        FitRequest(style, parameters, seed=3)
        for parameters in (
            TveParameters(steps=3, batch_size=1),
            RtiParameters(steps=2, batch_size=1),
        )
    ]
    methods = [TVE(), RTI()]
    for method in methods:
        method.load("mini", "cpu")
    together = methods[0].fit(requests, _silent)
    parts = load_backbone("mini", "cpu").parts
    relative = rounding.of_networks(parts.text_encoder, parts.unet, passes=rounding.BACKWARD)
    for state, method, request in zip(together, methods, requests, strict=True):
        plan = request.parameters.plan()
        bound = rounding.of_adam_on_average(relative, plan.learning_rate, steps=plan.steps)
        (alone,) = method.fit([request], _silent)
        assert state.meta["steps"] == alone.meta["steps"]
        apart = [(state.arrays[name] - array).ravel() for name, array in alone.arrays.items()]
        assert np.sqrt(np.mean(np.concatenate(apart) ** 2)) <= bound


def _tone() -> Waveform:
    seconds = np.arange(22_050) / 22_050
    return (0.3 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)[None]
