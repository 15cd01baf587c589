"""The training-free methods end to end on the mini weights, and phases of the content."""

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
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.counts import counts
from methods.riffusion.controls import Vocoder
from methods.riffusion.parameters.guided import VocoderParameters
from methods.riffusion.parameters.rti import RtiParameters
from methods.riffusion.rti import RTI
from methods.riffusion.spectrogram import MINI_PARAMETERS, decode_with_phases, encode
from methods.riffusion.training_free.stylus import Stylus
from methods.riffusion.training_free.texts import Steer, Zeta
from methods.riffusion.transition import join_states

pytestmark = pytest.mark.weights
RATE = 22_050


def clip(name: str, seconds: float, pitch_hz: float = 440.0) -> Clip:
    times = np.arange(round(seconds * RATE)) / RATE
    tone = 0.4 * np.sin(2 * np.pi * pitch_hz * times) * np.exp(-3 * (times % 0.5))
    return Clip(name, "tones", Audio(tone.astype(np.float32)[None], RATE))


def loaded(kind: type[StyleTransferMethod]) -> StyleTransferMethod:
    method = kind()
    method.load("mini", "cpu")
    return method


def learnt(method: StyleTransferMethod, parameters: object, name: str = "bells") -> StyleState:
    style = Style(name, (clip("a", 5.0, 880), clip("b", 2.0, 990)), text=name)
    (state,) = method.fit([FitRequest(style, parameters, 1)], lambda _fraction, _text: None)
    return state


@pytest.mark.parametrize("kind", [Zeta, Stylus])
def test_a_piece_of_two_windows_keeps_its_length_and_company_changes_nothing(
    kind: type[StyleTransferMethod],
) -> None:
    method = loaded(kind)
    parameters = kind.Parameters(num_inference_steps=2, phase="content")
    state = learnt(method, parameters)
    contents = [clip("long", 5.5), clip("short", 1.0, 300)]
    both = method.transfer([TransferRequest(c, state, parameters, 1) for c in contents])
    (alone,) = loaded(kind).transfer([TransferRequest(contents[1], state, parameters, 1)])
    assert [audio.num_samples for audio in both] == [5.5 * RATE, RATE]
    assert all(0.5 < np.abs(audio.waveform).max() <= 1 for audio in both)
    assert both[1].digest == alone.digest  # on the CPU, where windows go one at a time


def test_a_style_may_be_all_of_its_clips() -> None:
    parameters = Stylus.Parameters(num_inference_steps=2, style_clips="join")
    method = loaded(Stylus)
    state = learnt(method, parameters)
    assert state.arrays["states"].shape == (2, 3, 8, 16, 32)
    assert state.arrays["weights"].sum(axis=1).tolist() == [32, 13]
    (made,) = method.transfer([TransferRequest(clip("c", 1.0), state, parameters, 1)])
    assert made.num_samples == RATE


def test_with_modes_and_phases_of_the_content_no_seed_has_a_say() -> None:
    parameters = Stylus.Parameters(num_inference_steps=2, phase="content")
    method = loaded(Stylus)
    state, content = learnt(method, parameters), clip("c", 1.0)
    requests = [TransferRequest(content, state, parameters, seed) for seed in (1, 2)]
    first, second = method.transfer(requests)
    assert first.digest == second.digest


@pytest.mark.parametrize("kind", [Zeta, Steer])
def test_a_content_is_inverted_once_for_all_styles_and_strengths(
    kind: type[StyleTransferMethod],
) -> None:
    """Passes are counted where they are made; 4 steps up are one pass, each down is one."""
    method, content = loaded(kind), clip("c", 1.0, 355)
    whole, half = (kind.Parameters(num_inference_steps=4, strength=s) for s in (1.0, 0.5))
    bells, organ = (learnt(method, whole, name) for name in ("bells", "organ"))
    passes = []
    for state, parameters, seed in ((bells, whole, 1), (organ, whole, 2), (organ, half, 2)):
        before = counts()["unet"]
        method.transfer([TransferRequest(content, state, parameters, seed, content_seed=7)])
        passes.append(counts()["unet"] - before)
    assert passes == [1 + 4, 4, 2]


def test_a_learnt_word_leads_every_sampler() -> None:
    method = loaded(RTI)
    digests: set[str] = set()
    state = learnt(method, RtiParameters(steps=1, batch_size=1))
    for sampler in ("stylise", "sdedit", "zeta", "ddim-inversion", "steer"):
        parameters = RtiParameters(num_inference_steps=2, strength=0.5, sampler=sampler)
        request = TransferRequest(clip("c", 1.0), state, parameters, 1)
        digests.add(method.transfer([request])[0].digest)
    assert len(digests) == 5


