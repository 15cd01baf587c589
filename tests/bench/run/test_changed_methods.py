"""A method whose code, weights or version has changed is rendered anew and named, no other is."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_run import Small, command

from bench.api import RecordError
from bench.audio import read_audio
from bench.gate.judge import judge
from bench.gate.snapshot import snapshot

METHOD = '''
"""Scales the content by a weight of its own."""

from pathlib import Path

import numpy as np

from bench.api import Audio, MethodInfo, ProfileInfo, StyleState, StyleTransferMethod

FOLDER = "HOME/weights"
GAIN = 0.5


class Scaled(StyleTransferMethod):
    INFO = MethodInfo("Scaled", ("content audio",), False, "a test", version="1")

    @classmethod
    def describe(cls, profile):
        return ProfileInfo(weights=(FOLDER,))

    def load(self, profile, device):
        self.gain = GAIN * float(Path(FOLDER, "gain.txt").read_text())

    def fit(self, requests, progress):
        return [StyleState() for _ in requests]

    def transfer(self, requests):
        return [self.render(request.content) for request in requests]

    def render(self, content):
        audio = content.audio
        return Audio((audio.waveform * self.gain).astype(np.float32), audio.sample_rate)
'''


@pytest.fixture(scope="module")
def rendered(finished: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A run of a method from outside with weights, and of a control."""
    home = tmp_path_factory.mktemp("outside")
    shutil.copy(finished.home / "small.toml", home)
    (home / "weights").mkdir()
    (home / "weights" / "gain.txt").write_text("1.0", encoding="utf-8")
    (home / "scaled.py").write_text(METHOD.replace("HOME", str(home)), encoding="utf-8")
    made = Small(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(home / "cache"))
        assert run(made) == 0
    return made


