"""Formats against golden texts; run folders written, read back, merged and refused."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import fail, golden_run, header, method, run_of, save
from golden import FOLDER, texts

from bench.api import RecordError
from bench.records.sameness import setting_digest, suite_digest
from bench.records.store import Run
from reports.merging import merge
from reports.paper.check import agrees
from reports.tables.table2 import table2
from reports.text import formats, latex
from reports.write import failures, terminal_summary, write_report


@pytest.mark.parametrize("name", sorted(texts()))
def test_formats_are_as_committed(name: str) -> None:
    assert texts()[name] == (FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [60, 80, 100])
def test_terminal_text_fits_its_width(width: int) -> None:
    assert max(map(len, terminal_summary(golden_run(), width).splitlines())) <= width


def test_latex_escapes_all_that_latex_reads() -> None:
    text = latex.latex(table2(golden_run()))
    body = text[text.index("\\toprule") :]
    assert not re.search(r"(?<!\\)[%#_]", body)
    assert latex.escape("\\{a}~^") == (
        "\\textbackslash{}\\{a\\}\\textasciitilde{}\\textasciicircum{}"
    )


def test_latex_rows_have_one_field_per_column() -> None:
    text = latex.latex(table2(golden_run()))
    rows = text[text.index("\\toprule") : text.index("\\bottomrule")].splitlines()
    fields = {len(re.findall(r"(?<!\\)&", row)) for row in rows if "&" in row}
    assert fields == {7}  # what is wide, here what a method sees, is not printed


def test_csv_keeps_whole_numbers_and_their_ends() -> None:
    table = table2(golden_run())
    row = next(csv.DictReader(io.StringIO(formats.csv(table))))
    value = table.column("cp")[0]
    assert isinstance(value, formats.Estimate)
    assert float(row["cp"]) == pytest.approx(value.value, abs=1e-10)
    assert float(row["cp.low"]) == pytest.approx(value.low, abs=1e-10)
    assert int(row["cp.n"]) == value.n


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (formats.Estimate(0.41234, 0.40, 0.42), "0.412 [0.400, 0.420]"),
        (formats.Estimate(0.41234, 0.40, 0.4201), "0.41 [0.40, 0.42]"),
        (formats.Estimate(0.41234), "0.41"),
        (formats.Estimate(-0.001, -0.5, 0.5), "0.00 [-0.50, 0.50]"),
        (formats.Estimate(0.41234, 0.38, 0.45, n=8, says_n=True), "0.41 [0.38, 0.45] (n=8)"),
        (formats.PValue(0.0), "<0.01"),
        (formats.PValue(0.00999), "<0.01"),
        (formats.PValue(0.01), "0.010"),
        (formats.PValue(0.0496), "0.050"),
        (formats.PValue(float("nan")), "-"),
    ],
)
def test_numbers_have_no_more_digits_than_they_are_worth(
    value: formats.Estimate | formats.PValue, shown: str
) -> None:
    assert formats.show(value, 3) == shown


def test_a_paper_may_round_a_p_value_but_not_change_its_bound() -> None:
    assert agrees("<0.01", formats.PValue(0.004))
    assert agrees("<.05", formats.PValue(0.004))
    assert agrees("0.004", formats.PValue(0.004))
    assert not agrees("<0.001", formats.PValue(0.004))
    assert not agrees("0.040", formats.PValue(0.004))


def test_a_paper_may_leave_out_how_many_cells_but_not_change_it() -> None:
    value = formats.Estimate(0.4123, 0.38, 0.45, n=8, says_n=True)
    assert agrees("0.41 [0.38, 0.45] (n=8)", value)
    assert agrees("0.41 (n = 8)", value)
    assert agrees("0.41", value)
    assert not agrees("0.41 [0.38, 0.45] (n=12)", value)


def test_a_report_is_written_whole_and_the_same_again(tmp_path: Path) -> None:
    folder = save(golden_run(), tmp_path / "run")
    paths = write_report(folder)
    first = {path: path.read_bytes() for path in paths}
    assert {p.name for p in paths} >= {"table2.md", "table1.tex", "timing.csv", "failures.md"}
    assert {path: path.read_bytes() for path in write_report((folder,))} == first
    assert {path.parent for path in paths} == {folder / "report"}


def test_each_failed_cell_is_listed_with_its_reason() -> None:
    text = failures(golden_run())
    assert "Failed cells: 1 of 48" in text
    assert "tve[strength=0.5] / harp / c1 / repetition 0: oom: out of memory" in text


def part(label: str, value: float, **changes: str) -> Run:
    """A run of one method on the suite of this file."""
    return run_of(header([method(label)], **changes), {label: {"cp": value}})


def test_runs_of_one_suite_become_one_table(tmp_path: Path) -> None:
    folders = [
        save(part("tve", 0.5, run_id="a"), tmp_path / "a"),
        save(part("rti", 0.3, run_id="b", device="cuda:0"), tmp_path / "b"),
    ]
    paths = write_report(folders)
    assert {path.parent for path in paths} == {tmp_path / "a" / "report" / "merged"}
    text = terminal_summary(folders)
    assert "tve" in text
    assert "rti" in text
    assert "cuda:0" in text


def test_a_cell_of_several_runs_counts_as_in_the_first() -> None:
    worse = fail(part("tve", 0.5), "tve/harp/c1/0")
    assert merge([worse, part("tve", 0.5)]).cells["tve/harp/c1/0"].status == "error"
    assert ("tve/harp/c1/0", "cp") not in merge([worse, part("tve", 0.5)]).scores


def asking(label: str, name: str = "hand", **setting: object) -> Run:
    """A run of one method, with a suite that says so."""
    suite = {"name": name, "methods": [label], "metrics": ["cp"], "seeds": 1, **setting}
    return part(label, 0.5, suite=suite, suite_name=name)


def test_runs_that_ask_for_other_methods_are_joined() -> None:
    one, two = asking("tve"), asking("rti", "hand+methods")
    both = merge([one, two]).header
    assert both.suite["methods"] == ["tve", "rti"]
    asked_at_once = {**one.header.suite, "methods": ["tve", "rti"]}
    assert both.suite_digest == suite_digest(asked_at_once)
    assert setting_digest(both) == setting_digest(one.header) == setting_digest(two.header)
    assert setting_digest(both)[:12] in terminal_summary(merge([one, two]))


def test_runs_of_unlike_settings_are_refused_with_the_difference() -> None:
    with pytest.raises(RecordError, match=r"differ in seeds; one table holds one setting"):
        merge([asking("tve"), asking("rti", seeds=2)])
    other_clips = part("rti", 0.5, dataset={"name": "by hand", "digest": "other"})
    with pytest.raises(RecordError, match="differ in clips"):
        merge([part("tve", 0.5), other_clips])


def test_a_method_that_differs_between_runs_is_refused() -> None:
    other = run_of(header([method("tve", version="2")]), {"tve": {"cp": 0.5}})
    with pytest.raises(RecordError, match="'tve' differs between hand and hand in version"):
        merge([part("tve", 0.5), other])


def test_a_run_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    folder = save(golden_run(), tmp_path / "run")
    with pytest.raises(RecordError, match="is named twice; its listeners would count twice"):
        write_report([folder, folder / ".." / "run"])


def test_no_run_is_refused() -> None:
    with pytest.raises(RecordError, match="no run was named"):
        merge([])


@pytest.mark.slow
def test_twenty_thousand_cells_take_seconds() -> None:
    contents = tuple(f"c{number}" for number in range(500))
    styles = tuple(f"s{number}" for number in range(8))
    labels = [f"tve{number}" for number in range(5)]
    values = {label: {"cp": 0.1, "sf.heldout": 0.1} for label in labels}
    run = run_of(
        header([method(x) for x in labels], styles, contents, ("cp", "sf.heldout")), values
    )
    begin = time.process_time()
    assert len(table2(run).rows) == len(labels)
    assert time.process_time() - begin < 15  # of this process, whoever else computes; usually 2


def test_reports_import_neither_torch_nor_pandas() -> None:
    code = "import sys, reports.write; print({'torch', 'pandas', 'tabulate'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
