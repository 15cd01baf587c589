"""What an upload asks of a hub: a repository is made, files are announced, sent and committed.

The steps are those of the hub's own client: `repos/create`, `validate-yaml`, `preupload` (which
says what is large), the LFS batch with a PUT for each large file, and `commit` with one JSON object
a line. Whoever has the token of an owner may write to what is that owner's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server import Repository

ALICE, BOB = "hf_alice", "hf_bob"  # tokens
NEW = ".gitattributes"  # what a new repository holds
Answer = tuple[int, Any]  # status, and JSON or nothing


@dataclass
class Uploads:
    """The state of uploads: large files that came, and whose token is whose.

    Args:
        repositories: Those of the hub.
        make: A new repository with these files.
        suffixes: Endings of large files.
        hurried: Names of repositories in which somebody else commits before the next commit.
    """

    repositories: dict[str, Repository]
    make: Callable[[dict[str, bytes]], Repository]
    suffixes: tuple[str, ...]
    owners: dict[str, str] = field(default_factory=lambda: {ALICE: "alice", BOB: "bob"})
    large: dict[str, bytes] = field(default_factory=dict)
    hurried: set[str] = field(default_factory=set)

    def answer(self, method: str, path: str, token: str, body: bytes) -> Answer:
        """What the hub says to a request that writes."""
        if method == "PUT":
            return self._keep(path, body)
        for pattern, step in (
            (r"/api/repos/create", self._create),
            (r"/api/validate-yaml", self._validate),
            (r"/api/datasets/([^/]+/[^/]+)/preupload/main", self._announce),
            (r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
            (r"/api/datasets/([^/]+/[^/]+)/commit/main", self._commit),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                return step(self.owners.get(token), body, *found.groups())
        return 404, None

    def _validate(self, _owner: str | None, body: bytes) -> Answer:
        """Refuse a card without a head, as the hub warns of it."""
        head = json.loads(body)["content"].startswith("---\n")
        return (200, {}) if head else (400, {"errors": [{"message": "no head"}]})

    def _create(self, owner: str | None, body: bytes) -> Answer:
        asked = json.loads(body)
        refused = self._refuses(owner, asked["organization"])
        name = f"datasets/{asked['organization']}/{asked['name']}"
        if refused:
            return refused
        if name in self.repositories:
            return 409, {"error": "You already created this dataset repo"}
        made = self.make({NEW: b"*.parquet filter=lfs\n"})
        made.private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.repositories[name] = made
        return 200, {"url": f"http://127.0.0.1/{name}"}

    def _refuses(self, owner: str | None, wanted: str) -> Answer | None:
        if owner is None:
            return 401, {"error": "Invalid credentials"}
        if owner != wanted:
            return 403, {
                "error": f"You don't have the rights to write under the namespace {wanted}"
            }
        return None

    def _announce(self, owner: str | None, body: bytes, name: str) -> Answer:
        refused = self._refuses(owner, name.partition("/")[0])
        held = self.repositories[f"datasets/{name}"]
        answers = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            facts = held.facts(path) if path in held.files else {"lfs": None, "blob": None}
            known = facts["lfs"]["oid"] if facts["lfs"] else facts["blob"]
            mode = "lfs" if path.endswith(self.suffixes) else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": known})
        return refused or (200, {"files": answers})

    def _batch(self, owner: str | None, body: bytes, name: str) -> Answer:
        refused = self._refuses(owner, name.partition("/")[0])
        objects = []
        for one in json.loads(body)["objects"]:
            action = {"upload": {"href": f"http://127.0.0.1:{{port}}/lfs/{one['oid']}"}}
            new = {} if one["oid"] in self.large else {"actions": action}
            objects.append({"oid": one["oid"], "size": one["size"], **new})
        return refused or (200, {"transfer": "basic", "objects": objects})

    def _keep(self, path: str, body: bytes) -> Answer:
        digest = hashlib.sha256(body).hexdigest()
        if path != f"/lfs/{digest}":
            return 400, {"error": "these bytes have another digest"}
        self.large[digest] = body
        return 200, None

    def _commit(self, owner: str | None, body: bytes, name: str) -> Answer:
        refused = self._refuses(owner, name.partition("/")[0])
        if refused:
            return refused
        held = self.repositories[f"datasets/{name}"]
        header, *lines = [json.loads(line) for line in body.splitlines()]
        if name in self.hurried:
            self.hurried.remove(name)
            held.commit = "f00d" * 10
        if header["value"].get("parentCommit") not in {None, held.commit}:
            return 412, {"error": "A commit has happened since. Please refresh and try again."}
        for line in lines:
            self._apply(held, line["key"], line["value"])
        held.commit = hashlib.sha1(body).hexdigest()  # noqa: S324 - a name, as git's are
        return 200, {"commitUrl": f"/{name}/commit/{held.commit}", "commitOid": held.commit}

    def _apply(self, held: Repository, key: str, value: dict[str, Any]) -> None:
        if key == "deletedFile":
            del held.files[value["path"]]
        elif key == "lfsFile":
            held.files[value["path"]] = self.large[value["oid"]]
        else:
            held.files[value["path"]] = base64.b64decode(value["content"])
