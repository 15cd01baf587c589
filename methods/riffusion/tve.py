"""TVE: time-varying inversion on Riffusion (MusicTI).

A small network learns, from a few clips of a style, which token embedding the placeholder should
have at each diffusion timestep. Contents are then partially noised, the bias of that noise is
reduced, and the frozen model denoises them under the placeholder.

Where the settings depart from the paper and its released code is said by `TVE.departures`, and in
the catalog what departs whatever the settings.

References:
    Li et al. (AAAI 2024), arXiv 2402.13763, section 3, and its released code, which decides where
    the two differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast, final

import torch

from bench.api import (
    Audio,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from methods.riffusion.conditioning import ContextTable, Learner
from methods.riffusion.embedding import build_learner
from methods.riffusion.fitting.learning import FAMILY, build_seeded, fit_styles
from methods.riffusion.parameters.settings import ParameterSet, Variant
from methods.riffusion.parameters.tve import TveParameters
from methods.riffusion.rendering import load_riffusion
from methods.riffusion.text import reader
from methods.riffusion.transferring import TableMaker, transfer_styles
from methods.riffusion.transition import join_states


@final
class TVE(StyleTransferMethod[TveParameters]):
    """Time-varying inversion with bias-reduced stylisation on Riffusion.

    References:
        Li et al. (AAAI 2024), arXiv 2402.13763, section 3; see `departures`.
    """

    family: ClassVar[str | None] = FAMILY

    def load(self, profile: Profile, device: str) -> None:
        """Load the frozen model, shared with the other methods of this family."""
        self._model = load_riffusion(profile, device)
        self._read = reader(profile)

    def fit(
        self, requests: Sequence[FitRequest[TveParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn each style, or read it from the checkpoint that its parameters name.

        Styles with equal plans share the frozen networks' passes.

        Raises:
            CheckpointError: A named checkpoint is not one of the released code.
        """
        return fit_styles(self._model, requests, progress)

    def transfer(self, requests: Sequence[TransferRequest[TveParameters]]) -> list[Audio]:
        """Render each content in its style, batched over contents and styles.

        Raises:
            ContentError: A content is too short.
        """
        tables = TableMaker(self._model.backbone, self._rebuild, self._read)

        def make_table(
            request: TransferRequest[TveParameters], visited: tuple[int, ...]
        ) -> ContextTable:
            if request.parameters.tve_infer_dropout:
                return tables.with_dropout(request, visited)
            return tables(request, visited)

        return transfer_styles(self._model, requests, make_table)

    @classmethod
    def departures(cls, parameters: TveParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the paper and the released code."""
        return tuple(parameters.departures(profile))

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        """One state for the way from one style to another, window by window."""
        return join_states(first, second)

    def _rebuild(self, state: StyleState) -> Learner:
        variant = cast("Variant", state.meta["variant"])
        parameter_set = cast("ParameterSet", state.meta["parameter_set"])
        start = torch.zeros(self._model.backbone.context_dim)
        return build_seeded(lambda: build_learner(variant, start, parameter_set), 0)
