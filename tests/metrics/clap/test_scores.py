"""CP and SF: identities, prototypes, and whether the mini model hears what it should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.api import Audio, Clip, Metric, Output, Score, Style
from metrics.clap.embedder import load_embedder
from metrics.clap.scores import (
    ContentPreservation,
    StyleFitHeldout,
    StyleFitSeen,
    StyleFitText,
)
from metrics.directions import cosine
from metrics.nearness import prototype, to_score

ClipReader = Callable[[str, float], Clip]


def loaded(kind: type[Metric]) -> Metric:
    metric = kind()
    metric.load("mini", "cpu")
    return metric


@pytest.fixture(scope="module")
def piano(bundled: ClipReader) -> Clip:
    return bundled("content/piano/piano_ode_to_joy", 5.0)


@pytest.fixture(scope="module")
def accordion(bundled: ClipReader) -> Style:
    clips = tuple(bundled(f"style/accordion/accordion_{n}", 5.0) for n in range(1, 5))
    return Style("accordion", clips[:2], clips[2:], "accordion music")


def test_cosines_of_known_vectors() -> None:
    east, north = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert (cosine(east, east), cosine(east, north), cosine(east, -east)) == (1, 0, -1)


def test_a_negative_cosine_scores_zero_and_is_kept() -> None:
    assert to_score("cp", -0.25) == Score("cp", 0.0, -0.25)


def test_the_content_itself_has_cp_one(piano: Clip, accordion: Style) -> None:
    (score,) = loaded(ContentPreservation).score([Output(piano, accordion, piano.audio)])
    assert score.value == pytest.approx(1, abs=1e-12)


def test_a_gain_changes_no_score(piano: Clip, accordion: Style) -> None:
    quiet = Audio(piano.audio.waveform * np.float32(0.05), piano.audio.sample_rate)
    for kind in (ContentPreservation, StyleFitHeldout):
        original, changed = loaded(kind).score(
            [Output(piano, accordion, piano.audio), Output(piano, accordion, quiet)]
        )
        assert original.raw == pytest.approx(changed.raw, abs=1e-3)


def test_order_of_outputs_changes_no_score(piano: Clip, accordion: Style) -> None:
    outputs = [Output(piano, accordion, clip.audio) for clip in (piano, *accordion.clips)]
    metric = loaded(StyleFitHeldout)
    assert metric.score(outputs[::-1]) == metric.score(outputs)[::-1]


def test_copying_a_clip_of_one_has_sf_one(piano: Clip, accordion: Style) -> None:
    style = Style("accordion", accordion.clips[:1], accordion.heldout_clips[:1], None)
    seen = Output(piano, style, style.clips[0].audio)
    unseen = Output(piano, style, style.heldout_clips[0].audio)
    assert loaded(StyleFitSeen).score([seen])[0].raw == pytest.approx(1, abs=1e-12)
    assert loaded(StyleFitHeldout).score([unseen])[0].raw == pytest.approx(1, abs=1e-12)


def test_the_prototype_is_the_mean_direction(accordion: Style) -> None:
    embedder = load_embedder("mini", "cpu")
    total = sum(embedder.embed_audio(clip.audio) for clip in accordion.clips)
    expected = total / np.linalg.norm(total)
    assert prototype(embedder, accordion, "clips") == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("spoilt", ["silent", "nan"])
def test_clips_that_cannot_stand_for_a_style_are_no_references(
    piano: Clip, accordion: Style, spoilt: str
) -> None:
    """With others beside them the score is that of the others; alone there is none."""
    value = np.nan if spoilt == "nan" else 0.0
    broken = Clip("broken", "x", Audio(np.full((1, 22050), value, np.float32), 22050))
    for kind, side in ((StyleFitSeen, "clips"), (StyleFitHeldout, "heldout_clips")):
        clips = getattr(accordion, side)
        among = replace(accordion, **{side: (broken, *clips)})
        alone = replace(accordion, **{side: (broken,) * 3})
        outputs = [Output(piano, style, clips[0].audio) for style in (accordion, among, alone)]
        plain, same, none = loaded(kind).score(outputs)
        assert same == plain
        assert (none.status, none.value) == ("unsupported", None)
        assert "none can be used: broken " in str(none.reason)


def test_held_out_and_seen_use_their_own_clips(piano: Clip, accordion: Style) -> None:
    swapped = Style("accordion", accordion.heldout_clips, accordion.clips, None)
    outputs = [Output(piano, style, piano.audio) for style in (accordion, swapped)]
    seen = [score.raw for score in loaded(StyleFitSeen).score(outputs)]
    held = [score.raw for score in loaded(StyleFitHeldout).score(outputs)]
    assert seen == held[::-1]


@pytest.mark.parametrize("kind", [StyleFitHeldout, StyleFitSeen, StyleFitText])
def test_style_copies_fit_better_than_the_content(
    kind: type[Metric], piano: Clip, accordion: Style
) -> None:
    copy = Output(piano, accordion, accordion.heldout_clips[0].audio)
    untouched = Output(piano, accordion, piano.audio)
    better, worse = (score.raw for score in loaded(kind).score([copy, untouched]))
    assert better is not None
    assert worse is not None
    assert better > worse + 0.2


def test_noise_and_other_instruments_preserve_less(piano: Clip, accordion: Style) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(piano.audio.waveform.shape)
    noise = Audio(samples.astype(np.float32), piano.audio.sample_rate)
    clips = [piano.audio, accordion.clips[0].audio, noise]
    scores = loaded(ContentPreservation).score([Output(piano, accordion, clip) for clip in clips])
    raws = [score.raw if score.raw is not None else np.nan for score in scores]
    assert raws[0] > 0.99 > max(raws[1:]) + 0.2


@pytest.mark.parametrize("text", ["bells ringing", "organ music", "music box music"])
def test_the_texts_of_the_mini_dataset_are_known(text: str) -> None:
    embedder = load_embedder("mini", "cpu")
    embedder.require_words(text)
    assert np.linalg.norm(embedder.embed_text(text)) == pytest.approx(1)


def test_texts_name_the_bundled_styles(bundled: ClipReader) -> None:
    """Zero-shot over the bundled styles that the mini model was trained to know."""
    embedder = load_embedder("mini", "cpu")
    named = {
        "accordion": "accordion music",
        "bells": "bells ringing",
        "music_box": "music box music",
    }
    texts = np.stack([embedder.embed_text(text) for text in named.values()])
    for index, folder in enumerate(named):
        clip = bundled(f"style/{folder}/{folder}_1", 5.0)
        assert (texts @ embedder.embed_audio(clip.audio)).argmax() == index


def test_an_unloaded_metric_says_so(piano: Clip, accordion: Style) -> None:
    with pytest.raises(RuntimeError, match="'cp' is not loaded"):
        ContentPreservation().score([Output(piano, accordion, piano.audio)])


def test_fingerprints_tell_metrics_apart() -> None:
    kinds: list[type[Metric]] = [ContentPreservation, StyleFitHeldout, StyleFitSeen, StyleFitText]
    names = [loaded(kind).fingerprint()["metric"] for kind in kinds]
    assert names == ["cp", "sf.heldout", "sf.seen", "sf.text"]
