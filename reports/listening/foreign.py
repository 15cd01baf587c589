"""The same listening test for two other tools, webMUSHRA and BeaqleJS.

Only their configurations are written; the tools are not part of this project. Both ask one
question per page, so each set gives three pages. The results of both can be imported, see
`reports.listening.foreign_ratings`. For Go Listen there is `reports.listening.golisten`.

* webMUSHRA: the single reference of MUSHRA does not fit (a set has two with opposing demands), so
  the pages are multi-stimulus Likert scales with both references above them. Its YAML reader does
  not take a mapping in braces over several lines, so the file is written in blocks.
* BeaqleJS: the test is of type MUSHRA with marks from 1 to 5. Its reference is the content or, for
  the question of style, the style. It hides the reference among the clips by itself; the mark that
  it gets there is not used.

References:
    webMUSHRA (Schoeffler et al. 2018, Journal of Open Research Software 6(1)), page type
    ``likert_multi_stimulus``. BeaqleJS (Kraft, Zoelzer 2014, Linux Audio Conference),
    ``MushraTest``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.checkout import COMMAND
from reports.listening.design import MARKS, WORDS

RATER = "rater"  # the column of webMUSHRA's results that names the listener
SOUNDS = "sounds"
_INTRODUCTION = (
    "Each page plays several clips. Each of them should keep the music of a content clip and have "
    "the sound of a style clip. Play both, then play and rate every clip."
)

INSTRUCTIONS = f"""\
index.html works as it stands: from this folder, or from any web server. Listeners download their
ratings at the end and send them to you, or the page sends them where --post said. It gives each
listener one block of the test: by its address (index.html?block=7), by the id that Prolific or
MTurk add to it, or by chance. In a lab, `{COMMAND} listen serve FOLDER` serves this folder, hands
out the blocks in turn and keeps the ratings.

The other tools play the whole test to every listener.

webMUSHRA: copy webmushra.yaml to its folder configs/ and the folder sounds to configs/resources/,
then open it with ?config=webmushra.yaml. It collects all ratings in results/<test>/lms.csv.

BeaqleJS: copy beaqlejs-config.js and the folder sounds beside its index.html; there, name the
script beaqlejs-config.js and choose MushraTest. Listeners download their ratings.

Go Listen: golisten.sh sends golisten.json and the sounds to a server on which you have an account,
`sh golisten.sh https://SERVER EMAIL`. Its page of responses downloads all ratings as JSON.

Then: {COMMAND} listen import FILES --run RUN
"""


def webmushra(test: str, sets: Sequence[Mapping[str, Any]], suffix: str = ".wav") -> str:
    """The YAML of a webMUSHRA test; the folder `sounds` lies in its `configs/resources`."""
    pages: list[object] = ["random"]
    pages += [_webmushra_page(one, question, suffix) for one in sets for question in WORDS]
    introduction = {
        "type": "generic", "id": "introduction", "name": "Listening test",
        "content": _INTRODUCTION,
    }  # fmt: skip
    return webmushra_config(test, [introduction, pages, finish_page()])


def webmushra_config(test: str, pages: Sequence[object]) -> str:
    """The YAML of a webMUSHRA test of some pages."""
    return "\n".join(_yaml_lines({
        "testname": "Listening test", "testId": test, "bufferSize": 2048, "stopOnErrors": True,
        "showButtonPreviousPage": True, "remoteService": "service/write.php",
        "pages": list(pages),
    })) + "\n"  # fmt: skip


def finish_page() -> dict[str, object]:
    """The last page of a webMUSHRA test, which asks for a name and sends the answers."""
    return {
        "type": "finish", "name": "Thank you", "content": "Please send your ratings.",
        "popupContent": "Your ratings have been sent.", "showResults": False, "showErrors": True,
        "writeResults": True,
        "questionnaire": [{"type": "text", "label": "Name or code", "name": RATER}],
    }  # fmt: skip


def _webmushra_page(one: Mapping[str, Any], question: str, suffix: str) -> dict[str, object]:
    players = (
        f"{name}: <audio controls src='{resource(one[key], suffix)}'></audio>"
        for name, key in (("Content", "content"), ("Style", "style"))
    )
    return {
        "type": "likert_multi_stimulus", "id": f"{one['id']}-{question}", "name": "Rate each clip",
        "content": "<br>".join((WORDS[question], *players)),
        "mustRate": True, "mustPlayback": "ended",
        "stimuli": {item: resource(item, suffix) for item in one["items"]},
        "response": [
            {"value": str(value), "label": label} for value, label in enumerate(MARKS, start=1)
        ],
    }  # fmt: skip


def resource(name: str, suffix: str) -> str:
    """Where webMUSHRA finds a sound."""
    return f"configs/resources/{SOUNDS}/{name}{suffix}"


def _yaml_lines(value: object, depth: int = 0) -> Iterator[str]:
    """Lines of YAML in block style, from mappings and lists of texts, numbers and booleans.

    Example:
        >>> print(*_yaml_lines({"a": [{"b": "c: d", "e": True}, ["f"]]}), sep="|")
        "a":|  -|    "b": "c: d"|    "e": true|  -|    - "f"
    """
    indent = "  " * depth
    pairs = (
        [(f"{json.dumps(key)}:", item) for key, item in value.items()]
        if isinstance(value, Mapping)
        else [("-", item) for item in value]  # type: ignore[attr-defined] # only lists are left
    )
    for head, item in pairs:
        if isinstance(item, Mapping | list):
            yield f"{indent}{head}"
            yield from _yaml_lines(item, depth + 1)
        else:
            yield f"{indent}{head} {json.dumps(item)}"


def beaqle(test: str, sets: Sequence[Mapping[str, Any]], suffix: str = ".wav") -> str:
    """The JavaScript of a BeaqleJS test, which expects the folder `sounds` beside it."""
    testsets = [
        {
            "Name": WORDS[question], "TestID": f"{test}-{one['id']}-{question}",
            "Files": {
                "Reference": _sound(one["style" if question == "sf" else "content"], suffix),
                **{str(n): _sound(item, suffix) for n, item in enumerate(one["items"], start=1)},
            },
        }
        for one in sets
        for question in WORDS
    ]  # fmt: skip
    config = {
        "TestName": "Listening test", "RateScalePng": "img/scale_abs.png",
        "RateScaleBgPng": "img/scale_abs_background.png", "RateMinValue": 1, "RateMaxValue": 5,
        "RateDefaultValue": 3, "ShowFileIDs": False, "ShowResults": False, "LoopByDefault": False,
        "EnableABLoop": True, "EnableOnlineSubmission": False, "BeaqleServiceURL": "",
        "SupervisorContact": "", "RandomizeTestOrder": True, "MaxTestsPerRun": -1,
        "RequireMaxRating": False, "AudioRoot": "", "Testsets": testsets,
    }  # fmt: skip
    return f"var TestConfig = {json.dumps(config, indent=1)};\n"


def _sound(name: str, suffix: str) -> str:
    return f"{SOUNDS}/{name}{suffix}"
