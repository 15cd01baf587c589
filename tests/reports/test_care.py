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

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bounds
import raters
from answering import deserved, sheet
from raters import CLOSE, KINDS, TESTS, Kind, Test
from sounding import sounding_run

from bench.cli.main import cli
from bench.records.store import Run
from reports.listening.blocks import Size, fitting_size, make_blocks
from reports.listening.care import Care, Evidence, asked_of, judge, shortfall, words
from reports.listening.chance import (
    FLOOR,
    HIGH,
    HIGH_SCORES,
    LAPSES,
    LAST_FAIL,
    LOW,
    LOW_SCORES,
    MIDDLING,
    SHIFT,
    Asked,
    expected,
    most_apart,
)
from reports.listening.design import QUESTIONS, choose_sets
from reports.listening.export import Exported, export
from reports.listening.raters import listeners
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import RULE, BlindKey, KeyItem, Ratings, read_json

PROMISED = TESTS[:2]


SCORES = (HIGH_SCORES, LOW_SCORES)


@pytest.mark.parametrize("asked", [Asked(1, 0), Asked(1, 1), Asked(2, 2), Asked(1, 4), Asked(0, 5)])
def test_random_marks_reach_the_needed_sum_as_often_as_counted(asked: Asked) -> None:
    """By trying every mark of every clip."""
    given = [HIGH_SCORES] * asked.high + [LOW_SCORES] * asked.low
    sums = Counter(map(sum, itertools.product(*given)))
    found = expected(asked, SCORES, 0.05, 1.0)
    for fails in (1e-9, 0.02, 1.0):
        found = expected(asked, SCORES, 0.05, fails)
        reached = sum(n for total, n in sums.items() if total >= found.needed)
        assert found.random_pass == pytest.approx(reached / sums.total())
    assert found.random_pass <= 0.05 or found.needed >= max(sums)
    assert expected(asked, SCORES, 0.05, 1e-9).needed == min(sums)  # honest ones never fail


def test_the_evidence_of_a_mark_is_ten_times_the_logarithm_of_the_ratio_of_its_chances() -> None:
    """By drawing marks of both, a million of each, and counting."""
    rng = np.random.default_rng(0)
    many = 1_000_000

    def drawn(mean: float, spread: float, lapses: float) -> np.ndarray:
        marks = np.clip(np.rint(rng.normal(mean, spread, many)), 1, 5)
        return np.where(rng.random(many) < lapses, rng.integers(1, 6, many), marks)

    careless = drawn(3, 0.8, 1 - MIDDLING)
    for scores, (mean, spread) in ((HIGH_SCORES, HIGH), (LOW_SCORES, LOW)):
        honest = drawn(mean, spread, LAPSES)
        for mark, score in enumerate(scores, start=1):
            ratio = np.mean(honest == mark) / np.mean(careless == mark)
            assert 10 * np.log10(ratio) == pytest.approx(score, abs=0.6)


def test_the_shift_of_a_listener_is_counted_in() -> None:
    """By simulating listeners whose marks all lie higher or lower."""
    rng = np.random.default_rng(1)
    many, asked = 100_000, Asked(4, 8)
    found = expected(asked, SCORES, 0.0, 0.1)
    sums = np.zeros(many)
    shift = rng.normal(0, SHIFT, many)
    for count, scores, (mean, spread) in ((4, HIGH_SCORES, HIGH), (8, LOW_SCORES, LOW)):
        for _ in range(count):
            marks = np.clip(np.rint(rng.normal(mean + shift, spread)), 1, 5)
            marks = np.where(rng.random(many) < LAPSES, rng.integers(1, 6, many), marks)
            sums += np.array(scores)[marks.astype(int) - 1]
    assert np.mean(sums < found.needed) == pytest.approx(found.honest_fail, abs=0.005)


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
    few, enough = (expected(Asked(n, 2 * n), SCORES, 0.05, 0.015) for n in (3, 9))
    assert few.random_pass > 0.2
    assert few.honest_fail <= 0.015
    assert enough.random_pass <= 0.05
    assert enough.honest_fail <= 0.015
    much = expected(Asked(15, 30), SCORES, 0.05, 0.015)  # nobody who is ten times likelier careless
    assert (much.needed, FLOOR) == (FLOOR, -10)
    assert much.honest_fail < 0.001


@pytest.fixture(scope="module")
def key() -> BlindKey:
    return raters.made(TESTS[0])[0]


def judged(key: BlindKey, marks: Callable[[KeyItem, str], int], **changes: object) -> Care:
    """A listener of block 1."""
    text = sheet(key, "ann", 1, marks, **changes)
    return judge(Ratings.model_validate_json(text), key)


