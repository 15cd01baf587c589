"""VGGish and CNN14: the published names and shapes, front ends, and the way through the method."""

from __future__ import annotations

import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    ConfigError,
    FitRequest,
    NoParameters,
    Style,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.weights import hub_folder
from methods.gatys.checkpoints import PUBLISHED, RATES, Trunk
from methods.gatys.controls import Cnn14Mel, VggishMel, mel_and_back
from methods.gatys.matching import Target, mean_grams, style_loss
from methods.gatys.parameters import PretrainedParameters
from methods.gatys.pretrained import Cnn14, Vggish, read_trunk
from methods.gatys.trunks import (
    CNN14_MEL,
    VGGISH_MEL,
    Cnn14Trunk,
    MelNetwork,
    MelScale,
    VggishTrunk,
    load_cnn14,
    load_vggish,
)
from tests import rounding

METHODS: dict[Trunk, type[StyleTransferMethod]] = {"vggish": Vggish, "cnn14": Cnn14}
THIN = PretrainedParameters("random", 16, steps=2, griffin_lim_iterations=3)
# Written down from the published files: (inputs, outputs) of each convolution of 3 x 3.
VGGISH = {0: (1, 64), 3: (64, 128), 6: (128, 256), 8: (256, 256), 11: (256, 512), 13: (512, 512)}
CNN14 = {1: (1, 64), 2: (64, 128), 3: (128, 256), 4: (256, 512), 5: (512, 1024), 6: (1024, 2048)}


def _tensor(*shape: int) -> torch.Tensor:
    return torch.zeros(shape) if shape else torch.tensor(0)


def _published_vggish() -> dict[str, torch.Tensor]:
    state = {}
    for number, (inputs, outputs) in VGGISH.items():
        state[f"features.{number}.weight"] = _tensor(outputs, inputs, 3, 3)
        state[f"features.{number}.bias"] = _tensor(outputs)
    for number, (inputs, outputs) in {0: (64, 8), 2: (8, 8), 4: (8, 128)}.items():
        state[f"embeddings.{number}.weight"] = _tensor(outputs, inputs)
        state[f"embeddings.{number}.bias"] = _tensor(outputs)
    return state


def _norm(name: str, width: int) -> dict[str, torch.Tensor]:
    parts = ("weight", "bias", "running_mean", "running_var")
    state = {f"{name}.{part}": _tensor(width) for part in parts}
    return {**state, f"{name}.num_batches_tracked": _tensor()}


def _published_cnn14() -> dict[str, torch.Tensor]:
    state = {
        "spectrogram_extractor.stft.conv_real.weight": _tensor(513, 1, 1024),
        "spectrogram_extractor.stft.conv_imag.weight": _tensor(513, 1, 1024),
        "logmel_extractor.melW": _tensor(513, 64),
        "fc1.weight": _tensor(4, 4),
        "fc1.bias": _tensor(4),
        "fc_audioset.weight": _tensor(4, 4),
        "fc_audioset.bias": _tensor(4),
        **_norm("bn0", 64),
    }
    for number, (inputs, published) in CNN14.items():
        outputs = 8 if number == 6 else published  # the sixth is left out; small, to spare memory
        block = f"conv_block{number}"
        state[f"{block}.conv1.weight"] = _tensor(outputs, inputs, 3, 3)
        state[f"{block}.conv2.weight"] = _tensor(outputs, outputs, 3, 3)
        state |= {**_norm(f"{block}.bn1", outputs), **_norm(f"{block}.bn2", outputs)}
    return state


def _clip(seconds: float, rate: int, pitch_hz: float = 440.0) -> Clip:
    times = np.arange(round(seconds * rate)) / rate
    tone = 0.2 * np.sin(2 * np.pi * pitch_hz * times) * np.exp(-3 * (times % 0.5))
    return Clip("tone", "tests", Audio(tone.astype(np.float32)[None], rate))


def test_the_published_vggish_loads_strictly() -> None:
    state = _published_vggish()
    trunk = VggishTrunk()
    load_vggish(trunk, state)
    assert set(trunk.state_dict()) == {name for name in state if name.startswith("features.")}
    assert sum(p.numel() for p in trunk.parameters()) == 4_499_712


def test_the_published_cnn14_loads_strictly_in_either_wrapping() -> None:
    state = _published_cnn14()
    trunk = Cnn14Trunk()
    load_cnn14(trunk, state)
    load_cnn14(trunk, {"model": state})  # type: ignore[dict-item]  # as the file has it
    used = {n for n in state if n.startswith(("bn0", "conv_block")) and "block6" not in n}
    assert set(trunk.state_dict()) == used


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
def test_another_state_dict_is_refused(fault: str) -> None:
    state = _published_vggish()
    if fault == "missing":
        del state["features.8.bias"]
    elif fault == "unknown":
        state["features.99.weight"] = _tensor(1)
    else:
        state["features.0.weight"] = _tensor(64, 3, 3, 3)
    with pytest.raises(CheckpointError, match="VGGish: the state dict is not the published one"):
        load_vggish(VggishTrunk(), state)


def test_a_file_is_read_and_weights_take_effect(tmp_path: Path) -> None:
    state = _published_vggish()
    state["features.0.bias"] += 7
    torch.save(state, tmp_path / "vggish.pth")
    trunk = read_trunk("vggish", tmp_path / "vggish.pth")
    assert torch.equal(trunk.state_dict()["features.0.bias"], torch.full((64,), 7.0))


def test_a_missing_file_names_the_way_to_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCH_CHECKPOINTS", str(tmp_path))
    words = r"not in the local cache \(0\.3 GB, CC-BY-4\.0\).*fetch Cnn14_mAP=0\.431.*curl -L"
    with pytest.raises(CheckpointError, match=words):
        hub_folder(PUBLISHED["cnn14"])


