"""The MUSHRA test for webMUSHRA: what it gets, what comes back, and who is left out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from answering import Mark, collected
from sounding import sounding_run

from bench.api import ConfigError, RecordError
from bench.audio import read_audio
from bench.cli.main import cli
from bench.records.store import Run
from reports.listening.export import WRITTEN_AT_S
from reports.listening.mushra.export import MOST_S, MushraExported, export_mushra
from reports.listening.mushra.marks import is_marks, marked
from reports.listening.mushra.records import REFERENCE, MushraKey
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import read_json
from reports.write import read_report, write_report

PAGES = 3
METHODS = ("tve[strength=0.5]", "rti")
MARKS = {"tve[strength=0.5]": 60, "rti": 30, "reference": 100, "anchor35": 80, "anchor70": 90}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return sounding_run(tmp_path / "run", ("harp", "bird"), ("a", "b"), 0.6, figures=False)


@pytest.fixture
def made(run: Run, tmp_path: Path) -> tuple[MushraExported, MushraKey]:
    done = export_mushra(run.folder, tmp_path / "test", PAGES, 0)
    return done, read_json(done.key, MushraKey)


def usual(_page: str, method: str) -> int:
    return MARKS[method]


def all_of_100(_page: str, _method: str) -> int:
    return 100


def low(_page: str, method: str) -> int:
    return 10 if method == REFERENCE else 5


def failing(key: MushraKey, pages: int, wrong: Mark) -> Mark:
    """Usual marks, but for those of some pages."""
    spoilt = sorted(key.sets)[:pages]
    return lambda page, method: (wrong if page in spoilt else usual)(page, method)


def hand_in(folder: Path, text: str) -> Path:
    path = folder / "mushra.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_page_has_a_reference_the_methods_and_the_anchors_of_webmushra(
    made: tuple[MushraExported, MushraKey],
) -> None:
    done, key = made
    assert "of these 3, on any." in done.rule
    config = yaml.safe_load((done.folder / "webmushra.yaml").read_text("utf-8"))
    introduction, (order, *pages), finish = config["pages"]
    assert (introduction["type"], order, finish["type"]) == ("generic", "random", "finish")
    assert config["testId"] == key.test
    assert [page["id"] for page in pages] == sorted(key.sets)
    for page in pages:
        assert page["type"] == "mushra"
        assert page["createAnchor35"] is page["createAnchor70"] is True
        one = key.sets[page["id"]]
        assert set(page["stimuli"]) == set(one.items)
        assert sorted(item.method for item in one.items.values()) == sorted(METHODS)
        named = [page["reference"], *page["stimuli"].values()]
        sounds = [done.folder / path.removeprefix("configs/resources/") for path in named]
        assert len({read_audio(path).num_samples for path in sounds}) == 1  # the tool asks for it


def test_nothing_in_the_folder_tells_what_a_clip_is(
    run: Run, made: tuple[MushraExported, MushraKey]
) -> None:
    done, _ = made
    texts = "".join(path.read_text("utf-8") for path in done.folder.iterdir() if path.is_file())
    for word in (*METHODS, "harp", "bird", run.header.run_id):
        assert word not in texts
    assert {path.stat().st_mtime for path in done.folder.rglob("*")} == {WRITTEN_AT_S}
    sounds = list((done.folder / "sounds").iterdir())
    assert len(sounds) == PAGES * (len(METHODS) + 1)
    assert len({path.read_bytes() for path in sounds}) == len(sounds)


def test_long_clips_are_cut_to_what_the_tool_takes(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ("harp",), ("a",), MOST_S + 1, figures=False)
    done = export_mushra(run.folder, tmp_path / "test", 1, 0)
    lengths = {read_audio(path).duration_s for path in (done.folder / "sounds").iterdir()}
    assert lengths == {MOST_S}


def test_marks_come_into_a_table_of_their_own(
    run: Run, made: tuple[MushraExported, MushraKey], tmp_path: Path
) -> None:
    _, key = made
    path = hand_in(tmp_path, collected(key, usual, "ada", "Bob"))
    assert is_marks(path)
    assert len(import_ratings([path], run.folder)) == 2
    import_ratings([path], run.folder)  # the same again changes nothing
    assert heard([run.folder]).judged == ()  # marks of 0 to 100 are none of 1 to 5
    tables = {table.label: table for table in read_report(run.folder).tables}
    assert not {"listening", "ears", "listeners"} & set(tables)
    assert not any(column.key.startswith("human") for column in tables["table2"].columns)
    table = tables["mushra"]
    names = ("hidden reference", "anchor, 3.5 kHz", "anchor, 7 kHz")
    assert table.column("method") == (*METHODS, *names)
    assert [mark.value for mark in table.column("mushra.cp")] == list(MARKS.values())  # type: ignore[union-attr] # Estimates
    assert table.column("n") == (2 * PAGES,) * 5
    assert "kept 2, left out by the rule 0" in table.notes[0]
    written = {path.name for path in write_report(run.folder)}
    assert {"mushra.md", "mushra-listeners.csv"} <= written


@pytest.mark.parametrize(
    ("wrong", "flags", "is_out"),
    [
        (lambda _, method: 89 if method == REFERENCE else MARKS[method] - 20, ("reference",), True),
        (lambda _, method: 90 if method == REFERENCE else MARKS[method] - 1, (), False),
        (all_of_100, ("alike",), True),
        (lambda *_: 40, ("reference", "alike"), True),
        (lambda _, method: {REFERENCE: 95, "anchor35": 96}.get(method, 50), ("anchors",), False),
    ],
)
def test_the_rule_of_bs1534_leaves_out_who_does_not_hear_the_reference(
    run: Run, made: tuple[MushraExported, MushraKey], tmp_path: Path,
    wrong: Mark, flags: tuple[str, ...], is_out: bool,
) -> None:  # fmt: skip
    _, key = made
    text = collected(key, failing(key, 1, wrong), "odd")  # one of three is more than 15 %
    import_ratings([hand_in(tmp_path, text)], run.folder)
    said = marked([run.folder])
    one = said.screened[key.test, "odd"]
    assert (one.flags, one.left_out) == (flags, is_out)
    assert bool(said.marks) is not is_out
    assert len(marked([run.folder], keep_all=True).marks) == PAGES * len(MARKS)


def test_a_share_of_the_pages_may_fail(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ("s1", "s2"), tuple("abcdefg"), 0.6, figures=False)
    done = export_mushra(run.folder, tmp_path / "test", 14, 0)
    key = read_json(done.key, MushraKey)
    assert "of these 14, on more than 2." in done.rule
    for pages, is_out in ((2, False), (3, True)):
        text = collected(key, failing(key, pages, low), f"who{pages}")
        import_ratings([hand_in(tmp_path, text)], run.folder)
        assert marked([run.folder]).screened[key.test, f"who{pages}"].left_out is is_out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace(",60,", ",101,", 1), "less than or equal to 100"),
        (lambda text: text.replace(",60,", ",,", 1), "a mark is 0 to 100"),
        (lambda text: text.replace("anchor35", "anchor", 1), "marks what is not in the test"),
        (lambda text: text + text.splitlines()[-1] + "\n", "marks twice"),
        (lambda text: "\n".join(text.splitlines()[:-1]), "leaves out: .*1 of 15 stimuli"),
        (lambda text: text.replace("trial_id", "trial"), "not a result of webMUSHRA"),
    ],
)
def test_broken_results_are_refused(
    run: Run, made: tuple[MushraExported, MushraKey], tmp_path: Path,
    spoil: Callable[[str], str], message: str,
) -> None:  # fmt: skip
    text = spoil(collected(made[1], usual, "odd"))
    with pytest.raises(RecordError, match=message):
        import_ratings([hand_in(tmp_path, text)], run.folder)


def test_other_marks_of_the_same_person_and_of_other_tests_are_refused(
    run: Run, made: tuple[MushraExported, MushraKey], tmp_path: Path
) -> None:
    text = collected(made[1], usual, "ada")
    import_ratings([hand_in(tmp_path, text)], run.folder)
    with pytest.raises(RecordError, match="handed in other marks of test"):
        import_ratings([hand_in(tmp_path, text.replace(",60,", ",61,"))], run.folder)
    with pytest.raises(RecordError, match="has no key in"):
        import_ratings([hand_in(tmp_path, text.replace(made[1].test, "abc"))], run.folder)


def test_the_command_writes_a_test_and_reads_its_marks(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(run.folder)
    given = ["listen", "export", "--run", folder, "--sets", "1", "--scale", "mushra"]
    with pytest.raises(ConfigError, match="Leave out --listeners"):
        cli.main([*given, "--minutes", "5"], standalone_mode=False)
    cli.main(given, standalone_mode=False)
    assert "(1 page of 2 methods, each with a hidden reference" in capsys.readouterr().out
    (path,) = (run.folder / "listening").glob("*.mushra-key.json")
    key = read_json(path, MushraKey)
    lazy = collected(key, all_of_100, "lazy").partition("\n")[2]
    marks = hand_in(tmp_path, collected(key, usual, "ada") + lazy)
    cli.main(["listen", "import", str(marks), "--run", folder], standalone_mode=False)
    said = capsys.readouterr().out
    assert "Marks of listeners for the content, 0 to 100 (MUSHRA)" in said
    assert "left out by the rule of the MUSHRA test: listener 2, 'lazy' (alike)" in said


def test_more_methods_than_the_tool_takes_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.listening.mushra.export.MOST_STIMULI", 1)
    with pytest.raises(ConfigError, match="has 2 methods, and a page of webMUSHRA takes 1"):
        export_mushra(run.folder, tmp_path / "test", 1, 0)
    export_mushra(run.folder, tmp_path / "test", 1, 0, ["rti"])


def test_a_copy_that_is_named_is_one_of_the_clips(run: Run, tmp_path: Path) -> None:
    named = ["rti", "copy-style"]
    done = export_mushra(run.folder, tmp_path / "test", PAGES, 0, named)
    key = read_json(done.key, MushraKey)
    for one in key.sets.values():
        assert sorted(item.method for item in one.items.values()) == sorted(named)