@pytest.fixture
def scaled(rendered: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """The same run, put back as it was: names of methods from outside are paths."""
    monkeypatch.setenv("BENCH_CACHE", str(rendered.home / "cache"))
    kept = rendered.home / "kept"
    if not kept.exists():
        shutil.copytree(rendered.folder, kept)
    shutil.rmtree(rendered.folder)
    shutil.copytree(kept, rendered.folder)
    (rendered.home / "weights" / "gain.txt").write_text("1.0", encoding="utf-8")
    text = METHOD.replace("HOME", str(rendered.home))
    (rendered.home / "scaled.py").write_text(text, encoding="utf-8")
    return rendered


def label(small: Small) -> str:
    return f"{small.home / 'scaled.py'}:Scaled"


def run(small: Small, *words: str, out: str = "run") -> int:
    """The exit code of a run that has imported nothing yet, as a process of its own has not."""
    for name in [name for name in sys.modules if name.startswith("bench_outside_scaled")]:
        del sys.modules[name]
    return small.run("--methods", f"{label(small)},copy-content", *words, out=out)


def edit(small: Small, old: str, new: str) -> None:
    path = small.home / "scaled.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def other_code(small: Small) -> None:
    edit(small, "GAIN = 0.5", "GAIN = 0.25")


def other_weights(small: Small) -> None:
    (small.home / "weights" / "gain.txt").write_text("0.5", encoding="utf-8")


def other_version(small: Small) -> None:
    edit(small, 'version="1"', 'version="2"')
    edit(small, "GAIN = 0.5", "GAIN = 0.25")


def unwrapped(text: str) -> str:
    """A text without spaces: a terminal breaks long names anywhere."""
    return "".join(text.split())


CHANGES = {
    "code": other_code,
    "weights of weights": other_weights,
    "version, code": other_version,
}
ONE_BY_DEFAULT = [
    "code",
    *(pytest.param(words, marks=pytest.mark.slow) for words in CHANGES if words != "code"),
]


def peaks(small: Small, out: str = "run") -> dict[tuple[str, str, str], float]:
    """The peak of each sound by its place, read from the files."""
    found, where = small.load(out), small.home / out
    return {
        (cell.method.rpartition(":")[2], cell.style, cell.content): float(
            abs(read_audio(where / str(found.cells[cell.cell_id].audio)).waveform).max()
        )
        for cell in found.plan
    }


@pytest.mark.parametrize("words", CHANGES)
def test_a_changed_method_is_rendered_anew_and_named(
    scaled: Small, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, lines = peaks(scaled), scaled.lines("cells.jsonl")
    CHANGES[words](scaled)
    assert run(scaled) == 0
    said = (
        f"{label(scaled)} has changed ({words}) since 4 of its cells in {scaled.folder} were "
        "rendered; they are rendered anew"
    )
    assert said in capsys.readouterr().out
    after = peaks(scaled)
    for place, peak in before.items():
        share = 0.5 if place[0] == "Scaled" else 1.0
        assert after[place] == pytest.approx(share * peak, abs=2**-14)  # two steps of 16 bits
    assert scaled.lines("cells.jsonl")[: len(lines)] == lines  # nothing recorded is lost
    again = scaled.load()
    assert len(again.plan) == 8
    assert again.remarks == again.plan_faults == ()
    assert {again.cells[key].audio_digest for key, _ in again.scores} == {
        score.audio_digest for score in again.scores.values()
    }
    capsys.readouterr()
    assert run(scaled) == 0
    assert "has changed" not in capsys.readouterr().out
    assert run(scaled, out="fresh") == 0
    assert peaks(scaled, "fresh") == after
    fresh = scaled.home / "fresh" / "report" / "table1.csv"
    assert (scaled.folder / "report" / "table1.csv").read_bytes().splitlines()[:3] == (
        fresh.read_bytes().splitlines()[:3]
    )
    shutil.rmtree(scaled.home / "fresh")


def test_a_comment_changes_nothing(scaled: Small, capsys: pytest.CaptureFixture[str]) -> None:
    lines = scaled.lines("cells.jsonl")
    edit(scaled, "GAIN = 0.5", "GAIN = 0.5  # half")
    assert run(scaled) == 0
    assert "has changed" not in capsys.readouterr().out
    assert scaled.lines("cells.jsonl") == lines


def test_what_was_put_back_is_what_it_was(scaled: Small) -> None:
    before = peaks(scaled)
    for change in (other_code, other_version):
        text = (scaled.home / "scaled.py").read_text(encoding="utf-8")
        change(scaled)
        assert run(scaled) == 0
        assert peaks(scaled) != before
        (scaled.home / "scaled.py").write_text(text, encoding="utf-8")
        assert run(scaled) == 0
        assert peaks(scaled) == before
        assert scaled.load().plan_faults == ()


@pytest.mark.parametrize("words", ONE_BY_DEFAULT)
def test_keep_old_refuses_and_says_what_changed(scaled: Small, words: str) -> None:
    assert run(scaled, "--keep-old") == 0
    names = ("run.json", "plan.jsonl", "cells.jsonl", "scores.jsonl")
    before = {name: (scaled.folder / name).read_bytes() for name in names}
    CHANGES[words](scaled)
    with pytest.raises(RecordError) as refused:
        run(scaled, "--keep-old")
    for part in (f"{label(scaled)} has changed ({words})", "4 of its cells", "Put back", "--out"):
        assert part in str(refused.value)
    assert {name: (scaled.folder / name).read_bytes() for name in names} == before
    assert scaled.run("--methods", "copy-content", "--keep-old") == 0  # it is not asked for here


def test_a_method_that_failed_and_was_corrected_is_tried_again(scaled: Small) -> None:
    """Without --retry: its author has changed the file."""
    edit(scaled, "audio = content.audio", "audio = content.sound")
    assert run(scaled, out="failed") == 5
    failed = scaled.load("failed")
    assert Counter(cell.status for cell in failed.cells.values()) == {"error": 4, "ok": 4}
    assert all(cell.identity for cell in failed.cells.values())
    edit(scaled, "audio = content.sound", "audio = content.audio")
    assert run(scaled, out="failed") == 0
    assert {cell.status for cell in scaled.load("failed").cells.values()} == {"ok"}
    shutil.rmtree(scaled.home / "failed")


def test_an_older_run_does_not_know_and_is_rendered_anew(
    scaled: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [line | {"identity": None} for line in scaled.lines("cells.jsonl")]
    scaled.write_lines("cells.jsonl", cells)
    header = json.loads((scaled.folder / "run.json").read_text(encoding="utf-8"))
    del header["identities"], header["plan"]
    for method in header["methods"]:
        del method["identity"]
    (scaled.folder / "run.json").write_text(json.dumps(header), encoding="utf-8")
    assert scaled.load().remarks == ()  # nothing is known to differ
    with pytest.raises(RecordError, match="code that was not recorded"):
        run(scaled, "--keep-old")
    assert run(scaled) == 0
    told = capsys.readouterr().out
    assert told.count("has changed (from code that was not recorded) since 4 of its cells") == 2
    assert all(cell.identity for cell in scaled.load().cells.values())


def test_cells_of_two_identities_in_one_table_are_told(
    scaled: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    """As when a session is ended half way: its table says which cells are whose."""
    count = len(scaled.lines("cells.jsonl"))
    other_code(scaled)
    assert run(scaled) == 0
    lines = scaled.lines("cells.jsonl")
    new = [line for line in lines[count:] if line["status"] == "ok"]
    scaled.write_lines("cells.jsonl", [*lines[:count], *new[:2]])
    (remark, *_) = [words for words in scaled.load().remarks if "rendered by" in words]
    assert remark.startswith(f"{label(scaled)}: 2 of 4 cells were rendered by other code")
    capsys.readouterr()
    assert command("report", str(scaled.folder), "--no-html") == 0
    assert unwrapped("2 of 4 cells were rendered by other code") in unwrapped(
        capsys.readouterr().out
    )


@pytest.mark.parametrize("words", ONE_BY_DEFAULT)
def test_two_runs_of_unlike_methods_are_told_apart(
    scaled: Small, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    CHANGES[words](scaled)
    assert run(scaled, out="b") == 0
    runs = [str(scaled.folder), str(scaled.home / "b")]
    capsys.readouterr()
    assert command("compare", *runs) == 0
    told = unwrapped(capsys.readouterr().out)
    other = ", ".join(f"other {word}" for word in words.split(", "))
    assert unwrapped(f"Scaled: {other} in B than in A") in told
    assert "copy-content:other" not in told
    if words.startswith("version"):
        with pytest.raises(RecordError, match=r"differs between .* in version"):
            command("report", *runs, "--no-html")
    else:
        assert command("report", *runs, "--no-html") == 0
        told = unwrapped(capsys.readouterr().out)
        assert unwrapped(f"Scaled: {other} in {runs[1]} than in {runs[0]}") in told
    first, second = (snapshot(scaled.load(out)) for out in ("run", "b"))
    (verdict,) = [
        v for v in judge(second, first) if v.lane == "audio" and v.method == label(scaled)
    ]
    assert f"4 of 4 outputs differ ({other})" in verdict.reason
    shutil.rmtree(scaled.home / "b")


def test_runs_of_the_same_methods_need_no_words(
    scaled: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(scaled, out="b") == 0
    capsys.readouterr()
    runs = [str(scaled.folder), str(scaled.home / "b")]
    assert command("compare", *runs) in {0, 4}
    assert command("report", *runs, "--no-html") == 0
    assert "othercode" not in unwrapped(capsys.readouterr().out)
    shutil.rmtree(scaled.home / "b")
