"""A method that has no mini model, on few random weights, so that the contract can be asked of it.

Everything but the weights is that of the catalog: its class, what it says of itself, its parameters
and the files that count as its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.api import Json, StyleTransferMethod
from bench.conformance.checks import Outcome, kept, run_checks
from bench.conformance.method_checks import METHOD_CHECKS
from bench.conformance.method_subject import MethodSubject
from bench.plugins.catalog import find_method


class TinySubject(MethodSubject):
    """A method of the catalog that is handed its model instead of loading one.

    Args:
        name: Its name in the catalog.
        use: Hands a new instance the model.
        sample_rate: Of the model, Hz.
        overrides: Parameters that are set by hand.
    """

    def __init__(
        self,
        name: str,
        use: Callable[[Any], None],
        sample_rate: int,
        overrides: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(name, find_method(name), overrides=overrides)
        self._use = use
        self._rate = sample_rate

    @kept
    def sample_rate(self) -> int | None:
        """The rate of the model."""
        return self._rate

    @kept
    def method(self) -> StyleTransferMethod[Any]:
        """The method with its model."""
        made: StyleTransferMethod[Any] = self.kind()
        with self.reading.watch():
            self._use(made)
        return made

    def broken(self) -> list[Outcome]:
        """The checks of the contract that it does not pass."""
        return [one for one in run_checks(METHOD_CHECKS, self) if one.status != "passed"]
