"""The tasks of a submission as tasks of a Ray cluster.

Ray looks for a machine with the resources that a task asks for, and starts it anew elsewhere where
a machine dies. All machines see the run folder, this program and the data under the same paths.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from bench.api import ConfigError
from bench.checkout import CHECKOUT
from bench.errors import TerminatedError, end_when_asked
from bench.outside.wording import one_line
from bench.submit.locally import POLL_S, Poll
from bench.submit.resources import Resources
from bench.submit.task import PATIENCE_S, Task, run_task, wait_until_closed

RETRIES = 100  # machines that may die under one task; what it has rendered is not lost by it
QUIET_S = 30.0  # without an end of a task, after which the records are asked


def run_on_ray(
    tasks: Sequence[Task],
    resources: Resources,
    address: str | None,
    poll: Poll,
    whole: Callable[[], int | None],
) -> dict[str, int | None]:
    """Run tasks on a Ray cluster and wait for all; they end with this process.

    Args:
        tasks: Ray starts as many at once as it has resources for.
        resources: What each gets.
        address: Of the cluster, such as `auto` or `ray://head:10001`; None for what RAY_ADDRESS
            says, or a cluster of this machine alone.
        poll: Is called every second.
        whole: The exit code of a run that lacks nothing; None while it lacks something. Ray can
            lose sight of a task whose machine dies as it ends: the records tell that it has ended.

    Returns:
        The exit code of each by its name; None where Ray gave it up.

    Raises:
        ConfigError: The cluster cannot be reached.
    """
    import ray
    from ray.exceptions import RayError

    with _connected(address, tasks):
        # A task is its process: what the machine lends to it is free when that has ended.
        remote = ray.remote(**_demand(resources))(run_task)
        left = {remote.remote(task): task.name for task in tasks}
        ended: dict[str, int | None] = {}
        quiet_since = time.monotonic()
        while left:
            done, _ = ray.wait(list(left), num_returns=len(left), timeout=POLL_S)
            for reference in done:
                name = left.pop(reference)
                try:
                    ended[name] = ray.get(reference)
                except RayError:
                    ended[name] = None
            poll(len(ended))
            if done or time.monotonic() - quiet_since > QUIET_S:
                quiet_since = time.monotonic()
                code = None if done else whole()
                if code is not None:
                    return ended | dict.fromkeys(left.values(), code)
    return ended


def _demand(resources: Resources) -> dict[str, object]:
    """What a task asks of Ray."""
    memory = resources.memory_gb
    return {
        "num_cpus": resources.cpus or 1,
        "num_gpus": resources.gpus,
        "max_retries": RETRIES,
        "max_calls": 1,
        **({} if memory is None else {"memory": int(memory * 1024**3)}),
    }


@contextmanager
def _connected(address: str | None, tasks: Sequence[Task]) -> Iterator[None]:
    """Be connected to a cluster for a block; tasks that are at work then end with it."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}}
    try:
        _require_listener(address or "")
        ray.init(
            address=address, runtime_env=environment, log_to_driver=False, logging_level="ERROR"
        )
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the Ray cluster at {address or 'RAY_ADDRESS'} cannot be used "
            f"({one_line(error, 300)}); its tasks are to run there. Start one with `ray start "
            "--head`, or name another with --address."
        ) from error
    terminated = _note_sigterm()
    try:
        yield
    except KeyboardInterrupt as asked:
        if terminated:
            raise TerminatedError from asked
        raise
    finally:
        ray.shutdown()
        wait_until_closed(tasks)


def _require_listener(address: str) -> None:
    """Ask whether anybody listens at a plain address: where nobody does, Ray ends this process."""
    host, _, port = address.rpartition(":")
    if re.fullmatch(r"[\w.-]+", host) and re.fullmatch(r"\d{1,5}", port, re.ASCII):
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()


def _note_sigterm() -> list[int]:
    """Let a SIGTERM end this process as elsewhere; the list tells afterwards whether one came.

    Ray has put a handler of its own in the place of ours, and turns what a handler raises while it
    waits into a plain `KeyboardInterrupt`.
    """
    end_when_asked()
    ours = signal.getsignal(signal.SIGTERM)
    came: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if callable(ours):
            ours(number, frame)

    signal.signal(signal.SIGTERM, handle)
    return came
