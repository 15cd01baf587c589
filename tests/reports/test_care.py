"""Who is found careless: the flags one by one, exact chances, simulated listeners, the table."""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import raters
from answering import deserved, sheet
from raters import KINDS, TESTS, Kind, Test
from sounding import sounding_run

from bench.cli.main import cli
from bench.records.store import Run
from reports.listening.blocks import Size, fitting_size
from reports.listening.care import Care, copies_of, judge, shortfall, words
from reports.listening.chance import Copies, expected, most_apart
from reports.listening.design import choose_sets
from reports.listening.export import Exported, export
from reports.listening.raters import listeners
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey, CareRule, KeyItem, Ratings, read_json

PROMISED = TESTS[:2]


@pytest.mark.parametrize("copies", [Copies(1), Copies(2), Copies(1, 1), Copies(3), Copies(2, 1)])
def test_random_marks_reach_the_needed_sum_as_often_as_counted(copies: Copies) -> None:
    """By trying every pair of marks of every copy."""
    pairs = list(itertools.product(range(1, 6), repeat=2))
    given = [[a - b for a, b in pairs]] * copies.both + [[a - 3 for a, _ in pairs]] * copies.own
    sums = Counter(map(sum, itertools.product(*given)))
    found = expected(copies, 0.05, 1e-9)  # honest listeners never fail: a low sum is enough
    strict = expected(copies, 0.05, 1.0)
    for one in (found, strict):
        reached = sum(n for total, n in sums.items() if total >= one.needed)
        assert one.random_pass == pytest.approx(reached / sums.total())
    assert strict.random_pass <= 0.05 or strict.needed == max(sums)
    assert found.needed <= strict.needed


@pytest.mark.parametrize("pairs", [1, 2, 3, 4])
@pytest.mark.parametrize("share", [0.1, 0.4])
def test_repeats_at_random_are_within_the_allowed_sum_as_often_as_asked(
    pairs: int, share: float
) -> None:
    gaps = [abs(a - b) for a, b in itertools.product(range(1, 6), repeat=2)]
    sums = Counter(map(sum, itertools.product(gaps, repeat=pairs)))
    within = [sum(n for s, n in sums.items() if s <= most) / sums.total() for most in range(20)]
    most = most_apart(pairs, share)
    assert most < 0 or within[most] <= share
    assert within[most + 1] > share


def test_honest_listeners_go_first_where_copies_are_few() -> None:
    few, enough = (expected(Copies(n), 0.05, 0.015) for n in (3, 9))
    assert few.random_pass > 0.4
    assert few.honest_fail <= 0.015
    assert enough.random_pass <= 0.05
    assert enough.honest_fail <= 0.015


@pytest.fixture(scope="module")
def key() -> BlindKey:
    return raters.made(TESTS[0])[0]


def judged(key: BlindKey, marks: Callable[[KeyItem, str], int], **changes: object) -> Care:
    """A listener of block 1."""
    text = sheet(key, "ann", 1, marks, **changes)
    return judge(Ratings.model_validate_json(text), key)


def method_marks(item: KeyItem, question: str) -> int:
    """As copies deserve; methods alike or not, by their names."""
    return deserved(item, question) if item.check else 1 + len(item.method + question) % 3


def test_a_listener_who_hears_the_copies_has_no_flag(key: BlindKey) -> None:
    care = judged(key, method_marks, **timed(key, 150.0))
    assert (care.flags, care.left_out) == ((), False)
    assert (care.copies.mean, care.copies.needed, care.copies.count) == (4.0, 11, 9)
    assert care.late is not None
    assert (care.late.count, care.apart, care.heard) == (6, 0.0, 0.97)
    assert care.pace == pytest.approx(150 / 130)


def timed(key: BlindKey, time_s: float) -> dict[str, object]:
    sets = [{"set": part.set, "started_at": "", "time_s": time_s} for part in key.blocks[0]]
    return {"sets": sets}


def of_late_set(key: BlindKey, question: str, item: KeyItem) -> int:
    late = {part.set for part in key.blocks[0][1:]}
    cells = {i.cell_id for name in late for i in key.sets[name].items.values()}
    return (
        2 + len(item.cell_id + question) % 2 if item.cell_id in cells else deserved(item, question)
    )


def test_each_flag_is_raised_by_what_it_is_about(key: BlindKey) -> None:
    fair = timed(key, 150.0)
    assert judged(key, lambda *_: 5, **fair).flags == ("copies", "late", "same")
    high = judged(key, lambda item, q: 5 if item.check else 1 + len(item.method + q) % 4, **fair)
    assert high.flags == ("copies", "late")
    assert judged(key, method_marks, **timed(key, 100.0)).flags == ("time",)
    tired = judged(key, lambda item, question: of_late_set(key, question, item), **fair)
    assert "late" in tired.flags
    assert tired.copies.reached == 12 + tired.late.reached  # type: ignore[union-attr] # it is there
    unsure = judged(
        key, lambda item, q: 5 if item.again and q == "ovl" else method_marks(item, q), **fair
    )
    assert unsure.apart == pytest.approx(4 / 3, abs=1.0)
    answers = json.loads(sheet(key, "ann", 1, method_marks))["answers"]
    answers[3]["heard"] = 0.5
    assert judged(key, method_marks, answers=answers, **fair).flags == ("heard",)


