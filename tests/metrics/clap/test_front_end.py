"""The front end against the library's extractor, against librosa, and where it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import ClapFeatureExtractor

from bench.api import Audio
from metrics.clap import laion_files, mini
from metrics.clap.checkpoints import locate
from metrics.clap.embedder import ClapEmbedder, read_towers
from metrics.clap.front_end import read_front_end
from metrics.clap.preprocess import prepare
from metrics.directions import mean_direction, unit
from tests import rounding

EXTRACTORS: dict[str, Callable[[], ClapFeatureExtractor]] = {
    "mini": mini.build_extractor,
    "full": laion_files.build_extractor,
}
# The library's spectra are rounded to complex64 and squared, and features are float32: three
# roundings of a level of at most 100 dB.
ATOL = rounding.worst(3, scale=100.0)
assert ATOL < 1e-4  # what is asked for


def noise(length: int, level: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).standard_normal(length)
    return (level * drawn).astype(np.float32)


def tone(length: int, cycles: float) -> NDArray[np.float32]:
    """Of full scale, so that all bands but one hold rounding noise only."""
    return np.asarray(np.sin(2 * np.pi * cycles * np.arange(length)), np.float32)


def impulse(length: int) -> NDArray[np.float32]:
    samples = np.zeros(length, np.float32)
    samples[length // 3] = 1.0
    return samples


SOUNDS: dict[str, Callable[[int], NDArray[np.float32]]] = {
    "noise": noise,
    "loud noise": lambda length: noise(length).clip(-0.05, 0.05) * 20,
    "a tone": lambda length: tone(length, 1000.3 / 48_000),
    "a tone in the middle of a bin": lambda length: tone(length, 32 / 1024),
    "a low tone": lambda length: tone(length, 0.002),
    "silence": lambda length: np.zeros(length, np.float32),
    "near-silence": lambda length: noise(length, 1e-6),
    "one level of 16 bits": lambda length: np.float32(1 / 32767) * (noise(length) > 0),
    "an impulse": impulse,
    "a constant": lambda length: np.full(length, 0.5, np.float32),
}


def features(extractor: ClapFeatureExtractor, samples: NDArray[np.float32]) -> torch.Tensor:
    """What the library makes of a window, (frame, mel)."""
    given: dict[str, Any] = {"sampling_rate": extractor.sampling_rate, "max_length": len(samples)}
    made: torch.Tensor = extractor(samples, return_tensors="pt", **given)["input_features"]
    return made[0, 0]


def ours(extractor: ClapFeatureExtractor, samples: NDArray[np.float32]) -> torch.Tensor:
    return read_front_end(extractor, "cpu").log_mel(torch.from_numpy(samples)[None])[0]


@pytest.mark.parametrize("size", EXTRACTORS)
@pytest.mark.parametrize("sound", SOUNDS)
def test_features_are_those_of_the_library(size: str, sound: str) -> None:
    extractor = EXTRACTORS[size]()
    samples = SOUNDS[sound](round(extractor.max_length_s * extractor.sampling_rate))
    found = ours(extractor, samples)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, features(extractor, samples), rtol=0, atol=ATOL)


@pytest.mark.parametrize("size", EXTRACTORS)
@pytest.mark.parametrize("frames", [0.51, 1, 2.5, 510.9, 511, 512, 4000])
def test_windows_of_any_length_are_those_of_the_library(size: str, frames: float) -> None:
    """Down to half a transform, below which nothing is left to reflect."""
    extractor = EXTRACTORS[size]()
    hops = round(frames * extractor.hop_length)
    samples = noise(max(hops, extractor.fft_window_size // 2 + 1), seed=1)
    found = ours(extractor, samples)
    torch.testing.assert_close(found, features(extractor, samples), rtol=0, atol=ATOL)


def test_every_constant_is_the_extractors() -> None:
    extractor = ClapFeatureExtractor(
        feature_size=20,
        sampling_rate=16_000,
        hop_length=101,
        max_length_s=1,
        fft_window_size=600,
        frequency_min=300,
        frequency_max=5_000,
        truncation="rand_trunc",
    )
    samples = noise(16_000)
    found = ours(extractor, samples)
    torch.testing.assert_close(found, features(extractor, samples), rtol=0, atol=ATOL)


def test_a_fused_extractor_has_the_other_bank() -> None:
    extractor = mini.build_extractor()
    extractor.truncation = "fusion"
    samples = noise(mini.WINDOW_SAMPLES)
    found = ours(extractor, samples)
    torch.testing.assert_close(found, features(extractor, samples), rtol=0, atol=ATOL)
    assert not torch.allclose(found, ours(mini.build_extractor(), samples), atol=0.1)


def test_librosa_computes_the_same_features() -> None:
    """Independent of transformers: laion-clap's own front end has librosa's bank and decibels."""
    constants = laion_files.build_extractor()
    samples = tone(48_000, 0.01) + noise(48_000)
    power = librosa.feature.melspectrogram(
        y=samples.astype(np.float64),
        sr=48_000,
        n_fft=1024,
        hop_length=480,
        n_mels=64,
        fmin=50,
        fmax=14_000,
        pad_mode="reflect",
        dtype=np.float64,
    )
    expected = librosa.power_to_db(power, amin=1e-10, top_db=None).T
    found = ours(constants, samples).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=ATOL)


def test_windows_together_have_the_features_of_each_alone() -> None:
    front_end = read_front_end(mini.build_extractor(), "cpu")
    windows = torch.from_numpy(np.stack([noise(40_000, seed=seed) for seed in range(3)]))
    together = front_end.log_mel(windows)
    alone = torch.cat([front_end.log_mel(window[None]) for window in windows])
    torch.testing.assert_close(together, alone, rtol=0, atol=rounding.worst(1, scale=100.0))


def test_all_is_computed_on_the_device_that_is_asked_for() -> None:
    """A tensor of another device among them would be refused."""
    front_end = read_front_end(laion_files.build_extractor(), "meta")
    made = front_end.log_mel(torch.empty(2, 480_000, device="meta"))
    assert (made.device.type, tuple(made.shape)) == ("meta", (2, 1001, 64))


def test_a_device_without_float64_leaves_it_to_the_cpu() -> None:
    front_end = read_front_end(mini.build_extractor(), "mps")
    assert {front_end.window.device.type, front_end.bank.device.type} == {"cpu"}


class Unwanted(ClapFeatureExtractor):  # type: ignore[misc]  # of an untyped library
    """The mini model's extractor, counting calls."""

    calls = 0

    def __call__(self, *given: object, **named: object) -> object:
        type(self).calls += 1
        return super().__call__(*given, **named)


