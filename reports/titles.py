"""Names of methods for readers: one from outside is called by its title, not by its path.

Records, ratings and the command line keep the label, which says what was run. In a report a method
with a path as its name, `./level.py:Level[amount=0.5]`, stands under `Level[amount=0.5]`, after
`INFO.title`. Where the title is taken, its file and class are added: `Level (level.py:Level)`.
Outputs that were made elsewhere stand under the title that they were given, without brackets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePath

from bench.outside.wording import one_line
from bench.records.schema import MethodEntry
from bench.records.store import Run

LONGEST_TITLE = 60  # characters


def shown_labels(methods: Iterable[MethodEntry]) -> dict[str, str]:
    """How each method is called in a report, by its label; no two are called the same.

    Args:
        methods: The methods of one run, or of several that stand side by side.
    """
    labels = {entry.label: entry for entry in methods}
    names = {_named_by(entry): one_line(entry.title, LONGEST_TITLE) for entry in labels.values()}
    plain = {entry.label for entry in labels.values() if not _is_path(entry.name)}
    taken = Counter(names.values()) + Counter({_stem(labels[label]) for label in plain})
    shown = dict.fromkeys(plain, "") | {
        label: _shown(entry, title, alone=taken[title] == 1)
        for label, entry in labels.items()
        for title in [names[_named_by(entry)]]
        if label not in plain
    }
    often = Counter([*(name for name in shown.values() if name), *plain])
    return {label: shown[label] if often[shown[label]] == 1 else label for label in labels}


def _is_path(name: str) -> bool:
    return ":" in name


def _named_by(entry: MethodEntry) -> str:
    """What has one title: a method with all its settings, or one choice of outputs."""
    return entry.label if entry.made_elsewhere else entry.name


def _shown(entry: MethodEntry, title: str, *, alone: bool) -> str:
    if not title:
        return entry.label
    file, _, kind = entry.name.rpartition(":")
    if entry.made_elsewhere:
        return title if alone else f"{title} ({one_line(kind, LONGEST_TITLE)})"
    place = "" if alone else f" ({one_line(PurePath(file).name, LONGEST_TITLE)}:{kind})"
    return f"{title}{place}{entry.label[len(_stem(entry)) :]}"


def _stem(entry: MethodEntry) -> str:
    """The label without parameters: the name, which is quoted where it has brackets or commas."""
    stems = (entry.name, f'"{entry.name}"', f"'{entry.name}'")
    return next((stem for stem in stems if entry.label.startswith(stem)), entry.label)


def titled(run: Run, names: Mapping[str, str] | None = None) -> Run:
    """A run in which every method is called as readers see it; `shown_as` says by which label.

    Args:
        run: The run as its records have it.
        names: What each label becomes; None takes `shown_labels` of the run.
    """
    called = shown_labels(run.header.methods) if names is None else names
    changed = {label: name for label, name in called.items() if name != label}
    if not changed:
        return run
    header = run.header
    methods = [
        entry.model_copy(update={"label": changed.get(entry.label, entry.label)})
        for entry in header.methods
    ]
    update: dict[str, object] = {"methods": methods}
    devices = header.provenance.get("device_by_method")
    if isinstance(devices, dict):
        by_name = {changed.get(label, label): device for label, device in devices.items()}
        update["provenance"] = header.provenance | {"device_by_method": by_name}
    plan = tuple(
        cell.model_copy(update={"method": changed[cell.method]}) if cell.method in changed else cell
        for cell in run.plan
    )
    return replace(
        run,
        header=header.model_copy(update=update),
        plan=plan,
        plan_faults=tuple(_reworded(words, changed) for words in run.plan_faults),
        remarks=tuple(_reworded(words, changed) for words in run.remarks),
        shown_as=changed,
    )


def _reworded(words: str, changed: Mapping[str, str]) -> str:
    """A sentence about a method, the longest label first: one may begin with another."""
    for label in sorted(changed, key=len, reverse=True):
        words = words.replace(label, changed[label])
    return words
