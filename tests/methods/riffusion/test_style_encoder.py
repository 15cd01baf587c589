"""The style encoder: what it hears, and that what it says is read as learnt embeddings are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    ConfigError,
    FitRequest,
    Style,
    StyleState,
    TransferRequest,
    UnsupportedError,
)
from bench.corpus.procedural import as_array, render_parts
from bench.corpus.stream import take_of
from methods.riffusion.parameters.rti import RtiParameters
from methods.riffusion.parameters.style_encoder import StyleEncoderParameters
from methods.riffusion.rti import RTI
from methods.riffusion.soft_tokens import SoftTokens, soft_from
from methods.riffusion.training_free.style_encoder import StyleEncoder, read_soft_tokens

pytestmark = pytest.mark.weights
RATE, SEED = 22_050, 7_000_002
FAST = {"num_inference_steps": 4}


def _clip(number: int, take: int, duration_s: float = 5.12) -> Clip:
    """A clip of a timbre that no training has heard."""
    made = as_array(render_parts([take_of(SEED, number, take)], round(duration_s * RATE), RATE))
    return Clip(f"{number}_{take}", "timbres", Audio(made[0][None].astype(np.float32), RATE))


@pytest.fixture(scope="module")
def method() -> StyleEncoder:
    loaded = StyleEncoder()
    loaded.load("mini", "cpu")
    return loaded


def _hear(method: StyleEncoder, *styles: Style) -> list[StyleState]:
    parameters = StyleEncoderParameters(**FAST)
    requests = [FitRequest(style, parameters, 0) for style in styles]
    return method.fit(requests, lambda _fraction, _text: None)


def _request(
    state: StyleState, parameters: StyleEncoderParameters
) -> TransferRequest[StyleEncoderParameters]:
    return TransferRequest(_clip(9, 0, 2.0), state, parameters, 5)


def test_two_clips_of_an_unheard_timbre_sound_more_alike_than_two_timbres(
    method: StyleEncoder,
) -> None:
    count = 8
    styles = [
        Style(f"{number}_{take}", (_clip(number, take),))
        for number in range(count)
        for take in (0, 1)
    ]
    states = _hear(method, *styles)
    said = np.stack([state.arrays["tokens"].ravel() for state in states])
    said = said - said.mean(0)
    first, second = said[::2], said[1::2]
    apart = np.linalg.norm(first[:, None] - second[None], axis=-1)
    own, others = np.diag(apart), apart[~np.eye(count, dtype=bool)]
    assert np.median(own) < np.median(others)


def test_clips_are_heard_together_and_their_order_does_not_matter(method: StyleEncoder) -> None:
    one, two = _clip(0, 0), _clip(1, 0)
    forth, back, first = _hear(
        method, Style("forth", (one, two)), Style("back", (two, one)), Style("one", (one,))
    )
    for name in ("vector", "tokens"):
        assert forth.arrays[name] == pytest.approx(back.arrays[name], abs=1e-4)
        assert (forth.arrays[name] != first.arrays[name]).any()


def test_a_row_alone_is_what_textual_inversion_makes_of_it(method: StyleEncoder) -> None:
    (state,) = _hear(method, Style("timbre", (_clip(0, 0),)))
    row = StyleEncoderParameters(**FAST, told="row")
    (heard,) = method.transfer([_request(state, row)])
    inversion = RTI()
    inversion.load("mini", "cpu")
    learnt = StyleState({"vector": state.arrays["vector"]}, dict(state.meta))
    parameters = RtiParameters(**FAST)
    (expected,) = inversion.transfer([TransferRequest(_clip(9, 0, 2.0), learnt, parameters, 5)])
    assert heard.digest == expected.digest
    both, again = method.transfer([_request(state, StyleEncoderParameters(**FAST))] * 2)
    assert both.digest == again.digest != heard.digest


def test_two_styles_in_one_call_make_two_sounds_of_a_content(method: StyleEncoder) -> None:
    states = _hear(method, *(Style(str(number), (_clip(number, 0),)) for number in (0, 1)))
    parameters = StyleEncoderParameters(**FAST)
    together = method.transfer([_request(state, parameters) for state in states])
    assert together[0].digest != together[1].digest


def test_what_is_stored_is_read_as_it_was() -> None:
    torch.manual_seed(0)
    network = SoftTokens(32, torch.randn(6), torch.randn(4, 6))
    with torch.no_grad():
        network.second.weight.normal_()
    again = soft_from(network.state_dict())
    latents = torch.randn(2, 4, 8, 8)
    assert torch.equal(again(latents).tokens, network(latents).tokens)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="soft tokens of mini Riffusion"):
        read_soft_tokens(tmp_path)


def test_there_is_none_for_the_full_profile() -> None:
    with pytest.raises(UnsupportedError, match="nobody has trained soft tokens for Riffusion v1"):
        StyleEncoder().load("full", "cpu")


def test_something_else_is_told_of_no_style() -> None:
    with pytest.raises(ConfigError, match=r"told is 'tokens'; it must be both or row\. Try both\."):
        replace(StyleEncoderParameters(), told="tokens")  # type: ignore[arg-type]
