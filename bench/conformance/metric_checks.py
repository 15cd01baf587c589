"""The checks that every metric must pass, on clips of two seconds of the bundled data."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np

from bench.api import (
    Audio,
    Direction,
    Score,
    UnsupportedError,
)
from bench.audio import resample, to_mono
from bench.conformance.checks import (
    AXES_WORDS,
    CONTENTS,
    ODD_RATE,
    Check,
    bundled_clip,
)
from bench.conformance.metric_subject import MetricSubject
from bench.outputs import SHORTEST_S
from bench.plugins.catalog import UNDESCRIBED
from bench.scores import AnswerError, Rule, called_by, counted, find_fault

SCORES = "ordinary outputs get one score each"
SAME = 1e-5  # scores of the same output in other company may differ in the last digits


def _description(subject: MetricSubject) -> str | None:
    info = subject.info
    if info.source.endswith(UNDESCRIBED):
        raise UnsupportedError("the class has no INFO; higher is taken as better, without a range")
    if not info.range[0] < info.range[1]:
        return f"its range is {info.range}; the smallest value comes first"
    missing = [name for name in ("title", "source") if not getattr(info, name)]
    return f"INFO leaves {', '.join(missing)} empty" if missing else None


def _contract(subject: MetricSubject) -> str | None:
    _ = subject.complete_kind
    return None


def _load(subject: MetricSubject) -> str | None:
    _ = subject.metric
    return None


def _scores(subject: MetricSubject) -> str | None:
    try:
        counted(subject.ordinary_scores, len(subject.ordinary), subject.declared)
    except AnswerError as error:
        return str(error)
    scores: list[object] = list(subject.ordinary_scores)
    unlike = [
        f"{s.status} ({s.reason})" for s in scores if isinstance(s, Score) and s.status != "ok"
    ]
    fault = _faults(subject, "kind", "number")
    return fault or (f"ordinary outputs came back {', '.join(unlike)}" if unlike else None)


def _name(subject: MetricSubject) -> str | None:
    return _faults(subject, "name")


def _faults(subject: MetricSubject, *rules: Rule) -> str | None:
    """Which of these rules the scores of ordinary outputs break, by the gate of every run."""
    declared, scores = subject.declared, subject.ordinary_scores
    called = called_by(scores, declared)
    faults = [find_fault(score, called, declared) for score in scores]
    words = [fault.words for fault in faults if fault is not None and fault.rule in rules]
    return "; ".join(dict.fromkeys(words)) or None


def _nothing(subject: MetricSubject) -> str | None:
    scores = subject.score()
    return None if scores == [] else f"no outputs gave {scores!r:.60}"


def _range(subject: MetricSubject) -> str | None:
    return _faults(subject, "range")


def _again(subject: MetricSubject) -> str | None:
    first = [_value(score) for score in subject.ordinary_scores]
    second = _values(subject, *subject.ordinary)
    return None if first == second else f"{first} became {second}"


def _company(subject: MetricSubject) -> str | None:
    together = _values(subject, *subject.ordinary)
    backward = _values(subject, *reversed(subject.ordinary))[::-1]
    alone = [_values(subject, output)[0] for output in subject.ordinary]
    for what, values in (("in reverse order", backward), ("alone", alone)):
        if not np.allclose(values, together, rtol=0.0, atol=SAME):
            return f"{together} together, {values} {what}"
    return None


def _silence(subject: MetricSubject) -> str | None:
    (score,) = subject.score(_like(subject, np.zeros_like(subject.content.audio.waveform)))
    if not score.reason or score.status == "ok":
        return f"silence is {score.status} with the value {score.value} and reason {score.reason!r}"
    value = score.value or 0.0  # below 0 where sounds can score less than nothing
    if score.status == "silent" and subject.info.direction is Direction.MAXIMIZE and value > 0:
        return f"silence scores {value}, above 0"
    return None


def _broken(spoil: Callable[[np.ndarray], np.ndarray]) -> Callable[[MetricSubject], str | None]:
    """Make a check that a spoilt output gets no number, and the output beside it keeps its own."""

    def fault(subject: MetricSubject) -> str | None:
        content = subject.content.audio
        fine, broken = subject.score(content, _like(subject, spoil(content.waveform.copy())))
        if fine.status != "ok":
            return f"the sound output beside it came back {fine.status}"
        if (broken.status, broken.value, broken.raw) != ("invalid_output", None, None):
            return f"it came back {broken.status} with the value {broken.value}"
        return None if broken.reason else "it came back without a reason"

    return fault


def _spoilt_by(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def spoil(waveform: np.ndarray) -> np.ndarray:
        waveform[0, 100] = value
        return waveform

    return spoil


def _stereo(subject: MetricSubject) -> str | None:
    mono = subject.content.audio.waveform
    both = Audio(np.concatenate([mono, 0.5 * mono]), subject.content.audio.sample_rate)
    clip = dataclasses.replace(subject.content, audio=both)
    return _unscored(subject.score(to_mono(both), content=clip))


def _odd_rate(subject: MetricSubject) -> str | None:
    odd = resample(subject.content.audio, ODD_RATE)
    clip = dataclasses.replace(subject.content, audio=odd)
    return _unscored(subject.score(odd, content=clip))


def _shortest(subject: MetricSubject) -> str | None:
    clip = bundled_clip(CONTENTS[0], SHORTEST_S)
    return _unscored(subject.score(clip.audio, content=clip))


def _unscored(scores: list[Score]) -> str | None:
    (score,) = scores
    if score.status == "ok" and score.value is not None and math.isfinite(score.value):
        return None
    return f"it came back {score.status} with the value {score.value} ({score.reason})"


def _fingerprint(subject: MetricSubject) -> str | None:
    first = json.dumps(dict(subject.metric.fingerprint()), sort_keys=True)
    if first == "{}":
        return "it is empty"
    _ = subject.ordinary_scores  # where it cannot score, that is no fault of the fingerprint
    subject.score(subject.content.audio)
    again = json.dumps(dict(subject.metric.fingerprint()), sort_keys=True)
    return None if first == again else f"{first} became {again} by scoring"


def _inputs(subject: MetricSubject) -> str | None:
    _ = subject.ordinary_scores
    return "; ".join(dict.fromkeys(subject.side_effects.inputs)) or None


def _surroundings(subject: MetricSubject) -> str | None:
    _ = subject.ordinary_scores
    return "; ".join(dict.fromkeys(subject.side_effects.surroundings)) or None


def _like(subject: MetricSubject, waveform: np.ndarray) -> Audio:
    return Audio(waveform.astype(np.float32), subject.content.audio.sample_rate)


def _values(subject: MetricSubject, *outputs: Audio) -> list[float]:
    return [_value(score) for score in subject.score(*outputs)]


def _value(score: Score) -> float:
    return math.nan if score.value is None else score.value


def _reads(subject: MetricSubject) -> str | None:
    _ = subject.ordinary_scores
    return subject.reading.fault()


METRIC_CHECKS: tuple[Check[MetricSubject], ...] = (
    Check(
        "it says what a table needs",
        "a column needs a title, a direction and a source",
        _description,
    ),
    Check(
        "it implements the contract",
        "the harness calls load, score and fingerprint and nothing else",
        _contract,
    ),
    Check("it loads", "nothing can be scored", _load),
    Check(
        SCORES,
        f"a score is matched to its output by its place; a waveform is {AXES_WORDS}",
        _scores,
    ),
    Check(
        "scores carry its name in the catalog",
        "they would land in another column",
        _name,
        needs=(SCORES,),
    ),
    Check("no output gives no score", "a run may have nothing to score", _nothing),
    Check(
        "values lie in the declared range", "the table prints the range", _range, needs=(SCORES,)
    ),
    Check("the same output scores the same again", "scores are not drawn", _again, needs=(SCORES,)),
    Check(
        "a score does not depend on order or company",
        "it would depend on how a run was interrupted",
        _company,
        needs=(SCORES,),
    ),
    Check(
        "silence scores nothing and says so",
        "failing must not look like trying",
        _silence,
        needs=(SCORES,),
    ),
    *(
        Check(
            f"an output {fault} has no number",
            "a broken output must never raise a mean, nor end a run",
            _broken(spoil),
            needs=(SCORES,),
        )
        for fault, spoil in (
            ("with NaN", _spoilt_by(math.nan)),
            ("with infinity", _spoilt_by(math.inf)),
            ("without samples", lambda waveform: waveform[:, :0]),
            ("of half the length", lambda waveform: waveform[:, : waveform.shape[1] // 2]),
        )
    ),
    Check(
        "stereo content is taken",
        "contents come as they are in the dataset",
        _stereo,
        needs=(SCORES,),
    ),
    Check(
        "content of an odd rate is taken",
        "outputs come at the content's rate",
        _odd_rate,
        needs=(SCORES,),
    ),
    Check(
        "half a second is taken", "it is the shortest clip of a dataset", _shortest, needs=(SCORES,)
    ),
    Check(
        "the fingerprint is JSON and stays",
        "scores of unlike fingerprints never share a column",
        _fingerprint,
    ),
    Check("inputs are left as they were", "the same output goes to the next metric", _inputs),
    Check(
        "the working directory and global generators are left as they were",
        "a method that runs later would get other draws or other files",
        _surroundings,
    ),
    Check(
        "what it reads is part of its identity",
        "results of an edited file would be taken for the old ones; name it in describe's weights",
        _reads,
    ),
)
