"""What the gate found: as a table, as JUnit XML for a CI page, and as JSON for programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from xml.sax.saxutils import quoteattr

from bench.api import RecordError
from bench.checkout import COMMAND
from bench.gate import cost
from bench.gate.judge import judge as judge_snapshot
from bench.gate.power import Foreseen, foresee
from bench.gate.reach import NOTHING
from bench.gate.snapshot import Snapshot, read_snapshot, snapshot, with_ranges, write_snapshot
from bench.gate.verdict import Lane, Verdict, Word, exit_code, outcome
from bench.outside.wording import one_line, visible
from bench.records.benchmarks import Benchmark, read_benchmarks
from bench.records.integrity import require_judgeable
from bench.records.store import Run, load_run
from reports.tables.controls import control_order
from reports.text.result_table import Column, Estimate, ResultTable, Row, Value

ORDER: tuple[Word, ...] = (
    "regressed",
    "changed",
    "incomparable",
    "blind",
    "inconclusive",
    "improved",
    "equivalent",
)
ERRORS: frozenset[Word] = frozenset({"incomparable", "blind"})  # nothing can be said
NOTES = (
    "delta: candidate - baseline towards better [95 % interval]; for time and memory their ratio",
    "would find: the smallest drop that would have been found in 4 of 5 cases",
    "regressed: beyond the margin and beyond chance, Holm over all methods, metrics and styles",
    "blind: a drop that the suite asks for could not have been found ([gate] least_drop)",
    "a style has a row of its own where it regressed; verdicts.json has all",
    "advisory verdicts never fail the gate",
)
COLUMNS = (
    Column("verdict", "Verdict", text=True),
    Column("lane", "Lane", text=True),
    Column("method", "Method", text=True),
    Column("subject", "Subject", text=True),
    Column("delta", "Delta", decimals=3),
    Column("p", "p (Holm)", decimals=3),
    Column("detectable", "Would find", decimals=3),
    Column("reason", "Reason", text=True),
)


def write_baseline(
    folder: Path,
    reason: str,
    out: Path,
    benchmarks: Path | None = None,
    *,
    records_only: bool = False,
) -> Snapshot:
    """Keep a run as the baseline of later gates, and return it.

    Args:
        folder: The run folder.
        reason: Why these numbers are accepted.
        out: The JSON file to write; an existing one is replaced.
        benchmarks: A file of pytest-benchmark to keep with it.
        records_only: Do not compare the audio with its records.

    Raises:
        RecordError: The folder holds no run, the reason is empty, cells have not run, scores of
            one metric were made by different measures, or the run is not what was written.
    """
    run = load_run(folder)
    require_judgeable(run, records_only=records_only)
    waiting = [cell for cell in run.plan if cell.cell_id not in run.cells]
    if waiting or not run.plan:
        raise RecordError(
            f"run {folder} has {len(waiting)} of {len(run.plan)} cells not run; a baseline needs "
            f"a finished run. Resume it with `{COMMAND} run --out`."
        )
    kept = _snapshot(run, benchmarks, reason)
    write_snapshot(out, kept)
    return kept


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a gate says about a candidate.

    Args:
        candidate: The run that was judged.
        baseline: What it was judged by.
        verdicts: The verdicts, those that fail the gate first.
        foreseen: The drops that the gate would find if all noise were drawn anew.
    """

    candidate: Snapshot
    baseline: Snapshot
    verdicts: tuple[Verdict, ...]
    foreseen: tuple[Foreseen, ...]

    @property
    def code(self) -> int:
        """The exit code of the gate."""
        return exit_code(self.verdicts)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a run is to be judged.

    Args:
        advisory: Lanes that only inform.
        least_drop: What is asked of a lane; by default what the suite of the run says.
        records_only: Do not compare the audio with its records.
    """

    advisory: Collection[Lane] = ()
    least_drop: float | None = None
    records_only: bool = False


BY_DEFAULT = Terms()


def judge(
    folder: Path, baseline: Path, benchmarks: Path | None = None, terms: Terms = BY_DEFAULT
) -> Judgement:
    """Judge a run folder, and timed functions if given, by a baseline file.

    Args:
        folder: The run.
        baseline: What it is judged by.
        benchmarks: A file of pytest-benchmark of the candidate.
        terms: How it is judged.

    Raises:
        RecordError: The run, the baseline or a file with them is missing, cannot be read, or is
            not what was written.
    """
    known, run = read_snapshot(baseline), load_run(folder)
    require_judgeable(run, records_only=terms.records_only)
    candidate = _snapshot(run, benchmarks)
    asked = candidate.least_drop if terms.least_drop is None else terms.least_drop
    verdicts = judge_snapshot(candidate, known, least_drop=asked)
    if known.benchmarks and benchmarks is not None:
        verdicts += cost.benchmark_verdicts(candidate.benchmarks, known.benchmarks)
    foreseen = foresee(with_ranges(known, candidate), least_drop=asked)
    return Judgement(candidate, known, with_advisory(verdicts, terms.advisory), tuple(foreseen))


def with_advisory(verdicts: Sequence[Verdict], lanes: Collection[Lane]) -> tuple[Verdict, ...]:
    """The verdicts, with those of some lanes advisory; what fails the gate comes first."""
    given = [replace(v, advisory=True) if v.lane in lanes else v for v in verdicts]
    return tuple(sorted(given, key=lambda verdict: (verdict.advisory, ORDER.index(verdict.word))))


def _snapshot(run: Run, benchmarks: Path | None, reason: str = "") -> Snapshot:
    timed: list[Benchmark] = read_benchmarks(benchmarks) if benchmarks else []
    violations = control_order(run)
    return snapshot(run, violations=violations, benchmarks=timed, reason=reason)


def table(verdicts: Sequence[Verdict], baseline: Snapshot) -> ResultTable:
    """Show all verdicts but the equivalent ones, and why the baseline was accepted.

    Of single styles those that fail are shown; what else is to be said of them stands in the row of
    their method and metric.
    """
    shown = [v for v in verdicts if v.word != "equivalent" and (v.red or not v.style)]
    return full_table(shown, verdicts, baseline)


def full_table(
    shown: Sequence[Verdict], verdicts: Sequence[Verdict], baseline: Snapshot
) -> ResultTable:
    """Show some of the verdicts under the result of all of them."""
    digest = baseline.suite_digest[:12]
    identity = f"{outcome(verdicts)}; suite {baseline.suite_name}, digest {digest}"
    accepted = (
        f"baseline: run {baseline.run_id}, created {baseline.created_at}, commit "
        f"{baseline.commit[:12] or 'unknown'}, accepted because: {baseline.reason}"
    )
    return ResultTable(
        "Regression gate",
        "gate",
        identity,
        COLUMNS,
        tuple(_row(verdict) for verdict in shown),
        (_count(verdicts), accepted, *NOTES),
    )


def _count(verdicts: Sequence[Verdict]) -> str:
    found = Counter(verdict.word for verdict in verdicts)
    words = ", ".join(f"{found[word]} {word}" for word in ORDER if found[word])
    left_out = "not listed are equivalent ones and styles that did not fail"
    return f"{len(verdicts)} verdicts: {words or 'none'}; {left_out}"


def _row(verdict: Verdict) -> Row:
    word = f"{verdict.word} (advisory)" if verdict.advisory else verdict.word
    delta: Value = None
    if math.isfinite(verdict.delta):
        delta = Estimate(verdict.delta, verdict.low, verdict.high)
    p = verdict.p if math.isfinite(verdict.p) else None
    found: Value = verdict.detectable if math.isfinite(verdict.detectable) else None
    if verdict.detectable == NOTHING:
        found = "nothing"
    cells = (
        word, verdict.lane, verdict.method, _subject(verdict), delta, p, found, verdict.reason
    )  # fmt: skip
    return Row(cells, "red" if verdict.red else "")


def _subject(verdict: Verdict) -> str:
    return f"{verdict.subject} on {verdict.style}" if verdict.style else verdict.subject


def as_json(verdicts: Sequence[Verdict]) -> str:
    """The exit code and every verdict; numbers that do not exist are null."""
    rows = [
        {key: _plain(value) for key, value in asdict(verdict).items()} | {"red": verdict.red}
        for verdict in verdicts
    ]
    said = {"exit_code": exit_code(verdicts), "result": outcome(verdicts), "verdicts": rows}
    return json.dumps(said, indent=1) + "\n"


def _plain(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def junit(verdicts: Sequence[Verdict]) -> str:
    """JUnit XML with one case per verdict.

    Verdicts that fail the gate are failures, incomparable and blind ones are errors, and
    inconclusive and advisory ones are skipped with their reason.
    """
    failures = sum(verdict.red for verdict in verdicts)
    errors = sum(verdict.word in ERRORS for verdict in verdicts)
    cases = "\n".join(_case(verdict) for verdict in verdicts)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<testsuite name="bench gate" tests="{len(verdicts)}" failures="{failures}" '
        f'errors="{errors}">\n{cases}\n</testsuite>\n'
    )


def _case(verdict: Verdict) -> str:
    name = quoteattr(visible(f"{verdict.method} {_subject(verdict)}"))
    message = quoteattr(one_line(f"{verdict.word}: {verdict.reason}"))
    start = f"<testcase classname={quoteattr(f'gate.{verdict.lane}')} name={name}"
    if verdict.red:
        return f"{start}><failure message={message}/></testcase>"
    if verdict.word in ERRORS:
        return f"{start}><error message={message}/></testcase>"
    if verdict.word == "inconclusive" or verdict.advisory:
        return f"{start}><skipped message={message}/></testcase>"
    return f"{start}/>"
