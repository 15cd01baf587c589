"""Reads the grid of a page back, as page.js does, from the words of `reports.page.grid.Packed`."""

from __future__ import annotations

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any


def grid_of(index: Path) -> dict[str, Any]:
    """The grid of a page with a dict per row and output; scores have four digits."""
    text = index.read_text(encoding="utf-8")
    found = re.search(r'id="grid">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return unpacked(json.loads(found[1]))


def unpacked(packed: dict[str, Any]) -> dict[str, Any]:
    """The grid, of which each part is read by itself."""
    styles, contents = packed["names"]
    sounds = base64.b64decode(packed["sounds"])
    raw = base64.b64decode(packed["scores"])
    shapes = struct.unpack(f"<{len(sounds) // 8}H", base64.b64decode(packed["shape_of"]))
    numbers = iter(struct.unpack(f"<{len(raw) // 2}H", raw))
    rows = []
    for place, (name, style, content, category, repetition) in enumerate(packed["rows"]):
        outputs = []
        for method in range(len(packed["methods"])):
            number = place * len(packed["methods"]) + method
            scores = [number_of(next(numbers), metric) for metric in packed["metrics"]]
            output = output_of(sounds[8 * number : 8 * number + 8], scores, packed["reasons"])
            seconds, hertz = packed["shapes"][shapes[number]]
            outputs.append(output and {**output, "seconds": seconds, "hertz": hertz})
        rows.append({
            "id": name, "style": styles[style], "content": contents[content],
            "category": category, "repetition": repetition, "outputs": outputs,
        })  # fmt: skip
    return packed | {"rows": rows}


def number_of(number: int, metric: dict[str, Any]) -> float | None:
    if number == 0:
        return None
    span = float(metric["high"]) - float(metric["low"])
    return round(float(metric["low"]) + (number - 1) / 65_534 * span, 4)


def output_of(name: bytes, scores: list[float | None], reasons: list[str]) -> dict[str, Any] | None:
    if any(name[:6]):
        return {"audio": name.hex(), "why": "", "scores": scores}
    number = name[6] + 256 * name[7]
    return {"audio": "", "why": reasons[number - 1], "scores": scores} if number else None