def method_marks(item: KeyItem, question: str) -> int:
    """As hidden clips deserve; methods alike or not, by their names."""
    return (
        deserved(item, question)
        if item.check or item.stray
        else 1 + len(item.method + question) % 3
    )


def test_a_listener_who_hears_the_copies_has_no_flag(key: BlindKey) -> None:
    care = judged(key, method_marks, **timed(key, 150.0))
    assert (care.flags, care.left_out) == ((), False)
    one_set = 3 * max(HIGH_SCORES) + 6 * max(LOW_SCORES)
    assert care.copies == Evidence(3 * one_set, expected(Asked(9, 18), SCORES, 0.03, 0.015).needed)
    # the last set has least to spare, since the least is to be had there
    assert care.late == Evidence(one_set, expected(Asked(3, 6), SCORES, 0.03, 0.003).needed)
    late = judged(key.model_copy(update=FORMER), method_marks, **timed(key, 150.0)).late
    assert late == Evidence(2 * one_set, expected(Asked(6, 12), SCORES, 0.03, 0.014).needed)
    assert (care.apart, care.heard) == (0.0, 0.97)
    assert care.pace == pytest.approx(150 / 135)


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
    astray = judged(key, lambda item, q: 5 if item.stray else method_marks(item, q), **fair)
    assert astray.flags == ("late",)
    assert judged(key, method_marks, **timed(key, 100.0)).flags == ("time",)
    tired = judged(key, lambda item, question: of_late_set(key, question, item), **fair)
    assert "late" in tired.flags
    first = 3 * max(HIGH_SCORES) + 6 * max(LOW_SCORES)
    assert tired.copies.reached == first + tired.late.reached  # type: ignore[union-attr] # is there
    unsure = judged(
        key, lambda item, q: 5 if item.again and q == "ovl" else method_marks(item, q), **fair
    )
    assert unsure.apart == pytest.approx(4 / 3, abs=1.0)
    answers = json.loads(sheet(key, "ann", 1, method_marks))["answers"]
    answers[3]["heard"] = 0.5
    assert judged(key, method_marks, answers=answers, **fair).flags == ("heard",)


FORMER = {"rule": RULE.model_copy(update={"last_fail": 0.0})}  # of before the last set alone


def careless_at_last(key: BlindKey, sets: int) -> Callable[[KeyItem, str], int]:
    """Marks without care for the clips of the last sets of block 1, and as deserved before."""
    last = [list(key.sets[part.set].items.values()) for part in key.blocks[0][-sets:]]
    careless = {item.cell_id: 1 + n % 5 for items in last for n, item in enumerate(items)}
    return lambda item, question: careless.get(item.cell_id, method_marks(item, question))


@pytest.mark.parametrize("test", [TESTS[0], TESTS[2]], ids=lambda test: test.words)
def test_the_last_set_is_looked_at_alone_where_the_rule_says_so(test: Test) -> None:
    """In blocks of two sets as well, which have no later sets beside it."""
    key = raters.made(test)[0]
    marks = careless_at_last(key, 1)
    assert judged(key, marks, **timed(key, 150.0)).flags == ("late",)
    assert judged(key.model_copy(update=FORMER), marks, **timed(key, 150.0)).flags == ()


def test_the_last_two_sets_tell_where_the_later_half_does_not() -> None:
    key = raters.made(TESTS[1])[0].model_copy(update=FORMER)
    assert judged(key, careless_at_last(key, 2), **timed(key, 150.0)).flags == ("late",)


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
    care = judged(
        lenient, lambda item, _: 5 if item.check else 1 if item.stray else 3, **timed(key, 150.0)
    )
    assert (care.copies.reached, care.flags) == (9 * max(HIGH_SCORES) + 9 * max(LOW_SCORES), ())
    assert care.copies.needed == expected(Asked(9, 9), SCORES, 0.03, 0.015).needed


def test_a_rule_of_before_marks_were_weighed_counts_contrasts() -> None:
    """The mark of a copy for its own question minus that for the other, as such a key says."""
    text = raters.made(TESTS[0])[0].model_dump()
    for one in text["sets"].values():
        one["items"] = {name: item for name, item in one["items"].items() if not item["stray"]}
    for block in text["blocks"]:
        for part in block:
            part["items"] = [i for i in part["items"] if i in text["sets"][part["set"]]["items"]]
    former = {"random_pass": 0.05, "honest_fail": 0.015, "late_fail": 0.01}
    key = BlindKey.model_validate(text | {"rule": former})
    care = judged(key, method_marks, **timed(key, 150.0))
    assert care.copies == Evidence(4 * 9, 11)
    assert judged(key, lambda item, q: 5 - deserved(item, q) % 5, **timed(key, 150.0)).left_out


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
        honest = [shares[place][0] for name, shares in rows.items() if not KINDS[name].careless]
        assert max(honest) <= 0.02
        found = [s[place][0] for n, s in rows.items() if KINDS[n].careless and KINDS[n].whole]
        assert min(found) >= 0.95
        assert rows["random after the first set"][place][0] >= 0.95
    assert rows["random"][2][0] >= 0.95  # of two sets
    for name, sets in CLOSE:  # with their whole intervals
        _, low, high = rows[name][[test.sets for test in TESTS].index(sets)]
        assert (low >= 0.95) if KINDS[name].careless else (high <= 0.02)


