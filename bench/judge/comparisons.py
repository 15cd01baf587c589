"""What is compared with what, so that it shows what a metric hears.

**Two clips**: every clip is an output for every other as its content. Two have the same piece, the
same instrument, or neither in common.

**Clip and style**: a piece in a style is scored as the right output is (the piece on the instrument
of the style), with wrong timbre (on any other) and with wrong notes (another piece on the right
one). The clips of a style play none of the pieces.

**Changes**: a right output, as it is and after each change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

from bench.api import Clip, MetricInfo, Output
from bench.audio import fit_length, resample
from bench.judge.changes import CHANGES
from bench.judge.material import Cell, Grid, JudgeMaterial
from bench.seeds import derive_seed

SAME_PIECE, SAME_INSTRUMENT, NEITHER = "same piece", "same instrument", "neither"
RIGHT, WRONG_NOTES, WRONG_TIMBRE = "right", "wrong notes", "wrong timbre"
UNCHANGED = "unchanged"
PROBES = 8


@dataclass(frozen=True, slots=True)
class Comparison:
    """An output to be scored.

    Args:
        output: With what it is compared with.
        kind: What it has in common with that.
        pieces: Indices of the different pieces that it rests on.
        instruments: Likewise of the instruments.
        heard: Style and clip, where the style is what the clip is compared with.
    """

    output: Output
    kind: str
    pieces: tuple[int, ...] = ()
    instruments: tuple[int, ...] = ()
    heard: tuple[int, Cell] | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Makes outputs as a metric needs them.

    Args:
        material: The clips.
        info: What the metric says of itself.
    """

    material: JudgeMaterial
    info: MetricInfo

    def ask(self, content: Clip, style: str, audio: Clip, target: Clip) -> Output:
        """An output at the rate and length of its content, as the harness would hand it over."""
        sound = resample(audio.audio, content.audio.sample_rate)
        rivals = self.material.rivals(style) if "rivals" in self.info.needs else ()
        return Output(
            content,
            self.material.styles[style],
            fit_length(sound, content.audio.num_samples),
            rivals,
            target.audio if "target" in self.info.needs else None,
        )


def two_clips(asker: Asker, grid: Grid) -> Iterator[Comparison]:
    """Every ordered pair of clips: the first is content and true result, the second the output."""
    for first, second in permutations(grid.clips, 2):
        content, output = grid.clips[first], grid.clips[second]
        same_piece, same_instrument = first[0] == second[0], first[1] == second[1]
        kind = SAME_PIECE if same_piece else SAME_INSTRUMENT if same_instrument else NEITHER
        yield Comparison(
            asker.ask(content, grid.instruments[second[1]], output, content),
            kind,
            first[:1] if same_piece else (first[0], second[0]),
            first[1:] if same_instrument else (first[1], second[1]),
        )


def clip_and_style(asker: Asker, grid: Grid) -> Iterator[Comparison]:
    """Each piece in each style: done right, with wrong timbre, and with wrong notes."""
    for (piece, style), target in grid.clips.items():
        content = grid.clips[piece, (style + 1) % len(grid.instruments)]
        for (other, player), clip in grid.clips.items():
            if other != piece and player != style:
                continue
            wrong = WRONG_NOTES if other != piece else WRONG_TIMBRE
            kind = RIGHT if (other, player) == (piece, style) else wrong
            yield Comparison(
                asker.ask(content, grid.instruments[style], clip, target),
                kind,
                tuple(dict.fromkeys((piece, other))),
                tuple(dict.fromkeys((style, player))),
                (style, (other, player)),
            )


def changes(asker: Asker, seed: int) -> Iterator[Comparison]:
    """Right outputs, as they are and changed, for each content of their pieces."""
    grid = asker.material.grids[0]
    place = {clip.id: cell for cell, clip in grid.clips.items()}
    rendered = {(c, clip.id): clip for c, clips in asker.material.changed.items() for clip in clips}
    names = [name for name in asker.material.originals if name in place]
    originals = [grid.clips[place[name]] for name in names] or _some(grid)
    for original in originals:
        forms = {UNCHANGED: original}
        forms |= {change: clip for (change, name), clip in rendered.items() if name == original.id}
        noise = derive_seed(seed, "judge", original.id)
        for change, make in CHANGES.items():
            sound = make(original.audio, noise)
            forms[change] = Clip(original.id, original.category, sound)
        piece, style = place[original.id]
        for player in range(len(grid.instruments)):
            if player != style:
                content = grid.clips[piece, player]
                for change, clip in forms.items():
                    yield Comparison(
                        asker.ask(content, grid.instruments[style], clip, original), change
                    )


def _some(grid: Grid) -> list[Clip]:
    """Outputs for a dataset without changed notes: each piece on the first instrument."""
    return [grid.clips[piece, 0] for piece in range(len(grid.pieces))]


@dataclass(frozen=True, slots=True)
class Probes:
    """The same outputs four times, which shows what a metric compares them with.

    With contents that have nothing in common with them, with contents of the same piece, of the
    same instrument, and with nothing in common again but in another style.
    """

    plain: list[Output]
    same_piece: list[Output]
    same_instrument: list[Output]
    other_style: list[Output]


def probes(asker: Asker) -> Probes:
    """A few outputs from all over the main grid."""
    grid = asker.material.grids[0]
    pieces, players = len(grid.pieces), len(grid.instruments)
    found = Probes([], [], [], [])
    for piece, player in list(grid.clips)[:: max(1, len(grid.clips) // PROBES)][:PROBES]:
        output, own = grid.clips[piece, player], grid.instruments[player]
        next_piece, next_player = (piece + 1) % pieces, (player + 1) % players
        neither = grid.clips[next_piece, next_player]
        for place, content, style in (
            (found.plain, neither, own),
            (found.same_piece, grid.clips[piece, next_player], own),
            (found.same_instrument, grid.clips[next_piece, player], own),
            (found.other_style, neither, grid.instruments[next_player]),
        ):
            place.append(asker.ask(content, style, output, content))
    return found
