"""ACE-Step and Stable Audio from fetch to file: tiny checkpoints of the published rates."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from machines import Machine
from server import Hub, Repository

from methods.pipelines.checkpoints import ACE_STEP, ACE_STEP_RATE, STABLE_AUDIO, STABLE_AUDIO_RATE
from tests.methods.pipelines import tiny_pipelines

RATE, SECONDS = 22_050, 60


def files_of(folder: Path) -> dict[str, bytes]:
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items()} | {"README.md": b"a card"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Repository]:
    """Both, with the hops of the published autoencoders; Stable Audio's window lasts 3 s."""
    scratch = tmp_path_factory.mktemp("pipelines")
    ace = tiny_pipelines.ace_step(scratch / "ace", ACE_STEP_RATE, (2, 4, 4, 6, 10))
    stable = tiny_pipelines.stable_audio(
        scratch / "stable", STABLE_AUDIO_RATE, (2, 4, 4, 8, 8), frames=64
    )
    return {ACE_STEP.id: Repository(files_of(ace)), STABLE_AUDIO.id: Repository(files_of(stable))}


@pytest.fixture
def equipped(machine: Machine, hub: Hub, served: dict[str, Repository]) -> Machine:
    """A machine that has fetched both by the names of their methods."""
    hub.repositories |= served
    done = machine.fetch("ace-step", "stable-audio")
    assert done.returncode == 0, done.stderr
    assert hub.downloads("README.md") == []
    return machine


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """A minute of two different channels."""
    time = np.arange(SECONDS * RATE) / RATE
    beat = 0.3 * np.sin(np.pi * 2 * time) ** 2
    channels = [beat * np.sin(2 * np.pi * pitch * time) for pitch in (220, 330)]
    path = tmp_path / "song.wav"
    soundfile.write(path, np.stack(channels, axis=1), RATE)
    return path


def test_a_gated_checkpoint_says_whose_permission_it_needs(
    machine: Machine, hub: Hub, served: dict[str, Repository]
) -> None:
    hub.repositories |= {STABLE_AUDIO.id: Repository(dict(served[STABLE_AUDIO.id].files))}
    hub.repositories[STABLE_AUDIO.id].closed = 403
    shown = machine.run("-m", "bench", "fetch", "stable-audio")
    assert "gated: accept it on the model's page" in shown.stdout
    refused = machine.fetch("stable-audio")
    assert refused.returncode == 2
    assert f"{STABLE_AUDIO.id} cannot be read without permission (403)" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "channels", "times"),
    [
        ("ace-step[num_inference_steps=1]", 1, 2),
        ("stable-audio[num_inference_steps=1,strength=0.5]", 2, 1),
    ],
)
def test_a_minute_of_stereo_is_rendered_whole_and_again_alike(
    equipped: Machine, song: Path, tmp_path: Path, method: str, channels: int, times: int
) -> None:
    told = ["--method", method, "--style", "datasets/mini/style/bells", "--content", str(song)]
    told += ["--text", "bells"] if method.startswith("stable") else []
    digests = set()
    for name in ("first.wav", "again.wav")[:times]:
        cache = tmp_path / name[:5]  # without what the other time learnt
        cache.mkdir()
        shutil.copy(equipped.home / "bench" / "checkpoints.lock.json", cache)
        done = equipped.run(
            *("-m", "bench", "transfer", *told, "--profile", "full", "--device", "cpu"),
            *("--level", "as-is", "-o", str(tmp_path / name)),
            HF_HUB_OFFLINE="1",
            BENCH_CACHE=str(cache),
        )
        assert done.returncode == 0, done.stderr
        sound, rate = soundfile.read(tmp_path / name, always_2d=True)
        assert (rate, sound.shape) == (RATE, (SECONDS * RATE, channels))
        digests.add(sound.tobytes())
    assert len(digests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ace-step", "stable-audio"])
def test_what_was_fetched_keeps_the_contract(equipped: Machine, method: str) -> None:
    check = ("check", method, "--profile", "full", "--device", "cpu")
    done = equipped.run("-m", "bench", *check, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ace-step", "stable-audio"])
def test_the_mini_profile_is_declined_by_name(
    machine: Machine, song: Path, tmp_path: Path, method: str
) -> None:
    told = ("--method", method, "--style", "datasets/mini/style/bells", "--content", str(song))
    out = ("--profile", "mini", "--device", "cpu", "-o", str(tmp_path / "none.wav"))
    done = machine.run("-m", "bench", "transfer", *told, *out)
    assert done.returncode != 0
    assert f"{method} has no mini model; it runs in the full profile alone." in done.stderr
    assert not (tmp_path / "none.wav").exists()
