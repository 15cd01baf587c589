"""A whole study by data: thirty listeners from the export to the tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import study

from bench.records.store import Run
from reports.listening.design import QUESTIONS
from reports.listening.export import Exported
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey, read_json
from reports.listening.tables import listening
from reports.text.result_table import Estimate
from reports.write import read_report


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Exported]:
    """The study, after all have handed in."""
    folder = tmp_path_factory.mktemp("study")
    run, made = study.planned(folder)
    key = read_json(made.key, BlindKey)
    paths = []
    for number in range(study.LISTENERS):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(study.handed_in_by(key, number), encoding="utf-8")
    import_ratings(paths, run.folder)
    return run, made


def test_each_listener_has_a_block_of_three_sets_and_each_set_as_many_listeners(
    done: tuple[Run, Exported],
) -> None:
    _, made = done
    assert len(made.plan) == study.LISTENERS
    assert {len(block) for block in made.plan} == {study.BLOCK}
    rated = [part.place for block in made.plan for part in block]
    assert {rated.count(place) for place in range(study.SETS)} <= {7, 8}


def test_those_who_do_not_listen_are_left_out_as_the_rule_says(done: tuple[Run, Exported]) -> None:
    run, _ = done
    said = heard([run.folder])
    study.require_whole(said, {f"l{number}" for number in study.CARELESS})
    everybody = heard([run.folder], keep_all=True)
    assert len(everybody.raters) == study.LISTENERS
    table = next(one for one in read_report(run.folder).tables if one.label == "listeners")
    assert [row.cells[-1] for row in table.rows].count("left out") == len(study.CARELESS)


def test_the_table_has_the_means_of_listeners_over_raters_and_contents(
    done: tuple[Run, Exported],
) -> None:
    run, _ = done
    said = heard([run.folder])
    rows = {row.cells[0]: row.cells for row in listening(run, said).rows}
    for method, truth in study.LIKED.items():
        given = [rating for rating in said.ratings if rating.method == method]
        assert rows[method][-1] == len(given) == len(said.raters) * study.BLOCK
        for place, question in enumerate(QUESTIONS):
            shown = rows[method][1 + place]
            assert isinstance(shown, Estimate)
            mean, error, half = study.crossed_interval(given, question)
            assert shown.value == pytest.approx(mean)
            assert shown.high - shown.low == pytest.approx(2 * half, rel=0.05)
            assert abs(mean - truth[place]) < 4 * error


def test_who_does_not_listen_would_have_drawn_the_methods_together(
    done: tuple[Run, Exported],
) -> None:
    run, _ = done

    def gap(*, keep_all: bool) -> float:
        said = heard([run.folder], keep_all=keep_all)
        means = [
            study.crossed_interval([r for r in said.ratings if r.method == method], "cp")[0]
            for method in study.LIKED
        ]
        return means[0] - means[1]

    first, second = (marks[0] for marks in study.LIKED.values())
    assert gap(keep_all=False) == pytest.approx(first - second, abs=0.35)
    assert gap(keep_all=True) < gap(keep_all=False)
