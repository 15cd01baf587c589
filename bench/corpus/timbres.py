"""Procedural timbres: endless instruments, each a handful of numbers drawn from a seed.

A timbre says how one key press sounds: partials, envelope, noise, movement, and the room around
it. `bench.corpus.procedural` plays it. Families differ only in the region their numbers come from:

* `harmonic`, `inharmonic`: additive, sustained or struck;
* `fm`: one modulator (Chowning, 1973, "The synthesis of complex audio spectra by means of frequency
  modulation", equation 1);
* `string`: the plucked string of Karplus and Strong (1983), in closed form: its partials die away
  as the loop of a delay and a mean of two samples has it (Jaffe and Smith, 1983, equation 12);
* `noise`: filtered noise, also in bands that follow the pitch;
* `voice`: harmonic under three to four formants;
* `pulse`: amplitude modulation from a tremolo to a rattle, and grains;
* `chirp`: glides and whistles.

Nothing is taken from a recording, so the timbres belong to nobody (CC0).

**Conventions**: frequencies relative to the key's; rates of decay in nepers per second; times in
seconds; levels linear; a timbre is known by (seed, number), alone and in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

PARTIALS = 24
FORMANTS = 4
Numbers = NDArray[np.float64]


def _zeros(count: int) -> Callable[[], Numbers]:
    return lambda: np.zeros(count)


@dataclass(frozen=True, slots=True, eq=False)
class Timbre:
    """How a key press sounds.

    Args:
        family: A key of `FAMILIES`.
        ratio: Frequency of each partial over the key's, shape (partial,).
        level: Of each partial at the onset.
        phase: Of each partial at the onset, in cycles.
        damping: Decay of each partial.
        string: 1 where the loop of a string damps the partials as well, else 0.
        string_loss: What such a loop loses per period, in nepers.
        attack_s: Until the press is at its full level.
        decay: Rate at which the level falls from 1 to `sustain`.
        sustain: Level of a held key, 0 to 1.
        release_s: Time constant after the key is released.
        transpose: Semitones.
        glide: Relative distance from the key's frequency at the onset; fades in `glide_s`.
        glide_s: Time constant of the glide.
        chirp: Relative change of the frequency per second.
        vibrato: Relative depth.
        vibrato_hz: Its rate.
        fm_ratio: Frequency of the modulator over the key's.
        fm_index: Depth of the modulation at the onset, in radians.
        fm_decay: Rate at which the depth falls.
        noise: Share of noise in the sound, 0 to 1.
        noise_pitch: Share of the noise that lies around the key's frequency, 0 to 1.
        noise_hz: Width of that band.
        tremolo: Depth of the amplitude modulation, 0 to 1.
        tremolo_hz: Its rate.
        grain: Depth of random amplitude modulation, 0 to 1.
        grain_hz: Its rate.
        drive: Of the saturation tanh(drive x); 0 leaves it out.
        formant_hz: Centres, shape (formant,).
        formant_db: Gain at the centres; 0 leaves a formant out.
        formant_octaves: Widths.
        tilt_db: Per octave above 500 Hz.
        reverb: Share of the room, 0 to 1.
        reverb_s: Time in which the room falls by 60 dB.
    """

    family: str
    ratio: Numbers = field(default_factory=lambda: np.arange(1.0, PARTIALS + 1))
    level: Numbers = field(default_factory=_zeros(PARTIALS))
    phase: Numbers = field(default_factory=_zeros(PARTIALS))
    damping: Numbers = field(default_factory=_zeros(PARTIALS))
    string: float = 0.0
    string_loss: float = 0.0
    attack_s: float = 0.01
    decay: float = 1.0
    sustain: float = 1.0
    release_s: float = 0.05
    transpose: float = 0.0
    glide: float = 0.0
    glide_s: float = 0.1
    chirp: float = 0.0
    vibrato: float = 0.0
    vibrato_hz: float = 5.0
    fm_ratio: float = 1.0
    fm_index: float = 0.0
    fm_decay: float = 1.0
    noise: float = 0.0
    noise_pitch: float = 0.0
    noise_hz: float = 100.0
    tremolo: float = 0.0
    tremolo_hz: float = 5.0
    grain: float = 0.0
    grain_hz: float = 20.0
    drive: float = 0.0
    formant_hz: Numbers = field(default_factory=lambda: np.full(FORMANTS, 1000.0))
    formant_db: Numbers = field(default_factory=_zeros(FORMANTS))
    formant_octaves: Numbers = field(default_factory=lambda: np.ones(FORMANTS))
    tilt_db: float = 0.0
    reverb: float = 0.0
    reverb_s: float = 0.5


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw that is uniform in the logarithm: what is heard of times, rates and frequencies."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _held(rng: np.random.Generator, timbre: Timbre) -> Timbre:
    """Blown or bowed: the level stays while the key is held."""
    return replace(
        timbre,
        attack_s=_between(rng, 0.005, 0.2),
        decay=_between(rng, 1, 20),
        sustain=float(rng.uniform(0.4, 1)),
        release_s=_between(rng, 0.02, 0.4),
        vibrato=float(rng.uniform(0, 0.012)) if rng.random() < 0.5 else 0.0,
        vibrato_hz=float(rng.uniform(3.5, 7.5)),
    )


def _struck(rng: np.random.Generator, timbre: Timbre) -> Timbre:
    """Struck or plucked: the level falls from the onset on, the higher partials faster."""
    slowest, steeper = _between(rng, 0.5, 12), float(rng.uniform(0.2, 1.4))
    uneven = np.exp(rng.normal(0, 0.3, PARTIALS))
    return replace(
        timbre,
        damping=slowest * np.maximum(timbre.ratio, 0.3) ** steeper * uneven,
        attack_s=_between(rng, 0.0005, 0.01),
        release_s=_between(rng, 0.05, 2.0),
    )


def _either(rng: np.random.Generator, timbre: Timbre, struck_share: float = 0.5) -> Timbre:
    return _struck(rng, timbre) if rng.random() < struck_share else _held(rng, timbre)


def _spectrum(rng: np.random.Generator) -> Numbers:
    """Levels of partials: a slope with bumps, sometimes of the odd ones alone, with gaps."""
    number = np.arange(1, PARTIALS + 1)
    level = number ** -rng.uniform(0.3, 2.5) * np.exp(rng.normal(0, rng.uniform(0, 1.2), PARTIALS))
    if rng.random() < 0.3:
        level[1::2] *= rng.uniform(0, 0.3)
    level *= rng.random(PARTIALS) < rng.uniform(0.5, 1.3)
    level[number > _between(rng, 2, 2 * PARTIALS)] = 0
    level[0] = max(level[0], 0.1)
    return np.asarray(level / level.sum())


def _harmonic(rng: np.random.Generator) -> Timbre:
    number = np.arange(1, PARTIALS + 1)
    stiffness = _between(rng, 1e-5, 2e-3) if rng.random() < 0.4 else 0.0
    ratio = number * np.sqrt(1 + stiffness * number**2)
    return _either(rng, Timbre("harmonic", ratio=ratio, level=_spectrum(rng)))


def _inharmonic(rng: np.random.Generator) -> Timbre:
    """Bars, plates and bells: partials at growing or random distances around the key."""
    if rng.random() < 0.5:
        ratio = (np.arange(PARTIALS) + rng.uniform(0.4, 1.6)) ** rng.uniform(1.1, 2.0)
    else:
        ratio = np.cumsum(rng.uniform(0.1, 1.4, PARTIALS))
    ratio = ratio / ratio[int(rng.integers(0, 3))]
    return _either(rng, Timbre("inharmonic", ratio=ratio, level=_spectrum(rng)), 0.85)


def _fm(rng: np.random.Generator) -> Timbre:
    level = np.zeros(PARTIALS)
    level[:2] = 1, rng.uniform(0, 0.5)
    whole = rng.random() < 0.6
    ratio = float(rng.integers(1, 6)) if whole else _between(rng, 0.3, 7)
    timbre = Timbre("fm", level=level, fm_ratio=ratio, fm_index=_between(rng, 0.3, 8))
    return replace(_either(rng, timbre), fm_decay=_between(rng, 0.1, 12))


def _string(rng: np.random.Generator) -> Timbre:
    number = np.arange(1, PARTIALS + 1)
    # The noise burst of a string that is plucked at a point lacks the partials with a node there.
    plucked = np.abs(np.sin(np.pi * number * rng.uniform(0.05, 0.5)))
    level = plucked * rng.rayleigh(1, PARTIALS) * number ** -rng.uniform(0, 1)
    return Timbre(
        "string",
        level=level / level.sum(),
        string=1.0,
        string_loss=_between(rng, 5e-4, 2e-2),
        attack_s=0.001,
        release_s=_between(rng, 0.03, 0.5),
    )


def _noise(rng: np.random.Generator) -> Timbre:
    timbre = _either(rng, Timbre("noise", level=_spectrum(rng)))
    return replace(
        timbre,
        decay=_between(rng, 1, 40),
        sustain=float(rng.uniform(0, 1)),
        noise=float(rng.uniform(0.6, 1)),
        noise_pitch=float(rng.uniform(0, 1)),
        noise_hz=_between(rng, 20, 1500),
        transpose=float(rng.uniform(-24, 24)),
    )


def _voice(rng: np.random.Generator) -> Timbre:
    slope = rng.uniform(0.6, 1.6)
    level = np.arange(1.0, PARTIALS + 1) ** -slope
    centres = [_between(rng, *edges) for edges in ((250, 900), (800, 2400), (2200, 3400))]
    timbre = Timbre("voice", level=level / level.sum(), transpose=float(rng.choice([-12, 0, 0])))
    return replace(
        _held(rng, timbre),
        formant_hz=np.array([*centres, _between(rng, 3200, 4800)]),
        formant_db=rng.uniform(8, 28, FORMANTS),
        formant_octaves=rng.uniform(0.15, 0.5, FORMANTS),
        noise=float(rng.uniform(0, 0.3)),
    )


def _pulse(rng: np.random.Generator) -> Timbre:
    timbre = replace(_either(rng, Timbre("pulse", level=_spectrum(rng))), sustain=1.0)
    return replace(
        timbre,
        tremolo=float(rng.uniform(0.4, 1)),
        tremolo_hz=_between(rng, 3, 90),
        grain=float(rng.uniform(0, 1)),
        grain_hz=_between(rng, 5, 300),
        noise=float(rng.choice([0, rng.uniform(0, 1)])),
    )


def _chirp(rng: np.random.Generator) -> Timbre:
    level = np.zeros(PARTIALS)
    level[:3] = 1, rng.uniform(0, 0.4), rng.uniform(0, 0.2)
    return replace(
        _held(rng, Timbre("chirp", level=level)),
        transpose=float(rng.uniform(-12, 36)),
        glide=float(rng.uniform(-0.6, 1.0)),
        glide_s=_between(rng, 0.02, 0.5),
        chirp=float(rng.uniform(-0.6, 1.5)),
        vibrato=float(rng.uniform(0, 0.1)),
        vibrato_hz=_between(rng, 4, 40),
    )


FAMILIES: dict[str, Callable[[np.random.Generator], Timbre]] = {
    "harmonic": _harmonic,
    "inharmonic": _inharmonic,
    "fm": _fm,
    "string": _string,
    "noise": _noise,
    "voice": _voice,
    "pulse": _pulse,
    "chirp": _chirp,
}


def _placed(rng: np.random.Generator, timbre: Timbre) -> Timbre:
    """What any timbre may have besides: a breath, a filter, an overdriven amplifier, a room."""
    if timbre.family != "voice" and rng.random() < 0.6:
        present = rng.random(FORMANTS) < 0.5
        timbre = replace(
            timbre,
            formant_hz=np.array([_between(rng, 120, 7000) for _ in range(FORMANTS)]),
            formant_db=rng.uniform(-15, 15, FORMANTS) * present,
            formant_octaves=rng.uniform(0.2, 1.5, FORMANTS),
        )
    breath = rng.random() < 0.3
    return replace(
        timbre,
        phase=rng.random(PARTIALS),
        noise=max(timbre.noise, float(rng.uniform(0, 0.15)) if breath else 0.0),
        drive=_between(rng, 0.5, 12) if rng.random() < 0.25 else 0.0,
        tilt_db=float(rng.uniform(-6, 3)),
        reverb=float(rng.uniform(0.05, 0.6)) if rng.random() < 0.5 else 0.0,
        reverb_s=_between(rng, 0.15, 2.5),
    )


def draw_timbre(seed: int, number: int) -> Timbre:
    """The timbre of that number in the endless list of a seed.

    Args:
        seed: 0 or more; another seed is another list.
        number: 0 or more; families take turns.

    Example:
        >>> [draw_timbre(1, number).family for number in (0, 3, 8)]
        ['harmonic', 'string', 'harmonic']
    """
    rng = np.random.default_rng((seed, number))
    families = list(FAMILIES.values())
    return _placed(rng, families[number % len(families)](rng))
