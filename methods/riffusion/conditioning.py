"""What the U-Net is told at each timestep: contexts for the style and for "nothing".

Everything after fitting sees only `cond(t) -> (batch, token, dim)`, `uncond(t)` in the same shape,
and `plain(t)`, the style in plain words. What is learnt is either a row of the token-embedding
table (`RowLearner`: MusicTI's embedding, a static vector) or a map of text-encoder outputs
(`ContextLearner`: the reproduction report's placement).

**Conventions**: timesteps are integer tensors (batch,); dropout is live only where its factors are
given, or a generator to draw them from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Protocol

import torch
from torch import nn

from bench.device import place
from bench.memo import Recent
from methods.riffusion.backbone import PLACEHOLDER, Backbone
from methods.riffusion.dropout import Kept, Places, draw_kept
from methods.riffusion.schedule import Schedule

EMPTY_PROMPT = ""


class RowLearner(nn.Module, ABC):
    """A trainable embedding that takes the placeholder's row: v(t), shape (batch, dim).

    `options` is what tells learners of one class and one size apart.
    """

    options: tuple[object, ...] = ()

    @abstractmethod
    def dropouts(self, rows: int, tokens: int) -> Places:
        """Where dropout acts in a pass of so many rows of contexts of so many tokens."""

    @abstractmethod
    def forward(self, timesteps: torch.Tensor, kept: Kept = ()) -> torch.Tensor:
        """The embedding v at timesteps (batch,); `kept` holds the factors of `dropouts`."""


class ContextLearner(nn.Module, ABC):
    """A trainable map of text-encoder outputs, whose result goes straight to the U-Net.

    `options` is what tells learners of one class and one size apart.
    """

    options: tuple[object, ...] = ()

    @abstractmethod
    def dropouts(self, rows: int, tokens: int) -> Places:
        """Where dropout acts in a pass of so many rows of contexts of so many tokens."""

    @abstractmethod
    def forward(
        self, timesteps: torch.Tensor, states: torch.Tensor, kept: Kept = ()
    ) -> torch.Tensor:
        """Contexts (batch, token, dim) from timesteps (batch,) and states (batch, token, dim)."""


Learner = RowLearner | ContextLearner


class Denoiser(Protocol):
    """What an edit needs of a frozen model, behind which Riffusion and AudioLDM 2 are alike.

    Latents are (batch, channel, row, column), contexts (batch, token, dim). What rows and columns
    mean, and what lies in a context, is the model's own affair: edits only hand them on.
    """

    @property
    def device(self) -> torch.device:
        """Where the model lies."""

    @property
    def schedule(self) -> Schedule:
        """The noise schedule that it was trained with."""

    @property
    def inversions(self) -> Recent[torch.Tensor]:
        """What was inverted by this model, by what decides it (`editing.kept`)."""

    def predict_noise(
        self, latents: torch.Tensor, timesteps: torch.Tensor, contexts: torch.Tensor
    ) -> torch.Tensor:
        """Noise in latents at timesteps (batch,), given contexts."""

    def encode_prompt(self, prompt: str) -> torch.Tensor:
        """Context (1, token, dim) of a text."""

    def encode_empty(self, beside: str) -> torch.Tensor:
        """Context (1, token, dim) of the empty prompt, as it stands beside that of a text."""


class Conditioning(Protocol):
    """Contexts by timestep."""

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style, (batch, token, dim)."""

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""

    def plain(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style in plain words, (batch, token, dim)."""


def encode_outputs(
    backbone: Backbone, outputs: Sequence[torch.Tensor], writes_row: Sequence[bool]
) -> torch.Tensor:
    """Contexts (row, token, dim) of what learners gave; all rows share one pass of the encoder.

    Args:
        backbone: Frozen; gradients flow through it to each output from its own rows only.
        outputs: Rows (row, dim) of a `RowLearner`, contexts (row, token, dim) of the others.
        writes_row: Which of them are rows.
    """
    rows = list(compress(outputs, writes_row))
    if not rows:
        return torch.cat(list(outputs))
    encoded = iter(backbone.encode_placeholder(torch.cat(rows)).split([len(row) for row in rows]))
    return torch.cat(
        [
            next(encoded) if is_row else output
            for output, is_row in zip(outputs, writes_row, strict=True)
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class LearntConditioning:
    """The contexts of one learner; the empty prompt passes through it only where it maps contexts.

    A `RowLearner` has no row to write in the empty prompt, so `uncond` is constant for it. `words`
    are what the style is called, where that is asked for.
    """

    backbone: Backbone
    learner: Learner
    generator: torch.Generator | None = None
    words: str = EMPTY_PROMPT

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style, (batch, token, dim)."""
        if isinstance(self.learner, RowLearner):
            rows = self.learner(timesteps, self._kept(timesteps))
            return self.backbone.encode_placeholder(rows)
        return self._mapped(PLACEHOLDER, timesteps)

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        if isinstance(self.learner, RowLearner):
            return self._states(EMPTY_PROMPT, timesteps)
        return self._mapped(EMPTY_PROMPT, timesteps)

    def plain(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style's words, which no learner changes, (batch, token, dim)."""
        return self._states(self.words, timesteps)

    def _states(self, prompt: str, timesteps: torch.Tensor) -> torch.Tensor:
        return self.backbone.encode_prompt(prompt).expand(len(timesteps), -1, -1)

    def _mapped(self, prompt: str, timesteps: torch.Tensor) -> torch.Tensor:
        states = self._states(prompt, timesteps)
        contexts: torch.Tensor = self.learner(timesteps, states, self._kept(timesteps))
        return contexts

    def _kept(self, timesteps: torch.Tensor) -> Kept:
        """Factors of dropout where there is a generator."""
        if self.generator is None:
            return ()
        tokens = self.backbone.encode_prompt(EMPTY_PROMPT).shape[1]
        drawn = draw_kept(self.learner.dropouts(len(timesteps), tokens), self.generator)
        return [place(each, timesteps.device) for each in drawn]


@dataclass(frozen=True, slots=True, eq=False)
class PromptConditioning:
    """A fixed text in place of a learnt style.

    With the empty text both contexts are equal and guidance does nothing.
    """

    backbone: Denoiser
    prompt: str = EMPTY_PROMPT

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the text, (batch, token, dim)."""
        return self.backbone.encode_prompt(self.prompt).expand(len(timesteps), -1, -1)

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        return self.backbone.encode_empty(self.prompt).expand(len(timesteps), -1, -1)

    def plain(self, timesteps: torch.Tensor) -> torch.Tensor:
        """The same as `cond`: the text is plain words, (batch, token, dim)."""
        return self.cond(timesteps)


@dataclass(frozen=True, slots=True, eq=False)
class ContextTable:
    """Contexts computed once for the timesteps that stylisation visits.

    Args:
        visited: The timesteps, ascending; what is asked for must be among them.
        styled: (row, token, dim), a row per timestep.
        empty: (row, token, dim).
        words: (1, token, dim), at every timestep; those of the empty prompt where nobody asks.
    """

    visited: torch.Tensor
    styled: torch.Tensor
    empty: torch.Tensor
    words: torch.Tensor

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style, (batch, token, dim)."""
        return self.styled[find_rows(self.visited, timesteps)]

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        return self.empty[find_rows(self.visited, timesteps)]

    def plain(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the style in plain words, (batch, token, dim)."""
        return self.words.expand(len(timesteps), -1, -1)


def find_rows(visited: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Positions of timesteps in an ascending list; of others a position past its end, an error.

    The device computes them: reading a value would make it wait at every step of a stylisation.

    Example:
        >>> find_rows(torch.tensor([1, 21, 41]), torch.tensor([41, 1, 2])).tolist()
        [2, 0, 3]
    """
    rows = torch.searchsorted(visited, timesteps)
    found = visited[rows.clamp_max(len(visited) - 1)] == timesteps
    return torch.where(found, rows, len(visited))


@torch.no_grad()
def tabulate(
    conditioning: Conditioning, timesteps: Sequence[int], device: torch.device
) -> ContextTable:
    """Compute contexts once, one timestep at a time.

    They are not batched, so that they equal those computed on the fly to the last bit. With live
    dropout a table holds one draw per timestep.
    """
    visited = torch.tensor(sorted(set(timesteps)), device=device)
    return ContextTable(
        visited,
        styled=torch.cat([conditioning.cond(t[None]) for t in visited]),
        empty=torch.cat([conditioning.uncond(t[None]) for t in visited]),
        words=conditioning.plain(visited[:1]),
    )


class RowsOfTables:
    """Contexts of a batch whose rows belong to different styles: row i reads table i.

    Args:
        tables: All for the same timesteps.
    """

    def __init__(self, tables: Sequence[ContextTable]) -> None:
        distinct = list({id(table): table for table in tables}.values())
        places = {id(table): place for place, table in enumerate(distinct)}
        self._visited = distinct[0].visited
        self._table = torch.tensor(
            [places[id(table)] for table in tables], device=self._visited.device
        )
        self._styled = torch.stack([table.styled for table in distinct])
        self._empty = torch.stack([table.empty for table in distinct])
        self._words = torch.cat([table.words for table in distinct])

    def cond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of each row's style, (batch, token, dim)."""
        return self._styled[self._table, find_rows(self._visited, timesteps)]

    def uncond(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of the empty prompt, (batch, token, dim)."""
        return self._empty[self._table, find_rows(self._visited, timesteps)]

    def plain(self, timesteps: torch.Tensor) -> torch.Tensor:
        """Contexts of each row's style in plain words, (batch, token, dim)."""
        del timesteps  # one row per row of the batch, at every timestep
        return self._words[self._table]
