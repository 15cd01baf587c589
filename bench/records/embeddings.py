"""`embeddings.jsonl`: the vectors by which metrics hear the sounds of a run.

A run writes one record per sound and embedding metric, after it has scored. Only the tables `sets`
and `swapped` read them, so `bench.records.store.read_run` does not. Records of sounds that no cell
has any more, of clips that are not held out, or of another fingerprint than the header's metric has
are left out; a line that is no record costs that line alone.

**Conventions**: vectors are float32 of unit norm, (sound, dimension).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.files import replace_file
from bench.records import store
from bench.records.parts import parts_of
from bench.records.schema import CellRecord, EmbeddingRecord, RunHeader

Vectors = NDArray[np.float32]
UNIT_TOLERANCE = 1e-3  # of a norm; float32 rounding is far below
_STORED = np.dtype("<f4")


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """The sounds of a run as one metric hears them.

    Args:
        embedding: Its name in tables, such as "CLAP".
        metric: The metric that made them.
        vectors: One row per sound.
        rows: The row of a sound by its digest.
        clips: The digests of the held-out clips by style, in the order of the header.
    """

    embedding: str
    metric: str
    vectors: Vectors
    rows: Mapping[str, int]
    clips: Mapping[str, tuple[str, ...]]

    def of(self, digests: Iterable[str]) -> NDArray[np.float64]:
        """The vectors of some sounds, (sound, dimension).

        Raises:
            KeyError: One has none.
        """
        return self.vectors[[self.rows[digest] for digest in digests]].astype(np.float64)


def to_text(vector: NDArray[np.floating]) -> str:
    """A vector as it stands in a record.

    Example:
        >>> to_text(np.array([1.0, 0.0]))
        'AACAPwAAAAA='
    """
    return base64.b64encode(np.asarray(vector, _STORED).tobytes()).decode()


def from_text(text: str) -> Vectors | None:
    """The vector of a record; None where the text is none of unit norm.

    Example:
        >>> from_text("AACAPwAAAAA=").tolist(), from_text("AACAPw"), from_text("AACAfwAAAAA=")
        ([1.0, 0.0], None, None)
    """
    try:
        found = np.frombuffer(base64.b64decode(text, validate=True), _STORED)
    except (binascii.Error, ValueError):
        return None
    return found.astype(np.float32, copy=False) if len(found) and is_unit(found[None]) else None


def is_unit(vectors: NDArray[np.floating]) -> bool:
    """Whether all rows are finite and of unit norm."""
    wide = vectors.astype(np.float64)
    return bool(np.all(np.abs(np.sum(wide**2, axis=-1) - 1) <= UNIT_TOLERANCE))


def read_embeddings(
    folders: Sequence[Path], header: RunHeader, cells: Iterable[CellRecord], faults: list[str]
) -> list[Embedded]:
    """What the metrics of a run hear, in the order of its header; empty where there is nothing.

    Args:
        folders: The run folder, or several of one setting; where a sound stands in several, the
            one named first counts.
        header: Of the run.
        cells: The latest records of its cells.
        faults: Gets a sentence for each line that is left out because it is damaged.
    """
    found = _Gathered(header, cells)
    with store.without_garbage_collection():
        for record in _records(folders, faults):
            found.take(record, faults)
    return found.embedded()


def _records(folders: Sequence[Path], faults: list[str]) -> Iterable[EmbeddingRecord]:
    for part in (part for folder in folders for part in parts_of(folder)):
        for record, _ in store.each_line(part / store.EMBEDDINGS, EmbeddingRecord, faults):
            yield record


class _Gathered:
    """Collects the records that count, each sound once."""

    def __init__(self, header: RunHeader, cells: Iterable[CellRecord]) -> None:
        self._marks = {metric.name: metric.fingerprint for metric in header.metrics}
        self._heldout = {style: heldout_of(header, style) for style in header.styles}
        self._wanted = {cell.audio_digest for cell in cells if cell.status == "ok"}
        self._names: dict[str, str] = {}
        self._vectors: dict[str, dict[str, Vectors]] = {}
        self._clips: dict[str, dict[tuple[str, str], str]] = {}

    def counts(self, record: EmbeddingRecord) -> bool:
        """Whether a record is of a sound of this run, as its metric hears it now."""
        if self._marks.get(record.metric) != record.fingerprint:
            return False
        if record.style is None:
            return record.audio_digest in self._wanted
        return record.clip in self._heldout.get(record.style, ())

    def take(self, record: EmbeddingRecord, faults: list[str]) -> None:
        """Keep what counts and is not known yet."""
        if not self.counts(record):
            return
        known = self._vectors.setdefault(record.metric, {})
        if record.audio_digest not in known:
            vector = from_text(record.vector)
            size = next((len(one) for one in known.values()), None)
            if vector is None or size not in {None, len(vector)}:
                words = "no vector" if vector is None else f"{len(vector)} numbers, not {size}"
                faults.append(f"the embedding of {record.audio_digest[:12]} holds {words}")
                return
            known[record.audio_digest] = vector
            self._names.setdefault(record.metric, record.embedding)
        if record.style is not None and record.clip is not None:
            place = record.style, record.clip
            self._clips.setdefault(record.metric, {}).setdefault(place, record.audio_digest)

    def embedded(self) -> list[Embedded]:
        """All that was kept, by metric in the order of the header."""
        return [self._of(metric) for metric in self._marks if self._vectors.get(metric)]

    def _of(self, metric: str) -> Embedded:
        known, clips = self._vectors[metric], self._clips.get(metric, {})
        by_style = {
            style: tuple(clips[style, clip] for clip in names if (style, clip) in clips)
            for style, names in self._heldout.items()
        }
        rows = {digest: row for row, digest in enumerate(known)}
        return Embedded(self._names[metric], metric, np.stack([*known.values()]), rows, by_style)


def heldout_of(header: RunHeader, style: str) -> tuple[str, ...]:
    """The ids of the clips that are held out of a style, as a header says."""
    found = header.styles[style].get("heldout_clips")
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


Place = tuple[str, str | None, str | None]  # digest of a sound, and style and clip if it is one


def known_places(folder: Path, metric: str, fingerprint: str) -> set[Place]:
    """The sounds of which a run folder has a vector by this metric, damaged lines left out."""
    return {
        (record.audio_digest, record.style, record.clip)
        for record in _records([folder], [])
        if (record.metric, record.fingerprint) == (metric, fingerprint)
        and from_text(record.vector) is not None
    }


def write_joined(
    folders: Sequence[Path], header: RunHeader, cells: Iterable[CellRecord], out: Path
) -> None:
    """Write the records that count of several run folders into one, each sound once, in order.

    Nothing is written where no folder has any, and the same folders in any order give the same
    file.
    """
    gathered = _Gathered(header, cells)
    kept: dict[tuple[str, str, str, str], str] = {}
    for record in _records(folders, []):
        if gathered.counts(record) and from_text(record.vector) is not None:
            key = record.metric, record.style or "", record.clip or "", record.audio_digest
            line = record.model_dump_json()
            kept[key] = min(line, kept.get(key, line))
    text = "".join(kept[key] + "\n" for key in sorted(kept)).encode()
    path = out / store.EMBEDDINGS
    if text and not (path.is_file() and path.read_bytes() == text):
        replace_file(path, text, root=out)
