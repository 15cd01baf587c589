"""The reference back ends as far as this environment sees them: locks, refusals, lengths."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from bench.api import (
    Audio,
    CheckpointError,
    ConfigError,
    ContentError,
    FitRequest,
    Style,
    UnsupportedError,
)
from bench.backend import FOLDERS_VARIABLE, fetched_folder
from bench.plugins.catalog import find_method, find_metric, resolve
from bench.plugins.checkpoints import checkpoints_of
from bench.plugins.environments import project_of
from methods.audiocraft.melody import RATE, TITLE, WINDOW_S, AudiocraftMelody, Parameters
from methods.audiocraft.melody import duration_of as seconds_of
from metrics.laion.scores import ContentPreservation, LaionEmbedder

ENTRIES = {
    "musicgen@audiocraft": find_method("musicgen@audiocraft"),
    "cp@laion": find_metric("cp@laion"),
}


@pytest.mark.parametrize(
    ("name", "package", "version"),
    [("musicgen@audiocraft", "audiocraft", "1.3.0"), ("cp@laion", "laion-clap", "1.1.7")],
)
def test_a_lock_holds_the_library_and_a_numpy_that_is_not_ours(
    name: str, package: str, version: str
) -> None:
    project = project_of(ENTRIES[name])
    assert project is not None
    text = (project / "uv.lock").read_text(encoding="utf-8")
    held = {entry["name"]: entry["version"] for entry in tomllib.loads(text)["package"]}
    assert held[package] == version
    assert held["torch"] == "2.1.0"
    assert held["numpy"].startswith("1.")
    assert not np.__version__.startswith("1.")


@pytest.mark.parametrize("name", list(ENTRIES))
def test_the_full_profile_alone_has_weights(name: str) -> None:
    entry = ENTRIES[name]
    assert checkpoints_of(entry, "mini") == ()
    assert len(checkpoints_of(entry, "full")) == 1
    with pytest.raises(CheckpointError, match="has no mini model"):
        resolve(entry)().load("mini", "cpu")


def test_a_checkpoint_lies_where_the_run_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS_VARIABLE, f'{{"{TITLE}": "/somewhere"}}')
    assert str(fetched_folder(TITLE)) == "/somewhere"
    with pytest.raises(CheckpointError, match="other is not among the checkpoints"):
        fetched_folder("other")


def test_texts_are_stored_and_a_style_without_one_is_declined() -> None:
    method = AudiocraftMelody()
    requests = [FitRequest(Style("s", (), text=text), Parameters(), 0) for text in ("organ", " ")]
    (state,) = method.fit(requests[:1], lambda *_: None)
    assert state.meta == {"text": "organ"}
    with pytest.raises(UnsupportedError, match="'s' has no text"):
        method.fit(requests[1:], lambda *_: None)


@pytest.mark.parametrize("samples", [1, 639, 640, 641, 18_560, 160_000, 160_001, 959_999, 960_000])
def test_what_is_asked_for_covers_the_content(samples: int) -> None:
    seconds = seconds_of(Audio(np.zeros((1, samples), np.float32), RATE))
    codes = int(seconds * 50)  # as the library rounds
    assert samples <= codes * 640 < samples + 640
    assert seconds <= WINDOW_S


def test_contents_that_do_not_fit_are_refused() -> None:
    for audio in (Audio(np.zeros((1, 31 * RATE), np.float32), RATE),
                  Audio(np.zeros((1, 100), np.float32), 44_100)):  # fmt: skip
        with pytest.raises(ContentError, match=r"takes at most 30 s at 32000 Hz"):
            seconds_of(audio)


@pytest.mark.parametrize("wrong", [{"guidance_scale": 0.5}, {"top_k": 0}, {"temperature": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be at least 1"):
        Parameters(**wrong)  # type: ignore[arg-type]  # a decimal where top_k is whole


class Package:
    """As much of laion's module as is called: embeds a sound by what the global generators draw."""

    def __init__(self) -> None:
        self.calls = 0

    def get_audio_embedding_from_data(
        self, waveforms: list[np.ndarray], use_tensor: bool
    ) -> np.ndarray:
        self.calls += 1
        assert not use_tensor
        draw = np.random.rand()  # noqa: NPY002 - as the package does
        return np.stack([[w.mean() + 2, draw, w.size / 48_000] for w in waveforms])


def test_a_sound_has_one_embedding_whatever_was_drawn_before() -> None:
    sound = Audio(np.full((2, 24_000), 0.5, np.float32), 24_000)
    package, other = Package(), Package()
    first = LaionEmbedder(package)
    one = first.embed_audio(sound)
    assert np.array_equal(first.embed_audio(sound), one)
    assert package.calls == 1
    assert np.array_equal(LaionEmbedder(other).embed_audio(sound), one)
    assert np.linalg.norm(one) == pytest.approx(1)
    assert one[2] / one[0] == pytest.approx(1 / 2.5, abs=1e-3)  # one second at 48 kHz, mean .5


def test_scores_carry_their_own_names() -> None:
    assert ContentPreservation.name == "cp@laion"
