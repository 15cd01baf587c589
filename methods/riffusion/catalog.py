"""This family's part of the catalog; see `methods/__init__.py`.

No module of the family imports this one, so that what is said here enters no key of the cache.
"""

from __future__ import annotations

from bench.api import Entry, MethodInfo

__all__ = ["CONTROLS", "FOLLOWING", "LEARNING"]

_RIFFUSION = "methods.riffusion.checkpoints:describe"
_NONE = "bench.api:NoParameters"
_CONTROL = "a control of this benchmark"

_OWN_STREAMS = "each clip is drawn from its own seed, not from one stream over all"
_AS_RIFFUSION = (
    _OWN_STREAMS,
    "mel spectra are inverted by least squares, as torchaudio does now and did not then",
)
_AS_MUSICTI = (
    *_AS_RIFFUSION,
    "all clips are heard at one rate, where MusicTI takes each file at its own",
    "longer contents are painted in windows that fade into each other",
    "of longer style clips the first window is learnt",
    "padded columns do not enter the loss",
    "strength times steps is taken in decimals: .58 of 50 is 29 steps, not 28",
)
_AS_EDITS = (
    "longer contents are edited in windows that fade into each other, which share their noise",
    _OWN_STREAMS,
)

# Edits of the content under a text: name, class, title, source, departures of its own.
_EDITS: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    (
        "zeta",
        "Zeta",
        "ZETA (DDPM inversion)",
        (
            "Manor and Michaeli (2024), Zero-Shot Unsupervised and Text-Based Audio Editing Using "
            "DDPM Inversion, arXiv 2402.10009, section 3"
        ),
        ("noise maps are made of states as drawn, which the code replaces by what they lead to",),
    ),
    (
        "ddim-inversion",
        "DdimInversion",
        "DDIM inversion",
        (
            "Song, Meng and Ermon (2021), Denoising diffusion implicit models, section 4.3, as a "
            "baseline of arXiv 2402.10009"
        ),
        (),
    ),
    (
        "sdedit",
        "Sdedit",
        "SDEdit",
        (
            "Meng et al. (2022), SDEdit, arXiv 2108.01073, algorithm 1, as a baseline of arXiv "
            "2402.10009"
        ),
        (),
    ),
    (
        "steer",
        "Steer",
        "SteerMusic (DDS)",
        (
            "Niu et al. (2025), SteerMusic: Enhanced Musical Consistency for Zero-shot Text-guided "
            "and Personalized Music Editing, arXiv 2504.10826, section 3.1"
        ),
        ("without a prompt for the content unless source_prompt gives one",),
    ),
)

# What learns a style.
LEARNING: dict[str, Entry] = {
    "tve": Entry(
        "methods.riffusion.tve:TVE",
        MethodInfo(
            title="TVE",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=True,
            source=(
                "Li et al. (2024), Music Style Transfer with Time-Varying Inversion of Diffusion "
                "Models, arXiv 2402.13763, section 3"
            ),
            departures=_AS_MUSICTI,
            version="2",  # draws are made in blocks of steps, styles are stacked
            channels="each",
        ),
        _RIFFUSION,
        parameters="methods.riffusion.parameters.tve:TveParameters",
    ),
    "rti": Entry(
        "methods.riffusion.rti:RTI",
        MethodInfo(
            title="Riffusion + TI",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=True,
            source=(
                "Gal et al. (2022), An Image is Worth One Word, arXiv 2208.01618, equation 2, on "
                "Riffusion, as the baseline R+TI of arXiv 2402.13763"
            ),
            departures=(
                "captions are the placeholder alone, without photo templates",
                "one vector is trained, not the table of embeddings around it",
                *_AS_MUSICTI,
            ),
            version="2",  # draws are made in blocks of steps, styles are stacked
            channels="each",
        ),
        _RIFFUSION,
        parameters="methods.riffusion.parameters.rti:RtiParameters",
    ),
}

# What follows a text or a sound and learns nothing.
FOLLOWING: dict[str, Entry] = {
    "riffusion": Entry(
        "methods.riffusion.text:RiffusionText",
        MethodInfo(
            title="Riffusion + text",
            conditioned_on=("style text", "content audio"),
            fits_per_style=False,
            source=(
                "Forsgren and Martiros (2022), Riffusion, image to image; Meng et al. (2022), "
                "SDEdit, arXiv 2108.01073, algorithm 1"
            ),
            departures=(
                "deterministic DDIM steps, where the application samples with DPM-Solver",
                "longer contents are painted in windows of one picture, not as clips of 5 s",
                *_AS_RIFFUSION,
            ),
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        _RIFFUSION,
        parameters="methods.riffusion.parameters.guided:TextParameters",
    ),
    **{
        name: Entry(
            f"methods.riffusion.training_free.texts:{kind}",
            MethodInfo(
                title=title,
                conditioned_on=("style text", "content audio"),
                fits_per_style=False,
                source=source,
                departures=(*departures, *_AS_EDITS),
                version="2",  # a content draws the same noises for every style
                channels="each",
            ),
            f"{_RIFFUSION}_edits",
            parameters=f"methods.riffusion.parameters.editing:{kind}Parameters",
        )
        for name, kind, title, source, departures in _EDITS
    },
    "stylus": Entry(
        "methods.riffusion.training_free.stylus:Stylus",
        MethodInfo(
            title="Stylus",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=True,
            source=(
                "Stylus: Repurposing Stable Diffusion for Training-Free Music Style Transfer on "
                "Mel-Spectrograms (2024), arXiv 2411.15913; Chung, Hyun and Heo (2024), arXiv "
                "2312.09008"
            ),
            departures=(
                "the weight of the style is inferred, for the released code lacks its attention",
                "pictures are not cropped to squares and rescaled along mel",
                "windows of a longer content share the statistics of their noise",
                *_AS_RIFFUSION,
            ),
            version="2",  # a content draws the same latents for every style
            channels="each",
        ),
        _RIFFUSION,
        parameters="methods.riffusion.parameters.stylus:StylusParameters",
    ),
    "style-encoder": Entry(
        "methods.riffusion.training_free.style_encoder:StyleEncoder",
        MethodInfo(
            title="Style encoder",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=True,
            source=(
                "ours, from no paper: soft tokens of the style's clips, from a small network that "
                "was trained with the mini model"
            ),
            departures=_AS_RIFFUSION,
            channels="each",
        ),
        "methods.riffusion.checkpoints:describe_mini_alone",
        parameters="methods.riffusion.parameters.style_encoder:StyleEncoderParameters",
    ),
}

# What the parts of this family leave by themselves.
CONTROLS: dict[str, Entry] = {
    "vocoder": Entry(
        "methods.riffusion.controls:Vocoder",
        MethodInfo(
            title="Spectrogram round trip",
            conditioned_on=("content audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: what the spectrogram image and its inversion lose",
            control=True,
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        _RIFFUSION,
        parameters="methods.riffusion.parameters.guided:VocoderParameters",
    ),
    "vae": Entry(
        "methods.riffusion.controls:VaeRoundTrip",
        MethodInfo(
            title="VAE round trip",
            conditioned_on=("content audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: what spectrogram image and VAE lose together",
            control=True,
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        _RIFFUSION,
        parameters=_NONE,
    ),
    "null": Entry(
        "methods.riffusion.controls:NullPrompt",
        MethodInfo(
            title="Null prompt",
            conditioned_on=("content audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: the same diffusion with an empty prompt, no style given",
            control=True,
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        _RIFFUSION,
        parameters="methods.riffusion.parameters.guided:NullPromptParameters",
    ),
}
