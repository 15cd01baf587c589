"""What can be asked of a method before it is loaded, wherever its class may be imported.

A plan needs the parameters of a method, with their defaults and checked by its class, and where
they make it depart from its source. A method of this project answers here, one from outside through
its worker process (`bench.plugins.inspection`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, final

from bench.api import Entry, Json, Profile, StyleState, StyleTransferMethod
from bench.plugins.catalog import method_class
from bench.plugins.inspection import ask, inspected, is_outside
from bench.plugins.parameters import make_parameters
from bench.plugins.wire import Values


class MethodKind(ABC):
    """A class of methods.

    Attributes:
        family: Methods of one family can learn in one call, see `StyleTransferMethod`.
    """

    family: str | None

    @abstractmethod
    def parameters(self, overrides: Mapping[str, Json]) -> object:
        """Parameters with some values set by name; raises as `make_parameters` does."""

    @abstractmethod
    def departures(self, parameters: object, profile: Profile) -> tuple[str, ...]:
        """Where these settings depart from the source, in clauses of text."""

    @abstractmethod
    def transition(self, first: StyleState, second: StyleState) -> StyleState:
        """One state for a piece that goes from one style to another.

        Raises:
            UnsupportedError: This method cannot.
        """


@final
class KindHere(MethodKind):
    """A class of methods that is imported in this process."""

    def __init__(self, kind: type[StyleTransferMethod[Any]]) -> None:
        self.family = kind.family
        self._kind = kind

    def parameters(self, overrides: Mapping[str, Json]) -> object:
        """An instance of the class's `Parameters`."""
        made: object = make_parameters(self._kind.Parameters, overrides)
        return made

    def departures(self, parameters: object, profile: Profile) -> tuple[str, ...]:
        """As the class says."""
        return self._kind.departures(parameters, profile)

    def transition(self, first: StyleState, second: StyleState) -> StyleState:
        """As the class makes it."""
        return self._kind.transition(first, second)


@final
class KindElsewhere(MethodKind):
    """A class of methods from outside, which is imported in a worker process alone."""

    def __init__(self, target: str) -> None:
        self.family = inspected(target).family
        self._target = target
        self._place = target.rpartition(":")[0]

    def parameters(self, overrides: Mapping[str, Json]) -> object:
        """The values by name, as the class has checked them."""
        return Values(**ask(self._place, "parameters", self._target, dict(overrides)))

    def departures(self, parameters: object, profile: Profile) -> tuple[str, ...]:
        """As the class says."""
        values = parameters.values if isinstance(parameters, Values) else {}
        said: tuple[str, ...] = ask(self._place, "departures", self._target, dict(values), profile)
        return said

    def transition(self, first: StyleState, second: StyleState) -> StyleState:
        """As the class makes it."""
        made: StyleState = ask(self._place, "transition", self._target, first, second)
        return made


def kind_of(entry: Entry) -> MethodKind:
    """The class of a method, wherever it is to be imported; raises as `find_method` does."""
    if is_outside(entry.target):
        return KindElsewhere(entry.target)
    return KindHere(method_class(entry))
