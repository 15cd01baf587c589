"""The installed benchmark: one import name, and what lies behind it.

A wheel puts everything into this one package, so that it takes no common name (`methods`,
`metrics`, `reports`, `bench`, `datasets`) from anybody. Its own modules keep the names that they
have in a checkout: importing this package puts the folder that holds them in front of the module
path, for this process alone.

    import music_style_bench
    table = music_style_bench.load_records("runs/mini")

Importing `bench.api` for a method of one's own needs nothing: the command imports methods in
processes where that folder is on the path.
"""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# In a wheel the rooms lie in this package; in a checkout they lie beside it.
HOME = _HERE if (_HERE / "bench").is_dir() else _HERE.parent
if str(HOME) not in sys.path:
    sys.path.insert(0, str(HOME))

from bench import __version__, load_records  # noqa: E402 - found only on the path set above

__all__ = ["__version__", "load_records", "main"]


def main() -> None:
    """The command `bench`, also `python -m music_style_bench`."""
    from bench.__main__ import start

    start()
