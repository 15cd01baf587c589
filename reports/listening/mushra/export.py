"""Write a MUSHRA test for webMUSHRA: its configuration, its sounds, and its key in the run folder.

A page is one content in one style, with the outputs of the methods as stimuli. Hidden reference and
anchors are webMUSHRA's own, made in the browser from the reference: it has filters for browsers
that play at 16, 22.05, 32, 44.1 or 48 kHz, and fails at another rate. It takes at most twelve
stimuli of one length and at most twelve seconds, so sounds are cut at `MOST_S`.

References:
    ITU-R BS.1534-3 (2015), Method for the subjective assessment of intermediate quality level of
    audio systems. Schoeffler et al. (2018), webMUSHRA, Journal of Open Research Software 6(1), page
    type ``mushra``.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import ConfigError
from bench.checkout import COMMAND
from bench.files import renewed_folder, replace_file
from bench.records.store import load_run
from reports import sounds
from reports.listening.blinding import token
from reports.listening.clips import SUFFIX, write_clip
from reports.listening.design import WORDS, RatedSet, Stimulus, choose_sets, chosen_labels
from reports.listening.export import licence_notices, require_new, set_times
from reports.listening.foreign import SOUNDS, finish_page, resource, webmushra_config
from reports.listening.mushra.records import KEY, MushraItem, MushraKey, MushraRule, MushraSet
from reports.listening.mushra.screening import words
from reports.listening.records import FOLDER

MOST_S = 10.0  # what BS.1534-3 finds long enough; webMUSHRA takes 12 at most
MOST_STIMULI = 12  # what webMUSHRA takes, beside its own three
WAV = SUFFIX["wav"]
_INTRODUCTION = (
    "Each page has a reference, which is a piece of music, and several clips, which should keep "
    "its music: its melody, its rhythm and so on. Their sound may differ. One of the clips is the "
    "reference itself. Play all clips, then move the slider of each."
)
_ASKED = (
    f"{WORDS['cp']} 100 is as well as in the reference, which is hidden among the clips and gets "
    "100; 0 is not at all."
)

INSTRUCTIONS = f"""\
webMUSHRA: copy webmushra.yaml to its folder configs/ and the folder {SOUNDS} to configs/resources/,
then open it with ?config=webmushra.yaml, in browsers that play at 44.1 or 48 kHz. It makes the
anchors itself and collects all marks in results/<test>/mushra.csv.

