"""What all methods and metrics of one run share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import Profile, Progress
from bench.cache import Cache
from bench.data.material import Material
from bench.failure import failure_of, trace_of
from bench.outside.wording import CUT
from bench.plugins.log import add_text
from bench.records.parts import log_file
from bench.run.stopwatch import Stopwatch

if TYPE_CHECKING:
    from bench.run.request import Prepared, RunRequest


@dataclass(frozen=True, slots=True)
class RunContext:
    """What all methods and metrics of one run share.

    Args:
        folder: The run folder; it has the folder `audio`.
        cache: Where fits and outputs are kept for all runs.
        material: The clips of the run.
        profile: Which checkpoints methods and metrics load.
        device: Where they work, such as "cpu" or "cuda:0".
        watch: Adds up the time of every stage.
        progress: Is told how far the run is.
        fit_together: Whether methods of one family learn in one call.
        part: Where this process writes its records and logs, if not in the run folder: a shard has
            a folder of its own (`bench.records.parts`).
    """

    folder: Path
    cache: Cache
    material: Material
    profile: Profile
    device: str
    watch: Stopwatch
    progress: Progress
    fit_together: bool = False
    part: Path | None = None

    @property
    def own_folder(self) -> Path:
        """The folder of the records that this process writes; it has the folder `logs`."""
        return self.folder if self.part is None else self.part

    def log_of(self, name: str) -> Path:
        """The log of a method or metric, for its tracebacks and the output of its worker.

        Args:
            name: Its name in the catalog, or `file.py:Class`. Variants of one method share a log.
        """
        return log_file(self.own_folder, name)

    def keep_traceback(self, name: str, error: BaseException) -> None:
        """Append a traceback to the log of a method or metric; records have one line of it.

        What was declined needs none, unless its reason was too long for the record.
        """
        failure = failure_of(error)
        if failure.status == "unsupported" and not failure.reason.endswith(CUT):
            return
        add_text(self.log_of(name), trace_of(error))


def context_of(
    prepared: Prepared, request: RunRequest, device: str, progress: Progress
) -> RunContext:
    """The context of a run on one of its devices."""
    plan = prepared.plan
    return RunContext(
        folder=prepared.folder.absolute(),  # methods may change the directory while others write
        cache=Cache.default(),
        material=Material(plan.dataset, plan.splits, plan.suite.duration_s),
        profile=plan.suite.profile,
        device=device,
        watch=prepared.watch,
        progress=progress,
        fit_together=request.fit_together,
        part=None if prepared.shard is None else prepared.part,
    )
