"""Which listener rates what, what that can find, and the ratings of blocks as they come back."""

from __future__ import annotations

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from answering import sheet
from sounding import sounding_run

from bench.api import ConfigError, RecordError
from bench.records.store import Run
from bench.statistics.multiway import multiway_interval
from reports.listening import power
from reports.listening.blocks import (
    Block,
    Size,
    fitting_size,
    make_blocks,
    minutes,
    seconds_of_set,
    whole,
)  # fmt: skip
from reports.listening.design import QUESTIONS, RatedSet, Stimulus
from reports.listening.export import Audience, Exported, export
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey, KeyItem, Participant, read_json
from reports.listening.tables import listening


def made_up(sets: int, methods: int, styles: int = 5) -> tuple[RatedSet, ...]:
    """Sets of some methods and a hidden control, of each kind in turn."""
    found = []
    for place in range(sets):
        names = [f"m{n}" for n in range(methods)]
        clips = [Stimulus(name, f"{place}/{name}", f"{place}/{name}.flac", "") for name in names]
        check = ("cp", "sf")[place % 2]
        clips.append(Stimulus("copy", f"{place}/copy", f"{place}/copy.flac", check))
        style, content = f"s{place % styles}", f"c{place // styles % 8}"
        found.append(RatedSet(style, content, 0, "style.flac", "content.flac", tuple(clips)))
    return tuple(found)


def ten_seconds(_path: str) -> float:
    return 10.0


SHAPES = [(15, 10, 30, Size(4, 11)), (15, 10, 30, Size(2, 6)), (12, 4, 7, Size(5, 5)),
          (7, 3, 10, Size(2, 4)), (15, 8, 40, Size(5, 4))]  # fmt: skip


@pytest.mark.parametrize(("sets", "methods", "listeners", "size"), SHAPES)
def test_sets_have_equally_many_listeners_after_any_number_of_them(
    sets: int, methods: int, listeners: int, size: Size
) -> None:
    given = made_up(sets, methods)
    rated: Counter[int] = Counter(dict.fromkeys(range(sets), 0))
    for block in make_blocks(given, listeners, size, 3):
        assert len({part.place for part in block}) == len(block) == size.sets
        assert {len(part.stimuli) for part in block} == {size.clips}
        rated.update(part.place for part in block)
        assert max(rated.values()) - min(rated.values()) <= 1


@pytest.mark.parametrize(("sets", "methods", "listeners", "size"), SHAPES)
def test_pairs_of_methods_meet_equally_often(
    sets: int, methods: int, listeners: int, size: Size
) -> None:
    parts = [p for b in make_blocks(made_up(sets, methods), listeners, size, 3) for p in b]
    named = [[s.method for s in part.stimuli if not s.check] for part in parts]
    met = Counter(pair for names in named for pair in combinations(sorted(names), 2))
    assert len(met) == math.comb(methods, 2)
    mean = sum(met.values()) / len(met)
    assert max(abs(count - mean) for count in met.values()) <= 3
    played = Counter(name for names in named for name in names)
    assert max(played.values()) - min(played.values()) <= 3


@pytest.mark.parametrize(("sets", "methods", "listeners", "size"), SHAPES)
def test_every_set_of_a_block_has_its_hidden_control(
    sets: int, methods: int, listeners: int, size: Size
) -> None:
    blocks = make_blocks(made_up(sets, methods), listeners, size, 0)
    kinds = [[s.check for part in block for s in part.stimuli if s.check] for block in blocks]
    assert all(len(met) == size.sets for met in kinds)
    both = sum(set(met) == {"cp", "sf"} for met in kinds)
    assert both >= len(blocks) - math.ceil(sets / 5)  # an odd number of sets leaves some over


