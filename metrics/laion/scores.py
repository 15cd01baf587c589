"""The CLAP scores by laion-clap itself: what `cp` and `sf.*` are to be compared with.

The formulas are those of `metrics.clap.scores`; the network, its front end and its tokenizer are
laion's own. So the preprocessing is as published: no levelling, whole repetitions and then silence,
and of a clip longer than ten seconds a part drawn at random (here from the digest of the sound).

**Source**: Wu et al. (2023), arXiv 2211.06687, package laion-clap 1.1.7. Runs in the environment of
this folder. Its checkpoint is a pickle, which that package executes: only the file whose digest
was checked when it was fetched is given to it. The package asks the hub for three tokenizers and
roberta-base when it is first imported.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, final

import numpy as np

from bench.api import Audio, CheckpointError, Json, Profile
from bench.audio import resample_waveform
from bench.backend import fetched_folder
from metrics.clap.scores import ClapMetric, TextEmbedder, text_reference
from metrics.directions import Embedding, unit
from metrics.nearness import content_reference, heldout_reference, seen_reference

TITLE = "630k-audioset-best"
_FILE = f"{TITLE}.pt"
_RATE = 48_000
_DIGITS = 8  # of a sound's digest, as the seed of its cropping


class LaionEmbedder:
    """laion-clap's own model, with the embeddings of sounds that it has made.

    Args:
        module: A loaded `laion_clap.CLAP_Module`.
    """

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - of a package without types
        self._module = module
        self._made: dict[str, Embedding] = {}

    def embed_audio(self, audio: Audio) -> Embedding:
        """The direction of a sound: mean of the channels, at 48 kHz."""
        if audio.digest not in self._made:
            waveform = resample_waveform(audio.mono, audio.sample_rate, _RATE)
            random.seed(audio.digest[:_DIGITS])
            np.random.seed(int(audio.digest[:_DIGITS], 16))  # noqa: NPY002 - what the package draws from
            (found,) = self._module.get_audio_embedding_from_data([waveform], use_tensor=False)
            self._made[audio.digest] = unit(found)
        return self._made[audio.digest]

    def embed_all(self, audios: Sequence[Audio]) -> list[Embedding]:
        """The directions of sounds, in order; one by one, each with its own draw."""
        return [self.embed_audio(audio) for audio in audios]

    def embed_text(self, text: str) -> Embedding:
        """The direction of a text. Two are sent at once: the package drops the batch of one."""
        found = self._module.get_text_embedding([text, text], use_tensor=False)
        return unit(found[0])

    def fingerprint(self) -> Mapping[str, Json]:
        """Checkpoint, preprocessing and libraries."""
        libraries: dict[str, Json] = {
            name: version(name) for name in ("laion-clap", "torch", "transformers", "soxr")
        }
        return {"checkpoint": TITLE, "preprocessing": "laion-clap", "libraries": libraries}


class LaionMetric(ClapMetric):
    """A CLAP score on laion's own model; final classes say against what."""

    def open_embedder(self, profile: Profile, device: str) -> TextEmbedder:
        """Load the published checkpoint.

        Raises:
            CheckpointError: There is no mini model in laion's layout, or none was fetched.
        """
        if profile == "mini":
            raise CheckpointError(
                f"{self.name} has no mini model; it reads laion's own checkpoint. Use --profile "
                f"full, or {self.name.partition('@')[0]}."
            )
        import laion_clap

        module = laion_clap.CLAP_Module(enable_fusion=False, amodel="HTSAT-tiny", device=device)
        module.load_ckpt(str(fetched_folder(TITLE) / _FILE), verbose=False)
        return LaionEmbedder(module)


@final
class ContentPreservation(LaionMetric):
    """CP on laion's own model."""

    name = "cp@laion"
    reference = staticmethod(content_reference)


@final
class StyleFitHeldout(LaionMetric):
    """SF against held-out clips on laion's own model."""

    name = "sf.heldout@laion"
    reference = staticmethod(heldout_reference)


@final
class StyleFitSeen(LaionMetric):
    """SF against the clips learnt from on laion's own model."""

    name = "sf.seen@laion"
    reference = staticmethod(seen_reference)


@final
class StyleFitText(LaionMetric):
    """SF against the style's text on laion's own model."""

    name = "sf.text@laion"
    reference = staticmethod(text_reference)
