"""A metric from outside that counts what it was given beside content, style and output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.api import Direction, Json, Metric, MetricInfo, Output, Profile, Score


class _Counting(Metric):
    name = ""

    def load(self, profile: Profile, device: str) -> None:
        pass

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        return [
            Score(
                self.name,
                float(len(output.rivals)),
                detail={"rivals": ",".join(rival.id for rival in output.rivals), "last": False},
            )
            for output in outputs
        ]

    def fingerprint(self) -> Mapping[str, Json]:
        return {"metric": self.name, "version": "1"}


class Among(_Counting):
    """Needs the other styles of the run."""

    name = "among"
    INFO = MetricInfo("Among", Direction.MAXIMIZE, (0.0, 9.0), "a test", needs=("rivals",))


class Alone(_Counting):
    """Does not ask for them."""

    name = "alone"
    INFO = MetricInfo("Alone", Direction.MAXIMIZE, (0.0, 9.0), "a test")
