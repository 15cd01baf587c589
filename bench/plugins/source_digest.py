"""The files that a plug-in's own code lies in, and their digest, which enters keys of the cache.

Comments, docstrings and layout do not count: they cannot change a result. The code of a plug-in is
its module and, one import after the other, the modules that it imports from its own package, or,
for a class named by its file, from the folder of that file. The files are read and not imported, so
an import that is computed at run time is not seen. The `__init__.py` of a whole package (for the
rooms `methods` and `metrics` the catalog) does not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from bench.api import Entry, UnknownNameError
from bench.plugins.environments import environment_digest, project_of


def source_digest(entry: Entry) -> str:
    """SHA-256 of a plug-in's code, of what it imports from its own package, and of its lock file.

    It has 64 hex digits. For plug-ins of this checkout; of those from outside more is known, see
    `bench.plugins.inspection.digest_of`.
    """
    digests = []
    for path in files_of(entry.target.rpartition(":")[0]):
        stat = path.stat()
        digests.append((path.name, file_code_digest(path, stat.st_mtime_ns, stat.st_size)))
    return joined_digest(digests, entry)


def joined_digest(files: Iterable[tuple[str, str]], entry: Entry) -> str:
    """SHA-256 over files by name and digest, and over what decides the environment of a plug-in.

    It has 64 hex digits.
    """
    project = project_of(entry)
    environment = [] if project is None else [("environment", environment_digest(project))]
    lines = "".join(f"{name}:{digest}\n" for name, digest in (*files, *environment))
    return hashlib.sha256(lines.encode()).hexdigest()


def files_of(place: str) -> list[Path]:
    """The files of a plug-in's own, by the names of their modules.

    Args:
        place: The path of a Python file, or the dotted name of a module.

    Raises:
        UnknownNameError: The module has no file.
    """
    if place.endswith(".py"):
        path = Path(place).expanduser().resolve()
        found = _followed({path.stem: path}, path.parent)
    else:
        root = place.partition(".")[0]
        folder = _root_folder(root)
        if folder is None:
            return [_file_of_plain_module(root)]
        path_of_it = _file_of(place, folder.parent)
        if path_of_it is None:
            raise UnknownNameError(
                f"module {place!r} has no file in {folder}; a plug-in must have one. Restore it."
            )
        found = _followed({place: path_of_it}, folder.parent, root)
    return [found[name] for name in sorted(found)]


def home_of(place: str) -> Path:
    """The folder in which a plug-in is at home: that of its file, or its whole package.

    Args:
        place: As for `files_of`.
    """
    if place.endswith(".py"):
        return Path(place).expanduser().resolve().parent
    root = place.partition(".")[0]
    return (_root_folder(root) or _file_of_plain_module(root).parent).resolve()


def repository_of(folder: Path) -> Path | None:
    """The top of the git repository that a folder lies in, or None."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)


def _followed(start: dict[str, Path], above: Path, root: str = "") -> dict[str, Path]:
    """Modules by name, with all that they import from files below a folder, also indirectly.

    Args:
        start: The modules to begin with.
        above: The folder that the names of modules count from.
        root: The package that the modules belong to, whose own `__init__.py` does not count; empty
            where they are those of a folder.
    """
    found: dict[str, Path] = {}
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        path = start.get(name) or _file_of(name, above)
        if not name or name == root or name in found or path is None:
            continue
        found[name] = path
        waiting.append(name.rpartition(".")[0])
        waiting += [
            one for one in _imports(path, name) if not root or one.partition(".")[0] == root
        ]
    return found


def _root_folder(root: str) -> Path | None:
    spec = importlib.util.find_spec(root)
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) if places else None


def _file_of_plain_module(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UnknownNameError(
            f"module {name!r} has no source file; a plug-in must have one. Install it."
        )
    return Path(spec.origin)


def _file_of(module: str, above: Path) -> Path | None:
    base = above.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file() and path.parent != above.parent:
            return path
    return None


def _imports(path: Path, module: str) -> tuple[str, ...]:
    """Every module that an import statement in the file may name."""
    stat = path.stat()
    return _imports_of(path, module, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _imports_of(path: Path, module: str, mtime_ns: int, size: int) -> tuple[str, ...]:
    """The same of a file that has this time and size; an unchanged file is parsed once."""
    del mtime_ns, size  # only keys of the cache, as of `file_code_digest`
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


@lru_cache(maxsize=1024)
def file_code_digest(path: Path, mtime_ns: int, size: int) -> str:
    """The code digest of a file that has this time and size; an unchanged file is parsed once."""
    del mtime_ns, size  # only keys of the cache: a changed file is parsed again
    return code_digest(path.read_text(encoding="utf-8"))


def code_digest(source: str) -> str:
    """SHA-256 of Python source without comments, docstrings and layout.

    Example:
        >>> code_digest("x = 1  # one") == code_digest('"text"' + chr(10) + "x=1")
        True
        >>> code_digest("x = 1") == code_digest("x = 2")
        False
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]  # checked above
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is only a string: a docstring, or one that explains an attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
