"""What the U-Net is told at each timestep: contexts for the style and for "nothing".

Everything after fitting sees only `cond(t) -> (batch, token, dim)` and `uncond(t) -> (batch,
token, dim)`. What is learnt is either a row of the token-embedding table (`RowLearner`: MusicTI's
embedding, a static vector) or a map of text-encoder outputs (`ContextLearner`: the reproduction
report's placement).

**Conventions**: timesteps are integer tensors (batch,); dropout is live exactly where a generator
    is given.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from methods.riffusion.backbone import PLACEHOLDER, Backbone

EMPTY_PROMPT = ""


class RowLearner(nn.Module, ABC):
    """A trainable embedding that takes the placeholder's row: v(t), shape (batch, dim)."""

    @abstractmethod
    def forward(
        self, timesteps: torch.Tensor, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """The embedding v at timesteps (batch,); a generator switches dropout on."""


class ContextLearner(nn.Module, ABC):
    """A trainable map of text-encoder outputs, whose result goes straight to the U-Net."""

    @abstractmethod
    def forward(
        self,
        timesteps: torch.Tensor,
        states: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Contexts (batch, token, dim) from timesteps (batch,) and states (batch, token, dim)."""


Learner = RowLearner | ContextLearner


class Conditioning(Protocol):
    """Contexts by timestep."""

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style, (batch, token, dim)."""

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""


def encode_learners(
    backbone: Backbone,
    learners: Sequence[Learner],
    timesteps: Sequence[torch.Tensor],
    generators: Sequence[torch.Generator | None],
) -> torch.Tensor:
    """Contexts of several learners of one kind, concatenated; one pass of the text encoder.

    Gradients flow to each learner from its own rows only.
    """
    outputs = [
        _apply(backbone, learner, t, generator)
        for learner, t, generator in zip(learners, timesteps, generators, strict=True)
    ]
    joined = torch.cat(outputs)
    return backbone.encode_placeholder(joined) if isinstance(learners[0], RowLearner) else joined


def _apply(
    backbone: Backbone, learner: Learner, t: torch.Tensor, generator: torch.Generator | None
) -> torch.Tensor:
    """A row where the learner writes rows, a whole context where it maps contexts."""
    if isinstance(learner, RowLearner):
        rows: torch.Tensor = learner(t, generator)
        return rows
    states = backbone.encode_prompt(PLACEHOLDER).expand(len(t), -1, -1)
    contexts: torch.Tensor = learner(t, states, generator)
    return contexts


@dataclass(frozen=True, slots=True, eq=False)
class LearntConditioning:
    """The contexts of one learner; the empty prompt passes through it only where it maps contexts.

    A `RowLearner` has no row to write in the empty prompt, so `uncond` is constant for it.
    """

    backbone: Backbone
    learner: Learner
    generator: torch.Generator | None = None

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style, (batch, token, dim)."""
        return encode_learners(self.backbone, [self.learner], [timesteps], [self.generator])

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        states = self.backbone.encode_prompt(EMPTY_PROMPT).expand(len(timesteps), -1, -1)
        if isinstance(self.learner, RowLearner):
            return states
        contexts: torch.Tensor = self.learner(timesteps, states, self.generator)
        return contexts


@dataclass(frozen=True, slots=True, eq=False)
class PromptConditioning:
    """A fixed text in place of a learnt style.

    With the empty text both contexts are equal and guidance does nothing.
    """

    backbone: Backbone
    prompt: str = EMPTY_PROMPT

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the text, (batch, token, dim)."""
        return self.backbone.encode_prompt(self.prompt).expand(len(timesteps), -1, -1)

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        return self.backbone.encode_prompt(EMPTY_PROMPT).expand(len(timesteps), -1, -1)


@dataclass(frozen=True, slots=True, eq=False)
class ContextTable:
    """Contexts computed once for the timesteps that stylisation visits.

    Args:
        positions: Timestep to row of the two tables.
        styled: (row, token, dim).
        empty: (row, token, dim).
    """

    positions: dict[int, int]
    styled: torch.Tensor
    empty: torch.Tensor

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style, (batch, token, dim)."""
        return self.styled[self._rows(timesteps)]

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        return self.empty[self._rows(timesteps)]

    def _rows(self, timesteps: torch.Tensor) -> list[int]:
        return [self.positions[int(t)] for t in timesteps]


@torch.no_grad()
def tabulate(
    conditioning: Conditioning, timesteps: Sequence[int], device: torch.device
) -> ContextTable:
    """Compute contexts once, one timestep at a time.

    So they equal those computed on the fly bit by bit.

    With live dropout a table holds one draw per timestep.
    """
    distinct = sorted(set(timesteps))
    each = [torch.tensor([t], device=device) for t in distinct]
    return ContextTable(
        positions={t: row for row, t in enumerate(distinct)},
        styled=torch.cat([conditioning.cond(t) for t in each]),
        empty=torch.cat([conditioning.uncond(t) for t in each]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class RowsOfTables:
    """Contexts of a batch whose rows belong to different styles: row i reads table i."""

    tables: Sequence[ContextTable]

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of each row's style, (batch, token, dim)."""
        pairs = zip(self.tables, timesteps, strict=True)
        return torch.cat([table.cond(t[None]) for table, t in pairs])

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        pairs = zip(self.tables, timesteps, strict=True)
        return torch.cat([table.uncond(t[None]) for table, t in pairs])
