"""Recorded notes: which recording a key plays, at which pitch, and which folders count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from bench.api import ConfigError, DatasetError
from bench.corpus import recorded_notes, sources
from bench.corpus.melodies import Note
from bench.corpus.recorded_notes import Instrument, Zone, instruments, play_instrument, read_zones
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from bench.corpus.sources import PROCEDURAL, SAMPLES, as_here, render_clip, sources_named
from bench.corpus.stream import CropStream
from methods.riffusion.pretrain import shards

RATE = 16_000
CC0 = "Published under CC0, https://creativecommons.org/publicdomain/zero/1.0/\n"
PLAIN = "<region> sample=a4.wav key=69 <region> sample=a5.wav lokey=70 hikey=127 pitch_keycenter=81"
Maker = Callable[..., Path]


def hz(pitch: float) -> float:
    return 440 * 2 ** ((pitch - 69) / 12)


def write_tone(path: Path, pitch: float, seconds: float = 3.0, rate: int = 44_100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hz(pitch) * times), rate, subtype="FLOAT")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Makes instruments in the folder that BENCH_SAMPLES names."""
    monkeypatch.setenv("BENCH_SAMPLES", str(tmp_path))
    recorded_notes._instruments.cache_clear()

    def made(name: str = "tones", text: str = PLAIN, about: str = CC0) -> Path:
        folder = tmp_path / name
        write_tone(folder / "a4.wav", 69)
        write_tone(folder / "a5.wav", 81)
        (folder / "README.txt").write_text(about)
        (folder / f"{name}.sfz").write_text(text)
        return folder / f"{name}.sfz"

    return made


def pitch_of(waveform: np.ndarray) -> float:
    """The loudest partial, as a MIDI pitch: a peak of a zero-padded spectrum."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 2**20))
    return float(69 + 12 * np.log2(spectrum.argmax() * RATE / 2**20 / 440))


@pytest.mark.parametrize("pitch", [60, 69, 70, 84])
def test_a_key_plays_the_recording_that_is_meant_for_it_at_its_pitch(
    make: Maker, pitch: int
) -> None:
    """60 lies outside all keys: the nearest zone plays it."""
    zones = read_zones(make())
    clip = play_instrument(Instrument("tones", zones), [Note(0, 1, pitch, 127)], 1, RATE)
    assert pitch_of(clip[:12_000]) == pytest.approx(pitch, abs=0.01)
    assert [zone.keys for zone in zones] == [(69, 69), (70, 127)]


def test_regions_inherit_what_stands_above_them(make: Maker) -> None:
    text = """
// a comment that names a <region> sample=none.wav
<control> default_path=more/
<global> hivel=100 tune=-50
<group> lokey=c4 hikey=B4 pitch_keycenter=a4
<region> sample=one note.wav
<region> sample=a4.wav transpose=12 hivel=127 /* and
 <region> sample=a5.wav in a comment */
<group> key=f#5
<region> sample=a5.wav
"""
    path = make("inherits", text)
    for name in ("one note.wav", "a4.wav", "a5.wav"):
        write_tone(path.parent / "more" / name, 69)
    more = path.parent / "more"
    assert read_zones(path) == (
        Zone(more / "one note.wav", (60, 71), (1, 100), 69.5),
        Zone(more / "a4.wav", (60, 71), (1, 127), 69.5 - 12),
        Zone(more / "a5.wav", (78, 78), (1, 100), 78.5),
    )


def test_of_variants_the_first_is_played_and_of_releases_none(make: Maker) -> None:
    text = """<region> sample=a4.wav seq_length=2 seq_position=1
