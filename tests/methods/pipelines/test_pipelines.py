"""ACE-Step and Stable Audio on tiny pipelines: what decides an output, and closed forms."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AceStepPipeline, StableAudioPipeline
from torch import nn

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    ConfigError,
    ContentError,
    FitRequest,
    Style,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.plugins.catalog import describe, find_method
from bench.plugins.choices import parse_method
from bench.seeds import generator
from methods.pipelines.ace_step import AceStep
from methods.pipelines.cover import Cover, CoverPipeline, cover, encode, read_cover, reference_of
from methods.pipelines.noising import Levels, Window, read_levels, read_noiser
from methods.pipelines.parameters import WEAKEST, AceStepParameters, StableAudioParameters
from methods.pipelines.parts import Reduced
from methods.pipelines.schedules import SHIFT, flow_times
from methods.pipelines.stable_audio import StableAudio
from methods.pipelines.windows import cut_windows, join_windows, place_windows
from tests import rounding
from tests.methods.pipelines import tiny_pipelines
from tests.methods.pipelines.tiny_pipelines import (
    ACE_STEP_RATE,
    STABLE_AUDIO_RATE,
    tiny_cover,
    tiny_noiser,
)
from tests.methods.tiny_subject import TinySubject

NAMES = ("ace-step", "stable-audio")
FEW = {"num_inference_steps": 2}
TINY: dict[str, tuple[Callable[[], object], int]] = {
    "ace-step": (tiny_cover, ACE_STEP_RATE),
    "stable-audio": (tiny_noiser, STABLE_AUDIO_RATE),
}


@pytest.fixture(scope="module")
def ace_step() -> AceStep:
    made = AceStep()
    made.use(tiny_cover())
    return made


@pytest.fixture(scope="module")
def stable_audio() -> StableAudio:
    made = StableAudio()
    made.use(tiny_noiser())
    return made


def clip(seed: int, rate: int, seconds: float = 0.5) -> Clip:
    noise = np.random.default_rng(seed).standard_normal(round(rate * seconds))
    return Clip(f"clip {seed}", "noise", Audio((0.2 * noise).astype(np.float32)[None], rate))


def made(method: StyleTransferMethod[Any], parameters: object, **given: Any) -> str:  # noqa: ANN401 - numbers and a text
    """Digest of an output, from numbers of sounds."""
    rate = ACE_STEP_RATE if isinstance(method, AceStep) else STABLE_AUDIO_RATE
    style = Style("s", (clip(given.get("style", 1), rate),), text=given.get("text", "bells"))
    (state,) = method.fit([FitRequest(style, parameters, 0)], lambda *_: None)
    content = clip(given.get("content", 2), rate)
    (audio,) = method.transfer([TransferRequest(content, state, parameters, given.get("seed", 3))])
    assert audio.num_samples == content.audio.num_samples
    return audio.digest


@pytest.fixture(scope="module")
def usual(ace_step: AceStep, stable_audio: StableAudio) -> dict[str, str]:
    """What both make of the usual sounds."""
    return {
        "ace-step": made(ace_step, AceStepParameters(**FEW)),
        "stable-audio": made(stable_audio, StableAudioParameters(**FEW)),
    }


@pytest.mark.parametrize("name", [pytest.param("ace-step", marks=pytest.mark.slow), "stable-audio"])
def test_the_contract_on_random_weights(name: str) -> None:
    make, rate = TINY[name]
    assert TinySubject(name, lambda method: method.use(make()), rate, FEW).broken() == []


@pytest.mark.parametrize(
    "change",
    [
        {"style": 5}, {"content": 5}, {"text": "violin"}, {"seed": 5}, {"strength": 0.5},
        {"audio_cover_strength": 0.5}, {"guidance_scale": 1.0}, {"num_inference_steps": 1},
    ],
)  # fmt: skip
def test_what_decides_a_cover(
    ace_step: AceStep, usual: dict[str, str], change: dict[str, Any]
) -> None:
    changed = {k: v for k, v in change.items() if hasattr(AceStepParameters(), k)}
    given = {k: v for k, v in change.items() if k not in changed}
    assert made(ace_step, AceStepParameters(**{**FEW, **changed}), **given) != usual["ace-step"]


def test_without_a_prompt_the_style_is_sound_alone(ace_step: AceStep) -> None:
    without = AceStepParameters(**FEW, prompt="none")
    assert made(ace_step, without) == made(ace_step, without, text="violin")
    assert made(ace_step, without) != made(ace_step, without, style=5)


@pytest.mark.parametrize(
    "change",
    [
        {"content": 5}, {"text": "violin"}, {"seed": 5}, {"strength": 0.4}, {"guidance_scale": 1.0},
        {"num_inference_steps": 3},
    ],
)  # fmt: skip
def test_what_decides_a_redrawn_content(
    stable_audio: StableAudio, usual: dict[str, str], change: dict[str, Any]
) -> None:
    changed = {k: v for k, v in change.items() if hasattr(StableAudioParameters(), k)}
    given = {k: v for k, v in change.items() if k not in changed}
    parameters = StableAudioParameters(**{**FEW, **changed})
    assert made(stable_audio, parameters, **given) != usual["stable-audio"]


def test_style_clips_decide_nothing_where_a_text_leads(
    stable_audio: StableAudio, usual: dict[str, str]
) -> None:
    assert made(stable_audio, StableAudioParameters(**FEW), style=5) == usual["stable-audio"]


def test_in_a_batch_as_alone_byte_for_byte(ace_step: AceStep, stable_audio: StableAudio) -> None:
    for method, rate, parameters in (
        (ace_step, ACE_STEP_RATE, AceStepParameters(**FEW)),
        (stable_audio, STABLE_AUDIO_RATE, StableAudioParameters(**FEW)),
    ):
        style = Style("s", (clip(1, rate),), text="bells")
        (state,) = method.fit([FitRequest(style, parameters, 0)], lambda *_: None)  # type: ignore[attr-defined]  # of both
        requests = [
            TransferRequest(clip(n, rate, 0.3 * n), state, parameters, n) for n in (2, 3, 4)
        ]
        together = [audio.digest for audio in method.transfer(requests)]  # type: ignore[attr-defined]  # of both
        assert together == [method.transfer([one])[0].digest for one in requests]  # type: ignore[attr-defined]  # of both


def test_windows_rendered_together_are_those_rendered_alone() -> None:
    """As on a GPU; on the CPU the method asks for one at a time."""
    noiser, parameters = tiny_noiser(), StableAudioParameters(**FEW)
    windows = [Window(clip(n, STABLE_AUDIO_RATE).audio.mono, "bells", n) for n in (1, 2, 3)]
    together = noiser.render(windows, parameters)
    for window, output in zip(windows, together, strict=True):
        (alone,) = noiser.render([window], parameters)
        parts = (noiser.pipeline.transformer, noiser.pipeline.vae)
        bound = len(noiser.pipeline.scheduler.timesteps) * sum(
            rounding.of_networks(part, scale=float(np.abs(alone).max())) for part in parts
        )
        np.testing.assert_allclose(output, alone, rtol=0, atol=10 * bound)


class Ideal(nn.Module):
    """The velocity of a flow whose end is known: noise less sound, at every time."""

    def __init__(self, original: Reduced, sound: torch.Tensor, noise: torch.Tensor) -> None:
        super().__init__()
        self.config, self.dtype, self.device = original.config, original.dtype, original.device
        self.velocity = noise - sound

    def forward(self, hidden_states: torch.Tensor, **_given: object) -> tuple[torch.Tensor]:
        return (self.velocity.expand_as(hidden_states),)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_an_ideal_flow_ends_at_the_content_wherever_it_begins(
    monkeypatch: pytest.MonkeyPatch, strength: float
) -> None:
    """Then the output is what the autoencoder leaves of the content, at the pipeline's level."""
    pipeline = tiny_cover()
    sound = clip(2, ACE_STEP_RATE, 10.0).audio.mono
    content = encode(pipeline, sound)
    noise = torch.randn(content.shape, generator=generator(7))
    ideal = Ideal(pipeline.transformer, content, noise)
    monkeypatch.setattr(pipeline, "transformer", ideal)
    parameters = AceStepParameters(strength=strength, num_inference_steps=5)
    output = cover(pipeline, Cover(sound, content, "bells", parameters, generator(7)))
    with torch.no_grad():
        left = pipeline.vae.decode(content.transpose(1, 2)).sample[0]
    wanted = (left * 10 ** (-1 / 20) / left.abs().max()).mean(dim=0).numpy()
    bound = rounding.of_networks(pipeline.vae, scale=float(np.abs(wanted).max()))
    np.testing.assert_allclose(output, wanted, rtol=0, atol=10 * bound)


