"""Where the wall time of a session went, and how much of it the device worked.

An account is seconds per stage: "load X", "fit X" and "transfer X" of each method X, "load metrics"
and "score", what is around them ("prepare", "report"), "processes" where several devices each had a
process of their own, then "other", which is what no stage covers, and "total", their sum.

**The device worked** while a method fitted or transferred and while a metric scored. These
intervals begin and end with the device idle (`bench.device.synchronise`), so no work of methods or
metrics lies outside of them; what they do on the host in between lies inside, so the share is the
most that the device can have worked. It is the same on every kind of device, a CPU included.
Loading is no work, and the time in which other processes worked is left out on both sides: each of
them has an account of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bench.files import naming
from bench.outside.texts import MOST_JSON_BYTES, read_text

Account = Mapping[str, float]
FILE = "logs/sessions.jsonl"
SHARE = "device_share"  # beside the stages in the file, for people to read, as the next two
EXPECTED = "expected_s"  # of the stages whose cost was foreseen, before they began
ENERGY = {"cpu": "cpu_energy_j", "gpu": "gpu_energy_j"}  # absent where nothing counts it
PARTS = {"cpu": "processors", "gpu": "GPU"}
OTHERS = "processes"
_WORK = ("fit", "transfer", "score")
_BESIDE = {SHARE, EXPECTED, *ENERGY.values()}
J_PER_WH = 3600.0
_DIGITS, _ROUNDED_S = 3, 1e-3
_UNITS = (("min", 60, "s", 1), ("h", 3600, "min", 60), ("d", 86400, "h", 3600))
_FEW_S = 10


def at_work_s(account: Account) -> float:
    """Seconds in which the device worked.

    Example:
        >>> at_work_s({"load tve": 9.0, "fit tve": 2.0, "score": 1.0, "other": 1.0, "total": 13.0})
        3.0
    """
    return math.fsum(s for stage, s in account.items() if stage.partition(" ")[0] in _WORK)


def wall_s(account: Account) -> float:
    """Seconds of the session, those aside in which the processes of several devices worked."""
    return account["total"] - account.get(OTHERS, 0.0)


def device_share(accounts: Sequence[Account]) -> float | None:
    """The share of the wall time of some sessions in which the device worked, 0 to 1.

    None where there is no time to be shared.

    Example:
        >>> device_share([{"fit tve": 2.0, "total": 3.0}, {"score": 1.0, "total": 3.0}])
        0.5
    """
    total = math.fsum(map(wall_s, accounts))
    return math.fsum(map(at_work_s, accounts)) / total if total > 0 else None


def share_words(share: float) -> str:
    """A share in words.

    Example:
        >>> share_words(0.874)
        'the device worked 87 % of the wall time'
    """
    return f"the device worked {100 * share:.0f} % of the wall time"


def duration_words(seconds: float, places: int = 1) -> str:
    """A time in the two largest units that it has.

    Args:
        seconds: From 0 on.
        places: Decimal places of a time below ten seconds.

    Example:
        >>> [duration_words(seconds) for seconds in (0, 0.034, 1.23, 12.3, 120, 754)]
        ['0 s', '0.0 s', '1.2 s', '12 s', '2 min', '12 min 34 s']
        >>> duration_words(5.2, places=0), duration_words(40_000), duration_words(90_000)
        ('5 s', '11 h 7 min', '1 d 1 h')
    """
    fits = [one for one in _UNITS if round(seconds) >= one[1]]
    if not fits:
        return f"{seconds:.{places if 0 < seconds < _FEW_S else 0}f} s"
    unit, unit_s, part, part_s = fits[-1]
    whole, rest = divmod(round(seconds / part_s), unit_s // part_s)
    return f"{whole:,} {unit}" + (f" {rest} {part}" if rest else "")


def energy_facts(joules: Mapping[str, float]) -> dict[str, float]:
    """Energy as it stands in the file of accounts.

    Example:
        >>> energy_facts({"cpu": 1200.0})
        {'cpu_energy_j': 1200.0}
    """
    return {ENERGY[part]: amount for part, amount in joules.items()}


def energy_words(joules: Mapping[str, float], parts: Collection[str] = tuple(ENERGY)) -> str:
    """Energy in words; what nothing counts is n/a.

    Args:
        joules: Of each part that is counted, see `bench.estimate.energy`.
        parts: Which parts were at work.

    Example:
        >>> energy_words({"cpu": 7200.0})
        'energy: processors 2.00 Wh, GPU n/a'
    """
    said = [
        f"{PARTS[part]} " + (f"{joules[part] / J_PER_WH:.2f} Wh" if part in joules else "n/a")
        for part in parts
    ]
    return f"energy: {', '.join(said)}"


def append_account(
    folder: Path, account: Account, beside: Mapping[str, float] = MappingProxyType({})
) -> None:
    """Append the account of a session to the log of a run folder, to the millisecond.

    Args:
        folder: The run folder.
        account: Seconds per stage.
        beside: What was expected and what energy was taken, see `EXPECTED` and `ENERGY`.
    """
    kept = {stage: round(seconds, _DIGITS) for stage, seconds in account.items()}
    share = device_share([kept])  # as a reader of the line finds it
    facts = {**kept, **({} if share is None else {SHARE: share}), **beside}
    line = json.dumps({name: round(amount, _DIGITS) for name, amount in facts.items()})
    path = folder / FILE
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read_accounts(folder: Path) -> list[dict[str, float]]:
    """The accounts of the sessions of a run folder, the first one first.

    They are for people to read, so a line that is no account is left out, and a file that is
    missing or cannot be read has none.
    """
    try:
        lines = read_text(folder / FILE, MOST_JSON_BYTES).splitlines()
    except (OSError, ValueError):
        return []
    return [account for account in map(_account, lines) if account]


def _account(line: str) -> dict[str, float]:
    """The seconds of a line; empty where they are none, or do not add up to their total."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    numbers = found.values() if isinstance(found, dict) else [None]
    if not all(isinstance(one, float | int) and math.isfinite(one) for one in numbers):
        return {}
    account = {stage: float(seconds) for stage, seconds in found.items() if stage not in _BESIDE}
    parts = math.fsum(seconds for stage, seconds in account.items() if stage != "total")
    rounding = _ROUNDED_S * len(account)
    close = math.isclose(parts, account.get("total", -1.0), abs_tol=rounding)
    return account if close and min(account.values()) >= -_ROUNDED_S else {}
