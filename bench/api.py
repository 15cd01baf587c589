"""The contract between the harness, the methods and the metrics.

A style-transfer method receives a content clip and a few clips of a style and returns audio that
keeps the music of the content in the sound of the style. A metric receives such outputs and returns
scores. Everything that crosses these borders is declared here, in numpy and plain values: a torch
tensor never leaves a method or a metric.

**Conventions**: waveforms are float32, axes (channel, sample), nominal range [-1, 1]; rates in Hz;
times in seconds. Methods receive and return mono at their native rate; the harness resamples and
restores the content's exact length.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.errors import (
    BenchError,
    CheckpointError,
    ConfigError,
    ContentError,
    DatasetError,
    DeviceError,
    RecordError,
    UnknownNameError,
    UnsupportedError,
)

__all__ = [
    "AXES", "Audio", "BenchError", "CheckpointError", "Clip", "Conditioning", "ConfigError",
    "ContentError", "DatasetError", "DeviceError", "Direction", "Entry", "FitRequest", "Json",
    "MethodInfo", "Metric", "MetricInfo", "NoParameters", "Output", "Profile", "ProfileInfo",
    "Progress", "RecordError", "Score", "ScoreStatus", "Style", "StyleState",
    "StyleTransferMethod", "TransferRequest", "UnknownNameError", "UnsupportedError", "Waveform",
]  # fmt: skip

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Waveform = NDArray[np.float32]
Profile = Literal["mini", "full"]
AXES = ("channel", "sample")
Progress = Callable[[float, str], None]


# ---------------------------------------------------------------------------- values


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A stretch of sound.

    Args:
        waveform: float32, axes (channel, sample), nominal range [-1, 1]. Made read-only. Not
            checked for NaN, so that a broken output can be looked at and recorded.
        sample_rate: Hz, positive.

    Example:
        >>> Audio(np.zeros((1, 22050), np.float32), 22050).duration_s
        1.0
    """

    waveform: Waveform
    sample_rate: int

    def __post_init__(self) -> None:
        """Check the shape, the type and the rate; freeze the samples."""
        if self.waveform.ndim != len(AXES) or self.waveform.dtype != np.float32:
            raise ValueError(
                f"waveform is {self.waveform.dtype} with shape {self.waveform.shape}; "
                "it must be float32 (channel, sample). Use waveform[None].astype('float32') for "
                "mono."
            )
        if self.sample_rate <= 0:
            raise ValueError(f"sample_rate is {self.sample_rate} Hz; it must be positive.")
        self.waveform.flags.writeable = False

    def __reduce__(self) -> tuple[type[Audio], tuple[Waveform, int]]:
        """Pickle through the constructor, so that a copy is checked and frozen too."""
        return Audio, (self.waveform, self.sample_rate)

    @property
    def num_samples(self) -> int:
        """Samples per channel."""
        return int(self.waveform.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate

    @property
    def digest(self) -> str:
        """SHA-256 of rate, shape and samples, as 64 hex digits: the identity of this sound."""
        head = f"{self.sample_rate}:{self.waveform.shape}:".encode()
        return hashlib.sha256(head + np.ascontiguousarray(self.waveform).tobytes()).hexdigest()

    @property
    def mono(self) -> Waveform:
        """Mean of the channels, shape (sample,)."""
        return np.asarray(self.waveform.mean(axis=0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Clip:
    """A bounded recording of a dataset.

    `id` is unique in it, `category` groups contents (or names the style).
    """

    id: str
    category: str
    audio: Audio


@dataclass(frozen=True, slots=True)
class Style:
    """What a style is known by.

    Args:
        id: Name of the style in its dataset.
        clips: What a method may learn from.
        heldout_clips: Other recordings of the style, for scoring. A method never sees them: the
            harness hands methods a style without them, except the controls that declare
            `MethodInfo.control`.
        text: A description for text-driven methods and SF-text, or None.
    """

    id: str
    clips: tuple[Clip, ...]
    heldout_clips: tuple[Clip, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class StyleState:
    """What a fit has learnt: named numpy arrays and JSON.

    The harness saves it as safetensors, so a fit is cached, resumable and can be shared.
    """

    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    meta: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FitRequest:
    """Learn one style. `parameters` is an instance of the method's `Parameters`.

    `seed` decides every draw.
    """

    style: Style
    parameters: object
    seed: int
    checkpoint: Path | None = None  # a folder where a long fit may keep its progress


@dataclass(frozen=True, slots=True)
class TransferRequest:
    """Render one content clip (mono, at the method's native rate) in a learnt style."""

    content: Clip
    state: StyleState
    parameters: object
    seed: int


@dataclass(frozen=True, slots=True)
class Output:
    """What is scored: the content as it is in the dataset, the style with its held-out clips.

    The audio made.
    """

    content: Clip
    style: Style
    audio: Audio


ScoreStatus = Literal["ok", "silent", "unsupported", "invalid_output"]


@dataclass(frozen=True, slots=True)
class Score:
    """One number about one output.

    Args:
        name: The metric's name in the catalog, such as "cp".
        value: The reported number, None where there is none.
        raw: The number before clipping (for CLAP metrics the raw cosine, in [-1, 1]); statistics
            use it.
        status: "ok"; "silent" (a number with a caveat); "unsupported" and "invalid_output" have no
            number.
        reason: Why the status is not "ok".
    """

    name: str
    value: float | None
    raw: float | None = None
    status: ScoreStatus = "ok"
    reason: str | None = None


# ---------------------------------------------------------------------------- static description

Conditioning = Literal["style audio", "style text", "content audio", "melody"]


class Direction(Enum):
    """Which way a metric is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """What a table must say about a method, in static words.

    Args:
        title: The name printed in tables.
        conditioned_on: What the method is given, so that nobody compares unlike information
            unknowingly.
        fits_per_style: Whether `fit` learns (costs time) rather than only storing what it was
            given.
        source: Paper and equation or section.
        departures: Where this implementation leaves its source, equation by equation.
        control: True for copy-content and its like: a bound to read the others against, never a
            competitor. Only controls may see held-out style clips.
        version: Raised by hand when results change on purpose.
    """

    title: str
    conditioned_on: tuple[Conditioning, ...]
    fits_per_style: bool
    source: str
    departures: tuple[str, ...] = ()
    control: bool = False
    version: str = "1"


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """What depends on the profile of a method.

    Args:
        sample_rate: Native rate in Hz; None follows the content's own rate.
        longest_s: Longest clip in one window, seconds; None means no limit.
        weights: Folders or hub ids of the checkpoints, whose digests enter the keys of cached
            results.
        licence: Licence of those weights.
        bandwidth_hz: Upper edge of what the method can output, None if the whole band.
    """

    sample_rate: int | None = None
    longest_s: float | None = None
    weights: tuple[str, ...] = ()
    licence: str = "none needed"
    bandwidth_hz: float | None = None


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What a table must say about a metric.

    Args:
        title: Column title, such as "SF-audio (held-out)".
        direction: Which way is better.
        range: Smallest and largest reported value.
        source: Paper and equation.
        departures: Where this implementation leaves its source.
        version: Raised by hand when scores change on purpose.
    """

    title: str
    direction: Direction
    range: tuple[float, float]
    source: str
    departures: tuple[str, ...] = ()
    version: str = "1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a room's catalog.

    Args:
        target: "module:Class", imported only when the plug-in is used.
        info: `MethodInfo` or `MetricInfo`.
        describe: "module:function" taking a profile and returning `ProfileInfo`, importable
            without torch; None means the defaults of `ProfileInfo` for every profile.
        environment: Folder of a project with a lock of its own (`bench.plugins.environments`) in
            whose environment the class runs, seen from the checkout; None means this environment.
    """

    target: str
    info: MethodInfo | MetricInfo
    describe: str | None = None
    environment: str | None = None


# ---------------------------------------------------------------------------- contracts


@dataclass(frozen=True, slots=True)
class NoParameters:
    """The parameters of a method that has none."""


class StyleTransferMethod(ABC):
    """A method under comparison.

    Final classes implement three verbs and keep nothing but loaded models.

    `Parameters` is a frozen dataclass; the metadata of each field says `{"role": "fit"}` or
    `{"role": "transfer"}`. Only fit parameters enter the key of a fit: changing a transfer
    parameter never refits.

    Methods that name one `family` share a frozen network: each can `fit` the others' requests.
    """

    Parameters: ClassVar[type] = NoParameters
    family: ClassVar[str | None] = None

    @abstractmethod
    def load(self, profile: Profile, device: str) -> None:
        """Load models onto `device` ("cpu", "cuda:0", "mps").

        Called once before `fit` and `transfer`.

        Raises:
            CheckpointError: Weights are missing or incomplete; the message names the file and the
                way out.
        """

    @abstractmethod
    def fit(self, requests: Sequence[FitRequest], progress: Progress) -> list[StyleState]:
        """Learn each requested style, several at once where the method can.

        One state per request, in order.

        `progress(fraction, text)` with fraction in [0, 1] may be called at any time.

        Raises:
            UnsupportedError: This model cannot represent the style (say why); its cells become
                `n/a`.
        """

    @abstractmethod
    def transfer(self, requests: Sequence[TransferRequest]) -> list[Audio]:
        """Render each content in its style.

        One mono audio per request, in order, at the native rate.

        The result for a clip does not depend on its company in the batch, and the same seed gives
        the same audio. The length is that of the content; the harness pads or cuts a difference of
        at most 50 ms and calls the output invalid beyond that.
        """

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        """One state for a piece that goes from one style to another, for methods that can."""
        del first, second
        raise UnsupportedError(f"{cls.__name__} has no way from one style to another.")


class Metric(ABC):
    """A measure of outputs.

    Final classes keep nothing but loaded models and embeddings of audio seen before.
    """

    @abstractmethod
    def load(self, profile: Profile, device: str) -> None:
        """Load models; raise `CheckpointError` where they are missing."""

    @abstractmethod
    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """One score per output, in order.

        Never raises for a bad output: its score says `invalid_output`.
        """

    @abstractmethod
    def fingerprint(self) -> Mapping[str, Json]:
        """All that decides a score beside the audio.

        Version, checkpoint digest, preprocessing, libraries.

        Scores of unlike fingerprints never share a column. Called after `load`.
        """