def test_what_a_word_knows_beyond_the_style_s_text_needs_a_text_that_the_model_knows() -> None:
    method, content = loaded(RTI), clip("c", 1.0)
    fast = RtiParameters(steps=1, batch_size=1, num_inference_steps=2, sampler="steer")
    state = learnt(method, fast)  # what is learnt does not depend on how it is sampled
    digests = []
    for terms in ({}, {"plain_weight": 0.5}, {"contrast_weight": 30.0}):
        parameters = replace(fast, strength=1.0, **terms)
        (made,) = method.transfer([TransferRequest(content, state, parameters, 1)])
        digests.append(made.digest)
    assert len(set(digests)) == 3
    plain = replace(fast, plain_weight=0.5)
    for name in ("zither", ""):
        named = replace(state, meta={**state.meta, "text": name})
        unknown = TransferRequest(content, named, plain, 1)
        with pytest.raises(UnsupportedError, match=f"the style's text is '{name}', with a word"):
            method.transfer([unknown])
    with pytest.raises(ConfigError, match=r"plain_weight is 0\.5, .* sampler zeta; only steer"):
        RtiParameters(sampler="zeta", plain_weight=0.5)


def test_what_lies_between_two_sounds_begins_with_one_and_ends_with_the_other() -> None:
    """Two windows: the first as in the first style alone, the last as in the second."""
    method, parameters = loaded(Stylus), Stylus.Parameters(num_inference_steps=2, phase="content")
    content = clip("c", 9.0)
    states = [
        method.fit(
            [FitRequest(Style(str(pitch), (clip("s", 5.0, pitch),)), parameters, 1)],
            lambda _fraction, _text: None,
        )[0]
        for pitch in (330, 990)
    ]
    way = Stylus.transition(*states)
    first, second, both = (
        method.transfer([TransferRequest(content, state, parameters, 1)])[0].mono
        for state in (*states, way)
    )
    head, tail = slice(0, 3 * RATE), slice(6 * RATE, None)
    for part, end, other in ((head, first, second), (tail, second, first)):
        likeness = [np.corrcoef(both[part], one[part])[0, 1] for one in (end, other)]
        assert likeness[0] > 0.999
        assert likeness[1] < likeness[0]
    unlike = learnt(method, Stylus.Parameters(num_inference_steps=3))
    with pytest.raises(UnsupportedError, match="differ in num_inference_steps of their inversion"):
        Stylus.transition(states[0], unlike)


def test_a_piece_may_go_from_one_style_to_another() -> None:
    method, parameters = loaded(Steer), Steer.Parameters(num_inference_steps=2)
    states = [learnt(method, parameters, name) for name in ("bells", "organ")]
    joined = join_states(*states)
    (made,) = method.transfer([TransferRequest(clip("c", 5.5), joined, parameters, 1)])
    assert made.num_samples == 5.5 * RATE


def test_words_for_the_content_must_be_known_to_the_model() -> None:
    method, parameters = loaded(Zeta), Zeta.Parameters(source_prompt="zither")
    state = learnt(method, parameters)
    with pytest.raises(UnsupportedError, match=r"zither of 'zither' \(source_prompt\)"):
        method.transfer([TransferRequest(clip("c", 1.0), state, parameters, 1)])


def test_phases_of_the_content_on_its_own_magnitudes_give_the_content() -> None:
    sound = torch.from_numpy(clip("c", 2.0).audio.waveform.copy())
    image = encode(sound, MINI_PARAMETERS, RATE)
    made = decode_with_phases(image, MINI_PARAMETERS, RATE, sound)[0]
    kept = sound[0, : len(made)]
    likeness = torch.nn.functional.cosine_similarity(made, kept, dim=0)
    assert float(likeness) > 0.95
    with pytest.raises(ValueError, match="columns and the waveforms"):
        decode_with_phases(image[..., 1:], MINI_PARAMETERS, RATE, sound)


def test_the_vocoder_is_a_control_at_either_phase() -> None:
    content, method = clip("c", 2.0), loaded(Vocoder)
    sought, given = (
        method.transfer([TransferRequest(content, StyleState(), VocoderParameters(phase=p), 1)])[0]
        for p in ("griffin-lim", "content")
    )
    likeness = [
        np.corrcoef(audio.waveform[0], content.audio.waveform[0])[0, 1] for audio in (sought, given)
    ]
    assert likeness[1] > 0.9
    assert likeness[1] > likeness[0]
