"""Which style and content each output has, as numbers of names that are sorted once.

All scores of a method are scores of the same outputs, and all methods of a run share its styles and
contents. So names are compared once, when a `Grid` is made; from then on a cell is a number on it,
and what has the same grid is matched by number.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.statistics.variances import Crossing, Indices, Names, strata


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The names that places refer to by number, each kind sorted and without repetition."""

    styles: Names
    contents: Names
    categories: Names

    @property
    def size(self) -> int:
        """How many (style, content) cells there can be."""
        return len(self.styles) * len(self.contents)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The style, the content and the category of the content of each output, as numbers of names.

    Args:
        grid: The names.
        styles: The number of each output's style.
        contents: That of its content.
        categories: That of the category of its content.
    """

    grid: Grid
    styles: Indices
    contents: Indices
    categories: Indices

    @property
    def cells(self) -> Indices:
        """The number of each output's cell; cells count by style, then by content."""
        return self.styles * len(self.grid.contents) + self.contents

    def where(self, kept: NDArray[np.bool_] | Indices) -> Places:
        """Some of the places, by a truth value each or by their positions."""
        return Places(self.grid, self.styles[kept], self.contents[kept], self.categories[kept])

    def in_styles(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Which places are in one of some styles."""
        return np.isin(self.grid.styles, list(names))[self.styles]

    def on(self, grid: Grid) -> Places:
        """The same places by the numbers of another grid, which has all their names."""
        own = self.grid
        if own is grid:
            return self
        return Places(
            grid,
            np.searchsorted(grid.styles, own.styles)[self.styles],
            np.searchsorted(grid.contents, own.contents)[self.contents],
            np.searchsorted(grid.categories, own.categories)[self.categories],
        )

    def crossing(self) -> Crossing:
        """How they cross; a content has the category of its first place."""
        styles, n_styles = _without_gaps(self.styles, len(self.grid.styles))
        contents, n_contents = _without_gaps(self.contents, len(self.grid.contents))
        categories = np.zeros(n_contents, dtype=np.intp)
        categories[contents[::-1]] = self.categories[::-1]  # of equal indices the last one stays
        return Crossing(styles, contents, strata(categories), n_styles, n_contents)


def _without_gaps(numbers: Indices, size: int) -> tuple[Indices, int]:
    """The numbers that occur, counted from 0 in their order, and how many they are."""
    present = np.zeros(size, dtype=np.bool_)
    present[numbers] = True
    return (np.cumsum(present) - 1)[numbers], int(np.count_nonzero(present))


def placed(styles: Sequence[str], contents: Sequence[str], categories: Sequence[str]) -> Places:
    """The places of outputs, one name of each kind per output, on a grid of these names."""
    kinds = (styles, contents, categories)
    sorted_out = [np.unique(np.asarray(names, np.str_), return_inverse=True) for names in kinds]
    grid = Grid(*(names for names, _ in sorted_out))
    return Places(grid, *(numbers.astype(np.intp) for _, numbers in sorted_out))


def joint_grid(grids: Sequence[Grid]) -> Grid:
    """A grid with the names of all of some: one of them where they are the same one."""
    if grids and all(grid is grids[0] for grid in grids):
        return grids[0]
    return Grid(
        _union([grid.styles for grid in grids]),
        _union([grid.contents for grid in grids]),
        _union([grid.categories for grid in grids]),
    )


def _union(names: Sequence[Names]) -> Names:
    return np.asarray(np.unique(np.concatenate([np.zeros(0, dtype=np.str_), *names])))