def test_the_reference_is_cut_as_the_library_cuts_it() -> None:
    rate, heard = 100, []

    def recorded(sound: torch.Tensor) -> SimpleNamespace:
        heard.append(sound)
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda: sound))

    library = SimpleNamespace(
        sample_rate=rate, vae=SimpleNamespace(dtype=torch.float32, encode=recorded)
    )
    for seconds in (4.0, 31.7, 95.0):
        sound = clip(1, rate, seconds).audio.mono
        AceStepPipeline.prepare_reference_audio_latents(
            library, torch.from_numpy(sound.copy())[None], 1, torch.device("cpu"), torch.float32
        )
        assert np.array_equal(reference_of(sound, rate), heard.pop()[0, 0].numpy())


def test_the_codes_of_a_content_are_those_of_the_library() -> None:
    """The library encodes by a draw; its posterior is made to have no deviation."""
    pipeline: CoverPipeline = tiny_cover()
    content = encode(pipeline, clip(2, ACE_STEP_RATE, 10.0).audio.mono)
    cpu = torch.device("cpu")
    ours, frames = pipeline.prepare_src_latents(
        device=cpu, dtype=torch.float32, src_audio=content, task_type="cover"
    )
    sound = SimpleNamespace(sample=lambda: content.transpose(1, 2))
    library = SimpleNamespace(
        vae=SimpleNamespace(
            dtype=torch.float32, encode=lambda _: SimpleNamespace(latent_dist=sound)
        ),
        audio_tokenizer=pipeline.audio_tokenizer,
        audio_token_detokenizer=pipeline.audio_token_detokenizer,
        condition_encoder=pipeline.condition_encoder,
    )
    theirs, length = AceStepPipeline.prepare_src_latents(
        library, cpu, torch.float32, 1, torch.zeros(1, 2, 8), task_type="cover"
    )
    assert frames == length == 250
    assert torch.equal(ours, theirs)


