"""Listening tests without a browser: the draw of sets, the ratings, and what they say."""

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
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from building import fail, header, method, run_of
from sounding import sounding_run

from bench.api import Audio, ConfigError, RecordError, UnknownNameError
from bench.audio import read_audio
from bench.cli.main import cli
from bench.loudness import loudness
from bench.records.store import Run
from reports.listening.clips import with_least_noise
from reports.listening.design import QUESTIONS, Stimulus, choose_sets
from reports.listening.export import export
from reports.listening.ratings import Heard, Rating, heard, import_ratings
from reports.listening.records import BlindKey, KeyItem, read_json
from reports.listening.records import person as name_of
from reports.listening.tables import ears, listening
from reports.write import read_report

STYLES = ("harp", "bird", "oud")
CONTENTS = ("c1", "c2", "d1", "d2")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sounding_run(tmp_path_factory.mktemp("listening") / "run", STYLES, CONTENTS)


def test_sets_are_spread_over_styles_and_contents(run: Run) -> None:
    sets = choose_sets(run, 6, 0)
    assert set(Counter(one.style for one in sets).values()) == {2}
    assert max(Counter(one.content for one in sets).values()) == 2
    assert len({(one.style, one.content) for one in sets}) == 6


@pytest.mark.parametrize(
    "lacking", [["copy-style"], ["copy-content"], ["copy-content", "copy-style"]]
)
def test_a_run_without_the_hidden_controls_is_told_how_to_get_them(
    run: Run, lacking: list[str]
) -> None:
    poor = replace(run, plan=tuple(cell for cell in run.plan if cell.method not in lacking))
    named = f"controls? {' and '.join(lacking)}"
    added = ",".join(lacking)
    with pytest.raises(RecordError, match=rf"Run it with {named}: .* {added} added to --methods"):
        choose_sets(poor, 5, 0)


def test_the_seed_decides_the_sets(run: Run) -> None:
    assert choose_sets(run, 5, 1) == choose_sets(run, 5, 1)
    draws = {tuple(one.content for one in choose_sets(run, 5, seed)) for seed in range(8)}
    assert len(draws) > 1


def test_each_set_has_every_method_both_copies_one_of_these_again_and_a_stray_clip(
    run: Run,
) -> None:
    repeats = []
    cells = {cell.cell_id: cell for cell in run.plan}
    strays: Counter[str] = Counter()
    for one in choose_sets(run, 6, 0):
        assert {s.method for s in one.stimuli} > {"tve[strength=0.5]", "rti"}
        assert len(one.stimuli) == 6
        (stray,) = (s for s in one.stimuli if s.stray)
        assert (stray.check, stray.low, stray.stray) == ("", "", QUESTIONS)
        cell = cells[stray.cell_id]
        assert (cell.method, cell.style) == ("copy-content", one.style)
        assert cell.content != one.content
        strays[cell.content] += 1
        assert {s.check for s in one.stimuli if s.check and not s.again} == {"cp", "sf"}
        (again,) = (s for s in one.stimuli if s.again)
        assert replace(again, again=False) in one.stimuli
        repeats.append(again.check)
    assert Counter(repeats) == {"cp": 3, "sf": 3}
    assert max(strays.values()) == 2  # six sets, four contents


def test_a_stray_clip_that_has_the_sound_of_the_style_is_avoided_or_not_judged_by_it(
    run: Run,
) -> None:
    """By the run's own style fit: above the middle between the copies."""
    cells = {cell.cell_id: cell for cell in run.plan if cell.method == "copy-content"}

    def strays(alike: set[str]) -> list[Stimulus]:
        scores = dict(run.scores)
        for name, cell in cells.items():
            if cell.content in alike:
                place = (name, "sf.heldout")
                scores[place] = scores[place].model_copy(update={"value": 0.95})
        sets = choose_sets(replace(run, scores=scores), 6, 0)
        return [s for one in sets for s in one.stimuli if s.stray]

    assert "c1" not in {cells[s.cell_id].content for s in strays({"c1"})}
    by_content = {cells[s.cell_id].content: s.stray for s in strays({"c2", "d1", "d2"})}
    assert by_content.pop("c1") == QUESTIONS
    assert set(by_content.values()) == {("cp", "ovl")}


