"""SS VQ-VAE: the published sizes and names, the code book, the contract."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    ConfigError,
    ContentError,
    FitRequest,
    Style,
    StyleState,
    TransferRequest,
    UnsupportedError,
)
from methods.phase import Geometry
from methods.ssvqvae.method import (
    RELEASED,
    Model,
    SelfSupervisedVqVae,
    load_released,
    log_spectra,
    waveforms_of,
)
from methods.ssvqvae.network import NetworkSettings, StyleVQVAE, VectorQuantiser
from methods.ssvqvae.parameters import Parameters
from tests import rounding
from tests.methods.tiny_subject import TinySubject

SMALL = NetworkSettings(bins=65, width=16, codes=8)
GEOMETRY = Geometry(16_000, 128, 128, 64)
BINS, WIDTH, CODES = 1025, 1024, 2048


def _norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": (channels,) for kind in kinds} | {f"{name}.num_batches_tracked": ()}


def _layer(name: str, *shape: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": shape, f"{name}.bias": (outputs,)}


def _gru(name: str, width: int) -> dict[str, tuple[int, ...]]:
    weights = {f"{name}.weight_{kind}_l0": (3 * width, width) for kind in ("ih", "hh")}
    return weights | {f"{name}.bias_{kind}_l0": (3 * width,) for kind in ("ih", "hh")}


def _stage(name: str) -> dict[str, tuple[int, ...]]:
    return {
        **_norm(f"{name}.0", 2 * WIDTH),
        **_layer(f"{name}.2", 2 * WIDTH, WIDTH, 1, outputs=WIDTH),
        **_norm(f"{name}.3.module.0", WIDTH),
        **_gru(f"{name}.3.module.2.rnn", WIDTH),
        **_norm(f"{name}.4", WIDTH),
        **_layer(f"{name}.6", WIDTH, WIDTH, 4, outputs=WIDTH),
    }


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the released checkpoint, written out by hand."""
    last = "decoder_modules.1"
    return {
        **_layer("content_encoder.0", WIDTH, BINS, 4, outputs=WIDTH),
        **_norm("content_encoder.1", WIDTH),
        **_layer("content_encoder.3", WIDTH, WIDTH, 4, outputs=WIDTH),
        **_norm("content_encoder.4.module.0", WIDTH),
        **_layer("content_encoder.4.module.2", WIDTH, WIDTH, 1, outputs=WIDTH),
        **_norm("content_encoder.5", WIDTH),
        "vq.embedding.weight": (CODES, WIDTH),
        **_layer("style_encoder_1d.0", WIDTH, BINS, 4, outputs=WIDTH),
        **_norm("style_encoder_1d.1.module.0", WIDTH),
        **_layer("style_encoder_1d.1.module.2", WIDTH, WIDTH, 1, outputs=WIDTH),
        **_norm("style_encoder_1d.2", WIDTH),
        **_gru("style_encoder_rnn", WIDTH),
        **_stage("decoder_modules.0"),
        **_stage(last),
        **_norm(f"{last}.7", WIDTH),
        **_layer(f"{last}.9", WIDTH, BINS, 1, outputs=BINS),
        **_norm(f"{last}.10.module.0", BINS),
        **_gru(f"{last}.10.module.2.rnn", BINS),
    }


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        network = StyleVQVAE()
    assert len(network.state_dict()) == 102
    assert sum(parameter.numel() for parameter in network.parameters()) == 55_661_583


def test_a_checkpoint_with_the_released_names_loads_strictly(tmp_path: Path) -> None:
    shapes = released_shapes()
    assert len(shapes) == 102
    # A tensor that repeats one number is one number on disk.
    state = {
        name: torch.full((1,), 0.25).expand(shape) if shape else torch.tensor(3)
        for name, shape in shapes.items()
    }
    torch.save(state, tmp_path / "state.pt")
    model = load_released(tmp_path / "state.pt")
    assert float(model.network.style_encoder_rnn.bias_hh_l0[5].detach()) == 0.25
    assert model.geometry == RELEASED
    del state["vq.embedding.weight"]
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=r"a state dict that fits the published network"):
        load_released(tmp_path / "state.pt")


def test_a_missing_checkpoint_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CHECKPOINTS", str(tmp_path))
    with pytest.raises(
        CheckpointError, match=r"fetch ssvqvae_model_state .*curl .* 'https://adasp"
    ):
        SelfSupervisedVqVae().load("full", "cpu")


