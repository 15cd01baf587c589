"""The regression lane: judge a run and say the result to people, CI pages and dashboards.

`write` fills one folder: `verdicts.json`, `junit.xml`, `summary.md` for a CI's job summary,
`index.html`, and `bigger.json` and `smaller.json`, the series that the GitHub action
`github-action-benchmark` takes as `customBiggerIsBetter` and `customSmallerIsBetter`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from bench.files import replace_file
from bench.gate.history import HistoryLine, line_of
from bench.gate.power import foresee
from bench.gate.verdict import Lane, Verdict
from reports import formats, verdicts
from reports.page.gate import page
from reports.result_table import Column, ResultTable, Row
from reports.verdicts import WORDS, Judgement

DECIMALS = 3
EXACT = "exact"
Series = list[dict[str, object]]


def judge_and_write(
    folder: Path,
    baseline: Path,
    *,
    benchmarks: Path | None = None,
    advisory: Collection[Lane] = (),
    outputs: Mapping[str, Path | None] | None = None,
) -> tuple[str, int]:
    """Judge a run, write what was asked for, and return terminal text and exit code.

    Args:
        folder: The run.
        baseline: What it is judged by.
        benchmarks: A file of pytest-benchmark of the candidate.
        advisory: Lanes that only inform.
        outputs: Where to write: "json" and "junit" are files, "report" a folder for everything.

    Raises:
        RecordError: No run, no baseline, or a file that cannot be read.
    """
    given = verdicts.judge(folder, baseline, benchmarks, advisory)
    wanted = outputs or {}
    texts = {"json": verdicts.as_json, "junit": verdicts.junit}
    for kind, render in texts.items():
        path = wanted.get(kind)
        if path is not None:
            replace_file(path, render(given.verdicts))
    report = wanted.get("report")
    if report is not None:
        write(report, given)
    shown = [verdicts.table(given.verdicts, given.baseline), power(given)]
    text = "\n".join(formats.terminal(table) for table in shown if table.rows)
    return f"{text}\n{headline(given)}\n", given.code


def write(folder: Path, given: Judgement) -> None:
    """Write every form of a judgement into one folder."""
    renders: dict[str, Callable[[Judgement], str]] = {
        "verdicts.json": lambda one: verdicts.as_json(one.verdicts),
        "junit.xml": lambda one: verdicts.junit(one.verdicts),
        "summary.md": summary,
        "index.html": lambda one: page(headline(one), _tables(one)),
        "bigger.json": lambda one: _json(series(one, bigger=True)),
        "smaller.json": lambda one: _json(series(one, bigger=False)),
    }
    for name, render in renders.items():
        replace_file(folder / name, render(given))


def headline(given: Judgement) -> str:
    """The result in a sentence or two, with what this comparison cannot tell."""
    red = [verdict for verdict in given.verdicts if verdict.red]
    said = f"Gate: {WORDS[given.code]}."
    if red:
        said += f" {len(red)} of {len(given.verdicts)} verdicts fail it."
    new, old = given.candidate, given.baseline
    if new.platform != old.platform:
        said += (
            " Another platform class than the baseline's, so other audio is expected and digests "
            "say nothing; quality is judged beyond chance, and finds no drop smaller than the "
            f"table of findable drops says. Here: {new.platform}; baseline: {old.platform}."
        )
    if new.machine != old.machine:
        said += f" Times are advisory: {new.machine} here, {old.machine} there."
    return said


def power(given: Judgement) -> ResultTable:
    """The smallest drop that this comparison finds, and one whose noise were drawn anew.

    "exact" stands where audio and scores are the same, so that any change would have been seen.
    """
    here = {(v.method, v.subject): _found(v) for v in given.verdicts if v.lane == "quality"}
    rows = [
        Row((one.method, one.metric, seen, _score(one.drop), _score(one.noise)), one.method)
        for one in foresee(given.baseline)
        if (seen := here.get((one.method, one.metric), EXACT)) != EXACT or one.drop > 0
    ]
    return ResultTable(
        "Findable drops",
        "power",
        f"suite {given.baseline.suite_name}",
        (
            Column("method", "Method", text=True),
            Column("metric", "Metric", text=True),
            Column("here", "Here", text=True),
            Column("anew", "Noise anew", text=True),
            Column("noise", "Noise of the mean", text=True),
        ),
        tuple(rows),
        (
            "smallest mean drop that the gate finds in 4 of 5 cases, in scores",
            "anew: after a change that draws all noise anew, from the baseline's repetitions",
            "exact: the same audio and scores, so that any change would have been seen",
            "methods that seeds cannot move and that did not change are not listed",
        ),
    )


def _found(verdict: Verdict) -> str:
    """What a quality verdict would have found; an equivalent one without it saw no change."""
    if verdict.word == "equivalent" and math.isnan(verdict.detectable):
        return EXACT
    return _score(verdict.detectable)


def _score(value: float) -> str:
    """Three decimals in every format: the differences that matter here are hundredths."""
    return f"{value:.{DECIMALS}f}" if math.isfinite(value) else formats.BLANK


def _tables(given: Judgement) -> tuple[ResultTable, ...]:
    every = verdicts.full_table(given.verdicts, given.verdicts, given.baseline)
    return (verdicts.table(given.verdicts, given.baseline), power(given), every)


def summary(given: Judgement) -> str:
    """Markdown for the summary of a CI job: the result, what is not equivalent, findable drops."""
    tables = [table for table in _tables(given)[:2] if table.rows]
    said = "\n".join(formats.markdown(table) for table in tables)
    return f"# Regression gate: {WORDS[given.code]}\n\n{headline(given)}\n\n{said}"


def series(given: Judgement, *, bigger: bool) -> Series:
    """The candidate's numbers as `github-action-benchmark` takes them.

    Args:
        given: The judgement.
        bigger: Those of which a larger one is better; else the rest, times among them.
    """
    line = line_of(given.candidate)
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
