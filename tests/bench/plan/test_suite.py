"""Suites: the bundled ones, deriving from them, and what a broken one is told."""

import re
from collections import Counter
from pathlib import Path

import pytest

from bench.api import ConfigError, UnknownNameError
from bench.checkout import CHECKOUT
from bench.data.cards import datasets, load_dataset
from bench.gate.snapshot import read_snapshot
from bench.plan.suite import CONTROLS, default_suite, derive, load_suite, suites
from bench.records.sameness import setting, suite_digest

MINIMAL = """
schema_version = 1
name = "own"
dataset = "mini"
profile = "mini"
methods = ["tve"]
"""


def own(folder: Path, addition: str = "") -> str:
    path = folder / "own.toml"
    path.write_text(MINIMAL + addition, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "name", ["mini", "mini-full", "table1", "table2", "table2-all", "table2-2026"]
)
def test_a_bundled_suite_loads_and_has_every_control(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.description
    labels = [choice.label for choice in suite.choices]
    assert labels[-len(CONTROLS) :] == list(CONTROLS)
    assert suite.dataset in datasets()


def test_the_mini_suites_have_their_sizes() -> None:
    dataset = load_dataset("mini")
    mini, full = load_suite("mini"), load_suite("mini-full")
    assert (mini.styles, mini.contents, mini.seeds) == (("accordion", "kalimba", "bells"), 4, 1)
    assert (full.styles, full.contents, full.seeds) == (None, None, 3)
    assert (len(dataset.styles), len(dataset.contents)) == (4, 8)


def test_table2_has_the_settings_of_the_report() -> None:
    styles = load_suite("table2").parameters["tve"]["styles"]
    settings = {name: (s["guidance_scale"], s["strength"]) for name, s in styles.items()}
    assert settings == {"accordion": (4.5, 0.6), "bird": (3.5, 0.45), "chime": (3.5, 0.45)}
    assert load_suite("table2-all").style_clips == "all"


def test_the_field_of_2026_has_a_curve_for_each_method() -> None:
    suite = load_suite("table2-2026")
    choices = suite.choices[: -len(CONTROLS)]
    curves = Counter((choice.name, choice.overrides.get("sampler")) for choice in choices)
    edits = {"zeta", "ddim-inversion", "sdedit", "steer", "stylus"}
    others = {"tve", "rti", "musicgen", "riffusion", "ace-step", "stable-audio"}
    alone = {(name, None) for name in others | edits}
    assert set(curves) == {*alone, ("tve", "zeta"), ("tve", "steer")}
    assert min(curves.values()) >= 4
    assert suite.family is not None
    labels = {choice.label for choice in choices}
    assert {label for pair in suite.family.pairs for label in pair} <= labels


def test_no_two_suites_share_a_digest() -> None:
    assert len({load_suite(name).digest for name in suites()}) == len(suites())


def test_digests_are_those_that_records_and_baselines_hold() -> None:
    assert load_suite("mini").digest.startswith("0c2b0114ca2bf76c0fbe2f51e236a272")
    baseline = read_snapshot(CHECKOUT / "tests" / "regression" / "baseline.json")
    assert load_suite(baseline.suite_name).digest == baseline.suite_digest


def test_a_suite_is_recorded_as_ever() -> None:
    """Runs of before can be extended: the recorded setting still has the retired key."""
    suite = load_suite("mini")
    assert suite.recorded == {**suite.model_dump(mode="json"), "normalisation": "none"}
    assert suite_digest(suite.recorded) == suite.digest


def test_the_digest_ignores_the_description_only(tmp_path: Path) -> None:
    first = load_suite(own(tmp_path)).digest
    assert load_suite(own(tmp_path, 'description = "x"\n')).digest == first
    assert load_suite(own(tmp_path, "seeds = 2\n")).digest != first
    assert load_suite(own(tmp_path, "seeds = 1\n")).digest == first


def test_a_derived_suite_says_what_was_changed() -> None:
    mini = load_suite("mini")
    derived = derive(mini, contents=2, methods=["rti"], seeds=None)
    assert derived.name == "mini+contents=2+methods"
    assert (derived.contents, derived.methods, derived.seeds) == (2, ("rti",), 1)
    assert derived.digest != mini.digest


def test_nothing_changed_means_the_same_suite() -> None:
    mini = load_suite("mini")
    assert derive(mini, contents=4, styles=["accordion", "kalimba", "bells"], seeds=None) is mini


def test_a_method_that_is_also_a_control_runs_once() -> None:
    suite = derive(load_suite("mini"), methods=["vocoder", "tve"])
    labels = [choice.label for choice in suite.choices]
    assert labels[:2] == ["vocoder", "tve"]
    assert len(labels) == len(set(labels)) == 8


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("sedes = 2\n", "key 'sedes' is not known. Did you mean 'seeds'"),
        ("seeds = '2'\n", "seeds is '2'"),
        ("seeds = 0\n", "seeds is 0"),
        ("style_clips = 'half'\n", "style_clips is 'half'"),
        ("duration_s = 0.1\n", r"duration_s is 0\.1"),
    ],
)
def test_a_broken_suite_names_the_key(tmp_path: Path, addition: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_suite(own(tmp_path, addition))


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("metrics = ['cpp']\n", "metric 'cpp' is not in the catalog.*mean 'cp'"),
        ("controls = ['nois']\n", "control 'nois' is not in the catalog.*mean 'noise'"),
        ("[parameters.tv]\nstrength = 0.5\n", "method 'tv' is not in the catalog.*mean 'tve'"),
    ],
)
def test_a_name_that_no_catalog_knows_is_refused(
    tmp_path: Path, addition: str, message: str
) -> None:
    with pytest.raises(UnknownNameError, match=message):
        load_suite(own(tmp_path, addition))


