"""Numbers and lists on the command line and in suites: finite, within a range, each name once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from bench.api import BenchError, ConfigError
from bench.cli.main import COMMANDS, cli
from bench.cli.options import Place, Seconds
from bench.plan.suite import load_suite
from bench.plugins.choices import parse_methods
from bench.plugins.parameters import make_parameters
from bench.run.request import RunRequest, prepare

SUITE = """
name = "own"
dataset = "mini"
profile = "mini"
methods = ["copy-content"]
"""


@dataclass(frozen=True)
class Settings:
    """Parameters of a method."""

    strength: float = field(default=0.5, metadata={"role": "transfer"})
    steps: int = field(default=10, metadata={"role": "fit"})


def numeric() -> list[tuple[tuple[str, ...], str]]:
    """Every option that takes a number, with the words of its command."""
    found = []
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((c.name or "",), c) for c in COMMANDS]
    while waiting:
        words, command = waiting.pop()
        if isinstance(command, click.Group):
            waiting += [((*words, name), inner) for name, inner in command.commands.items()]
        for option in command.params:
            if isinstance(option.type, click.IntRange | click.FloatRange):
                found += [(words, option.opts[0])]
    return found


def test_there_are_options_to_try() -> None:
    assert {option for _, option in numeric()} >= {"--start", "--duration", "--timeout", "--seeds"}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "-1", "9" * 5000, "1e7"])
@pytest.mark.parametrize(("words", "option"), numeric())
def test_every_number_is_finite_and_in_a_range(
    words: tuple[str, ...], option: str, value: str
) -> None:
    with pytest.raises(click.BadParameter, match=rf"{option}|{value[:20]}|not in the range|finite"):
        cli.main([*words, option, value], standalone_mode=False)


@pytest.mark.parametrize("value", ["nan", "-nan", "inf", "Infinity", "1e999", "9" * 5000])
def test_a_parameter_is_finite(value: str) -> None:
    (choice,) = parse_methods(f"tve[strength={value}]")
    with pytest.raises(ConfigError, match=r"parameter strength is .*; numbers are finite.*Give"):
        make_parameters(Settings, choice.overrides)


def test_a_whole_number_that_no_tensor_holds_is_refused() -> None:
    (choice,) = parse_methods(f"tve[steps={1 << 63}]")
    with pytest.raises(ConfigError, match=r"parameter steps is 9223372036854775808; "):
        make_parameters(Settings, choice.overrides)


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("metrics = ['cp', 'cp']", r"own\.toml:6: metrics is .*'cp' stands twice"),
        ("controls = ['mix', 'noise', 'mix']", r"own\.toml:6: controls .*'mix' stands twice"),
        ("styles = ['bells', 'bells']", r"own\.toml:6: styles .*'bells' stands twice"),
        ("contents = ['a', 'a']", r"own\.toml:6: contents is .*'a' stands twice"),
        ("duration_s = inf", r"own\.toml:6: duration_s is inf; numbers are finite"),
        ("duration_s = 1e7", r"own\.toml:6: duration_s is 10000000\.0"),
        ("seeds = 1000000000", r"own\.toml:6: seeds is 1000000000"),
        ("contents = 9999999999", r"own\.toml:6: contents is 9999999999"),
        ("base_seed = 99999999999999999999", r"own\.toml:6: base_seed has more than 19 digits"),
        ("[parameters.tve]\nstrength = nan", r"own\.toml:7: parameters\.tve\.strength is nan"),
        (
            "[family]\npairs = [['a', 'b']]\nmetrics = ['cp', 'cp']",
            r"own\.toml:8: family\.metrics .*'cp' stands twice",
        ),
    ],
)
def test_a_suite_has_finite_numbers_and_each_name_once(
    tmp_path: Path, addition: str, message: str
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f"{SUITE}{addition}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_suite(str(path))


@pytest.mark.parametrize("option", ["metrics", "methods", "styles", "contents"])
def test_a_name_given_twice_is_refused(option: str) -> None:
    name = {"metrics": "cp", "methods": "mix", "styles": "bells", "contents": "piano_ode_to_joy"}
    asked = {"methods": "copy-content", option: f"{name[option]}, {name[option]}"}
    with pytest.raises(BenchError, match=f"{name[option]}' (stands )?twice"):
        prepare(RunRequest(suite="mini", device="cpu", **asked))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("contents", ["²", "٣", "1_0", "0x2", "+1"])
def test_a_number_of_contents_is_written_in_digits(contents: str) -> None:
    with pytest.raises(BenchError, match="is not known"):
        prepare(RunRequest(suite="mini", methods="copy-content", device="cpu", contents=contents))


@pytest.mark.parametrize("contents", ["0", "9", "9" * 5000])
def test_a_number_of_contents_is_one_that_there_is(contents: str) -> None:
    with pytest.raises(ConfigError, match=r"contents is (0|9)"):
        prepare(RunRequest(suite="mini", methods="copy-content", device="cpu", contents=contents))


def test_a_plan_that_no_machine_could_hold_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"1000000 seeds give \d+ cells; .* at most 1000000"):
        prepare(RunRequest(suite="mini", device="cpu", seeds=1_000_000))
    sweep = ",".join(f"p{n}=0|1|2|3|4|5|6|7|8|9" for n in range(30))
    with pytest.raises(ConfigError, match="variants; at most 1000"):
        parse_methods(f"mix[{sweep}]")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("65", 65.0),
        ("65.5", 65.5),
        ("1:05", 65.0),
        ("1:05.5", 65.5),
        ("01:05", 65.0),
        ("0:00.5", 0.5),
        ("90:00", 5400.0),
        ("1:02:03", 3723.0),
        ("1:02:03.25", 3723.25),
        ("1:05.1", 65.1),  # the nearest double of 65.1, as if that had been written
    ],
)
def test_a_place_in_a_piece_may_be_a_time_of_the_clock(text: str, seconds: float) -> None:
    assert Place(0).convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text", ["1:60", "1:5", "1:60:00", "1:2:03", ":05", "1:", "1:05:", "-1:05", "1:-5", "1:05e1",
             "1:05:06:07", "1 :05", "nan:05", "1:05.", "\u0661:\u0660\u0665"]
)  # fmt: skip
def test_what_no_clock_shows_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is no time; write seconds .*below 60 after"):
        Place(0).convert(text, None, None)


def test_a_time_of_the_clock_keeps_to_the_range() -> None:
    with pytest.raises(click.BadParameter, match="not in the range"):
        Place(0.5).convert("0:00.4", None, None)
    with pytest.raises(click.BadParameter, match="not in the range"):
        Place(0).convert("99999999:00", None, None)


def test_every_part_of_a_piece_is_taken_so() -> None:
    """What names seconds of a piece takes times of the clock; a timeout is no place in one."""
    kinds = {
        (command.name, option.opts[0]): type(option.type)
        for command in COMMANDS
        for option in command.params
        if isinstance(option.type, Seconds)
    }
    assert kinds == {
        ("transfer", "--start"): Place,
        ("transfer", "--duration"): Place,
        ("run", "--duration"): Place,
        ("run", "--timeout"): Seconds,
        ("submit", "--duration"): Place,
        ("submit", "--timeout"): Seconds,
    }
