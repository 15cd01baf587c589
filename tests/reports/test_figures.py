"""The numbers behind figures, from tables; pictures only as files that open."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import fail, golden_run, header, method, planned, run_of, simple
from sounding import sounding_run

from bench.records.store import Run
from reports.figures import data, draw
from reports.figures.data import Cost, Curve, Point
from reports.figures.examples import examples
from reports.figures.looks import LIGHT, looks
from reports.figures.plates import plates
from reports.tables.run_costs import run_costs
from reports.tables.settings import table1
from reports.tables.table2 import table2
from reports.text.result_table import Estimate


def point(label: str, cp: float, sf: float) -> Point:
    return Point(label, label, "method", Estimate(cp), Estimate(sf))


def test_the_pareto_set_is_what_nothing_beats_in_both() -> None:
    points = [
        point("a", 0.9, 0.1),
        point("b", 0.5, 0.5),
        point("c", 0.4, 0.5),
        point("d", 0.1, 0.9),
    ]
    assert data.pareto(points) == {"a", "b", "d"}
    assert data.pareto([point("e", 0.5, 0.5), point("f", 0.5, 0.5)]) == {"e", "f"}
    assert data.pareto([]) == frozenset()


def test_points_are_the_numbers_of_the_table() -> None:
    run = fail(golden_run(), "musicgen/harp/c2/0")
    table = table2(run)
    points = {p.label: p for p in data.scatter(table, ("cp", "sf.heldout"), data.families(run))}
    assert list(points) == ["tve[strength=0.5]", "musicgen", "copy-content"]
    rows = {str(r.cells[0]): place for place, r in enumerate(table.rows)}
    for label in ("tve[strength=0.5]", "musicgen"):  # one cell of each failed
        assert points[label].fit == table.column("sf.heldout")[rows[f"{label}, failed at 0"]]
    assert points["copy-content"].fit == table.column("sf.heldout")[rows["copy-content"]]
    assert points["tve[strength=0.5]"].family == "tve"
    assert [p.pareto for p in points.values()] == [True, False, False]
    assert points["copy-content"].kind == "control"


def test_published_rows_fill_only_the_measure_they_have() -> None:
    values = {"tve": {"cp": 0.4, "sf.text": 0.3, "sf.seen": 0.3}}
    run = run_of(header([method("tve")], profile="full"), values)
    table = table2(run)
    kinds = {
        measure: [p.kind for p in data.scatter(table, ("cp", measure), {})].count("published")
        for measure in ("sf.text", "sf.seen")
    }
    assert kinds == {"sf.text": 6, "sf.seen": 1}
    captions = [plate.caption for plate in plates(run, {"table2": table})]
    assert captions
    assert [caption for caption in captions if "as published" not in caption] == []


def swept() -> Run:
    """One method at three strengths, as three labels."""
    labels = [f"tve[strength={s},steps=9]" for s in ("0.3", "0.5", "0.7")]
    levels = {
        label: {"cp": 0.9 - 0.2 * n, "sf.seen": 0.2 + 0.2 * n} for n, label in enumerate(labels)
    }
    run = run_of(header([method(label) for label in labels]), levels)
    plan = tuple(
        cell.model_copy(
            update={"parameters": {"strength": float(cell.method[13:16]), "guidance_scale": 5.0}}
        )
        for cell in run.plan
    )
    return Run(run.folder, run.header, plan, run.cells, run.scores)


def test_curves_join_the_settings_of_one_method_in_order() -> None:
    run = swept()
    drawn = data.curves(table1(run), "sf.seen", data.families(run))
    assert [(c.family, c.style, c.strengths) for c in drawn] == [
        ("tve", "bird", (0.3, 0.5, 0.7)), ("tve", "harp", (0.3, 0.5, 0.7)),
    ]  # fmt: skip
    assert list(drawn[0].cp) == sorted(drawn[0].cp, reverse=True)


def test_short_labels_keep_what_tells_settings_apart() -> None:
    short = data.short_labels(cell for cell in ("rti", *(e.label for e in swept().header.methods)))
    assert list(short.values()) == ["rti", "tve 0.3", "tve 0.5", "tve 0.7"]
    two = data.short_labels(["a[x=1,y=2]", "a[x=2,y=1]", "b[x=1]"])
    assert list(two.values()) == ["a x=1, y=2", "a x=2, y=1", "b"]
    assert len(set(data.short_labels(["a", "a[x=1]", "a[x=2]"]).values())) == 3


def test_costs_fall_to_the_transfer_as_a_fit_serves_more_clips() -> None:
    cost = Cost("a", "a", False, 2.0, 10.0, 1.0)
    assert cost.per_clip(1) == 13.0
    assert cost.per_clip(1000) == pytest.approx(1.012)
    run = golden_run()
    drawn = data.costs(run_costs(run), data.families(run))
    assert [(c.label, c.load_s, c.transfer_s) for c in drawn] == [
        ("tve[strength=0.5]", 2.0, 1.0), ("musicgen", 2.0, 1.0), ("copy-content", 2.0, 1.0)
    ]  # fmt: skip


def test_each_figure_has_its_numbers_as_csv() -> None:
    run = swept()
    built = {t.label: t for t in (table2(run), table1(run), run_costs(run))}
    drawn = plates(run, built)
    assert [plate.label for plate in drawn] == ["cp-sf-seen", "trade-off", "time"]
    rows = list(csv.DictReader(io.StringIO(drawn[0].csv)))
    value = built["table2"].column("cp")[0]
    assert isinstance(value, Estimate)
    assert float(rows[0]["cp"]) == pytest.approx(value.value)
    assert "tve 0.3" in drawn[0].caption


def test_a_method_looks_the_same_in_every_figure() -> None:
    labels = {"tve": 0.5, "rti": 0.4}  # in another order than that of the alphabet
    values = {label: {"cp": level, "sf.heldout": 1 - level} for label, level in labels.items()}
    run = run_of(header([method(label) for label in labels], metrics=("cp", "sf.heldout")), values)
    built = {t.label: t for t in (table2(run), table1(run), run_costs(run))}
    drawn = {plate.label: plate.draw() for plate in plates(run, built)}
    expected = {name: (LIGHT[place], "os"[place]) for place, name in enumerate(labels)}
    for label, place in (("trade-off", 0), ("time", 1)):
        lines = drawn[label].axes[place].get_lines()
        names = {str(line.get_label()).partition(",")[0]: line for line in lines}
        found = {name: (line.get_color(), line.get_marker()) for name, line in names.items()}
        assert found == expected, label


def test_intervals_cross_out_no_hollow_marker() -> None:
    """The legend names points without intervals, and those of controls hide what is behind them."""
    run = simple(tve=0.5, noise=0.1)
    (plate, *_) = plates(run, {"table2": table2(run)})
    figure = plate.draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["tve (Pareto)", "noise"]
    fills = [handle.get_markerfacecolor() for handle in legend.legend_handles]
    assert fills == [LIGHT[0], "white"]


def test_methods_at_one_strength_are_points_of_no_sweep() -> None:
    run = simple(tve=0.5)
    built = {t.label: t for t in (table2(run), table1(run), run_costs(run))}
    plate = next(one for one in plates(run, built) if one.label == "trade-off")
    figure = plate.draw()
    assert "each point is a method at its one strength" in plate.caption
    assert figure.get_supxlabel() == "content preservation (CP)"
    assert {line.get_linestyle() for line in figure.axes[0].get_lines()} == {"None"}


def test_pictures_are_the_same_each_time_and_print_odd_names() -> None:
    points = [point("a $x_", 0.5, 0.5), point("<b>&\U0001f3b8", 0.1, 0.2)]
    drawn_as = looks((p.label, p.family, p.kind) for p in points)
    first, second = (
        draw.encoded(draw.scatter(points, ("CP", "SF $^"), drawn_as), "svg") for _ in range(2)
    )
    assert first == second
    assert b"a $x_" in first
    assert b"&lt;b&gt;&amp;" in first
    assert draw.encoded(draw.scatter(points, ("CP", "SF"), drawn_as), "pdf").startswith(b"%PDF")


def test_a_run_without_numbers_has_no_figures() -> None:
    empty = Run(Path("x"), header([method("tve")]), (planned("tve", "harp", "c1"),), {}, {})
    built = {t.label: t for t in (table2(empty), table1(empty), run_costs(empty))}
    assert plates(empty, built) == ()


def test_examples_show_style_content_and_output_of_the_best_cells(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp", "bird"], ["c1", "c2"])
    shown = {example.title: example for example in examples(run, [run.folder])}
    assert list(shown) == ["Best content preservation", "Best style fit"]
    plate = shown["Best style fit"].plate
    assert "style bird; content c2; output of rti (CP 0.41, SF-audio (held-out) 0.61)" in (
        plate.caption
    )
    head, *rows = csv.reader(io.StringIO(plate.csv))
    assert {row[0] for row in rows} == {"style bird", "content c2", "output of rti"}
    place = next(n for n, cell in enumerate(run.plan) if cell == shown["Best style fit"].cell)
    output = next(row for row in rows if row[0] == "output of rti" and float(row[1]) > 1)
    loudest = max(range(2, len(head)), key=lambda n: float(output[n]))
    assert float(head[loudest].removesuffix(" Hz")) == pytest.approx(220 + 20 * place, abs=65)
    for suffix, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert draw.encoded(plate.draw(), suffix).startswith(start)  # type: ignore[arg-type] # literals


def test_an_example_without_its_inputs_shows_the_output_alone(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1"])
    for place in (2, 3):  # the copies of content and style
        (run.folder / "audio" / f"{place:04d}.flac").unlink()
    (best, _) = examples(run, [run.folder])
    assert "Best content preservation: output of tve (CP" in best.plate.caption
    (run.folder / "audio" / "0000.flac").unlink()
    assert [one.title for one in examples(run, [run.folder])] == ["Best style fit"]


def test_a_legend_names_every_curve_also_where_styles_have_settings_of_their_own() -> None:
    drawn = [
        Curve("tve", f"style {number}", 3.0 + number % 2, (0.4, 0.6), (0.8, 0.5), (0.2, 0.4))
        for number in range(11)
    ]
    figure = draw.curves(drawn, "SF", looks([("tve", "tve", "method")]))
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "tve, guidance_scale 3", "tve, guidance_scale 4",
    }  # fmt: skip
    shown = [axes for axes in figure.axes if axes.get_visible()]
    numbered = [axes for axes in shown if axes.xaxis.get_tick_params()["labelbottom"]]
    assert (len(shown), len(numbered)) == (11, 4)  # the lowest of each column
