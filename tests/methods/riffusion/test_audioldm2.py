"""AudioLDM 2 behind the edits: its spectrogram, its pipeline's denoising, and the edits on it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import AudioLDM2Pipeline
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    ConfigError,
    ContentError,
    StyleState,
    TransferRequest,
    UnsupportedError,
)
from bench.plugins.parameters import split_parameters
from methods.riffusion.audioldm2.mel import (
    SAMPLE_RATE,
    cut_windows,
    fill_up,
    join_windows,
    log_mel,
)
from methods.riffusion.audioldm2.model import AudioLdm2Backbone, SoundParts, read_audioldm2
from methods.riffusion.audioldm2.prompts import MOST_TOKENS, TextParts, unpack
from methods.riffusion.audioldm2.rendering import AudioLdm2
from methods.riffusion.checkpoints import AUDIOLDM2, RIFFUSION, describe, describe_edits
from methods.riffusion.conditioning import PromptConditioning, tabulate
from methods.riffusion.editing.contrast import pull
from methods.riffusion.editing.inversion import climb, descend
from methods.riffusion.editing.samplers import Material, count_noises, guided, sample
from methods.riffusion.parameters.editing import (
    DdimInversionParameters,
    SteerParameters,
    ZetaParameters,
)
from methods.riffusion.parameters.edits import (
    AnySampling,
    InversionSettings,
    NoiseMapSettings,
    SourceSettings,
    SteeringSettings,
)
from methods.riffusion.parameters.itinerary import ddim_grid, plan_climb
from methods.riffusion.schedule import Schedule
from methods.riffusion.training_free.texts import Steer, Zeta
from methods.riffusion.transition import join_states
from tests.hub.tiny_audioldm2 import WINDOW_S, save, tiny_pipeline
from tests.rounding import likely

# The scheduler of the library keeps its levels in float32; a division by the root of the lowest
# one, of about .07 in this schedule, and five steps of guidance stand behind it.
OF_THE_SCHEDULER = 1e-5
TEXT = "a piano"
SHAPE = (4, 16, 16)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> AudioLDM2Pipeline:
    """The library's pipeline on tiny weights."""
    made = tiny_pipeline(tmp_path_factory.mktemp("tokenizers"))
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(scope="module")
def backbone(
    pipeline: AudioLDM2Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> AudioLdm2Backbone:
    """The same weights, read from a folder."""
    return read_audioldm2(save(pipeline, tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module")
def exact(pipeline: AudioLDM2Pipeline, backbone: AudioLdm2Backbone) -> AudioLdm2Backbone:
    """The same in float64; the pipeline's own parts are from now on."""
    pipeline.to(torch.float64)
    texts = TextParts(
        pipeline.text_encoder,
        pipeline.text_encoder_2,
        pipeline.projection_model,
        pipeline.language_model.transformer,
        pipeline.tokenizer,
        pipeline.tokenizer_2,
    )
    sound = SoundParts(pipeline.vae, pipeline.unet, pipeline.vocoder)
    levels = backbone.schedule.alphas_cumprod.double()
    return AudioLdm2Backbone(sound, texts, Schedule(levels))


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def tone(seconds: float, pitch_hz: float = 440.0) -> Clip:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = 0.4 * np.sin(2 * np.pi * pitch_hz * times) * np.exp(-3 * (times % 0.5))
    return Clip("tone", "tones", Audio(sound.astype(np.float32)[None], SAMPLE_RATE))


def test_the_spectrogram_is_that_of_another_implementation() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    bank = mel_filter_bank(
        513, 64, 0.0, 8000.0, 16000, norm="slaney", mel_scale="slaney"
    )  # its own filters, transform and frames
    expected = spectrogram(
        noise, window_function(1024, "hann"), 1024, 160, power=1.0, mel_filters=bank,
        mel_floor=1e-5,
    )  # fmt: skip
    found = np.exp(log_mel(noise).T)
    assert found.shape == expected.shape == (64, 26)
    bound = likely(1024, layers=3, scale=float(expected.max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
    assert log_mel(np.zeros(600, np.float32)).tolist() == [[pytest.approx(math.log(1e-5))] * 64] * 4


@pytest.mark.parametrize("frames", [30, 256, 257, 258, 700])
def test_windows_of_a_spectrogram_give_it_back_however_loud_it_is(frames: int) -> None:
    values = np.random.default_rng(1).normal(0, 300, (frames, 64)).astype(np.float32)
    windows = cut_windows(values, 256)
    assert len(windows) == {258: 2, 700: 3}.get(frames, 1)
    joined = join_windows(windows, frames)
    np.testing.assert_allclose(joined, values, rtol=0, atol=likely(4, scale=1000))


def test_frames_are_filled_up_with_silence() -> None:
    filled = fill_up(np.ones((30, 64), np.float32), 4)
    assert np.exp(filled[:, 0]).tolist() == pytest.approx([math.e] * 30 + [1e-5] * 2, rel=1e-5)
    assert len(fill_up(filled, 4)) == 32


def test_a_context_is_what_the_pipeline_tells_the_network(
    pipeline: AudioLDM2Pipeline, exact: AudioLdm2Backbone
) -> None:
    states, mask, generated = pipeline.encode_prompt(TEXT, "cpu", 1, True, max_new_tokens=8)
    packed = torch.cat([exact.encode_empty(TEXT), exact.encode_prompt(TEXT)])
    told, tokens = unpack(packed, (16, 24)), states.shape[1]
    torch.testing.assert_close(told.generated, generated, rtol=0, atol=1e-10)
    torch.testing.assert_close(told.states[:, :tokens], states, rtol=0, atol=1e-10)
    assert torch.equal(told.mask[:, :tokens], mask.double())
    assert float(told.mask[:, tokens:].sum()) == 0
    assert told.states.shape == (2, MOST_TOKENS, 24)


@pytest.mark.parametrize("guidance_scale", [1.0, 3.5])
def test_sampling_is_the_pipelines_own_denoising(
    pipeline: AudioLDM2Pipeline, exact: AudioLdm2Backbone, guidance_scale: float
) -> None:
    latents = draw(1, *SHAPE)
    expected = pipeline(
        TEXT, num_inference_steps=5, guidance_scale=guidance_scale, latents=latents,
        output_type="latent", max_new_tokens=8, audio_length_in_s=0.64,
    ).audios  # fmt: skip
    predict = guided(exact, PromptConditioning(exact, TEXT), guidance_scale)
    found = descend(predict, exact.schedule, ddim_grid(5), latents)
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=OF_THE_SCHEDULER * scale)
    other = guided(exact, PromptConditioning(exact, "music"), guidance_scale)
    unlike = descend(other, exact.schedule, ddim_grid(5), latents) - expected
    assert float(unlike.abs().max()) > 100 * OF_THE_SCHEDULER * scale


def test_what_is_read_from_files_predicts_what_the_pipelines_parts_predict(
    backbone: AudioLdm2Backbone, exact: AudioLdm2Backbone
) -> None:
    latents, t = draw(2, *SHAPE), torch.tensor([5, 900])
    told = [one.encode_prompt(TEXT).expand(2, -1, -1) for one in (backbone, exact)]
    found = backbone.predict_noise(latents.float(), t, told[0])
    expected = exact.predict_noise(latents, t, told[1])
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        found.double(), expected, rtol=0, atol=likely(300, layers=40, scale=scale)
    )


def material(settings: AnySampling) -> Material:
    noises = [draw(1, *SHAPE, seed=1 + number) for number in range(count_noises(settings))]
    return Material(draw(1, *SHAPE), torch.stack(noises), (1,))


def edited(
    model: AudioLdm2Backbone, settings: AnySampling, prompt: str
) -> tuple[torch.Tensor, ...]:
    table = tabulate(PromptConditioning(model, prompt), settings.visited(), model.device)
    given = material(settings)
    return given.latents, sample(model, table, settings, given)


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.25])
def test_kept_maps_give_the_content_back_under_the_prompt_that_made_them(
    exact: AudioLdm2Backbone, strength: float
) -> None:
    settings = NoiseMapSettings(strength, 3.0, 4, SourceSettings(TEXT, 3.0), "keep")
    content, found = edited(exact, settings, TEXT)
    torch.testing.assert_close(found, content, rtol=0, atol=1e-9)
    _, other = edited(exact, settings, "music")
    assert float((other - content).abs().max()) > 1e-6


def test_one_prompt_for_both_leaves_the_content_where_it_is(exact: AudioLdm2Backbone) -> None:
    settings = SteeringSettings(num_inference_steps=4, source_prompt=TEXT)
    content, found = edited(exact, settings, TEXT)
    torch.testing.assert_close(found, content, rtol=0, atol=1e-9)
    _, other = edited(exact, settings, "music")
    assert float((other - content).abs().max()) > 1e-6


@pytest.mark.parametrize("share", [1.0, 0.4])
def test_inversion_is_exact_in_this_models_schedule_where_the_prediction_is_one_of_time(
    exact: AudioLdm2Backbone, share: float
) -> None:
    grid, latents = ddim_grid(20)[: int(20 * share)], draw(1, *SHAPE)

    def predict(shown: torch.Tensor, timestep: int) -> torch.Tensor:
        return torch.full_like(shown, math.sin(timestep / 100))

    top = climb(predict, exact.schedule, plan_climb(grid), latents)[-1]
    back = descend(predict, exact.schedule, grid, top)
    torch.testing.assert_close(back, latents, rtol=0, atol=1e-10)


def zeta(backbone: AudioLdm2Backbone) -> Zeta:
    method = Zeta("audioldm2")
    method._model, method._vocabulary = AudioLdm2(backbone), None
    return method


FEW = ZetaParameters(backbone="audioldm2", num_inference_steps=4)
TOLD = StyleState(meta={"text": TEXT})


def test_outputs_are_as_long_as_their_contents_and_company_changes_nothing(
    backbone: AudioLdm2Backbone,
) -> None:
    contents = [tone(seconds) for seconds in (0.4, 0.7345, WINDOW_S, 4.0007)]
    requests = [TransferRequest(content, TOLD, FEW, 1) for content in contents]
    together = zeta(backbone).transfer(requests)
    lengths = [audio.num_samples for audio in together]
    assert lengths == [content.audio.num_samples for content in contents]
    (alone,) = zeta(backbone).transfer(requests[1:2])
    assert alone.digest == together[1].digest
    (other,) = zeta(backbone).transfer([TransferRequest(contents[1], TOLD, FEW, 2)])
    assert other.digest != alone.digest
    assert all(1e-3 < np.abs(audio.waveform).max() <= 1 for audio in together)


def test_a_quieter_content_gives_a_quieter_output(backbone: AudioLdm2Backbone) -> None:
    loud = tone(0.5).audio.waveform
    spreads = []
    for factor in (0.25, 0.125):
        quieter = Clip("c", "c", Audio(loud * np.float32(factor), SAMPLE_RATE))
        (made,) = zeta(backbone).transfer([TransferRequest(quieter, TOLD, FEW, 1)])
        spreads.append(float(made.waveform.std()))
    # The steps let roundings grow, in single samples; what they do to the whole is small.
    assert spreads[0] == pytest.approx(2 * spreads[1], rel=0.02)


def test_a_piece_may_go_from_one_style_to_another(backbone: AudioLdm2Backbone) -> None:
    method = zeta(backbone)
    longer = StyleState(meta={"text": "a piano a violin"})
    (made,) = method.transfer([TransferRequest(tone(4.0), join_states(TOLD, longer), FEW, 1)])
    (first,) = method.transfer([TransferRequest(tone(4.0), TOLD, FEW, 1)])
    beginning = slice(0, SAMPLE_RATE)
    assert made.num_samples == 4 * SAMPLE_RATE
    likeness = np.corrcoef(made.waveform[0, beginning], first.waveform[0, beginning])[0, 1]
    assert likeness > 0.99
    assert made.digest != first.digest


def test_a_text_or_content_out_of_range_is_refused(backbone: AudioLdm2Backbone) -> None:
    with pytest.raises(UnsupportedError, match=r"has \d+ tokens; AudioLDM 2 is told at most 128"):
        backbone.encode_prompt("music " * 200)
    short = Clip("short", "c", Audio(np.zeros((1, 512), np.float32), SAMPLE_RATE))
    with pytest.raises(ContentError, match=r"'short' lasts 0\.032 s, one frame"):
        zeta(backbone).transfer([TransferRequest(short, TOLD, FEW, 1)])


def test_the_settings_are_those_of_the_papers() -> None:
    assert ZetaParameters(backbone="audioldm2", source_prompt="x").sampling() == NoiseMapSettings(
        0.5, 12.0, 200, SourceSettings("x", 3.0), "zero"
    )
    # 100 steps up in whole blocks of 8, and 100 guided ones down.
    assert ZetaParameters(backbone="audioldm2").passes().transfer == 104 + 200
    assert DdimInversionParameters(backbone="audioldm2").sampling() == InversionSettings(1, 5, 200)
    steering = SteerParameters(backbone="audioldm2", preset="mini").sampling()
    assert steering == SteeringSettings(1.0, 30.0, 400)
    assert ZetaParameters(backbone="audioldm2", guidance_scale=3).sampling().guidance_scale == 3


def test_departures_are_those_of_the_model() -> None:
    ours = " ".join(Zeta.departures(ZetaParameters(backbone="audioldm2"), "full"))
    usual = " ".join(Zeta.departures(ZetaParameters(), "full"))
    assert "on spectrograms of Riffusion" in usual
    assert "least squares" in usual
    assert "Riffusion" not in ours
    assert "guidance" not in ours
    assert "three frames of silence" in ours
    drawn = Steer.departures(SteerParameters(backbone="audioldm2", vae_sample="sample"), "full")
    assert any("(vae_sample=mode)" in clause for clause in drawn)


@pytest.mark.parametrize(
    ("name", "value"),
    [("phase", "content"), ("width_mode", "pad"), ("unstretch", False), ("picture", "truncated")],
)
def test_what_is_set_of_pictures_is_refused(name: str, value: object) -> None:
    with pytest.raises(
        ConfigError, match=f"{name} is {value!r} and backbone 'audioldm2'; it is of"
    ):
        ZetaParameters(backbone="audioldm2", **{name: value})


def test_the_default_model_leaves_no_trace_in_what_identifies_a_result() -> None:
    fit, transfer = split_parameters(ZetaParameters())
    assert fit == {}
    assert "backbone" not in transfer
    assert split_parameters(FEW)[0] == {"backbone": "audioldm2"}


def test_the_models_of_a_profile() -> None:
    usual, other = describe_edits("full"), describe_edits("full", "audioldm2")
    assert (usual.weights, other.weights) == ((RIFFUSION.name,), (AUDIOLDM2.name,))
    assert usual.checkpoints == (RIFFUSION, AUDIOLDM2)
    assert (other.sample_rate, other.bandwidth_hz, other.licence) == (
        16_000, 8_000.0, "CC-BY-NC-SA-4.0",
    )  # fmt: skip
    assert describe_edits("mini") == describe("mini")
    with pytest.raises(
        ConfigError, match=r"'audioldm2' in profile mini; .* --profile full, or set backbone=riff"
    ):
        describe_edits("mini", "audioldm2")


def test_layers_are_compared_in_riffusion_alone(backbone: AudioLdm2Backbone) -> None:
    rule = r"contrast_weight is 3 and backbone 'audioldm2'; .* set backbone=riffusion"
    with pytest.raises(ConfigError, match=rule):
        SteerParameters(backbone="audioldm2", contrast_weight=3.0)
    nothing = torch.zeros(1)
    with pytest.raises(UnsupportedError, match="the network is not Riffusion's"):
        pull(backbone, nothing, nothing, (nothing, nothing), (nothing, nothing))


def test_a_vocoder_of_other_spectrograms_is_refused(exact: AudioLdm2Backbone) -> None:
    other = SpeechT5HifiGan(SpeechT5HifiGanConfig(model_in_dim=80, upsample_initial_channel=32))
    sound = SoundParts(exact._sound.vae, exact._sound.unet, other)
    with pytest.raises(CheckpointError, match="256 samples of a frame of 80 mels; it must be 160"):
        AudioLdm2Backbone(sound, exact._texts, exact.schedule)
