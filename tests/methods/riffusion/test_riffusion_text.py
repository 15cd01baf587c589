"""Text-prompted Riffusion: what it takes as a prompt, and that the prompt is heard."""

from __future__ import annotations

import numpy as np
import pytest

from bench.api import Audio, Clip, FitRequest, Style, StyleState, TransferRequest, UnsupportedError
from bench.failure import failure_of
from bench.fetching.order import make_order
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.controls import VaeRoundTrip
from methods.riffusion.parameters.guided import TextParameters
from methods.riffusion.text import RiffusionText, read_vocabulary, words_of

pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(
        not (MINI_FOLDER / "unet" / "config.json").is_file(), reason="no mini weights here"
    ),
]
RATE = 22_050
FAST = TextParameters(num_inference_steps=4)


@pytest.fixture(scope="module")
def method() -> RiffusionText:
    loaded = RiffusionText()
    loaded.load("mini", "cpu")
    return loaded


def _fit(method: RiffusionText, text: str | None) -> StyleState:
    style = Style("some style", (), text=text)
    return method.fit([FitRequest(style, FAST, 1)], lambda _f, _t: None)[0]


def _content() -> Clip:
    tone = 0.4 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    return Clip("tone", "tests", Audio(tone.astype(np.float32)[None], RATE))


def test_the_prompt_decides_the_output(method: RiffusionText) -> None:
    requests = [
        TransferRequest(_content(), _fit(method, text), FAST, 3)
        for text in ("accordion", "Accordion!", "bells")
    ]
    first, same, other = method.transfer(requests)
    assert first.digest == same.digest
    assert first.digest != other.digest


@pytest.mark.parametrize("text", ["kalimba", "accordion and kalimba"])
def test_words_outside_the_vocabulary_are_declined(method: RiffusionText, text: str) -> None:
    with pytest.raises(UnsupportedError, match=r"text unknown to this model: .*kalimba"):
        _fit(method, text)


def test_what_is_declined_comes_with_the_words_that_are_known_and_the_way_out(
    method: RiffusionText,
) -> None:
    """The reason of a cell begins with the way out; all words stand in the message and the log."""
    with pytest.raises(UnsupportedError, match="text unknown to this model") as caught:
        _fit(method, "kalimba")
    listed = str(caught.value).partition("it knows: ")[2].rstrip(".")
    assert set(listed.split(", ")) == read_vocabulary(MINI_FOLDER)
    way_out = (
        "Run riffusion with --profile full, on a machine with CUDA, after "
        f"`{make_order(['riffusion']).line}`. Or choose among the words that it knows: "
    )
    assert way_out in failure_of(caught.value).reason


@pytest.mark.parametrize("text", [None, "", " - "])
def test_a_style_without_text_is_declined(method: RiffusionText, text: str | None) -> None:
    with pytest.raises(UnsupportedError, match="has no text"):
        _fit(method, text)


def test_every_word_of_the_vocabulary_is_one_token(method: RiffusionText) -> None:
    vocabulary = read_vocabulary(MINI_FOLDER)
    assert vocabulary
    assert [words_of(word) for word in vocabulary] == [[word] for word in vocabulary]
    assert len({method._model.backbone.find_token(word) for word in vocabulary}) == len(vocabulary)


def test_hardly_any_strength_leaves_the_round_trip(method: RiffusionText) -> None:
    settings = [
        TextParameters(strength=s, guidance_scale=1.0, vae_sample="mode") for s in (0.02, 0.9)
    ]
    state = _fit(method, "bells")
    weak, strong = method.transfer([TransferRequest(_content(), state, p, 3) for p in settings])
    trip = VaeRoundTrip()
    trip.load("mini", "cpu")
    (plain,) = trip.transfer([TransferRequest(_content(), StyleState(), trip.Parameters(), 3)])
    near, far = (_likeness(audio, plain) for audio in (weak, strong))
    assert near > 0.9  # one step of the 50, and phases drawn anew
    assert far < 0.8


def _likeness(one: Audio, other: Audio) -> float:
    """Cosine of the magnitude spectra."""
    spectra = [np.abs(np.fft.rfft(audio.mono)) for audio in (one, other)]
    return float(spectra[0] @ spectra[1] / np.prod([np.linalg.norm(s) for s in spectra]))
