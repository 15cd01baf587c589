"""What the doctor finds out about the machine; torch is imported only where there is a GPU."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from pathlib import Path

from bench.checkout import CHECKOUT
from bench.doctor.findings import Finding
from bench.doctor.software import pins

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
            f"python -m pip install --force-reinstall torch{pin and f'=={pin}'}",
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
    """Free memory in bytes as Linux counts it, with what it would give back."""
    if not meminfo.is_file():
        return None
    match = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="ascii"))
    return int(match.group(1)) * 1024 if match else None


def _limit(file: Path) -> int | None:
    words = file.read_text(encoding="ascii").strip() if file.is_file() else "max"
    return int(words) if words.isdigit() else None


def disk(folder: Path) -> list[Finding]:
    """Free space for run folders below a folder."""
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
