"""The preprocessing of published scores: what it is, what it changes, and that a run offers it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray

from bench.api import Audio, Clip, Output, Style
from bench.cli.listing import listing
from bench.cli.main import cli
from bench.plugins.catalog import find_metric, resolve
from bench.records.store import load_run
from metrics.clap import as_published, scores
from metrics.clap.checkpoints import locate
from metrics.clap.embedder import ClapEmbedder, Towers, load_embedder, read_towers
from metrics.clap.scores import ClapMetric
from tests import rounding

ClipReader = Callable[[str, float], Clip]
RATE, WINDOW = 22050, 112896  # of the mini model
NAMES = ("cp", "sf.heldout", "sf.seen", "sf.text")
SUITE = """
schema_version = 1
name = "published"
dataset = "mini"
profile = "mini"
methods = ["eq-match"]
controls = []
metrics = ["cp", "cp.as_published"]
styles = ["bells"]
contents = 2
"""


@pytest.fixture(scope="module")
def piano(bundled: ClipReader) -> Clip:
    return bundled("content/piano/piano_ode_to_joy", 2.6)


@pytest.fixture(scope="module")
def flute(bundled: ClipReader) -> Clip:
    return bundled("content/flute/flute_morning_mood", 2.6)


def loaded(kind: type[ClapMetric]) -> ClapMetric:
    metric = kind()
    metric.load("mini", "cpu")
    return metric


def raw(kind: type[ClapMetric], content: Audio, output: Audio) -> float:
    clip = Clip("content", "piano", content)
    (score,) = loaded(kind).score([Output(clip, Style("none", ()), output)])
    assert score.raw is not None, score.reason
    return score.raw


def laion_embedding(audio: Audio, towers: Towers | None = None) -> NDArray[np.float64]:
    """An embedding as laion-clap makes it, up to its names.

    The samples go through its two conversions one after the other, and the library's extractor,
    which has laion's repeating and padding of its own, gets the clip as short as it is.
    """
    towers = towers or read_towers(locate("mini"))
    as_int16 = (np.clip(audio.mono, a_min=-1.0, a_max=1.0) * 32767.0).astype(np.int16)
    as_float = (as_int16 / 32767.0).astype(np.float32)
    assert len(as_float) < WINDOW
    front_end = towers.extractor
    given = {"sampling_rate": audio.sample_rate, "max_length": WINDOW, "return_tensors": "pt"}
    features = front_end(as_float, **given)["input_features"]
    with torch.inference_mode():
        found = towers.model.get_audio_features(
            input_features=features, is_longer=torch.zeros(1, 1, dtype=torch.bool)
        )
    vector = found.pooler_output[0].double().numpy()
    return np.asarray(vector / np.linalg.norm(vector))


@pytest.mark.parametrize("seconds", [0.6, 1.7, 2.5, 2.6])
def test_an_embedding_is_that_of_laions_own_steps(
    bundled: ClipReader, seconds: float, wide_towers: Callable[[], Towers]
) -> None:
    clip, towers = bundled("content/violin/violin_greensleeves", seconds).audio, wide_towers()
    made = ClapEmbedder(towers, "mini", "cpu", mode="as_published").embed_audio(clip)
    # Features are handed out as float32 by either front end, with three roundings between them; the
    # network is float64. Samples that are rounded where laion cuts their digits off move 2e-5.
    bound = rounding.likely(3)
    assert bound < 2e-6
    np.testing.assert_allclose(made, laion_embedding(clip, towers), rtol=0, atol=bound)


def test_a_score_is_the_cosine_of_such_embeddings(piano: Clip, flute: Clip) -> None:
    expected = float(laion_embedding(piano.audio) @ laion_embedding(flute.audio))
    found = raw(as_published.ContentPreservation, piano.audio, flute.audio)
    # The network's float32; what it makes of a sound moves along the sphere, a cosine by its sine.
    bound = rounding.of_networks(read_towers(locate("mini")).model.audio_model)
    assert found == pytest.approx(expected, abs=bound)
    assert abs(found - raw(scores.ContentPreservation, piano.audio, flute.audio)) > 2 * bound


def test_a_gain_moves_the_published_score_and_not_ours(piano: Clip) -> None:
    quiet = Audio(piano.audio.waveform * np.float32(0.02), piano.audio.sample_rate)
    assert raw(scores.ContentPreservation, piano.audio, quiet) > 0.9999
    assert raw(as_published.ContentPreservation, piano.audio, quiet) < 0.99


def test_a_cut_of_a_few_samples_moves_the_published_score_and_not_ours(bundled: ClipReader) -> None:
    """Half a window is repeated to fill it; one sample more is followed by zeros."""
    whole = bundled("content/piano/piano_ode_to_joy", 5.0).audio
    assert whole.sample_rate == RATE
    half = Audio(whole.waveform[:, : WINDOW // 2].copy(), RATE)
    longer = Audio(whole.waveform[:, : WINDOW // 2 + 1].copy(), RATE)
    assert raw(scores.ContentPreservation, half, longer) > 0.9999
    assert raw(as_published.ContentPreservation, half, longer) < 0.99


def test_only_the_first_window_of_a_long_clip_is_heard(piano: Clip, flute: Clip) -> None:
    same = np.tile(piano.audio.waveform, (1, 3))[:, :WINDOW]
    ends = [np.tile(clip.audio.waveform, (1, 2)) for clip in (piano, flute)]
    first, second = (Audio(np.concatenate([same, end], axis=1), RATE) for end in ends)
    assert raw(as_published.ContentPreservation, first, second) == pytest.approx(1, abs=1e-12)
    assert raw(scores.ContentPreservation, first, second) < 0.99


@pytest.mark.parametrize("name", NAMES)
def test_each_score_has_a_twin_that_differs_in_preprocessing_alone(name: str) -> None:
    ours, published = (resolve(find_metric(one))() for one in (name, f"{name}.as_published"))
    assert ours.reference is published.reference
    found = []
    for metric in (ours, published):
        metric.load("mini", "cpu")
        found.append(dict(metric.fingerprint()))
    assert [one.pop("metric") for one in found] == [name, f"{name}.as_published"]
    kinds = [one.pop("preprocessing") for one in found]
    assert [kind["mode"] for kind in kinds] == ["version_1", "as_published"]
    assert found[0] == found[1]


def test_both_preprocessings_share_one_model() -> None:
    ours, published = (
        load_embedder("mini", "cpu"),
        load_embedder("mini", "cpu", mode="as_published"),
    )
    assert ours is not published
    assert ours._model is published._model


def test_the_list_of_metrics_offers_them() -> None:
    offered = [line.partition(" ")[0] for line in listing("metrics").splitlines()]
    assert {f"{name}.as_published" for name in NAMES} <= set(offered)


def test_a_run_scores_with_both_in_columns_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "published.toml").write_text(SUITE, encoding="utf-8")
    words = ["run", "--suite", str(tmp_path / "published.toml"), "--device", "cpu", "--no-html"]
    done = CliRunner().invoke(cli, [*words, "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    run = load_run(tmp_path / "run")
    prints = {metric.name: metric.fingerprint for metric in run.header.metrics}
    assert prints.keys() == {"cp", "cp.as_published"}
    assert len(set(prints.values())) == 2
    for cell in run.plan:
        ours, published = (run.scores[cell.cell_id, name] for name in prints)
        assert (ours.status, published.status) == ("ok", "ok")
        assert (ours.fingerprint, published.fingerprint) == tuple(prints.values())
        assert ours.raw != published.raw
    with (tmp_path / "run" / "report" / "table2.csv").open(encoding="utf-8", newline="") as file:
        (row, *_) = csv.DictReader(file)
    for name in prints:
        values = [run.scores[cell.cell_id, name].value for cell in run.plan]
        assert float(row[name]) == pytest.approx(np.mean(values), abs=1e-10)  # ten digits in csv
