"""Where the methods of this family leave their sources, in words for records and tables.

What holds whatever the settings stands in the family's catalog (`methods/riffusion/catalog.py`);
here stands what depends on the settings and the profile. "MusicTI" is the code that the authors of
TVE released.

**Conventions**: a departure is one clause without a semicolon, which separates them in tables; what
undoes it stands in brackets.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.api import Profile
from methods.riffusion.parameters.guided import CanvasParameters, UnguidedParameters
from methods.riffusion.parameters.settings import STYLE_TEXT, FittingPlan
from methods.riffusion.width import WidthMode

# Of edits, which need not work on Riffusion; of the other methods the catalog says the same.
INVERTED_MEL = "mel spectra are inverted by least squares, as torchaudio does now and did not then"
_WIDTHS: dict[WidthMode, str] = {
    "resize": "clips more than 5 % off the window are padded, not stretched",
    "pad": "clips are padded to the window, not stretched",
    "crop": "the middle of a clip is taken for the window, nothing is stretched",
    "report": "pictures are a multiple of 32 columns wide, as in the reproduction report",
}


def of_profile(profile: Profile) -> Iterator[str]:
    """What the frozen model is."""
    if profile == "mini":
        yield "the frozen model is a small one of this project, not Riffusion (--profile full)"
    else:
        yield "on a GPU the U-Net works in 16 bits (--precision float32)"


def of_start(e0: str) -> Iterator[str]:
    """What a fit is told by where it starts."""
    if e0 == STYLE_TEXT:
        yield "the model is told the style's text (e0=init_word:music)"


def of_stylisation(parameters: UnguidedParameters) -> Iterator[str]:
    """How pictures and latents are handled, against MusicTI."""
    yield _WIDTHS[parameters.width_mode]
    if parameters.unstretch and parameters.width_mode in ("resize", "report"):
        yield (
            "outputs are stretched back to the content's tempo, where MusicTI leaves them slower "
            "(unstretch=false)"
        )
    if parameters.chosen_picture() == "rounded":
        yield (
            "the decoded picture is rounded to 8 bits, where MusicTI truncates it "
            "(picture=truncated)"
        )
    if parameters.vae_sample == "mode":
        yield "the content's latents are the mode of the posterior, not a draw (vae_sample=sample)"
    yield from of_phase(parameters)


def of_phase(parameters: CanvasParameters) -> Iterator[str]:
    """Where the phases come from, against every source that seeks them."""
    if parameters.phase == "content":
        yield "outputs have the phases of the content's own sound (phase=griffin-lim)"


def of_styles(width_mode: WidthMode, plan: FittingPlan) -> Iterator[str]:
    """How style clips are read."""
    if width_mode != "resize":
        yield f"of style clips: {_WIDTHS[width_mode]} (fit_width_mode=resize)"
    if plan.vae_sample == "mode":
        yield "style latents are the mode of the posterior, not draws (fit_vae_sample=sample)"


def of_sampler(sampler: str) -> str:
    """What stands in the place of stylisation under a learnt style."""
    return f"contents are edited by {sampler}, not by stylisation (sampler=stylise)"


def of_contrast(weight: float) -> Iterator[str]:
    """Where the pull of steering leaves the code of its source."""
    if weight:
        yield (
            "each moment is held to the features of the content's own pass, as the paper has it, "
            "where its code takes those of the moving latent (contrast_weight=0)"
        )


def of_edit(parameters: CanvasParameters, source: str) -> Iterator[str]:
    """How pictures and latents are handled, against code that was released for another model."""
    yield f"on spectrograms of Riffusion, where {source}"
    yield from _of_draw(parameters)
    if parameters.width_mode != "resize":
        yield _WIDTHS[parameters.width_mode]
    yield from of_phase(parameters)


def of_audioldm2(parameters: CanvasParameters) -> Iterator[str]:
    """How sound becomes latents and sound again on AudioLDM 2, against the released codes."""
    yield (
        "spectrograms end with the sound and at most three frames of silence, where the code of "
        "zeta adds more"
    )
    yield "outputs have the level of their contents, not that of the model"
    yield from _of_draw(parameters)


def _of_draw(parameters: CanvasParameters) -> Iterator[str]:
    if parameters.vae_sample == "sample":
        yield "the content's latents are a draw from the posterior, not its mode (vae_sample=mode)"


def words_of_plan(plan: FittingPlan) -> str:
    """A plan in words.

    Example:
        >>> words_of_plan(FittingPlan(3000, 1, 1e-3))
        '3,000 steps of 1 at 0.001'
    """
    kind = "epochs" if plan.steps_per_clip else "steps"
    return f"{plan.steps:,} {kind} of {plan.batch_size} at {plan.learning_rate:g}"
