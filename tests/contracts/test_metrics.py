"""What the contract promises of every metric, asked of each one in the catalog.

A new metric gets these tests by being registered. The checks are those of `python -m bench check`;
below them stands what is known of single metrics.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bench.api import Direction, Output, Score
from bench.conformance.checks import run_check
from bench.conformance.metric_checks import METRIC_CHECKS
from bench.conformance.metric_subject import MetricSubject
from bench.plugins import catalog

# The best output for these is the content itself; their best value is then reached.
COMPARES_WITH_CONTENT = {
    "cp",
    "cp.as_published",
    "chroma",
    "notes",
    "notes.octave",
    "melody",
    "melody.chroma",
    "lpaps",
    "lpaps.channel",
    "cqt1-pcc",
}
# The best output for these is a recording of the style.
COMPARES_WITH_STYLE = {
    "sf.heldout",
    "sf.heldout.as_published",
    "sf.margin",
    "sf.musicnn",
    "sf.musicnn.margin",
    "sf.musicnn.seen",
    "sf.musicnn.seen.margin",
    "sf.seen",
    "sf.seen.as_published",
    "sf.seen.margin",
}


@pytest.fixture(
    scope="session",
    params=[
        name
        for name, entry in catalog.metrics().items()
        if entry.environment is None and not name.endswith("@music")  # which the mini profile lacks
    ],
)
def subject(request: pytest.FixtureRequest) -> MetricSubject:
    """Each metric of the catalog, in the mini profile."""
    name: str = request.param
    return MetricSubject(name, catalog.find_metric(name))


def test_a_metric_keeps_the_contract(subject: MetricSubject) -> None:
    """Every check is made, whatever came of those before it."""
    outcomes = [run_check(check, subject) for check in METRIC_CHECKS]
    assert [one for one in outcomes if (one.status, one.reason) != ("passed", "")] == []


@pytest.mark.parametrize("subject", sorted(COMPARES_WITH_CONTENT), indirect=True)
def test_the_content_itself_is_the_ideal_output(subject: MetricSubject) -> None:
    content, _, other = subject.ordinary
    best, lesser = subject.score(content, other)
    ideal = 1.0 if subject.info.direction is Direction.MAXIMIZE else 0.0
    assert best.value == pytest.approx(ideal, abs=1e-4)
    assert _better(best, lesser, subject.info.direction)


@pytest.mark.parametrize("subject", sorted(COMPARES_WITH_STYLE), indirect=True)
def test_a_recording_of_the_style_fits_better_than_the_content(subject: MetricSubject) -> None:
    content, _, recording = subject.ordinary
    best, lesser = subject.score(recording, content)
    assert _better(best, lesser, subject.info.direction)


def _better(one: Score, other: Score, direction: Direction) -> bool:
    assert one.value is not None
    assert other.value is not None
    return one.value > other.value if direction is Direction.MAXIMIZE else one.value < other.value


@pytest.mark.parametrize(
    ("subject", "lacking"),
    [
        *(
            (f"{name}{kind}", lacking)
            for kind in ("", ".as_published")
            for name, lacking in (
                ("sf.heldout", {"heldout_clips": ()}),
                ("sf.seen", {"clips": ()}),
                ("sf.text", {"text": None}),
                ("sf.text", {"text": "zxqv unheard of"}),
            )
        ),
        ("sf.margin", {"heldout_clips": ()}),
        ("sf.seen.margin", {"clips": ()}),
        ("sf.musicnn", {"heldout_clips": ()}),
        ("sf.musicnn.seen", {"clips": ()}),
        ("sf.musicnn.margin", {"heldout_clips": ()}),
        ("sf.musicnn.seen.margin", {"clips": ()}),
    ],
    indirect=["subject"],
)
def test_a_style_without_what_is_compared_is_declined(
    subject: MetricSubject, lacking: dict[str, Any]
) -> None:
    style = dataclasses.replace(subject.style, **lacking)
    output = Output(subject.content, style, subject.content.audio, subject.rivals)
    (score,) = subject.metric.score([output])
    assert (score.status, score.value) == ("unsupported", None)
    assert score.reason
