"""The tutorial: its method keeps the contract, and its steps end as they are shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.newcomer import WALK, Walk, fresh_checkout, lend_environment
from tests.docs.pages import Step, pages, steps, text_of

TUTORIAL = steps(text_of("docs/tutorial.md"))
(FILE,) = [step for step in TUTORIAL if step.file]
EXIT_CODES = {"python -m bench check mine.py:Mine": 5, "python -m bench fetch table2": 2}
SHOWN = [
    page for page in pages() if page not in WALK and any(s.shown for s in steps(text_of(page)))
]


@pytest.fixture
def written(desk: Path) -> Path:
    path = desk / str(FILE.file)
    path.write_text(FILE.text, encoding="utf-8")
    return path


def test_it_checks_hears_runs_and_sweeps() -> None:
    verbs = [step.command.split()[3] for step in TUTORIAL if step.command.startswith("python -m")]
    assert verbs == ["check", "transfer", "run", "run"]


@pytest.mark.slow
def test_its_method_keeps_the_contract(written: Path, checkout: Path) -> None:
    (step,) = [step for step in TUTORIAL if " check " in step.command]
    walk = Walk(written.parent)
    programs = Path(sys.executable).parent
    walk.sourced.append(f"export PYTHONPATH={checkout} PATH={programs}:$PATH")
    done = walk.take("docs/tutorial.md", step)
    assert (done.code, done.absent) == (0, []), done.printed


@pytest.mark.parametrize("rule", [["check"], ["format", "--check"]])
def test_its_method_follows_the_house_rules(written: Path, checkout: Path, rule: list[str]) -> None:
    words = [sys.executable, "-m", "ruff", *rule, "--stdin-filename", "methods/imprint.py", "-"]
    text = written.read_text(encoding="utf-8")
    done = subprocess.run(
        words, input=text, cwd=checkout, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


@pytest.mark.slow
def test_its_method_is_typed(written: Path, checkout: Path) -> None:
    words = ["--config-file", str(checkout / "pyproject.toml"), "--no-incremental", str(written)]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """A fresh checkout with what is installed here."""
    walk = Walk(fresh_checkout(tmp_path_factory.mktemp("newcomer")))
    lend_environment(walk.place)
    return walk


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", WALK)
def test_a_newcomer_sees_what_is_shown(walk: Walk, page: str) -> None:
    """`make test` would run this test again, so its turn is when all tests run."""
    for step in steps(text_of(page)):
        if step.command != "make test":
            expect(walk, page, step, 0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", SHOWN)
def test_other_pages_show_what_is_printed(walk: Walk, page: str) -> None:
    walk.sourced[:] = [". .venv/bin/activate"]
    for step in steps(text_of(page)):
        expect(walk, page, step, EXIT_CODES.get(step.command, 0))


def expect(walk: Walk, page: str, step: Step, code: int) -> None:
    """Take a step, which ends with this code and prints what is shown."""
    done = walk.take(page, step)
    assert (done.code, done.absent) == (code, []), f"{done.line()}\n{done.printed}"
