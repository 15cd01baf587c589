"""The command `check`: each broken promise fails its own check, kept promises pass."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.api import ConfigError, UnknownNameError
from bench.cli.main import cli
from bench.conformance.checks import CheckStatus, Outcome
from bench.conformance.examine import examine, line, outcomes_here, summary, wanted
from bench.conformance.method_checks import METHOD_CHECKS
from bench.conformance.metric_checks import METRIC_CHECKS

BROKEN = Path(__file__).with_name("broken.py")
TOYS = Path(__file__).parents[1] / "toys.py"

SAME_BYTES = "the same seed gives the same bytes"
COMPANY = "a clip does not depend on its company"
ORDER = "outputs come in the order of the requests"
UNTOLD = "what INFO does not name changes nothing"
DISK = "a state survives the disk"
FORM = "the output is mono, finite, and has the content's rate and length"
AROUND = "the working directory and global generators are left as they were"
NO_NUMBER = {
    f"an output {fault} has no number"
    for fault in ("with NaN", "with infinity", "without samples", "of half the length")
}


def outcomes(name: str, file: Path = BROKEN) -> list[Outcome]:
    """What the checks find, made in this process, which saves starting another for each class."""
    return list(outcomes_here(wanted(f"{file}:{name}", "mini", "cpu")))


def named(found: list[Outcome], status: CheckStatus) -> set[str]:
    return {outcome.name for outcome in found if outcome.status == status}


@pytest.mark.parametrize("name", ["Good", "GoodMetric"])
def test_what_keeps_the_contract_passes_every_check(name: str) -> None:
    found = outcomes(name)
    assert {outcome.status for outcome in found} == {"passed"}
    assert len(found) == len(METHOD_CHECKS if name == "Good" else METRIC_CHECKS)


def test_a_method_that_draws_nothing_and_says_little_is_not_failed_for_it() -> None:
    found = outcomes("Gain", TOYS)
    assert not named(found, "failed")
    assert named(found, "n.a.") == {
        "it says what a table needs",
        "another seed gives other bytes",
        UNTOLD,
    }


def test_settings_under_which_a_method_draws_nothing_are_not_failed_for_it() -> None:
    found = outcomes("Undrawn[share=0.1]")
    assert named(found, "n.a.") == {"another seed gives other bytes"}
    assert not named(found, "failed")


@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("Wordy", {"departures are clauses of text"}),
        ("Percent", {"progress is told fractions in [0, 1]"}),
        (
            "UnseededFit",
            {"the same seed learns the same", "a style does not depend on those learnt with it"},
        ),
        ("SharedFit", {"a style does not depend on those learnt with it"}),
        ("Mute", {"the output is not silent"}),
        ("Undrawn", {"another seed gives other bytes"}),
        ("Overdrawn", {"another seed gives other bytes"}),
        ("UnseededTransfer", {SAME_BYTES, COMPANY, ORDER, DISK}),
        ("LevelOfTheBatch", {COMPANY}),
        ("Sorted", {COMPANY, ORDER}),
        ("ByName", {UNTOLD}),
        ("Overhearing", {UNTOLD}),
        ("Stateful", {DISK}),
        ("Normalising", {"silence is taken"}),
        ("LongWindow", {"half a second is taken"}),
        ("FixedRate", {"content of an odd rate comes back at that rate and length"}),
        ("Wandering", {AROUND}),
        ("Sowing", {AROUND}),
        (
            "Gambling",
            {
                "the same output scores the same again",
                "a score does not depend on order or company",
            },
        ),
        ("Ranking", {"a score does not depend on order or company"}),
        ("Percentage", {"values lie in the declared range"}),
        ("Misnamed", {"scores carry its name in the catalog"}),
        ("FondOfSilence", {"silence scores nothing and says so"}),
        ("Trusting", NO_NUMBER),
        ("MonoOnly", {"stereo content is taken"}),
        ("UsualRates", {"content of an odd rate is taken"}),
        ("Drifting", {"the fingerprint is JSON and stays"}),
    ],
)
def test_a_broken_promise_fails_its_own_check(name: str, fails: set[str]) -> None:
    assert named(outcomes(name), "failed") == fails


def test_what_is_followed_unsaid_is_named() -> None:
    (outcome,) = (one for one in outcomes("Overhearing") if one.name == UNTOLD)
    assert outcome.reason.startswith(
        "the sound changes with the style's clips and the content; INFO says it is given style text"
    )


def test_an_input_that_is_written_to_is_named() -> None:
    (outcome,) = (one for one in outcomes("InPlace") if one.name == "inputs are left as they were")
    assert outcome.status == "failed"
    assert "transfer wrote to content 'piano_ode_to_joy'" in outcome.reason


ROLES = "parameters are frozen and say their role"
SCORES = "ordinary outputs get one score each"
METHOD_NAMES = [check.name for check in METHOD_CHECKS]
METRIC_NAMES = [check.name for check in METRIC_CHECKS]
LIKE_THE_FORM = {
    "silence is taken",
    "half a second is taken",
    "content of an odd rate comes back at that rate and length",
}
WITHOUT_SCORES = {
    "no output gives no score",
    "the fingerprint is JSON and stays",
    "inputs are left as they were",
    AROUND,
    "what it reads is part of its identity",
}


def after(name: str, names: list[str] = METHOD_NAMES) -> set[str]:
    return set(names[names.index(name) + 1 :])


NEED_SCORES = after(SCORES, METRIC_NAMES) - WITHOUT_SCORES


@pytest.mark.parametrize(
    ("name", "broken", "reason", "untried"),
    [
        (
            "Unfinished", "it implements the contract", "does not implement fit, transfer",
            after("it implements the contract"),
        ),
        ("ThawedParameters", ROLES, "not a frozen dataclass", set()),
        ("RolelessParameters", ROLES, "share of Parameters", set()),
        ("Unloadable", "it loads", "ImportError: no module named antimatter", after("it loads")),
        (
            "Forgetful", "it learns a style", "fit returned a list of 0 for 1",
            after("it learns a style"),
        ),
        ("Raising", FORM, "ZeroDivisionError: division by zero", after(FORM)),
        ("Stereo", FORM, "2 channels, not 1", LIKE_THE_FORM),
        ("Short", FORM, "0.500 s, not 1.000 s", LIKE_THE_FORM),
        ("NotANumber", FORM, "NaN or infinite samples", LIKE_THE_FORM),
        ("TooFew", SCORES, "a list of 1 for 3 outputs", NEED_SCORES),
        ("Bare", SCORES, ", not a Score", NEED_SCORES),
        ("Endless", SCORES, "a finite real number", NEED_SCORES),
        (
            "Unscorable", SCORES, "KeyError: 'weights'",
            after(SCORES, METRIC_NAMES) - {"no output gives no score"},
        ),
    ],
)  # fmt: skip
def test_what_broke_costs_the_checks_that_need_it_and_no_others(
    name: str, broken: str, reason: str, untried: set[str]
) -> None:
    found = outcomes(name)
    (failed,) = (outcome for outcome in found if outcome.status == "failed")
    assert failed.name == broken
    assert reason in failed.reason
    not_tried = f"not tried: {broken!r} did not pass"
    assert {outcome.name for outcome in found if outcome.reason == not_tried} == untried


@pytest.mark.parametrize(
    ("name", "line", "function"),
    [
        ("Unloadable", 'raise ImportError("no module named antimatter")', "load"),
        ("Raising", "shift = 1 / int(audio.waveform.shape[0] == 2)", "render"),
        ("LongWindow", 'raise ValueError("a window has 1 s")', "render"),
        ("Unscorable", 'return Score("level", self.learnt["weights"])', "one"),
    ],
)
def test_a_fault_comes_with_its_file_and_line(name: str, line: str, function: str) -> None:
    """The last line of the plug-in's own, whoever raised below it, as seen from here."""
    numbers = [
        number
        for number, text in enumerate(BROKEN.read_text("utf-8").splitlines(), start=1)
        if text.strip() == line
    ]
    (failed,) = (outcome for outcome in outcomes(name) if outcome.status == "failed")
    shown = os.path.relpath(BROKEN)
    assert failed.reason.endswith(f"({shown}:{numbers[0]}, in {function})")