def written() -> dict[str, list[tuple[float, float, float]]]:
    """Shares with their intervals, by kind."""
    lines = (Path(__file__).with_name("raters.txt")).read_text("utf-8").splitlines()
    share = r"(\d\.\d{4}) \[(\d\.\d{4}), (\d\.\d{4})\]"
    rows = {line[:32].strip(): re.findall(share, line) for line in lines}
    return {
        name: [(float(a), float(b), float(c)) for a, b, c in found]
        for name, found in rows.items()
        if found
    }


def test_the_interval_of_a_share_is_that_of_wilson() -> None:
    """The text book's example: 10 of 100 gives 5.5 % to 17.4 %."""
    assert raters.wilson(10, 100) == pytest.approx((0.0552, 0.1744), abs=1e-4)
    assert raters.wilson(0, 100)[0] == 0.0


def test_the_rule_finds_as_many_by_the_last_set_as_can_be_found() -> None:
    """Within what chance allows of the best rule that leaves out as few; others find no more."""
    honest, careless = (
        bounds.evidence(bounds.last_marks(TESTS[0], name, 1000))
        for name in ("honest, bad ear", "random in the last set")
    )
    best = bounds.found_at(honest, careless, LAST_FAIL)
    assert written()["random in the last set"][0][0] == pytest.approx(best, abs=0.1)
    assert bounds.found_at(honest, careless, 0.02) < 0.85


@pytest.mark.slow
def test_the_written_simulation_is_what_it_gives_now() -> None:
    many = 1000
    rows = written()
    for place, test in enumerate(PROMISED):
        for name in ("random", "random after the first set", "honest, bad ear"):
            share = raters.left_out(test, KINDS[name], many) / many
            assert share == pytest.approx(rows[name][place][0], abs=0.05)


@pytest.mark.parametrize("test", PROMISED, ids=lambda test: test.words)
def test_blocks_of_the_simulated_size_are_those_of_twenty_minutes(test: Test) -> None:
    """With clips of ten seconds, as the listening test of the documentation has them."""
    sets = raters.rated_sets(test.methods)
    practice = replace(sets[0], stimuli=sets[0].stimuli[-4:-1])
    size = fitting_size(sets, practice, lambda _: raters.SECONDS, 20)
    assert size == Size(test.sets, test.methods + raters.HIDDEN)


def test_longer_clips_leave_out_methods_rather_than_the_third_set() -> None:
    """A set of n clips takes 5 + 1.25 ((n + 1) d + 5) + 9 n of the 1080 seconds."""
    sets = raters.rated_sets(10)
    for seconds, size in ((14.0, Size(3, 12)), (30.0, Size(3, 6)), (40.0, Size(2, 8)),
                          (100.0, Size(1, 7))):  # fmt: skip
        assert fitting_size(sets, None, lambda _, d=seconds: d, 20) == size


def test_a_block_that_is_too_small_says_how_many_sets_would_do() -> None:
    assert [raters.made(test)[1] for test in TESTS] == ["", "", ""]
    sets = raters.rated_sets(4)
    plan = make_blocks(sets, 3, Size(1, 8), 0)
    told = shortfall(RULE, plan)
    assert "a block of 1 set has too few hidden clips: 26% of random raters" in told
    assert "With 2 sets in each block at most 5% are" in told


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("care") / "run"
    return sounding_run(folder, ("harp", "bird", "oud"), ("c1", "c2"))


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(run.folder, tmp_path_factory.mktemp("test") / "test", 5, 0)


def test_the_rule_stands_beside_the_key_before_anybody_listens(made: Exported) -> None:
    key = read_json(made.key, BlindKey)
    assert key.rule == RULE
    text = made.key.with_name(f"{key.test}.rule.txt").read_text("utf-8")
    assert text == f"{made.rule}\n" == words(RULE, made.plan) + "\n"
    assert asked_of(made.plan[0]) == Asked(15, 30)
    assert "Needed are -10 of at most 165 (45 marks)" in text
    assert "from the last but one set on at least 95% are found" in text
    assert shortfall(RULE, made.plan) == ""
    shown = (made.folder / "index.html").read_text("utf-8")
    for word in ("careless", "copies", "repeat", "stray", '"low"'):
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
        {"set": one, "item": token, "heard": 0.97, **{q: marks(item, q) for q in QUESTIONS}}
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
