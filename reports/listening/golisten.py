"""The same listening test for Go Listen: a task of its kind "Audio AB Test", and how to send it.

Each clip is a page of its own, which plays the content, the style and the result and asks the three
questions, as our page does; a last button sends the answers. What an id of a page holds comes back
with the answers, see `reports.listening.foreign_ratings`.

Go Listen reads no file: a task is the body of a POST to its server, and a sound lies there under
the MD5 digest of its bytes, so the addresses of sounds are known before they are sent. `SCRIPT`
sends both.

References:
    Barry, Zhang, Sun, Hines (2021), Go Listen: an end-to-end online listening test platform,
    Journal of Open Research Software 9(1).

    Its repository QxLabIreland/listening-test: `shared/models` of the client has the form of a
    task, `AbTestItemExample.render.tsx` shows it (names of buttons are the options of the first
    field), `tools/file_helper.py` of the server names the sounds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.listening.design import MARKS, WORDS

TEXT, RADIO, DESCRIPTION = 0, 1, 3  # kinds of a control
SECTION, QUESTION, EXAMPLE = 0, 1, 2  # kinds of an item
RATER = "rater"  # the id of the question that names the listener
PLAYED = ("Content", "Style", "Result")
OPTIONS = tuple(f"{value} {word}" for value, word in enumerate(MARKS, start=1))
_ABOUT = (
    "Each page plays a content, a style, and a result, which should keep the music of the content "
    "and have the sound of the style. Play all three, then answer the questions about the result."
)

SCRIPT = r"""#!/bin/sh
# Sends this test to a server of Go Listen, by curl: sh golisten.sh https://SERVER EMAIL
set -eu
server=$1 email=$2
cd "$(dirname "$0")"
if [ -t 0 ]; then printf 'Password: ' >&2; stty -echo; fi
read -r password
if [ -t 0 ]; then stty echo; echo >&2; fi
jar=$(mktemp)
trap 'rm -f "$jar"' EXIT
send() {
  token=$(awk '$6 == "_xsrf" { print $7 }' "$jar")
  curl -fsS -b "$jar" -c "$jar" -H "X-XSRFToken: $token" "$@"
}
send "$server/api/login" > /dev/null
digest=$(printf %s "$password" | md5sum | cut -d ' ' -f 1)
printf '{"email": "%s", "password": "%s"}' "$email" "$digest" |
  send --data-binary @- "$server/api/login" > /dev/null
for sound in sounds/*; do
  send -F "audioFile=@$sound" "$server/api/upload-file" > /dev/null
done
id=$(send --data-binary @golisten.json "$server/api/ab-test" |
  sed -n 's/.*"_id": {"$oid": "\([0-9a-f]*\)".*/\1/p')
test -n "$id"
echo "Listeners take it at $server/task/ab-test/$id"
"""


def golisten(test: str, sets: Sequence[Mapping[str, Any]], sounds: Path) -> str:
    """The JSON of a task.

    Args:
        test: The token of the test.
        sets: The sets as listeners get them.
        sounds: The folder of their sounds, which are read for their digests.
    """
    medias = {path.stem: _media(path) for path in sorted(sounds.iterdir())}
    pages = [_page(test, one, item, medias) for one in sets for item in one["items"]]
    name = {
        "id": RATER, "type": QUESTION, "title": "Who are you?",
        "questionControl": {
            "type": TEXT, "question": "A name or code of your choice", "value": None,
            "required": True,
        },
    }  # fmt: skip
    shuffled = {
        "id": "results", "type": SECTION, "title": "Results",
        "sectionSettings": {"randomQuestions": True},
    }  # fmt: skip
    task = {
        "name": "Listening test", "description": _ABOUT,
        "settings": {"isIndividual": True}, "items": [name, shuffled, *pages],
    }  # fmt: skip
    return json.dumps(task, indent=1) + "\n"


def _media(path: Path) -> dict[str, str]:
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    src = f"/static2/audio_files/{digest}{path.suffix}"
    return {"filename": path.name, "src": src, "value": ""}


def _page(
    test: str, one: Mapping[str, Any], item: str, medias: Mapping[str, Mapping[str, str]]
) -> dict[str, object]:
    """One result with its references, and what is asked about it."""
    about = {"type": DESCRIPTION, "question": _ABOUT, "options": PLAYED, "value": None}
    questions = [
        {"type": RADIO, "question": words, "options": OPTIONS, "value": None, "required": True}
        for words in WORDS.values()
    ]
    played = [dict(medias[name]) for name in (one["content"], one["style"], item)]
    return {
        "id": f"{test}-{one['id']}-{item}", "type": EXAMPLE, "title": "Rate the result",
        "example": {
            "fields": [about, *questions], "medias": played,
            "settings": {"requireClipEnded": True, "alwaysStartFrom0": True},
        },
    }  # fmt: skip
