"""The commands on finished runs: compare two, keep one as a baseline, judge one by it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import save, toy
from click.testing import CliRunner, Result
from sounding import sounding_run

from bench.cli.main import cli
from bench.gate.snapshot import machine_class, platform_class, snapshot, tolerance_of
from bench.records.schema import CellRecord, ScoreRecord
from bench.records.store import Run
from reports.tables.run_costs import run_costs
from reports.tables.table2 import table2
from reports.text.result_table import Estimate


def bench(*arguments: object) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def judged(*arguments: object) -> Result:
    """A command that judges runs written by hand, which have no audio."""
    return bench(*arguments, "--records-only")


def test_two_methods_of_a_run_are_compared_per_cell(tmp_path: Path) -> None:
    folder = save(toy(), tmp_path / "run")
    done = bench("compare", "tve", "rti", "--run", folder)
    assert done.exit_code == 0, done.output
    assert "tve is better" in done.output
    assert "styles and contents in general" in done.output


PLACES = ("Tables (md, tex, csv): {}/report", "Page: {}/report/page/index.html")


def test_a_report_prints_table_two_and_where_the_rest_is(tmp_path: Path) -> None:
    """The other tables are printed on request, and written whether or not."""
    folder = save(toy(), tmp_path / "run")
    brief, whole = bench("report", folder), bench("report", folder, "--all-tables", "--no-html")
    assert table2(toy()).title in brief.output
    assert run_costs(toy()).title in whole.output
    assert run_costs(toy()).title not in brief.output
    tables, page = (words.format(folder) for words in PLACES)
    assert brief.output.splitlines()[-2:] == [tables, page]
    assert whole.output.splitlines()[-1] == tables
    assert (folder / "report" / "timing.md").is_file()


def test_a_quiet_report_is_written_and_prints_nothing(tmp_path: Path) -> None:
    folder = save(toy(), tmp_path / "run")
    done = bench("report", folder, "--quiet", "--no-html")
    assert (done.exit_code, done.output) == (0, "")
    assert (folder / "report" / "table2.md").is_file()


def test_a_report_as_json_holds_every_table(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ("harp", "bird"), ("c1", "c2"), figures=False)
    folder = run.folder
    found = json.loads(bench("report", folder, "--json", "--paper").stdout)
    assert {key: found[key] for key in ("schema_version", "folder", "page", "paper")} == {
        "schema_version": 1,
        "folder": f"{folder}/report",
        "page": f"{folder}/report/page/index.html",
        "paper": f"{folder}/report/paper/paper.tex",
    }
    assert all(Path(path).is_file() for path in found["files"])
    tables = {table["label"]: table for table in found["tables"]}
    assert {Path(path).stem for path in found["files"]} == {*tables, "failures", "inputs"}
    keys = [column["key"] for column in tables["table2"]["columns"]]
    values = next(
        row["values"] for row in tables["table2"]["rows"] if row["method"] == "tve[strength=0.5]"
    )
    expected = table2(run).column("cp")[0]
    assert isinstance(expected, Estimate)
    assert values[keys.index("cp")] == {
        "value": expected.value, "low": expected.low, "high": expected.high, "n": expected.n,
        "best": expected.best,
    }  # fmt: skip
    words = " ".join(bench("report", "--help").output.split())
    parts = (*found, *tables["table2"], *tables["table2"]["rows"][0], *values[2])
    assert all(key in words for key in parts)


def test_what_a_check_of_the_audio_says_stays_beside_json(tmp_path: Path) -> None:
    """One sound of this run is not that of its record."""
    folder = sounding_run(tmp_path / "run", ("harp",), ("c1", "c2")).folder
    first, second, *_ = sorted((folder / "audio").iterdir())
    shutil.copy(second, first)
    for option in ("--json", "--quiet"):
        done = bench("report", folder, option, "--verify", "--no-html")
        assert done.exit_code == 2
        assert "faults" in done.output
        assert (done.stdout == "") is (option == "--json")


def test_json_and_a_check_of_a_paper_are_not_mixed(tmp_path: Path) -> None:
    done = bench("report", "--check", tmp_path / "paper.tex", "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--json goes with tables" in done.stderr


def test_two_runs_are_compared_method_by_method(tmp_path: Path) -> None:
    first = save(toy(tve=0.55, rti=0.4), tmp_path / "a")
    second = save(toy(tve=0.5, rti=0.4), tmp_path / "b")
    done = bench("compare", first, second, "--population", "cells")
    assert done.exit_code == 0, done.output
    assert "A is better" in done.output
    assert "these cells only" in done.output


def test_runs_with_nothing_in_common_are_refused(tmp_path: Path) -> None:
    first, second = save(toy(tve=0.5), tmp_path / "a"), save(toy(rti=0.5), tmp_path / "b")
    done = bench("compare", first, second)
    assert "only like is compared with like" in str(done.exception)


def refingerprint(run: Run) -> Run:
    scores = {k: s.model_copy(update={"fingerprint": "new"}) for k, s in run.scores.items()}
    return replace(run, scores=scores)


def test_runs_scored_by_other_measures_are_not_comparable(tmp_path: Path) -> None:
    first = save(toy(tve=0.5), tmp_path / "a")
    second = save(refingerprint(toy(tve=0.5)), tmp_path / "b")
    done = bench("compare", first, second)
    assert done.exit_code == 4
    assert "incomparable" in done.output


def lose(run: Run) -> Run:
    name = run.plan[0].cell_id
    lost = CellRecord(cell_id=name, status="oom", reason="out of memory")
    scores = {k: s for k, s in run.scores.items() if k[0] != name}
    return replace(run, cells=run.cells | {name: lost}, scores=scores)


def drop(run: Run) -> Run:
    """Every cp of tve lower by .04, its audio new."""

    def lower(key: tuple[str, str], score: ScoreRecord) -> ScoreRecord:
        if key[1] != "cp" or not key[0].startswith("tve/"):
            return score
        value = (score.value or 0) - 0.04
        return score.model_copy(update={"value": value, "raw": value})

    cells = {
        k: c.model_copy(update={"audio_digest": f"new-{k}"}) if k.startswith("tve/") else c
        for k, c in run.cells.items()
    }
    return replace(run, cells=cells, scores={k: lower(k, s) for k, s in run.scores.items()})


def slow(run: Run) -> Run:
    cells = {
        k: c.model_copy(update={"transfer_s": 1.3 * (c.transfer_s or 0)})
        for k, c in run.cells.items()
    }
    return replace(run, cells=cells)


def redigest(run: Run) -> Run:
    cells = {k: c.model_copy(update={"audio_digest": f"x{k}"}) for k, c in run.cells.items()}
    return replace(run, cells=cells)


def resuite(run: Run) -> Run:
    return replace(run, header=run.header.model_copy(update={"suite_digest": "f" * 64}))


def timed(run: Run) -> Run:
    """The run with the kernel's time in each cell."""
    cells = {k: c.model_copy(update={"calibration_s": 0.01}) for k, c in run.cells.items()}
    return replace(run, cells=cells)


