"""Methods and a metric from outside for the fault battery: steady ones, and one with bad manners.

What they do beside their work is asked for through parameters and the environment: `TOY_NOTES` is
a folder for process numbers and markers, `TOY_PAUSE` names the stage in which to wait for ever
(once), `TOY_PACE` the seconds that a call takes.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.api import (
    Audio,
    Direction,
    FitRequest,
    Json,
    Metric,
    MetricInfo,
    Output,
    ParametersT,
    Profile,
    ProfileInfo,
    Progress,
    Score,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.cache import Cache

CURSED = ("hard", "a1")  # the style and content that set the rude method off
ALLOWANCE_BYTES = 100_000_000


def note(name: str) -> None:
    """Leave an empty file where the test can see it."""
    if folder := os.environ.get("TOY_NOTES"):
        (Path(folder) / name).touch()


def pause(stage: str) -> None:
    """Take the time that a call takes; for ever where the test asked for it."""
    if os.environ.get("TOY_PAUSE") == stage:
        note(f"paused-{stage}")
        wait()
    time.sleep(float(os.environ.get("TOY_PACE", "0")))


def wait() -> None:
    """Wait for ever; an interrupt is lost where the test asked for that, and an error follows."""
    lost = (KeyboardInterrupt,) if os.environ.get("TOY_LOSES") else ()
    with suppress(*lost):
        time.sleep(600)
    raise ImportError("cannot import name io")


class Steady(StyleTransferMethod[ParametersT]):
    """Scales the content to the level of the style and adds noise of its own seed."""

    @classmethod
    def describe(cls, profile: Profile) -> ProfileInfo:
        """Called while a run is prepared."""
        pause("prepare")
        return super().describe(profile)

    def load(self, profile: Profile, device: str) -> None:
        note(f"pid-{os.getpid()}")

    def fit(
        self, requests: Sequence[FitRequest[ParametersT]], progress: Progress
    ) -> list[StyleState]:
        states = []
        for place, request in enumerate(requests):
            pause("fit")
            progress(place / len(requests), request.style.id)
            level = np.abs(request.style.clips[0].audio.waveform).max()[None]
            states.append(StyleState({"level": level}, {"style": request.style.id}))
        return states

    def transfer(self, requests: Sequence[TransferRequest[ParametersT]]) -> list[Audio]:
        pause("transfer")
        return [self.render(request) for request in requests]

    def render(self, request: TransferRequest[ParametersT]) -> Audio:
        audio = request.content.audio
        noise = np.random.default_rng(request.seed).normal(0, 0.01, audio.waveform.shape)
        scaled = audio.waveform * request.state.arrays["level"] * self.gain(request) + noise
        return Audio(scaled.astype(np.float32), audio.sample_rate)

    def gain(self, request: TransferRequest[ParametersT]) -> float:
        return 0.5


class Softer(Steady):
    """A second method."""

    def gain(self, request: TransferRequest[ParametersT]) -> float:
        return 0.2


class Louder(Steady):
    """A third method, whose outputs leave full scale."""

    def gain(self, request: TransferRequest[ParametersT]) -> float:
        return 3.0


@dataclass(frozen=True, slots=True)
class Manners:
    """What the rude method does to the cursed cell, or in its fit."""

    how: str = field(default="", metadata={"role": "transfer"})
    fit: str = field(default="", metadata={"role": "fit"})


class Rude(Steady[Manners]):
    """Works as `Steady` does but for one style and content, where it does what `how` says."""

    def fit(self, requests: Sequence[FitRequest[Manners]], progress: Progress) -> list[StyleState]:
        for request in requests:
            if request.style.id == CURSED[0]:
                act(request.parameters.fit)
        return super().fit(requests, progress)

    def transfer(self, requests: Sequence[TransferRequest[Manners]]) -> list[Audio]:
        outputs = []
        for request in requests:
            audio, manners = self.render(request), request.parameters
            cursed = (request.state.meta["style"], request.content.id) == CURSED
            if cursed:
                audio = distorted(audio, manners.how)
                act(manners.how)
            outputs.append(audio)
        return outputs[:-1] if len(outputs) > 1 and manners.how == "fewer" else outputs


def distorted(audio: Audio, how: str) -> Audio:
    """A broken output."""
    waveform, rate = np.array(audio.waveform), audio.sample_rate
    if how == "length":
        return Audio(waveform[:, : rate // 2], rate)
    if how == "rate":
        return Audio(waveform, 2 * rate)
    if how == "stereo":
        return Audio(np.concatenate([waveform, waveform]), rate)
    if how == "infinite":
        waveform[0, 7] = np.inf
    return Audio(waveform, rate)


def act(how: str) -> None:
    """Do harm."""
    deeds = {
        "raise": lambda: int("not a number"),
        "shout": shout,
        "mute": mute,
        "leave": lambda: sys.exit(7),
        "hang": lambda: time.sleep(600),
        "segfault": lambda: ctypes.string_at(0),
        "exit": lambda: os._exit(3),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "memory": exhaust_memory,
        "flood": flood,
        "fork": fork,
        "stroll": stroll,
        "fill": fill_disk,
    }
    if how in deeds:
        sys.stderr.write(f"about to {how}\n")
        deeds[how]()


SHOUTED = "\x1b[31mred\x1b[2J\x00 half \udc80 \u202eback " + "loud\n" * 120_000


def shout() -> None:
    """Raise words that are too long for a line, and that a terminal would obey."""
    raise ValueError(SHOUTED)


def mute() -> None:
    """Raise an error that cannot say what it is."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    raise MuteError


def exhaust_memory() -> None:
    """Allocate beyond a limit on this process, which is lifted again afterwards."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    held = pages * resource.getpagesize()
    former = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (held + ALLOWANCE_BYTES, former[1]))
    try:
        np.ones(ALLOWANCE_BYTES)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, former)


def flood() -> None:
    """Print 20 MB, half of it to each stream."""
    for _ in range(1000):
        sys.stdout.write("o" * 10_000 + "\n")
        sys.stderr.write("e" * 10_000 + "\n")


def fork() -> None:
    """Leave one child that sleeps, and one that comes back and answers too."""
    for comes_back in (False, True):
        if os.fork() == 0:
            note(f"pid-{os.getpid()}")
            if comes_back:
                return
            time.sleep(600)


def stroll() -> None:
    """Change the working directory and every global random state."""
    os.chdir("/")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global state is what is tampered with
    if torch := sys.modules.get("torch"):
        torch.manual_seed(1)


def fill_disk() -> None:
    """Take what space is left where the test says so."""
    try:
        with (Path(os.environ["TOY_DISK"]) / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(65536)):
                pass
    except OSError:
        note("disk-full")


class Level(Metric):
    """Peak of the output: a metric that needs no model."""

    INFO = MetricInfo("Peak", Direction.MAXIMIZE, (0.0, 1.0), "fault battery")

    def load(self, profile: Profile, device: str) -> None:
        pass

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        pause("score")
        peaks = [float(np.abs(output.audio.waveform).mean()) for output in outputs]
        return [Score("level", peak, peak) for peak in peaks]

    def fingerprint(self) -> Mapping[str, Json]:
        return {"version": "1"}


class Hoarder(Level):
    """Fills the disk, then keeps something in the cache as the metrics of the catalog do."""

    def score(self, outputs: Sequence[Output]) -> list[Score]:
        fill_disk()
        Cache.default().save_array("hoard", "one", np.ones(100_000))
        return super().score(outputs)