def test_the_only_content_has_no_stray_clip(run: Run) -> None:
    alone = replace(run, plan=tuple(cell for cell in run.plan if cell.content == "c1"))
    assert not [s for one in choose_sets(alone, 3, 0) for s in one.stimuli if s.stray]


def test_a_failed_cell_takes_its_set_out(run: Run) -> None:
    broken = fail(run, "rti/harp/c1/0")
    drawn = choose_sets(broken, 11, 0)
    assert ("harp", "c1") not in {(one.style, one.content) for one in drawn}
    with pytest.raises(RecordError, match="has 11 pairs of a style and a content"):
        choose_sets(broken, 12, 0)


def test_an_unknown_method_is_named(run: Run) -> None:
    with pytest.raises(UnknownNameError, match="method 'rty' is not in"):
        choose_sets(run, 1, 0, ["rty"])
    known = next(entry.label for entry in run.header.methods if not entry.control)
    with pytest.raises(ConfigError, match="each may stand once"):
        choose_sets(run, 1, 0, [known, known])


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BlindKey]:
    done = export(run.folder, tmp_path_factory.mktemp("export") / "test", 3, 0)
    return done.folder, read_json(done.key, BlindKey)


def test_sounds_are_equally_loud_and_of_one_rate(made: tuple[Path, BlindKey]) -> None:
    sounds = [read_audio(path) for path in (made[0] / "sounds").glob("*.wav")]
    assert {sound.sample_rate for sound in sounds} == {44_100}
    assert {round(loudness(sound), 0) for sound in sounds} == {-23.0}
    assert all(abs(float(sound.waveform[0, 0])) < 1e-3 for sound in sounds)


def test_the_folder_says_what_each_of_its_files_is_for(made: tuple[Path, BlindKey]) -> None:
    told = (made[0] / "README.txt").read_text(encoding="utf-8")
    files = {path.name for path in made[0].iterdir() if path.suffix not in {".css", ".js"}}
    assert len(files) > 1
    assert {name for name in files if name not in told} <= {"README.txt"}
    assert "beaqlejs-config.js" in told


def test_a_folder_that_holds_something_is_left_alone(run: Run, made: tuple[Path, BlindKey]) -> None:
    with pytest.raises(ConfigError, match="is not empty"):
        export(run.folder, made[0], 3, 0)


def test_a_test_goes_into_the_folder_of_its_run_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sounding_run(tmp_path / "run", STYLES[:1], CONTENTS[:1]).folder
    cli.main(["listen", "export", "--run", str(folder), "--sets", "1"], standalone_mode=False)
    assert f"Test: {folder / 'listening-test' / 'index.html'} (1 set," in capsys.readouterr().out
    with pytest.raises(ConfigError, match="listening-test is not empty"):
        cli.main(["listen", "export", "--run", str(folder), "--sets", "1"], standalone_mode=False)


def test_webmushra_gets_three_pages_per_set_that_name_its_sounds(
    made: tuple[Path, BlindKey],
) -> None:
    folder, key = made
    text = (folder / "webmushra.yaml").read_text()
    config = yaml.safe_load(text)
    introduction, (order, *pages), finish = config["pages"]
    assert (introduction["type"], order, finish["type"]) == ("generic", "random", "finish")
    assert {page["id"] for page in pages} == {
        f"{name}-{question}" for name in key.sets for question in QUESTIONS
    }
    for page in pages:
        assert set(page["stimuli"]) == set(key.sets[page["id"].split("-")[0]].items)
        players = re.findall(r"src='configs/resources/(.*?)'", page["content"])
        for name in (*players, *(sound[18:] for sound in page["stimuli"].values())):
            assert (folder / name).is_file(), name
        assert [one["value"] for one in page["response"]] == list("12345")
    # The tool's own reader takes no mapping in braces over several lines.
    assert not re.search(r"[{\[]\s*$", text, re.MULTILINE)


def test_beaqlejs_gets_three_pages_per_set_that_name_its_sounds(
    made: tuple[Path, BlindKey],
) -> None:
    folder, key = made
    text = (folder / "beaqlejs-config.js").read_text()
    config = json.loads(text.removeprefix("var TestConfig = ").rstrip(";\n"))
    assert len(config["Testsets"]) == 3 * len(key.sets)
    for one in config["Testsets"]:
        test, name, _ = one["TestID"].split("-")
        assert test == key.test
        items = {Path(file).stem for label, file in one["Files"].items() if label != "Reference"}
        assert items == set(key.sets[name].items)
        assert all((folder / file).is_file() for file in one["Files"].values())


