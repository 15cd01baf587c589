"""Builds what is released from this checkout, and environments with nothing of the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

PROGRAMS = Path(sys.executable).parent  # of this environment, `uv` among them
_OWN = ("music_style_bench", "__editable__", "_editable_impl", "_music_style_bench")


def ran(*words: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What a command prints, which must end well."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words} exits {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def build(checkout: Path, tree: Path, out: Path) -> None:
    """Build a wheel and a source distribution of the files that git knows or would take."""
    listed = ran("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=checkout)
    for name in filter(None, listed.split("\0")):
        if (checkout / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / name, tree / name)
    ran(PROGRAMS / "uv", "build", "--sdist", "--wheel", "-o", out, tree, cwd=tree)


def make_environment(place: Path) -> Path:
    """Make an environment in an empty folder, without the bench and with all that it needs.

    What the bench needs is borrowed from this environment by links to each package; an editable
    install of the checkout is none of them.
    """
    ran(sys.executable, "-m", "venv", place, cwd=place)
    borrowed = place / "borrowed"
    borrowed.mkdir()
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        if not one.name.startswith((*_OWN, "pip")) and one.suffix != ".pth":
            (borrowed / one.name).symlink_to(one)
    (site,) = place.glob("lib/python*/site-packages")
    for bundled in site.glob("setuptools*"):  # older than what is borrowed, and found before it
        shutil.rmtree(bundled)
    (site / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
    return place
