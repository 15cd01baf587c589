"""The checks that every style-transfer method must pass, on clips of one second.

Fits and samplings are as short as they can be, so the checks say whether a method keeps the
contract, and nothing about how it sounds.
"""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.api import (
    Audio,
    Clip,
    Conditioning,
    MethodInfo,
    Style,
    StyleState,
    UnsupportedError,
)
from bench.audio import BEYOND, is_beyond_full_scale, peak_words, resample
from bench.cache import Cache
from bench.conformance.checks import (
    AXES_WORDS,
    CONTENTS,
    ODD_RATE,
    OTHER_STYLE_CLIP,
    Check,
    bundled_clip,
    is_frozen_dataclass,
)
from bench.conformance.method_subject import SECONDS, MethodSubject
from bench.description import given_of
from bench.failure import Failure
from bench.outputs import SHORTEST_S, restore
from bench.plugins.parameters import MODEL, split_parameters

COMPANY_TOLERANCE = 1e-3  # of the peak: batched arithmetic differs in the last digits
ROLES = {"fit", "transfer", MODEL}
SAME_FIT = "the same seed learns the same"
SAME_BYTES = "the same seed gives the same bytes"
FORM = "the output is mono, finite, and has the content's rate and length"


def _description(subject: MethodSubject) -> str | None:
    info = subject.entry.info
    if not isinstance(info, MethodInfo):
        return f"INFO is a {type(info).__name__}, not a MethodInfo"
    if subject.undescribed:
        raise UnsupportedError("the class has no INFO; tables will print its name and no source")
    missing = [name for name in ("title", "conditioned_on", "source") if not getattr(info, name)]
    return f"INFO leaves {', '.join(missing)} empty" if missing else None


def _contract(subject: MethodSubject) -> str | None:
    _ = subject.complete_kind
    return None


def _parameters(subject: MethodSubject) -> str | None:
    _ = subject.parameters
    kind = subject.kind.Parameters
    if not is_frozen_dataclass(kind):
        return f"Parameters ({kind!r}) is not a frozen dataclass"
    without = [f.name for f in dataclasses.fields(kind) if f.metadata.get("role") not in ROLES]
    if without:
        return f'{", ".join(without)} of Parameters say neither {{"role": "fit"}} nor "transfer"'
    split_parameters(kind())
    return None


def _departures(subject: MethodSubject) -> str | None:
    said: object = subject.kind.departures(subject.parameters, subject.profile)
    if not isinstance(said, tuple):
        return f"departures returned {said!r:.60}, not a tuple"
    alien = [clause for clause in said if not isinstance(clause, str) or ";" in clause]
    return f"{alien[0]!r:.60} is not one clause of text without a semicolon" if alien else None


def _load(subject: MethodSubject) -> str | None:
    _ = subject.method
    return None


def _fit(subject: MethodSubject) -> str | None:
    _ = subject.states
    return None


def _progress(subject: MethodSubject) -> str | None:
    _ = subject.states
    for fraction, text in subject.told:
        if not (isinstance(fraction, int | float) and 0.0 <= fraction <= 1.0):
            return f"progress was told the fraction {fraction!r}"
        if not isinstance(text, str):
            return f"progress was told the text {text!r}"
    return None


def _fit_again(subject: MethodSubject) -> str | None:
    first = subject.state
    (again,) = subject.fit(subject.style)
    return _state_difference(first, again, 0.0)


def _fit_in_company(subject: MethodSubject) -> str | None:
    alone = subject.state
    clip = subject.heard(bundled_clip(OTHER_STYLE_CLIP, SECONDS))
    _, again = subject.fit(Style("bells", (clip,), text="bells"), subject.style)
    return _state_difference(alone, again, COMPANY_TOLERANCE)


def _state_difference(one: StyleState, other: StyleState, tolerance: float) -> str | None:
    if set(one.arrays) != set(other.arrays):
        return f"the states hold {sorted(one.arrays)} and {sorted(other.arrays)}"
    for name, array in one.arrays.items():
        if array.shape != other.arrays[name].shape:
            return f"{name} has the shapes {array.shape} and {other.arrays[name].shape}"
        unlike = _relative_difference(np.asarray(array), np.asarray(other.arrays[name]))
        if unlike > tolerance:
            return f"{name} differs by {unlike:.1e} of its largest value"
    return None


def _shape(subject: MethodSubject) -> str | None:
    heard = subject.contents[0].audio
    return _fault(restore(subject.output, heard, heard))