@pytest.mark.parametrize(
    ("fault", "code", "word"),
    [
        (lambda run: run, 0, "passed"),
        (lose, 3, "1 of 48 lost"),
        (drop, 3, "worse by 0.040"),
        (slow, 3, "1.30 times as long"),
        (redigest, 3, "changed"),
        (refingerprint, 4, "fingerprint new is not"),
        (resuite, 4, "suite digest"),
    ],
    ids=["same", "lost cell", "drop of .04", "+30 % time", "digest", "fingerprint", "suite"],
)
def test_a_planted_fault_decides_the_exit_code(
    fault: Callable[[Run], Run], code: int, word: str, tmp_path: Path
) -> None:
    good = timed(toy())
    known = tmp_path / "baseline.json"
    kept = judged("baseline", save(good, tmp_path / "a"), "--reason", "first", "-o", known)
    assert kept.exit_code == 0, kept.output
    out, xml = tmp_path / "gate.json", tmp_path / "gate.xml"
    options = ("--baseline", known, "--json", out, "--junit", xml)
    done = judged("gate", save(fault(good), tmp_path / "b"), *options)
    assert done.exit_code == code, done.output
    assert word.split(maxsplit=1)[0] in done.output
    verdicts = json.loads(out.read_text())
    assert verdicts["exit_code"] == code
    assert word in json.dumps(verdicts)
    suite = ET.parse(xml).getroot()  # noqa: S314 - written by this very test
    assert int(suite.attrib["tests"]) == len(verdicts["verdicts"]) == len(list(suite))
    assert (int(suite.attrib["failures"]) > 0) == (code == 3)
    unsaid = [v for v in verdicts["verdicts"] if v["word"] in {"incomparable", "blind"}]
    assert int(suite.attrib["errors"]) == len(unsaid) == len(list(suite.iter("error")))
    assert unsaid or code != 4


