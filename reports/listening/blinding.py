"""Names that tell nothing: tokens of sets and clips, what listeners see of them, and their key.

A token is a keyed digest. Its secret is new for every export and is kept nowhere, so that nobody
can try names of methods out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.listening.blocks import Block
from reports.listening.design import RatedSet, Stimulus
from reports.listening.page import PublicSet
from reports.listening.records import RULE, BlindKey, KeyItem, KeySet, Part


def token(secret: bytes, *parts: str) -> str:
    """A name that tells nothing without the secret."""
    text = json.dumps(parts).encode()
    return hmac.new(secret, text, hashlib.sha256).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sound comes from: its path in the run folder, and how many seconds of it."""

    path: str
    most_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Blind:
    """The sets of a test under a secret."""

    sets: tuple[RatedSet, ...]
    practice: RatedSet | None
    secret: bytes

    @property
    def test(self) -> str:
        """The token of the test."""
        return token(self.secret, "test")

    def seed(self, name: str) -> int:
        """The seed of the noise of a file."""
        return int(token(self.secret, "noise", name), 16)

    def sources(self) -> dict[str, Source]:
        """The sounds by token, in an order that tells nothing either."""
        found = {}
        for one in (*self.sets, *([self.practice] if self.practice else [])):
            for path in (one.content_path, one.style_path):
                found[self._reference(path)] = Source(path)
            found |= {self._item(one, s): Source(s.path, s.heard_s(math.inf)) for s in one.stimuli}
        return dict(sorted(found.items()))

    def public(self, one: RatedSet) -> PublicSet:
        """A set as listeners get it."""
        return PublicSet(
            id=self._set(one),
            content=self._reference(one.content_path),
            style=self._reference(one.style_path),
            items=sorted(self._item(one, s) for s in one.stimuli),
        )

    def parts(self, block: Block) -> list[Part]:
        """A block by tokens, in their order."""
        found = [
            Part(
                set=self._set(self.sets[part.place]),
                items=sorted(self._item(self.sets[part.place], s) for s in part.stimuli),
            )
            for part in block
        ]
        return sorted(found, key=lambda part: part.set)

    def key(
        self, run_id: str, seed: int, plan: Sequence[Block], lengths: Mapping[str, float]
    ) -> BlindKey:
        """What the tokens stand for, and the rule for leaving listeners out.

        Args:
            run_id: The run that the test is made from.
            seed: That of the draw.
            plan: What each listener rates.
            lengths: Seconds of each sound, by its path in the run folder.
        """
        sets = {
            self._set(one): KeySet(
                style=one.style,
                content=one.content,
                repetition=one.repetition,
                items={
                    self._item(one, s): KeyItem(
                        method=s.method,
                        cell_id=s.cell_id,
                        check=s.check,
                        low=s.low,
                        again=s.again,
                        stray=list(s.stray),
                        seconds=s.heard_s(lengths[s.path]),
                    )
                    for s in one.stimuli
                },
            )
            for one in self.sets
        }
        return BlindKey(
            test=self.test, run_id=run_id, seed=seed, sets=sets,
            blocks=[self.parts(block) for block in plan], rule=RULE,
        )  # fmt: skip

    def _set(self, one: RatedSet) -> str:
        return token(self.secret, "set", one.style, one.content, str(one.repetition))

    def _item(self, host: RatedSet, one: Stimulus) -> str:
        more = ["again"] if one.again else ["stray", self._set(host)] if one.stray else []
        return token(self.secret, "item", one.cell_id, *more)

    def _reference(self, path: str) -> str:
        return token(self.secret, "reference", path)
