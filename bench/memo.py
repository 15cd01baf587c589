"""Values that cost something to make, kept while they are among the most recently used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Remembers up to `most` values by key; the one unused for longest makes room.

    Example:
        >>> squares: Recent[int] = Recent(1)
        >>> squares.get(3, lambda: 9), squares.get(3, lambda: 0)
        (9, 9)
        >>> squares.get(4, lambda: 16), squares.get(3, lambda: 0)
        (16, 0)
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made now if it is not remembered; safe to call from threads."""
        try:
            value = self._values.pop(key)
        except KeyError:
            value = make()
        self._values[key] = value  # now the most recent one
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