def rerendered(run: Run) -> Run:
    """Every sound and score of tve new, with no drop that one seed could tell from chance."""
    rng = np.random.default_rng(0)
    scores = {
        key: score.model_copy(
            update={
                "value": (value := (score.value or 0) + float(rng.normal(0, 0.02))), "raw": value
            }
        )
        if key[0].startswith("tve/") else score
        for key, score in run.scores.items()
    }  # fmt: skip
    cells = {
        k: c.model_copy(update={"audio_digest": f"new-{k}"}) if k.startswith("tve/") else c
        for k, c in run.cells.items()
    }
    methods = [
        m.model_copy(update={"version": "2"}) if m.label == "tve" else m for m in run.header.methods
    ]
    header = run.header.model_copy(update={"methods": methods})
    return replace(run, header=header, cells=cells, scores=scores)


def test_what_a_baseline_cannot_find_is_said_at_once_and_ends_the_gate_with_four(
    tmp_path: Path,
) -> None:
    known = tmp_path / "baseline.json"
    kept = judged("baseline", save(toy(), tmp_path / "a"), "--reason", "first", "-o", known)
    assert kept.exit_code == 0, kept.output
    assert kept.output.startswith(f"Written: {known}\n")
    assert "cannot be relied on to find a drop of 0.2" in kept.output
    assert "at least 1 more seed" in kept.output
    new = save(rerendered(toy()), tmp_path / "b")
    done = judged("gate", new, "--baseline", known)
    assert done.exit_code == 4, done.output
    assert "Gate: cannot tell." in done.output
    assert "needs at least 1 more seed" in " ".join(done.output.split())
    allowed = judged("gate", new, "--baseline", known, "--least-drop", "1")
    assert allowed.exit_code == 0, allowed.output
    refused = judged("gate", new, "--baseline", known, "--least-drop", "0")
    assert refused.exit_code == 2
    assert "0<x<=1" in refused.output


def test_a_baseline_of_schema_one_is_read_with_the_ranges_of_the_run(tmp_path: Path) -> None:
    folder, known = save(toy(), tmp_path / "a"), tmp_path / "b.json"
    assert judged("baseline", folder, "--reason", "first", "-o", known).exit_code == 0
    held = json.loads(known.read_text())
    assert held["schema_version"] == 2
    held["schema_version"] = 1
    del held["least_drop"]
    for metric in held["metrics"].values():
        assert metric.pop("range") == [0.0, 1.0]
    known.write_text(json.dumps(held))
    done = judged("gate", folder, "--baseline", known)
    assert done.exit_code == 0, done.output
    assert "The baseline is of schema 1 and lacks the ranges" in done.output


