"""The methods under comparison, and the controls to read them against.

This file is the catalog; larger families have their parts of it in a `catalog` of their own. A line
may name a class alone, which then says the rest itself; these lines also hold what is said of each
method, so that listing the methods imports none of them.
"""

from __future__ import annotations

from bench.api import Entry, MethodInfo
from methods.pipelines import catalog as pipelines
from methods.riffusion import catalog as riffusion

__all__ = ["METHODS"]

_DSP = "methods.dsp.frames:describe"
_NONE = "bench.api:NoParameters"
_CONTROL = "a control of this benchmark"

# Departures that hold whatever the settings; `departures` of a method's class says the others.
_OWN_STREAMS = "each clip is drawn from its own seed, not from one stream over all"
_AS_MUSICGEN = ("no source separation before the chroma", _OWN_STREAMS)

METHODS: dict[str, Entry] = {
    **riffusion.LEARNING,
    "musicgen": Entry(
        "methods.musicgen.method:MusicgenMelody",
        MethodInfo(
            title="MusicGen melody",
            conditioned_on=("style text", "melody"),
            fits_per_style=False,
            source=(
                "Copet et al. (2023), Simple and Controllable Music Generation, arXiv 2306.05284, "
                "section 2.2"
            ),
            departures=_AS_MUSICGEN,
        ),
        "methods.musicgen.checkpoints:describe",
        parameters="methods.musicgen.sampling:Parameters",
    ),
    "musicgen@audiocraft": Entry(
        "methods.audiocraft.melody:AudiocraftMelody",
        MethodInfo(
            title="MusicGen melody (audiocraft)",
            conditioned_on=("style text", "melody"),
            fits_per_style=False,
            source=(
                "Copet et al. (2023), Simple and Controllable Music Generation, arXiv 2306.05284, "
                "package audiocraft 1.3.0"
            ),
            departures=("clips are rendered one by one, each from its own seed",),
        ),
        "methods.audiocraft.melody:AudiocraftMelody.describe",
        "methods/audiocraft",
    ),
    "musicgen-ti": Entry(
        "methods.musicgen.textual:MusicgenTextual",
        MethodInfo(
            title="MusicGen + TI",
            conditioned_on=("style audio", "melody"),
            fits_per_style=True,
            source=(
                "Rouard et al. (2024), Audio Conditioning for Music Generation via Discrete "
                "Bottleneck Features, arXiv 2407.12563, textual inversion"
            ),
            departures=(
                "our combination: pseudo-words joined to the melody of the content",
                "published settings could not be checked against the paper",
                *_AS_MUSICGEN,
            ),
        ),
        "methods.musicgen.checkpoints:describe",
        parameters="methods.musicgen.textual_parameters:TextualParameters",
    ),
    "musicgen-style": Entry(
        "methods.musicgen.style:MusicgenStyle",
        MethodInfo(
            title="MusicGen-Style",
            conditioned_on=("style audio",),
            fits_per_style=False,
            source=(
                "Rouard et al. (2024), Audio Conditioning for Music Generation via Discrete "
                "Bottleneck Features, arXiv 2407.12563, sections 3.2 and 3.4"
            ),
            departures=("its source transfers no content", _OWN_STREAMS),
        ),
        "methods.musicgen.style_checkpoints:describe",
        parameters="methods.musicgen.style_parameters:StyleParameters",
    ),
    **riffusion.FOLLOWING,
    **pipelines.METHODS,
    "shallow": Entry(
        "methods.gatys.shallow:Shallow",
        MethodInfo(
            title="Shallow random network",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=(
                "Ulyanov and Lebedev (2016), Audio texture synthesis and style transfer; Grinstein "
                "et al. (2018), Audio style transfer, arXiv 1710.11385"
            ),
            departures=(
                "spectra over their mean, losses relative to the target's energy",
                "values below 0 count as 0",
                "several style clips give the mean of their Gram matrices",
            ),
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        "methods.gatys.checkpoints:describe_shallow",
        parameters="methods.gatys.parameters:ShallowParameters",
    ),
    "vggish": Entry(
        "methods.gatys.pretrained:Vggish",
        MethodInfo(
            title="VGGish (Gatys)",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=(
                "Gatys et al. (2016), Image style transfer using convolutional neural networks, on "
                "Hershey et al. (2017), arXiv 1609.09430"
            ),
            departures=(
                "layers, weights of the losses and settings are ours",
                "the linear spectrogram is optimised, with the mel bank inside the graph",
                "frames are centred with mirrored ends, where VGGish begins with the first sample",
            ),
            version="3",  # the mel bank is that of the released code; phases sum otherwise
            channels="each",
        ),
        "methods.gatys.checkpoints:describe_vggish",
        parameters="methods.gatys.parameters:PretrainedParameters",
    ),
    "cnn14": Entry(
        "methods.gatys.pretrained:Cnn14",
        MethodInfo(
            title="CNN14 (Gatys)",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=(
                "Gatys et al. (2016), Image style transfer using convolutional neural networks, on "
                "Kong et al. (2020), arXiv 1912.10211"
            ),
            departures=(
                "layers, weights of the losses and settings are ours",
                "the linear spectrogram is optimised, with the mel bank inside the graph",
            ),
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        "methods.gatys.checkpoints:describe_cnn14",
        parameters="methods.gatys.parameters:PretrainedParameters",
    ),
    "ssvqvae": Entry(
        "methods.ssvqvae.method:SelfSupervisedVqVae",
        MethodInfo(
            title="SS VQ-VAE",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=(
                "Cifka et al. (2021), Self-Supervised VQ-VAE for One-Shot Music Style Transfer, "
                "arXiv 2102.05749, section 2"
            ),
            departures=("Griffin-Lim starts from phases of the cell's own seed",),
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        "methods.ssvqvae.checkpoints:describe",
        parameters="methods.ssvqvae.parameters:Parameters",
    ),
    "eq-match": Entry(
        "methods.dsp.equaliser:EqMatch",
        MethodInfo(
            title="EQ match",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=(
                "after Ma, Reiss and Black (2013), Implementation of an intelligent equalization "
                "tool using Yule-Walker for music mixing and mastering, AES 134"
            ),
            departures=("one zero-phase filter in third-octave bands",),
            deterministic=True,
            channels="each",
        ),
        _DSP,
    ),
    "envelope-match": Entry(
        "methods.dsp.envelope:EnvelopeMatch",
        MethodInfo(
            title="Envelope swap",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=(
                "Roebel and Rodet (2005), Efficient spectral envelope estimation and its "
                "application to pitch shifting and envelope preservation, DAFx, section 3"
            ),
            departures=("the style's envelope of the moment most similar in pitch and level",),
            deterministic=True,
            channels="each",
        ),
        _DSP,
    ),
    "mosaic": Entry(
        "methods.dsp.mosaic:Mosaic",
        MethodInfo(
            title="Mosaic",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=(
                "Zils and Pachet (2001), Musical mosaicing, DAFx; Schwarz (2000), A system for "
                "data-driven concatenative sound synthesis, DAFx, section 5"
            ),
            departures=("grains of one length", "colour counts less than pitch in the cost"),
            version="2",  # quiet tails of the clips count as silence
            deterministic=True,
        ),
        _DSP,
    ),
    "mel-vggish": Entry(
        "methods.gatys.controls:VggishMel",
        MethodInfo(
            title="VGGish mel round trip",
            conditioned_on=("content audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: what the mel bands of VGGish leave",
            control=True,
            version="3",  # the mel bank is that of the released code; phases sum otherwise
            channels="each",
        ),
        "methods.gatys.checkpoints:describe_vggish_mel",
        parameters=_NONE,
    ),
    "mel-cnn14": Entry(
        "methods.gatys.controls:Cnn14Mel",
        MethodInfo(
            title="CNN14 mel round trip",
            conditioned_on=("content audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: what the mel bands of CNN14 leave",
            control=True,
            version="2",  # the search for phases sums in another order
            channels="each",
        ),
        "methods.gatys.checkpoints:describe_cnn14_mel",
        parameters=_NONE,
    ),
    "copy-content": Entry(
        "methods.controls:CopyContent",
        MethodInfo(
            title="Copy of the content",
            conditioned_on=("content audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: the upper bound of content preservation",
            control=True,
            deterministic=True,
            channels="each",
        ),
    ),
    "copy-style": Entry(
        "methods.controls:CopyStyle",
        MethodInfo(
            title="Copy of the style",
            conditioned_on=("style audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: a held-out clip of the style, the upper bound of style fit",
            control=True,
            deterministic=True,
        ),
    ),
    "mix": Entry(
        "methods.controls:Mix",
        MethodInfo(
            title="Mix 50/50",
            conditioned_on=("style audio", "content audio"),
            fits_per_style=False,
            source=f"{_CONTROL}: content and style played together, no transfer at all",
            control=True,
            deterministic=True,
            channels="each",
        ),
    ),
    "noise": Entry(
        "methods.controls:Noise",
        MethodInfo(
            title="Noise",
            conditioned_on=("content audio",),
            fits_per_style=False,
            source=f"{_CONTROL}: noise at the level of the content, the floor of both scores",
            control=True,
        ),
    ),
    "oracle": Entry(
        "methods.controls:Oracle",
        MethodInfo(
            title="True result",
            conditioned_on=("true result",),
            fits_per_style=False,
            source=f"{_CONTROL}: what a perfect transfer makes, where the dataset has it",
            control=True,
            deterministic=True,
            needs=("target",),
        ),
    ),
    **riffusion.CONTROLS,
}
