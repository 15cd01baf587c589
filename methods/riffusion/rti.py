"""R+TI: textual inversion on Riffusion, the baseline of the TVE paper.

One static vector takes the placeholder's row at every timestep; contents are partially noised and
denoised under it, without bias reduction.

Captions are "*" only, as for TVE, so that the two differ in nothing but the embedding and the bias
reduction. Where this departs from its sources is said in the catalog and by `RTI.departures`.

References:
    Gal et al. (2022), arXiv 2208.01618, equation 2; Li et al. (AAAI 2024), arXiv 2402.13763,
    section 4 (baseline "R+TI").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

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
from methods.riffusion.conditioning import Learner
from methods.riffusion.embedding import StaticVector
from methods.riffusion.fitting.learning import FAMILY, fit_styles
from methods.riffusion.parameters.rti import RtiParameters
from methods.riffusion.rendering import load_riffusion
from methods.riffusion.text import reader
from methods.riffusion.transferring import TableMaker, transfer_styles
from methods.riffusion.transition import join_states


@final
class RTI(StyleTransferMethod[RtiParameters]):
    """Textual inversion on Riffusion: one static vector, no bias reduction.

    References:
        Gal et al. (2022), arXiv 2208.01618, equation 2; see `departures`.
    """

    family: ClassVar[str | None] = FAMILY

    def load(self, profile: Profile, device: str) -> None:
        """Load the frozen model, shared with the other methods of this family."""
        self._model = load_riffusion(profile, device)
        self._read = reader(profile)

    def fit(
        self, requests: Sequence[FitRequest[RtiParameters]], progress: Progress
    ) -> list[StyleState]:
        """Learn each style's vector; styles with equal plans share the frozen networks' passes."""
        return fit_styles(self._model, requests, progress)

    def transfer(self, requests: Sequence[TransferRequest[RtiParameters]]) -> list[Audio]:
        """Render each content in its style, batched over contents and styles.

        Raises:
            ContentError: A content is too short.
        """
        backbone = self._model.backbone

        def rebuild(_state: StyleState) -> Learner:
            return StaticVector(torch.zeros(backbone.context_dim))

        tables = TableMaker(backbone, rebuild, self._read)
        return transfer_styles(self._model, requests, tables)

    @classmethod
    def departures(cls, parameters: RtiParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave textual inversion and the baseline of the TVE paper."""
        return tuple(parameters.departures(profile))

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        """One state for the way from one style to another, window by window."""
        return join_states(first, second)
