"""The edits on AudioLDM 2 as a user runs them: fetched once, then offline, in the full profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from machines import AUDIOLDM2, RIFFUSION, Machine
from server import Repository, serving

from bench.api import CheckpointError
from bench.plugins.catalog import find_method
from bench.plugins.kinds import with_model
from bench.plugins.opening import Isolation, close, open_method
from tests.hub.tiny_audioldm2 import audioldm2

ZETA = "zeta[backbone=audioldm2,num_inference_steps=4]"
OFFLINE = {"HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with AudioLDM 2 and no other checkpoint."""
    home = tmp_path_factory.mktemp("home")
    files = audioldm2(tmp_path_factory.mktemp("scratch"))
    with serving({AUDIOLDM2: Repository(files)}) as hub:
        machine = Machine(home, hub.url)
        done = machine.fetch(AUDIOLDM2)
        assert done.returncode == 0, done.stderr
        assert f"{AUDIOLDM2}: complete, in " in done.stdout
        assert hub.downloads("model_index.json") == []
    return machine


@pytest.mark.slow
@pytest.mark.parametrize("method", [ZETA, ZETA.replace("zeta", "steer")])
def test_the_contract_is_kept(fetched: Machine, method: str) -> None:
    argv = ("-m", "bench", "check", method, "--profile", "full", "--device", "cpu")
    done = fetched.run(*argv, **OFFLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("passed, 0 failed, 0 n.a.\n")


@pytest.mark.slow
def test_a_minute_in_stereo_comes_back_as_long_in_both_channels(
    fetched: Machine, tmp_path: Path
) -> None:
    content, output = tmp_path / "content.wav", tmp_path / "output.wav"
    times = np.arange(60 * 44_100 - 77) / 44_100
    swell = 0.2 * (1 + np.sin(times))
    tones = [swell * np.sin(2 * np.pi * pitch_hz * times) for pitch_hz in (220, 330)]
    soundfile.write(content, np.stack(tones, axis=1), 44_100)
    argv = ["--method", ZETA, "--text", "a piano", "--content", str(content), "-o", str(output)]
    done = fetched.run(
        "-m", "bench", "transfer", *argv, "--profile", "full", "--device", "cpu", **OFFLINE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made, rate = soundfile.read(output)
    assert (made.shape, rate) == ((len(times), 2), 44_100)
    assert float(np.abs(made[:, 0] - made[:, 1]).max()) > 0.01


@pytest.mark.slow
def test_a_worker_loads_the_model_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    for backbone, name in (("audioldm2", AUDIOLDM2), ("riffusion", RIFFUSION)):
        entry = with_model(find_method("zeta"), {"backbone": backbone})
        method = open_method(entry, tmp_path / "log", Isolation(wanted=True))
        with pytest.raises(CheckpointError, match=f"{name} at main is not in the local cache"):
            method.load("full", "cpu")
        close(method)
