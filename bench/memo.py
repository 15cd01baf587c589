"""Values that cost something to make, kept while they are among the most recently used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Remembers up to `most` values by key; the one unused for longest makes room.

    Args:
        most: How many; where values have sizes, how much in all. The latest one is always kept.
        size: Of a value; 1 for each if left out.

    Example:
        >>> squares: Recent[int] = Recent(1)
        >>> squares.get(3, lambda: 9), squares.get(3, lambda: 0)
        (9, 9)
        >>> squares.get(4, lambda: 16), squares.get(3, lambda: 0)
        (16, 0)
    """

    def __init__(self, most: int, size: Callable[[Value], int] = lambda _: 1) -> None:
        self._most = most
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made now if it is not remembered; safe to call from threads."""
        value = self.find(key)
        return self.keep(key, make()) if value is None else value

    def find(self, key: Hashable) -> Value | None:
        """The value of a key, now the most recent one; None if it is not remembered."""
        value = self._values.pop(key, None)
        return None if value is None else self.keep(key, value)

    def keep(self, key: Hashable, value: Value) -> Value:
        """Remember a value, which must not be None, as the most recent one, and return it."""
        self._values[key] = value
        while len(self._values) > 1 and self._total() > self._most:
            self._values.popitem(last=False)
        return value

    def _total(self) -> int:
        return sum(map(self._size, list(self._values.values())))

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
