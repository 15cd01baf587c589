"""Margins in plane geometry: a fake model that hears a sound's level as an angle."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import final

import numpy as np
import pytest

from bench.api import (
    Audio,
    Clip,
    EmbeddingMetric,
    Json,
    Metric,
    Output,
    Profile,
    Score,
    Style,
)
from metrics.clap import scores as clap
from metrics.directions import Embedder, Embedding
from metrics.musicnn import scores as musicnn
from metrics.nearness import NearnessMetric, heldout_rivalry, seen_rivalry

ClipReader = Callable[[str, float], Clip]
RATE = 8000


class Plane:
    """Hears constant samples of a hundredth of an angle as that angle in degrees."""

    def embed_audio(self, audio: Audio) -> Embedding:
        angle = math.radians(100 * float(audio.waveform[0, 0]))
        return np.array([math.cos(angle), math.sin(angle)])

    def embed_all(self, audios: Sequence[Audio]) -> list[Embedding]:
        return [self.embed_audio(audio) for audio in audios]

    def fingerprint(self) -> Mapping[str, Json]:
        return {"model": "plane"}


class PlaneMetric(NearnessMetric[Embedder]):
    """A score in the plane."""

    def open_embedder(self, profile: Profile, device: str) -> Embedder:
        return Plane()


@final
class Heldout(PlaneMetric):
    """By held-out clips."""

    name = "margin"
    reference = staticmethod(heldout_rivalry)


@final
class Seen(PlaneMetric):
    """By seen clips."""

    name = "margin"
    reference = staticmethod(seen_rivalry)


def at(degrees: float) -> Audio:
    return Audio(np.full((1, RATE), degrees / 100, np.float32), RATE)


def clip(degrees: float) -> Clip:
    return Clip(f"at {degrees}", "x", at(degrees))


def style(name: str, *heldout: float, seen: Sequence[float] = ()) -> Style:
    return Style(name, tuple(map(clip, seen)), tuple(map(clip, heldout)))


def score(output: Output, kind: type[Metric] = Heldout) -> Score:
    metric = kind()
    metric.load("mini", "cpu")
    (found,) = metric.score([output])
    return found


def cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


OWN, NEAR, FAR = style("own", 5, 15), style("near", 50), style("far", 80)


@pytest.mark.parametrize(
    ("heard", "margin", "nearest", "rank"),
    [
        (20, cos(10) - cos(30), "own", 1),
        (35, cos(25) - cos(15), "near", 2),
        (70, cos(60) - cos(10), "far", 3),
        (30, 0.0, "own", 1),  # halfway
    ],
)
def test_a_margin_is_the_own_cosine_less_the_best_other(
    heard: float, margin: float, nearest: str, rank: int
) -> None:
    """Levels are float32, so an angle is off by 2^-24 of a right angle or so."""
    found = score(Output(clip(25), OWN, at(heard), (NEAR, FAR)))
    assert found.value == found.raw == pytest.approx(margin, abs=1e-6)
    assert found.status == "ok"
    if margin:
        assert (found.detail["nearest"], found.detail["rank"]) == (nearest, rank)
    assert found.detail["of"] == 3


def test_the_source_margin_is_measured_from_the_content() -> None:
    found = score(Output(clip(60), OWN, at(20), (NEAR,)))
    assert found.detail["source"] == pytest.approx(cos(10) - cos(40), abs=1e-6)


def test_a_content_without_sound_is_no_source() -> None:
    assert "source" not in score(Output(clip(0), OWN, at(20), (NEAR,))).detail


def test_among_equals_the_own_style_comes_first() -> None:
    twin = replace(OWN, id="twin")
    found = score(Output(clip(25), OWN, at(20), (twin, FAR)))
    assert found.value == 0
    assert (found.detail["nearest"], found.detail["rank"]) == ("own", 1)


def test_the_order_of_styles_does_not_matter() -> None:
    found = [
        score(Output(clip(25), OWN, at(45), rivals))
        for rivals in permutations((NEAR, FAR, style("other", 30)))
    ]
    assert found == [found[0]] * 6
    assert found[0].detail["rank"] == 3


def test_another_style_never_raises_a_margin() -> None:
    angles = range(1, 90, 8)
    for heard in angles:
        output = Output(clip(25), OWN, at(heard), (NEAR,))
        lone = score(output).value
        assert lone is not None
        for other in angles:
            more = score(replace(output, rivals=(NEAR, style("other", other)))).value
            assert more is not None
            assert more <= lone


def test_a_style_that_cannot_be_heard_is_no_rival() -> None:
    silent = style("silent", 0)
    found = score(Output(clip(25), OWN, at(20), (style("lone"), silent, NEAR)))
    assert (found.status, found.detail["of"]) == ("ok", 2)
    assert found == score(Output(clip(25), OWN, at(20), (NEAR,)))


@pytest.mark.parametrize(
    ("own", "rivals", "reason"),
    [
        (OWN, (), "style 'own' has no rival: it is the only style of the run"),
        (
            OWN,
            (style("lone"), style("silent", 0)),
            (
                "style 'own' has no rival: style 'lone' has no held-out clips; style 'silent', "
                "held-out clips: none can be used: at 0 is silent (below -60 dBFS)"
            ),
        ),
        (style("own"), (NEAR,), "style 'own' has no held-out clips"),
    ],
)
def test_without_two_styles_there_is_no_margin(
    own: Style, rivals: tuple[Style, ...], reason: str
) -> None:
    found = score(Output(clip(25), own, at(20), rivals))
    assert found == Score("margin", None, status="unsupported", reason=reason)


def test_silence_is_behind_every_sound() -> None:
    found = score(Output(clip(25), OWN, at(0), (NEAR, FAR)))
    assert (found.value, found.raw, found.status) == (-1.0, -1.0, "silent")
    assert found.reason == "output is silent (below -60 dBFS); its margin is -1"
    assert found.detail == {"rank": 3, "of": 3}


def test_a_broken_output_has_no_margin() -> None:
    broken = Audio(np.full((1, RATE), np.nan, np.float32), RATE)
    found = score(Output(clip(25), OWN, broken, (NEAR,)))
    assert (found.value, found.status, found.detail) == (None, "invalid_output", {})


def test_seen_and_held_out_clips_stand_for_styles_each_in_their_own_margin() -> None:
    output = Output(clip(25), style("own", 10, seen=[80]), at(20), (style("other", 70, seen=[30]),))
    assert score(output, Heldout).value == pytest.approx(cos(10) - cos(50), abs=1e-6)
    assert score(output, Seen).value == pytest.approx(cos(60) - cos(10), abs=1e-6)


@pytest.mark.parametrize("module", [clap, musicnn])
def test_recordings_of_a_style_are_ahead_and_those_of_another_behind(
    module: object, bundled: ClipReader
) -> None:
    content = bundled("content/piano/piano_ode_to_joy", 5.0)
    styles = []
    for name in ("accordion", "bells", "music_box"):
        clips = tuple(bundled(f"style/{name}/{name}_{n}", 5.0) for n in range(1, 5))
        styles.append(Style(name, clips[:2], clips[2:]))
    own, *rivals = styles
    outputs = [
        Output(content, own, audio, tuple(rivals))
        for audio in (own.clips[0].audio, rivals[0].clips[0].audio)
    ]
    kinds: list[type[Metric]] = [module.StyleMargin, module.StyleMarginSeen]  # type: ignore[attr-defined]
    for kind in kinds:
        metric = kind()
        metric.load("mini", "cpu")
        copy, other = metric.score(outputs)
        assert copy.value is not None
        assert other.value is not None
        assert copy.value > 0.1 > -0.1 > other.value
        assert (copy.detail["nearest"], copy.detail["rank"]) == ("accordion", 1)
        assert other.detail["nearest"] == "bells"
        assert float(copy.detail["source"]) > 0


@pytest.mark.parametrize(
    ("kind", "title", "dim"),
    [(clap.StyleFitHeldout, "CLAP", 128), (musicnn.StyleFit, "MusicNN", 200)],
)
def test_held_out_style_fit_offers_its_vectors(
    kind: type[EmbeddingMetric], title: str, dim: int, bundled: ClipReader
) -> None:
    metric = kind()
    metric.load("mini", "cpu")
    clips = [bundled(f"style/bells/bells_{n}", 5.0).audio for n in (1, 2)]
    vectors = metric.embed(clips)
    assert (kind.EMBEDDING, vectors.shape, vectors.dtype) == (title, (2, dim), np.float64)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert np.array_equal(metric.embed(clips[::-1]), vectors[::-1])