def test_defaults_are_those_of_the_library() -> None:
    """But for ACE-Step's steps: its documentation advises more for the model that is loaded."""
    theirs = inspect.signature(AceStepPipeline.__call__).parameters
    assert theirs["shift"].default == SHIFT
    assert theirs["guidance_scale"].default == AceStepParameters().guidance_scale
    assert theirs["audio_cover_strength"].default == AceStepParameters().audio_cover_strength
    theirs = inspect.signature(StableAudioPipeline.__call__).parameters
    ours = StableAudioParameters()
    names = ("guidance_scale", "num_inference_steps")
    assert [theirs[name].default for name in names] == [getattr(ours, name) for name in names]
    assert not any("steps, where" in said for said in StableAudio.departures(ours, "full"))


def test_in_fewer_bits_the_outputs_are_nearly_the_same(tmp_path: Path) -> None:
    """As on a GPU: the transformer alone works in bfloat16, of which 8 bits are left."""
    reduced = read_cover(tiny_pipelines.ace_step(tmp_path / "a"), "cpu", "bfloat16")
    sound = clip(2, ACE_STEP_RATE, 10.0).audio.mono
    timbre = encode(tiny_cover(), sound)
    whole, coarse = (
        cover(pipeline, Cover(sound, timbre, "bells", AceStepParameters(**FEW), generator(1)))
        for pipeline in (tiny_cover(), reduced)
    )
    assert 0 < np.abs(whole - coarse).max() < 0.1 * np.abs(whole).max()
    noiser = read_noiser(tiny_pipelines.stable_audio(tmp_path / "s"), "cpu", "bfloat16")
    window, parameters = Window(sound[:4000], "bells", 1), StableAudioParameters(**FEW)
    (whole,), (coarse,) = (one.render([window], parameters) for one in (tiny_noiser(), noiser))
    assert 0 < np.abs(whole - coarse).max() < 0.1 * np.abs(whole).max()


def test_a_schedule_without_levels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scheduler_config.json"
    for text in ("{}", '{"sigma_min": 0.3, "sigma_max": 0.2}', "no json"):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=r"levels of noise were expected. Fetch"):
            read_levels(path)


def test_at_full_strength_the_times_are_those_of_the_library() -> None:
    theirs = AceStepPipeline._get_timestep_schedule(None, 8, 3.0)
    assert flow_times(1.0, 8) == pytest.approx(theirs.tolist(), abs=rounding.worst(8))
    assert flow_times(0.4, 5)[0] == pytest.approx(0.4)


@pytest.mark.parametrize("strength", [WEAKEST, 0.5, 0.9])
def test_noise_begins_at_the_time_that_is_asked_for(strength: float) -> None:
    scheduler = Levels(0.3, 500.0).schedule(strength)
    scheduler.set_timesteps(6)
    bound = rounding.worst(8)
    assert float(scheduler.timesteps[0]) == pytest.approx(strength, abs=bound)
    assert float(scheduler.timesteps[-1]) == pytest.approx(2 / math.pi * math.atan(0.3), abs=bound)
    ratios = scheduler.sigmas[1:-1] / scheduler.sigmas[:-2]  # the same from level to level
    assert ratios.tolist() == pytest.approx([float(ratios[0])] * 5, rel=1e-5)
    assert scheduler.init_noise_sigma == pytest.approx(math.tan(strength * math.pi / 2))


