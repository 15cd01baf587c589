"""What methods say of where they leave their sources, in every setting.

A departure that names its remedy, as in "(unstretch=false)", is tried: with that setting it must be
gone. So the words and the settings cannot drift apart.
"""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from bench.api import MethodInfo, Profile
from bench.plugins.catalog import find_method, method_class, methods
from bench.plugins.choices import parse_method, parse_value
from bench.plugins.parameters import make_parameters

MUSICTI_TRUNCATES = "rounded to 8 bits, where MusicTI truncates it (picture=truncated)"
# Settings beside the defaults in which something else departs.
VARIANTS = (
    "tve[variant=report]", "tve[variant=report_seq]", "tve[preset=paper]", "tve[preset=released]",
    "tve[checkpoint=x.pt,trust_checkpoint=true]",
    "tve[variant=musicti]", "tve[brs=off]", "tve[brs_grid=aligned]", "tve[width_mode=pad]",
    "tve[fit_width_mode=crop]", "tve[vae_sample=mode]", "tve[fit_vae_sample=mode]",
    "rti[preset=ti]", "rti[brs=on]", "rti[e0=style_text]", "riffusion[brs=on]",
    "riffusion[vae_sample=mode]", "riffusion[phase=content]", "tve[sampler=zeta]",
    "rti[sampler=steer]", "zeta[preset=released,z_last=keep]", "zeta[strength=0.5]",
    "zeta[backbone=audioldm2,vae_sample=sample]", "steer[backbone=audioldm2,strength=0.5]",
    "ddim-inversion[vae_sample=sample]", "sdedit[preset=full]", "steer[t_grid=999,preset=released]",
    "stylus[inversion=released,layers=every,style_clips=join]", "stylus[phase=content]",
    "style-encoder[told=row]", "style-encoder[sampler=sdedit]",
    "musicgen[top_k=3]", "musicgen-ti[melody=none]",
    "musicgen-style[use=prompt]", "musicgen-style[use=content,excerpt=middle]",
    "shallow[phase=content]", "shallow[preset=duong,num_filters=8]",
    "ssvqvae[style_clips=concatenate]", "ssvqvae[iterations=3]",
    "vggish[weights=random,thinning=16]", "cnn14[weights=random]", "musicgen@audiocraft[top_k=3]",
    "ace-step[strength=0.5,prompt=none]", "stable-audio[num_inference_steps=20]",
)  # fmt: skip
PROFILES: tuple[Profile, ...] = get_args(Profile)


def departures(text: str, profile: Profile = "mini", **changes: object) -> tuple[str, ...]:
    choice = parse_method(text)
    kind = method_class(find_method(choice.name))
    overrides: dict[str, Any] = {**choice.overrides, **changes}
    parameters: Any = make_parameters(kind.Parameters, overrides)
    return kind.departures(parameters, profile)


def info_of(name: str) -> MethodInfo:
    info = find_method(name).info
    assert isinstance(info, MethodInfo)
    return info


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("text", [*methods(), *VARIANTS])
def test_departures_are_clauses_and_their_remedies_work(text: str, profile: Profile) -> None:
    name = parse_method(text).name
    found = (*info_of(name).departures, *departures(text, profile))
    assert len(set(found)) == len(found)
    for clause in found:
        assert not re.search(r";|\.$", clause), clause
        remedy = re.search(r"\((\w+)=([\w.:]+)\)$", clause)
        if remedy:
            key, value = remedy.group(1), parse_value(remedy.group(2))
            assert clause not in departures(text, profile, **{key: value}), clause


@pytest.mark.parametrize("name", [n for n in methods() if not info_of(n).control])
def test_every_competitor_says_where_it_leaves_its_source(name: str) -> None:
    assert [*info_of(name).departures, *departures(name, "full")] != []


@pytest.mark.parametrize("name", ["tve", "rti", "musicgen", "musicgen-ti", "riffusion", "ssvqvae"])
def test_a_mini_model_is_a_departure_and_the_full_one_is_not(name: str) -> None:
    words = "one of this project, not "
    assert any(words in clause for clause in departures(name, "mini"))
    assert not any(words in clause for clause in departures(name, "full"))


@pytest.mark.parametrize("text", ["tve", "tve[preset=paper]", "tve[variant=report]", "rti"])
def test_a_rounded_picture_is_said(text: str) -> None:
    assert any(MUSICTI_TRUNCATES in clause for clause in departures(text))


@pytest.mark.parametrize(
    "text", ["tve[variant=musicti]", "tve[preset=released]", "rti[picture=truncated]"]
)
def test_musicti_asked_for_by_name_truncates_and_so_does_not_depart(text: str) -> None:
    assert not any("8 bits" in clause for clause in departures(text))


def test_the_released_settings_leave_the_released_code_where_they_cannot_follow_it() -> None:
    """With every switch of the released code set, only what has no switch is left."""
    followed = "tve[preset=released,tve_infer_dropout=true,unstretch=false,parameter_set=full]"
    left = departures(followed, "full")
    assert [clause.split(",")[0].split(":")[0] for clause in left] == [
        "on a GPU the U-Net works in 16 bits (--precision float32)",
        "fitted in 10",
        "no feed-forward layer",
        "clips more than 5 % off the window are padded",
    ]


def test_a_plan_is_compared_with_what_was_published() -> None:
    (ours,) = (clause for clause in departures("tve") if clause.startswith("fitted"))
    assert ours == (
        "fitted in 100 steps of 4 at 0.005, not 3,000 steps of 1 at 0.001 in the paper and its "
        "README or 10,000 steps of 1 at 0.005 in the shipped configuration"
    )
    (paper,) = (c for c in departures("tve[preset=paper]") if c.startswith("fitted"))
    assert paper.startswith("fitted in 3,000 steps of 1 at 0.001, not 10,000 steps")
    read = "tve[checkpoint=x.pt,trust_checkpoint=true]"
    assert not any(clause.startswith("fitted") for clause in departures(read))


def test_the_shallow_network_says_its_own_size() -> None:
    assert any("1 layers of 512 filters" in clause for clause in departures("shallow"))
    assert not any("filters" in clause for clause in departures("shallow[preset=ulyanov]"))
