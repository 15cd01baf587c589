"""The doctor's report: what is present, what is missing, and what fixes it, before anything is run.

A doctor reports and never fails: a question that cannot be answered is a line of the report.
Nothing here loads a model, and torch is imported only where a GPU may be present; except for the
reference values of the metrics (`bench.doctor.scores`), which are looked at on request.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.checkout import COMMAND
from bench.doctor import checkpoints, machine, software
from bench.doctor.findings import Finding, ask, listed

SCHEMA_VERSION = 1  # of the JSON; raised when a key changes its meaning or goes
SCORES = "reference values of the metrics"


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
        return not any(self._wrong(heading) for heading in self.sections if heading != SCORES)

    @property
    def scores_hold(self) -> bool:
        """Whether no metric was found to give other scores than its reference values."""
        return not self._wrong(SCORES)

    def _wrong(self, heading: str) -> list[Finding]:
        return [f for f in self.sections.get(heading, ()) if f.severity == "wrong"]

    @property
    def text(self) -> str:
        """The whole report."""
        parts = [f"{heading}\n{listed(found)}" for heading, found in self.sections.items()]
        return "\n\n".join([*parts, self._conclusion()])

    @property
    def problems(self) -> str:
        """The report without what is well and what is only worth knowing; empty if all is well."""
        found = [finding for heading in self.sections for finding in self._wrong(heading)]
        return f"{listed(found)}\n\n{self._conclusion()}" if found else ""

    @property
    def json(self) -> str:
        """The report as JSON.

        `schema_version`, `mini_can_run`, `scores_hold` (null where nobody asked), and `findings`,
        each with `section`, `topic`, `text`, `severity` ("ok", "note" or "wrong") and `fix`.
        """
        found = [
            {"section": heading, **asdict(finding)}
            for heading, findings in self.sections.items()
            for finding in findings
        ]
        known = self.scores_hold if SCORES in self.sections else None
        facts = {"mini_can_run": self.mini_can_run, "scores_hold": known}
        answer = {"schema_version": SCHEMA_VERSION, **facts, "findings": found}
        return json.dumps(answer, indent=1)

    def _conclusion(self) -> str:
        wrong = [f for heading in self.sections for f in self._wrong(heading)]
        if not wrong:
            return f"The mini profile can run: {COMMAND} run --suite mini"
        first = f"First: {wrong[0].fix} ({wrong[0].topic})"
        if self.mini_can_run:
            return f"The mini profile can run, but scores here compare with no others. {first}"
        return f"The mini profile cannot run. {first}"


def diagnose(*, scores: bool = False) -> Diagnosis:
    """Look at the machine, the packages, the cache and the checkpoints of both profiles.

    Args:
        scores: Also score frozen sounds with every metric, which loads the models of the mini
            profile and takes some seconds.
    """
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
                *ask("extra notes", software.note_judges),
                *ask("cache", software.cache),
            ],
            "checkpoints of profile mini": ask("checkpoints", checkpoints.mini_checkpoints),
            "checkpoints of profile full": ask("checkpoints", checkpoints.full_checkpoints),
            "back ends in environments of their own": ask("back ends", software.back_ends),
            **({SCORES: _scores()} if scores else {}),
        }
    )


def _scores() -> list[Finding]:
    from bench.doctor.scores import reference_values

    return ask("scores", reference_values)