def test_a_score_that_is_no_number_costs_a_cell_and_no_gate(tmp_path: Path) -> None:
    known = tmp_path / "b.json"
    folder = save(toy(), tmp_path / "a")
    assert judged("baseline", folder, "--reason", "first", "-o", known).exit_code == 0
    run = toy()
    key = next(key for key in run.scores if key[1] == "cp")
    broken = run.scores[key].model_copy(update={"value": math.nan, "raw": math.nan})
    new = save(replace(run, scores=run.scores | {key: broken}), tmp_path / "c")
    scores = new / "scores.jsonl"
    lines = [json.loads(line) for line in scores.read_text().splitlines()]
    for line in lines:
        if line["value"] is None:
            line["value"] = line["raw"] = math.nan
    scores.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "NaN" in scores.read_text()
    done = judged("gate", new, "--baseline", known)
    assert done.exit_code == 3, done.output
    assert "no score any more" in " ".join(done.output.split())


def test_an_unfinished_run_is_no_baseline(tmp_path: Path) -> None:
    run = toy()
    folder = save(replace(run, cells={}, scores={}), tmp_path / "a")
    done = judged("baseline", folder, "--reason", "x", "-o", tmp_path / "b.json")
    assert "cells not run" in str(done.exception)


def test_a_baseline_without_a_reason_is_refused(tmp_path: Path) -> None:
    done = judged("baseline", save(toy(), tmp_path / "a"), "-o", tmp_path / "b.json")
    assert done.exit_code == 2
    assert "--reason" in done.output


def test_gate_and_compare_import_nothing_heavy(tmp_path: Path, checkout: Path) -> None:
    folder, known = save(toy(), tmp_path / "a"), tmp_path / "b.json"
    assert judged("baseline", folder, "--reason", "first", "-o", known).exit_code == 0
    code = (
        "import sys\nfrom bench.cli.main import cli\n"
        f"for words in (['gate', {str(folder)!r}, '--baseline', {str(known)!r},\n"
        "                '--records-only'],\n"
        f"              ['compare', 'tve', 'rti', '--run', {str(folder)!r}]):\n"
        "    try:\n        cli.main(words, standalone_mode=False)\n"
        "    except SystemExit as end:\n        assert not end.code, end.code\n"
        "print('heavy:', [n for n in ('torch', 'librosa', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=checkout, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["heavy: []"], done.stderr


def test_a_snapshot_keeps_raw_scores_and_leaves_cached_times_out() -> None:
    run = toy(tve=0.5)
    first = run.plan[0].cell_id
    key = (first, "cp")
    clipped = run.scores[key].model_copy(update={"value": 0.0, "raw": -0.2})
    cached = run.cells[first].model_copy(update={"transfer_cached": True, "fit_cached": True})
    changed = replace(run, scores=run.scores | {key: clipped}, cells=run.cells | {first: cached})
    cell = snapshot(changed).cells[0]
    assert cell.values["cp"] == -0.2
    assert (cell.transfer_s, cell.fit_s) == (None, None)
    assert snapshot(run).cells[0].transfer_s == 1.0


def test_the_class_of_a_machine_holds_no_clock_and_that_of_a_platform_the_versions() -> None:
    facts = {
        "cpu_model": "A CPU", "threads": 2, "cores": 4, "cpu_capability": "AVX2",
        "packages": {"torch": "2.9", "soundfile": "1"}, "platform": "Linux-6.1",
    }  # fmt: skip
    assert machine_class(facts, "cpu") == "cpu, A CPU, 2 threads, 4 cores"
    assert platform_class(facts, "cpu") == "cpu, A CPU, 2 threads, AVX2, torch 2.9"
    assert machine_class(facts | {"gpu": "H100"}, "cuda:0").startswith("H100, ")


def test_tolerances_are_measured_where_they_can_be() -> None:
    assert 1e-6 <= tolerance_of("cp") < 1e-2
    assert tolerance_of("a metric from outside") == 1e-3