def test_embedding_a_clip_calls_no_extractor() -> None:
    constants = Unwanted(**mini.build_extractor().to_dict())
    towers = replace(read_towers(locate("mini")), extractor=constants)
    ClapEmbedder(towers, "mini", "cpu").embed_audio(Audio(noise(300_000)[None], 22_050))
    assert Unwanted.calls == 0
    constants(noise(mini.WINDOW_SAMPLES), sampling_rate=mini.SAMPLE_RATE)
    assert Unwanted.calls == 1  # it would have been noticed


@pytest.mark.parametrize("sound", SOUNDS)
def test_embeddings_are_those_of_the_librarys_features(sound: str) -> None:
    towers = read_towers(locate("mini"))
    audio = Audio(SOUNDS[sound](200_000)[None], 22_050)
    embedder = ClapEmbedder(towers, "mini", "cpu")
    directions = []
    for window in prepare(audio, 22_050, embedder.window_samples):
        made = features(towers.extractor, window)[None, None]
        longer = torch.zeros(1, 1, dtype=torch.bool)
        with torch.inference_mode():
            given = {"input_features": made, "is_longer": longer}
            directions.append(
                unit(towers.model.get_audio_features(**given).pooler_output[0].numpy())
            )
    assert embedder.embed_audio(audio) @ mean_direction(directions) > 1 - 1e-6
