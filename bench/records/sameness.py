"""Which runs belong together: what must agree before a run is extended or two are joined.

A suite says what is compared (methods, controls, metrics) and on what (styles, contents, seeds,
clips, profile, parameters). The second part is its setting. Runs of one setting differ only in what
was asked of them: one may go on in the folder of the other, and one table may hold both. The
dataset counts by its clips, not by the folder they lie in.

Everything here is a pure function of suites as they stand in records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.files import json_digest
from bench.records.schema import RunHeader

ASKED = ("methods", "controls", "metrics")
# What a suite asks of the gate changes no number of a run.
NOT_OF_A_RUN = frozenset({"description", "gate"})
NOT_OF_THE_SETTING = frozenset({"name", "dataset", *NOT_OF_A_RUN, *ASKED})


def suite_digest(suite: Mapping[str, Any]) -> str:
    """SHA-256 of all but description, gate and absent family and pairs, 64 hex digits."""
    absent = {key for key in ("family", "pairs") if not suite.get(key)}
    left_out = NOT_OF_A_RUN | absent
    return json_digest({key: value for key, value in suite.items() if key not in left_out})


def setting(suite: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a suite that runs of one table must share.

    Example:
        >>> setting({"name": "mini", "methods": ["tve"], "seeds": 3})
        {'seeds': 3}
    """
    return {key: value for key, value in suite.items() if key not in NOT_OF_THE_SETTING}


def setting_digest(header: RunHeader) -> str:
    """SHA-256 of a run's setting and of its dataset's clips, 64 hex digits."""
    return json_digest([setting(header.suite), header.dataset.get("digest")])


def differences(first: RunHeader, second: RunHeader) -> list[str]:
    """What the settings of two runs differ in: keys of the suite, "clips" for the dataset's."""
    one, two = setting(first.suite), setting(second.suite)
    keys = sorted(key for key in one.keys() | two.keys() if one.get(key) != two.get(key))
    same_clips = first.dataset.get("digest") == second.dataset.get("digest")
    return keys if same_clips else [*keys, "clips"]


def joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the second suite under the name of the first, asking for all that either asks for.

    Example:
        >>> joined({"name": "a", "methods": ["tve"]}, {"name": "b", "methods": ["rti", "tve"]})
        {'name': 'a', 'methods': ['tve', 'rti']}
    """
    union = {
        key: list(dict.fromkeys([*first.get(key, []), *second.get(key, [])]))
        for key in ASKED
        if key in first or key in second
    }
    return {**second, "name": first["name"], **union}


def package_lists(*provenances: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lists of installed packages that some headers name, each once, with its `file`.

    A header may come from elsewhere and hold anything; what is no such list is left out.

    Example:
        >>> package_lists({"package_lists": [{"file": "a"}, 7]}, {"package_lists": [{"file": "a"}]})
        [{'file': 'a'}]
    """
    found: dict[str, dict[str, Any]] = {}
    for provenance in provenances:
        rows = provenance.get("package_lists")
        for one in rows if isinstance(rows, list) else []:
            if isinstance(one, dict) and isinstance(one.get("file"), str):
                found[one["file"]] = one
    return list(found.values())
