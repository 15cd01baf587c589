"""The list of mutants fits the modules as they stand, and the run tells noticed faults from others.

The run of the whole list is `make mutants`; it takes minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mutation import EXIT_INTERRUPTED, Mutant, Outcome, main, read_mutants, report

MUTANTS = read_mutants()
FEWEST = 40


def test_the_list_is_long_and_nothing_stands_twice() -> None:
    assert len(MUTANTS) >= FEWEST
    assert len({(mutant.path, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)


def test_every_mutant_changes_one_place_of_a_module_that_still_compiles(checkout: Path) -> None:
    for mutant in MUTANTS:
        source = (checkout / mutant.path).read_text(encoding="utf-8")
        changed = mutant.applied(source)
        assert changed != source, mutant
        compile(changed, mutant.path, "exec")


def test_every_mutant_names_tests_that_are_there(checkout: Path) -> None:
    assert [str(mutant) for mutant in MUTANTS if not mutant.tests] == []
    named = {name for mutant in MUTANTS for name in mutant.tests}
    assert sorted(name for name in named if not (checkout / name).exists()) == []


def test_a_text_that_stands_elsewhere_or_twice_is_refused() -> None:
    mutant = Mutant("module.py", "x = 1", "x = 2", ("tests",))
    with pytest.raises(ValueError, match=r"'x = 1' stands 0 times in module\.py"):
        mutant.applied("y = 1\n")
    with pytest.raises(ValueError, match="stands 2 times"):
        mutant.applied("x = 1\nx = 1\n")


MODULE = "def doubled(x):\n    return 2 * x\n\n\ndef halved(x):\n    return x / 2\n"
TESTS = "from bench.module import doubled\n\n\ndef test_it():\n    assert doubled(3) == 6\n"


def toy(folder: Path, *, tests: str = TESTS, equivalent: str = "") -> list[str]:
    """A checkout with a function that is tested and one that is not; arguments to run its list."""
    (folder / "bench").mkdir()
    (folder / "bench" / "__init__.py").touch()  # else the installed package of that name is found
    (folder / "bench" / "module.py").write_text(MODULE, encoding="utf-8")
    (folder / "tests").mkdir()
    (folder / "tests" / "test_module.py").write_text(tests, encoding="utf-8")
    (folder / "list.toml").write_text(
        '[[file]]\npath = "bench/module.py"\ntests = ["tests/test_module.py"]\n'
        "mutants = [\n  {old = '2 * x', new = '3 * x'},\n"
        f"  {{old = 'x / 2', new = 'x / 3', equivalent = '{equivalent}'}},\n]\n",
        encoding="utf-8",
    )
    return ["--root", str(folder), "--list", str(folder / "list.toml"), "-j", "2"]


def test_a_fault_that_no_test_notices_fails_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(toy(tmp_path)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line[:10].strip() for line in lines[:-1]) == ["! survived", "killed", "passed"]
    assert lines[-1].startswith("2 mutants: 1 killed, 1 survived, 0 not judged; 1 not as they")
    assert (tmp_path / "bench" / "module.py").read_text(encoding="utf-8") == MODULE


def test_a_survivor_with_a_reason_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy(tmp_path, equivalent="nobody calls it")
    tested, untested = read_mutants(tmp_path / "list.toml")
    found = [
        Outcome(tested, tested.tests, "killed", 1.0, ""),
        Outcome(untested, untested.tests, "survived", 1.0, ""),
    ]
    assert report(iter(found), len(found)) == 0
    assert "equivalent: nobody calls it" in capsys.readouterr().out


def test_tests_that_fail_without_a_mutant_judge_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(toy(tmp_path, tests="def test_it():\n    assert False\n")) == 1
    assert "2 mutants: 0 killed, 0 survived, 2 not judged" in capsys.readouterr().out


def test_an_interrupted_run_says_so_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> object:
        yield Outcome(MUTANTS[0], MUTANTS[0].tests, "killed", 1.0, "")
        raise KeyboardInterrupt

    assert report(interrupted(), 2) == EXIT_INTERRUPTED  # type: ignore[arg-type]  # an iterator
    assert capsys.readouterr().out.splitlines()[-1] == "interrupted"
