"""A method and a metric that need a `tabulate` which no other part of the benchmark could use.

What they do beside their work is asked for by the parameter `how`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.api import (
    Audio,
    Direction,
    FitRequest,
    Json,
    Metric,
    MetricInfo,
    Output,
    Profile,
    Progress,
    Score,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)

ENVIRONMENT = "project"  # beside this file, wherever the test has put both


def halve(waveform: np.ndarray) -> np.ndarray:
    """What only the old library can do."""
    import tabulate

    return np.asarray(tabulate.half(waveform), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Manners:
    """What goes wrong with the content low1; `factors` shows that a tuple stays one."""

    how: str = field(default="", metadata={"role": "transfer"})
    factors: tuple[float, ...] = field(default=(1.0, 1.0), metadata={"role": "fit"})


class Olden(StyleTransferMethod[Manners]):
    """Halves the content, and says where it did so."""

    ENVIRONMENT: ClassVar[str] = ENVIRONMENT

    def load(self, profile: Profile, device: str) -> None:
        if "TOY_NOTES" in os.environ:
            import tabulate

            facts = f"{sys.prefix}\n{tabulate.__version__}\n{'torch' in sys.modules}\n"
            (Path(os.environ["TOY_NOTES"]) / "place").write_text(facts, encoding="utf-8")

    def fit(self, requests: Sequence[FitRequest[Manners]], progress: Progress) -> list[StyleState]:
        progress(0.5, "half way")
        return [self._learn(request) for request in requests]

    def _learn(self, request: FitRequest[Manners]) -> StyleState:
        if not isinstance(request.parameters, Manners) or request.style.heldout_clips:
            raise TypeError("not what the contract promises")
        factors = np.asarray((*request.parameters.factors, 2.0))
        return StyleState({"factors": factors}, {"style": request.style.id, "none": None})

    def transfer(self, requests: Sequence[TransferRequest[Manners]]) -> list[Audio]:
        return [self._render(request) for request in requests]

    def _render(self, request: TransferRequest[Manners]) -> Audio:
        manners, audio = request.parameters, request.content.audio
        if request.content.id == "low1" and isinstance(manners, Manners):
            misbehave(manners.how)
        return Audio(halve(audio.waveform), audio.sample_rate)


def misbehave(how: str) -> None:
    """Print, die or hang; a hanging one has a child that hangs too."""
    if how == "noise":
        sys.stdout.write('{"number": 0, "kind": "done", "value": null}\n' * 1000)
        sys.stdout.flush()
        os.write(1, b"\xff\xfe not even text\n")
    elif how == "exit":
        os._exit(3)
    elif how == "raise":
        raise RuntimeError("old and tired")
    elif how == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (Path(os.environ["TOY_NOTES"]) / "child").write_text(str(child.pid), encoding="utf-8")
        time.sleep(600)


class OldenLevel(Metric):
    """Half of the peak; dies of outputs that are silent."""

    ENVIRONMENT: ClassVar[str] = ENVIRONMENT
    INFO = MetricInfo("Half peak", Direction.MAXIMIZE, (0.0, 1.0), "tests of back ends")

    def load(self, profile: Profile, device: str) -> None:
        pass

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        peaks = [float(np.abs(halve(output.audio.waveform)).max()) for output in outputs]
        if 0.0 in peaks:
            os._exit(4)
        return [Score("half", peak, peak) for peak in peaks]

    def fingerprint(self) -> Mapping[str, Json]:
        import tabulate

        return {"version": "1", "tabulate": tabulate.__version__}
