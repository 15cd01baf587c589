"""What the machine and its Python installation have to offer; torch is imported on a GPU only."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from bench.cache import Cache
from bench.checkout import CHECKOUT
from bench.doctor.findings import Finding

INSTALL = "python -m pip install -c constraints.txt -e ."
OLDEST_PYTHON = (3, 11)
LEAST_MEMORY, LEAST_DISK = 2e9, 500e6  # bytes: a mini run peaks at 1 GB and writes some MB
NVIDIA = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia/version"))


def device() -> list[Finding]:
    """The accelerator that `--device auto` would take."""
    is_apple = sys.platform == "darwin" and platform.machine() == "arm64"
    if not is_apple and not any(path.exists() for path in NVIDIA):
        words = "cpu (no NVIDIA driver here); the full profile would take days on it"
        return [Finding("device", words)]
    from bench.device import resolve_device

    found = resolve_device("auto")
    if found.startswith("cuda"):
        return [Finding("device", _gpu_words())]
    if found == "mps":
        return [Finding("device", "mps (Apple GPU)")]
    pin = pins(CHECKOUT / "constraints.txt").get("torch", "")
    return [
        Finding(
            "device",
            "cpu: an NVIDIA driver is here, but this build of torch sees no GPU",
            "note",
            f"python -m pip install --force-reinstall torch=={pin}",
        )
    ]


def _gpu_words() -> str:
    import torch

    facts = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return ", ".join(
        f"cuda:{number} {fact.name} ({fact.total_memory / 1e9:.0f} GB)"
        for number, fact in enumerate(facts)
    )


def memory() -> list[Finding]:
    """Installed and free memory; in a container, its own limit."""
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    free = _available(Path("/proc/meminfo")) or free
    limit = _limit(Path("/sys/fs/cgroup/memory.max"))
    usable = min(free, limit) if limit else free
    words = f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB of it free"
    if limit and limit < total:
        words += f"; this container may use {limit / 1e9:.1f} GB"
    if usable < LEAST_MEMORY:
        return [
            Finding("memory", words, "note", "close other programs: a mini run needs 1 to 2 GB")
        ]
    return [Finding("memory", words)]


def _available(meminfo: Path) -> int | None:
    """Free memory as Linux counts it, what it would give back included; bytes."""
    if not meminfo.is_file():
        return None
    match = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
    return int(match.group(1)) * 1024 if match else None


def _limit(file: Path) -> int | None:
    words = file.read_text(encoding="ascii").strip() if file.is_file() else "max"
    return int(words) if words.isdigit() else None


def disk(folder: Path) -> list[Finding]:
    """Room for run folders below the present directory."""
    free = shutil.disk_usage(folder).free
    words = f"{free / 1e9:.1f} GB free in {folder}"
    if not os.access(folder, os.W_OK):
        return [Finding("disk", f"{words}, not writable", "note", "name a folder with --out")]
    if free < LEAST_DISK:
        return [Finding("disk", words, "wrong", "free some space, or go to another folder")]
    return [Finding("disk", words)]


def threads() -> list[Finding]:
    """Processors that this process may use, and what limits them further."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    named = [f"{n}={os.environ[n]}" for n in ("OMP_NUM_THREADS",) if n in os.environ]
    said = f", {named[0]}" if named else ""
    return [Finding("threads", f"{usable} of {os.cpu_count()} processors{said}")]


def python() -> list[Finding]:
    """The interpreter."""
    words = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < OLDEST_PYTHON:
        return [Finding("python", words, "wrong", "make install PYTHON=python3.11")]
    return [Finding("python", words)]


def packages(root: Path = CHECKOUT) -> list[Finding]:
    """The packages that pyproject.toml asks for, against the versions in constraints.txt."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tested = pins(root / "constraints.txt")
    found = [_package(line, tested) for line in project["dependencies"]]
    unlike = [finding for finding in found if finding.verdict != "ok"]
    if not unlike:
        return [Finding("packages", f"all {len(found)} as tested (constraints.txt)")]
    return [Finding("packages", f"{len(found) - len(unlike)} of {len(found)} as tested"), *unlike]


def _package(requirement: str, tested: dict[str, str]) -> Finding:
    """Compare what is installed with a line such as "numpy>=2.0" and with the tested version."""
    name, _, least = requirement.partition(">=")
    pin = tested.get(name, "")
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name, "not installed", "wrong", INSTALL)
    if _release(installed) < _release(least):
        return Finding(name, f"{installed}; at least {least} is needed", "wrong", INSTALL)
    if installed.partition("+")[0] != pin:
        return Finding(name, f"{installed}; tested with {pin}", "note", INSTALL)
    return Finding(name, installed)


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version: "2.13.0+cpu" is (2, 13, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def pins(constraints: Path) -> dict[str, str]:
    """Versions by package name."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.strip(): version.strip() for name, _, version in pairs}


def synthesiser() -> list[Finding]:
    """What renders the training corpus and the bundled clips; running needs none of it."""
    from bench.corpus.rendering import SOUNDFONT

    lacking = [] if importlib.util.find_spec("fluidsynth") else ["package pyfluidsynth"]
    lacking += [] if SOUNDFONT.is_file() else [f"soundfont {SOUNDFONT}"]
    if lacking:
        words = f"absent ({', '.join(lacking)}); only rendering the bundled clips again needs it"
        return [Finding("synthesiser", words)]
    return [Finding("synthesiser", "present")]


def cache() -> list[Finding]:
    """The shared cache of fits, outputs and embeddings: where, how large, and whether it works."""
    root = Cache.default().root
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    words = f"{root}: {len(sizes)} entries, {sum(sizes) / 1e6:.1f} MB; safe to delete"
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        mend = "set BENCH_CACHE to a folder that you may write"
        return [Finding("cache", f"{words}; {there} is no writable folder", "wrong", mend)]
    return [Finding("cache", words)]
