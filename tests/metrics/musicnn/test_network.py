"""The network: golden values of the published graph, and a second implementation in numpy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from bench.api import CheckpointError
from metrics.musicnn import convert
from metrics.musicnn.checkpoints import FILE, FOLDER
from metrics.musicnn.front_end import WINDOW_FRAMES, log_mel
from metrics.musicnn.network import Musicnn, read_network
from tests import rounding

Arrays = dict[str, NDArray[np.float64]]
GOLDEN = 1e-3  # the file's float16 beside the float32 of the graph, on any processor
# The deepest way: five products after each other, none with more terms than the first of the back
# end (7 frames of 561 features).
WIDEST = 7 * 561


def tone() -> NDArray[np.float32]:
    """Three seconds of 440 Hz."""
    return (0.1 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 16_000)).astype(np.float32)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    former = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(former)


def heard(network: Musicnn, spectra: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    with torch.inference_mode():
        found = network(torch.from_numpy(spectra))
    return tuple(part.numpy() for part in found)


@pytest.mark.usefixtures("threads")
def test_a_tone_has_the_golden_embedding() -> None:
    """Of the file's float16 weights, by the graph's own arithmetic."""
    window = log_mel(tone())[None, :WINDOW_FRAMES]
    _, penultimate, _ = heard(read_network(FOLDER, "cpu"), window)
    expected = [-0.080200, -0.032588, -0.092454, -0.185938, -0.078700]
    assert penultimate[0, :5] == pytest.approx(expected, abs=GOLDEN)
    assert np.linalg.norm(penultimate[0]) == pytest.approx(15.95157, abs=GOLDEN)


def test_a_tone_is_heard_as_by_the_published_graph() -> None:
    """Whose weights are float32; float16 ones are off by 2^-11, and so is each product of a sum."""
    require_published(read_network(FOLDER, "cpu"), 4 * 2.0**-11)


@pytest.mark.network
def test_published_float32_weights_give_the_published_numbers(tmp_path: Path) -> None:
    arrays = convert.read_wheel(convert.download(tmp_path))
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    require_published(Musicnn(tensors, "cpu"), 2e-5)


def require_published(network: Musicnn, relative: float) -> None:
    """Compare some values of each layer for a tone with those that TensorFlow gave.

    Args:
        network: With some weights.
        relative: Largest difference, in units of the largest value of a layer.
    """
    features, penultimate, logits = heard(network, log_mel(tone())[None, :WINDOW_FRAMES])
    largest = [-0.00019, 0.13665, 4.89544, 0.00001, -0.00001]
    assert features.max(2)[0, :5] == pytest.approx(largest, abs=5 * relative)
    means = [0.00142, 0.00022, -0.49511, 0.66306, -1.02022]
    places = [561, 562, 563, 700, 752]
    assert features.mean(2)[0, places] == pytest.approx(means, abs=5 * relative)
    dense = [-0.079952, -0.032879, -0.092263, -0.186058, -0.078703]
    assert penultimate[0, :5] == pytest.approx(dense, abs=5 * relative)
    tags = [-6.78360, -8.25273, -2.05684, -9.95169, -9.21541]
    assert logits[0, :5] == pytest.approx(tags, abs=15 * relative)


def norm(arrays: Arrays, number: int, given: NDArray[np.float64]) -> NDArray[np.float64]:
    """A batch-norm over the last axis."""
    name = "batch_normalization" + (f"_{number}" if number else "")
    away = given - arrays[f"{name}/moving_mean"]
    spread = np.sqrt(arrays[f"{name}/moving_variance"] + 0.001)
    return np.asarray(away / spread * arrays[f"{name}/gamma"] + arrays[f"{name}/beta"])


def convolved(
    arrays: Arrays, number: int, given: NDArray[np.float64], before: int, after: int
) -> NDArray[np.float64]:
    """Padded in time, convolved, ReLU, normed: (frame, band) to (frame, position, filter)."""
    name = "conv2d" + (f"_{number}" if number else "")
    kernel = arrays[f"{name}/kernel"][:, :, 0]
    padded = np.pad(given, ((before, after), (0, 0)))
    patches = sliding_window_view(padded, kernel.shape[:2])
    found = np.tensordot(patches, kernel, ((2, 3), (0, 1))) + arrays[f"{name}/bias"]
    return norm(arrays, number + 1, np.maximum(found, 0))


def by_hand(arrays: Arrays, spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """The penultimate layer of one window (frame, band), step by step."""
    entry = norm(arrays, 0, spectrum[..., None])[..., 0]
    pads = [(3, 3), (3, 3), (63, 64), (31, 32), (15, 16)]
    front = [convolved(arrays, n, entry, *pad).max(1) for n, pad in enumerate(pads)]
    h = np.concatenate(front, axis=1)
    c1 = convolved(arrays, 5, h, 3, 3)[:, 0]
    c2 = convolved(arrays, 6, c1, 3, 3)[:, 0] + c1
    c3 = convolved(arrays, 7, c2, 3, 3)[:, 0] + c2
    features = np.concatenate([h, c1, c2, c3], axis=1)
    pooled = np.stack([features.max(0), features.mean(0)], axis=1).ravel()
    dense = norm(arrays, 9, pooled) @ arrays["dense/kernel"] + arrays["dense/bias"]
    return norm(arrays, 10, np.maximum(dense, 0))


def published() -> Arrays:
    return {name: a.astype(np.float64) for name, a in load_file(FOLDER / FILE).items()}


def drawn() -> Arrays:
    """Arrays of these shapes: signs of all kinds, a third of the filters dead."""
    generator, arrays = np.random.default_rng(3), {}
    for name, array in published().items():
        value = generator.standard_normal(array.shape)
        if name.endswith("kernel"):
            value /= np.sqrt(array[..., 0].size)
            if name.startswith("conv2d"):
                value[..., ::3] = 0
        if name.endswith("variance"):
            value = 0.5 + value**2
        arrays[name] = value
    return arrays


@pytest.mark.parametrize("make", [published, drawn])
def test_another_implementation_gives_the_same_embedding(make: object) -> None:
    assert callable(make)
    arrays: Arrays = make()
    spectrum = 4 * np.random.default_rng(0).random((WINDOW_FRAMES, 96))
    expected = by_hand(arrays, spectrum)
    network = Musicnn({name: torch.from_numpy(array) for name, array in arrays.items()}, "cpu")
    _, found, _ = heard(network, spectrum[None].astype(np.float32))
    scale = float(np.abs(expected).max())
    bound = 5 * rounding.likely(WIDEST, scale=scale)
    assert bound < 0.01 * scale
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=bound)


@pytest.mark.usefixtures("threads")
def test_windows_together_are_heard_as_each_alone() -> None:
    spectra = (3 * np.random.default_rng(1).random((3, WINDOW_FRAMES, 96))).astype(np.float32)
    network = read_network(FOLDER, "cpu")
    together = heard(network, spectra)[1]
    alone = np.concatenate([heard(network, one[None])[1] for one in spectra])
    bound = 5 * rounding.likely(WIDEST, scale=float(np.abs(alone).max()))
    np.testing.assert_allclose(together, alone, rtol=0, atol=bound)


def test_weights_that_are_not_these_are_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"does not hold the arrays .* \(SafetensorError"):
        read_network(tmp_path, "cpu")
    save_file({"dense/kernel": np.zeros((2, 2), np.float16)}, tmp_path / FILE)
    with pytest.raises(CheckpointError, match="KeyError: 'batch_normalization/gamma'"):
        read_network(tmp_path, "cpu")
