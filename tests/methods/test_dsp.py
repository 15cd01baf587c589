"""The baselines of signal processing against what can be computed by other means."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from bench.api import (
    Audio,
    Clip,
    ConfigError,
    FitRequest,
    Style,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)
from methods.dsp.envelope import EnvelopeMatch, EnvelopeMatchParameters, envelope, true_envelope
from methods.dsp.equaliser import (
    EqMatch,
    EqMatchParameters,
    band_edges,
    long_term_average,
)
from methods.dsp.frames import Framing, analyse, synthesise
from methods.dsp.mosaic import Mosaic, MosaicParameters, cheapest_path, compare_by, shortfall
from tests import rounding

RATE = 22_050
KINDS = (EqMatch, EnvelopeMatch, Mosaic)


def _clip(waveform: np.ndarray, name: str = "clip") -> Clip:
    return Clip(name, "tests", Audio(waveform.astype(np.float32)[None], RATE))


def _noise(seconds: float, tilt: float, seed: int, flat_to_hz: float = 20) -> np.ndarray:
    """Noise whose power falls by 1 / frequency ** tilt above some frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * RATE)))
    shaped = spectrum * np.maximum(np.arange(len(spectrum)), flat_to_hz * seconds) ** (-tilt / 2)
    waveform = np.fft.irfft(shaped, round(seconds * RATE))
    return 0.2 * waveform / waveform.std()


