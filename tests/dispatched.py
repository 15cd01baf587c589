"""Looking at the operations that torch dispatches in a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch.utils._python_dispatch import TorchDispatchMode


class Watching(TorchDispatchMode, ABC):
    """Shows each operation that is dispatched in its block to `note`, once it has been done."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    @abstractmethod
    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Look at an operation, what it was given by place, and what it made."""

    def __torch_dispatch__(  # noqa: D105 - the class says it
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        made = func(*args, **(kwargs or {}))
        self.note(func, args, made)
        return made
