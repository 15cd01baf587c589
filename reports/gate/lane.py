"""The regression lane: judge a run, and show the result to people, CI pages and dashboards.

`write` fills one folder: `verdicts.json`, `junit.xml`, `summary.md` for a CI's job summary,
`index.html`, and `bigger.json` and `smaller.json`, the series that the GitHub action
`github-action-benchmark` takes as `customBiggerIsBetter` and `customSmallerIsBetter`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.files import renewed_folder, replace_file
from bench.gate.history import HistoryLine, line_of
from bench.gate.power import Foreseen
from bench.gate.reach import NOTHING
from bench.gate.verdict import Verdict, outcome
from reports.gate import verdicts
from reports.gate.foresight import DECIMALS, badness, drop_words
from reports.gate.verdicts import Judgement
from reports.text import formats
from reports.text.html import html_table, render
from reports.text.result_table import Column, ResultTable, Row

TEMPLATE = Path(__file__).with_name("assets") / "gate.html.j2"
EXACT = "exact"
Series = list[dict[str, object]]


def judge_and_write(
    folder: Path,
    baseline: Path,
    terms: verdicts.Terms = verdicts.BY_DEFAULT,
    *,
    benchmarks: Path | None = None,
    outputs: Mapping[str, Path | None] | None = None,
) -> tuple[str, int]:
    """Judge a run, write what was asked for, and return terminal text and exit code.

    Args:
        folder: The run.
        baseline: What it is judged by.
        terms: How it is judged.
        benchmarks: A file of pytest-benchmark of the candidate.
        outputs: Where to write: "json" and "junit" are files, "report" a folder for everything.

    Raises:
        RecordError: The run, the baseline or a file with them is missing or cannot be read.
    """
    given = verdicts.judge(folder, baseline, benchmarks, terms)
    wanted = outputs or {}
    texts = {"json": verdicts.as_json, "junit": verdicts.junit}
    for kind, text_of in texts.items():
        path = wanted.get(kind)
        if path is not None:
            replace_file(path, text_of(given.verdicts))
    report = wanted.get("report")
    if report is not None:
        write(report, given)
    shown = _tables(given)[:2]
    text = "\n".join(formats.terminal(table) for table in shown if table.rows)
    return f"{text}\n{headline(given)}\n", given.code


def write(folder: Path, given: Judgement) -> None:
    """Write every form of a judgement into one folder."""
    line = line_of(given.candidate)
    texts = {
        "verdicts.json": verdicts.as_json(given.verdicts),
        "junit.xml": verdicts.junit(given.verdicts),
        "summary.md": summary(given),
        "index.html": page(given),
        "bigger.json": _json(series(line, bigger=True)),
        "smaller.json": _json(series(line, bigger=False)),
    }
    with renewed_folder(folder) as fresh:
        for name, text in texts.items():
            replace_file(fresh / name, text)


def headline(given: Judgement) -> str:
    """The result in a sentence or two, with what this comparison cannot tell."""
    red = [verdict for verdict in given.verdicts if verdict.red]
    blind = [verdict for verdict in given.verdicts if verdict.word == "blind"]
    said = f"Gate: {outcome(given.verdicts)}."
    if red:
        said += f" {len(red)} of {len(given.verdicts)} verdicts fail it."
    if blind:
        said += (
            f" {len(blind)} could not have found the drop that must be found. Run what the reasons "
            "name, or allow weaker lanes: `least_drop` in the [gate] of the suite, or --least-drop."
        )
    new, old = given.candidate, given.baseline
    if new.platform != old.platform:
        said += (
            " The platform is not that of the baseline, so the audio is expected to differ and "
            "digests say nothing; quality is still judged beyond chance, but a drop smaller than "
            "the table of detectable drops says goes unnoticed. "
            f"Here: {new.platform}; baseline: {old.platform}."
        )
    if new.machine != old.machine:
        said += f" Times are advisory: {new.machine} here, {old.machine} there."
    if any(metric.range is None for metric in old.metrics.values()):
        said += (
            " The baseline is of schema 1 and lacks the ranges of its metrics; those of this run "
            "are taken. The next `bench baseline` writes them."
        )
    return said


def power(given: Judgement) -> ResultTable:
    """Show the smallest drop that this comparison finds, and that one with new noise would find.

    "exact" stands where audio and scores are the same, so that any change would have been seen.
    """
    here = {(v.method, v.subject): _found(v) for v in given.verdicts if v.lane == "quality"}
    weakest = weakest_styles(given.foreseen)
    rows = [
        Row((*place, seen, drop_words(one), weakest.get(place, ""), _score(one.noise)), one.method)
        for one in given.foreseen
        if not one.style
        and ((seen := here.get(place := (one.method, one.metric), EXACT)) != EXACT or one.drop > 0)
    ]
    return ResultTable(
        "Detectable drops",
        "power",
        f"suite {given.baseline.suite_name}",
        (
            Column("method", "Method", text=True),
            Column("metric", "Metric", text=True),
            Column("here", "Here", text=True),
            Column("anew", "With new noise", text=True),
            Column("style", "In one style", text=True),
            Column("noise", "Noise of the mean", text=True),
        ),
        tuple(rows),
        (
            "the smallest mean drop of a score that the gate finds in 4 of 5 cases",
            "with new noise: after a change that draws all noise anew, from the repetitions",
            "in one style: the same where one style alone falls, in the style that hides most",
            "exact: the same audio and scores, so that any change would have been seen",
            "methods that do not depend on the seed and did not change are not listed",
        ),
    )


def weakest_styles(foreseen: Sequence[Foreseen]) -> dict[tuple[str, str], str]:
    """The drop that is found in the style that hides most, with its name, by method and metric."""
    found: dict[tuple[str, str], Foreseen] = {}
    for one in foreseen:
        place = one.method, one.metric
        if one.style and (place not in found or badness(one) > badness(found[place])):
            found[place] = one
    return {place: f"{drop_words(one)} ({one.style})" for place, one in found.items()}


def _found(verdict: Verdict) -> str:
    """The smallest drop that a quality verdict would have found; "exact" where nothing changed."""
    if verdict.word == "equivalent" and math.isnan(verdict.detectable):
        return EXACT
    return "nothing" if verdict.detectable == NOTHING else _score(verdict.detectable)


def _score(value: float) -> str:
    """A score with three decimals in every format, since differences of hundredths matter."""
    return f"{value:.{DECIMALS}f}" if math.isfinite(value) else formats.BLANK


def _tables(given: Judgement) -> tuple[ResultTable, ...]:
    every = verdicts.full_table(given.verdicts, given.verdicts, given.baseline)
    return (verdicts.table(given.verdicts, given.baseline), power(given), every)


def summary(given: Judgement) -> str:
    """Markdown for the summary of a CI job, with all but the equivalent verdicts."""
    tables = [table for table in _tables(given)[:2] if table.rows]
    said = "\n".join(formats.markdown(table) for table in tables)
    return f"# Regression gate: {outcome(given.verdicts)}\n\n{headline(given)}\n\n{said}"


def page(given: Judgement) -> str:
    """The result as one HTML file that needs nothing beside it; its last table is folded."""
    shown = [html_table(table) for table in _tables(given) if table.rows]
    return render(TEMPLATE, {"headline": headline(given), "tables": shown})


def series(line: HistoryLine, *, bigger: bool) -> Series:
    """The numbers of a run as `github-action-benchmark` takes them.

    Args:
        line: The run as a line of the history.
        bigger: Give those of which a larger one is better; else the others, times among them.
    """
    metrics = _scores(line, maximize=bigger)
    return metrics if bigger else [*metrics, *_times(line)]


def _scores(line: HistoryLine, *, maximize: bool) -> Series:
    return [
        {"name": f"{method}: {metric}", "unit": "score", "value": value, "extra": line.suite_name}
        for method, levels in line.levels.items()
        for metric, value in levels.items()
        if (line.directions[metric] == "maximize") is maximize
    ]


def _times(line: HistoryLine) -> Series:
    stages = [
        {"name": f"{method}: {stage}", "unit": "kernels", "value": value, "extra": line.machine}
        for method, times in line.times.items()
        for stage, value in times.items()
    ]
    functions = [
        {"name": name, "unit": "kernels", "value": value, "extra": line.machine}
        for name, value in line.benchmarks.items()
    ]
    return [*stages, *functions]


def _json(content: Series) -> str:
    return json.dumps(content, indent=1) + "\n"