def test_a_file_that_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"<html>404</html>")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_trunk("vggish", tmp_path / "x.pth")


def _mel_of_the_released_code() -> np.ndarray:
    """(mel, bin), by the edges of each triangle; unlike librosa's they are straight in mel."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    edges = np.linspace(mel(125), mel(7500), 66)
    bank = np.zeros((64, 257))
    for band in range(64):
        low, top, high = edges[band : band + 3]
        for number in range(257):
            place = mel(number * 16_000 / 512)
            rising, falling = (place - low) / (top - low), (high - place) / (high - top)
            bank[band, number] = max(0.0, min(rising, falling))
    return bank


def test_images_are_those_of_the_sources() -> None:
    magnitude = torch.rand(257, 20)
    bank = _mel_of_the_released_code()
    wanted = np.log(bank @ magnitude.numpy() + 0.01).T
    image = MelNetwork(VggishTrunk(16)).image(magnitude)
    assert image.shape == (1, 1, 20, 64)
    # A sum of positive terms is off by as large a share as its roundings, its logarithm by that.
    atol = rounding.worst(257 + 4) + rounding.worst(4, scale=float(np.abs(wanted).max()))
    assert image[0, 0].numpy() == pytest.approx(wanted, rel=0, abs=atol)
    assert VGGISH_MEL.geometry.hop_length == 160

    magnitude = torch.rand(513, 20)
    bank = librosa.filters.mel(sr=32_000, n_fft=1024, n_mels=64, fmin=50, fmax=14_000)
    decibels = 10 * np.log10(np.maximum(bank @ magnitude.numpy() ** 2, 1e-10)).T
    image = MelNetwork(Cnn14Trunk(16)).image(magnitude)
    per_share = 10 / np.log(10)  # decibels of a small share
    atol = per_share * rounding.worst(513 + 8)
    atol += rounding.worst(4, scale=float(np.abs(decibels).max()))
    assert image[0, 0].numpy() == pytest.approx(decibels, rel=0, abs=atol)
    assert CNN14_MEL.geometry.hop_length == 320


def test_a_clip_of_five_seconds_shrinks_as_published() -> None:
    features = MelNetwork(Cnn14Trunk(16))(torch.rand(513, 501), 1.0)
    positions = [layer.shape[1] for layer in features.style]
    assert positions == [501 * 64, 250 * 32, 125 * 16, 62 * 8, 31 * 4]
    assert [layer.shape[0] for layer in features.style] == [4, 8, 16, 32, 64]


@pytest.mark.parametrize(("trunk", "bins"), [(VggishTrunk(16), 257), (Cnn14Trunk(16), 513)])
def test_a_style_has_no_loss_to_itself_and_gradients_flow(
    trunk: VggishTrunk | Cnn14Trunk, bins: int
) -> None:
    network = MelNetwork(trunk)
    spectrum = torch.rand(bins, 40)
    features = network(spectrum, 1.0)
    target = Target(features.content, mean_grams([features]))
    assert float(style_loss(features, target)) == 0
    other = torch.rand(bins, 40).requires_grad_()
    style_loss(network(other, 1.0), target).backward()
    assert other.grad is not None
    assert other.grad.abs().sum() > 0


@pytest.mark.parametrize("trunk", ["vggish", "cnn14"])
def test_the_ablation_renders(trunk: Trunk) -> None:
    rate = RATES[trunk]
    method = METHODS[trunk]()
    method.load("mini", "cpu")
    style = Style("s", (_clip(0.6, rate, 700),))
    (state,) = method.fit([FitRequest(style, THIN, 1)], lambda _f, _t: None)
    content = _clip(0.7, rate)
    (made,) = method.transfer([TransferRequest(content, state, THIN, 1)])
    assert made.num_samples == content.audio.num_samples
    assert made.mono.std() == pytest.approx(content.audio.mono.std(), rel=0.01)


@pytest.mark.parametrize(
    ("kind", "trunk", "mel"), [(VggishMel, "vggish", VGGISH_MEL), (Cnn14Mel, "cnn14", CNN14_MEL)]
)
def test_the_mel_round_trip_keeps_the_bands_and_the_length(
    kind: type[StyleTransferMethod], trunk: Trunk, mel: MelScale
) -> None:
    magnitude = torch.rand(
        mel.geometry.n_fft // 2 + 1, 5, generator=torch.Generator().manual_seed(0)
    )
    restored = mel_and_back(magnitude, mel)
    # Least squares would be exact; negative values set to 0 leave a few per cent.
    lost = torch.linalg.norm(mel.bank() @ (restored - magnitude))
    assert float(lost / torch.linalg.norm(mel.bank() @ magnitude)) < 0.1
    assert float((restored[0] - magnitude[0]).abs().max()) > 0.01
    method = kind()
    method.load("mini", "cpu")
    content = _clip(0.7, RATES[trunk])
    (made,) = method.transfer([TransferRequest(content, StyleState(), NoParameters(), 1)])
    assert made.num_samples == content.audio.num_samples


@pytest.mark.parametrize("trunk", ["vggish", "cnn14"])
def test_there_is_no_mini_model(trunk: Trunk) -> None:
    method = METHODS[trunk]()
    method.load("mini", "cpu")
    style = Style("s", (_clip(1, RATES[trunk]),))
    with pytest.raises(UnsupportedError, match=f"{trunk} has no mini model"):
        method.fit([FitRequest(style, PretrainedParameters(), 1)], lambda _f, _t: None)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"weights": "mine"}, "weights is 'mine'"),
        ({"thinning": 2}, "thinning is 2 with weights=published"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PretrainedParameters(**parameters)  # type: ignore[arg-type]  # wrong on purpose
