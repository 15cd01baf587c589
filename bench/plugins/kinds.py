"""What can be asked of a method before it is loaded, wherever its class may be imported.

A plan needs the parameters of a method, with their defaults and checked by its class, and where
they make it depart from its source. A method of this project answers here, one from outside through
its worker process (`bench.plugins.inspection`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, final

from bench.api import Conditioning, Entry, Json, Profile, StyleState, StyleTransferMethod
from bench.description import given_of
from bench.plugins.catalog import method_class
from bench.plugins.inspection import ask, inspected, is_outside
from bench.plugins.loading import load_class
from bench.plugins.parameters import make_parameters, model_settings
from bench.plugins.wire import Values


class MethodKind(ABC):
    """A class of methods."""

    @property
    @abstractmethod
    def family(self) -> str | None:
        """Methods of one family can learn in one call, see `StyleTransferMethod`."""

    @abstractmethod
    def parameters(self, overrides: Mapping[str, Json]) -> object:
        """Parameters with some values set by name; raises as `make_parameters` does."""

    @abstractmethod
    def given(
        self, overrides: Mapping[str, Json], usually: tuple[Conditioning, ...]
    ) -> tuple[Conditioning, ...]:
        """What the method is given with some values set by name; raises as `parameters` does."""

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
    """A class of methods that is imported in this process, when it is first asked.

    Its module may import a large library, so what is wrong with a request is said before that. Its
    parameters are checked without it where the catalog names their class.

    Args:
        load: Imports the class.
        parameters: "module:Class" of its parameters; None asks the class.
    """

    def __init__(
        self, load: Callable[[], type[StyleTransferMethod[Any]]], parameters: str | None = None
    ) -> None:
        self._load = load
        self._parameters = parameters

    @cached_property
    def _kind(self) -> type[StyleTransferMethod[Any]]:
        return self._load()

    @property
    def family(self) -> str | None:
        """As the class says."""
        return self._kind.family

    def parameters(self, overrides: Mapping[str, Json]) -> object:
        """An instance of the class's `Parameters`."""
        named = self._parameters
        kind: type[object] = self._kind.Parameters if named is None else load_class(named)
        return make_parameters(kind, overrides)

    def given(
        self, overrides: Mapping[str, Json], usually: tuple[Conditioning, ...]
    ) -> tuple[Conditioning, ...]:
        """As its parameters say."""
        return given_of(self.parameters(overrides), usually)

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
        self._family = inspected(target).family
        self._target = target
        self._place = target.rpartition(":")[0]

    @property
    def family(self) -> str | None:
        """As the class said."""
        return self._family

    def parameters(self, overrides: Mapping[str, Json]) -> object:
        """The values by name, as the class has checked them."""
        return Values(**ask(self._place, "parameters", self._target, dict(overrides)))

    def given(
        self, overrides: Mapping[str, Json], usually: tuple[Conditioning, ...]
    ) -> tuple[Conditioning, ...]:
        """As its parameters said."""
        said = ask(self._place, "given", self._target, dict(overrides), usually)
        return tuple(said)

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
    return KindElsewhere(entry.target) if is_outside(entry.target) else kind_here(entry)


def with_model(entry: Entry, overrides: Mapping[str, Json]) -> Entry:
    """An entry with what decides the model that it loads, where these parameters ask for another.

    Raises:
        UnknownNameError: The method does not have a parameter.
        ConfigError: A value breaks a rule.
    """
    if entry.parameters is None or is_outside(entry.target):
        return entry
    kind: type[object] = load_class(entry.parameters)
    return replace(entry, settings=model_settings(make_parameters(kind, overrides)))


def kind_here(entry: Entry) -> KindHere:
    """The class of a method, to be imported in this process whatever it is."""
    return KindHere(lambda: method_class(entry), entry.parameters)
