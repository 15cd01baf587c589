"""Training-free edits under the style's text: nothing is learnt, no recording of a style is heard.

The same edits follow a learnt style as `sampler` of `tve` and `rti`, which reuses their fits.

**Contents**: `Zeta`, `DdimInversion`, `Sdedit`, `Steer`.

References:
    Manor and Michaeli (2024), Zero-Shot Unsupervised and Text-Based Audio Editing Using DDPM
    Inversion, arXiv 2402.10009, with the baselines of its section 5; code in
    HilaManor/AudioEditingCode at commit f324c19, of which nothing is copied. Niu et al. (2025),
    SteerMusic, arXiv 2504.10826.
"""

from __future__ import annotations

from typing import final

from bench.api import Profile
from methods.riffusion.parameters.editing import (
    DdimInversionParameters,
    SdeditParameters,
    SteerParameters,
    ZetaParameters,
)
from methods.riffusion.text import TextPrompted


@final
class Zeta(TextPrompted[ZetaParameters]):
    """Edit-friendly DDPM inversion of the content, sampled anew under the style's text.

    References:
        Manor and Michaeli (2024), section 3; see `departures`.
    """

    @classmethod
    def departures(cls, parameters: ZetaParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the paper and its code."""
        return tuple(parameters.departures(profile))


@final
class DdimInversion(TextPrompted[DdimInversionParameters]):
    """DDIM inversion of the content, sampled back under the style's text.

    References:
        Song, Meng, Ermon (2021), section 4.3, as the baseline of arXiv 2402.10009.
    """

    @classmethod
    def departures(cls, parameters: DdimInversionParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the baseline."""
        return tuple(parameters.departures(profile))


@final
class Sdedit(TextPrompted[SdeditParameters]):
    """The content is noised and denoised under the style's text by stochastic steps.

    References:
        Meng et al. (2022), algorithm 1, as the baseline of arXiv 2402.10009.
    """

    @classmethod
    def departures(cls, parameters: SdeditParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the baseline."""
        return tuple(parameters.departures(profile))


@final
class Steer(TextPrompted[SteerParameters]):
    """The content's latent is steered by the difference that the style's text makes.

    Of the personalised variant (SteerMusic+) this has the contrastive loss on request, and not the
    fine-tuned network.

    References:
        Niu et al. (2025), section 3.1, after Hertz et al. (2023); see `departures`.
    """

    @classmethod
    def departures(cls, parameters: SteerParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the paper and its code."""
        return tuple(parameters.departures(profile))
