"""What a method may return: the gate that every fit and every rendering passes.

It is the same in the run's process and in a worker, for `run` and for `check`. What passes is what
the cache will give back: plain arrays in C order, JSON of plain types, audio of the contract's own
class. What does not pass is a `ReturnError`, whose words name the call, the value and the rule; it
costs the cells of that call and never the run.

**Conventions**: sizes in bytes. Like the contract itself, this module needs numpy alone, for
workers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.api import Audio, Json, Progress, StyleState
from bench.outside.wording import one_line

MOST_STATE_BYTES = 1 << 33  # of the arrays of one state
MOST_META_BYTES = 10_000_000  # of its JSON; safetensors reads no head above 100 MB
MOST_FINGERPRINT_BYTES = 100_000
DEEPEST = 100  # levels of lists and objects in JSON
MOST_SAMPLES = 1 << 29  # of one output; four times the longest content there may be
# What safetensors can hold, by numpy's letter for the kind, and the bytes of one item.
ITEM_BYTES = {"b": (1,), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "f": (2, 4, 8), "c": (8,)}
ADMITTED = ("fit", "transfer")
LONGEST_NAME = 200  # characters of an array's name
KindT = TypeVar("KindT")


class ReturnError(ValueError):
    """A method returned what the contract does not allow."""


def admit(verb: str, answer: object, count: int) -> list[StyleState] | list[Audio]:
    """What `fit` or `transfer` returned for `count` requests, see `admit_states`, `admit_outputs`.

    Raises:
        ReturnError: It breaks a rule.
    """
    return (admit_states if verb == "fit" else admit_outputs)(answer, count)


def admit_states(answer: object, count: int) -> list[StyleState]:
    """The states that `fit` returned, as the cache will give them back.

    Args:
        answer: What was returned.
        count: For how many styles.

    Raises:
        ReturnError: It is no list with one StyleState per style, or one of them cannot be kept.

    Example:
        >>> admit_states([StyleState({}, {"steps": (1, 2)})], 1)[0].meta
        {'steps': [1, 2]}
        >>> admit_states([], 1)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        bench...ReturnError: fit returned a list of 0 for 1; one StyleState each is wanted
    """
    return [_kept(state) for state in _counted("fit", answer, count, StyleState)]


def admit_outputs(answer: object, count: int) -> list[Audio]:
    """The outputs that `transfer` returned.

    Args:
        answer: What was returned.
        count: For how many contents.

    Raises:
        ReturnError: It is no list with one Audio per content, or one of them is far too long.
        ValueError: Audio was changed after it was made, to what it may not be.
    """
    outputs = []
    for audio in _counted("transfer", answer, count, Audio):
        plain = Audio(audio.waveform, audio.sample_rate)
        if plain.waveform.size > MOST_SAMPLES:
            raise ReturnError(
                f"transfer returned audio of shape {plain.waveform.shape}; an output has at most "
                f"{MOST_SAMPLES} samples. Return as many as the content has."
            )
        outputs.append(plain)
    return outputs


def told_safely(progress: Progress) -> Progress:
    r"""A progress callback that a plug-in may be given: fractions in [0, 1], words on one line.

    Example:
        >>> told_safely(print)(math.nan, "one\nand two")
        0.0 one and two
    """

    def say(fraction: float, text: str) -> None:
        share = float(fraction)
        progress(0.0 if math.isnan(share) else min(1.0, max(0.0, share)), one_line(text))

    return say


def plain_json(value: object, what: str, depth: int = 0) -> Json:
    """A value as JSON gives it back: of plain types, tuples as lists.

    Args:
        value: What should be JSON; numbers may be infinite or NaN, as Python writes them.
        what: Its name in words.
        depth: How deep it lies in the whole.

    Raises:
        ReturnError: It is something else, or nested too deeply.
    """
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if depth >= DEEPEST:
        raise ReturnError(f"{what} is nested more than {DEEPEST} levels deep. Flatten it.")
    if isinstance(value, list | tuple):
        return [plain_json(item, what, depth + 1) for item in value]
    if not isinstance(value, Mapping):
        raise ReturnError(
            f"{what} holds a {type_name(value)}, which is no JSON; it may hold texts, plain "
            "numbers, bool, None, lists and dictionaries. Put numpy's arrays beside it."
        )
    alien = [key for key in value if not isinstance(key, str)]
    if alien:
        raise ReturnError(
            f"{what} has the name {_shown(alien[0])}; names in JSON are texts. Write str(...)."
        )
    return {str(key): plain_json(item, what, depth + 1) for key, item in value.items()}


def plain_fingerprint(value: object) -> dict[str, Json]:
    """What a metric says that decides its scores, as records keep it.

    Raises:
        ReturnError: It is no dictionary of JSON that can be written as UTF-8.

    Example:
        >>> plain_fingerprint({"version": 1, "bands": (1, 2)})
        {'version': 1, 'bands': [1, 2]}
    """
    made = plain_json(value, "the fingerprint")
    if not isinstance(made, dict):
        raise ReturnError(f"the fingerprint is {_shown(value)}; a dictionary is wanted")
    try:
        size = len(json.dumps(made, ensure_ascii=False).encode())
    except ValueError as error:
        raise ReturnError(f"the fingerprint cannot be written as JSON ({error})") from error
    if size > MOST_FINGERPRINT_BYTES:
        raise ReturnError(
            f"the fingerprint takes {size} bytes; at most {MOST_FINGERPRINT_BYTES} are recorded. "
            "Give digests of what is large."
        )
    return made


def _counted(verb: str, answer: object, count: int, kind: type[KindT]) -> Sequence[KindT]:
    """The items of an answer; each is of the kind, and there are as many as requests."""
    wanted = f"one {kind.__name__} each is wanted"
    if not isinstance(answer, list | tuple):
        raise ReturnError(f"{verb} returned {_shown(answer)}, not a list; {wanted}")
    if len(answer) != count:
        raise ReturnError(f"{verb} returned a list of {len(answer)} for {count}; {wanted}")
    for item in answer:
        if not isinstance(item, kind):
            raise ReturnError(f"{verb} returned a list with {_shown(item)}; {wanted}")
    return answer


def _kept(state: StyleState) -> StyleState:
    for what, part in (("arrays", state.arrays), ("meta", state.meta)):
        if not isinstance(part, Mapping):
            raise ReturnError(f"the state's {what} are {_shown(part)}; a dictionary is wanted")
    meta = plain_json(state.meta, "the state's meta")
    try:
        size = len(json.dumps(meta))
    except ValueError as error:  # whole numbers of thousands of digits
        raise ReturnError(f"the state's meta cannot be written as JSON ({error})") from error
    if size > MOST_META_BYTES:
        raise ReturnError(
            f"the state's meta takes {size} bytes; at most {MOST_META_BYTES} can be kept. Put "
            "numbers into arrays."
        )
    arrays: dict[Any, object] = dict(state.arrays)
    made = {_name(name): _plain_array(name, array) for name, array in arrays.items()}
    total = sum(array.nbytes for array in made.values())
    if total > MOST_STATE_BYTES:
        raise ReturnError(
            f"the state's arrays have {total} bytes; at most {MOST_STATE_BYTES} can be kept. "
            "Return fewer."
        )
    kept = {name: np.asarray(_native(array), order="C") for name, array in made.items()}
    return StyleState(kept, meta if isinstance(meta, dict) else {})


def _name(name: object) -> str:
    unfit = not isinstance(name, str) or len(name) > LONGEST_NAME or name == "__metadata__"
    if unfit or any("\ud800" <= letter <= "\udfff" for letter in str(name)):
        raise ReturnError(
            f"an array of the state has the name {_shown(name)}; a name is a text of at most "
            f"{LONGEST_NAME} characters without halves of surrogate pairs, and not __metadata__"
        )
    return str(name)


def _plain_array(name: object, array: object) -> NDArray[np.generic]:
    """An array without a class of its own; nothing is copied."""
    what = f"the state's {_shown(name)}"
    if not isinstance(array, np.ndarray):
        raise ReturnError(f"{what} is {_shown(array)}; it must be a numpy array. Use np.asarray.")
    if isinstance(array, np.ma.MaskedArray):
        raise ReturnError(f"{what} is a masked array, whose mask would be lost. Use filled().")
    if array.dtype.itemsize not in ITEM_BYTES.get(array.dtype.kind, ()):
        raise ReturnError(
            f"{what} is of {array.dtype}; arrays of a state hold bool, whole numbers of up to 64 "
            "bits, float16, float32, float64 or complex64. Put texts into meta."
        )
    return np.asarray(array)


def _native(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """An array in this machine's byte order."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _shown(value: object) -> str:
    """A value in a sentence: its kind, and what it says where that is plain and short."""
    if isinstance(value, list | tuple | dict):
        return f"a {type_name(value)} of {len(value)}"
    if value is None or isinstance(value, str | float | bool):
        return one_line(value[:100] if isinstance(value, str) else value, 60, repr)
    return f"a {type_name(value)}"


def type_name(value: object) -> str:
    """The name of a value's class in words, with that of its library where the name is common."""
    kind = type(value)
    name = type.__dict__["__name__"].__get__(kind)  # which a metaclass may hide
    return one_line(f"numpy.{name}" if isinstance(value, np.generic) else name, 60)
