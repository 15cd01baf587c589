"""Methods and metrics that break one promise each, and one of either kind that keeps them all."""

# ruff: noqa: D101 - the names say what is broken

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.api import (
    Audio,
    Direction,
    FitRequest,
    Json,
    MethodInfo,
    Metric,
    MetricInfo,
    NoParameters,
    Output,
    ParametersT,
    Profile,
    Progress,
    Score,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)


@dataclass(frozen=True, slots=True)
class LevelParameters:
    """How loud the style's noise is."""

    share: float = field(default=0.5, metadata={"role": "transfer"})


class Noisy(StyleTransferMethod[ParametersT]):
    """The content with noise at the level of the style."""

    INFO = MethodInfo("Good", ("style audio", "content audio"), fits_per_style=True, source="here")

    def load(self, profile: Profile, device: str) -> None:
        """Nothing to load."""

    def fit(
        self, requests: Sequence[FitRequest[ParametersT]], progress: Progress
    ) -> list[StyleState]:
        progress(1.0, "listened")
        return [self.learn(request) for request in requests]

    def learn(self, request: FitRequest[ParametersT]) -> StyleState:
        level = np.abs(request.style.clips[0].audio.waveform).max()[None]
        return StyleState({"level": level.astype(np.float64)}, {"style": request.style.id})

    def transfer(self, requests: Sequence[TransferRequest[ParametersT]]) -> list[Audio]:
        return [self.render(request) for request in requests]

    def render(self, request: TransferRequest[ParametersT]) -> Audio:
        audio = request.content.audio
        noise = np.random.default_rng(request.seed).uniform(-1, 1, audio.waveform.shape)
        mixed = 0.5 * audio.waveform + 0.1 * request.state.arrays["level"] * noise
        return Audio(mixed.astype(np.float32), audio.sample_rate)


class Good(Noisy[LevelParameters]):
    """The same with parameters as they should be."""


class Undrawn(Good):
    """Draws nothing and does not say so."""

    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        return super().render(dataclasses.replace(request, seed=0))


class Overdrawn(Good):
    """Says that it draws nothing."""

    INFO = dataclasses.replace(Good.INFO, deterministic=True)


class Unfinished(StyleTransferMethod[NoParameters]):
    def load(self, profile: Profile, device: str) -> None:
        """Nothing to load."""


@dataclass
class Thawed:
    share: float = field(default=0.5, metadata={"role": "transfer"})


@dataclass(frozen=True)
class Roleless:
    share: float = 0.5


class ThawedParameters(Noisy[Thawed]):
    """Its parameters are not frozen."""


class RolelessParameters(Noisy[Roleless]):
    """Its parameters do not say their role."""


class Wordy(Good):
    """Says two things in one departure."""

    @classmethod
    def departures(cls, parameters: LevelParameters, profile: Profile) -> tuple[str, ...]:
        del parameters, profile
        return ("noise is uniform; it is white",)


class Unloadable(Good):
    def load(self, profile: Profile, device: str) -> None:
        raise ImportError("no module named antimatter")


class Forgetful(Good):
    def fit(
        self, requests: Sequence[FitRequest[LevelParameters]], progress: Progress
    ) -> list[StyleState]:
        return []


class Percent(Good):
    def fit(
        self, requests: Sequence[FitRequest[LevelParameters]], progress: Progress
    ) -> list[StyleState]:
        progress(50, "half")
        return super().fit(requests, progress)


class UnseededFit(Good):
    def learn(self, request: FitRequest[LevelParameters]) -> StyleState:
        rng = np.random.default_rng()
        # So many draws that two fits never agree within the tolerance of a check by chance.
        return StyleState({"level": rng.uniform(0.1, 0.9, 1), "draws": rng.uniform(0, 1, 64)})


class SharedFit(Good):
    def fit(
        self, requests: Sequence[FitRequest[LevelParameters]], progress: Progress
    ) -> list[StyleState]:
        level = sum(self.learn(request).arrays["level"] for request in requests)
        return [StyleState({"level": np.asarray(level)}) for _ in requests]