def test_the_seed_decides_the_blocks_and_a_longer_list_begins_alike() -> None:
    given, size = made_up(15, 10), Size(4, 11)
    assert make_blocks(given, 30, size, 1) == make_blocks(given, 30, size, 1)
    assert make_blocks(given, 30, size, 1) != make_blocks(given, 30, size, 2)
    assert make_blocks(given, 30, size, 1)[:10] == make_blocks(given, 10, size, 1)


def test_a_test_that_everybody_can_rate_has_no_blocks() -> None:
    assert make_blocks(made_up(3, 2), 30, Size(3, 3), 0) == ()


def test_ten_methods_on_fifteen_pairs_fit_into_twenty_minutes() -> None:
    """The test of the documentation: 495 ratings became some 130 for each listener."""
    given, practice = made_up(15, 10), made_up(1, 2)[0]
    size = fitting_size(given, practice, ten_seconds, 20)
    blocks = make_blocks(given, 30, size, 0)
    times = [minutes(block, given, practice, ten_seconds) for block in blocks]
    assert max(times) <= 20
    assert size.clips == 11
    more = Size(size.sets + 1, size.clips)
    assert minutes(make_blocks(given, 1, more, 0)[0], given, practice, ten_seconds) > 20


def test_the_time_of_a_set_is_that_of_its_sounds_and_marks() -> None:
    one = made_up(1, 2)[0]
    assert seconds_of_set(one, one.stimuli, ten_seconds) == 5 + 1.25 * 50 + 3 * 3 * 3


def test_a_stray_clip_takes_five_seconds_at_most_and_stays_in_every_part() -> None:
    one = made_up(1, 2)[0]
    stray = Stimulus("copy-content", "other", "other.flac", "", stray=("cp", "sf", "ovl"))
    more = replace(one, stimuli=(*one.stimuli, stray))
    added = seconds_of_set(more, more.stimuli, ten_seconds) - seconds_of_set(
        one, one.stimuli, ten_seconds
    )
    assert added == 1.25 * 5 + 3 * 3
    short = seconds_of_set(more, (stray,), lambda _: 2.0)
    assert short == 5 + 1.25 * (2 + 2 + 2) + 9
    sets = tuple(replace(s, stimuli=(*s.stimuli, stray)) for s in made_up(7, 3))
    parts = [part for block in make_blocks(sets, 10, Size(2, 4), 0) for part in block]
    assert all(stray in part.stimuli and len(part.stimuli) == 4 for part in parts)


def test_longer_clips_leave_fewer_methods_in_a_set_and_the_longest_sets_count() -> None:
    given = made_up(15, 10)

    def seconds(path: str) -> float:
        return 40.0 if path.startswith("0/") else 30.0

    size = fitting_size(given, None, seconds, 20)
    assert size.sets >= 2
    assert 3 <= size.clips < 11
    for seed in range(5):
        blocks = make_blocks(given, 15, size, seed)
        assert max(minutes(block, given, None, seconds) for block in blocks) <= 20


def test_a_time_in_which_nothing_fits_is_refused_with_one_that_is_enough() -> None:
    given = made_up(15, 10)
    with pytest.raises(ConfigError, match=r"--minutes 3 do not hold one set of 3 clips") as found:
        fitting_size(given, None, ten_seconds, 3)
    enough = int(str(found.value).rpartition("--minutes ")[2].split(",")[0])
    assert fitting_size(given, None, ten_seconds, enough).sets >= 1


def test_the_smallest_difference_is_the_one_that_the_tables_interval_finds() -> None:
    """By another way: the added difference is found by the interval of marks, in 80 % of draws."""
    given = made_up(15, 4, styles=3)
    blocks = make_blocks(given, 20, Size(4, 5), 0)
    smallest = power.smallest_difference(given, blocks, draws=100)
    generator, found = np.random.default_rng(0), 0
    rows = [(rater, part.place) for rater, block in enumerate(blocks) for part in block]
    raters, places = (np.array(column) for column in zip(*rows, strict=True))
    clusters = [[str(r) for r in raters], [given[p].content for p in places]]
    for _ in range(100):
        listeners = generator.normal(0, 2**0.5 * power.LISTENER, len(blocks))[raters]
        sets = generator.normal(0, 2**0.5 * power.SET, len(given))[places]
        rest = generator.normal(0, 2**0.5 * power.REST, len(rows))
        drawn = listeners + sets + rest + smallest
        found += multiway_interval(drawn, clusters, bounds=(-4.0, 4.0)).low > 0
    assert found in {80, 81}