Then: {COMMAND} listen import mushra.csv --run RUN
"""


@dataclass(frozen=True, slots=True)
class MushraExported:
    """Where a MUSHRA test was written, and what the user must know about it.

    Args:
        folder: What webMUSHRA gets.
        key: What the tokens stand for; it stays with the run.
        pages: How many pages it has.
        stimuli: How many outputs stand on a page, beside hidden reference and anchors.
        notices: What the user must know.
        rule: Who will be left out, in words.
    """

    folder: Path
    key: Path
    pages: int
    stimuli: int
    notices: tuple[str, ...]
    rule: str


@dataclass(frozen=True, slots=True)
class _Pages:
    """What a test plays, and its tokens under a secret."""

    sets: tuple[RatedSet, ...]
    labels: Sequence[str]
    secret: bytes

    @property
    def test(self) -> str:
        return token(self.secret, "test")

    def set(self, one: RatedSet) -> str:
        return token(self.secret, "set", one.style, one.content, str(one.repetition))

    def item(self, one: Stimulus) -> str:
        return token(self.secret, "item", one.cell_id)

    def reference(self, one: RatedSet) -> str:
        return token(self.secret, "reference", one.content_path)

    def outputs(self, one: RatedSet) -> list[Stimulus]:
        """The clips of the methods, without what a test of three questions hides among them."""
        return [s for s in one.stimuli if s.method in self.labels and not (s.again or s.stray)]


def export_mushra(
    run_folder: Path, out: Path, sets: int, seed: int, methods: Sequence[str] = ()
) -> MushraExported:
    """Write the test: its sounds, equally loud, and what webMUSHRA needs.

    Names and noise are new each time, and all files have one time, as `reports.listening.export`
    has it; the same seed chooses the same sets.

    Args:
        run_folder: The run; its folder `listening/` gets the key.
        out: The folder for webMUSHRA; it must be new or empty.
        sets: How many pages.
        seed: Decides which.
        methods: Labels of the methods; by default all that are not controls. "copy-style" among
            them is a low end of the scale.

    Raises:
        ConfigError: `out` is not empty, or there are more methods than webMUSHRA takes.
        LinkError: `out` is a symbolic link, or one stands in the way of the key.
        BenchError: The run does not allow such a test, or its audio is not in its folder.
    """
    require_new(out)
    run = load_run(run_folder)
    labels = chosen_labels(run, methods)
    if len(labels) > MOST_STIMULI:
        raise ConfigError(
            f"the test has {len(labels)} methods, and a page of webMUSHRA takes {MOST_STIMULI} at "
            "most. Name fewer with --method."
        )
    pages = _Pages(choose_sets(run, sets, seed, labels), labels, secrets.token_bytes(32))
    rule = MushraRule()
    told = words(rule, len(pages.sets))
    with renewed_folder(out) as fresh:
        _write_sounds(run_folder, fresh / SOUNDS, pages)
        replace_file(fresh / "webmushra.yaml", _config(pages))
        replace_file(fresh / "README.txt", INSTRUCTIONS)
        kept = run_folder / FOLDER
        replace_file(kept / f"{pages.test}.rule.txt", f"{told}\n", root=run_folder)
        key = _key(run.header.run_id, seed, pages, rule)
        key_path = kept / f"{pages.test}.{KEY}.json"
        replace_file(key_path, key.model_dump_json(indent=1), root=run_folder)
        set_times(fresh)
    return MushraExported(out, key_path, len(pages.sets), len(labels), licence_notices(run), told)


def _write_sounds(run_folder: Path, out: Path, pages: _Pages) -> None:
    """Write the references and the outputs, in an order that tells nothing."""
    paths = {pages.reference(one): one.content_path for one in pages.sets}
    paths |= {pages.item(s): s.path for one in pages.sets for s in pages.outputs(one)}
    for name, path in sorted(paths.items()):
        noise = int(token(pages.secret, "noise", name), 16)
        write_clip(sounds.sound_file([run_folder], path), out / name, "wav", noise, MOST_S)


def _config(pages: _Pages) -> str:
    """The YAML, with pages in the order of their tokens, which webMUSHRA shuffles."""
    shown = [
        {
            "type": "mushra", "id": pages.set(one), "name": "Rate each clip", "content": _ASKED,
            "showWaveform": False, "enableLooping": True, "randomize": True,
            "showConditionNames": False, "reference": resource(pages.reference(one), WAV),
            "createAnchor35": True, "createAnchor70": True,
            "stimuli": {n: resource(n, WAV) for n in sorted(map(pages.item, pages.outputs(one)))},
        }
        for one in sorted(pages.sets, key=pages.set)
    ]  # fmt: skip
    introduction = {
        "type": "generic", "id": "introduction", "name": "Listening test",
        "content": _INTRODUCTION,
    }  # fmt: skip
    return webmushra_config(pages.test, [introduction, ["random", *shown], finish_page()])


def _key(run_id: str, seed: int, pages: _Pages, rule: MushraRule) -> MushraKey:
    sets = {
        pages.set(one): MushraSet(
            style=one.style,
            content=one.content,
            repetition=one.repetition,
            items={
                pages.item(s): MushraItem(method=s.method, cell_id=s.cell_id)
                for s in pages.outputs(one)
            },
        )
        for one in pages.sets
    }
    return MushraKey(test=pages.test, run_id=run_id, seed=seed, sets=sets, rule=rule)
