"""A method that lets a test look on while it is at work: in this process alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType

from bench.api import (
    Audio,
    FitRequest,
    NoParameters,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)

_SHARED = sys.modules.setdefault("patient_calls", ModuleType("patient_calls"))
# Called in each transfer; one list for all imports of this file, of which a run makes its own.
AT_WORK: list[Callable[[], None]] = _SHARED.__dict__.setdefault("at_work", [])


class Patient(StyleTransferMethod[NoParameters]):
    """Copies the content, when whoever looks on has seen enough."""

    def load(self, profile: Profile, device: str) -> None:
        pass

    def fit(
        self, requests: Sequence[FitRequest[NoParameters]], progress: Progress
    ) -> list[StyleState]:
        return [StyleState() for _ in requests]

    def transfer(self, requests: Sequence[TransferRequest[NoParameters]]) -> list[Audio]:
        for look in AT_WORK:
            look()
        return [request.content.audio for request in requests]
