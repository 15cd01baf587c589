"""Where in a plug-in's own code a fault is: the file and line that its author has to look at."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bench.failure import trace_of
from bench.outside.wording import one_line
from bench.plugins.own_files import is_own
from bench.plugins.source_digest import home_of

_FRAME = re.compile(r'^ *File "(.+)", line (\d+)(?:, in (.+))?$', re.MULTILINE)


def place_of_fault(error: BaseException, place: str) -> str:
    """The last frame of a traceback that lies in a plug-in's own files, as `file.py:12, in fit`.

    Args:
        error: What was raised, here or in a worker.
        place: The plug-in's file, or the dotted name of its module.

    Returns:
        The place, its path seen from the working folder where it lies in it; empty where the
        traceback does not touch the plug-in.
    """
    return last_place(trace_of(error), home_of(place))


def last_place(trace: str, home: Path) -> str:
    """The last frame of a printed traceback that lies in the files of a plug-in at home there."""
    frames = [frame for frame in _FRAME.findall(trace) if is_own(Path(frame[0]), home)]
    if not frames:
        return ""
    file, line, function = frames[-1]
    path, here = Path(file).resolve(), Path.cwd().resolve()
    shown = os.path.relpath(path, here) if path.is_relative_to(here) else path
    inside = f", in {function}" if function and not function.startswith("<") else ""
    return one_line(f"{shown}:{line}{inside}")
