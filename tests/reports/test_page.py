"""The page as text: what the grid holds, which sounds go with it, and that names stay text."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import JUDGED, fail, golden_run, header, method, planned, run_of
from building import save as save_in
from sounding import CONTENTS, STYLES, save, sounding_run
from unpacking import grid_of, unpacked

from bench.api import Audio
from bench.audio import read_audio
from bench.cli.main import cli
from bench.loudness import loudness
from bench.records.store import Run
from reports.figures.examples import best_cell
from reports.figures.mel import mel_levels
from reports.page.grid import build_grid, packed, row_id
from reports.page.media import mel_picture
from reports.page.write import LEFT_OUT, SCRIPTS, write_page
from reports.write import read_report


def page_of(run: Run, **options: bool) -> Path:
    return write_page(read_report(run.folder), **options)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(sounding_run(tmp_path_factory.mktemp("page") / "run"))


class Tags(HTMLParser):
    """Collects the tags of a page, its text, and the JSON of its grid."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(index: Path) -> Tags:
    tags = Tags()
    tags.feed(index.read_text(encoding="utf-8"))
    return tags


def test_names_are_text_and_never_markup(index: Path) -> None:
    tags = read(index)
    assert "b" not in tags.tags
    assert tags.tags.count("script") == len(SCRIPTS) + 1  # and the data
    styles = {str(row["style"]) for row in grid_of(index)["rows"]}
    assert styles == set(STYLES)
    assert CONTENTS[1] in {str(row["content"]) for row in grid_of(index)["rows"]}


def test_every_address_is_a_file_of_the_page(index: Path) -> None:
    addresses = [one for one in read(index).addresses if not one.startswith(("#", "data:"))]
    assert addresses
    assert [one for one in addresses if not (index.parent / one).is_file()] == []


def test_the_first_cells_to_hear_lead_to_the_grid(index: Path) -> None:
    links = [address for address in read(index).addresses if address.startswith("#cell=")]
    cells = [link.removeprefix("#cell=") for link in links if "&" not in link]
    assert len(cells) == 3
    assert set(cells) <= {row["id"] for row in grid_of(index)["rows"]}


def test_the_page_reads_its_grid_as_it_was_built() -> None:
    run = fail(golden_run(), "musicgen/bird/c4/1", "oom", "out of memory")
    grid, _ = build_grid(run)
    sent = json.loads(json.dumps(packed(grid), sort_keys=True))
    read_back = unpacked(sent)
    assert read_back["rows"] == json.loads(json.dumps(grid))["rows"]
    assert {name: read_back[name] for name in ("styles", "contents", "metrics")} == {
        name: dict(grid)[name] for name in ("styles", "contents", "metrics")
    }


