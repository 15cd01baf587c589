"""What the doctor says about one thing, and asking without ever failing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Args:
        topic: What it is about, in a word or two.
        text: What was found.
        verdict: "ok"; "note" is worth knowing and stops nothing in the mini profile; "wrong" stops
            it.
        mend: The one command, or deed, that mends it.
    """

    topic: str
    text: str
    verdict: Verdict = "ok"
    mend: str = ""


def ask(topic: str, question: Callable[[], Sequence[Finding]]) -> list[Finding]:
    """Ask a question; an answer that cannot be had is a finding too."""
    try:
        return list(question())
    except Exception as error:  # noqa: BLE001 - a doctor reports what it cannot find out
        why = f"{type(error).__name__}: {error}"
        return [Finding(topic, f"could not be found out ({why})", "note")]


def listed(findings: Sequence[Finding]) -> str:
    """Findings one below the other; what mends one stands under it.

    Example:
        >>> print(listed([Finding("disk", "1 MB free", "wrong", "free some space")]))
          wrong  disk  1 MB free
                       -> free some space
    """
    width = max((len(finding.topic) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"  {finding.verdict:<5}  {finding.topic:<{width}}  {finding.text}")
        if finding.mend:
            lines.append(f"{'':<{width + 11}}-> {finding.mend}")
    return "\n".join(lines)
