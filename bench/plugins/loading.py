"""Importing a class by its place: `path/to/file.py:Class` or `package.module:Class`.

This module needs no library, because workers in the environments of back ends use it too.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from bench.api import ConfigError, UnknownNameError
from bench.checkout import PACKAGES
from bench.errors import nearest
from bench.outside.wording import one_line


def load_class(target: str) -> type:
    """Import and return a class.

    Raises:
        UnknownNameError: The module or file is not there, or lacks the class.
        ConfigError: It cannot be imported.
    """
    place, _, name = target.rpartition(":")
    module = load_module(place)
    found = vars(module).get(name)
    if not isinstance(found, type):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise UnknownNameError(
            f"{target}: {place} has no class {name!r}; write file.py:Class or module:Class."
            f"{nearest(name, classes)}"
        )
    return found


def load_module(place: str) -> ModuleType:
    """Import a module by its dotted name or the path of its file; raises as `load_class` does."""
    try:
        if place.endswith(".py"):
            return _module_of_file(Path(place).expanduser())
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise UnknownNameError(
                f"module {place!r} is not importable; write path/to/file.py:Class or "
                "package.module:Class. Check the spelling or install the package."
            ) from error
        _require_no_shadow(place, error)
        raise ConfigError(
            f"{place} needs the package {error.name!r}, which is not installed. Install it."
        ) from error
    except (ImportError, SyntaxError) as error:
        _require_no_shadow(place, error)
        raise ConfigError(
            f"{place} cannot be imported ({one_line(error)}). Correct it first."
        ) from error


def _require_no_shadow(place: str, error: ImportError | SyntaxError) -> None:
    """Say so where a module lacks what it imports because a package of ours has that name.

    Raises:
        ConfigError: It does.
    """
    name = error.name if isinstance(error, ImportError) else None
    root = (name or "").partition(".")[0]
    if root in PACKAGES:  # they stand in front of the module path of every command
        raise ConfigError(
            f"{place} cannot be imported ({one_line(error)}); inside this command {root!r} is the "
            "bench's own package and stands before any other of that name. Rename yours."
        ) from error


class _Source(SourceFileLoader):
    """Compiles a file each time: bytecode beside it would hide an edit of equal length.

    Python takes bytecode for that of a file whose time, in whole seconds, and size are the same.
    """

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnknownNameError(f"{path} does not exist; a Python file was named. Check the path.")
    whole = str(path.resolve())
    name = f"bench_outside_{path.stem}_{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    sys.dont_write_bytecode = True  # of the modules beside it, see `_Source`
    spec = importlib.util.spec_from_file_location(name, whole, loader=_Source(name, whole))
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as a Python module. Name a .py file.")
    module = importlib.util.module_from_spec(spec)
    if str(path.parent.resolve()) not in sys.path:
        sys.path.append(str(path.parent.resolve()))  # last: modules beside it hide no library
    sys.modules[name] = module  # dataclasses look their module up while the file runs
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