def _fault(restored: Audio | Failure) -> str | None:
    return restored.reason if isinstance(restored, Failure) else None


def _sound(subject: MethodSubject) -> str | None:
    return None if subject.output.waveform.any() else "the output of an ordinary content is silent"


def _same_seed(subject: MethodSubject) -> str | None:
    first = subject.output
    (again,) = subject.transfer(subject.contents[0])
    return _byte_difference(again, first)


def _other_seed(subject: MethodSubject) -> str | None:
    if not np.nan_to_num(subject.output.waveform).any():
        raise UnsupportedError("the output has no sound, so seeds cannot be told apart")
    (other,) = subject.transfer(subject.contents[0], seed=2)
    same = other.digest == subject.output.digest
    info = subject.entry.info
    deterministic = isinstance(info, MethodInfo) and info.deterministic
    if same and (deterministic or subject.undescribed):
        raise UnsupportedError("seeds 1 and 2 gave the same bytes: transfer draws nothing")
    if same and subject.overrides:  # INFO speaks of the defaults
        raise UnsupportedError(
            "seeds 1 and 2 gave the same bytes: transfer draws nothing with these settings"
        )
    if same:
        return "seeds 1 and 2 gave the same bytes, but INFO does not say deterministic=True"
    if deterministic:
        return "seeds 1 and 2 gave different bytes, but INFO says deterministic=True"
    return None


def _company(subject: MethodSubject) -> str | None:
    alone = subject.output
    return _difference(subject.both[0], alone)


def _order(subject: MethodSubject) -> str | None:
    _ = subject.output
    first, second = subject.contents
    forward, backward = subject.both, subject.transfer(second, first)
    return _difference(backward[1], forward[0]) or _difference(backward[0], forward[1])


def _untold(subject: MethodSubject) -> str | None:
    info = subject.entry.info
    if not isinstance(info, MethodInfo) or subject.undescribed:
        raise UnsupportedError("the class has no INFO, which would say what it is given")
    first, given = subject.output, {*given_of(subject.parameters, info.conditioned_on)}
    style, content = subject.style, subject.contents[0]
    other_clip = subject.heard(bundled_clip(OTHER_STYLE_CLIP, SECONDS))
    others: list[tuple[str, set[Conditioning], Style, Clip]] = [
        ("the style's words", {"style text"}, replace(style, id="bells", text="bells"), content),
        ("the style's clips", {"style audio"}, replace(style, clips=(other_clip,)), content),
        (
            "the content",
            {"content audio", "melody", "content text", "true result"},
            style,
            replace(content, audio=subject.contents[1].audio),
        ),
    ]
    followed = []
    for what, names, another_style, another_content in others:
        if not names & given:
            state = subject.state if another_style is style else subject.fit(another_style)[0]
            (made,) = subject.transfer(another_content, state=state)
            followed += [what] if made.digest != first.digest else []
    if not followed:
        return None
    said = ", ".join(sorted(given))
    return f"the sound changes with {' and '.join(followed)}; INFO says it is given {said}"


def _saved(subject: MethodSubject) -> str | None:
    first = subject.output
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder))
        cache.save_state("0" * 64, subject.state, {"fit_s": 1.0})
        loaded = cache.load_state("0" * 64)
    if loaded is None:
        return "the saved state cannot be read again"
    (again,) = subject.transfer(subject.contents[0], state=loaded)
    return _byte_difference(again, first)


def _silence(subject: MethodSubject) -> str | None:
    heard = subject.contents[0].audio
    silence = Audio(np.zeros_like(heard.waveform), heard.sample_rate)
    (made,) = subject.transfer(Clip("silence", "test", silence))
    return _fault(restore(made, heard, heard))


def _shortest(subject: MethodSubject) -> str | None:
    return _restored(subject, bundled_clip(CONTENTS[0], SHORTEST_S))


def _odd_rate(subject: MethodSubject) -> str | None:
    clip = bundled_clip(CONTENTS[0], SECONDS)
    return _restored(subject, replace(clip, audio=resample(clip.audio, ODD_RATE)))


def _restored(subject: MethodSubject, content: Clip) -> str | None:
    heard = subject.heard(content)
    (made,) = subject.transfer(heard)
    restored = restore(made, heard.audio, content.audio)
    if isinstance(restored, Failure):
        return restored.reason
    wanted = (content.audio.sample_rate, content.audio.num_samples)
    got = (restored.sample_rate, restored.num_samples)
    return None if got == wanted else f"rate and samples became {got}, not {wanted}"


