"""The task for Go Listen: what its client shows, what its own server does with it, what comes back.

Its code is no part of this project, and tests use no network: GOLISTEN names a checkout, and its
server needs tornado 6.0, pymongo 3.11 and mongomock for the database; without them that is skipped.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from answering import deserved
from golisten_server import MISSING, serving
from sounding import sounding_run

from bench.api import RecordError
from bench.records.store import Run
from reports.listening.chance import HIGH_SCORES, LOW_SCORES
from reports.listening.design import QUESTIONS
from reports.listening.export import Exported, export
from reports.listening.ratings import heard, import_ratings
from reports.listening.records import BlindKey, read_json

SETS = 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return sounding_run(tmp_path_factory.mktemp("golisten") / "run", ("harp", "bird"), ("a", "b"))


@pytest.fixture(scope="module")
def made(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, BlindKey]:
    done = export(run.folder, tmp_path_factory.mktemp("test") / "test", SETS, 0)
    return done, read_json(done.key, BlindKey)


def task_of(made: tuple[Exported, BlindKey]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made[0].folder / "golisten.json").read_text("utf-8"))
    return found


def test_each_result_has_a_page_that_plays_it_between_its_references(
    made: tuple[Exported, BlindKey],
) -> None:
    done, key = made
    name, section, *pages = task_of(made)["items"]
    assert name["questionControl"]["required"]
    assert section["sectionSettings"]["randomQuestions"]
    asked = {(key.test, one, item) for one, given in key.sets.items() for item in given.items}
    assert {tuple(page["id"].split("-")) for page in pages} == asked
    for page in pages:
        about, *questions = page["example"]["fields"]
        assert about["options"] == ["Content", "Style", "Result"]  # the names of the buttons
        assert [one["options"][0] for one in questions] == ["1 bad"] * 3
        content, style, result = page["example"]["medias"]
        assert Path(result["filename"]).stem == page["id"].split("-")[2]
        for media in (content, style, result):
            data = (done.folder / "sounds" / media["filename"]).read_bytes()
            assert Path(media["src"]).name == f"{hashlib.md5(data).hexdigest()}.wav"  # noqa: S324


def answered(task: dict[str, Any], key: BlindKey, rater: str) -> dict[str, Any]:
    """What the client sends when all is answered: the task with values."""
    given: dict[str, Any] = json.loads(json.dumps(task))
    given["items"][0]["questionControl"]["value"] = rater
    for page in given["items"][2:]:
        _, one, item = page["id"].split("-")
        for question, field in zip(QUESTIONS, page["example"]["fields"][1:], strict=True):
            mark = deserved(key.sets[one].items[item], question)
            field["value"] = field["options"][mark - 1]
    return given


def require_careful(run: Run, *raters: str) -> None:
    said = heard([run.folder])
    assert set(raters) <= set(said.raters)
    assert {one.care.flags for one in said.judged if one.rater in raters} == {()}
    best = SETS * (3 * max(HIGH_SCORES) + 6 * max(LOW_SCORES))
    assert {one.care.copies.reached for one in said.judged if one.rater in raters} == {best}


def test_its_responses_are_ratings(
    run: Run, made: tuple[Exported, BlindKey], tmp_path: Path
) -> None:
    _, key = made
    path = tmp_path / "responses.json"
    people = [answered(task_of(made), key, name) for name in ("gus", "gwen")]
    path.write_text(json.dumps(people), encoding="utf-8")
    import_ratings([path], run.folder)
    require_careful(run, "gus", "gwen")
    people[0]["items"][5]["example"]["fields"][2]["value"] = "7 best"
    path.write_text(json.dumps(people), encoding="utf-8")
    with pytest.raises(RecordError, match="is not a result of Go Listen for an exported test"):
        import_ratings([path], run.folder)


def test_the_script_is_one_that_a_shell_can_read(made: tuple[Exported, BlindKey]) -> None:
    subprocess.run(["sh", "-n", str(made[0].folder / "golisten.sh")], check=True)  # noqa: S607


@pytest.mark.skipif("GOLISTEN" not in os.environ, reason="GOLISTEN names no checkout of it")
@pytest.mark.skipif(bool(MISSING), reason=f"its server needs {', '.join(MISSING)}")
def test_its_own_server_takes_the_test_and_gives_the_responses_back(
    run: Run, made: tuple[Exported, BlindKey], tmp_path: Path
) -> None:
    done, key = made
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def asked(address: str, body: object = None) -> Any:  # noqa: ANN401 - what JSON holds
        token = next((c.value for h in opener.handlers for c in getattr(h, "cookiejar", [])
                      if c.name == "_xsrf"), "")  # fmt: skip
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {"X-XSRFToken": token or ""})  # noqa: S310
        with opener.open(request, timeout=30) as answer:
            text = answer.read().decode()
        return json.loads(text) if text.startswith(("{", "[")) else text

    with serving(Path(os.environ["GOLISTEN"]), tmp_path / "server") as address:
        sent = subprocess.run(
            ["sh", str(done.folder / "golisten.sh"), address, "admin@yourdomain.com"],  # noqa: S607
            input="123456\n", text=True, check=True, timeout=120,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        asked(f"{address}/api/login")
        digest = hashlib.md5(b"123456").hexdigest()  # noqa: S324 - what its client sends
        asked(f"{address}/api/login", {"email": "admin@yourdomain.com", "password": digest})
        place = sent.stdout.strip().rpartition("/")[2]
        task = asked(f"{address}/api/task/ab-test?_id={place}")
        for page in task["items"][2:]:
            for media in page["example"]["medias"]:
                with opener.open(f"{address}{media['src']}", timeout=30) as sound:
                    name = done.folder / "sounds" / media["filename"]
                    assert sound.read() == name.read_bytes()
        asked(f"{address}/api/task/ab-test", answered(task, key, "gale"))
        responses = asked(f"{address}/api/response?testType=ab-test&testId={place}&downloadable=1")
    path = tmp_path / f"ab-test-{time.time_ns()}.json"
    path.write_text(json.dumps(responses), encoding="utf-8")
    import_ratings([path], run.folder)
    require_careful(run, "gale")
