"""The gate of every score: what passes, what counts as an end of the range, what fails."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from bench.api import Score
from bench.scores import (
    UNBOUNDED,
    AnswerError,
    Declared,
    Range,
    admit,
    bounded,
    find_number_fault,
    is_plain,
    raw_range,
)

UNIT = Declared("cp", (0.0, 1.0))
OUTSIDE = Declared("./own.py:Own", (0.0, 1.0))


def the_only(score: object, declared: Declared = UNIT) -> Score:
    (found,) = admit([score], 1, declared)
    return found


@pytest.mark.parametrize(
    "value",
    [0, 1, 0.5, np.float16(0.5), np.float32(0.25), np.float64(1.0), np.int64(1), Fraction(1, 2)],
)
def test_real_numbers_inside_the_range_pass_as_floats(value: float) -> None:
    found = the_only(Score("cp", value, value))
    assert (found.status, found.value, found.raw) == ("ok", float(value), float(value))
    assert type(found.value) is float


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, -math.inf, np.float32("nan"), True, np.True_, 1j, np.complex64(1),
        "0.5", Decimal("0.5"), np.array(0.5), [0.5], 10**400,
    ],
)  # fmt: skip
def test_whatever_is_no_finite_real_number_is_invalid(value: float) -> None:
    for score in (Score("cp", value), Score("cp", 0.5, value)):
        found = the_only(score)
        assert (found.status, found.value, found.raw) == ("invalid_score", None, None)
        assert "a score is a finite real number" in str(found.reason)
        assert "metric 'cp' gave the value" in str(found.reason)


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (Score("cp", 57.0), "gave the value 57.0; its declared range is 0 to 1"),
        (Score("cp", -0.1), "gave the value -0.1; its declared range is 0 to 1"),
        (
            Score("cp", 1.0, 57.0),
            "value before clipping 57.0; by its declared range that is -1 to 1",
        ),
        (Score("cp", None), "gave no value with the status ok, which has one"),
        (Score("cp", None, status="silent"), "gave no value with the status silent"),
        (Score("cp", 0.5, status="unsupported"), "gave 0.5 and unsupported, which has no number"),
        (Score("cp", None, 0.5, "invalid_output"), "gave 0.5 and invalid_output, which has no"),
        (Score("CP", 0.5), "named a score 'CP'; its name must be 'cp'"),
        (Score("", 0.5), "named a score ''; its name must be 'cp'"),
        (Score("cp", 0.5, status="fine"), "gave the status 'fine'; there are ok, silent"),  # type: ignore[arg-type]
        (Score("cp", 0.5, reason=3), "gave the reason 3; a reason is a text"),  # type: ignore[arg-type]
        (Score("cp", 0.5, detail={"rank": math.nan}), "gave the detail {'rank': nan}; it is a map"),
        (Score("cp", 0.5, detail={"near": "x" * 201}), "finite numbers or bools, none above 200"),
        (Score("cp", 0.5, detail={str(n): n for n in range(17)}), "a mapping of up to 16 texts"),
        (Score("cp", 0.5, detail={1: 2}), "gave the detail {1: 2}; it is"),  # type: ignore[dict-item]
        (Score("cp", 0.5, detail=[]), "gave the detail []; it is"),  # type: ignore[arg-type]
        (None, "gave None, not a Score"),
        ({"cp": 0.5}, "gave {'cp': 0.5}, not a Score"),
    ],
)
def test_a_broken_rule_is_named_with_metric_and_value(score: object, reason: str) -> None:
    found = the_only(score)
    assert (found.name, found.status, found.value) == ("cp", "invalid_score", None)
    assert str(found.reason).startswith("metric 'cp' ")
    assert reason in str(found.reason)


@pytest.mark.parametrize("status", ["unsupported", "invalid_output"])
def test_no_number_with_a_status_that_has_none_passes(status: str) -> None:
    given = Score("cp", None, None, status, "no reference")  # type: ignore[arg-type] # parametrised
    assert the_only(given) == given


def test_facts_beside_a_number_become_plain() -> None:
    given = {"rank": np.int64(2), "gap": np.float32(0.5), "own": True, "nearest": "b\x00lls"}
    found = the_only(Score("cp", 0.5, detail=given))  # type: ignore[arg-type] # numpy's numbers
    assert found.detail == {"rank": 2, "gap": 0.5, "own": True, "nearest": "b\\x00lls"}
    assert [type(fact) for fact in found.detail.values()] == [int, float, bool, str]


def test_a_score_at_fault_leaves_its_neighbours_alone() -> None:
    good = Score("cp", 0.5, -0.5)
    found = admit([good, Score("cp", math.nan), good], 3, UNIT)
    assert [score.status for score in found] == ["ok", "invalid_score", "ok"]
    assert found[0] == found[2] == good


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "a list of 0 for 2 outputs"),
        ([Score("cp", 0.5)] * 3, "a list of 3 for 2 outputs"),
        (None, "None, not a list"),
        (iter([Score("cp", 0.5)] * 2), "not a list"),
        ({"cp": 0.5}, "not a list"),
        ("ok", "'ok', not a list"),
    ],
)
def test_an_answer_that_is_not_one_score_per_output_belongs_to_none(
    answer: object, words: str
) -> None:
    with pytest.raises(AnswerError, match=f"metric 'cp' returned .*{words}.*per output is wanted"):
        admit(answer, 2, UNIT)


def test_a_class_from_outside_chooses_its_name_and_stays_with_it() -> None:
    found = admit([Score("own", 0.5), Score("own", 0.5), Score("other", 0.5)], 3, OUTSIDE)
    assert [score.status for score in found] == ["ok", "ok", "invalid_score"]
    assert "named a score 'other'; its name must be 'own'" in str(found[2].reason)
    assert the_only(Score("", 0.5), OUTSIDE).status == "invalid_score"


@pytest.mark.parametrize("seed", range(20))
def test_a_cosine_in_float32_of_a_direction_with_itself_passes(seed: int) -> None:
    """Of 1024 terms it comes out beyond 1 about every second time, and counts as 1 then."""
    vector = np.random.default_rng(seed).normal(0, 1, 1024).astype(np.float32)
    unit = vector / np.linalg.norm(vector)
    cosine = unit @ unit
    for value in (cosine, -cosine):
        found = the_only(Score("cp", max(np.float32(0), value), value))
        assert found.status == "ok"
        assert found.raw == math.copysign(min(1.0, abs(float(cosine))), value)


@pytest.mark.parametrize(
    ("beyond", "within", "end"),
    [
        (1.0000001, (0.0, 1.0), 1.0),
        (1.00001, (0.0, 1.0), None),
        (-1e-7, (0.0, 1.0), 0.0),
        (-1e-5, (0.0, 1.0), None),
        (100.0001, (0.0, 100.0), 100.0),
        (100.001, (0.0, 100.0), None),
        (1.0000001e-3, (0.0, 1e-3), 1e-3),
        (1.00001e-3, (0.0, 1e-3), None),
        (-1e-7, (0.0, math.inf), 0.0),
        (-1e-5, (0.0, math.inf), None),
        (1e300, (0.0, math.inf), 1e300),
    ],
)
def test_rounding_alone_may_lead_beyond_an_end(
    beyond: float, within: Range, end: float | None
) -> None:
    """The slack follows the scale of the range: 2^-19 of its larger end."""
    assert bounded(beyond, within) == end


def test_before_clipping_a_range_from_0_is_mirrored() -> None:
    assert raw_range((0.0, 2.0)) == (-2.0, 2.0)
    assert the_only(Score("cp", 0.0, -1.0)).raw == -1.0
    assert the_only(Score("cp", 0.0, -1.1)).status == "invalid_score"


NUMBERS = (None, math.nan, math.inf, -math.inf, 0, 0.0, 0.5, 1.0, 1.0000001, -0.5, -1.0, 2.0, 57.0)


@pytest.mark.parametrize("within", [(0.0, 1.0), (-0.5, 0.5), UNBOUNDED])
@pytest.mark.parametrize("status", ["ok", "silent", "unsupported", "invalid_output"])
def test_the_quick_answer_is_the_long_one(within: Range, status: str) -> None:
    """It says yes where nothing is wrong and nothing to be brought to an end, and only there."""
    declared = Declared("cp", within)
    for value in NUMBERS:
        for raw in NUMBERS:
            fault = find_number_fault(value, raw, status, declared)
            kept = bounded(value, within), bounded(raw, raw_range(within))
            numbered = type(value) is float and type(raw) in (float, type(None))
            unchanged = numbered and fault is None and kept == (value, raw)
            assert is_plain(value, raw, status, declared) is unchanged
