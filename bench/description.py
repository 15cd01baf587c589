"""What methods and metrics say about themselves, and where a catalog finds them.

Everything here is plain data, so that lists and plans can read it without loading a model. Plug-ins
import it from `bench.api`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol, runtime_checkable

# Begins the name of a method whose outputs were made elsewhere and lie in a folder: outputs:FOLDER.
MADE_ELSEWHERE = "outputs:"
NOT_SAID = "not said"  # what nobody has told about such a method
Profile = Literal["mini", "full"]
Settings = tuple[tuple[str, str | float | bool | None], ...]  # values by name
Conditioning = Literal[
    "style audio", "style text", "content audio", "melody", "content text", "true result"
]


def is_made_elsewhere(name: str) -> bool:
    """Whether a method is a folder of outputs, which are scored here and were made elsewhere.

    Example:
        >>> is_made_elsewhere("outputs:path/to/theirs"), is_made_elsewhere("outputs.py:Mine")
        (True, False)
    """
    return name.startswith(MADE_ELSEWHERE)


class Direction(Enum):
    """Which way a metric is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """What the tables and the harness must know about a method, whatever its profile.

    Args:
        title: The name printed in tables.
        conditioned_on: What the method is given, so that nobody compares methods without seeing
            that one was told more than the other. Where settings change that, the class of its
            parameters says so (`SaysGiven`).
        fits_per_style: True where `fit` learns, which costs time; False where it only stores what
            it was given.
        source: Paper and equation or section.
        departures: Where this implementation differs from its source whatever the settings; what
            depends on them is said by the class (`StyleTransferMethod.departures`).
        control: True for copy-content and its like: a bound to read the others against, never a
            competitor. Only controls may see held-out style clips.
        version: Raised by hand when results change on purpose.
        deterministic: True where `transfer` draws no random numbers, so that another seed gives
            the same audio.
        channels: What `transfer` (the command) does with a stereo content. "each": both channels
            are rendered, from the same draws, because what is alike in the content stays alike in
            the output. "mean": their mean is, as in `run`; for methods that make new music, whose
            two renderings would be two performances.
        needs: What a request must hold beside content and style: "target", the true result, which
            only controls may ask for.
    """

    title: str
    conditioned_on: tuple[Conditioning, ...]
    fits_per_style: bool
    source: str
    departures: tuple[str, ...] = ()
    control: bool = False
    version: str = "1"
    deterministic: bool = False
    channels: Literal["mean", "each"] = "mean"
    needs: tuple[Literal["target"], ...] = ()


@runtime_checkable
class SaysGiven(Protocol):
    """Parameters of a method that decide what it is given."""

    def given(self, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """What the method is given with these values.

        Args:
            usually: As `MethodInfo.conditioned_on` has it.
        """


def given_of(parameters: object, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
    """What a method is given; as usual where the class of its parameters does not say.

    Example:
        >>> given_of(None, ("style audio",))
        ('style audio',)
    """
    if isinstance(parameters, SaysGiven) and callable(parameters.given):  # a field may be called so
        return parameters.given(usually)
    return usually


@dataclass(frozen=True, slots=True)
class HubCheckpoint:
    """Published weights: the files of a hub repository or of a web page, at a fixed revision.

    Args:
        id: "owner/name".
        revision: A commit hash; or a branch, whose commit is recorded at the first fetch and stays.
        files: Files without which it cannot be used.
        bytes: Their total size, for the message before a download.
        licence: Licence of the weights.
        either: Of each group, the first that the repository holds: safetensors before pickles.
        optional: Files that are used if the repository holds them.
        sha256: Digests that are known beforehand, as (file, digest).
        part: The name of this checkpoint in a repository that holds several.
        url: The address of its one file where no hub holds it; `id` and `revision` then only name
            it.
    """

    id: str
    revision: str
    files: tuple[str, ...]
    bytes: int
    licence: str
    either: tuple[tuple[str, ...], ...] = ()
    optional: tuple[str, ...] = ()
    sha256: tuple[tuple[str, str], ...] = ()
    part: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """Its name in `ProfileInfo.weights`: "hub:<id>@<revision>[#<part>]"."""
        return f"hub:{self.id}@{self.revision}" + (f"#{self.part}" if self.part else "")

    @property
    def title(self) -> str:
        """The name by which a user fetches it."""
        return self.part or self.id


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """What depends on the profile of a method or metric.

    Args:
        sample_rate: Native rate in Hz; None follows the content's own rate.
        longest_s: Longest clip in one window, in seconds; None means no limit.
        weights: The weights that it loads: folders, or the names of published checkpoints. Their
            digests enter the keys of cached results.
        licence: Licence of those weights.
        bandwidth_hz: Upper edge of what the method can output; None means the whole band.
        checkpoints: The published checkpoints that it can be told to load, which `fetch`
            downloads; `weights` names those that it does load.
    """

    sample_rate: int | None = None
    longest_s: float | None = None
    weights: tuple[str, ...] = ()
    licence: str = "none needed"
    bandwidth_hz: float | None = None
    checkpoints: tuple[HubCheckpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What a table must say about a metric.

    Args:
        title: Column title, such as "SF-audio (held-out)".
        direction: Which way is better.
        range: Smallest and largest reported value; infinite where there is no end. A score outside
            is invalid.
        source: Paper and equation.
        departures: Where this implementation differs from its source.
        version: Raised by hand when scores change on purpose.
        needs: What `Output` must hold beside content, style and audio: "rivals", the other styles
            of the run, which then are part of the metric's fingerprint; "target", what the output
            should have been.
    """

    title: str
    direction: Direction
    range: tuple[float, float]
    source: str
    departures: tuple[str, ...] = ()
    version: str = "1"
    needs: tuple[Literal["rivals", "target"], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a catalog.

    A line with a target alone takes everything else from the class, whose module is then imported
    whenever the catalog is listed. A line with `info` says everything itself and imports nothing,
    which keeps lists fast where the module imports a large library.

    Args:
        target: "module:Class".
        info: `MethodInfo` or `MetricInfo`; None takes `INFO`, `describe` and `ENVIRONMENT` of the
            class.
        describe: "module:function" that takes a profile and returns `ProfileInfo`, importable
            without a large library; None beside an `info` means the defaults of `ProfileInfo`.
        environment: Folder of a project with its own lock file, relative to the checkout, in whose
            environment the class runs; None means this environment.
        parameters: "module:Class" of a method's parameters, importable without a large library, so
            that they are checked before that is loaded; None asks the class of the method. Of a
            metric that has settings, such as `cp@music[checkpoint=x.pt]`, the frozen dataclass by
            which they are checked; None says that it has none.
        settings: Of such a metric, what stands in the brackets; of a method, the parameters of role
            "model" that differ from their defaults: `describe` is called with these as further
            keywords, and the class is made with them.
        name: Its whole name with the brackets, under which its scores go; the class is made with it
            too. Empty for all without settings.
    """

    target: str
    info: MethodInfo | MetricInfo | None = None
    describe: str | None = None
    environment: str | None = None
    parameters: str | None = None
    settings: Settings = ()
    name: str = ""