def test_sounds_have_the_length_and_rate_of_their_axes(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1"], figures=False)
    grid, _ = build_grid(fail(run, run.plan[1].cell_id))
    (row,) = unpacked(json.loads(json.dumps(packed(grid))))["rows"]
    shapes = [(output["seconds"], output["hertz"]) for output in row["outputs"]]
    assert shapes == [(2.0, 16_000), (0.0, 0), (2.0, 16_000), (2.0, 16_000)]
    assert grid["contents"]["c1"]["seconds"] == 2.0


def test_sounds_are_equally_loud_copies_with_pictures(index: Path) -> None:
    sounds = sorted((index.parent / "sounds").glob("*.flac"))
    assert len(sounds) == 36
    assert {round(loudness(read_audio(path)), 1) for path in sounds[:4]} == {-23.0}
    pictures = {path.stem for path in (index.parent / "pictures").glob("*.webp")}
    assert {path.stem for path in sounds} <= pictures


def test_a_second_time_writes_the_same_and_touches_no_sound(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1"])
    index = page_of(run)
    text, sound = index.read_bytes(), next((index.parent / "sounds").glob("*"))
    before = sound.stat().st_mtime_ns
    stray, mine = sound.with_name("f" * 16 + ".flac"), sound.with_name("mine.flac")
    for path in (stray, mine, index.with_name("notes.txt")):
        path.write_bytes(b"")
    assert page_of(run).read_bytes() == text
    assert sound.stat().st_mtime_ns == before
    assert not stray.exists()
    assert mine.exists()
    assert index.with_name("notes.txt").exists()


def test_a_lost_sound_is_said_where_it_would_be(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1"], figures=False)
    (run.folder / "audio" / "0001.flac").unlink()
    (row,) = grid_of(page_of(run))["rows"]
    outputs = row["outputs"]
    assert [bool(output["audio"]) for output in outputs] == [True, False, True, True]
    assert "cannot be read" in outputs[1]["why"]


def test_inputs_stay_out_where_asked_or_forbidden(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1"], figures=False)
    index = page_of(run, without_inputs=True)
    assert len(list((index.parent / "sounds").iterdir())) == 2
    assert "comes without content and style audio" in read(index).text
    assert {bool(sound["link"]) for sound in grid_of(index)["contents"].values()} == {False}


def test_a_page_without_sounds_has_scores_and_says_why_it_is_silent(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1"])
    index = page_of(run, without_sounds=True)
    assert not list(index.parent.rglob("*.flac"))
    assert not list(index.parent.rglob("*.webp"))
    (row,) = grid_of(index)["rows"]
    assert {output["why"] for output in row["outputs"]} == {LEFT_OUT}
    assert row["outputs"][0]["scores"] == [0.5, 0.4]
    assert grid_of(index)["contents"]["c1"]["why"] == LEFT_OUT


def test_inputs_that_may_not_travel_are_played_where_they_lie(tmp_path: Path) -> None:
    open_run = sounding_run(tmp_path / "open", ["harp"], ["c1"], figures=False)
    dataset = {"name": "closed", "licence": "no copies", "redistributable": False}
    head = open_run.header.model_copy(update={"dataset": dataset})
    run = save(replace(open_run, folder=tmp_path / "closed", header=head))
    shutil.copytree(open_run.folder / "audio", run.folder / "audio")
    index = page_of(run)
    assert len(list((index.parent / "sounds").iterdir())) == 2
    for sound in (grid_of(index)["contents"]["c1"], grid_of(index)["styles"]["harp"]):
        assert not sound["audio"]
        assert (index.parent / sound["link"]).is_file()
        assert 0 < sound["gain"] < 1  # the tones are louder than the copies


def test_the_grid_has_scores_failures_and_the_best_cell() -> None:
    run = fail(golden_run(), "musicgen/bird/c4/1", "oom", "out of memory")
    grid, needed = build_grid(run)
    assert len(grid["rows"]) == 16
    assert needed == ()  # this run has no sounds
    failed = next(r for r in grid["rows"] if r["id"] == row_id("bird", "c4", 1))["outputs"][1]
    assert failed is not None
    assert failed["why"] == "oom: out of memory"
    assert failed["scores"] == [None] * 5
    assert best_cell(run, "cp") is None  # nothing can be heard


def test_the_best_cell_is_of_a_competitor(tmp_path: Path) -> None:
    run = sounding_run(tmp_path / "run", ["harp", "bird"], ["c1", "c2"])
    assert best_cell(run, "cp") == planned("tve[strength=0.5]", "bird", "c2")
    assert best_cell(run, "sf.heldout") == planned("rti", "bird", "c2")
    assert best_cell(run, "chroma") is None


def test_names_of_methods_lead_to_their_sounds_in_whichever_column(tmp_path: Path) -> None:
    """What outputs are taken for is told by judge, then method: the judge is no link."""
    levels = {"tve": 0.5, "rti": 0.4}
    head = header([method(label) for label in levels], metrics=tuple(JUDGED))
    run = run_of(head, {label: dict.fromkeys(JUDGED, level) for label, level in levels.items()})
    taken = {
        key: score.model_copy(update={"detail": {"nearest": "harp"}})
        for key, score in run.scores.items()
    }
    save_in(replace(run, scores=run.scores | taken), tmp_path / "run")
    text = write_page(read_report(tmp_path / "run"), without_sounds=True).read_text()
    matrix = text.partition('id="confusion"')[2].partition("</table>")[0]
    assert '<th scope="row">CLAP</th><td><a href="#method=tve">tve</a></td>' in matrix
    assert '<span class="word">CP ↑</span>' in text  # no arrow on a line of its own
    assert "needs a method with two settings" in text  # there is no sweep
    assert "no cell of this run has what this table needs" not in text


def test_a_run_without_a_finished_cell_says_why(tmp_path: Path) -> None:
    plan = (planned("tve", "harp", "c1"),)
    run = save(Run(tmp_path / "run", header([method("tve")]), plan, {}, {}))
    broken = fail(replace(run, folder=tmp_path / "broken"), "tve/harp/c1/0", "oom", "no memory")
    assert "1 of 1 cells not run" in read(page_of(run)).text
    assert "no memory" in read(page_of(save(broken))).text


def test_a_tone_is_one_bright_line_of_its_height() -> None:
    time = np.arange(32_000) / 16_000
    heights = []
    for hertz in (250.0, 1000.0, 4000.0):
        tone = Audio(np.sin(2 * np.pi * hertz * time).astype(np.float32)[None], 16_000)
        levels = mel_levels(tone, 50, 64)
        assert levels.shape == (64, 50)
        heights.append(int(levels[:, 25].argmax()))
    assert heights == sorted(heights)
    assert heights[2] - heights[0] > 25


def test_silence_and_a_single_sample_have_pictures() -> None:
    for samples in (1, 8000):
        audio = Audio(np.zeros((1, samples), np.float32), 8000)
        assert not mel_levels(audio, 20, 16).any()
        assert mel_picture(audio)[8:12] == b"WEBP"


def test_the_command_writes_the_page_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = sounding_run(tmp_path / "run", ["harp"], ["c1", "c2"], figures=False)
    cli.main(["report", str(run.folder), "--html"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert f"Page: {run.folder / 'report' / 'page' / 'index.html'}" in shown
    body = [line for line in shown.splitlines() if not line.startswith(("Page:", "Tables"))]
    assert max(map(len, body)) <= 80
    assert "[" in shown
    sounds = run.folder / "report" / "page" / "sounds"
    assert len(list(sounds.iterdir())) == 8
    cli.main(["report", str(run.folder), "--without-sounds"], standalone_mode=False)
    assert not list(sounds.iterdir())
