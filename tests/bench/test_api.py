"""The contract: what a class says by its brackets, and requests that stay as they are."""

from __future__ import annotations

import dataclasses
import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from bench.api import (
    FitRequest,
    Metric,
    NoParameters,
    ParametersT,
    ProfileInfo,
    Style,
    StyleTransferMethod,
)


@dataclass(frozen=True, slots=True)
class Strength:
    """Parameters of the methods below."""

    strength: float = 0.5


class Shared(StyleTransferMethod[ParametersT]):
    """A base class that leaves its parameters open."""


class Direct(StyleTransferMethod[Strength]):
    """A method that names its parameters."""


class Indirect(Shared[Strength]):
    """A method that names them through another class."""


class Heir(Indirect):
    """A method that names nothing."""


def test_the_brackets_of_the_base_class_name_the_parameters() -> None:
    assert [kind.Parameters for kind in (Direct, Indirect, Heir)] == [Strength] * 3


def test_without_brackets_there_are_no_parameters() -> None:
    class Open(StyleTransferMethod[Any]):
        """A stand-in for any method."""

    assert Shared.Parameters is NoParameters
    assert Open.Parameters is NoParameters


@pytest.mark.parametrize("base", [Direct, Heir])
def test_other_parameters_than_those_in_the_brackets_are_refused(base: type) -> None:
    with pytest.raises(TypeError, match=r"Torn sets Parameters to .*NoParameters.*but is a .*Str"):
        type("Torn", (base,), {"Parameters": NoParameters})


def test_what_a_plug_in_does_not_declare_has_a_default() -> None:
    for kind in (Direct, Metric):
        assert (kind.INFO, kind.ENVIRONMENT) == (None, None)
        assert kind.describe("mini") == ProfileInfo()
    assert Direct.family is None


def test_a_request_is_frozen_and_can_be_sent_to_another_process() -> None:
    request = FitRequest(Style("bells", ()), Strength(), seed=1)
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own bytes
    assert not hasattr(request, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError, match="seed"):
        request.seed = 2  # type: ignore[misc]  # refused, which is the point