class Stereo(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        made = super().render(request)
        return Audio(np.repeat(made.waveform, 2, axis=0), made.sample_rate)


class Raising(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        audio = request.content.audio
        shift = 1 / int(audio.waveform.shape[0] == 2)
        return Audio(audio.waveform + np.float32(shift), audio.sample_rate)


class Short(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        made = super().render(request)
        return Audio(made.waveform[:, : made.num_samples // 2].copy(), made.sample_rate)


class NotANumber(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        return Audio(super().render(request).waveform * np.float32("nan"), 22050)


class Mute(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        audio = request.content.audio
        return Audio(np.zeros_like(audio.waveform), audio.sample_rate)


class UnseededTransfer(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        audio = request.content.audio
        noise = np.random.default_rng().uniform(-0.1, 0.1, audio.waveform.shape)
        return Audio((audio.waveform + noise).astype(np.float32), audio.sample_rate)


class LevelOfTheBatch(Good):
    def transfer(self, requests: Sequence[TransferRequest[LevelParameters]]) -> list[Audio]:
        made = super().transfer(requests)
        return [Audio(one.waveform / len(made), one.sample_rate) for one in made]


class Sorted(Good):
    def transfer(self, requests: Sequence[TransferRequest[LevelParameters]]) -> list[Audio]:
        return super().transfer(sorted(requests, key=lambda request: request.content.id))


class ByName(Good):
    """Follows the words of a style, which its INFO does not name."""

    def learn(self, request: FitRequest[LevelParameters]) -> StyleState:
        named = len(f"{request.style.text}")
        return StyleState({"level": np.array([0.1 * named])})


class Overhearing(Good):
    """Follows style and content, and its INFO names neither."""

    INFO = MethodInfo("Overhearing", ("style text",), fits_per_style=True, source="here")


class Loud(Good):
    """Reaches 3.5 times full scale where its share is 1, and full scale where it is 0."""

    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        made = super().render(request)
        peak = np.float32(1 + 2.5 * request.parameters.share)
        return Audio(made.waveform / np.abs(made.waveform).max() * peak, made.sample_rate)


class Stateful(Good):
    """Knows its own arrays again, and none that come from the disk."""

    def load(self, profile: Profile, device: str) -> None:
        self.learnt: list[object] = []

    def learn(self, request: FitRequest[LevelParameters]) -> StyleState:
        state = super().learn(request)
        self.learnt.append(state.arrays["level"])
        return state

    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        made, level = super().render(request), request.state.arrays["level"]
        known = any(level is one for one in self.learnt)
        return Audio(made.waveform * np.float32(0.1 if known else 0.9), made.sample_rate)


class Normalising(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        audio = request.content.audio
        peak = float(np.abs(audio.waveform).max())
        if peak == 0.0:
            raise ZeroDivisionError("level of silence")
        return super().render(request)


class LongWindow(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        if request.content.audio.duration_s < 1.0:
            raise ValueError("a window has 1 s")
        return super().render(request)


class FixedRate(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        return Audio(super().render(request).waveform, 22050)


class InPlace(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        made = super().render(request)
        request.content.audio.waveform.flags.writeable = True
        request.content.audio.waveform[0, 7] += 1e-7
        return made


class Wandering(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        os.chdir(tempfile.gettempdir())
        return super().render(request)


class Sowing(Good):
    def render(self, request: TransferRequest[LevelParameters]) -> Audio:
        np.random.seed(request.seed)  # noqa: NPY002 - this is what is broken
        return super().render(request)


class GoodMetric(Metric):
    """One minus the largest sample-wise difference of content and output levels."""

    INFO = MetricInfo("Level", Direction.MAXIMIZE, (0.0, 1.0), source="here")
    scored = 0

    def load(self, profile: Profile, device: str) -> None:
        """Nothing to load."""

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        self.scored += len(outputs)
        return [self.one(output) for output in outputs]

    def one(self, output: Output) -> Score:
        audio, content = output.audio, output.content.audio
        wrong = abs(audio.duration_s - content.duration_s) > 0.05
        if wrong or not audio.waveform.size or not np.isfinite(audio.waveform).all():
            return Score("level", None, status="invalid_output", reason="broken")
        if not audio.waveform.any():
            return Score("level", 0.0, 0.0, "silent", "silent")
        value = 1 - abs(float(np.abs(audio.mono).mean() - np.abs(content.mono).mean()))
        return Score("level", value, value)

    def fingerprint(self) -> Mapping[str, Json]:
        return {"version": "1"}


class TooFew(GoodMetric):
    def score(self, outputs: Sequence[Output]) -> list[Score]:
        return super().score(outputs)[:1]


class Unscorable(GoodMetric):
    learnt: Mapping[str, float] = {}

    def one(self, output: Output) -> Score:
        return Score("level", self.learnt["weights"])


class Gambling(GoodMetric):
    def one(self, output: Output) -> Score:
        found = super().one(output)
        value = float(np.random.default_rng().uniform(0, 1))
        return found if found.status != "ok" else Score("level", value, value)


class Ranking(GoodMetric):
    def score(self, outputs: Sequence[Output]) -> list[Score]:
        found = super().score(outputs)
        size = len(found)
        return [s if s.status != "ok" else Score("level", 1 / size, 1 / size) for s in found]


class Percentage(GoodMetric):
    def one(self, output: Output) -> Score:
        found = super().one(output)
        return found if found.status != "ok" else Score("level", 99.0, 99.0)


class Misnamed(GoodMetric):
    def score(self, outputs: Sequence[Output]) -> list[Score]:
        return [
            dataclasses.replace(s, name=f"level{n}") for n, s in enumerate(super().score(outputs))
        ]


class Bare(GoodMetric):
    def score(self, outputs: Sequence[Output]) -> list[Score]:
        return [0.5 for _ in outputs]  # type: ignore[misc]  # this is what is broken


class Endless(GoodMetric):
    def one(self, output: Output) -> Score:
        found = super().one(output)
        return found if found.status != "ok" else Score("level", math.inf)


class FondOfSilence(GoodMetric):
    def one(self, output: Output) -> Score:
        found = super().one(output)
        return Score("level", 1.0, 1.0) if found.status == "silent" else found


class Trusting(GoodMetric):
    def one(self, output: Output) -> Score:
        value = float(np.nan_to_num(np.abs(output.audio.waveform).mean()))
        silent = not output.audio.waveform.any()
        return Score("level", 0.0, 0.0, "silent", "silent") if silent else Score("level", value)


class MonoOnly(GoodMetric):
    def one(self, output: Output) -> Score:
        (_,) = output.content.audio.waveform
        return super().one(output)


class UsualRates(GoodMetric):
    def one(self, output: Output) -> Score:
        if output.audio.sample_rate not in {22050, 44100, 48000}:
            raise ValueError(f"{output.audio.sample_rate} Hz is not supported")
        return super().one(output)


class Drifting(GoodMetric):
    def fingerprint(self) -> Mapping[str, Json]:
        return {"scored": self.scored}


class Neither:
    """Derives from no contract."""
