"""Methods from outside are called by their titles; records, ratings and options keep the labels."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from building import golden_run, header, method, run_of, save
from sounding import sounding_run

from bench.api import ConfigError
from bench.cli.main import cli
from bench.records.schema import MethodEntry
from bench.records.store import Run, load_run
from reports.listening.design import choose_sets
from reports.listening.ratings import Heard, Rating
from reports.tables.comparisons import comparisons
from reports.tables.contrast import contrast_runs
from reports.tables.run_costs import session_costs
from reports.tables.table2 import table2
from reports.titles import shown_labels, titled
from reports.write import read_report, terminal_summary, write_report

PLACE = "./mine/level.py:Level"
SETTINGS = f"{PLACE}[amount=0.5]"


def outside(label: str, title: str, name: str | None = None) -> MethodEntry:
    return method(label, name=name or label.partition("[")[0], title=title)


def shown(*entries: MethodEntry) -> list[str]:
    return list(shown_labels(entries).values())


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (outside(PLACE, "Level"), "Level"),
        (outside(SETTINGS, "Level"), "Level[amount=0.5]"),
        (outside("pkg.mod:Level[a=1,b=x]", "Louder"), "Louder[a=1,b=x]"),
        (outside('"./a, b.py:Level"[a=1]', "Level", "./a, b.py:Level"), "Level[a=1]"),
        (outside(PLACE, ""), PLACE),
        (outside(PLACE, "two\nlines"), "two lines"),
        (method("tve[strength=0.5]", name="tve", title="Time-varying"), "tve[strength=0.5]"),
    ],
)  # fmt: skip
def test_a_path_becomes_a_title_and_a_name_stays(entry: MethodEntry, name: str) -> None:
    assert shown(entry) == [name]


def test_methods_of_one_title_are_told_apart_by_class_and_file() -> None:
    assert shown(outside("./a.py:Level", "Level"), outside("./b.py:Level[x=1]", "Level")) == [
        "Level (a.py:Level)", "Level (b.py:Level)[x=1]"
    ]  # fmt: skip
    settings = [outside(f"./a.py:Level[x={x}]", "Level") for x in (1, 2)]
    assert shown(*settings) == ["Level[x=1]", "Level[x=2]"]


def test_what_even_class_and_file_share_keeps_its_path() -> None:
    paths = ["./a/level.py:Level", "./b/level.py:Level"]
    assert shown(*(outside(path, "Level") for path in paths)) == paths


def test_outputs_that_were_made_elsewhere_have_the_title_they_were_given() -> None:
    first = outside("outputs:a/x[title=One]", "One")
    assert shown(first) == ["One"]
    assert shown(outside('"outputs:a, b"[title=One]', "One", "outputs:a, b")) == ["One"]
    # One folder may stand under two titles, and two folders under one.
    assert shown(first, outside("outputs:a/x[title=Two]", "Two")) == ["One", "Two"]
    assert shown(first, outside("outputs:b[title=One]", "One")) == ["One (a/x)", "One (b)"]
    assert shown(first, method("One", name="One")) == ["One (a/x)", "One"]


def test_the_name_of_another_method_is_not_taken() -> None:
    named = shown(method("tve", name="tve"), outside("./mine.py:Mine", "tve"))
    assert named == ["tve", "tve (mine.py:Mine)"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of one method from outside and one by name, whose comparison was declared."""
    entries = [outside(SETTINGS, "Level"), method("rti", name="rti")]
    head = header(entries, ("harp", "bird"), ("c1", "c2", "c3", "c4"), ("cp",))
    family = {"pairs": [[SETTINGS, "rti"]], "metrics": ["cp"]}
    head = head.model_copy(update={"suite": head.suite | {"family": family}})
    made = run_of(head, {SETTINGS: {"cp": 0.5}, "rti": {"cp": 0.3}})
    made = replace(made, remarks=(f"{SETTINGS}: 2 of 8 cells were rendered by other code",))
    return replace(made, folder=save(made, tmp_path / "run"))


def test_a_report_names_no_path_and_its_records_do(run: Run) -> None:
    report = read_report(run.folder)
    for path in write_report(report):
        assert PLACE not in path.read_text("utf-8"), path
    assert PLACE not in terminal_summary(report)
    assert PLACE not in terminal_summary(run)
    assert [row.cells[0] for row in report.tables[0].rows] == ["Level[amount=0.5]", "rti"]
    assert [entry.label for entry in load_run(run.folder).header.methods] == [SETTINGS, "rti"]


def test_a_declared_comparison_finds_the_method_under_its_title(run: Run) -> None:
    table = comparisons(titled(run))
    assert table.column("comparison")[0] == "Level[amount=0.5] - rti"
    assert table.column("delta")[0] == comparisons(run).column("delta")[0]


def test_remarks_are_about_the_title(run: Run) -> None:
    assert titled(run).remarks == ("Level[amount=0.5]: 2 of 8 cells were rendered by other code",)


@pytest.mark.parametrize("name", [SETTINGS, "Level[amount=0.5]"])
def test_compare_takes_the_label_and_the_title(run: Run, name: str) -> None:
    done = CliRunner().invoke(cli, ["compare", name, "rti", "--run", str(run.folder)])
    assert done.exit_code == 0, done.output
    assert "Level[amount=0.5] minus rti" in done.output
    assert PLACE not in done.output


def test_runs_are_compared_under_names_that_hold_for_both(run: Run, tmp_path: Path) -> None:
    """The other run has a second method of that title."""
    entries = [outside(SETTINGS, "Level"), outside("./other.py:Level", "Level")]
    head = header(entries, ("harp", "bird"), ("c1", "c2", "c3", "c4"), ("cp",))
    values = {entry.label: {"cp": 0.4} for entry in entries}
    other = save(run_of(head, values), tmp_path / "other")
    table = contrast_runs(run.folder, other)
    assert set(table.column("method")) == {"Level (level.py:Level)[amount=0.5]"}


def test_a_listening_test_takes_the_label_and_the_title_and_keeps_the_label(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run")
    methods = [
        entry.model_copy(update={"label": SETTINGS, "name": PLACE, "title": "Level"})
        if entry.label == "rti"
        else entry
        for entry in run.header.methods
    ]
    plan = [c.model_copy(update={"method": SETTINGS}) if c.method == "rti" else c for c in run.plan]
    mine = replace(run, header=run.header.model_copy(update={"methods": methods}), plan=tuple(plan))
    for name in (SETTINGS, "Level[amount=0.5]"):
        first, *_ = choose_sets(mine, 2, 0, [name])
        assert SETTINGS in {stimulus.method for stimulus in first.stimuli}
    with pytest.raises(ConfigError, match="each may stand once"):
        choose_sets(mine, 2, 0, [SETTINGS, "Level[amount=0.5]"])


def test_ratings_go_to_the_method_under_its_title() -> None:
    rating = Rating("a", SETTINGS, "harp", "c1", "cell", 1, 2, 3)
    named = Heard((rating,), ("a",), ()).under({SETTINGS: "Level"})
    assert [one.method for one in named.ratings] == ["Level"]


def test_the_costs_of_a_session_stand_under_the_title() -> None:
    table = session_costs({f"fit {SETTINGS}": 1.0, "total": 2.0}, {SETTINGS: "Level"})
    assert table.column("part")[0] == "Level"


def test_the_golden_run_has_nothing_to_change() -> None:
    assert table2(titled(golden_run())) == table2(golden_run())