def _level(subject: MethodSubject) -> str | None:
    _ = subject.output
    return None


def _peak(subject: MethodSubject) -> str | None:
    if not is_beyond_full_scale(subject.peak):
        return None
    return f"the largest peak is {peak_words(subject.peak)}, {BEYOND}"


def _inputs(subject: MethodSubject) -> str | None:
    _ = subject.output
    return "; ".join(dict.fromkeys(subject.side_effects.inputs)) or None


def _surroundings(subject: MethodSubject) -> str | None:
    _ = subject.output
    return "; ".join(dict.fromkeys(subject.side_effects.surroundings)) or None


def _byte_difference(one: Audio, other: Audio) -> str | None:
    if one.digest == other.digest:
        return None
    return _difference(one, other, 0.0) or "the bytes differ"


def _difference(one: Audio, other: Audio, tolerance: float = COMPANY_TOLERANCE) -> str | None:
    if one.waveform.shape != other.waveform.shape:
        return f"the shapes are {one.waveform.shape} and {other.waveform.shape}"
    unlike = _relative_difference(one.waveform, other.waveform)
    return f"samples differ by {unlike:.1e} of the peak" if unlike > tolerance else None


def _relative_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference of two arrays over the largest magnitude of the first."""
    if one.size == 0 or np.array_equal(one, other):
        return 0.0
    if not np.issubdtype(one.dtype, np.number):
        return 1.0
    wide, other_wide = one.astype(np.float64), other.astype(np.float64)
    peak = float(np.abs(wide).max())
    return float(np.abs(wide - other_wide).max()) / (peak or 1.0)


def _reads(subject: MethodSubject) -> str | None:
    _ = subject.output
    return subject.reading.fault()


METHOD_CHECKS: tuple[Check[MethodSubject], ...] = (
    Check(
        "it says what a table needs",
        "a reader must see what it was given and where it comes from",
        _description,
    ),
    Check(
        "parameters are frozen and say their role",
        "only fit parameters enter the key of a fit; a wrong role gives stale or needless fits",
        _parameters,
    ),
    Check(
        "departures are clauses of text",
        "records and tables join them with semicolons",
        _departures,
    ),
    Check(
        "it implements the contract",
        "the harness calls load, fit and transfer and nothing else",
        _contract,
    ),
    Check("it loads", "nothing can be run", _load),
    Check("it learns a style", "nothing can be rendered", _fit),
    Check("progress is told fractions in [0, 1]", "the time left is computed from them", _progress),
    Check(
        SAME_FIT,
        "a fit is cached by its seed and parameters",
        _fit_again,
    ),
    Check(
        "a style does not depend on those learnt with it",
        "a fit is cached without its company",
        _fit_in_company,
    ),
    Check(
        FORM,
        f"anything else is an invalid output without a score; a waveform is {AXES_WORDS}, here "
        "with one channel",
        _shape,
    ),
    Check("the output is not silent", "silence scores nothing", _sound),
    Check(
        SAME_BYTES,
        "a resumed run must equal an uninterrupted one",
        _same_seed,
    ),
    Check(
        "another seed gives other bytes",
        "repetitions must be independent draws",
        _other_seed,
    ),
    Check(
        "a clip does not depend on its company",
        "scores would depend on the batch size",
        _company,
    ),
    Check(
        "outputs come in the order of the requests",
        "outputs would be scored against the wrong content",
        _order,
    ),
    Check(
        "what INFO does not name changes nothing",
        "tables say beside each score what a method was given",
        _untold,
        needs=(SAME_FIT, SAME_BYTES),
    ),
    Check("a state survives the disk", "fits are cached and shared as files", _saved),
    Check("silence is taken", "one silent clip must not end a run", _silence, needs=(FORM,)),
    Check(
        "half a second is taken", "it is the shortest clip of a dataset", _shortest, needs=(FORM,)
    ),
    Check(
        "content of an odd rate comes back at that rate and length",
        "the harness resamples; the method must keep to the rate it was handed",
        _odd_rate,
        needs=(FORM,),
    ),
    Check("outputs keep their own level", "it is neither scaled nor clipped", _level, _peak),
    Check(
        "inputs are left as they were",
        "the same clip is handed to the next method",
        _inputs,
    ),
    Check(
        "the working directory and global generators are left as they were",
        "the next method would get other draws or other files",
        _surroundings,
    ),
    Check(
        "what it reads is part of its identity",
        "results of an edited file would be taken for the old ones; name it in describe's weights",
        _reads,
    ),
)
