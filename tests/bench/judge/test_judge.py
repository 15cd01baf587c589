"""What a card says of metrics whose hearing is known, and of those that we ship."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.api import (
    Audio,
    Clip,
    DatasetError,
    Direction,
    Json,
    Metric,
    MetricInfo,
    Output,
    Profile,
    Score,
)
from bench.cli.main import cli
from bench.data.cards import load_dataset
from bench.judge.changes import CHANGES
from bench.judge.comparisons import Asker, clip_and_style, two_clips
from bench.judge.examination import Pupil, examine, judge_metric
from bench.judge.material import JudgeMaterial, read_material
from bench.records.judge_cards import JudgeCard

INFO = MetricInfo("Ear", Direction.MAXIMIZE, (0.0, 1.0), "a test")
Hears = Callable[[Clip, Clip, str], float]  # content or target, output, style


class Ear(Metric):
    """A metric that is told who plays what, and hears of it what the test wants."""

    def __init__(self, material: JudgeMaterial, hears: Hears) -> None:
        self._names = {
            clip.audio.digest: clip for grid in material.grids for clip in grid.clips.values()
        }
        self._hears = hears

    def load(self, profile: Profile, device: str) -> None:
        """Load nothing."""

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        """What it hears; nothing of a sound that it does not know."""
        return [self._one(output) for output in outputs]

    def _one(self, output: Output) -> Score:
        heard = self._names.get(output.audio.digest)
        if heard is None:
            return Score("ear", None, status="unsupported", reason="never heard")
        return Score("ear", self._hears(output.content, heard, output.style.id))

    def fingerprint(self) -> Mapping[str, Json]:
        """Nothing decides."""
        return {"metric": "ear"}


def piece(clip: Clip) -> str:
    return clip.id.removeprefix(clip.category)


def card_of(material: JudgeMaterial, hears: Hears, info: MetricInfo = INFO) -> JudgeCard:
    pupil = Pupil("ear", info, Ear(material, hears), material, lambda *_: None)
    return examine(pupil, {}, "mini", 0)


def notes(content: Clip, output: Clip, _style: str) -> float:
    return float(piece(content) == piece(output))


def timbre(content: Clip, output: Clip, _style: str) -> float:
    return float(content.category == output.category)


def numbers(card: JudgeCard, place: int = 0) -> tuple[float | None, float | None, float | None]:
    hearing = card.hearings[place]
    return hearing.notes.value, hearing.timbre.value, hearing.balance.value


def test_an_ear_for_notes_is_a_content_judge(material: JudgeMaterial) -> None:
    card = card_of(material, notes)
    assert (card.hears_content, card.hears_style) == (True, False)
    assert [hearing.form for hearing in card.hearings] == ["two clips"]
    assert numbers(card) == (1.0, 0.5, 1.0)
    assert (card.verdict, card.phrase) == ("content", "hears notes 1.00, timbre .50")
    assert card.hearings[0].means == {"same piece": 1.0, "same instrument": 0.0, "neither": 0.0}


def test_an_ear_for_timbre_is_a_style_judge(material: JudgeMaterial) -> None:
    card = card_of(material, timbre)
    assert numbers(card) == (0.5, 1.0, 0.0)
    assert (card.verdict, card.phrase) == ("style", "hears timbre 1.00, notes .50")


def test_an_ear_for_both_is_a_mixture(material: JudgeMaterial) -> None:
    card = card_of(material, lambda *heard: (notes(*heard) + timbre(*heard)) / 2)
    assert numbers(card) == (1.0, 1.0, 0.5)
    assert card.verdict == "mixture"


def test_a_distance_is_read_the_other_way_round(material: JudgeMaterial) -> None:
    info = MetricInfo("Ear", Direction.MINIMIZE, (0.0, 1.0), "a test")
    card = card_of(material, lambda *heard: 1 - notes(*heard), info)
    assert numbers(card) == (1.0, 0.5, 1.0)
    assert card.hearings[0].means["same piece"] == 0.0


def test_an_ear_for_the_style_is_asked_with_styles(material: JudgeMaterial) -> None:
    card = card_of(material, lambda _, output, style: float(output.category == style))
    assert (card.hears_content, card.hears_style) == (False, True)
    assert [hearing.form for hearing in card.hearings] == ["clip and style"]
    assert numbers(card) == (0.5, 1.0, 0.0)
    assert card.hearings[0].nearest == (16, 16)
    assert card.verdict == "style"


def test_an_ear_for_content_and_style_is_asked_both_ways(material: JudgeMaterial) -> None:
    card = card_of(material, lambda c, o, style: (notes(c, o, style) + (o.category == style)) / 2)
    assert [hearing.form for hearing in card.hearings] == ["two clips", "clip and style"]
    assert numbers(card, 1) == (1.0, 1.0, 0.5)


def test_who_hears_nothing_has_no_card_to_show(material: JudgeMaterial) -> None:
    card = card_of(material, lambda *_: 0.5)
    assert (card.hears_content, card.hears_style, card.hearings) == (False, False, ())
    assert (card.verdict, card.phrase) == ("unknown", None)


def test_every_comparison_is_made_once(material: JudgeMaterial) -> None:
    asker, (grid,) = Asker(material, INFO), material.grids
    pairs = Counter(one.kind for one in two_clips(asker, grid))
    assert pairs == {"same piece": 48, "same instrument": 48, "neither": 144}
    cells = Counter(one.kind for one in clip_and_style(asker, grid))
    assert cells == {"right": 16, "wrong notes": 48, "wrong timbre": 48}


def test_a_metric_gets_what_it_needs_and_no_more(material: JudgeMaterial) -> None:
    (plain, *_), (whole, *_) = (
        list(two_clips(Asker(material, info), material.grids[0]))
        for info in (
            INFO,
            MetricInfo("Ear", INFO.direction, INFO.range, "", needs=("rivals", "target")),
        )
    )
    assert (plain.output.rivals, plain.output.target) == ((), None)
    assert whole.output.target is whole.output.content.audio
    assert {style.id for style in whole.output.rivals} | {whole.output.style.id} == set(
        material.styles
    )


def test_a_card_is_made_again_from_its_seed(material: JudgeMaterial) -> None:
    def vague(content: Clip, output: Clip, style: str) -> float:
        return 0.5 + 0.4 * np.sin(len(content.id) * 7 + len(output.id) * 3 + len(style))

    assert card_of(material, vague) == card_of(material, vague)


@pytest.mark.parametrize(
    ("name", "wanted"), [("chroma", "content"), ("cp", "style"), ("sf.heldout", "style")]
)
def test_a_judge_of_ours_hears_what_its_column_says(
    material: JudgeMaterial, name: str, wanted: str
) -> None:
    """A content judge has C >= .9 and B >= .8, a style judge S >= .9 and B <= .25."""
    card = judge_metric(name, material, "mini", "cpu", 0, lambda *_: None)
    assert card.verdict == wanted, card.hearings[0]
    (hearing,) = card.hearings
    assert hearing.scored == hearing.outputs
    if name == "chroma":
        right, low = (card.responses[change] for change in ("unchanged", "semitone_up"))
        assert right is not None
        assert low is not None
        assert low < right - 0.3


def test_a_dataset_without_true_results_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"dataset mini names no true results; .* pairs"):
        read_material(load_dataset("mini"))


def test_changes_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    audio = Audio((tone + 0.01 * rng.normal(size=22_050)).astype(np.float32)[None], 22_050)
    made = {name: change(audio, 1) for name, change in CHANGES.items()}
    assert all(one.waveform.shape == audio.waveform.shape for one in made.values())
    assert not made["late_100_ms"].waveform[0, :2205].any()
    assert np.array_equal(made["late_100_ms"].waveform[0, 2205:], audio.waveform[0, :-2205])
    assert np.allclose(made["softer_20_db"].waveform * 10, audio.waveform, rtol=1e-6)
    for name, least in (("noise_20_db", 19.8), ("ogg_vorbis", 5.0)):
        assert _ratio_db(audio, made[name]) > least
    assert _ratio_db(audio, made["noise_20_db"]) == pytest.approx(20.0, abs=0.2)


def _ratio_db(before: Audio, after: Audio) -> float:
    noise = float(np.mean((after.waveform.astype(float) - before.waveform) ** 2))
    return 10 * np.log10(float(np.mean(before.waveform.astype(float) ** 2)) / noise)


def test_the_command_prints_keeps_and_adds_cards(band: Path, tmp_path: Path) -> None:
    file = tmp_path / "cards.json"
    words = ["--dataset", str(band), "--device", "cpu", "--quiet", "-o", str(file)]
    shown = CliRunner().invoke(cli, ["judge", "chroma", *words])
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "What each metric hears" in shown.stdout
    added = CliRunner().invoke(cli, ["judge", "target.chroma", *words, "--json"])
    assert list(json.loads(added.stdout)["cards"]) == ["target.chroma"]
    assert list(json.loads(file.read_text())["cards"]) == ["chroma", "target.chroma"]
