"""In an empty folder, from a wheel: every command of a first day, as it is typed.

What is proved is what the wheel and the source distribution carry. They are built from a clean copy
of the checkout and installed by pip into fresh environments, which borrow the packages that the
bench needs from the environment of this test, and nothing of the checkout. `uvx` borrows nothing:
it fetches all of them, in the versions of constraints.txt.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.ci.building import PROGRAMS, make_environment, ran

# Building takes a build back end from a package registry, and uvx takes everything from there.
pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(3600)]
METHOD = Path(__file__).with_name("example") / "blend.py"
METHODS, STYLES, CONTENTS = ("tve", "rti", "musicgen"), 3, 4  # of the suite mini
RATE = 22_050


@dataclass(frozen=True)
class Desk:
    """An empty folder to type in, and the command as it is called there."""

    place: Path
    command: tuple[str, ...]
    env: Mapping[str, str]

    def bench(self, line: str) -> str:
        """Type a line after `bench`; what it prints, with nothing that only a checkout has."""
        started = time.monotonic()
        printed = ran(*self.command, *line.split(), cwd=self.place, env=self.env)
        print(f"{time.monotonic() - started:7.1f} s  bench {line}")  # noqa: T201 - the transcript
        for word in ("Traceback", "python -m bench", "constraints.txt"):
            assert word not in printed, line
        return printed

    def outcomes(self, run: str) -> Counter[tuple[str, str]]:
        """How many cells of a run ended how, by method and status; the last record counts."""
        planned, done = (self.lines(f"{run}/{name}.jsonl") for name in ("plan", "cells"))
        status = {one["cell_id"]: one["status"] for one in done}
        return Counter((one["method"], status[one["cell_id"]]) for one in planned)

    def lines(self, file: str) -> list[dict[str, str]]:
        """The objects of a file with one in each line."""
        text = (self.place / file).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


def surrounding(place: Path) -> dict[str, str]:
    """The variables of this process without those that lead to this checkout or its caches."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    path = [one for one in kept["PATH"].split(os.pathsep) if Path(one) != PROGRAMS]
    return kept | {
        "PATH": os.pathsep.join(path), "BENCH_CACHE": str(place / "cache"), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip


def installed(environment: Path, file: Path, place: Path) -> Desk:
    """A desk beside an environment into which pip has put a file that was built."""
    env = surrounding(environment)
    ran(environment / "bin" / "python", "-m", "pip", "install", file, cwd=environment, env=env)
    return Desk(place, (str(environment / "bin" / "bench"),), env)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Desk:
    """A desk with the wheel."""
    (wheel,) = built.glob("*.whl")
    environment = make_environment(tmp_path_factory.mktemp("environment"))
    return installed(environment, wheel, tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def run(desk: Desk) -> str:
    """The folder of the run that README shows."""
    desk.bench(f"run --methods {','.join(METHODS)} --suite mini")
    (folder,) = (desk.place / "runs").iterdir()
    return str(folder.relative_to(desk.place))


def test_nothing_is_imported_from_the_checkout(desk: Desk, checkout: Path) -> None:
    python = Path(desk.command[0]).with_name("python")
    code = "import music_style_bench as m, bench, methods; print(*m.__path__, bench, methods)"
    where = ran(python, "-c", code, cwd=desk.place, env=desk.env)
    assert str(checkout) not in where
    assert where.count("site-packages") == 3


def test_a_run_has_every_cell_and_its_tables(desk: Desk, run: str) -> None:
    outcomes = desk.outcomes(run)
    assert outcomes["tve", "ok"] == outcomes["rti", "ok"] == STYLES * CONTENTS
    # The small model knows no kalimba, and says so.
    assert outcomes["musicgen", "unsupported"] == CONTENTS
    assert outcomes["musicgen", "ok"] == (STYLES - 1) * CONTENTS
    assert {status for _, status in outcomes} == {"ok", "unsupported"}
    for name in ("table2.md", "index.html"):
        assert any((desk.place / run).rglob(name)), name


def test_an_own_sound_is_rendered_in_an_own_style(desk: Desk) -> None:
    seconds = np.arange(3 * RATE) / RATE
    (desk.place / "bells").mkdir()
    for number, hertz in enumerate((523.25, 659.26)):
        ring = 0.3 * np.sin(2 * np.pi * hertz * seconds) * np.exp(-2 * (seconds % 0.5))
        soundfile.write(desk.place / "bells" / f"{number}.wav", ring, RATE)
    tune = 0.3 * np.sign(np.sin(2 * np.pi * 220 * seconds)) * (seconds % 0.5 < 0.4)
    soundfile.write(desk.place / "tune.wav", tune, RATE)
    desk.bench("transfer --method tve --style bells --content tune.wav -o out.wav")
    made, rate = soundfile.read(desk.place / "out.wav")
    assert (len(made), rate) == (len(tune), RATE)
    assert np.sqrt(np.mean(made**2)) > 0.01


def test_an_own_method_is_checked(desk: Desk) -> None:
    shutil.copy(METHOD, desk.place)
    assert re.search(r"\b0 failed", desk.bench("check blend.py:Blend"))


def test_a_paper_is_written(desk: Desk, run: str) -> None:
    desk.bench(f"report {run} --paper")
    assert list((desk.place / run).rglob("*.tex"))


def test_a_listening_test_is_written(desk: Desk, run: str) -> None:
    desk.bench(f"listen export --run {run} --sets 2 -o listening-test")
    assert list((desk.place / "listening-test").rglob("*.html"))


def test_a_run_is_judged_by_its_own_baseline(desk: Desk, run: str) -> None:
    desk.bench(f"baseline {run} --reason accepted -o baseline.json")
    assert "Gate: passed" in desk.bench(f"gate {run} --baseline baseline.json")


def prove(desk: Desk, checkout: Path) -> None:
    """The short proof: version, suites, what doctor finds, and a run of a control."""
    version = re.search(r'__version__ = "(.+)"', (checkout / "bench" / "__init__.py").read_text())
    assert version is not None
    assert version[1] in desk.bench("--version")
    suites = sorted(path.stem for path in (checkout / "bench" / "plan" / "suites").glob("*.toml"))
    assert sorted(desk.bench("list suites --quiet").split()) == suites
    desk.bench("doctor")
    desk.bench(
        "run --methods copy-content --suite mini --contents 1 --metrics cp,notes --out runs/short"
    )
    assert {status for _, status in desk.outcomes("runs/short")} == {"ok"}


def test_a_source_distribution_carries_as_much(
    built: Path, tmp_path_factory: pytest.TempPathFactory, checkout: Path
) -> None:
    (source,) = built.glob("*.tar.gz")
    environment = make_environment(tmp_path_factory.mktemp("environment"))
    prove(installed(environment, source, tmp_path_factory.mktemp("desk")), checkout)


def test_uvx_runs_the_wheel_without_installing_it(
    built: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, checkout: Path
) -> None:
    (wheel,) = built.glob("*.whl")
    words = ["--from", wheel, "--constraints", checkout / "constraints.txt", "bench"]
    command = tuple(str(word) for word in (PROGRAMS / "uvx", *words))
    env = surrounding(tmp_path_factory.mktemp("cache"))
    prove(Desk(tmp_path, command, env), checkout)