def test_a_file_that_cannot_be_imported_comes_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "unfit.py"
    file.write_text("import numpy\n\n\nvalue = numpy.nothing\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"no attribute 'nothing'; {file}:4\)"):
        examine(f"{file}:Mine", "mini", "cpu")


def test_a_failed_check_is_followed_by_what_a_waveform_is() -> None:
    found = outcomes("Stereo")
    before, last = summary(found).splitlines()
    assert "1 failed" in before
    assert "float32 with the axes (channel, sample)" in last
    (failed,) = (one for one in found if one.status == "failed")
    assert "(channel, sample)" in failed.reason


def test_parameters_can_be_set_as_in_a_run() -> None:
    found = outcomes("Good[share=0.1]")
    assert not named(found, "failed")
    (failed,) = (outcome for outcome in outcomes("Good[sharre=0.1]") if outcome.status == "failed")
    assert "parameter 'sharre' is not known" in failed.reason


def test_the_command_lists_the_checks_and_tells_by_its_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, code in (("copy-content", "0"), (f"{BROKEN}:Mute", "5")):
        with pytest.raises(SystemExit, match=code):
            cli.main(["check", name], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "method copy-content, profile mini on cpu"
    assert "passed  a state survives the disk" in lines
    assert "failed  the output is not silent: the output of an ordinary content is silent. " in (
        "\n".join(lines)
    )
    assert f"{len(METHOD_CHECKS) - 1} passed, 0 failed, 1 n.a." in lines
    assert lines[-2:] == summary(outcomes("Mute")).splitlines()


QUITTERS = """
import os, sys
from pathlib import Path
import numpy as np
from bench.api import *

class Leaves(StyleTransferMethod[NoParameters]):
    INFO = MethodInfo("Leaves", ("content audio",), False, "here", deterministic=True)
    def load(self, profile, device): pass
    def fit(self, requests, progress): return [StyleState() for _ in requests]
    def transfer(self, requests): sys.exit(0)

class Reads(Leaves):
    def load(self, profile, device): self.level = float(Path(__file__ + ".txt").read_text())
    def transfer(self, requests):
        return [self.render(request.content.audio) for request in requests]
    def render(self, audio):
        return Audio(audio.waveform * np.float32(self.level), audio.sample_rate)

class Declares(Reads):
    @classmethod
    def describe(cls, profile): return ProfileInfo(weights=("quitters.py.txt",))

class Quits(Leaves):
    def fit(self, requests, progress): os._exit(0)

class QuitsLate(Leaves):
    def transfer(self, requests): os.kill(os.getpid(), 9)

class Stays(Metric):
    INFO = MetricInfo("Stays", Direction.MAXIMIZE, (0.0, 1.0), source="here")
    def load(self, profile, device): os._exit(0)
    def score(self, outputs): return []
    def fingerprint(self): return {}
"""


def write_quitters(folder: Path) -> None:
    (folder / "quitters.py").write_text(QUITTERS, encoding="utf-8")
    (folder / "quitters.py.txt").write_text("0.5", encoding="utf-8")


def test_weights_that_are_declared_may_be_read(tmp_path: Path) -> None:
    write_quitters(tmp_path)
    assert not named(outcomes("Declares", tmp_path / "quitters.py"), "failed")


@pytest.mark.parametrize(
    ("name", "check", "reason"),
    [
        ("Leaves", FORM, "SystemExit: 0"),
        ("Quits", "it learns a style", "the process of the checks ended with exit code 0"),
        ("QuitsLate", FORM, "the process of the checks was ended by SIGKILL"),
        ("Stays", "it loads", "the process of the checks ended with exit code 0"),
        ("Reads", "what it reads is part of its identity", "it reads quitters.py.txt, which is"),
    ],
)
def test_what_happens_in_its_process_fails_the_check_that_it_was_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, check: str, reason: str
) -> None:
    write_quitters(tmp_path)
    with pytest.raises(SystemExit, match="5"):
        cli.main(["check", f"{tmp_path}/quitters.py:{name}"], standalone_mode=False)
    printed = capsys.readouterr().out
    (line,) = (one for one in printed.splitlines() if one.startswith("failed"))
    assert line.startswith(f"failed  {check}: {reason}")
    assert f"1 failed, {printed.count('n.a.  ')} n.a." in printed


