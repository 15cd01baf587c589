"""The contract between the harness, the methods and the metrics.

A style-transfer method receives a content clip and a few clips of a style and returns audio that
keeps the music of the content in the sound of the style. A metric receives such outputs and returns
scores. Everything that crosses these borders is declared here, in numpy and plain values: a torch
tensor never leaves a method or a metric. This module needs the standard library and numpy alone,
because plug-ins in environments of their own import it too.

**Conventions**: waveforms are float32 with axes (channel, sample), nominal range [-1, 1]; rates are
in Hz, times in seconds. Methods receive and return mono, (1, sample), at their native rate; the
harness resamples and restores the content's exact length.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

from bench.description import (
    Conditioning,
    Direction,
    Entry,
    HubCheckpoint,
    MethodInfo,
    MetricInfo,
    Profile,
    ProfileInfo,
)
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
from bench.outside.wording import one_line

__all__ = [
    "AXES", "Audio", "BenchError", "CheckpointError", "Clip", "Conditioning", "ConfigError",
    "ContentError", "DatasetError", "DeviceError", "Direction", "EmbeddingMetric", "Entry",
    "FitRequest", "HubCheckpoint", "Json", "MethodInfo", "Metric", "MetricInfo", "NoParameters",
    "Output", "ParametersT", "Profile", "ProfileInfo", "Progress", "RecordError", "Score",
    "ScoreStatus", "Style", "StyleState", "StyleTransferMethod", "TransferRequest",
    "UnknownNameError", "UnsupportedError", "Waveform",
]  # fmt: skip

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Waveform = NDArray[np.float32]
AXES = ("channel", "sample")
HIGHEST_RATE_HZ = 2**31 - 1  # the heads of sound files have 32 bits for a rate
Progress = Callable[[float, str], None]
ParametersT = TypeVar("ParametersT")
ParametersT_co = TypeVar("ParametersT_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A stretch of sound.

    Args:
        waveform: float32, axes (channel, sample), nominal range [-1, 1]. Made read-only. Not
            checked for NaN, so that a broken output can be looked at and recorded.
        sample_rate: Hz, a whole number of 1 to `HIGHEST_RATE_HZ` of any type (numpy's too, or
            44100.0); kept as a plain int.

    Raises:
        ValueError: The waveform is no such array, or the rate no such number.

    Example:
        >>> Audio(np.zeros((1, 22050), np.float32), 22050).duration_s
        1.0
        >>> Audio(np.zeros((1, 4), np.float32), np.float64(44100.0)).sample_rate
        44100
    """

    waveform: Waveform
    sample_rate: int

    def __post_init__(self) -> None:
        """Check the shape, the type and the rate; freeze the samples."""
        object.__setattr__(self, "waveform", _plain_waveform(self.waveform))
        object.__setattr__(self, "sample_rate", _whole_rate(self.sample_rate))
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


def _plain_waveform(given: object) -> Waveform:
    """An array of numpy's own class; nothing is copied."""
    if not isinstance(given, np.ndarray):
        raise ValueError(  # noqa: TRY004 - like all that is wrong with audio
            f"waveform is a {type(given).__name__}; it must be a numpy array, float32 (channel, "
            "sample). Use np.asarray(waveform, np.float32)."
        )
    if isinstance(given, np.ma.MaskedArray):
        raise ValueError(  # noqa: TRY004 - ditto
            "waveform is a masked array; what is masked has no value. Use waveform.filled(0.0)."
        )
    if given.ndim != len(AXES) or given.dtype != np.float32:
        raise ValueError(
            f"waveform is {given.dtype} with shape {given.shape}; "
            "it must be float32 (channel, sample). Use waveform[None].astype('float32') for "
            "mono."
        )
    return np.asarray(given)


def _whole_rate(given: Any) -> int:  # noqa: ANN401 - whatever was given as a rate
    """A rate in Hz as a plain int."""
    is_number = isinstance(given, Real | Decimal) and not isinstance(given, bool | np.bool_)
    if is_number:
        try:  # the range first: a decimal may have a billion digits
            if 1 <= given <= HIGHEST_RATE_HZ and given == int(given):
                return int(given)
        except (ArithmeticError, ValueError):
            pass  # a decimal that is no number cannot be compared
    raise ValueError(
        f"sample_rate is {one_line(given, 60, repr)}; it must be a whole number of Hz from 1 to "
        f"{HIGHEST_RATE_HZ}. Give round(sample_rate), or int(...) of a text."
    )


@dataclass(frozen=True, slots=True)
class Clip:
    """A bounded recording of a dataset.

    Args:
        id: Unique in its dataset.
        category: The group of a content, or the name of the style.
        audio: Its waveform, float32 (channel, sample), and rate. Methods receive it mono, at their
            native rate; metrics receive it as it is in the dataset.
    """

    id: str
    category: str
    audio: Audio


