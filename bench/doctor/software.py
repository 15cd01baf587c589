"""What the doctor finds out about Python, the packages, the cache and the back ends."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from bench.cache import Cache
from bench.checkout import CHECKOUT, INSTALL, extra_line
from bench.doctor.findings import Finding

OLDEST_PYTHON = (3, 11)


def python() -> list[Finding]:
    """The interpreter."""
    words = f"{platform.python_version()} in {sys.prefix}"
    if sys.version_info < OLDEST_PYTHON:
        return [Finding("python", words, "wrong", "make install PYTHON=python3.11")]
    return [Finding("python", words)]


def packages(root: Path = CHECKOUT) -> list[Finding]:
    """The packages that are asked for, against the versions in constraints.txt if that is here."""
    tested = pins(root / "constraints.txt")
    found = [_package(line, tested) for line in _needed(root)]
    unlike = [finding for finding in found if finding.severity != "ok"]
    if not unlike:
        words = "as tested (constraints.txt)" if tested else "new enough"
        return [Finding("packages", f"all {len(found)} {words}")]
    return [Finding("packages", f"{len(found) - len(unlike)} of {len(found)} as tested"), *unlike]


def _needed(root: Path) -> list[str]:
    """What pyproject.toml asks for; where there is none, what the installed package asks for."""
    path = root / "pyproject.toml"
    if path.is_file():
        asked: list[str] = tomllib.loads(path.read_text("utf-8"))["project"]["dependencies"]
        return asked
    lines = metadata.requires("music-style-bench") or []
    return [line for line in lines if "extra ==" not in line]


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
    if tested and installed.partition("+")[0] != pin:
        return Finding(name, f"{installed}; tested with {pin}", "note", INSTALL)
    return Finding(name, installed)


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version: "2.13.0+cpu" is (2, 13, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def pins(constraints: Path) -> dict[str, str]:
    """Versions by package name; none where there is no such file, as in a wheel."""
    if not constraints.is_file():
        return {}
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("==") for line in lines if "==" in line and not line.startswith("#"))
    return {name.strip(): version.strip() for name, _, version in pairs}


def synthesiser() -> list[Finding]:
    """The software that renders the training corpus and the bundled clips; a run needs none."""
    from bench.corpus.synthesiser import FLUID_R3

    lacking = [] if importlib.util.find_spec("fluidsynth") else ["package pyfluidsynth"]
    lacking += [] if FLUID_R3.path.is_file() else [f"soundfont {FLUID_R3.path}"]
    if lacking:
        words = f"absent ({', '.join(lacking)}); only rendering the bundled clips again needs it"
        return [Finding("synthesiser", words)]
    return [Finding("synthesiser", "present")]


def note_judges() -> list[Finding]:
    """The libraries by which the metrics `notes` and `melody` hear; a run does without."""
    lacking = [name for name in ("onnxruntime", "swift_f0") if not importlib.util.find_spec(name)]
    if lacking:
        words = f"absent ({', '.join(lacking)}); the metrics notes and melody are n/a"
        return [Finding("extra notes", words, "note", extra_line("notes"))]
    return [Finding("extra notes", "present")]


def cache() -> list[Finding]:
    """The shared cache of fits, outputs and embeddings: where, how large, and whether it works."""
    root = Cache.default().root
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file()]
    words = f"{root}: {len(sizes)} entries, {sum(sizes) / 1e6:.1f} MB; safe to delete"
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        fix = "set BENCH_CACHE to a folder that you may write to"
        return [Finding("cache", f"{words}; {there} is not a writable folder", "wrong", fix)]
    return [Finding("cache", words)]


def back_ends() -> list[Finding]:
    """The environments that back ends need: whether they are built. The mini profile needs none."""
    from bench.plugins.catalog import methods, metrics
    from bench.plugins.environments import (
        UV_LINE,
        environment_folder,
        is_built,
        project_of,
        uv_program,
    )

    users: dict[Path, list[str]] = {}
    for name, entry in {**methods(), **metrics()}.items():
        project = project_of(entry)
        if project is not None:
            users.setdefault(project, []).append(name)
    found = [
        Finding(project.name, f"built in {environment_folder(project)}; {', '.join(names)}")
        if is_built(project)
        else Finding(project.name, f"not built yet: the first run does; {', '.join(names)}", "note")
        for project, names in users.items()
    ]
    if uv_program() is None:
        found.append(Finding("uv", "builds these environments and is absent", "note", UV_LINE))
    return found