def test_two_soft_flags_leave_out_and_one_does_not(key: BlindKey) -> None:
    answers = json.loads(sheet(key, "ann", 1, method_marks))["answers"]
    answers[3]["heard"] = 0.5
    quick, fair = timed(key, 100.0), timed(key, 150.0)
    assert not judged(key, method_marks, **quick).left_out
    assert not judged(key, method_marks, answers=answers, **fair).left_out
    assert judged(key, method_marks, answers=answers, **quick).left_out


def test_a_copy_that_may_fit_both_questions_is_judged_by_its_own() -> None:
    key = raters.made(TESTS[0])[0]
    text = key.model_copy(deep=True).model_dump()
    for one in text["sets"].values():
        for item in one["items"].values():
            item["low"] = ""
    lenient = BlindKey.model_validate(text)
    care = judged(lenient, lambda item, _: 5 if item.check else 3, **timed(key, 150.0))
    assert (care.copies.mean, care.flags) == (2.0, ())
    assert care.copies.needed == expected(Copies(0, 9), 0.05, 0.015).needed


def test_many_methods_that_are_equally_bad_are_no_straight_line() -> None:
    key = raters.made(Test(3, 40))[0]
    care = judged(key, lambda item, q: deserved(item, q) if item.check else 1, **timed(key, 900.0))
    assert care.same > 0.9
    assert care.flags == ()


@pytest.mark.parametrize("test", PROMISED, ids=lambda test: test.words)
@pytest.mark.parametrize("name", KINDS)
def test_careless_listeners_are_found_and_honest_ones_are_not(test: Test, name: str) -> None:
    """Fewer of the same as `raters.txt` has, within what chance allows for so many."""
    kind, many = KINDS[name], 40
    found = raters.left_out(test, kind, many)
    if not kind.careless:
        assert found <= 4  # binomial of 2 %: more in 1 of 1000
    elif kind.whole:
        assert found >= 33  # binomial of 95 %: fewer in 1 of 1000


def test_the_written_simulation_keeps_the_promise() -> None:
    """At least 95 % of careless raters found, at most 2 % of honest listeners left out."""
    rows = written()
    assert set(rows) == set(KINDS)
    for place in range(len(PROMISED)):
        honest = [shares[place] for name, shares in rows.items() if not KINDS[name].careless]
        assert sum(honest) / len(honest) <= 0.02
        found = [s[place] for n, s in rows.items() if KINDS[n].careless and KINDS[n].whole]
        assert min(found) >= 0.95
    assert rows["random after the first set"][1] >= 0.9


def written() -> dict[str, list[float]]:
    lines = (Path(__file__).with_name("raters.txt")).read_text("utf-8").splitlines()
    found = [re.fullmatch(r"(\S.*?)((?:\s+\d\.\d{4})+)", line) for line in lines]
    return {m[1]: [float(x) for x in m[2].split()] for m in found if m}


@pytest.mark.slow
def test_the_written_simulation_is_what_it_gives_now() -> None:
    many = 1000
    rows = written()
    for place, test in enumerate(PROMISED):
        for name in ("random", "random after the first set", "honest, bad ear"):
            share = raters.left_out(test, KINDS[name], many) / many
            assert share == pytest.approx(rows[name][place], abs=0.05)


@pytest.mark.parametrize("test", PROMISED, ids=lambda test: test.words)
def test_blocks_of_the_simulated_size_are_those_of_twenty_minutes(test: Test) -> None:
    """With clips of ten seconds, as the listening test of the documentation has them."""
    sets = raters.rated_sets(test.methods)
    practice = replace(sets[0], stimuli=sets[0].stimuli[-3:])
    size = fitting_size(sets, practice, lambda _: raters.SECONDS, 20)
    assert size == Size(test.sets, test.methods + 3)


def test_longer_clips_leave_out_methods_rather_than_the_third_set() -> None:
    """A set of n clips takes 5 + 1.25 (n + 2) d + 9 n of the 1080 seconds."""
    sets = raters.rated_sets(10)
    for seconds, size in ((14.0, Size(3, 12)), (30.0, Size(3, 6)), (40.0, Size(2, 7)),
                          (100.0, Size(1, 6))):  # fmt: skip
        assert fitting_size(sets, None, lambda _, d=seconds: d, 20) == size


def test_a_block_that_is_too_small_says_how_many_sets_would_do() -> None:
    assert "a block of 2 sets has too few hidden copies: 13% of random" in raters.made(TESTS[2])[1]
    assert "With 3 sets in each block at most 5% are" in raters.made(TESTS[2])[1]
    assert raters.made(TESTS[0])[1] == ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("care") / "run"
    return sounding_run(folder, ("harp", "bird", "oud"), ("c1", "c2"))


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(run.folder, tmp_path_factory.mktemp("test") / "test", 5, 0)