def test_an_unknown_suite_or_key_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"suite 'tabel2' is not known.*mean 'table2"):
        load_suite("tabel2")
    with pytest.raises(UnknownNameError, match=r"no 'contnts'.*mean 'contents'"):
        derive(load_suite("mini"), contnts=2)


@pytest.mark.parametrize(("cuda", "name"), [(True, "table2"), (False, "mini")])
def test_the_default_suite_follows_the_machine(cuda: bool, name: str) -> None:
    chosen, why = default_suite(cuda)
    assert chosen == name
    assert "CUDA" in why


def test_a_family_is_declared_before_the_run_and_stands_in_the_digest(tmp_path: Path) -> None:
    plain = load_suite(own(tmp_path))
    declared = '[family]\npairs = [["tve", "rti"]]\nmetrics = ["cp"]\n'
    suite = load_suite(own(tmp_path, declared))
    assert suite.family is not None
    assert suite.family.pairs == (("tve", "rti"),)
    assert suite.digest != plain.digest
    assert derive(suite, seeds=2).family == suite.family


def test_a_family_of_unknown_metrics_is_refused(tmp_path: Path) -> None:
    declared = '[family]\npairs = [["tve", "rti"]]\nmetrics = ["cpp"]\n'
    with pytest.raises(UnknownNameError, match="'cpp' is not in the catalog"):
        load_suite(own(tmp_path, declared))


def test_what_the_gate_may_ask_stands_in_the_suite_and_not_in_its_digest(tmp_path: Path) -> None:
    plain = load_suite(own(tmp_path))
    asking = load_suite(own(tmp_path, "[gate]\nleast_drop = 0.5\n"))
    assert (plain.gate.least_drop, asking.gate.least_drop) == (0.2, 0.5)
    assert asking.digest == plain.digest
    assert asking.recorded["gate"] == {"least_drop": 0.5}
    assert setting(asking.recorded) == setting(plain.recorded)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("least_drop = 0", "greater than 0"),
        ("least_drop = -0.2", "greater than 0"),
        ("least_drop = 1.5", "less than or equal to 1"),
        ("least_drop = nan", "gate.least_drop is nan"),
        ('least_drop = "0.2"', "valid number"),
        ("least_drop = true", "valid number"),
        ("leastdrop = 0.2", "Did you mean 'least_drop'"),
    ],
)
def test_what_the_gate_may_ask_is_a_share_of_a_range(tmp_path: Path, line: str, said: str) -> None:
    path = own(tmp_path, f"[gate]\n{line}\n")
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        load_suite(path)
    row = 1 + Path(path).read_text().splitlines().index(line)
    assert f":{row}: " in str(caught.value) or f":{row - 1}: " in str(caught.value)