def _melody(seconds: float, seed: int) -> np.ndarray:
    """Decaying tones with six harmonics, a new one every quarter of a second."""
    generator = np.random.default_rng(seed)
    note = np.arange(RATE // 4) / RATE
    tones = []
    for semitone in generator.choice(24, size=round(4 * seconds), replace=False):
        pitch = 220 * 2 ** (semitone / 12)
        tone = sum(np.sin(2 * np.pi * k * pitch * note) / k for k in range(1, 7))
        tones.append(tone * np.exp(-4 * note))
    return 0.2 * np.concatenate(tones)


def _render(
    kind: type[StyleTransferMethod], content: Clip, *style: Clip, parameters: object = None
) -> Audio:
    method = kind()
    method.load("mini", "cpu")
    used = kind.Parameters() if parameters is None else parameters
    (state,) = method.fit([FitRequest(Style("s", style), used, 1)], lambda _f, _t: None)
    (made,) = method.transfer([TransferRequest(content, state, used, 1)])
    return made


def _difference(made: Audio, wanted: Audio) -> float:
    return float(np.abs(made.waveform - wanted.waveform).max() / np.abs(wanted.waveform).max())


@pytest.mark.parametrize("kind", KINDS)
def test_a_style_matched_to_itself_stays_as_it_is(kind: type[StyleTransferMethod]) -> None:
    clip = _clip(_melody(3.1, 0))
    assert _difference(_render(kind, clip, clip), clip.audio) <= rounding.worst(8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_style_without_clips_is_declined(kind: type[StyleTransferMethod]) -> None:
    with pytest.raises(UnsupportedError, match="style 's' has 0 clips"):
        _render(kind, _clip(_melody(1, 0)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [11_025, 66_151, 271_215])
def test_the_length_is_the_contents(kind: type[StyleTransferMethod], samples: int) -> None:
    content = _clip(np.resize(_melody(3, 1), samples))
    assert _render(kind, content, _clip(_noise(1, 0, 0))).num_samples == samples


def test_frames_go_back_to_the_waveform() -> None:
    waveform = _noise(0.37, 0, 3)
    framing = Framing(256, 64)
    back = synthesise(analyse(waveform, framing), framing, len(waveform))
    norm = float(np.sqrt(framing.length) * np.abs(waveform).max())
    bound = 2 * rounding.of_fft(framing.length, scale=norm, dtype=torch.float64)
    assert np.abs(back - waveform).max() <= bound


def _third_octave_levels(waveform: np.ndarray) -> np.ndarray:
    """Levels in decibels of the ten octaves' thirds, by Welch's method: another estimate."""
    from scipy.signal import welch

    frequencies, power = welch(waveform, RATE, nperseg=8192)
    edges = band_edges(RATE)
    inside = [(frequencies >= a) & (frequencies < b) for a, b in pairwise(edges)]
    levels = 10 * np.log10([power[mask].sum() for mask in inside[4:]])
    return np.asarray(levels - levels.mean())


def test_the_output_has_the_styles_average_spectrum_in_third_octaves() -> None:
    content, style = _noise(5, 0.0, 1), _noise(4, 1.5, 2)
    made = _render(EqMatch, _clip(content), _clip(style))
    before = np.abs(_third_octave_levels(content) - _third_octave_levels(style)).max()
    after = np.abs(_third_octave_levels(made.mono) - _third_octave_levels(style)).max()
    assert before > 10
    assert after < 1


def test_an_equaliser_keeps_the_level() -> None:
    content = _noise(3, 0.0, 1)
    made = _render(EqMatch, _clip(content), _clip(_noise(3, 1.0, 2)))
    assert made.mono.std() == pytest.approx(content.std(), rel=0.02)


def test_an_output_beyond_full_scale_is_made_quieter_as_a_whole() -> None:
    clicks = 0.9 * (np.arange(2 * RATE) % 5000 == 0) + 0.3 * np.sin(np.arange(2 * RATE) / 200)
    made = _render(EqMatch, _clip(clicks), _clip(_noise(2, -1.0, 1)))
    assert float(np.abs(made.waveform).max()) == pytest.approx(1.0)


def test_several_clips_count_alike_whatever_their_level() -> None:
    content, dark, bright = _noise(3, 0.5, 1), _noise(3, 1.5, 2), _noise(3, 0.0, 3)
    loud = _render(EqMatch, _clip(content), _clip(dark), _clip(bright))
    quiet = _render(EqMatch, _clip(content), _clip(dark), _clip(0.01 * bright))
    assert _difference(quiet, loud) < 1e-3


def test_no_amount_changes_nothing_and_half_lies_between() -> None:
    content, style = _clip(_noise(2, 0.0, 1)), _clip(_noise(2, 1.0, 2))
    none, half, whole = (
        _render(EqMatch, content, style, parameters=EqMatchParameters(amount=amount))
        for amount in (0.0, 0.5, 1.0)
    )
    assert _difference(none, content.audio) <= rounding.worst(8)
    shares = [long_term_average(np.float64(a.mono), RATE) for a in (content.audio, half, whole)]
    highest = [10 * np.log10(share[-2] / share.sum()) for share in shares]
    assert highest[0] > highest[1] > highest[2]


def test_bands_are_thirds_of_octaves() -> None:
    edges = band_edges(RATE)
    assert edges[0] == 0
    assert edges[-1] == RATE / 2
    assert edges[2:-1] / edges[1:-2] == pytest.approx(np.full(len(edges) - 3, 2 ** (1 / 3)))


def test_an_envelope_lies_on_the_peaks() -> None:
    magnitude = np.abs(analyse(_melody(1, 0), Framing(2048, 512)))
    logs = np.log(np.maximum(magnitude, 1e-4 * magnitude.max()))
    curve = envelope(true_envelope(logs, 34), logs.shape[1])
    smoothed = envelope(np.fft.irfft(logs, axis=1)[:, :34], logs.shape[1])
    peaks = (np.arange(len(logs)), logs.argmax(axis=1))
    assert (curve[peaks] > smoothed[peaks] + np.log(2)).mean() > 0.9
    assert (logs > curve + np.log(2)).mean() < (logs > smoothed + np.log(2)).mean() / 2


def test_a_flat_spectrum_has_a_flat_envelope() -> None:
    logs = np.full((2, 65), -3.0)
    assert envelope(true_envelope(logs, 7), 65) == pytest.approx(logs)


def test_the_envelope_is_the_styles_and_the_pitch_the_contents() -> None:
    times = np.arange(2 * RATE) / RATE
    content = sum(np.sin(2 * np.pi * 200 * k * times) / 100 for k in range(1, 30))
    style = _noise(2, 1.5, 1, flat_to_hz=200)
    made = _render(EnvelopeMatch, _clip(content), _clip(style)).mono
    magnitude = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    at = [magnitude[400 * k - 4 : 400 * k + 5].max() for k in range(1, 25)]
    between = [magnitude[400 * k + 190 : 400 * k + 210].max() for k in range(1, 25)]
    assert np.median(np.array(at) / np.array(between)) > 50
    assert 20 * np.log10(at[1] / at[-1]) > 10
    assert made.std() == pytest.approx(content.std(), rel=0.1)


def test_the_grains_come_from_the_clip_that_plays_the_note() -> None:
    low, high = (np.sin(2 * np.pi * f * np.arange(RATE) / RATE) for f in (330.0, 1000.0))
    content = np.concatenate([high, low])
    made = _render(
        Mosaic,
        _clip(content),
        _clip(low),
        _clip(high),
        parameters=MosaicParameters(transpose_semitones=0),
    ).mono
    halves = np.split(made, 2)
    peaks = [np.abs(np.fft.rfft(half)).argmax() * RATE / len(half) for half in halves]
    assert peaks == pytest.approx([1000.0, 330.0], abs=2)


def test_transposed_grains_reach_notes_that_the_clips_lack() -> None:
    times = np.arange(RATE) / RATE
    style, content = (np.sin(2 * np.pi * f * times) for f in (440.0, 440 * 2 ** (2 / 12)))
    made = _render(Mosaic, _clip(content), _clip(style)).mono
    peak = np.abs(np.fft.rfft(made)).argmax() * RATE / len(made)
    assert peak == pytest.approx(440 * 2 ** (2 / 12), abs=2)


def test_the_cheapest_path_is_the_cheapest_of_all() -> None:
    generator = np.random.default_rng(0)
    distances, successor = generator.random((5, 4)), np.array([2, 3, -1, 1])

    def cost(path: tuple[int, ...]) -> float:
        jumps = sum(successor[a] != b for a, b in pairwise(path))
        return float(sum(distances[range(5), path]) + 0.3 * jumps)

    best = min(product(range(4), repeat=5), key=cost)
    assert cheapest_path(distances, successor, 0.3) == list(best)


@pytest.mark.parametrize("tail_db", [-100, -80, -60, -40])
def test_the_noise_of_a_quiet_tail_is_no_material(tail_db: float) -> None:
    """A style is notes and then only the noise of the recording, far longer than the notes.

    The content is noise too, which the tail is more like than any note. Rebuilt from the tail with
    the largest gain of 20 dB it is 20 dB and more too soft, rebuilt from the notes about as loud.
    """
    notes = _melody(2, 0)
    noise = _noise(8, 0.0, 1) * 10 ** (tail_db / 20) * np.abs(notes).max() / 0.2
    style, content = np.concatenate([notes + noise[: len(notes)], noise]), _noise(3, 0.0, 2)
    made = _render(Mosaic, _clip(content), _clip(style)).mono
    level_db = 20 * np.log10(made.std() / content.std())
    assert level_db > -6


def test_what_no_gain_brings_to_the_level_costs_as_much_as_it_stays_too_soft() -> None:
    asked, levels = np.array([1.0, 0.1, 0.0]), np.array([1.0, 0.1, 0.01, 0.001, 0.0])
    cost = shortfall(asked, levels)
    assert cost[:, :4] == pytest.approx(np.array([[0, 0, 1, 2], [0, 0, 0, 1], [0, 0, 0, 0]]))
    assert np.isfinite(cost).all()


def test_silent_grains_are_like_nothing() -> None:
    """By their level: 49 dB below the loudest is material, 51 dB is none."""
    levels = 10 ** (np.array([0.0, -49.0, -51.0]) / 20)
    features = compare_by(np.ones((3, 4)), levels, np.ones(4))
    assert np.linalg.norm(features, axis=1) == pytest.approx([1, 1, 0])


def test_silence_stays_silence() -> None:
    made = _render(Mosaic, _clip(np.zeros(RATE)), _clip(_melody(1, 0)))
    assert not made.waveform.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EqMatchParameters(max_gain_db=0), "max_gain_db is 0"),
        (lambda: EqMatchParameters(amount=1.1), "amount is 1.1"),
        (lambda: EnvelopeMatchParameters(quefrency_ms=50), "quefrency_ms is 50"),
        (lambda: EnvelopeMatchParameters(smoothing_s=-1), "smoothing_s is -1"),
        (lambda: MosaicParameters(grain_s=0), "grain_s is 0"),
        (lambda: MosaicParameters(continuity=-1), "continuity is -1"),
        (lambda: MosaicParameters(transpose_semitones=13), "transpose_semitones is 13"),
    ],
)
def test_parameters_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]  # the table holds callables
