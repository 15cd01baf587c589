"""LPAPS: how unlike two sounds are inside a CLAP model, as papers on audio editing report it.

The audio tower of CLAP makes a map of tokens (places in time and frequency) by channels after each
of its stages; two sounds are compared map by map. It stands here for comparison with such papers.
As a judge it is a mixture: it hears notes and timbre alike, so it rewards a copy and punishes a
transfer that succeeds.

**Measure**: with A_l and B_l (token x channel) after stage l of content and output,

    LPAPS = sum_l mean_c || A_l[:, c] / |A_l[:, c]| - B_l[:, c] / |B_l[:, c]| ||^2,

so each channel's map over the tokens is brought to length 1, and channels are averaged. That is
what the published code computes, and so what published values are. LPIPS, from which it derives,
brings the channels of each token to length 1 and averages over tokens; that is `lpaps.channel`, a
column of its own. Lower is closer, 0 for the content itself; each stage adds at most 4.

**What is heard**: the mean of the channels at its own level, at the model's rate; a clip that does
not fill the window is repeated a whole number of times and followed by silence. A longer one is
heard in windows that begin every nine tenths of a window, the last one shorter, and the values are
averaged.

**Which model**: published values belong to laion's `music_speech_epoch_15_esc_89.25.pt`, which the
full profile loads whatever BENCH_CLAP says: on another checkpoint it is another metric. The mini
profile runs the same code on the mini CLAP, which has three stages: its values compare with nothing
published. The fingerprint names the checkpoint and the number of stages.

A silent output scores 4 per stage, as far away as a sound can be.

References:
    Manor, Michaeli (2024), "Zero-shot unsupervised and text-based audio editing using DDPM
    inversion", arXiv 2402.10009 (LPAPS), and its code, github.com/HilaManor/AudioEditingCode at
    f324c19, evals/lpaps.py, evals/pretrained_networks.py and evals/utils.py; Zhang et al. (2018),
    arXiv 1801.03924 (LPIPS). Departures: samples are resampled by soxr; a clip that fits into the
    window is heard once, where the code adds its last tenth of a window as another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib.metadata import version
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.api import Audio, Json, Metric, Output, Profile, Score, UnsupportedError
from bench.audio import resample_waveform
from bench.batching import Batcher, in_parallel
from bench.device import place
from bench.memo import Recent
from bench.outputs import judge, require_sound
from metrics.clap.checkpoints import locate, locate_music_speech
from metrics.clap.embedder import check_front_end, read_towers, window_length
from metrics.clap.front_end import DESCRIPTION, read_front_end
from metrics.clap.laion_files import build_extractor, load_laion
from metrics.clap.preprocess import Windows, repeat_pad

VERSION = "1"
STEP = 0.9  # of a window: windows of a longer clip overlap by a tenth
SMALLEST_LENGTH = 1e-10  # added to the length that a column or row is divided by
FARTHEST = 4.0  # of two unit vectors, squared; per stage
_WINDOWS_AT_ONCE = 16  # on an accelerator
_CLIPS = 128  # whose maps are remembered: 0.13 MB each of the mini model, 2 MB of a full one

Map = NDArray[np.float32]  # (token, channel)
Maps = tuple[Map, ...]  # of one window, a map per stage
TOKENS, CHANNELS = 0, 1  # the axis that is brought to length 1


def cut(waveform: NDArray[np.float32], window_samples: int) -> Windows:
    """The windows of a clip, (window, sample), each filled by whole repetitions and silence.

    Args:
        waveform: At least one sample, (sample,).
        window_samples: The model's length.

    Example:
        >>> cut(np.arange(1, 13, dtype=np.float32), 10).tolist()[1]
        [10.0, 11.0, 12.0, 10.0, 11.0, 12.0, 10.0, 11.0, 12.0, 0.0]
    """
    if len(waveform) <= window_samples:
        return repeat_pad(waveform, window_samples)
    starts = range(0, len(waveform), int(window_samples * STEP))
    return np.concatenate(
        [repeat_pad(waveform[start : start + window_samples], window_samples) for start in starts]
    )


def distance(first: Maps, second: Maps, axis: int = TOKENS) -> float:
    """LPAPS of two windows from their maps, stage by stage; in [0, 4 per stage], lower is closer.

    Args:
        first: One map per stage.
        second: Of the same shapes.
        axis: What is brought to length 1: `TOKENS` as published, or `CHANNELS`.
    """
    pairs = zip(first, second, strict=True)
    return sum(_stage_distance(one, other, axis) for one, other in pairs)


def _stage_distance(first: Map, second: Map, axis: int) -> float:
    apart = _at_unit_length(first, axis) - _at_unit_length(second, axis)
    return float(np.mean(np.sum(apart**2, axis=axis)))


def _at_unit_length(tokens: Map, axis: int) -> NDArray[np.float64]:
    wide = tokens.astype(np.float64)
    length = np.sqrt(np.sum(wide**2, axis=axis, keepdims=True))
    return np.asarray(wide / (length + SMALLEST_LENGTH))


class TokenMaps:
    """The audio tower of a CLAP model with the maps of the clips that it heard last.

    Args:
        model: A `ClapModel`; moved to `device`.
        extractor: Its front end, of the library.
        identity: Digest of the checkpoint.
        device: Where to compute.
    """

    def __init__(self, model: Any, extractor: Any, identity: str, device: str) -> None:  # noqa: ANN401 - untyped in their library
        self._tower = model.to(device).audio_model
        self._front_end = read_front_end(extractor, device)
        self._sample_rate = int(extractor.sampling_rate)
        self._window_samples = window_length(extractor)
        self._identity = identity
        self._device = device
        self._batcher = Batcher(1 if device == "cpu" else _WINDOWS_AT_ONCE)
        self._known: Recent[list[Maps]] = Recent(_CLIPS)

    @property
    def stages(self) -> int:
        """How many maps there are of each window."""
        return len(self._tower.audio_encoder.layers)

    def fingerprint(self) -> dict[str, Json]:
        """Checkpoint, preparation and libraries: all that decides a map beside the sound."""
        names = ("torch", "transformers", "soxr", "numpy")
        libraries: dict[str, Json] = {name: version(name) for name in names}
        return {
            "checkpoint": self._identity,
            "stages": self.stages,
            "sample_rate": self._sample_rate,
            "window_samples": self._window_samples,
            "step": STEP,
            "front_end": DESCRIPTION,
            "libraries": libraries,
        }

    def of(self, audio: Audio) -> list[Maps]:
        """The maps of each window of a clip.

        Args:
            audio: Finite samples, at least one; any rate and length.
        """
        return self._known.get(audio.digest, lambda: self._compute(audio))

    def _compute(self, audio: Audio) -> list[Maps]:
        mono = resample_waveform(audio.mono, audio.sample_rate, self._sample_rate)
        return self._batcher.run(list(cut(mono, self._window_samples)), self._hear)

    def _hear(self, windows: Sequence[NDArray[np.float32]]) -> list[Maps]:
        samples = place(torch.from_numpy(np.stack(windows)), self._front_end.window.device)
        with torch.inference_mode():
            found = self._tower(
                input_features=self._front_end.log_mel(samples)[:, None].to(self._device),
                is_longer=torch.zeros(len(windows), 1, dtype=torch.bool, device=self._device),
                output_hidden_states=True,
            )
        # The first is the patches before any stage; each is (window, channel, height, width).
        stages = [state.flatten(2).transpose(1, 2) for state in found.hidden_states[1:]]
        arrays = [stage.float().cpu().numpy() for stage in stages]
        return [tuple(array[n].copy() for array in arrays) for n in range(len(windows))]


@lru_cache(maxsize=2)
def load_token_maps(profile: Profile, device: str) -> TokenMaps:
    """The maps of a profile's model, made once per device and shared by both metrics.

    Raises:
        CheckpointError: The checkpoint is missing or incomplete.
    """
    if profile == "mini":
        mini = locate(profile)
        towers = read_towers(mini)
        return TokenMaps(towers.model, towers.extractor, mini.digest, device)
    path, identity = locate_music_speech()
    model, extractor = load_laion(path), build_extractor()
    check_front_end(model.config.audio_config, extractor, path)
    return TokenMaps(model, extractor, identity, device)


class LpapsMetric(Metric):
    """LPAPS of content and output; a final class names the axis that is brought to length 1."""

    name: ClassVar[str]
    axis: ClassVar[int]

    def __init__(self) -> None:
        self._maps: TokenMaps | None = None
        self._device = "cpu"

    def load(self, profile: Profile, device: str) -> None:
        """Load the model of the profile."""
        self._maps, self._device = load_token_maps(profile, device), device

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order."""
        verdicts = in_parallel(partial(judge, self.name), outputs, self._device)
        pairs = zip(outputs, verdicts, strict=True)
        return [self._score_one(output, verdict) for output, verdict in pairs]

    def fingerprint(self) -> Mapping[str, Json]:
        """Metric, version, axis, checkpoint, preparation and libraries."""
        axis = "tokens" if self.axis == TOKENS else "channels"
        known = self.token_maps.fingerprint()
        return {"metric": self.name, "version": VERSION, "axis": axis, **known}

    @property
    def token_maps(self) -> TokenMaps:
        """The loaded model."""
        if self._maps is None:
            raise RuntimeError(
                f"metric {self.name!r} is not loaded; call load(profile, device) first."
            )
        return self._maps

    def _score_one(self, output: Output, verdict: Score | None) -> Score:
        try:
            require_sound(output.content.audio, "content")
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))
        if verdict is None:
            found = self._distance(output)
            return Score(self.name, found, found)
        if verdict.status != "silent":
            return verdict
        farthest = FARTHEST * self.token_maps.stages
        return replace(verdict, value=farthest, raw=farthest)

    def _distance(self, output: Output) -> float:
        """The mean over the windows that both have."""
        both = zip(
            self.token_maps.of(output.content.audio), self.token_maps.of(output.audio), strict=False
        )
        return float(np.mean([distance(one, other, self.axis) for one, other in both]))


@final
class Lpaps(LpapsMetric):
    """LPAPS as published code computes it, 0 to 4 per stage, lower is closer."""

    name = "lpaps"
    axis = TOKENS


@final
class LpapsOfChannels(LpapsMetric):
    """LPAPS as LPIPS is defined, 0 to 4 per stage, lower is closer."""

    name = "lpaps.channel"
    axis = CHANNELS