@pytest.mark.slow
def test_more_listeners_find_smaller_differences_and_one_content_finds_none() -> None:
    given, size = made_up(30, 4, styles=4), Size(4, 5)
    few, many = (power.smallest_difference(given, make_blocks(given, n, size, 0)) for n in (10, 60))
    assert 0 < many < few < 2.5
    alone = made_up(4, 4, styles=4)
    assert {one.content for one in alone} == {"c0"}
    assert power.smallest_difference(alone, (whole(alone),) * 30) == math.inf
    assert "find no difference for sure over 1 content and 4 styles" in power.words(
        alone, (whole(alone),) * 30, 9.2
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("blocks") / "run"
    return sounding_run(folder, ("harp", "bird", "oud"), ("c1", "c2", "d1", "d2"))


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    audience = Audience(listeners=9, minutes=5.5)
    return export(run.folder, tmp_path_factory.mktemp("test") / "test", 6, 0, audience=audience)


def told(folder: Path) -> dict[str, Any]:
    """What the page of a test knows."""
    page = (folder / "index.html").read_text("utf-8")
    found = re.findall(r'id="test">(.*?)</script>', page, re.DOTALL)
    facts: dict[str, Any] = json.loads(found[0])
    return facts


def test_page_and_key_have_the_same_blocks_and_the_page_their_times(made: Exported) -> None:
    key, page = read_json(made.key, BlindKey), told(made.folder)
    assert 1 < len(made.plan[0]) < 6
    assert [[part.model_dump(include={"set", "items"}) for part in block] for block in key.blocks
           ] == page["blocks"]  # fmt: skip
    assert len(page["blocks"]) == len(page["minutes"]) == 9
    assert max(page["minutes"]) <= 6
    rated = {item for one in page["sets"] for item in one["items"]}
    assert page["practice"]["id"] not in key.sets
    assert not rated & set(page["practice"]["items"])


MARKS = {"tve[strength=0.5]": (4, 2, 4), "rti": (2, 3, 2), "copy-content": (5, 1, 3),
         "copy-style": (1, 5, 3)}  # fmt: skip


def by_method(item: KeyItem, question: str) -> int:
    return MARKS[item.method][QUESTIONS.index(question)]


def hand_in(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"{number}.json" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_listeners_of_all_blocks_come_into_the_tables(
    run: Run, made: Exported, tmp_path: Path
) -> None:
    key = read_json(made.key, BlindKey)
    texts = [sheet(key, f"listener {block}", block, by_method) for block in range(1, 10)]
    import_ratings(hand_in(tmp_path, *texts), run.folder)
    said = heard([run.folder])
    assert len(said.raters) == 9
    assert len(said.ratings) == sum(len(part.items) - 2 for block in key.blocks for part in block)
    rows = {row.cells[0]: row.cells for row in listening(run, said).rows}
    assert rows["rti"][1].value == 2  # type: ignore[union-attr] # an Estimate
    assert rows["rti"][-1] == sum(len(block) for block in key.blocks)


def dropped(answers: list[dict[str, object]]) -> list[dict[str, object]]:
    return answers[1:]


def doubled(answers: list[dict[str, object]]) -> list[dict[str, object]]:
    return [*answers, answers[0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dropped, r"leaves out 1 of {all} clips of block 2 of the test \(\w+/\w+\); each clip"),
        (doubled, r"rates .* twice; each clip"),
    ],
)
def test_a_listener_rates_each_clip_of_the_block_once(
    run: Run, made: Exported, tmp_path: Path, message: str,
    change: Callable[[list[dict[str, object]]], list[dict[str, object]]],
) -> None:  # fmt: skip
    key = read_json(made.key, BlindKey)
    answers = json.loads(sheet(key, "eve", 2))["answers"]
    text = sheet(key, "eve", 2, answers=change(answers))
    with pytest.raises(RecordError, match=message.replace("{all}", str(len(answers)))):
        import_ratings(hand_in(tmp_path, text), run.folder)


def test_the_marks_of_another_block_are_refused(run: Run, made: Exported, tmp_path: Path) -> None:
    key = read_json(made.key, BlindKey)
    text = sheet(key, "eve", 2, answers=json.loads(sheet(key, "eve", 1))["answers"])
    with pytest.raises(RecordError, match="which is not in block 2 of the test"):
        import_ratings(hand_in(tmp_path, text), run.folder)
    with pytest.raises(RecordError, match="is of block 10, and this test has 9 blocks"):
        import_ratings(hand_in(tmp_path, sheet(key, "eve", 1, block=10)), run.folder)
    with pytest.raises(RecordError, match=r"'eve' leaves out .* clips of the test"):
        import_ratings(hand_in(tmp_path, sheet(key, "eve", 1, block=None)), run.folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block": 0}, "block: Input should be greater"),
        ({"block": "1"}, "block: Input should be a valid integer"),
        ({"headphones": 4}, "headphones: Input should be less"),
        ({"comment": "x" * 2001}, "comment: String should have at most 2000"),
        ({"participant": {"service": "other", "person": "x"}}, "participant.service"),
        ({"sets": [{"set": "a", "started_at": "", "time_s": -1}]}, "time_s: Input should be gr"),
    ],
)
def test_odd_facts_beside_the_marks_are_refused(
    run: Run, made: Exported, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    text = sheet(read_json(made.key, BlindKey), "eve", 1, **changes)
    with pytest.raises(RecordError, match=message):
        import_ratings(hand_in(tmp_path, text), run.folder)


def test_a_participant_of_a_service_counts_once_under_any_name(
    run: Run, made: Exported, tmp_path: Path
) -> None:
    key = read_json(made.key, BlindKey)
    who = Participant(service="prolific", person="5f3").model_dump()
    import_ratings(hand_in(tmp_path, sheet(key, "one", 1, participant=who)), run.folder)
    import_ratings(hand_in(tmp_path, sheet(key, "one", 1, participant=who)), run.folder)
    with pytest.raises(
        RecordError, match=r"'two' of prolific handed in ratings .* as 'one' before"
    ):
        import_ratings(hand_in(tmp_path, sheet(key, "two", 2, participant=who)), run.folder)


def test_blocks_and_keys_of_before_are_still_read() -> None:
    """What the first version of a key and of ratings held, as text."""
    items = {"i1": {"method": "a", "cell_id": "1", "check": ""}}
    one = {"style": "s", "content": "c", "repetition": 0, "items": items}
    key = BlindKey.model_validate({"test": "t", "run_id": "r", "seed": 0, "sets": {"s1": one}})
    assert key.asked(None) == {("s1", "i1")}
    with pytest.raises(ValueError, match="is of block 1, and this test has no blocks"):
        key.asked(1)


def blocks_of(plan: Sequence[Block]) -> int:
    return sum(len(part.stimuli) for block in plan for part in block)


def test_a_run_with_no_pair_left_has_no_practice_and_says_so(run: Run, tmp_path: Path) -> None:
    done = export(run.folder, tmp_path / "test", 12, 0, audience=Audience(listeners=1))
    assert told(done.folder)["practice"] is None
    assert "has none to practise with" in " ".join(done.notices)
    assert blocks_of(done.plan) == 12 * 6
