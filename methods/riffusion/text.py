"""Text-prompted stylisation: the style's text is the prompt, nothing is learnt.

The content is partially noised and the frozen model denoises it under the words that describe the
style, as the Riffusion application does it. What the model knows of those words is all it knows of
the style: the style's recordings are not heard.

Where this departs from the application is said in the catalog and by `RiffusionText.departures`.

References:
    Forsgren and Martiros (2022), Riffusion: image to image; Meng et al. (2022), SDEdit, arXiv
    2108.01073, algorithm 1, with deterministic DDIM steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import final

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
from bench.weights import full_profile_line
from methods.riffusion.audioldm2.rendering import load_audioldm2
from methods.riffusion.checkpoints import MINI_FOLDER
from methods.riffusion.conditioning import ContextTable, PromptConditioning, tabulate
from methods.riffusion.parameters import departures
from methods.riffusion.parameters.edits import words_for_content
from methods.riffusion.parameters.guided import TextParameters
from methods.riffusion.parameters.settings import BackboneName
from methods.riffusion.rendering import load_riffusion
from methods.riffusion.transferring import Stage, StylisedT, transfer_styles
from methods.riffusion.transition import join_states

# Strength, guidance and steps of riffusion/streamlit/tasks/audio_to_audio.py in
# riffusion/riffusion-hobby at commit 94c29abbdc1de60b3e03131715ea8c3da12bd933.
_APPLICATION = (0.55, 7.0, 25)


def _departures(parameters: TextParameters, profile: Profile) -> Iterator[str]:
    yield from departures.of_profile(profile)
    told = (parameters.strength, parameters.guidance_scale, parameters.num_inference_steps)
    if told != _APPLICATION:
        yield (
            "strength {}, guidance {:g} and {} steps, where the application begins with {}, {:g} "
            "and {}".format(*told, *_APPLICATION)
        )
    if parameters.width_mode != "report":
        yield (
            "pictures are brought to the model's window, where the application takes the nearest "
            "multiple of 32 columns"
        )
    if parameters.brs == "on":
        yield "with bias reduction, which the application lacks, an ablation (brs=off)"
    if parameters.picture == "truncated":
        yield "the decoded picture is truncated to 8 bits, where the application rounds it"
    if parameters.vae_sample == "mode":
        yield "the content's latents are the mode of the posterior, not a draw (vae_sample=sample)"
    yield from departures.of_phase(parameters)


def read_vocabulary(folder: Path) -> frozenset[str] | None:
    """The words that a small model was trained on; None for a model that takes any text."""
    path = folder / "training.json"
    if not path.is_file():
        return None
    return frozenset(json.loads(path.read_text(encoding="utf-8"))["vocabulary"])


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation.

    Example:
        >>> words_of("A music-box, please")
        ['a', 'music', 'box', 'please']
    """
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def reader(profile: Profile) -> Callable[[str], str | None]:
    """What gives a text as a profile's model reads it; None for one of no or of unknown words."""
    vocabulary = read_vocabulary(MINI_FOLDER) if profile == "mini" else None

    def read(text: str) -> str | None:
        words = words_of(text)
        if vocabulary is None:
            return text.strip() if words else None
        return " ".join(words) if words and vocabulary.issuperset(words) else None

    return read


class TextPrompted(StyleTransferMethod[StylisedT]):
    """A method of this family that is led by the style's text, whatever its sampler.

    A model that declares its vocabulary refuses texts with words outside of it, because its output
    would be arbitrary.

    Args:
        backbone: The frozen model that leads it; only edits know another than Riffusion.
    """

    def __init__(self, backbone: BackboneName = "riffusion") -> None:
        self._backbone = backbone

    def load(self, profile: Profile, device: str) -> None:
        """Load the frozen model, shared with the other methods of this family."""
        self._model: Stage = (
            load_riffusion(profile, device)
            if self._backbone == "riffusion"
            else load_audioldm2(device)
        )
        self._vocabulary = read_vocabulary(MINI_FOLDER) if profile == "mini" else None

    def fit(
        self, requests: Sequence[FitRequest[StylisedT]], progress: Progress
    ) -> list[StyleState]:
        """Store each style's text.

        Raises:
            UnsupportedError: A style has no text, or the model does not know its words.
        """
        states = [StyleState(meta={"text": self._prompt(request)}) for request in requests]
        progress(1.0, "texts stored")
        return states

    def _prompt(self, request: FitRequest[StylisedT]) -> str:
        style = request.style
        words = words_of(style.text or "")
        if not words:
            raise UnsupportedError(
                f"style {style.id!r} has no text; this method is driven by text. Give the style a "
                "text in its dataset card."
            )
        return self._known(style.text or "", f"(style {style.id!r})")

    def _known(self, text: str, place: str) -> str:
        """A text as it is sent to the model, if the model knows all its words."""
        if self._vocabulary is None:
            return text.strip()
        words = words_of(text)
        unknown = [word for word in words if word not in self._vocabulary]
        if unknown:
            raise UnsupportedError(
                f"text unknown to this model: {', '.join(unknown)} of {text!r} {place}. "
                f"{full_profile_line('riffusion')} Or choose among the words that it knows: "
                f"{', '.join(sorted(self._vocabulary))}."
            )
        return " ".join(words)

    def transfer(self, requests: Sequence[TransferRequest[StylisedT]]) -> list[Audio]:
        """Render each content under its style's text.

        Raises:
            ContentError: A content is too short.
            UnsupportedError: The model does not know the words that a content is inverted under.
        """
        for told in {words_for_content(request.parameters.sampling()) for request in requests}:
            self._known(told, "(source_prompt)")
        backbone = self._model.backbone
        tables: dict[tuple[str, tuple[int, ...]], ContextTable] = {}

        def make_table(
            request: TransferRequest[StylisedT], visited: tuple[int, ...]
        ) -> ContextTable:
            key = (str(request.state.meta["text"]), visited)
            if key not in tables:
                prompt = PromptConditioning(backbone, key[0])
                tables[key] = tabulate(prompt, visited, backbone.device)
            return tables[key]

        return transfer_styles(self._model, requests, make_table)

    @classmethod
    def transition(cls, first: StyleState, second: StyleState) -> StyleState:
        """One state for the way from one style to another, window by window."""
        return join_states(first, second)


@final
class RiffusionText(TextPrompted[TextParameters]):
    """Riffusion with the style's text as prompt.

    References:
        Forsgren and Martiros (2022), Riffusion; see `departures`.
    """

    @classmethod
    def departures(cls, parameters: TextParameters, profile: Profile) -> tuple[str, ...]:
        """Where these settings leave the application."""
        return tuple(_departures(parameters, profile))