@pytest.mark.parametrize("num_frames", [4, 17, 157, 158, 159, 160, 161, 300])
def test_an_output_has_the_frames_of_its_content(num_frames: int) -> None:
    network = StyleVQVAE(SMALL).eval()
    content = torch.rand(2, SMALL.bins, num_frames)
    with torch.no_grad():
        made, quantised = network(content, torch.rand(2, SMALL.bins, 9))
    assert made.shape == content.shape
    assert quantised.codes.shape[-1] == (num_frames // 2 + 1) // 2 + 1


def test_the_nearest_code_is_nearest() -> None:
    quantiser = VectorQuantiser(SMALL)
    latents = torch.randn(3, SMALL.width, 7)
    distance = torch.cdist(latents.transpose(1, 2), quantiser.embedding.weight[None])
    assert torch.equal(quantiser.nearest(latents), distance.argmin(-1))


def test_gradients_pass_straight_through_the_code_book() -> None:
    quantiser = VectorQuantiser(SMALL)
    latents = torch.randn(1, SMALL.width, 5, requires_grad=True)
    weights = torch.randn(1, SMALL.width, 5)
    torch.autograd.backward((quantiser(latents).values * weights).sum())
    assert latents.grad is not None
    assert torch.equal(latents.grad, weights)
    assert quantiser.embedding.weight.grad is None


def test_a_code_on_every_latent_costs_nothing() -> None:
    quantiser = VectorQuantiser(SMALL)
    latents = quantiser.embedding.weight.detach().T[None]
    with torch.no_grad():
        quantised = quantiser(latents)
    assert float(quantised.codebook_loss) == 0.0
    assert torch.equal(quantised.codes[0], torch.arange(SMALL.codes))


def test_a_waveform_survives_its_spectra() -> None:
    time = torch.arange(8192) / 16_000
    waveform = torch.sin(2 * math.pi * 440 * time)[None] * 0.3
    spectra = log_spectra(waveform, RELEASED)
    assert spectra.shape == (1, 1025, 17)
    again = waveforms_of(spectra, RELEASED, torch.Generator().manual_seed(0), 60)
    assert again.shape == (1, 8000)
    remade = log_spectra(again, RELEASED)
    assert float((remade - spectra[..., :17]).abs().mean()) < 0.05


@pytest.fixture
def method() -> SelfSupervisedVqVae:
    torch.manual_seed(0)
    made = SelfSupervisedVqVae()
    made.use(Model(StyleVQVAE(SMALL), GEOMETRY), "cpu")
    return made


def _clip(frequency: float, num_samples: int = 8000, rate: int = 16_000) -> Clip:
    time = np.arange(num_samples) / rate
    waveform = (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
    return Clip(f"{frequency:.0f} Hz", "tone", Audio(waveform[None], rate))


def _fit(method: SelfSupervisedVqVae, how: str, *clips: Clip) -> StyleState:
    parameters = Parameters(how)  # type: ignore[arg-type]  # a literal that a parametrised test names
    return method.fit([FitRequest(Style("s", clips), parameters, 0)], lambda *_: None)[0]


def test_one_clip_is_one_clip_however_it_is_joined(method: SelfSupervisedVqVae) -> None:
    one, other = _clip(300), _clip(500)
    vectors = {how: _fit(method, how, one).arrays["style"] for how in ("average", "concatenate")}
    assert np.array_equal(vectors["average"], vectors["concatenate"])
    assert np.array_equal(_fit(method, "first", one, other).arrays["style"], vectors["average"])
    both = _fit(method, "average", one, other).arrays["style"]
    mean = (vectors["average"] + _fit(method, "first", other).arrays["style"]) / 2
    atol = rounding.worst(3, scale=float(np.abs(mean).max()))
    np.testing.assert_allclose(both, mean, rtol=0, atol=atol)


def test_an_output_has_the_samples_of_its_content(method: SelfSupervisedVqVae) -> None:
    state = _fit(method, "average", _clip(300))
    for num_samples in (8000, 8001, 12_345):
        request = TransferRequest(_clip(200, num_samples), state, Parameters(), 1)
        assert method.transfer([request])[0].waveform.shape == (1, num_samples)


def test_refusals(method: SelfSupervisedVqVae) -> None:
    with pytest.raises(UnsupportedError, match=r"0 clips; SS VQ-VAE hears"):
        _fit(method, "average")
    with pytest.raises(ContentError, match=r"has 8000 Hz; SS VQ-VAE takes 16000 Hz"):
        _fit(method, "average", _clip(300, 8000, 8000))
    with pytest.raises(ContentError, match=r"100 samples; SS VQ-VAE takes at least 256"):
        _fit(method, "average", _clip(300, 100))
    with pytest.raises(ConfigError, match=r"iterations is 0"):
        Parameters(iterations=0)


def test_the_contract_on_random_weights() -> None:
    def use(made: SelfSupervisedVqVae) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made.use(Model(StyleVQVAE(SMALL), GEOMETRY), "cpu")

    assert TinySubject("ssvqvae", use, GEOMETRY.sample_rate).broken() == []
