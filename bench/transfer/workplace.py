"""A passing workplace for a single method: a folder for its output and logs, and its studio."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.api import Progress
from bench.cache import Cache
from bench.data.material import Material
from bench.errors import unbroken, was_asked
from bench.failure import Failure
from bench.plan.plan import Plan
from bench.run.context import RunContext
from bench.run.keys import identity_of
from bench.run.stopwatch import Stopwatch
from bench.run.studio import Studio, open_studio
from bench.weights import quiet_loaders


@dataclass(slots=True)
class Workplace:
    """Where one method works.

    Args:
        folder: Removed in the end, unless something in it is worth a look.
        studio: The method at work.
        kept: Whether the folder stays.
    """

    folder: Path
    studio: Studio
    kept: bool = False

    def told(self) -> list[Path]:
        """The logs in which anything stands: the output of workers, and tracebacks."""
        return [log for log in (self.folder / "logs").iterdir() if log.stat().st_size]

    def failed(self, failure: Failure) -> Failure:
        """A failure with the place of its traceback, where there is one."""
        logs = [f"; its output is in {log}" for log in self.told()]
        return Failure(failure.status, f"{failure.reason}{''.join(logs)}")


@contextmanager
def workplace(
    plan: Plan, device: str, watch: Stopwatch, progress: Progress, files: str
) -> Iterator[Workplace]:
    """Open the studio of the only method of a plan; its worker is ended afterwards.

    Args:
        plan: Of one method.
        device: Where it works.
        watch: Adds up the time of every stage.
        progress: Is told how far it is.
        files: Digest of the files that the parameters name (`bench.run.keys.named_by`).
    """
    place: Workplace | None = None

    def leave(_kind: object, error: BaseException | None, _trace: object) -> None:
        """Remove the folder, unless it says why something failed; whoever stopped it knows that."""
        worth_a_look = place is not None and (place.kept or place.told())
        if was_asked(error) or not worth_a_look:
            with unbroken():
                shutil.rmtree(folder)

    with ExitStack() as ended:
        with unbroken():  # a folder that nothing will remove must not be there for a moment
            folder = Path(tempfile.mkdtemp(prefix="bench-transfer-"))
            ended.push(leave)
        for inside in (folder / "audio", folder / "logs"):
            inside.mkdir()
        place = Workplace(folder, _studio(plan, device, watch, (folder, progress), files))
        ended.callback(place.studio.close)
        yield place


def _studio(
    plan: Plan, device: str, watch: Stopwatch, where: tuple[Path, Progress], files: str
) -> Studio:
    (method,), (folder, progress) = plan.methods, where
    context = RunContext(
        folder=folder,
        cache=Cache.default(),
        material=Material(plan.dataset, plan.splits, None),
        profile=plan.suite.profile,
        device=device,
        watch=watch,
        progress=progress,
    )
    if method.profile.weights:
        quiet_loaders()
    return open_studio(context, method, identity_of(method, context.profile, device, files))