@dataclass(frozen=True, slots=True)
class Style:
    """A style: its recordings, and its description in words.

    Args:
        id: Name of the style in its dataset.
        clips: The recordings that a method may learn from.
        heldout_clips: Other recordings of the style, for scoring. A method never sees them: the
            harness hands methods a style without them, except the controls that declare
            `MethodInfo.control`.
        text: A description for text-driven methods and SF-text, or None.
        left_out: The recordings of the style that are in neither, because they are silent or cannot
            be read, each with the reason: "bell1.wav is silent (below -60 dBFS)". For messages.
    """

    id: str
    clips: tuple[Clip, ...]
    heldout_clips: tuple[Clip, ...] = ()
    text: str | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StyleState:
    """The result of a fit: numpy arrays by name, and JSON.

    The harness saves it as safetensors, so a fit is cached, resumable and can be shared. What it
    may hold is said in `bench.plugins.returned`: arrays of numbers or bool, and JSON whose names
    are texts. `transfer` gets it as the file would give it back, tuples in the JSON as lists.
    """

    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    meta: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FitRequest(Generic[ParametersT_co]):
    """One style to be learnt.

    Args:
        style: Its clips are mono, (1, sample), at the method's native rate.
        parameters: An instance of the method's `Parameters`.
        seed: Decides every random draw.
        checkpoint: A folder where a long fit may keep its progress, or None.
    """

    style: Style
    parameters: ParametersT_co
    seed: int
    checkpoint: Path | None = None


