"""What a run is to do, stage by stage, in units whose cost can be known beforehand.

**Conventions**: a unit is a loading, a style (fit), a second of audio (transfer) or a scored output
(score); sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.api import Json
from bench.counts import Passes
from bench.files import json_digest
from bench.records.rates import Stage


@dataclass(frozen=True, slots=True)
class Subject:
    """A method (or metric) of a run, as the costs of earlier runs are found by.

    Args:
        label: What tables print.
        name: In the catalog.
        version: As it says.
        profile: Of the checkpoints.
    """

    label: str
    name: str
    version: str
    profile: str


@dataclass(frozen=True, slots=True)
class Work:
    """One stage of one method, with one set of parameters.

    Args:
        subject: The method or metric.
        stage: Which.
        units: How many are to be done.
        parameters: Digest of the parameters that decide the cost; empty where none does.
        passes: Of the costly step for each unit.
        disk_bytes: What it will write, where that follows from what is planned.
    """

    subject: Subject
    stage: Stage
    units: float
    parameters: str = ""
    passes: float = 1.0
    disk_bytes: int | None = None

    @property
    def place(self) -> str:
        """The stage as the account of a run names it; all metrics score in one stage.

        Example:
            >>> Work(Subject("tve", "tve", "2", "mini"), "fit", 3).place
            'fit tve'
            >>> Work(Subject("cp", "cp", "1", "mini"), "score", 12).place
            'score'
        """
        return "score" if self.stage == "score" else f"{self.stage} {self.subject.label}"


def fit_digest(fit: Mapping[str, Json]) -> str:
    """Digest of the parameters that decide what a fit costs, 16 hex digits."""
    return json_digest(dict(fit))[:16]


def transfer_digest(fit: Mapping[str, Json], transfer: Mapping[str, Json]) -> str:
    """Digest of the parameters that decide what a transfer costs: what was learnt counts too."""
    return json_digest([dict(fit), dict(transfer)])[:16]


def passes_of_fit(passes: Passes, clips: int) -> float:
    """Passes of the fit of a style with so many clips.

    Example:
        >>> passes_of_fit(Passes(fit=10, fit_per_clip=True), 3)
        30
    """
    return passes.fit * (max(1, clips) if passes.fit_per_clip else 1)
