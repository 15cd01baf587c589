"""Cosines of unit embeddings and their mean directions, in plane geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metrics.directions import cosine, mean_direction, unit


def at(degrees: float) -> np.ndarray:
    """The unit vector of the plane at an angle."""
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def test_rounding_never_leaves_the_range_of_a_cosine() -> None:
    rounded = np.array([0.6, 0.8]) * (1 + 1e-12)
    assert float(rounded @ rounded) > 1
    assert cosine(rounded, rounded) == 1.0
    assert cosine(rounded, -rounded) == -1.0


def test_the_mean_direction_halves_the_angle_and_has_unit_norm() -> None:
    assert mean_direction([at(10), at(70)]) == pytest.approx(at(40))
    assert mean_direction([at(0), at(0), at(90)]) == pytest.approx(at(math.degrees(math.atan(0.5))))


def test_opposite_directions_have_no_mean() -> None:
    with pytest.raises(ValueError, match=r"vector has norm 0\.0"):
        mean_direction([np.array([1.0, 0.0]), np.array([-1.0, 0.0])])


def test_a_vector_that_is_not_finite_has_no_direction() -> None:
    with pytest.raises(ValueError, match="vector has norm inf"):
        unit(np.array([np.inf, 1.0]))
