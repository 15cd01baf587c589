"""Sources of training audio: what they are, the stream, and what no training may hear."""

from __future__ import annotations

import ast
import copy
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import DatasetError, UnknownNameError
from bench.checkout import DATASETS
from bench.corpus import rendering, sources
from bench.corpus.melodies import HELD_OUT_TUNES, Note
from bench.corpus.nature import NATURAL, UNHEARD
from bench.corpus.procedural import as_array
from bench.corpus.samples import write_timbres
from bench.corpus.sources import (
    NATURE,
    PROCEDURAL,
    SOURCES,
    Source,
    render_clip,
    sources_named,
)
from bench.corpus.stream import CropStream, described, take_of
from bench.corpus.synthesiser import TIM_GM
from methods.riffusion.pretrain import shards

CHECKOUT = Path(__file__).resolve().parents[3]
NOTES_OF_A_TUNE = 9  # what two melodies must share, in a row, to be one tune
KEPT = {"kalimba": 108, "bagpipe": 109, "steel drums": 114}  # General MIDI, from 0


def turns(notes: list[tuple[int, float]]) -> set[tuple[tuple[int, float], ...]]:
    """All stretches of a melody, without its key and tempo: steps, and lengths over the first."""
    found = set()
    for start in range(len(notes) - NOTES_OF_A_TUNE + 1):
        part = notes[start : start + NOTES_OF_A_TUNE]
        pitch, beats = part[0]
        found.add(tuple((p - pitch, round(b / beats, 3)) for p, b in part))
    return found


def highest_voice(notes: tuple[Note, ...]) -> list[tuple[int, float]]:
    by_onset = itertools.groupby(notes, key=lambda note: note.onset_s)
    top = [max(group, key=lambda note: note.pitch) for _, group in by_onset]
    return [(note.pitch, note.duration_s) for note in top]


def test_no_training_melody_plays_a_tune_that_is_kept_for_evaluations() -> None:
    kept = set().union(*(turns(list(tune)) for tune in HELD_OUT_TUNES.values()))
    heard = set()
    for number in range(1500):
        heard |= turns(highest_voice(tuple(take_of(1, number).notes)))
    assert len(heard) > 1500
    assert not heard & kept


def test_the_bundled_contents_play_held_out_tunes() -> None:
    names = [path.stem.partition("_")[2] for path in (DATASETS / "mini/content").glob("*/*.flac")]
    assert len(names) == 8
    assert set(names) <= set(HELD_OUT_TUNES)


def test_what_is_kept_unheard_is_in_no_source() -> None:
    assert {name: rendering.INSTRUMENTS[name] for name in KEPT} == KEPT
    assert set(KEPT) == set(rendering.HELD_OUT_INSTRUMENTS)
    assert not set(sources.allowed_programs()) & set(KEPT.values())
    assert set(UNHEARD) == {"crickets", "bubbles"}
    assert not (set(KEPT) | set(UNHEARD)) & (set(rendering.TRAINED_SOUNDS) | set(NATURAL))


def test_the_soundfont_of_the_dataset_pairs_is_no_source() -> None:
    assert TIM_GM not in {source.soundfont for source in SOURCES.values()}


