"""Pseudo-words on the mini MusicGen: the loss is the library's, gradients reach the words alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bench.api import (
    Audio,
    Clip,
    ConfigError,
    FitRequest,
    Style,
    StyleState,
    TransferRequest,
    UnsupportedError,
)
from methods.musicgen.chroma import dominant_pitch_class, one_hot, tile_to
from methods.musicgen.inversion import (
    Crop,
    begin_fit,
    crop_losses,
    cross_entropy,
    delayed,
    history,
    make_prompt,
    read_crops,
    step_together,
)
from methods.musicgen.loading import MINI_FOLDER, Loaded, load_folder, load_melody
from methods.musicgen.rendering import Job, render
from methods.musicgen.sampling import Sampling
from methods.musicgen.textual import MusicgenTextual
from methods.musicgen.textual_parameters import PRESETS, TextualParameters
from tests import rounding

pytestmark = pytest.mark.weights
PAD = 9
SHORT = TextualParameters(steps=3, batch_size=1, crop_s=0.64)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_melody("mini", "cpu")


@pytest.fixture(scope="module")
def wide(loaded: Loaded) -> Loaded:
    """The same in float64, but for the codec, whose codes are whole numbers."""
    model = load_folder(MINI_FOLDER, "cpu").model.double()
    model.audio_encoder.float()
    model.audio_enc_to_dec_proj.register_forward_pre_hook(lambda _, given: (given[0].double(),))
    return replace(loaded, model=model)


@pytest.fixture(scope="module")
def method() -> MusicgenTextual:
    made = MusicgenTextual()
    made.load("mini", "cpu")
    return made


def tone(frequency: float, seconds: float = 1.28) -> Clip:
    time = np.arange(round(16_000 * seconds)) / 16_000
    partials = sum(np.sin(2 * np.pi * frequency * n * time) / n for n in (1, 2, 3))
    waveform = (0.2 * np.asarray(partials)).astype(np.float32)
    return Clip(f"{frequency:.0f} Hz", "tone", Audio(waveform[None], 16_000))


def test_code_book_k_is_k_steps_late() -> None:
    codes = torch.tensor([[1, 2, 3], [4, 5, 6]])
    steps = delayed(codes, PAD)
    assert steps.tolist() == [[1, 2, 3, PAD], [PAD, 4, 5, 6]]
    assert history(steps, PAD).tolist() == [[PAD, 1, 2, 3], [PAD, PAD, 4, 5]]


def test_padding_does_not_count() -> None:
    steps = delayed(torch.tensor([[[1, 2, 3], [4, 5, 6]]]), PAD)
    sure = torch.nn.functional.one_hot(steps.clamp(max=8), 9).float() * 50
    wrong_on_padding = torch.where((steps == PAD)[..., None], -sure, sure)
    assert float(cross_entropy(wrong_on_padding, steps, PAD)) == pytest.approx(0.0, abs=1e-6)
    flat = torch.zeros(1, 2, 4, 9)
    assert float(cross_entropy(flat, steps, PAD)) == pytest.approx(np.log(9))


def text_of(loaded: Loaded, words: str) -> tuple[torch.Tensor, torch.Tensor]:
    ids = loaded.tokens(words)
    rows = loaded.model.text_encoder.get_input_embeddings()(ids)
    return rows[None], (ids != loaded.tokenizer.pad_token_id).long()[None]


def test_the_loss_is_that_of_the_library(wide: Loaded) -> None:
    clip = tone(440.0, 0.64)
    (crop,) = read_crops(wide, [clip], "tone", 0.64)
    text, mask = text_of(wide, "organ music")
    with torch.no_grad():
        ours = float(crop_losses(wide.model, [crop], text, mask))
        pitch_class = dominant_pitch_class(torch.from_numpy(clip.audio.mono.copy()), wide.chroma)
        chroma = one_hot(tile_to(pitch_class[None], wide.model.config.chroma_length))
        pad = wide.model.decoder.config.pad_token_id
        steps = delayed(crop.codes, pad)
        theirs = wide.model(
            inputs_embeds=text,
            attention_mask=mask,
            input_features=chroma.double(),
            decoder_input_ids=history(steps, pad),
            labels=steps.T[None],
        ).loss
    terms = steps.numel()  # of the mean over codes, each a logarithm of a sum, in float32
    bound = rounding.likely(terms, layers=2, scale=ours)
    assert ours == pytest.approx(float(theirs), abs=bound)


def test_gradients_are_those_of_finite_differences_and_reach_nothing_else(wide: Loaded) -> None:
    crops = read_crops(wide, [tone(440.0, 0.4)], "tone", 0.4)
    prompt = make_prompt(wide, "music", 2)
    words = prompt.rows[:2].clone().requires_grad_()

    def loss(of: torch.Tensor) -> torch.Tensor:
        return crop_losses(wide.model, crops, prompt.with_words(of)[None], prompt.mask[None])[0]

    torch.autograd.backward(loss(words))
    assert words.grad is not None
    row, column = divmod(int(words.grad.abs().argmax()), words.shape[1])
    nudge = torch.zeros_like(words)
    nudge[row, column] = step = 0.05
    with torch.no_grad():
        higher, lower = loss(words + nudge), loss(words - nudge)
    slope = float(higher - lower) / (2 * step)
    rounded = rounding.likely(4 * len(crops[0].codes[0]), scale=float(higher)) / (2 * step)
    assert slope == pytest.approx(float(words.grad[row, column]), rel=step, abs=rounded)
    assert all(parameter.grad is None for parameter in wide.model.parameters())


def test_words_begin_as_the_word_they_start_from(loaded: Loaded) -> None:
    prompt = make_prompt(loaded, "music", 2)
    text, mask = text_of(loaded, "music music")
    assert torch.equal(prompt.with_words(prompt.rows[:2]), text[0])
    assert torch.equal(prompt.mask, mask[0])


def test_words_learn(loaded: Loaded) -> None:
    crops = read_crops(loaded, [tone(330.0), tone(440.0)], "tone", 0.64)
    prompt = make_prompt(loaded, "music", 2)
    fit = begin_fit(crops[:1], prompt, 2, PRESETS["mini"], seed=0)
    for _ in range(8):
        step_together(loaded, [fit], [prompt], 1)
    assert fit.losses[-1] < fit.losses[0] - 0.05


def test_a_style_learns_the_same_alone_and_in_company(
    method: MusicgenTextual, loaded: Loaded
) -> None:
    styles = [Style("low", (tone(220.0), tone(247.0))), Style("high", (tone(523.0),))]
    requests = [FitRequest(style, SHORT, 3) for style in styles]
    together = method.fit(requests, lambda *_: None)
    networks = (loaded.model.text_encoder, loaded.model.decoder)
    relative = rounding.of_networks(*networks, passes=rounding.BACKWARD)
    rate = PRESETS["mini"].learning_rate
    bound = rounding.of_adam_on_average(relative, rate, steps=3)
    for request, state in zip(requests, together, strict=True):
        (alone,) = method.fit([request], lambda *_: None)
        apart = alone.arrays["words"] - state.arrays["words"]
        assert np.sqrt(np.mean(apart**2)) <= bound
    unlike = together[0].arrays["words"] - together[1].arrays["words"]
    assert np.sqrt(np.mean(unlike**2)) > bound


def test_crops_of_a_style_are_equally_long(loaded: Loaded) -> None:
    crops = read_crops(loaded, [tone(440.0, 1.28), tone(330.0, 0.72)], "tone", 0.64)
    assert {crop.codes.shape for crop in crops} == {(4, 16)}
    assert len(crops) == 3 + 1
    assert len(crops[0].keys) == loaded.model.decoder.config.num_hidden_layers


def test_without_melody_the_content_is_not_heard(method: MusicgenTextual) -> None:
    state = StyleState({"words": np.zeros((2, 64), np.float32)}, {"init_word": "music"})
    parameters = {name: TextualParameters(melody=name) for name in ("content", "none")}  # type: ignore[arg-type]  # literals
    made = {
        (name, content.id): method.transfer([TransferRequest(content, state, chosen, 1)])[0].digest
        for name, chosen in parameters.items()
        for content in (tone(300.0, 0.4), tone(500.0, 0.4))
    }
    assert made["none", "300 Hz"] == made["none", "500 Hz"]
    assert made["content", "300 Hz"] != made["content", "500 Hz"]


def test_unlike_melodies_share_a_batch(loaded: Loaded) -> None:
    text, mask = text_of(loaded, "organ")
    jobs = [
        Job(tone(300.0, 0.2), 1, text[0], mask[0], Sampling(1.0, 50, 1.0), melody)
        for melody in ("content", "none")
    ]
    assert [audio.num_samples for audio in render(loaded, jobs)] == [3200, 3200]


def test_refusals(method: MusicgenTextual, loaded: Loaded) -> None:
    with pytest.raises(ConfigError, match=r"1 pseudo-words from 'xylorimba' read as"):
        make_prompt(loaded, "xylorimba", 1)
    with pytest.raises(ConfigError, match=r"fit in its text so many times"):
        make_prompt(loaded, "music", 8)
    with pytest.raises(ConfigError, match=r"steps 0, batch_size 2"):
        TextualParameters(steps=0)
    with pytest.raises(ConfigError, match=r"guidance_scale is 0.5"):
        TextualParameters(guidance_scale=0.5)
    with pytest.raises(UnsupportedError, match=r"0 clips and 0 frames of codes"):
        method.fit([FitRequest(Style("none", ()), SHORT, 0)], lambda *_: None)


def test_a_fit_draws_its_crops_from_its_own_generator(loaded: Loaded) -> None:
    crops = [Crop(torch.full((4, 1), number), (), ()) for number in range(50)]
    prompt = make_prompt(loaded, "music", 1)
    one, same, other = (begin_fit(crops, prompt, 1, PRESETS["mini"], s).draw(20) for s in (1, 1, 2))
    assert one == same
    assert one != other