def test_the_rule_stands_beside_the_key_before_anybody_listens(made: Exported) -> None:
    key = read_json(made.key, BlindKey)
    assert key.rule == CareRule()
    text = made.key.with_name(f"{key.test}.rule.txt").read_text("utf-8")
    assert text == f"{made.rule}\n" == words(CareRule(), made.plan) + "\n"
    assert copies_of(made.plan[0]) == Copies(15)
    assert "needed are 14 of at most 60 (15 copies)" in text
    assert shortfall(CareRule(), made.plan) == ""
    shown = (made.folder / "index.html").read_text("utf-8")
    for word in ("careless", "copies", "repeat", '"low"'):
        assert word not in shown


def test_the_second_marks_of_a_clip_count_for_care_alone(
    run: Run, made: Exported, tmp_path: Path
) -> None:
    key = read_json(made.key, BlindKey)
    for path in (run.folder / "listening").glob("*.ratings.json"):
        path.unlink()
    text = whole(key, "ada", lambda item, q: 2 if item.again else deserved(item, q))
    path = tmp_path / "ada.json"
    path.write_text(text, encoding="utf-8")
    import_ratings([path], run.folder)
    said = heard([run.folder])
    assert len(said.ratings) == 5 * 4
    assert {rating.cp for rating in said.ratings if rating.method == "copy-content"} == {5}
    assert said.judged[0].care.apart == pytest.approx((3 + 1 + 1) / 3)


def whole(key: BlindKey, name: str, marks: Callable[[KeyItem, str], int]) -> str:
    """The ratings of somebody who took the whole test."""
    answers = [
        {"set": one, "item": token, "heard": 0.97, **{q: marks(item, q) for q in raters.QUESTIONS}}
        for one, given in key.sets.items()
        for token, item in given.items.items()
    ]
    times = [{"set": one, "started_at": "a", "time_s": 30.0} for one in key.sets]
    return json.dumps({
        "test": key.test, "rater": name, "training": "none", "started_at": "a", "finished_at": "b",
        "answers": answers, "sets": times,
    })  # fmt: skip


def test_flags_are_shown_and_who_is_left_out_can_be_kept(
    run: Run, made: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = read_json(made.key, BlindKey)
    for path in (run.folder / "listening").glob("*.ratings.json"):
        path.unlink()
    paths = []
    for name, marks in (("Ada", deserved), ("Bob", lambda *_: 5)):
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(whole(key, name, marks), encoding="utf-8")
    words = ["listen", "import", *map(str, paths), "--run", str(run.folder)]
    cli.main(words, standalone_mode=False)
    said = capsys.readouterr().out
    assert "left out by the rule: listener 2, 'bob' (copies, late, same)" in said
    assert "kept 1, left out by the rule 1" in said
    cli.main([*words, "--keep-all"], standalone_mode=False)
    assert "everybody is kept on request; the rule leaves out 1" in " ".join(
        capsys.readouterr().out.split()
    )
    report = (run.folder / "report" / "listeners.md").read_text("utf-8")
    assert "bob" not in report
    assert "left out" in report
    assert "everybody" not in report
    table = listeners(run, heard([run.folder]))
    assert table.column("flags") == ("", "copies, late, same")
    assert table.column("same")[1] == 1.0


def test_a_test_of_before_there_was_a_rule_leaves_nobody_out() -> None:
    text = raters.made(TESTS[0])[0].model_dump()
    key = BlindKey.model_validate(text | {"rule": None})
    care = judged(key, lambda *_: 5)
    assert "copies" in care.flags
    assert not care.left_out


def test_a_copy_deserves_a_low_mark_unless_the_measure_says_that_it_fits(run: Run) -> None:
    """The copy of a content that has the sound of its style already."""
    stimuli = [s for one in choose_sets(run, 6, 0) for s in one.stimuli if s.check == "cp"]
    assert {s.low for s in stimuli} == {"sf"}
    alike = stimuli[0].cell_id
    scores = dict(run.scores)
    place = (alike, "sf.heldout")
    scores[place] = scores[place].model_copy(update={"value": 0.8})
    other = replace(run, scores=scores)
    lows = {
        s.cell_id: s.low for one in choose_sets(other, 6, 0) for s in one.stimuli if s.check == "cp"
    }
    assert lows.pop(alike) == ""
    assert set(lows.values()) == {"sf"}


def test_a_kind_decides_alone(key: BlindKey) -> None:
    """The same number gives the same listener."""
    kind: Kind = KINDS["random"]
    assert raters.ratings(TESTS[0], kind, 7) == raters.ratings(TESTS[0], kind, 7)
    assert raters.ratings(TESTS[0], kind, 7).test == key.test
