"""Style encoder: a style is heard once, by a network that was trained with the model. Ours.

`methods.riffusion.soft_tokens` was trained together with the small model to say what a clip sounds
like, on timbres without names. What it says of a style's clips stands where methods of this family
put what they learn: a row for "*", and tokens beside it. Nothing is fitted, and no judge is asked.

It is a method of this benchmark, from no paper; there is none for the full model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import final

import torch
from torch import nn

from bench.api import (
    Audio,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from bench.weights import require_files
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.conditioning import ContextTable, Learner
from methods.riffusion.embedding import StaticVector
from methods.riffusion.parameters.style_encoder import StyleEncoderParameters
from methods.riffusion.rendering import Riffusion, load_riffusion, read_style
from methods.riffusion.soft_tokens import SOFT_FILE, SoftTokens, read_soft, statistics, with_tokens
from methods.riffusion.text import reader
from methods.riffusion.transferring import TableMaker, transfer_styles
from methods.riffusion.transition import join_states

Request = TransferRequest[StyleEncoderParameters]


@lru_cache(maxsize=1)
def read_soft_tokens(folder: Path) -> SoftTokens:
    """The trained network of a folder of weights.

    Raises:
        CheckpointError: It has none.
    """
    require_files(folder, (SOFT_FILE,), "the soft tokens of mini Riffusion")
    return read_soft(folder).eval().requires_grad_(requires_grad=False)


class _Heard(StaticVector):
    """A state of the style encoder as a learner that has learnt its row already."""

    def __init__(self, arrays: Mapping[str, torch.Tensor]) -> None:
        super().__init__(arrays["vector"])
        self.tokens = nn.Parameter(arrays["tokens"])


def _tensors(state: StyleState) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in state.arrays.items()}


@final
class StyleEncoder(StyleTransferMethod[StyleEncoderParameters]):
    """Stylisation under the soft tokens of a style's clips."""

    def load(self, profile: Profile, device: str) -> None:
        """Load the frozen model, shared with the other methods of this family.

        Raises:
            UnsupportedError: The profile is full, which has no such network.
        """
        if profile == "full":
            raise UnsupportedError(
                "style-encoder has weights for the mini profile alone: nobody has trained soft "
                "tokens for Riffusion v1. Use --profile mini, or take tve or rti."
            )
        self._model = load_riffusion(profile, device)
        self._soft = read_soft_tokens(MINI_FOLDER)
        self._read = reader(profile)

    def fit(
        self, requests: Sequence[FitRequest[StyleEncoderParameters]], progress: Progress
    ) -> list[StyleState]:
        """Listen to the clips of each style; nothing is learnt."""
        states = [_listen(self._model, self._soft, request) for request in requests]
        progress(1.0, f"{len(states)} styles heard")
        return states

    def transfer(self, requests: Sequence[Request]) -> list[Audio]:
        """Render each content in its style, batched over contents and styles.

        Raises:
            ContentError: A content is too short.
        """
        backbone = self._model.backbone

        def rebuild(state: StyleState) -> Learner:
            return _Heard(_tensors(state))

        tables = TableMaker(backbone, rebuild, self._read)
        with_both: dict[int, ContextTable] = {}  # by the table of the row, which `tables` keeps

        def make_table(request: Request, visited: tuple[int, ...]) -> ContextTable:
            table = tables(request, visited)
            if request.parameters.told == "row":
                return table
            if id(table) not in with_both:
                tokens = _tensors(request.state)["tokens"].to(backbone.device)
                styled = with_tokens(table.styled, tokens.expand(len(table.styled), -1, -1))
                with_both[id(table)] = replace(table, styled=styled)
            return with_both[id(table)]

        return transfer_styles(self._model, requests, make_table)

    @classmethod
    def departures(cls, parameters: StyleEncoderParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave what the network was trained for."""
        return tuple(parameters.departures(profile))

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        """One state for the way from one style to another, window by window."""
        return join_states(first, second)


def _listen(
    model: Riffusion, soft: SoftTokens, request: FitRequest[StyleEncoderParameters]
) -> StyleState:
    """The soft tokens of what a style's clips have in common: their mean statistics."""
    images = read_style(model, request.style.clips, request.parameters.fit_width_mode)
    measured = [
        statistics(mean[None, ..., : int(weights.sum())].cpu())
        for mean, weights in zip(images.moments.mean, images.weights, strict=True)
    ]
    with torch.no_grad():
        heard = soft.of_statistics(torch.cat(measured).mean(0, keepdim=True))
    return StyleState(
        arrays={"vector": heard.row[0].numpy(), "tokens": heard.tokens[0].numpy()},
        meta={
            "style": request.style.id,
            "clips": [clip.id for clip in request.style.clips],
            "text": request.style.text,
        },
    )
