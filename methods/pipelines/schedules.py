"""Where a rendering begins and which levels of noise it visits: pure functions of the strength.

Both models are asked for all their steps whatever the strength; a lower one puts them closer
together, between the level at which it begins and none.
"""

from __future__ import annotations

import math

# Of ACE-Step's times: more steps near the noise than near the sound.
SHIFT = 3.0


def flow_times(strength: float, steps: int, shift: float = SHIFT) -> tuple[float, ...]:
    """Times of a flow from noise (1) to sound (0), beginning at the strength; the last 0 left out.

    With t' evenly spaced, t = shift t' / (1 + (shift - 1) t'), as ACE-Step's pipeline has it from 1
    on. At time t a latent is (1 - t) of the sound and t of noise.

    Args:
        strength: In (0, 1].
        steps: How many.
        shift: At least 1; 1 spaces them evenly.

    Example:
        >>> [round(time, 3) for time in flow_times(1.0, 4)], flow_times(0.5, 2, shift=1.0)
        ([1.0, 0.9, 0.75, 0.5], (0.5, 0.25))
    """
    start = strength / (shift - (shift - 1) * strength)
    even = [start * (1 - step / steps) for step in range(steps)]
    return tuple(shift * time / (1 + (shift - 1) * time) for time in even)


def start_sigma(strength: float, highest: float) -> float:
    """The standard deviation of the noise that is added to a content of unit variance.

    The angle of sound and noise is the model's time: sigma = tan(strength pi / 2), at most the
    highest that it was trained with.

    Example:
        >>> round(start_sigma(0.5, 500.0), 6), start_sigma(1.0, 500.0)
        (1.0, 500.0)
    """
    return min(highest, math.tan(strength * math.pi / 2))