def marks_of(item: KeyItem, marks: dict[str, tuple[int, int, int]]) -> tuple[int, int, int]:
    """Those of its method, or of a clip that has strayed into its set."""
    return marks.get("stray", (1, 1, 1)) if item.stray else marks[item.method]


def answers(key: BlindKey, marks: dict[str, tuple[int, int, int]]) -> list[dict[str, object]]:
    """Marks per method for each clip of a test."""
    return [
        {"schema_version": 1, "set": name, "item": token}
        | dict(zip(("cp", "sf", "ovl"), marks_of(item, marks), strict=True))
        for name, one in key.sets.items()
        for token, item in one.items.items()
    ]


GOOD = {
    "tve[strength=0.5]": (4, 2, 4), "rti": (2, 3, 2), "copy-content": (5, 1, 3),
    "copy-style": (1, 5, 3),
}  # fmt: skip


def sheet(key: BlindKey, name: str, **changes: object) -> str:
    facts = {
        "schema_version": 1, "test": key.test, "rater": name, "training": "some",
        "started_at": "a", "finished_at": "b", "answers": answers(key, GOOD),
    }  # fmt: skip
    return json.dumps(facts | changes)


def webmushra_results(key: BlindKey, *people: str) -> str:
    """What webMUSHRA's service collects: a line per mark, the mark between blanks."""
    lines = ["session_test_id,rater,trial_id,stimuli_rating,stimuli,rating_time"]
    for person, answer, question in itertools.product(people, answers(key, GOOD), QUESTIONS):
        page, mark = f"{answer['set']}-{question}", answer[question]
        lines.append(f'{key.test},{person},{page}," {mark} ",{answer["item"]},1200')
    return "\n".join(lines) + "\n"


def beaqle_results(key: BlindKey, person: str) -> str:
    """What BeaqleJS lets a listener download: pages with marks by label, then the listener."""
    pages: list[dict[str, object]] = []
    for (name, one), question in itertools.product(key.sets.items(), QUESTIONS):
        place = QUESTIONS.index(question)
        items = enumerate(one.items.values(), 1)
        marks = {str(n): marks_of(item, GOOD)[place] for n, item in items}
        files = {str(n): f"sounds/{token}.wav" for n, token in enumerate(one.items, 1)}
        pages.append({
            "TestID": f"{key.test}-{name}-{question}", "Runtime": 9000,
            "rating": marks | {"Reference": 5}, "filename": files | {"Reference": "sounds/r.wav"},
        })  # fmt: skip
    return json.dumps([*pages, {"UserName": person, "UserEmail": "", "UserComment": ""}])


def hand_in(folder: Path, *texts: str) -> list[Path]:
    paths = []
    for number, text in enumerate(texts):
        path = folder / f"{number}.json"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths


def test_ratings_come_into_the_tables_and_inattentive_listeners_do_not(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path
) -> None:
    _, key = made
    asleep = sheet(key, "asleep", answers=answers(key, dict.fromkeys([*GOOD, "stray"], (3, 3, 3))))
    paths = hand_in(tmp_path, sheet(key, "ada"), sheet(key, "bob"), asleep)
    import_ratings(paths, run.folder)
    import_ratings(paths, run.folder)  # the same again changes nothing
    said = heard([run.folder])
    assert (set(said.raters), said.excluded) == ({"ada", "bob"}, ("asleep",))
    tables = {table.label: table for table in read_report(run.folder).tables}
    assert "kept 2, left out by the rule 1" in " ".join(tables["listening"].notes)
    assert tables["listeners"].column("counts") == ("yes", "yes", "left out")
    first = tables["listening"].rows[0].cells
    assert first[0] == "tve[strength=0.5]"
    assert first[1].value == 4  # type: ignore[union-attr] # an Estimate
    assert tables["ears"].column("methods")[0] == pytest.approx(1.0)
    second = {row.cells[0]: row for row in tables["table2"].rows}
    keys = [column.key for column in tables["table2"].columns]
    assert keys[-5:] == ["human.cp", "human.sf", "human.ovl", "n", "coverage"]
    assert [mark.value for mark in second["rti"].cells[-5:-2]] == [2, 3, 2]  # type: ignore[union-attr] # Estimates
    assert second["rti"].cells[-1] == "12/12"


