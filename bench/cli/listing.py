"""The texts of `list`: a name per line, and the words that a reader needs to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.api import DatasetError, MethodInfo, MetricInfo
from bench.checkout import SUITES
from bench.plugins import catalog

if TYPE_CHECKING:
    from bench.data.clips import Dataset


def listing(what: str) -> str:
    """The list of methods, metrics, datasets or suites, one per line.

    Example:
        >>> "cp" in listing("metrics")
        True
    """
    rows = {"methods": _methods, "metrics": _metrics, "datasets": _datasets, "suites": _suites}[
        what
    ]()
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def _methods() -> list[tuple[str, str]]:
    return [
        (name, _method_words(info))
        for name, entry in catalog.methods().items()
        if isinstance(info := entry.info, MethodInfo)
    ]


def _method_words(info: MethodInfo) -> str:
    kind = " (control)" if info.control else ""
    return f"{info.title}{kind}; given: {', '.join(info.conditioned_on)}. {info.source}"


def _metrics() -> list[tuple[str, str]]:
    return [
        (name, f"{info.title}, {info.direction.value}, in {list(info.range)}. {info.source}")
        for name, entry in catalog.metrics().items()
        if isinstance(info := entry.info, MetricInfo)
    ]


def _datasets() -> list[tuple[str, str]]:
    from bench.data.cards import datasets

    return [(name, _dataset_words(name)) for name in datasets()]


def _dataset_words(name: str) -> str:
    """What a dataset holds, or why it cannot be read: not every card's clips lie here."""
    from bench.data.cards import load_dataset

    try:
        return _contents_words(load_dataset(name))
    except DatasetError as error:
        return f"not here: {error}"


def _contents_words(dataset: Dataset) -> str:
    names = ", ".join(style.id for style in dataset.styles)
    return f"{len(dataset.contents)} contents, {len(dataset.styles)} styles ({names})"


def _suites() -> list[tuple[str, str]]:
    """What every suite must say, as it stands; a run is what checks it."""
    import tomllib

    found = []
    for path in sorted(SUITES.glob("*.toml")):
        suite = tomllib.loads(path.read_text(encoding="utf-8"))
        words = f"profile {suite['profile']}, dataset {suite['dataset']}"
        found.append((suite["name"], f"{words}, {', '.join(suite['methods'])}"))
    return found
