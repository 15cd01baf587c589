"""A metric that is checked: what it is given, and what it answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bench.api import Audio, Clip, Entry, Metric, MetricInfo, Output, Profile, Score, Style
from bench.conformance.checks import CONTENTS, STYLE_CLIPS, STYLE_TEXT, bundled_clip, complete, kept
from bench.conformance.side_effects import Reading, SideEffects
from bench.failure import contained
from bench.plugins.catalog import resolve
from bench.plugins.opening import IN_THIS_PROCESS, close, open_metric
from bench.scores import Declared

SECONDS = 2.0


class MetricSubject:
    """A metric that is checked; it is loaded when a check first asks for it.

    Args:
        name: How it was named.
        entry: Its line in the catalog.
        profile: Which checkpoints it loads.
        device: Where it runs.
    """

    def __init__(
        self, name: str, entry: Entry, profile: Profile = "mini", device: str = "cpu"
    ) -> None:
        self.name = name
        self.entry = entry
        self.profile: Profile = profile
        self.device = device
        self.reading = Reading(entry, profile)
        self.kind: Any = resolve(entry)
        self.side_effects = SideEffects()

    @property
    def info(self) -> MetricInfo:
        """Its description; one of another kind is a fault that the first check names."""
        info = self.entry.info
        if not isinstance(info, MetricInfo):
            raise TypeError(f"INFO is a {type(info).__name__}, not a MetricInfo")
        return info

    @property
    def declared(self) -> Declared:
        """What its scores are checked against."""
        return Declared(self.name, self.info.range)

    @kept
    def complete_kind(self) -> type:
        """Its class, which implements the whole contract."""
        return complete(self.kind, Metric)

    @kept
    def metric(self) -> Metric:
        """The metric, loaded."""
        _ = self.complete_kind
        with contained(loading=True), self.reading.watch():
            metric = open_metric(self.entry, Path(os.devnull), IN_THIS_PROCESS)
            metric.load(self.profile, self.device)
        return metric

    def close(self) -> None:
        """End the worker, where there is one."""
        made = self.__dict__.pop("metric", None)
        if made is not None:
            close(made)

    @kept
    def content(self) -> Clip:
        """The content that outputs are made from."""
        return bundled_clip(CONTENTS[0], SECONDS)

    @kept
    def style(self) -> Style:
        """A style with seen and held-out clips and a text."""
        clips = tuple(bundled_clip(name, SECONDS) for name in STYLE_CLIPS)
        return Style(STYLE_TEXT, clips[:2], clips[2:], text=STYLE_TEXT)

    @kept
    def rivals(self) -> tuple[Style, ...]:
        """The other styles of the run: one, whose clips are the content's."""
        return (Style("rival", (self.content,), (self.content,)),)

    @kept
    def ordinary(self) -> tuple[Audio, Audio, Audio]:
        """Three ordinary outputs: the content, a seen and a held-out clip of the style."""
        style = self.style
        return (self.content.audio, style.clips[0].audio, style.heldout_clips[0].audio)

    @kept
    def ordinary_scores(self) -> list[Score]:
        """What it answers for the ordinary outputs in one call, whatever that is."""
        return self.score(*self.ordinary)

    def score(self, *outputs: Audio, content: Clip | None = None) -> list[Score]:
        """What the metric answers for outputs in one call, whatever that is."""
        clip = self.content if content is None else content
        given: dict[str, object] = {f"output {n + 1}": audio for n, audio in enumerate(outputs)}
        given |= {f"clip {one.id!r}": one.audio for one in (clip, *self.style.clips)}
        metric = self.metric
        with self.reading.watch(), self.side_effects.watch("score", given):
            return metric.score(
                [Output(clip, self.style, audio, self.rivals, clip.audio) for audio in outputs]
            )
