"""This family's part of the catalog; see `methods/__init__.py`.

No module of the family imports this one, so that what is said here enters no key of the cache. All
methods here are of the full profile alone.
"""

from __future__ import annotations

from bench.api import Entry, MethodInfo

__all__ = ["METHODS"]

_ONE_CHANNEL = "both channels of the model hear the one of the harness, and their mean is kept"

METHODS: dict[str, Entry] = {
    "ace-step": Entry(
        "methods.pipelines.ace_step:AceStep",
        MethodInfo(
            title="ACE-Step cover",
            conditioned_on=("style audio", "style text", "content audio"),
            fits_per_style=False,
            source=(
                "ACE-Step Team (2026), ACE-Step 1.5: Pushing the Boundaries of Open-Source Music "
                "Generation, arXiv 2602.00744, AceStepPipeline of diffusers, task cover"
            ),
            departures=(
                "latents of content and style are the means of what the pipeline draws unseeded",
                "style clips are joined to the one reference that the pipeline hears 30 s of",
                "contents below 10 s are repeated up to there and the output is cut",
                "no lyrics, tempo or key is told",
                _ONE_CHANNEL,
            ),
        ),
        "methods.pipelines.checkpoints:describe_ace_step",
        parameters="methods.pipelines.parameters:AceStepParameters",
    ),
    "stable-audio": Entry(
        "methods.pipelines.stable_audio:StableAudio",
        MethodInfo(
            title="Stable Audio (audio to audio)",
            conditioned_on=("style text", "content audio"),
            fits_per_style=False,
            source=(
                "Evans et al. (2024), Stable Audio Open, arXiv 2407.14358, StableAudioPipeline of "
                "diffusers with an initial audio; Meng et al. (2022), SDEdit, arXiv 2108.01073, "
                "algorithm 1"
            ),
            departures=(
                "noise begins at the level of strength, where the pipeline takes the highest",
                "deterministic DPM-Solver++ steps, where the published schedule draws at each step",
                "longer contents are rendered in windows that fade into each other",
                "Stable Audio Open, for Stable Audio 3 is not published in the library's layout",
                _ONE_CHANNEL,
            ),
            channels="each",
        ),
        "methods.pipelines.checkpoints:describe_stable_audio",
        parameters="methods.pipelines.parameters:StableAudioParameters",
    ),
}
