"""The digest of a plug-in's own source, which enters the keys of cached results.

Comments, docstrings and layout do not count: they cannot change a result. The source of a plug-in
is its module and, one import after the other, the modules of the same room or package that it
imports. The room's own `__init__.py` (the catalog) does not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from bench.api import Entry, UnknownNameError
from bench.plugins.environments import environment_digest, project_of


def source_digest(entry: Entry) -> str:
    """SHA-256 of a plug-in's code, of what it imports from its own package, and of its lock file.

    It has 64 hex digits. The files are read and not imported, so an import that is computed at run
    time is not seen.
    """
    place = entry.target.rpartition(":")[0]
    files = [Path(place).expanduser()] if place.endswith(".py") else _family(place)
    whole = hashlib.sha256()
    for path in files:
        stat = path.stat()
        whole.update(f"{path.name}:{_code_digest(path, stat.st_mtime_ns, stat.st_size)}\n".encode())
    project = project_of(entry)
    if project is not None:
        whole.update(f"environment:{environment_digest(project)}\n".encode())
    return whole.hexdigest()


def _family(module: str) -> list[Path]:
    """The files of a module and of all that it imports from its root package, also indirectly."""
    root = module.partition(".")[0]
    folder = _root_folder(root)
    if folder is None:
        return [_file_of_plain_module(root)]
    if _file_of(module, folder) is None:
        raise UnknownNameError(
            f"module {module!r} has no file in {folder}; a plug-in must have one. Restore it."
        )
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name, folder)
        if name == root or name in found or path is None:
            continue
        found[name] = path
        waiting += [name.rpartition(".")[0], *_imports(path, name)]
    return [found[name] for name in sorted(found)]


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


def _file_of(module: str, root_folder: Path) -> Path | None:
    base = root_folder.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file() and path.parent != root_folder.parent:
            return path
    return None


def _imports(path: Path, module: str) -> list[str]:
    """Every module of the same root package that an import statement in the file may name."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    root = module.partition(".")[0]
    return [name for name in names if name.partition(".")[0] == root]


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, node.module] if node.module else above)


@lru_cache(maxsize=1024)
def _code_digest(path: Path, mtime_ns: int, size: int) -> str:
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
