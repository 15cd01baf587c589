"""The doctor's report: what is present, what is missing, and what fixes it, before anything is run.

A doctor reports and never fails: a question that cannot be answered is a line of the report.
Nothing here loads a model, and torch is imported only where a GPU may be present.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.doctor import checkpoints, machine, software
from bench.doctor.findings import Finding, ask, listed


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The report, by section.

    Attributes:
        sections: Findings under their headings.
    """

    sections: dict[str, list[Finding]]

    @property
    def mini_can_run(self) -> bool:
        """Whether nothing prevents the mini profile from running."""
        return all(f.severity != "wrong" for part in self.sections.values() for f in part)

    @property
    def text(self) -> str:
        """The whole report."""
        parts = [f"{heading}\n{listed(found)}" for heading, found in self.sections.items()]
        return "\n\n".join([*parts, self._conclusion()])

    def _conclusion(self) -> str:
        wrong = [f for part in self.sections.values() for f in part if f.severity == "wrong"]
        if not wrong:
            return "The mini profile can run: python -m bench run --suite mini"
        return f"The mini profile cannot run. First: {wrong[0].fix} ({wrong[0].topic})"


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
                *ask("python", software.python),
                *ask("packages", software.packages),
                *ask("synthesiser", software.synthesiser),
                *ask("cache", software.cache),
            ],
            "checkpoints of profile mini": ask("checkpoints", checkpoints.mini_checkpoints),
            "checkpoints of profile full": ask("checkpoints", checkpoints.full_checkpoints),
            "back ends in environments of their own": ask("back ends", software.back_ends),
        }
    )
