"""What the contract promises of every method, asked of each one in the catalog.

A new method gets these tests by being registered. They run the mini profile on clips of one second
with the shortest fits and samplings, so they say nothing about quality.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench import catalog
from bench.api import (
    Audio,
    Clip,
    FitRequest,
    MethodInfo,
    Style,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.audio import resample
from bench.cache import Cache

ClipReader = Callable[[str, float], Clip]

TOLERATED_S = 0.05
SECONDS = 1.0
SHORTEST = {"steps": 2, "num_inference_steps": 3, "batch_size": 1}
# These use no randomness in `transfer`: another seed gives the same bytes.
DETERMINISTIC = {"copy-content", "copy-style", "mix"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A loaded method with everything that a transfer needs."""

    name: str
    method: StyleTransferMethod
    parameters: object
    state: StyleState
    contents: tuple[Clip, Clip]

    def transfer(
        self, *contents: Clip, seed: int = 1, state: StyleState | None = None
    ) -> list[Audio]:
        """Render contents in one batch; each request has the same seed."""
        used = self.state if state is None else state
        return self.method.transfer(
            [TransferRequest(content, used, self.parameters, seed) for content in contents]
        )


def _shortest(parameters_type: type) -> object:
    known = {field.name for field in dataclasses.fields(parameters_type)}
    return parameters_type(**{name: value for name, value in SHORTEST.items() if name in known})


def _at_rate(clip: Clip, sample_rate: int | None) -> Clip:
    if sample_rate is None:
        return clip
    return dataclasses.replace(clip, audio=resample(clip.audio, sample_rate))


def _ignore(fraction: float, text: str) -> None:
    assert 0.0 <= fraction <= 1.0
    assert isinstance(text, str)


@pytest.fixture(scope="session", params=list(catalog.methods()))
def subject(request: pytest.FixtureRequest, bundled: ClipReader) -> Subject:
    """Each method of the catalog, loaded, with one fitted style and two contents."""
    name: str = request.param
    entry = catalog.find_method(name)
    rate = catalog.describe(entry, "mini").sample_rate
    method: StyleTransferMethod = catalog.resolve(entry)()
    method.load("mini", "cpu")
    parameters = _shortest(method.Parameters)
    clips = tuple(bundled(f"style/accordion/accordion_{number}", SECONDS) for number in (1, 2))
    style = Style("accordion", tuple(_at_rate(clip, rate) for clip in clips), text="accordion")
    (state,) = method.fit([FitRequest(style, parameters, seed=1)], _ignore)
    first, second = (
        _at_rate(bundled(path, SECONDS), rate)
        for path in ("content/piano/piano_ode_to_joy", "content/flute/flute_morning_mood")
    )
    return Subject(name, method, parameters, state, (first, second))


@pytest.fixture(scope="session")
def output(subject: Subject) -> Audio:
    """The first content in the style, with seed 1."""
    (made,) = subject.transfer(subject.contents[0])
    return made


def test_the_output_is_mono_at_the_rate_of_the_content(subject: Subject, output: Audio) -> None:
    assert output.waveform.shape[0] == 1
    assert output.sample_rate == subject.contents[0].audio.sample_rate


def test_the_output_lasts_as_long_as_the_content(subject: Subject, output: Audio) -> None:
    assert abs(output.duration_s - subject.contents[0].audio.duration_s) <= TOLERATED_S


def test_the_output_is_finite_and_not_silent(output: Audio) -> None:
    assert np.isfinite(output.waveform).all()
    assert output.waveform.any()


def test_the_same_seed_gives_the_same_bytes(subject: Subject, output: Audio) -> None:
    (again,) = subject.transfer(subject.contents[0])
    assert again.digest == output.digest


def test_another_seed_gives_other_bytes_where_there_is_chance(
    subject: Subject, output: Audio
) -> None:
    (other,) = subject.transfer(subject.contents[0], seed=2)
    assert (other.digest == output.digest) == (subject.name in DETERMINISTIC)


def test_a_clip_does_not_depend_on_its_company(subject: Subject, output: Audio) -> None:
    both = subject.transfer(*subject.contents)
    difference = np.abs(both[0].waveform - output.waveform).max()
    assert difference <= 1e-3 * np.abs(output.waveform).max()


def test_outputs_come_in_the_order_of_the_requests(subject: Subject) -> None:
    first, second = subject.contents
    forward, backward = subject.transfer(first, second), subject.transfer(second, first)
    for one, other in zip(forward, reversed(backward), strict=True):
        assert np.abs(one.waveform - other.waveform).max() <= 1e-3 * np.abs(one.waveform).max()


def test_a_transfer_leaves_content_and_state_as_they_were(subject: Subject) -> None:
    content = subject.contents[0]
    digest = content.audio.digest
    arrays = {name: array.tobytes() for name, array in subject.state.arrays.items()}
    subject.transfer(content)
    assert content.audio.digest == digest
    assert {name: array.tobytes() for name, array in subject.state.arrays.items()} == arrays


def test_a_state_survives_the_disk(subject: Subject, output: Audio, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.save_state("0" * 64, subject.state, {"wall_s": 1.0})
    loaded = cache.load_state("0" * 64)
    assert loaded is not None
    (again,) = subject.transfer(subject.contents[0], state=loaded)
    assert again.digest == output.digest


def test_silence_is_taken(subject: Subject) -> None:
    content = subject.contents[0].audio
    silence = Clip("silence", "test", Audio(np.zeros_like(content.waveform), content.sample_rate))
    (made,) = subject.transfer(silence)
    assert np.isfinite(made.waveform).all()
    assert abs(made.duration_s - content.duration_s) <= TOLERATED_S


@pytest.mark.parametrize("name", list(catalog.methods()))
def test_parameters_are_frozen_and_say_their_role(name: str) -> None:
    parameters_type = catalog.resolve(catalog.find_method(name)).Parameters
    assert dataclasses.is_dataclass(parameters_type)
    assert parameters_type.__dataclass_params__.frozen
    parameters = parameters_type()
    for field in dataclasses.fields(parameters):
        assert field.metadata.get("role") in {"fit", "transfer"}, field.name


@pytest.mark.parametrize("name", list(catalog.methods()))
def test_the_catalog_says_what_a_table_needs(name: str) -> None:
    info = catalog.find_method(name).info
    assert isinstance(info, MethodInfo)
    assert info.title
    assert info.conditioned_on
    assert info.source


def test_titles_are_unique() -> None:
    titles = [entry.info.title for entry in catalog.methods().values()]
    assert len(set(titles)) == len(titles)