def test_results_of_other_tools_are_the_same_ratings(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path
) -> None:
    _, key = made
    texts = (sheet(key, "ours"), webmushra_results(key, "wm1", "wm2"), beaqle_results(key, "bq"))
    kept = import_ratings(hand_in(tmp_path, *texts), run.folder)
    assert len(kept) == 4
    said = {
        name: {
            (r.cell_id, r.cp, r.sf, r.ovl) for r in heard([run.folder]).ratings if r.rater == name
        }
        for name in ("ours", "wm1", "wm2", "bq")
    }
    assert len(set(map(frozenset, said.values()))) == 1
    assert len(said["ours"]) == len(answers(key, GOOD)) - 2 * len(key.sets)  # repeats and strays


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace("-cp,", "-xx,", 1), r"are not valid \(cp: Field required\)"),
        (lambda text: text.replace(" 4 ", " NA ", 1), "three marks of 1 to 5"),
        (lambda text: text + text.splitlines()[1] + "\n", "twice; each clip"),
        (lambda text: text.replace("trial_id", "trial"), "not a result of webMUSHRA"),
    ],
)
def test_broken_results_of_other_tools_are_refused(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path,
    spoil: Callable[[str], str], message: str,
) -> None:  # fmt: skip
    text = spoil(webmushra_results(made[1], "odd"))
    with pytest.raises(RecordError, match=message):
        import_ratings(hand_in(tmp_path, text), run.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": "0123456789ab"}, "has no key in"),
        ({"test": "9" * 5000}, "test '9{64}' has no key in"),
        ({"answers": [[[]] * 40]}, "answers.0: Input should be an object"),
        ({"training": 10**400}, "cannot be read as a Ratings file .*digits"),
        ({"answers": [{"schema_version": 1, "set": "x", "item": "y", "cp": 1, "sf": 1, "ovl": 1}]},
         "which is not in the test"),
        ({"answers": [{"schema_version": 1, "set": "x", "item": "y", "cp": 6, "sf": 1, "ovl": 1}]},
         "less than or equal to 5"),
        ({"rater": ""}, "1 to 64 characters that can be seen"),
        ({"extra": 1}, "Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_odd_ratings_are_refused(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        import_ratings(hand_in(tmp_path, sheet(made[1], "eve", **change)), run.folder)


def test_one_person_is_one_voice(run: Run, made: tuple[Path, BlindKey], tmp_path: Path) -> None:
    key = made[1]
    twice = answers(key, GOOD)
    with pytest.raises(RecordError, match="twice; each clip"):
        import_ratings(hand_in(tmp_path, sheet(key, "c", answers=[*twice, *twice])), run.folder)
    import_ratings(hand_in(tmp_path, sheet(key, "dan")), run.folder)
    with pytest.raises(RecordError, match="'dan' handed in other ratings"):
        import_ratings(hand_in(tmp_path, sheet(key, "dan", training="much")), run.folder)


def simulated(raters: int, effect: float) -> tuple[Run, Heard]:
    """Ratings that follow CP with a weight, from several raters on all cells of two methods."""
    entries = [method("tve"), method("rti"), method("copy-content", control=True)]
    levels = {"tve": {"cp": 0.2}, "rti": {"cp": 0.5}, "copy-content": {"cp": 0.8}}
    run = run_of(header(entries, metrics=("cp",)), levels)
    noise = np.random.default_rng(0)
    rows = []
    for rater, cell in itertools.product(range(raters), run.plan):
        value = run.scores[cell.cell_id, "cp"].value or 0.0
        mark = int(np.clip(round(3 + effect * (value - 0.5) + noise.normal(0, 0.5)), 1, 5))
        rows.append(
            Rating(f"r{rater}", cell.method, cell.style, cell.content, cell.cell_id, mark, 3, 3)
        )
    return run, Heard(tuple(rows), tuple(f"r{n}" for n in range(raters)), ())


def test_rank_correlation_finds_agreement_and_its_absence() -> None:
    agreeing = ears(*simulated(8, 5.0)).column("clips")[0]
    opposed = ears(*simulated(8, -5.0)).column("clips")[0]
    unrelated = ears(*simulated(8, 0.0)).column("clips")[0]
    assert agreeing.low > 0.5  # type: ignore[union-attr] # Estimates
    assert opposed.high < -0.5  # type: ignore[union-attr]
    assert unrelated.low < 0 < unrelated.high  # type: ignore[union-attr]


def test_listeners_who_mark_all_alike_leave_a_correlation_without_interval() -> None:
    run, said = simulated(4, 0.0)
    alike = replace(said, ratings=tuple(replace(rating, cp=3) for rating in said.ratings))
    found = ears(run, alike).column("clips")[0]
    assert np.isnan([found.value, found.low, found.high]).all()  # type: ignore[union-attr]


def test_a_single_listener_gives_means_without_intervals() -> None:
    run, said = simulated(1, 1.0)
    ends = {bool(np.isnan(value.low)) for value in listening(run, said).column("human.cp")}  # type: ignore[union-attr]
    assert ends == {True}
    few = replace(said, ratings=said.ratings[:2])
    assert "fewer than three" in ears(run, few).column("clips")[0].reason  # type: ignore[union-attr]


def test_nothing_of_a_file_tells_what_it_holds(made: tuple[Path, BlindKey]) -> None:
    """One time for all, and no two files alike."""
    folder, _ = made
    everything = [folder, *folder.rglob("*")]
    assert len(everything) > 12
    assert {path.stat().st_mtime_ns for path in everything} == {946_684_800 * 10**9}
    sounds = sorted((folder / "sounds").glob("*.wav"))
    assert len({path.read_bytes() for path in sounds}) == len(sounds)


def test_a_hidden_copy_differs_from_its_reference_in_the_least_bit_alone(
    run: Run, made: tuple[Path, BlindKey]
) -> None:
    folder, key = made
    chosen = {
        (one.style, one.content): (one.content_path, one.style_path)
        for one in choose_sets(run, 3, 0)
    }
    page = (folder / "index.html").read_text("utf-8")
    told = json.loads(re.search(r'id="test"[^>]*>(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index] # it is there
    hidden = 0
    for one in told["sets"]:
        assert (key.sets[one["id"]].style, key.sets[one["id"]].content) in chosen
        for token, item in key.sets[one["id"]].items.items():
            if not item.check:
                continue
            reference = one["content" if item.check == "cp" else "style"]
            copy, original = (
                np.rint(read_audio(folder / "sounds" / f"{name}.wav").waveform * 2**15)
                for name in (token, reference)
            )
            apart = np.abs(copy - original)
            assert 0 < apart.mean() < 2
            assert apart.max() <= 3  # two least bits, and one of rounding
            hidden += 1
    assert hidden == 3 * 3


def test_least_noise_is_of_one_least_bit_and_new_for_each_file() -> None:
    silence = Audio(np.zeros((1, 30_000), np.float32), 44_100)
    first, again, other = (with_least_noise(silence, seed).waveform for seed in (1, 1, 2))
    assert set(np.unique(first * 2**15)) == {-1.0, 0.0, 1.0}
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    full = Audio(np.ones((1, 1000), np.float32), 44_100)
    assert with_least_noise(full, 1).waveform.max() == 1.0


SPELLINGS = ("Zoe", "ZOE", " zoe ", "zo\u200be", "\ufeffzoe", "z\u00adoe", "\uff3a\uff4f\uff45",
             "zoe\u3164", "zo\u2060e\ufe0f", "zoe\n")  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_one_person_has_one_name_however_it_is_spelt(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path, name: str
) -> None:
    key = made[1]
    import_ratings(hand_in(tmp_path, sheet(key, "zoe")), run.folder)
    import_ratings(hand_in(tmp_path, sheet(key, name)), run.folder)
    with pytest.raises(RecordError, match="'zoe' handed in other ratings"):
        import_ratings(hand_in(tmp_path, sheet(key, name, training="much")), run.folder)
    assert heard([run.folder]).raters.count("zoe") == 1


def test_names_that_differ_are_different_people() -> None:
    names = ("zoe", "zo\u00eb", "zoe 2", "z oe", "\u0437\u043e\u044f", "\u4f50\u4f0a")
    assert len({name_of(name) for name in names}) == len(names)
    assert name_of("STRASSE") == name_of("stra\u00dfe")
    assert name_of("zoe\u0308") == name_of("ZO\u00cb")


@pytest.mark.parametrize("name", ["", "  ", "\u200b", "\u3164\u2800", "\x00", "x" * 65])
def test_a_name_of_nothing_is_no_name(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path, name: str
) -> None:
    with pytest.raises(RecordError, match="a name has 1 to 64 characters that can be seen"):
        import_ratings(hand_in(tmp_path, sheet(made[1], name)), run.folder)


def without_checks(key: BlindKey) -> list[dict[str, object]]:
    checks = {t for one in key.sets.values() for t, item in one.items.items() if item.check}
    return [answer for answer in answers(key, GOOD) if answer["item"] not in checks]


@pytest.mark.parametrize(
    ("choose", "count"),
    [(without_checks, 9), (lambda key: answers(key, GOOD)[:-1], 1), (lambda _key: [], 18)],
)
def test_every_clip_must_be_rated(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path,
    choose: Callable[[BlindKey], list[dict[str, object]]], count: int,
) -> None:  # fmt: skip
    text = sheet(made[1], "lazy", answers=choose(made[1]))
    with pytest.raises(RecordError, match=f"'lazy' leaves out {count} of 18 clips"):
        import_ratings(hand_in(tmp_path, text), run.folder)


def test_every_clip_must_be_rated_in_other_tools_too(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path
) -> None:
    key = made[1]
    (checked, *_) = [t for one in key.sets.values() for t, item in one.items.items() if item.check]
    lines = webmushra_results(key, "late").splitlines()
    kept = "\n".join(line for line in lines if checked not in line) + "\n"
    with pytest.raises(RecordError, match="'late' leaves out 1 of 18 clips"):
        import_ratings(hand_in(tmp_path, kept), run.folder)
    pages = json.loads(beaqle_results(key, "late"))[3:]
    with pytest.raises(RecordError, match="'late' leaves out 6 of 18 clips"):
        import_ratings(hand_in(tmp_path, json.dumps(pages)), run.folder)


@pytest.mark.parametrize("mark", [True, "3", 3.0, 3.5, None, [3], 0, 6, -1, 10**18])
def test_a_mark_is_an_integer_of_1_to_5(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path, mark: object
) -> None:
    key = made[1]
    given = [answer | {"sf": mark} for answer in answers(key, GOOD)]
    with pytest.raises(RecordError, match=r"answers\.0\.sf"):
        import_ratings(hand_in(tmp_path, sheet(key, "mark", answers=given)), run.folder)
    pages = json.loads(beaqle_results(key, "mark"))
    pages[0]["rating"]["1"] = mark
    with pytest.raises(RecordError, match="three marks of 1 to 5"):
        import_ratings(hand_in(tmp_path, json.dumps(pages)), run.folder)


@pytest.mark.parametrize("mark", ["true", "3.0", "\u0663", "\uff13", "0", "6", "33", ""])
def test_a_mark_of_webmushra_is_one_digit(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path, mark: str
) -> None:
    text = webmushra_results(made[1], "digit").replace(" 4 ", f" {mark} ", 1)
    with pytest.raises(RecordError, match="three marks of 1 to 5"):
        import_ratings(hand_in(tmp_path, text), run.folder)


def test_files_that_were_put_there_by_hand_are_checked_as_well(
    run: Run, made: tuple[Path, BlindKey], tmp_path: Path
) -> None:
    """A run folder from elsewhere brings its ratings along."""
    key, folder = made[1], tmp_path / "listening"
    folder.mkdir()
    name = f"{key.test}.key.json"
    (folder / name).write_bytes((run.folder / "listening" / name).read_bytes())
    first, second = (folder / f"{key.test}.{n}.ratings.json" for n in "ab")
    first.write_text(sheet(key, "Ann"), encoding="utf-8")
    assert heard([tmp_path]).raters == ("ann",)
    second.write_text(sheet(key, "ann "), encoding="utf-8")
    with pytest.raises(RecordError, match=r"two sets of ratings of test .* by 'ann'"):
        heard([tmp_path])
    second.write_text(sheet(key, "ben", answers=without_checks(key)), encoding="utf-8")
    with pytest.raises(RecordError, match="'ben' leaves out 9 of 18 clips"):
        heard([tmp_path])
