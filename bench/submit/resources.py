"""What a task asks of a cluster, and what is said where its library is not installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.api import ConfigError
from bench.checkout import INSTALLED

LIBRARIES = {"slurm": "submitit", "ray": "ray"}  # by extra, which is called as the executor


@dataclass(frozen=True, slots=True)
class Resources:
    """What each task gets.

    Args:
        cpus: Processor cores; None for what the cluster gives.
        gpus: GPUs, 0 or 1: a shard works on one device.
        memory_gb: Memory in GiB; None for what the cluster gives.
        minutes: The longest time of a task; None where there is no limit.
        partition: The partition of a Slurm cluster; None for its default.
        more: Further options of `sbatch`, by name.
    """

    cpus: int | None = None
    gpus: int = 0
    memory_gb: float | None = None
    minutes: int | None = None
    partition: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)


def require_library(executor: str) -> None:
    """Refuse to begin without the library of an executor.

    Raises:
        ConfigError: It is not installed.
    """
    library = LIBRARIES.get(executor)
    if library is not None and importlib.util.find_spec(library) is None:
        raise ConfigError(
            f"{library} is not installed; --executor {executor} hands the tasks over with it. "
            f"Install the extra: {install_line(executor)}"
        )


def install_line(extra: str) -> str:
    """The command that installs an extra."""
    if INSTALLED:
        return f'python -m pip install "music-style-bench[{extra}]"'
    return f'python -m pip install -c constraints.txt -e ".[{extra}]"'
