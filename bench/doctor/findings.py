"""What the doctor says about one topic, and how it asks without ever failing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.outside.wording import one_line

Severity = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Args:
        topic: The topic in a word or two.
        text: What was found.
        severity: "ok"; "note" for what is worth knowing but does not prevent a run of the mini
            profile; "wrong" for what prevents it.
        fix: The command, or the action, that fixes it.
    """

    topic: str
    text: str
    severity: Severity = "ok"
    fix: str = ""


def ask(topic: str, question: Callable[[], Sequence[Finding]]) -> list[Finding]:
    """Ask a question; that it cannot be answered is a finding too."""
    try:
        return list(question())
    except Exception as error:  # noqa: BLE001 - a doctor reports what it cannot find out
        why = f"{type(error).__name__}: {one_line(error)}"
        return [Finding(topic, f"could not be found out ({why})", "note")]


def listed(findings: Sequence[Finding]) -> str:
    """Findings one below the other, each with its fix under it.

    Example:
        >>> print(listed([Finding("disk", "1 MB free", "wrong", "free some space")]))
          wrong  disk  1 MB free
                       -> free some space
    """
    width = max((len(finding.topic) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"  {finding.severity:<5}  {finding.topic:<{width}}  {finding.text}")
        if finding.fix:
            lines.append(f"{'':<{width + 11}}-> {finding.fix}")
    return "\n".join(lines)
