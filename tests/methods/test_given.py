"""What the settings of a method make it hear, as tables say it beside its scores.

That no method hears what it does not say is asked of its sound (`tests/contracts/test_methods.py`);
here it is asked what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import pytest

from bench.api import Conditioning
from bench.conformance.checks import run_check
from bench.conformance.method_checks import METHOD_CHECKS
from bench.conformance.method_subject import MethodSubject
from bench.counts import Passes, passes_of
from bench.description import given_of
from bench.plan.plan import info_as_set
from bench.plugins import catalog
from bench.plugins.choices import parse_method

BOTH = "style audio, content audio"
GIVEN = {
    "tve": BOTH,
    "tve[e0=style_text]": "style audio, style text, content audio",
    "tve[sampler=steer,contrast_weight=3]": BOTH,
    "tve[sampler=steer,plain_weight=0.05]": "style audio, style text, content audio",
    "rti[e0=init_word:piano]": BOTH,
    "rti[e0=style_text]": "style audio, style text, content audio",
    "style-encoder[sampler=steer,plain_weight=0.05]": "style audio, style text, content audio",
    "musicgen-ti": "style audio, melody",
    "musicgen-ti[melody=none]": "style audio",
    "musicgen-style": "style audio",
    "musicgen-style[use=prompt]": BOTH,
    "musicgen-style[use=content]": "style text, content audio",
    "zeta": "style text, content audio",
    "zeta[source_prompt=piano]": "style text, content audio, content text",
    "ddim-inversion[source_prompt=piano]": "style text, content audio, content text",
    "steer[source_prompt=piano]": "style text, content audio, content text",
    "ace-step": "style audio, style text, content audio",
    "ace-step[prompt=none]": BOTH,
}


@pytest.mark.parametrize("text", GIVEN)
def test_settings_say_what_they_give_to_a_method(text: str) -> None:
    said = info_as_set(parse_method(text)).conditioned_on
    assert ", ".join(said) == GIVEN[text]
    assert set(said) <= set(get_args(Conditioning))


@dataclass(frozen=True)
class Fields:
    """Parameters that are called as what may be asked of parameters."""

    given: bool = True
    passes: int = 3


def test_a_field_of_that_name_says_nothing() -> None:
    assert given_of(Fields(), ("melody",)) == ("melody",)
    assert passes_of(Fields()) == Passes()


@pytest.mark.parametrize("text", ["rti[e0=init_word:piano]", "musicgen-ti[melody=none]"])
def test_what_settings_take_away_changes_nothing(text: str) -> None:
    choice = parse_method(text)
    subject = MethodSubject(text, catalog.find_method(choice.name), overrides=choice.overrides)
    (check,) = (one for one in METHOD_CHECKS if one.name.startswith("what INFO does not name"))
    assert run_check(check, subject).status == "passed"