@dataclass(frozen=True, slots=True)
class TransferRequest(Generic[ParametersT_co]):
    """One content to be rendered in a style.

    Args:
        content: Mono, (1, sample), at the method's native rate.
        state: What `fit` learnt of the style.
        parameters: An instance of the method's `Parameters`.
        seed: Decides every random draw.
        target: The true result, mono and at the native rate, where the dataset has it, for a
            control whose `MethodInfo.needs` names "target"; None for all others.
        content_seed: Decides draws that concern the content alone, and is the same for every style
            and method, so that what is made of them can be kept for other styles; None where there
            is but one request, whose `seed` serves.
    """

    content: Clip
    state: StyleState
    parameters: ParametersT_co
    seed: int
    target: Audio | None = None
    content_seed: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a method with what it is compared with.

    Args:
        content: The content as it is in the dataset: any rate, one or more channels.
        style: The style with its held-out clips.
        audio: The output at the content's rate and length, (1, sample).
        rivals: The other styles of the run with their clips, in the order of the run, for a metric
            whose `MetricInfo.needs` names "rivals"; empty for all others.
        target: What the output should have been, where the dataset has it, for a metric whose
            `MetricInfo.needs` names "target"; None for all others.
    """

    content: Clip
    style: Style
    audio: Audio
    rivals: tuple[Style, ...] = ()
    target: Audio | None = None


ScoreStatus = Literal["ok", "silent", "unsupported", "invalid_output", "invalid_score"]


@dataclass(frozen=True, slots=True)
class Score:
    """One number about one output; `bench.scores` checks each that a metric gives.

    Args:
        name: The metric's name in the catalog, such as "cp".
        value: The reported number, real and finite and inside the declared range, or None without
            one.
        raw: The number before clipping (for CLAP metrics the raw cosine, in [-1, 1]), which the
            statistics use; None where it is the value. Inside the declared range, which is mirrored
            at 0 where it begins there.
        status: "ok"; "silent" (a number with a caveat); "unsupported" or "invalid_output" (no
            number). "invalid_score" (no number) is what the harness records for a metric that
            raised, or whose score breaks a rule.
        reason: Why the status is not "ok".
        detail: A few plain facts beside the number, such as {"nearest": "bells", "rank": 2}; what
            they may be is said in `bench.scores`.
    """

    name: str
    value: float | None
    raw: float | None = None
    status: ScoreStatus = "ok"
    reason: str | None = None
    detail: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoParameters:
    """The parameters of a method that has none."""


class StyleTransferMethod(ABC, Generic[ParametersT]):
    """A method under comparison.

    A final class names its parameters, `class Level(StyleTransferMethod[LevelParameters])`,
    implements three verbs and keeps nothing but loaded models.

    The parameters are a frozen dataclass; the metadata of each field says `{"role": "fit"}` or
    `{"role": "transfer"}`. Only fit parameters enter the key of a fit, so that changing a transfer
    parameter never repeats a fit. The role "model" is for fields of the catalog's own methods that
    decide which model is loaded: where one differs from its default, the class is made with it, and
    the entry's `describe` is asked with it.

    Attributes:
        INFO: What tables say about the method, unless its line in the catalog says it.
        ENVIRONMENT: Folder of a project with its own lock file, relative to the file of the class,
            in whose environment the class runs; None means the environment of the harness.
        Parameters: The class of the parameters. It is taken from the brackets of the base class.
        family: Methods with the same name here share a frozen network, and each can `fit` the
            requests of the others.
    """

    INFO: ClassVar[MethodInfo | None] = None
    ENVIRONMENT: ClassVar[str | None] = None
    Parameters: ClassVar[type[Any]] = NoParameters
    family: ClassVar[str | None] = None

    def __init_subclass__(cls, **keywords: Any) -> None:  # noqa: ANN401 - those of any class
        """Take `Parameters` from the brackets of the base class.

        Raises:
            TypeError: The class sets `Parameters` to something else than its brackets.
        """
        super().__init_subclass__(**keywords)
        named = _argument_of(cls)
        if named is None:
            return
        own = vars(cls).get("Parameters", named)
        if own is not named:
            raise TypeError(
                f"{cls.__name__} sets Parameters to {own!r} but is a StyleTransferMethod of "
                f"{named!r}; both must be the same. Name the parameters in the brackets alone."
            )
        cls.Parameters = named

    @classmethod
    def describe(cls, profile: Profile) -> ProfileInfo:
        """Rate, longest clip and weights in a profile; nothing is loaded.

        By default the method follows the rate of the content, takes clips of any length and has no
        weights. A line of the catalog may name a function that says this instead.
        """
        del profile
        return ProfileInfo()

    @classmethod
    def departures(cls, parameters: ParametersT, profile: Profile) -> tuple[str, ...]:
        """Where these settings depart from the source, beside `MethodInfo.departures`.

        One clause each, without a semicolon; nowhere by default. Records and tables carry them.
        """
        del parameters, profile
        return ()

    @abstractmethod
    def load(self, profile: Profile, device: str) -> None:
        """Load models onto `device` ("cpu", "cuda:0", "mps"); called once, before `fit`.

        Raises:
            CheckpointError: Weights are missing or incomplete; the message names the file and the
                way out. From here it ends the run, as `DeviceError` does; whatever else this or
                another call raises costs the cells that it was made for.
        """

    @abstractmethod
    def fit(
        self, requests: Sequence[FitRequest[ParametersT]], progress: Progress
    ) -> list[StyleState]:
        """Learn each requested style, several at once where the method can.

        Args:
            requests: One style each; clips are mono, (1, sample), at the native rate.
            progress: May be called at any time as `progress(fraction, text)`, with the fraction
                done in [0, 1].

        Returns:
            One state per request, in order.

        Raises:
            UnsupportedError: This model cannot represent the style (say why); its cells become
                `n/a`.
        """

    @abstractmethod
    def transfer(self, requests: Sequence[TransferRequest[ParametersT]]) -> list[Audio]:
        """Render each content in its style.

        The result for a clip does not depend on the other clips of the batch, and the same seed
        gives the same audio.

        Args:
            requests: One content each; mono, (1, sample), at the native rate.

        Returns:
            One audio per request, in order: float32, (1, sample), at the native rate, as long as
            the content. The harness pads or cuts a difference of at most 50 ms and calls the
            output invalid beyond that.
        """

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        """One state for a piece that goes from one style to another, for methods that can.

        Raises:
            UnsupportedError: This method cannot, which is the default.
        """
        del first, second
        raise UnsupportedError(f"{cls.__name__} has no way from one style to another.")


def _argument_of(kind: type) -> type[Any] | None:
    """The class in the brackets of the nearest base class, None where they hold none."""
    for ancestor in kind.__mro__:
        for base in vars(ancestor).get("__orig_bases__", ()):
            if issubclass(get_origin(base) or object, StyleTransferMethod):
                named: Any = get_args(base)[0]
                if named is not Any and not isinstance(named, TypeVar):
                    return named  # type: ignore[no-any-return]  # whatever stands in the brackets
    return None


class Metric(ABC):
    """A measure of outputs.

    Final classes keep nothing but loaded models and embeddings of audio seen before.

    Attributes:
        INFO: What tables say about the metric, unless its line in the catalog says it.
        ENVIRONMENT: As for a method.
    """

    INFO: ClassVar[MetricInfo | None] = None
    ENVIRONMENT: ClassVar[str | None] = None

    @classmethod
    def describe(cls, profile: Profile) -> ProfileInfo:
        """The weights in a profile, none by default; nothing is loaded."""
        del profile
        return ProfileInfo()

    @abstractmethod
    def load(self, profile: Profile, device: str) -> None:
        """Load models; raise `CheckpointError` where they are missing."""

    @abstractmethod
    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """One score per output, in order.

        A bad output (NaN, wrong length) never raises: its score says `invalid_output`. Waveforms
        are float32, (channel, sample); contents and style clips may have any rate. A call that
        raises is made again for each output alone; what raises then is an `invalid_score`, and
        `n/a` for `UnsupportedError`.
        """

    @abstractmethod
    def fingerprint(self) -> Mapping[str, Json]:
        """Everything that decides a score except the audio: version, weights, libraries.

        Scores with different fingerprints never share a column. Called after `load`.
        """


class EmbeddingMetric(Metric):
    """A metric that hears sounds as vectors, of which distances between sets can be made.

    Attributes:
        EMBEDDING: A short name of these vectors in tables, such as "CLAP". One metric per model
            has it; the run keeps the vectors of all outputs and held-out clips under it.
    """

    EMBEDDING: ClassVar[str]

    @abstractmethod
    def embed(self, audios: Sequence[Audio]) -> NDArray[np.float64]:
        """Vectors of unit length, (sound, dimension), in order; called after `load`.

        Args:
            audios: Any rate, length and number of channels; finite, and not silent.
        """