def test_a_name_that_is_neither_method_nor_metric_comes_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"neither a method .*nor a metric .*chroma"):
        examine("chrome", "mini", "cpu")
    with pytest.raises(ConfigError, match=r"Neither is neither a method nor a metric; it must"):
        examine(f"{BROKEN}:Neither", "mini", "cpu")


@pytest.mark.parametrize(("share", "words"), [("1", ": the largest peak is "), ("0", "")])
def test_a_peak_beyond_full_scale_passes_and_is_said(share: str, words: str) -> None:
    found = outcomes(f"Loud[share={share}]")
    (outcome,) = (one for one in found if one.name == "outputs keep their own level")
    assert outcome.status == "passed"
    assert line(outcome).startswith(f"passed  outputs keep their own level{words}")
    beyond = "beyond full scale: an integer file would clip it"
    assert outcome.reason.endswith(beyond) == bool(words)


TWICE = (
    QUITTERS
    + """
class QuitsTwice(Leaves):
    def transfer(self, requests):
        contents = [request.content.audio for request in requests]
        if any(not audio.waveform.any() or audio.duration_s < 1 for audio in contents):
            os._exit(3)
        return contents
"""
)


def test_what_ends_its_process_in_one_check_is_asked_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On silence it leaves; in a second process also on half a second, and then it is let be."""
    (tmp_path / "twice.py").write_text(TWICE, encoding="utf-8")
    with pytest.raises(SystemExit, match="5"):
        cli.main(["check", f"{tmp_path}/twice.py:QuitsTwice"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    ended = "the process of the checks ended with exit code 3"
    assert f"failed  silence is taken: {ended}" in lines
    again = f"n.a.    half a second is taken: not tried again: here too {ended}"
    assert lines[lines.index(f"failed  silence is taken: {ended}") + 1] == again
    assert sum("the process had ended" in line for line in lines) == len(
        after("half a second is taken")
    )
