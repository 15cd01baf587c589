"""Fits that several shards need: one of them learns, the others take it from the cache.

A run without shards learns all styles of a method and repetition in one call, and batched
arithmetic depends in the last digits on what is computed together. So a shard that needs one of
these styles learns all of them, in the same company, and puts them into the cache where the others
find them. While it does, its claim on them lies in the cache, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.api import Json, Progress
from bench.plan.plan import Plan, PlannedMethod
from bench.plugins.kinds import MethodKind
from bench.plugins.parameters import split_parameters
from bench.records.claims import Owner, claimed, holder, take
from bench.records.schema import PlannedCell
from bench.run.keys import Identity, digest


@dataclass(frozen=True, slots=True)
class Company:
    """What one method of a run learns together.

    Args:
        cells: By repetition, the first cell of each style in the whole plan.
        names: By repetition, the name of the claim.
        folder: Where the claims lie.
    """

    cells: Mapping[int, tuple[PlannedCell, ...]]
    names: Mapping[int, str]
    folder: Path

    def claim_of(self, repetition: int) -> Path:
        """The file of the claim on the fits of a repetition."""
        return self.folder / f"{self.names[repetition]}.json"

    def tidy(self) -> None:
        """Remove the claims of processes that died with them."""
        for repetition in self.names:
            path = self.claim_of(repetition)
            claim = take(path) if path.exists() else None
            if claim is not None:
                claim.release()

    def elsewhere(self, repetition: int) -> Owner | None:
        """Who else learns the styles of a repetition at present."""
        return holder(self.claim_of(repetition))

    @contextmanager
    def alone(
        self, cells: Sequence[PlannedCell], progress: Progress
    ) -> Iterator[tuple[PlannedCell, ...]]:
        """Hold the claim on what cells of one repetition need; says so while it waits.

        Yields:
            Cells of all styles that are learnt together.
        """
        repetition = cells[0].repetition
        with claimed(self.claim_of(repetition), lambda owner: progress(0.0, waiting(owner))):
            yield self.cells[repetition]


def waiting(owner: Owner) -> str:
    """What is said while somebody else learns."""
    return f"waits for styles that {owner.words} learns"


def company_of(
    plan: Plan, planned: PlannedMethod, kind: MethodKind, identity: Identity, root: Path
) -> Company:
    """What a method learns together in each repetition of a plan.

    Args:
        plan: The whole plan.
        planned: The method.
        kind: What reads its parameters.
        identity: Its code and weights.
        root: The folder of the cache.
    """
    found: dict[int, dict[str, PlannedCell]] = {}
    for cell in plan.cells:
        if cell.method == planned.choice.label:
            found.setdefault(cell.repetition, {}).setdefault(cell.style, cell)
    suite = plan.suite
    common: list[Json] = [
        identity.name,
        identity.source,
        [*identity.weights],
        identity.device_type,
        suite.profile,
        suite.style_clips,
        suite.duration_s,
        plan.dataset.digest,
    ]

    def name(cells: Mapping[str, PlannedCell]) -> str:
        learnt: dict[str, Json] = {
            style: [dict(split_parameters(kind.parameters(cell.parameters))[0]), cell.fit_seed]
            for style, cell in sorted(cells.items())
        }
        return digest([*common, learnt])

    return Company(
        cells={repetition: tuple(cells.values()) for repetition, cells in found.items()},
        names={repetition: name(cells) for repetition, cells in found.items()},
        folder=root / "claims",
    )