<region> sample=a5.wav seq_length=2 seq_position=2 <region> sample=a5.wav lorand=0.5 hirand=1
<region> sample=a5.wav trigger=release <region> sample=gone.wav"""
    assert [zone.path.name for zone in read_zones(make("variants", text))] == ["a4.wav"]


def test_velocities_choose_a_zone_and_set_the_level(make: Maker) -> None:
    text = (
        "<region> key=69 sample=a4.wav hivel=63 <region> sample=a5.wav lovel=64 pitch_keycenter=69"
    )
    layered = Instrument("layers", read_zones(make("layers", text)))
    soft, loud, louder = (
        play_instrument(layered, [Note(0, 1, 69, velocity)], 1, RATE) for velocity in (63, 64, 127)
    )
    assert pitch_of(soft[:12_000]) == pytest.approx(69, abs=0.01)
    assert pitch_of(loud[:12_000]) == pytest.approx(81, abs=0.01)
    np.testing.assert_allclose(loud / (64 / 127) ** 2, louder, atol=1e-6)


def test_a_note_sounds_while_its_key_is_held_and_what_comes_after_the_clip_is_cut(
    make: Maker,
) -> None:
    """A player lifts the finger after 92 % of a note; the sound fades in 80 ms."""
    tones = Instrument("tones", read_zones(make()))
    alone = [play_instrument(tones, [note], 2, RATE) for note in both_notes()]
    clip = play_instrument(tones, both_notes(), 2, RATE)
    np.testing.assert_array_equal(clip, alone[0] + alone[1])
    held, faded = round(0.92 * RATE), round((0.92 + 0.08) * RATE)
    assert np.abs(alone[0][held - 100 : held]).max() > 0.45
    assert np.abs(alone[0][faded - 100 : faded]).max() < 0.05
    assert not alone[0][faded:].any()
    assert not alone[1][: round(1.5 * RATE)].any()
    assert not play_instrument(tones, [Note(2.5, 1, 69, 127)], 2, RATE).any()


def both_notes() -> tuple[Note, Note]:
    return Note(0.0, 1.0, 69, 127), Note(1.5, 1.0, 81, 127)


def test_no_recording_is_an_error_with_a_way_out(make: Maker) -> None:
    with pytest.raises(DatasetError, match="no region with a recording that is there"):
        read_zones(make("silent", "<region> sample=gone.wav"))
    with pytest.raises(DatasetError, match=r"the region of a4\.wav has a value .* 'high'"):
        read_zones(make("wrong", "<region> sample=a4.wav hikey=high"))


@pytest.mark.parametrize("about", ["All rights reserved.\n", "CC-BY 4.0\n", "Not CC03.\n"])
def test_what_is_not_cc0_is_refused_by_name(make: Maker, about: str) -> None:
    make("free")
    make("other", about=about)
    with pytest.raises(DatasetError, match=r"no licence or readme in .*other names CC0"):
        instruments()


@pytest.mark.parametrize(
    "name", ["Kalimba C", "mbira-nyunga", "Highland_Bagpipes", "steel drums", "SteelPan"]
)
def test_what_no_training_may_hear_is_left_out(make: Maker, name: str) -> None:
    make("free")
    make(name)
    assert [one.name for one in instruments()] == ["free"]
    for held_out in HELD_OUT_INSTRUMENTS:
        assert recorded_notes._is_unheard(held_out)


def test_a_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_SAMPLES", "/nowhere/at/all")
    with pytest.raises(DatasetError, match="BENCH_SAMPLES=/nowhere/at/all is not a folder"):
        sources_named(["samples"])
    monkeypatch.delenv("BENCH_SAMPLES")
    assert as_here(SAMPLES) == SAMPLES
    assert not SAMPLES.present
    with pytest.raises(DatasetError, match="source 'samples' needs instruments"):
        sources_named(["procedural", "samples"])


def test_instruments_take_turns_in_a_stream_and_stand_in_its_card(make: Maker) -> None:
    for name in ("one", "two"):
        make(name)
    (source,) = sources_named(["samples"])
    assert (source.timbres, source.present, source.licence) == (2, True, "CC0-1.0")
    assert source.origin == "recorded notes: one, two"
    assert "one, two" in sources.listing().splitlines()[-1]
    first, again = (render_clip(source, 1, 3, sample_rate=8000) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.abs(first).max() == pytest.approx(0.9)
    crops = CropStream((PROCEDURAL, source), 5, 1600, 8000).crops(3, 4)
    assert bool((crops.abs().amax(1) <= 0.95 + 1e-6).all())


def test_a_training_of_riffusion_holds_every_eighth_instrument_back(make: Maker) -> None:
    for number in range(8):
        make(f"number {number}")
    (source,) = sources_named(["samples"])
    assert shards.timbres_for(source, of_evaluation=True) == (5,)
    assert shards.timbres_for(source, of_evaluation=False) == (0, 1, 2, 3, 4, 6, 7)
    first, again, other = (
        shards._take(source, 1, number, 0, of_evaluation=True) for number in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    few = replace(source, timbres=5)
    with pytest.raises(ConfigError, match="'samples' has 5 instruments here; with fewer than 6"):
        shards.Renderer((few,), 0, posterior=lambda _images: (torch.zeros(1), torch.zeros(1)))