def test_a_unit_normal_is_denoised_as_its_closed_form() -> None:
    """A velocity of 0 is ideal for it: x falls as sqrt(1 + sigma^2), and at last D = x / 1.09."""
    scheduler = Levels(0.3, 500.0).schedule(0.9)
    scheduler.set_timesteps(200)
    start = x = torch.tensor([1.0], dtype=torch.float64)
    for time in scheduler.timesteps:
        scheduler.scale_model_input(x, time)
        x = scheduler.step(torch.zeros_like(x), time, x).prev_sample
    sigma = math.tan(0.9 * math.pi / 2)
    wanted = start * math.sqrt(1.09 / (1 + sigma**2)) / 1.09
    assert float(x) == pytest.approx(float(wanted), rel=1e-3)  # of second order in 1 / 200


def test_windows_of_a_sound_give_it_back() -> None:
    for length in (10, 100, 101, 333, 1000):
        sound = np.random.default_rng(length).standard_normal(length).astype(np.float32)
        windows = cut_windows(sound, 100)
        assert {len(window) for window in windows} == {min(length, 100)}
        again = join_windows(windows, length)
        np.testing.assert_allclose(again, sound, rtol=0, atol=rounding.worst(8, scale=4))
    assert place_windows(100, 100) == (0,)


def test_a_content_longer_than_a_window_is_rendered_whole(stable_audio: StableAudio) -> None:
    parameters = StableAudioParameters(**FEW)
    style = Style("s", (), text="bells")
    (state,) = stable_audio.fit([FitRequest(style, parameters, 0)], lambda *_: None)
    content = clip(2, STABLE_AUDIO_RATE, 5.0)
    (audio,) = stable_audio.transfer([TransferRequest(content, state, parameters, 1)])
    assert audio.num_samples == content.audio.num_samples > 2 * tiny_noiser().window
    loud = np.abs(audio.waveform[0]).reshape(100, -1).max(axis=1)
    assert loud.min() > 0


def test_the_reduced_network_is_float32_to_its_caller() -> None:
    network = nn.Linear(4, 4).to(torch.bfloat16)
    wrapped = Reduced(nn.Sequential(network))
    seen = []
    network.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    (row,) = wrapped(torch.zeros(1, 4))
    assert (wrapped.dtype, row.dtype, seen) == (torch.float32, torch.float32, [torch.bfloat16])


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_mini_model(name: str) -> None:
    entry = find_method(name)
    kind = {"ace-step": AceStep, "stable-audio": StableAudio}[name]
    with pytest.raises(UnsupportedError, match=rf"{name} has no mini model; .* --profile full"):
        kind().load("mini", "cpu")
    assert describe(entry, "mini").weights == ()
    full = describe(entry, "full")
    assert full.weights == tuple(checkpoint.name for checkpoint in full.checkpoints)
    assert all(checkpoint.revision == "main" for checkpoint in full.checkpoints)


@pytest.mark.parametrize("name", NAMES)
def test_a_strength_can_be_swept(name: str) -> None:
    choice = parse_method(f"{name}[strength=0.4,guidance_scale=3]")
    assert choice.overrides == {"strength": 0.4, "guidance_scale": 3}


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ACE-Step: vae/config.json is missing"):
        read_cover(tmp_path, "cpu")


def test_refusals(ace_step: AceStep, stable_audio: StableAudio) -> None:
    with pytest.raises(ConfigError, match=r"strength is 0.1; it must be from 0.19 to 1"):
        StableAudioParameters(strength=0.1)
    with pytest.raises(ConfigError, match=r"audio_cover_strength is 2"):
        AceStepParameters(audio_cover_strength=2)
    silent = FitRequest(Style("s", ()), AceStepParameters(), 0)
    with pytest.raises(UnsupportedError, match=r"style 's' has 0 clips; ace-step hears"):
        ace_step.fit([silent], lambda *_: None)
    untold = FitRequest(Style("s", ()), StableAudioParameters(), 0)
    with pytest.raises(UnsupportedError, match=r"style 's' has no text; stable-audio is driven"):
        stable_audio.fit([untold], lambda *_: None)
    (state,) = stable_audio.fit(
        [FitRequest(Style("s", (), text="bells"), StableAudioParameters(), 0)], lambda *_: None
    )
    elsewhere = TransferRequest(clip(1, 8000), state, StableAudioParameters(), 0)
    with pytest.raises(ContentError, match=r"content 'clip 1' has 8000 Hz; Stable Audio takes"):
        stable_audio.transfer([elsewhere])
