"""The same test for two tools that others run: webMUSHRA and BeaqleJS.

Only their configurations are written; the tools are not part of this project. Both ask one
question per page, so that each set gives three pages. MUSHRA's one reference does not fit (a set
has two with opposing demands): pages are multi-stimulus Likert scales, and the reference is a clip
in the text above them.

References:
    webMUSHRA 1.4 (International Audio Laboratories Erlangen), the page type
    ``likert_multi_stimulus``; BeaqleJS 1.0.3 (Kraft, Zoelzer 2014), the object ``TestConfig``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

WORDS = {
    "cp": "How well is the content kept: melody, rhythm and the like?",
    "sf": "How well does the sound fit the style: timbre, the units of its sound?",
    "ovl": "How good is the result overall: do content and style fuse into one?",
}
MARKS = ("bad", "poor", "fair", "good", "excellent")


def webmushra(test: str, sets: Sequence[Mapping[str, Any]]) -> str:
    """The YAML of a webMUSHRA test; the folder `sounds` lies in its `configs/resources`.

    It is written as JSON, which YAML contains.
    """
    pages: list[object] = ["random"]
    pages += [_webmushra_page(one, question) for one in sets for question in WORDS]
    finish = {
        "type": "finish", "name": "Thank you", "content": "Your ratings can be sent.",
        "showResults": False, "writeResults": True,
    }  # fmt: skip
    return _json({
        "testname": "Listening test", "testId": test, "bufferSize": 2048, "stopOnErrors": True,
        "showButtonPreviousPage": True, "remoteService": "service/write.php",
        "pages": [pages, finish],
    })  # fmt: skip


def _webmushra_page(one: Mapping[str, Any], question: str) -> dict[str, object]:
    reference = {"cp": one["content"], "sf": one["style"], "ovl": one["content"]}[question]
    return {
        "type": "likert_multi_stimulus", "id": f"{one['id']}-{question}", "name": "Rate each clip",
        "content": (
            f"{WORDS[question]} <audio controls src='configs/resources/sounds/{reference}.wav'>"
            "</audio>"
        ),
        "mustRate": True, "mustPlayback": "ended", "reference": _resource(reference),
        "stimuli": {item: _resource(item) for item in one["items"]},
        "response": [
            {"value": str(value), "label": label} for value, label in enumerate(MARKS, start=1)
        ],
    }  # fmt: skip


def _resource(name: str) -> str:
    return f"configs/resources/sounds/{name}.wav"


def beaqle(test: str, sets: Sequence[Mapping[str, Any]]) -> str:
    """The JavaScript of a BeaqleJS test of type MUSHRA, marks 1 to 5."""
    testsets = [
        {
            "Name": WORDS[question], "TestID": f"{one['id']}-{question}",
            "Files": {
                "Reference": f"{one['style' if question == 'sf' else 'content']}.wav",
                **{str(n): f"{item}.wav" for n, item in enumerate(one["items"], start=1)},
            },
        }
        for one in sets
        for question in WORDS
    ]  # fmt: skip
    config = {
        "TestName": f"Listening test {test}", "RateMinValue": 1, "RateMaxValue": 5,
        "RateDefaultValue": 3, "RandomizeTestOrder": True, "RandomizeFileOrder": True,
        "MaxTestsPerRun": -1, "RequireMaxRating": False, "AudioRoot": "sounds/",
        "EnableABLoop": True, "ShowFileIDs": False, "ShowResults": False, "Testsets": testsets,
    }  # fmt: skip
    return f"var TestConfig = {_json(config)};\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
