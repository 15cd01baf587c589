"""Fetching datasets of the hub in which pieces are played by several instruments.

The repositories are made up: sounds of noise in the layout that the cards expect, and in others.
"""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from forked import Forker
from machines import Machine
from server import COMMIT, Hub, Repository, serving

STARNET, BRICKS = "schism-audio/starnet-audio", "schism-audio/choralebricks-audio"
RATE = 2000
MIXTURES = {0: 1, 3: 5}  # the index of the mixture by the first of its set


def wav(wave: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def noise(seed: object, seconds: float) -> np.ndarray:
    rng = np.random.default_rng([ord(letter) for letter in str(seed)])
    return rng.uniform(-0.3, 0.3, round(RATE * seconds))


def starnet() -> dict[str, bytes]:
    """Nine works of six files each, of which one in three is the sum of the others."""
    lines, files = ["file_name,piece_id,stem_index,archive_part"], {}
    for work in range(1, 10):
        for first, mixture in MIXTURES.items():
            stems = {i: noise((work, i), 31.0) for i in range(first, first + 3) if i != mixture}
            stems[mixture] = 0.9 * sum(stems.values())
            for index in sorted(stems):
                name = f"audio/{work:03d}.{index}.wav"
                lines.append(f"{name},{work},{index},p1")
                files[name] = wav(stems[index])
    return {"metadata.csv": "\n".join(lines).encode(), "README.md": b"a card", **files}


def bricks() -> dict[str, bytes]:
    """Ten chorales in two parts, played by three instruments."""
    lines, files = ["song_id;part;instrument;path_audio;performer"], {}
    for song in range(1, 11):
        for part in "SB":
            for who in ("Flute", "Bass Clarinet", "Tuba"):
                name = f"{song:02d}/tracks_normalized/{part}_{who.replace(' ', '')}.wav"
                lines.append(f"{song:02d};{part};{who};{name};P1")
                files[name] = wav(noise((song, part, who), 13.0))
    return {"metadata_tracks.csv": "\n".join(lines).encode(), **files}


@pytest.fixture
def data_hub() -> Iterator[Hub]:
    repositories = {
        f"datasets/{STARNET}": Repository(starnet()),
        f"datasets/{BRICKS}": Repository(bricks()),
    }
    with serving(repositories) as running:
        yield running


@pytest.fixture
def at_home(data_hub: Hub, tmp_path: Path, forker: Forker) -> Machine:
    return Machine(tmp_path, data_hub.url, forker)


ASK = """
import json, sys
from bench.data.cards import load_dataset
found = load_dataset(sys.argv[1])
clips = [*found.contents, *(clip for style in found.styles for clip in style.clips)]
print(json.dumps({
    "contents": sorted(clip.id for clip in found.contents),
    "styles": {style.id: sorted(clip.id for clip in style.clips) for style in found.styles},
    "target": found.target_of(*sys.argv[2:]),
    "seconds": sorted({clip.duration_s for clip in clips}),
}))
"""


def facts(machine: Machine, *words: str) -> dict[str, object]:
    done = machine.run("-c", ASK, *words)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_mixtures_become_a_dataset_whose_true_results_are_known(
    at_home: Machine, data_hub: Hub
) -> None:
    shown = at_home.run("-m", "bench", "fetch", "starnet")
    assert shown.returncode == 2
    assert "CC BY 4.0" in shown.stdout
    done = at_home.fetch("starnet")
    assert done.returncode == 0, done.stderr
    assert "8 contents, 8 clips of 2 styles" in done.stdout
    found = facts(at_home, "starnet", "set_b", "set_a_2")
    assert found == {
        "contents": sorted(f"set_{s}_{work}" for s in "ab" for work in (1, 2, 3, 4)),
        "styles": {f"set_{s}": [f"set_{s}_{work}" for work in (5, 6, 7, 8)] for s in "ab"},
        "target": "set_b_2",
        "seconds": [10.0],
    }
    assert data_hub.downloads("009.0.wav") == []
    clip, _ = soundfile.read(at_home.home / "data/starnet/content/set_b/set_b_2.flac")
    mixture = 0.9 * sum(noise((2, index), 31.0) for index in (3, 4))
    assert np.abs(clip - mixture[20 * RATE : 30 * RATE]).max() < 1e-3


def test_parts_of_chorales_become_pieces(at_home: Machine) -> None:
    done = at_home.fetch("choralebricks")
    assert done.returncode == 0, done.stderr
    found = facts(at_home, "choralebricks", "Tuba", "Bass_Clarinet_03_S")
    assert found["target"] == "Tuba_03_S"
    assert len(found["contents"]) == 4 * 2 * 3  # type: ignore[arg-type]
    assert set(found["styles"]) == {"Flute", "Bass_Clarinet", "Tuba"}  # type: ignore[call-overload]


def test_what_came_first_is_what_comes_again(at_home: Machine, data_hub: Hub) -> None:
    assert at_home.fetch("choralebricks").returncode == 0
    lock = json.loads((at_home.home / "bench/checkpoints.lock.json").read_text())
    entry = lock["entries"]["dataset:choralebricks"]
    assert entry["commit"] == COMMIT
    assert len(entry["files"]) == 1 + 10 * 2 * 3
    for folder in ("data", "hf"):
        shutil.rmtree(at_home.home / folder)
    files = data_hub.repositories[f"datasets/{BRICKS}"].files
    files["01/tracks_normalized/S_Tuba.wav"] = wav(noise("other", 13.0))
    done = at_home.fetch("choralebricks")
    assert done.returncode == 2
    assert "were recorded when it was first fetched" in done.stderr
    assert not (at_home.home / "data" / "choralebricks").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"data/train.parquet": b"x"}, "has no metadata.csv, which should list its sounds; it h"),
        (
            {"metadata.csv": b"file_name,piece\na.wav,1\n", "a.wav": b"x"},
            "metadata.csv has no column 'piece_id', 'stem_index'; it has 'file_name', 'piece'",
        ),
        (
            {"metadata.csv": b"file_name,piece_id,stem_index\nb.wav,1,0\n"},
            "metadata.csv names b.wav, which the repository does not hold",
        ),
    ],
)
def test_another_layout_is_refused_and_not_guessed(
    at_home: Machine, data_hub: Hub, files: dict[str, bytes], words: str
) -> None:
    data_hub.repositories[f"datasets/{STARNET}"].files = files
    done = at_home.fetch("starnet")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (at_home.home / "data" / "starnet").exists()


def test_stems_without_a_mixture_are_refused(at_home: Machine, data_hub: Hub) -> None:
    files = data_hub.repositories[f"datasets/{STARNET}"].files
    files["audio/001.1.wav"] = wav(noise("stranger", 31.0))
    done = at_home.fetch("starnet")
    assert done.returncode == 2
    assert "none is the sum of the others" in done.stderr


def test_a_repository_that_is_not_there_is_named(at_home: Machine, data_hub: Hub) -> None:
    del data_hub.repositories[f"datasets/{STARNET}"]
    done = at_home.fetch("starnet")
    assert done.returncode == 2
    assert "schism-audio/starnet-audio at main cannot be fetched" in done.stderr