@pytest.mark.parametrize(
    "name", ["timbres", "procedural", "sources", "stream", "rendering", "nature", "melodies"]
)
def test_training_audio_is_computed_and_never_read_from_files(name: str) -> None:
    tree = ast.parse((CHECKOUT / f"bench/corpus/{name}.py").read_text(encoding="utf-8"))
    imported = {
        module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert not imported & {"soundfile", "librosa", "torchaudio", "bench.audio", "scipy.io"}


def test_every_source_names_a_free_licence() -> None:
    free = {"CC0-1.0", "MIT", "MIT (soundfont), CC0-1.0 (nature)"}
    assert {source.licence for source in SOURCES.values()} <= free
    assert [fact["name"] for fact in described([PROCEDURAL]) if isinstance(fact, dict)] == [
        "procedural"
    ]


def run_corpus(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, started in a folder of its own."""
    command = [sys.executable, "-m", "bench.corpus", *words]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=env)


def test_the_command_lists_sources_with_licences(tmp_path: Path) -> None:
    done = run_corpus("list", folder=tmp_path)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert [line.split()[0] for line in lines] == list(SOURCES)
    assert "endless" in lines[0]
    assert "CC0-1.0" in lines[0]


def test_an_unknown_source_is_told_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="source 'vinyl' is not known; there are procedural"):
        sources_named(["vinyl"])


def test_a_soundfont_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.corpus.synthesiser.Soundfont.path", Path("/nowhere"))
    with pytest.raises(DatasetError, match=r"needs MuseScore_General_Full\.sf3 of the Debian pack"):
        sources_named(["procedural", "musescore"])


def test_a_clip_follows_from_seed_and_number() -> None:
    first, again, other = (
        render_clip(NATURE, seed, 3, duration_s=0.5, sample_rate=8000) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.abs(first).max() == pytest.approx(0.9)


def test_the_stream_is_a_function_of_the_step() -> None:
    stream = CropStream((PROCEDURAL, NATURE), 5, 1600, 8000)
    third = stream.crops(3, 4)
    seventh = stream.crops(7, 4)
    assert torch.equal(CropStream((PROCEDURAL, NATURE), 5, 1600, 8000).crops(3, 4), third)
    assert not torch.equal(third, seventh)
    assert third.shape == (4, 1600)
    assert not torch.equal(third[0], third[2])
    peaks = third.abs().amax(1)
    assert bool((peaks > 0).all())
    assert bool((peaks <= 0.95 + 1e-6).all())


def test_pairs_are_two_clips_of_one_timbre_each() -> None:
    stream = CropStream((PROCEDURAL, NATURE), 5, 1600, 8000)
    pairs = stream.pairs(3, 4)
    assert torch.equal(stream.pairs(3, 4), pairs)
    assert pairs.shape == (4, 2, 1600)
    assert not any(torch.equal(first, second) for first, second in pairs)
    first, second = stream._parts(np.random.default_rng(3), 2)
    assert np.array_equal(first.timbre.level, second.timbre.level)
    assert first.notes != second.notes


def test_pairs_of_sounds_take_other_clips_of_the_same_sound() -> None:
    """The list of clips goes through the sounds in turn, so that is one turn later."""
    assert NATURE.timbres is not None
    cuts = CropStream((NATURE,), 5, round(5.12 * 4000), 4000)._cuts(
        NATURE, 0, np.random.default_rng(3), 2
    )
    number = int(np.random.default_rng(3).integers(384))  # what they draw first
    for cut, place in zip(cuts, (number, number + NATURE.timbres), strict=True):
        clip = render_clip(NATURE, 5, place, sample_rate=4000)
        assert np.corrcoef(clip, cut)[0, 1] > 0.999


def test_a_source_that_came_from_another_process_is_the_source() -> None:
    """Trainings render in processes of their own, to which a copy of a source is sent."""
    sent: tuple[Source, ...] = copy.deepcopy((PROCEDURAL, NATURE))
    assert sent[0] is not PROCEDURAL
    crops = (CropStream(given, 5, 1600, 8000).crops(3, 4) for given in (sent, (PROCEDURAL, NATURE)))
    assert torch.equal(*crops)
    with pytest.raises(ValueError, match="'procedural' renders batches"):
        render_clip(sent[0], 1, 1)
    images = (shards.timbre_images([one], 1, [2]) for one in (sent[0], PROCEDURAL))
    assert np.array_equal(*images)


def test_takes_of_a_timbre_differ_in_their_melody_alone() -> None:
    first, second = take_of(1, 12, 0), take_of(1, 12, 1)
    assert first.notes != second.notes
    assert np.array_equal(first.timbre.level, second.timbre.level)


@pytest.mark.corpus
def test_clips_of_every_source_that_is_here_are_written(tmp_path: Path) -> None:
    written = write_timbres(tmp_path, 2)
    present = [source.name for source in SOURCES.values() if source.present]
    assert [path.parent.name for path in written] == [name for name in present for _ in range(2)]


@pytest.mark.parametrize("sound", sorted(UNHEARD))
def test_unheard_sounds_of_nature_are_finite_audible_and_reproducible(sound: str) -> None:
    first, again = (UNHEARD[sound](np.random.default_rng(1), 1.0, 22_050) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.isfinite(first).all()
    assert first.std() > 0.01
    assert as_array(torch.from_numpy(first)).shape == (22_050,)


@pytest.mark.parametrize("words", [["--hlep"], ["-v"], ["list", "all"], ["one", "two"]])
def test_a_word_that_no_command_takes_writes_nothing(words: list[str], tmp_path: Path) -> None:
    ended = run_corpus(*words, folder=tmp_path)
    assert ended.returncode == 1
    assert f"error: {words[-1]!r} is not known here" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", ["-3", "0", "many"])
def test_a_count_that_is_none_is_told_its_rule(count: str, tmp_path: Path) -> None:
    ended = run_corpus("timbres", "clips", count, folder=tmp_path)
    assert ended.returncode == 1
    assert "COUNT a whole number above 0" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_is_printed_and_writes_nothing(tmp_path: Path) -> None:
    ended = run_corpus("--help", folder=tmp_path)
    assert ended.returncode == 0
    assert "bench.corpus timbres FOLDER [COUNT]" in ended.stderr
    assert list(tmp_path.iterdir()) == []
