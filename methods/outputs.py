"""Outputs that were made elsewhere: a folder takes the place of a method.

`outputs:FOLDER` in a list of methods stands for whatever cannot run here: a closed service, another
language, a colleague's machine. The harness reads the files (`bench.delivery`) where it would call
any other method, so nothing here renders. What is known of such a method is what its user says in
brackets: `outputs:path/to/theirs[title=MuseTimbre,licence=CC-BY-4.0]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

from bench.api import (
    Audio,
    Conditioning,
    FitRequest,
    Profile,
    Progress,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
    UnsupportedError,
)

NOTHING_HERE = "its outputs were made elsewhere; there is nothing here that could make another"


@dataclass(frozen=True, slots=True)
class OutputsParameters:
    """What is said of outputs that were made elsewhere; no sound depends on it.

    Args:
        title: How the method is called in tables; empty takes the name of the folder.
        source: Paper, service or person, and when.
        licence: Of the sounds. Without it `publish --audio` leaves them out.
        sees: What the method was given, joined by a plus: "style audio+content audio".
    """

    title: str = field(default="", metadata={"role": "transfer"})
    source: str = field(default="", metadata={"role": "transfer"})
    licence: str = field(default="", metadata={"role": "transfer"})
    sees: str = field(default="", metadata={"role": "transfer"})

    def __post_init__(self) -> None:
        """Refuse a condition that tables do not know.

        Raises:
            ValueError: There is one.
        """
        known = get_args(Conditioning)
        for part in filter(None, (part.strip() for part in self.sees.split("+"))):
            if part not in known:
                raise ValueError(
                    f"sees names {part!r}; a method is given {', '.join(known)}, joined by a plus."
                )


class Outputs(StyleTransferMethod[OutputsParameters]):
    """Stands in lists and plans for the outputs of a folder."""

    def load(self, profile: Profile, device: str) -> None:
        """Decline.

        Raises:
            UnsupportedError: Always.
        """
        raise UnsupportedError(NOTHING_HERE)

    def fit(
        self, requests: Sequence[FitRequest[OutputsParameters]], progress: Progress
    ) -> list[StyleState]:
        """Decline, as `load` does."""
        raise UnsupportedError(NOTHING_HERE)

    def transfer(self, requests: Sequence[TransferRequest[OutputsParameters]]) -> list[Audio]:
        """Decline, as `load` does."""
        raise UnsupportedError(NOTHING_HERE)
