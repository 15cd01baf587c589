"""What the note judges share: hearing each sound once, declining, and comparing two hearings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from numpy.typing import NDArray

from bench.api import Json, Metric, Output, Profile, Score, UnsupportedError
from bench.batching import in_parallel
from bench.cache import Cache
from bench.outputs import judge, require_sound
from metrics.pitch import extra
from metrics.pitch.remembered import Remembered

Heard = NDArray[Any]


class PitchMetric(Metric):
    """A comparison of what a model hears in the content and in the output.

    The model runs on the CPU whatever the device, in threads. Without the extra `notes` the metric
    loads, and declines every output with the command that installs it.

    A final class has a `name`, what decides its scores (`settings`), and the four abstract methods;
    those of one model share them in a base class.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._hearing: Remembered | None = None
        self._device = "cpu"

    @staticmethod
    @abstractmethod
    def open_hearing(cache: Cache) -> Remembered:
        """Load the model, which needs the extra."""

    @staticmethod
    @abstractmethod
    def settings() -> Mapping[str, Json]:
        """All that decides a score beside the name: what the hearing depends on, and the rules."""

    @abstractmethod
    def require_heard(self, hearing: Remembered, output: Output) -> None:
        """Refuse what the model cannot hear.

        Raises:
            UnsupportedError: The content, or the style, has nothing to be compared.
        """

    @staticmethod
    @abstractmethod
    def compare(content: Heard, output: Heard) -> float:
        """The score of what was heard in an output, given what was heard in its content."""

    @staticmethod
    def beside(content: Heard, output: Heard) -> Mapping[str, float]:
        """Facts that are kept beside the score; none by default."""
        del content, output
        return {}

    def load(self, profile: Profile, device: str) -> None:
        """Load the model, if the extra is here."""
        self._device = device
        self._hearing = None if extra.lacking() else self.open_hearing(Cache.default())

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """Score each output by itself, in order; sounds are heard together.

        Raises:
            UnsupportedError: The extra is absent.
        """
        hearing = self._require_hearing()
        hearing.of_all(output.content.audio for output in outputs)
        judged = in_parallel(partial(judge, self.name), outputs, self._device)
        pairs = zip(outputs, judged, strict=True)
        verdicts = [self._refusal(hearing, output) or verdict for output, verdict in pairs]
        pairs = zip(outputs, verdicts, strict=True)
        hearing.of_all(output.audio for output, verdict in pairs if verdict is None)
        pairs = zip(outputs, verdicts, strict=True)
        return [verdict or self._compared(hearing, output) for output, verdict in pairs]

    def fingerprint(self) -> Mapping[str, Json]:
        """Metric, rules, model and libraries."""
        return {"metric": self.name, **self.settings()}

    def _require_hearing(self) -> Remembered:
        extra.require()
        if self._hearing is None:
            raise RuntimeError(
                f"metric {self.name!r} is not loaded; call load(profile, device) first."
            )
        return self._hearing

    def _refusal(self, hearing: Remembered, output: Output) -> Score | None:
        """The score where content or style cannot be heard, whatever the output; None elsewhere."""
        try:
            require_sound(output.content.audio, "content")
            self.require_heard(hearing, output)
        except UnsupportedError as refusal:
            return Score(self.name, None, status="unsupported", reason=str(refusal))
        return None

    def _compared(self, hearing: Remembered, output: Output) -> Score:
        content, heard = hearing.of_all([output.content.audio, output.audio])
        value = self.compare(content, heard)
        return Score(self.name, value, value, detail=self.beside(content, heard))
