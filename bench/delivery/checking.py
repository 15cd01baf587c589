"""What can be said of a folder of outputs before it is scored: what is there, and what is wrong.

With a run it is matched with the cells and lengths of that run, from its records alone: neither the
data set nor a model is needed. Without one the folder's own list says what should be there, or, in
a folder without a list, the names of its files do.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.api import RecordError
from bench.delivery.folder import Found, read_folder
from bench.delivery.listing import Place, place_words
from bench.delivery.matching import Delivery, match
from bench.delivery.sounds import look
from bench.outside.wording import one_line, visible
from bench.records.store import Run, load_run


@dataclass(frozen=True, slots=True)
class Checked:
    """A folder of outputs that was looked at.

    Args:
        delivery: Which file is which output.
        faults: What is wrong with a file, in words by its name.
        remarks: What a run would change, or should be known, and of how many files.
    """

    delivery: Delivery
    faults: dict[str, str]
    remarks: dict[str, int]

    @property
    def is_sound(self) -> bool:
        """Whether everything is there and can be scored."""
        return not (self.faults or self.delivery.missing)

    @property
    def lines(self) -> list[str]:
        """What was found, for a reader: everything that is missing, left over or wrong."""
        found, files = self.delivery, len(self.delivery.files)
        total = files + len(found.missing)
        return [
            f"{files} of {total} outputs are there"
            + (f", of which {len(self.faults)} cannot be scored" if self.faults else ""),
            *(f"  not delivered: {place_words(place)}" for place in found.missing),
            *(f"  not asked for: {visible(name)}" for name in found.extra),
            *(f"  {visible(name)}: {one_line(why)}" for name, why in self.faults.items()),
            *(f"  {count} of {files}: {words}" for words, count in sorted(self.remarks.items())),
        ]


def check_folder(place: Path, run: Path | None = None) -> Checked:
    """Look at a folder of outputs and decode every file; nothing is written.

    Args:
        place: The folder, or a list of outputs in it.
        run: The folder of a run whose cells are to be there; None asks the folder itself.

    Raises:
        ConfigError: The folder cannot be used.
        RecordError: The run cannot be read, or plans nothing.
    """
    found = read_folder(place)
    if run is None:
        delivery, lengths = match(found, _own_places(found)), {}
    else:
        loaded = load_run(run)
        delivery, lengths = match(found, planned_places(loaded)), _lengths(loaded)
    faults: dict[str, str] = {}
    remarks: Counter[str] = Counter()
    for (_, content, _), file in delivery.files.items():
        fault, said = look(file, lengths.get(content))
        remarks.update(said)
        if fault is not None:
            faults[file.name] = fault
    return Checked(delivery, faults, dict(remarks))


def planned_places(run: Run) -> list[Place]:
    """The cells of a run without their methods, in the order of its plan, each once.

    Raises:
        RecordError: It plans nothing.
    """
    places = [(cell.style, cell.content, cell.repetition) for cell in run.plan]
    if not places:
        raise RecordError(
            f"{run.folder} has no plan; outputs are asked for by the cells of a run. Name a folder "
            "that `run` has written."
        )
    return list(dict.fromkeys(places))


def _own_places(found: Found) -> list[Place]:
    """What a folder says itself that it holds."""
    if found.listed is not None:
        return [one.place for one in found.listed]
    stems = [name[: -len(Path(name).suffix)].partition("/") for name in found.files]
    return list(dict.fromkeys((style, content, 0) for style, _, content in stems if content))


def _lengths(run: Run) -> dict[str, float]:
    """Seconds of each content, as the run cuts it."""
    longest_s = run.header.duration_s
    known = {
        content: facts["duration_s"]
        for content, facts in run.header.contents.items()
        if facts.get("duration_s") is not None
    }
    return {c: s if longest_s is None else min(s, longest_s) for c, s in known.items()}
