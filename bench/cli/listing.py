"""What `list` knows, as lines for a reader and as JSON for a script.

A reader gets a name per line and the words that he needs to choose.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.api import DatasetError, Json, MethodInfo, MetricInfo
from bench.checkout import SUITES
from bench.description import MADE_ELSEWHERE
from bench.plugins import catalog

if TYPE_CHECKING:
    from bench.data.clips import Dataset

SCHEMA_VERSION = 1  # of the JSON; raised when a key changes its meaning or goes
ELSEWHERE: dict[str, Mapping[str, Json]] = {  # no name of the catalog: what is typed for it
    f"{MADE_ELSEWHERE}FOLDER": {
        "description": "outputs that were made elsewhere, <style>/<content>.<suffix>; "
        "given: what you say. See `outputs template` and `outputs check`"
    }
}
Facts = Mapping[str, Json]  # of one name: `description` is what a reader sees


def listing(what: str, *, names_only: bool = False) -> str:
    """The list of methods, metrics, datasets or suites, one per line.

    Args:
        what: "methods", "metrics", "datasets" or "suites".
        names_only: Leave the words out.

    Example:
        >>> "cp" in listing("metrics", names_only=True).splitlines()
        True
    """
    rows = _rows(what)
    if names_only:
        return "\n".join(rows)
    if what == "methods":
        rows |= ELSEWHERE
    width = max(map(len, rows), default=0)
    return "\n".join(f"{name:<{width}}  {facts['description']}" for name, facts in rows.items())


def listing_json(what: str) -> str:
    """The list as JSON: `schema_version`, `kind`, and `items`, an object per name.

    Example:
        >>> json.loads(listing_json("metrics"))["kind"]
        'metrics'
    """
    items = [{"name": name, **facts} for name, facts in _rows(what).items()]
    return json.dumps({"schema_version": SCHEMA_VERSION, "kind": what, "items": items}, indent=1)


def _rows(what: str) -> dict[str, Facts]:
    return {"methods": _methods, "metrics": _metrics, "datasets": _datasets, "suites": _suites}[
        what
    ]()


def _methods() -> dict[str, Facts]:
    return {
        name: _method_facts(info)
        for name, entry in catalog.methods().items()
        if isinstance(info := entry.info, MethodInfo)
    }


def _method_facts(info: MethodInfo) -> Facts:
    kind = " (control)" if info.control else ""
    given = list(info.conditioned_on)
    return {
        "description": f"{info.title}{kind}; given: {', '.join(given)}. {info.source}",
        "title": info.title,
        "control": info.control,
        "conditioned_on": [*given],
        "fits_per_style": info.fits_per_style,
        "source": info.source,
    }


def _metrics() -> dict[str, Facts]:
    return {
        name: _metric_facts(info)
        for name, entry in catalog.metrics().items()
        if isinstance(info := entry.info, MetricInfo)
    }


def _metric_facts(info: MetricInfo) -> Facts:
    direction, ends = info.direction.value, list(info.range)
    return {
        "description": f"{info.title}, {direction}, in {ends}. {info.source}",
        "title": info.title,
        "direction": direction,
        "range": [end if math.isfinite(end) else None for end in ends],  # JSON has no infinity
        "source": info.source,
    }


def _datasets() -> dict[str, Facts]:
    from bench.data.cards import datasets

    return {name: _dataset_facts(name) for name in datasets()}


def _dataset_facts(name: str) -> Facts:
    """What a dataset holds, or why it cannot be read: not every card's clips lie here."""
    from bench.data.cards import load_dataset

    try:
        return _contents_facts(load_dataset(name))
    except DatasetError as error:
        return {
            "description": f"not here: {error}", "here": False, "contents": None, "styles": None
        }  # fmt: skip


def _contents_facts(dataset: Dataset) -> Facts:
    styles = [style.id for style in dataset.styles]
    count = len(dataset.contents)
    return {
        "description": f"{count} contents, {len(styles)} styles ({', '.join(styles)})",
        "here": True,
        "contents": [clip.id for clip in dataset.contents],
        "styles": [*styles],
    }


def _suites() -> dict[str, Facts]:
    """What every suite must say, as it stands; a run is what checks it."""
    import tomllib

    found: dict[str, Facts] = {}
    for path in sorted(SUITES.glob("*.toml")):
        suite = tomllib.loads(path.read_text(encoding="utf-8"))
        facts = {key: suite[key] for key in ("profile", "dataset", "methods")}
        words = f"{', '.join(suite['methods'])}; profile {suite['profile']}, dataset "
        described = f"{suite['description']} ({words}{suite['dataset']})"
        found[suite["name"]] = {"description": described, **facts}
    return found
