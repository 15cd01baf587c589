"""A method that is checked, on clips of one second and with as little work as possible."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.api import (
    Audio,
    Clip,
    Entry,
    FitRequest,
    Json,
    Profile,
    Style,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.audio import as_heard, peak_of
from bench.conformance.checks import CONTENTS, STYLE_CLIPS, STYLE_TEXT, bundled_clip, complete, kept
from bench.conformance.side_effects import Reading, SideEffects
from bench.failure import contained
from bench.outputs import restore
from bench.plugins.catalog import UNDESCRIBED, describe, resolve
from bench.plugins.opening import IN_THIS_PROCESS, close, open_method
from bench.plugins.parameters import make_parameters
from bench.plugins.returned import admit_outputs, admit_states

SECONDS = 1.0
# Where a method has parameters of these names, they are set to as little work as possible.
SHORTEST: Mapping[str, Json] = {
    "steps": 2,
    "num_inference_steps": 3,
    "batch_size": 1,
    "griffin_lim_iterations": 4,
}


class MethodSubject:
    """A method that is checked; it is loaded, fitted and rendered when a check first asks for it.

    Args:
        name: How it was named.
        entry: Its line in the catalog.
        profile: Which checkpoints it loads.
        device: Where it runs.
        overrides: Parameters that were set by hand; they win over `SHORTEST`.
    """

    def __init__(
        self,
        name: str,
        entry: Entry,
        profile: Profile = "mini",
        device: str = "cpu",
        overrides: Mapping[str, Json] | None = None,
    ) -> None:
        self.name = name
        self.entry = entry
        self.profile: Profile = profile
        self.device = device
        self.reading = Reading(entry, profile)
        self.kind: Any = resolve(entry)
        self.overrides = dict(overrides or {})
        self.side_effects = SideEffects()
        self.told: list[tuple[object, object]] = []
        self.peak = 0.0  # the largest of all outputs so far

    @property
    def undescribed(self) -> bool:
        """Whether neither the class nor the catalog says anything about the method."""
        return self.entry.info is not None and self.entry.info.source.endswith(UNDESCRIBED)

    @kept
    def sample_rate(self) -> int | None:
        """The rate at which the method works, Hz; None follows the content."""
        return describe(self.entry, self.profile).sample_rate

    @kept
    def complete_kind(self) -> type:
        """Its class, which implements the whole contract."""
        return complete(self.kind, StyleTransferMethod)

    @kept
    def method(self) -> StyleTransferMethod[Any]:
        """The method, loaded."""
        _ = self.complete_kind
        with contained(loading=True), self.reading.watch():
            method = open_method(self.entry, Path(os.devnull), IN_THIS_PROCESS)
            method.load(self.profile, self.device)
        return method

    def close(self) -> None:
        """End the worker, where there is one."""
        made = self.__dict__.pop("method", None)
        if made is not None:
            close(made)

    @kept
    def parameters(self) -> object:
        """Its parameters with as little work as possible."""
        kind: Any = self.kind.Parameters
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            raise TypeError(f"Parameters ({kind!r}) is not a frozen dataclass")
        known = {item.name for item in dataclasses.fields(kind)}
        shortest = {name: value for name, value in SHORTEST.items() if name in known}
        return make_parameters(kind, {**shortest, **self.overrides})

    @kept
    def style(self) -> Style:
        """Two clips of an instrument, as the method hears them."""
        clips = tuple(self.heard(bundled_clip(name, SECONDS)) for name in STYLE_CLIPS[:2])
        return Style(STYLE_TEXT, clips, text=STYLE_TEXT)

    @kept
    def contents(self) -> tuple[Clip, Clip]:
        """Two contents, as the method hears them."""
        first, second = (self.heard(bundled_clip(name, SECONDS)) for name in CONTENTS)
        return first, second

    @kept
    def states(self) -> list[StyleState]:
        """The states that a fit of the style gives, seed 1."""
        return self.fit(self.style)

    @property
    def state(self) -> StyleState:
        """The one state that a fit of one style gives."""
        return self.states[0]

    @kept
    def output(self) -> Audio:
        """The first content in the style, seed 1."""
        return self.transfer(self.contents[0])[0]

    @kept
    def both(self) -> list[Audio]:
        """Both contents in the style, in one batch."""
        return self.transfer(*self.contents)

    def heard(self, clip: Clip) -> Clip:
        """A clip as the harness hands it to the method: mono, at the native rate."""
        return as_heard(clip, self.sample_rate)

    def fit(self, *styles: Style) -> list[StyleState]:
        """Learn styles in one call, seed 1."""
        given = {f"clip {clip.id!r}": clip.audio for style in styles for clip in style.clips}
        requests = [FitRequest(style, self.parameters, seed=1) for style in styles]
        method = self.method  # before the watch: building a network may draw its first weights
        with self.reading.watch(), self.side_effects.watch("fit", given), contained():
            answer = method.fit(requests, lambda *told: self.told.append(told))
            return admit_states(answer, len(requests))

    def transfer(
        self, *contents: Clip, seed: int = 1, state: StyleState | None = None
    ) -> list[Audio]:
        """Render contents in one batch; each request has the same seed."""
        used = self.state if state is None else state
        given: dict[str, object] = {f"content {clip.id!r}": clip.audio for clip in contents}
        given |= {f"the state's {name!r}": array for name, array in used.arrays.items()}
        told = self.entry.info is not None and bool(self.entry.info.needs)
        requests = [  # what a control is told is the true result is the content
            TransferRequest(clip, used, self.parameters, seed, clip.audio if told else None)
            for clip in contents
        ]
        method = self.method
        with self.reading.watch(), self.side_effects.watch("transfer", given), contained():
            outputs = admit_outputs(method.transfer(requests), len(requests))
        for output, clip in zip(outputs, contents, strict=True):
            restored = restore(output, clip.audio, clip.audio)
            if isinstance(restored, Audio):
                self.peak = max(self.peak, peak_of(restored))
        return outputs
