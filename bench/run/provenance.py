"""What a run says about the machine and the software that made it, without secrets or host name."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bench.api import Entry
from bench.checkout import CHECKOUT, INSTALLED
from bench.device import cpu_model, frozen_precision
from bench.outside.wording import one_line
from bench.plugins.inspection import digest_of, is_outside
from bench.plugins.source_digest import home_of
from bench.records.schema import Repository

PACKAGES = (
    *("music-style-bench", "torch", "diffusers", "transformers"),
    *("librosa", "soundfile", "soxr", "numpy", "scipy"),
)


def collect(device: str) -> dict[str, Any]:
    """Versions, commit, processor, threads of this process, and the name of `device`."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_model": cpu_model(),
        "cpu_features": _cpu_features(),
        "cores": os.cpu_count(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "git": {} if INSTALLED else _git(CHECKOUT),  # else that of whoever installed it
        "device": device,
        "precision": frozen_precision(device),
        **_torch_facts(device),
    }


def installed_packages() -> str:
    """Every installed package with its version, one a line, as `pip freeze` lists them.

    A package from a repository has its address, without user and password, and its commit; one from
    a folder or file of this machine says so, without its path. They are listed as they were when
    this process first asked: what is installed later, it need not import.
    """
    return _packages_on(tuple(sys.path))


@lru_cache(maxsize=4)
def _packages_on(path: tuple[str, ...]) -> str:
    found: dict[str, str] = {}
    for package in metadata.distributions(path=list(path)):  # of two of a name, the first
        about = package.metadata  # parsed anew each time that it is asked for
        name = one_line(about["Name"] or "unnamed")
        pinned = f"{name}=={one_line(about['Version'] or 'unknown')}"
        found.setdefault(re.sub("[-_.]+", "-", name).lower(), _requirement(name, pinned, package))
    return "".join(f"{line}\n" for _, line in sorted(found.items()))


def _requirement(name: str, pinned: str, package: metadata.Distribution) -> str:
    try:
        origin = json.loads(package.read_text("direct_url.json") or "null")
        address = urlsplit(str(origin["url"])) if origin else None
        commit = origin["vcs_info"]["commit_id"] if origin and "vcs_info" in origin else None
    except (ValueError, KeyError, TypeError):
        return f"{pinned}  # its origin cannot be read"
    if address is None:
        return pinned
    if address.scheme == "file":
        return f"{pinned}  # from this machine"
    public = urlunsplit(address._replace(netloc=address.netloc.rpartition("@")[2], query=""))
    return one_line(f"{name} @ git+{public}@{commit}" if commit else f"{name} @ {public}")


def packages_file(packages: str) -> dict[str, str]:
    r"""The `file` of a list of packages in a run folder, and the `sha256` of its bytes.

    The name is made of the digest, so that sessions of one run keep a list each where they differ.

    Example:
        >>> packages_file("numpy==2.0\n")["file"]
        'packages-4e6648d7d858.txt'
    """
    digest = hashlib.sha256(packages.encode()).hexdigest()
    return {"file": f"packages-{digest[:12]}.txt", "sha256": digest}


def _cpu_features() -> str:
    """Digest of what the processor can do, 8 hex digits; empty on systems without /proc.

    It tells processors apart that a host calls by one name.
    """
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    decisive = ("cpu family", "model\t", "flags", "Features")
    found = sorted({line for line in lines if line.startswith(decisive)})
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:8] if found else ""


@lru_cache(maxsize=len(PACKAGES))
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def repository(entry: Entry) -> Repository | None:
    """The state of the repository that a plug-in from outside lives in; None for one of ours.

    It has no commit where there is no repository, or where nothing of its folder is kept in it.
    """
    if not is_outside(entry.target):
        return None
    home = home_of(entry.target.rpartition(":")[0])
    kept = _run_git(home, "ls-files", "--", ".")
    return Repository(digest=digest_of(entry)[:12], **(_git(home) if kept else {}))


def _git(folder: Path) -> dict[str, Any]:
    """Commit of a folder's repository and whether it differs from it; empty where there is none."""
    commit = _run_git(folder, "rev-parse", "HEAD")
    dirty = bool(commit and _run_git(folder, "status", "--porcelain"))
    return {"commit": commit, "dirty": dirty} if commit else {}


def _run_git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with literal arguments
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - git is looked up on PATH on purpose
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _torch_facts(device: str) -> dict[str, Any]:
    import torch

    facts: dict[str, Any] = {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(device)
        facts["cuda"] = torch.version.cuda
    return facts
