"""What is here, what is missing and what mends it, before anything is run.

A doctor reports and never fails: a question that cannot be answered is a line of the report.
Nothing here loads a model, and torch is imported only where a GPU may be present.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import BenchError, Profile, ProfileInfo
from bench.checkout import CHECKOUT
from bench.doctor import machine
from bench.doctor.findings import Finding, ask, listed
from bench.weights import HubCheckpoint, fetch_line

FULL_SUITE = "table2"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The report, by section.

    Attributes:
        sections: Findings under their headings.
    """

    sections: dict[str, list[Finding]]

    @property
    def mini_can_run(self) -> bool:
        """Whether nothing stands in the way of the mini profile."""
        return all(f.verdict != "wrong" for part in self.sections.values() for f in part)

    @property
    def text(self) -> str:
        """The whole report."""
        parts = [f"{heading}\n{listed(found)}" for heading, found in self.sections.items()]
        return "\n\n".join([*parts, self._conclusion()])

    def _conclusion(self) -> str:
        wrong = [f for part in self.sections.values() for f in part if f.verdict == "wrong"]
        if not wrong:
            return "The mini profile can run: python -m bench run --suite mini"
        return f"The mini profile cannot run. First: {wrong[0].mend} ({wrong[0].topic})"


def diagnose() -> Diagnosis:
    """Look at the machine, the packages, the cache and the checkpoints of both profiles."""
    return Diagnosis(
        {
            "machine": [
                *ask("device", machine.device),
                *ask("memory", machine.memory),
                *ask("disk", lambda: machine.disk(Path.cwd())),
                *ask("threads", machine.threads),
            ],
            "software": [
                *ask("python", machine.python),
                *ask("packages", machine.packages),
                *ask("synthesiser", machine.synthesiser),
                *ask("cache", machine.cache),
            ],
            "checkpoints of profile mini": ask("checkpoints", mini_checkpoints),
            "checkpoints of profile full": ask("checkpoints", full_checkpoints),
            "back ends in environments of their own": ask("back ends", back_ends),
        }
    )


@dataclass(slots=True)
class Needed:
    """Weights by name, with the methods and metrics that load them."""

    profile: ProfileInfo
    users: list[str]


def needed(profile: Profile) -> dict[str, Needed]:
    """Every checkpoint that a method or metric of the catalogs loads in a profile, by its name."""
    from bench.plugins.catalog import describe, methods, metrics

    found: dict[str, Needed] = {}
    for name, entry in {**methods(), **metrics()}.items():
        info = describe(entry, profile)
        for weights in info.weights:
            found.setdefault(weights, Needed(info, [])).users.append(name)
    return found


def mini_checkpoints() -> list[Finding]:
    """The folders of this checkout: whether they are whole, their size, licence and users."""
    lost = deleted(CHECKOUT)
    return [
        folder_finding(
            name, CHECKOUT / name, held, [path for path in lost if path.startswith(name)]
        )
        for name, held in needed("mini").items()
    ]


def folder_finding(name: str, folder: Path, held: Needed, lost: Sequence[str]) -> Finding:
    """Whether a checkpoint folder is whole.

    Args:
        name: How the folder is called in the checkout.
        folder: Where it lies.
        held: Who needs it.
        lost: Files of it that were committed and are gone.
    """
    faults = [f"{path} is gone" for path in lost] or list(broken(folder))
    if faults:
        users = f"needed by {', '.join(held.users)}"
        return Finding(name, f"{faults[0]}; {users}", "wrong", f"git checkout -- {name}")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    words = f"{size / 1e6:.1f} MB, {held.profile.licence}; {', '.join(held.users)}"
    return Finding(name, words)


def broken(folder: Path) -> Iterator[str]:
    """What is wrong with the weights in a folder, as far as their heads tell."""
    weights = sorted(folder.rglob("*.safetensors"))
    if not weights:
        yield f"{folder} holds no weights"
    for path in weights:
        size, promised = path.stat().st_size, _promised_bytes(path)
        if promised is None:
            yield f"{path.name} ({size} bytes) is no weights file"
        elif promised != size:
            yield f"{path.name} has {size} bytes, its head promises {promised}"


def _promised_bytes(path: Path) -> int | None:
    """The size of a safetensors file by its own head: 8 bytes, a JSON table, the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            return None
        try:
            table: dict[str, dict[str, list[int]]] = json.loads(file.read(length))
        except ValueError:
            return None
    ends = [entry["data_offsets"][1] for key, entry in table.items() if key != "__metadata__"]
    return 8 + length + max(ends, default=0)


def deleted(root: Path) -> list[str]:
    """Files that are committed and not there; none where this is no git checkout."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with literal arguments
            ["git", "-C", str(root), "ls-files", "--deleted"],  # noqa: S607 - git is looked up on PATH on purpose
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def full_checkpoints() -> list[Finding]:
    """The hub checkpoints: whether they are in the local cache, size, licence, users, and fetching.

    Their absence stops nothing in the mini profile.
    """
    from bench.plan.needed import checkpoints_of_suite
    from bench.plan.suite import load_suite
    from bench.plugins.checkpoints import checkpoint_table

    by_name = {checkpoint.name: checkpoint for checkpoint in checkpoint_table().values()}
    wanted = needed("full")
    found = [
        _hub_finding(by_name[name], held)
        if name in by_name
        else Finding(name, f"a folder of yours; {', '.join(held.users)}")
        for name, held in wanted.items()
    ]
    lacking = {n for n, f in zip(wanted, found, strict=True) if f.verdict != "ok"}
    suite = checkpoints_of_suite(load_suite(FULL_SUITE))
    absent = [checkpoint.bytes for checkpoint in suite if checkpoint.name in lacking]
    if absent:
        words = f"{len(absent)} to fetch, {sum(absent) / 1e9:.1f} GB"
        found.append(Finding(f"for {FULL_SUITE}", words, "note", fetch_line(FULL_SUITE)))
    return found


def _hub_finding(checkpoint: HubCheckpoint, held: Needed) -> Finding:
    from bench.weights import is_here

    words = f"{checkpoint.bytes / 1e9:.1f} GB, {checkpoint.licence}; {', '.join(held.users)}"
    mend = fetch_line(checkpoint.title)
    try:
        if is_here(checkpoint):
            return Finding(checkpoint.title, f"present, {words}")
    except BenchError as error:
        return Finding(checkpoint.title, str(error), "note", mend)
    return Finding(checkpoint.title, f"absent, {words}", "note", mend)


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
        else Finding(project.name, f"not built, the first run does; {', '.join(names)}", "note")
        for project, names in users.items()
    ]
    if uv_program() is None:
        found.append(Finding("uv", "builds them and is absent", "note", UV_LINE))
    return found
