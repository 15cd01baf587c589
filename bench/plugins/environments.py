"""The environments of back ends whose pinned versions contradict those of this project.

A project is a folder with `pyproject.toml` (what the back end needs, and `requires-python`),
`uv.lock` (every version of it) and, where one wants an exact interpreter, `.python-version`. Its
environment lies in the cache under the digest of these files, is built by uv when it is first
needed and stays; another lock makes another environment. The project itself is not installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.api import ConfigError, Entry
from bench.cache import Cache
from bench.checkout import CHECKOUT

FILES = ("pyproject.toml", "uv.lock", ".python-version")
UV_LINE = "pip install -e '.[backends]'"
WHOLE = "bench-complete"  # written last: without it an environment was not finished
# Variables that lead to another environment than the one that a child is started in.
_MISLEADING = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT")
_TAIL_LINES = 3
Say = Callable[[str], object]


def project_of(entry: Entry) -> Path | None:
    """The project that a plug-in runs in, or None for this environment.

    Raises:
        ConfigError: The folder lacks its description or its lock.
    """
    if entry.environment is None:
        return None
    folder = (CHECKOUT / entry.environment).resolve()
    lacking = [name for name in FILES[:2] if not (folder / name).is_file()]
    if lacking:
        raise ConfigError(
            f"{folder} lacks {' and '.join(lacking)}; a back end's environment is described by "
            "both. Write pyproject.toml and run `uv lock` there."
        )
    return folder


def environment_digest(project: Path) -> str:
    """SHA-256 of the files that decide what is installed, 64 hex digits."""
    whole = hashlib.sha256()
    for name in FILES:
        path = project / name
        content = path.read_bytes() if path.is_file() else b""
        whole.update(f"{name}:{len(content)}\n".encode() + content)
    return whole.hexdigest()


def environment_folder(project: Path) -> Path:
    """The folder of a project's environment, whether or not it has been built."""
    digest = environment_digest(project)
    return Cache.default().root / "environments" / f"{project.name}-{digest[:12]}"


def is_built(project: Path) -> bool:
    """Whether the environment has been built completely."""
    return (environment_folder(project) / WHOLE).is_file()


def python_of(project: Path, say: Say) -> Path:
    """The interpreter of a project's environment, which is built first where it is missing.

    Args:
        project: As `project_of` gives it.
        say: Is told in words that the environment is being built.

    Raises:
        ConfigError: uv is missing or cannot build it.
    """
    folder = environment_folder(project)
    if not is_built(project):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("a") as lock:  # others wait and then find it built
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_built(project):
                say(f"building the environment of {project.name}, once, in {folder}")
                _build(project, folder)
    return folder / "bin" / "python"


def child_environment() -> dict[str, str]:
    """The variables of this process without those that lead to its own packages."""
    kept = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def _build(project: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    log = folder.with_suffix(".log")
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(  # noqa: S603 - uv on a project that the user chose
            [_uv(), "sync", "--locked", "--no-dev", "--no-install-project", "--no-progress"],
            cwd=project, env={**child_environment(), "UV_PROJECT_ENVIRONMENT": str(folder)},
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        said = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line]
        raise ConfigError(
            f"the environment of {project.name} cannot be built ({'; '.join(said[-_TAIL_LINES:])}"
            f"); {project / 'uv.lock'} says what it needs. The whole output is in {log}."
        )
    (folder / WHOLE).touch()


def uv_program() -> str | None:
    """The path of uv, in this environment or else on the PATH; None where it is not installed."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv")


def _uv() -> str:
    found = uv_program()
    if found is None:
        raise ConfigError(
            f"uv is not installed; it builds the environments of back ends. Install it: {UV_LINE}"
        )
    return found
