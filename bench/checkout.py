"""Where the parts of this project lie: one place for every path that starts at its root.

The root is that of a checkout, or in an installed wheel the folder of the package
`music_style_bench`, which has the same rooms. There the data sets have another name, because a
folder `datasets` in front of the module path would stand for the library of that name.
"""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = CHECKOUT.name == "music_style_bench" and (CHECKOUT / "py.typed").is_file()
PACKAGES = ("bench", "methods", "metrics", "reports")  # that lie at the root
DATASETS = CHECKOUT / ("shipped_datasets" if INSTALLED else "datasets")
SUITES = CHECKOUT / "bench" / "plan" / "suites"
# What a user types to call it, and to install it as tested, from where it stands.
COMMAND = "bench" if INSTALLED else "python -m bench"
INSTALL = (
    "python -m pip install --upgrade music-style-bench"
    if INSTALLED
    else "python -m pip install -c constraints.txt -e ."
)


def extra_line(extra: str) -> str:
    """The command that installs an optional part of the project, by its name in pyproject.toml."""
    if INSTALLED:
        return f"python -m pip install 'music-style-bench[{extra}]'"
    return f"python -m pip install -c constraints.txt -e '.[{extra}]'"


def restore_line(path: str) -> str:
    """The command that restores files of the project, by their path from its root."""
    if INSTALLED:
        return "python -m pip install --force-reinstall --no-deps music-style-bench"
    return f"git checkout -- {path}"


def data_folder() -> Path:
    """Where datasets lie that came later: BENCH_DATA, else ~/.local/share/music-style-bench."""
    named = os.environ.get("BENCH_DATA")
    if named:
        return Path(named).expanduser()
    return Path.home() / ".local" / "share" / "music-style-bench"
