"""Write a listening test: a static folder for listeners, and its key in the run folder."""

from __future__ import annotations

import math
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.api import ConfigError
from bench.files import renewed_folder, replace_file, require_plain
from bench.records.store import Run, load_run
from reports import sounds
from reports.listening import blocks, foreign, golisten
from reports.listening.blinding import Blind, token
from reports.listening.blocks import Block
from reports.listening.care import shortfall, words
from reports.listening.clips import SUFFIX, TONES, Form, write_clip, write_trial
from reports.listening.design import RatedSet, choose
from reports.listening.handing_in import HandIn, require_addresses
from reports.listening.page import PublicTest, Trial, write_page
from reports.listening.records import FOLDER, RULE

WRITTEN_AT_S = 946_684_800  # of every file: the year 2000, which every archive can hold
LISTENERS = 30
MINUTES = 20.0


@dataclass(frozen=True, slots=True)
class Audience:
    """Who will listen, and how.

    Args:
        listeners: How many are planned.
        minutes: The most time that one of them shall need.
        form: What the sounds are.
        hand_in: How ratings come back.
    """

    listeners: int = LISTENERS
    minutes: float = MINUTES
    form: Form = "wav"
    hand_in: HandIn = field(default_factory=HandIn)


@dataclass(frozen=True, slots=True)
class Exported:
    """Where a test was written, its size, and what the user must know about it.

    Args:
        folder: What listeners get.
        key: What the tokens stand for; it stays with the run.
        sets: The sets of the test.
        plan: What each planned listener rates.
        minutes: The time of the longest block.
        notices: What the user must know.
        rule: Who will be left out, in words.
    """

    folder: Path
    key: Path
    sets: tuple[RatedSet, ...]
    plan: tuple[Block, ...]
    minutes: float
    notices: tuple[str, ...]
    rule: str


def export(
    run_folder: Path,
    out: Path,
    sets: int,
    seed: int,
    methods: Sequence[str] = (),
    audience: Audience | None = None,
) -> Exported:
    """Write the test: its page, its sounds, and what webMUSHRA, BeaqleJS and Go Listen need.

    What the sounds are, `reports.listening.clips` says, and who rates which,
    `reports.listening.blocks`. Files are written in the order of their names and have one time. The
    same seed chooses the same sets and blocks; names and noise are new each time.

    Args:
        run_folder: The run; its folder `listening/` gets the key.
        out: The folder for listeners; it must be new or empty.
        sets: How many sets.
        seed: Decides which, and who rates them.
        methods: Labels of the methods; by default all that are not controls.
        audience: Who will listen; by default 30 people, each for 20 minutes.

    Raises:
        ConfigError: `out` is not empty, an address is none, or nothing fits into the time of a
            listener.
        LinkError: `out` is a symbolic link, or one stands in the way of the key.
        BenchError: The run does not allow such a test, or its audio is not in its folder.
    """
    require_new(out)
    whom = audience or Audience()
    require_addresses(whom.hand_in)
    run = load_run(run_folder)
    blind = Blind(*choose(run, sets, seed, methods), secrets.token_bytes(32))
    key_path = run_folder / FOLDER / f"{blind.test}.key.json"
    with renewed_folder(out) as fresh:
        lengths = _write_sounds(run_folder, fresh / "sounds", blind, whom.form)
        plan = _plan(blind, lengths, whom, seed)
        trials = _write_trials(fresh / "sounds", blind, whom.form)
        everyone = plan or (blocks.whole(blind.sets),)
        minutes = [
            blocks.minutes(block, blind.sets, blind.practice, lengths.__getitem__)
            for block in everyone
        ]
        public = PublicTest(
            blind.test,
            sorted(map(blind.public, blind.sets), key=lambda one: one["id"]),
            blind.public(blind.practice) if blind.practice else None,
            trials, [blind.parts(block) for block in plan], list(map(math.ceil, minutes)),
            whom.form, whom.hand_in,
        )  # fmt: skip
        _write_texts(fresh, public)
        key = blind.key(run.header.run_id, seed, plan, lengths)
        heard = plan or everyone * whom.listeners
        rule = words(RULE, heard)
        replace_file(run_folder / FOLDER / f"{blind.test}.rule.txt", f"{rule}\n", root=run_folder)
        replace_file(key_path, key.model_dump_json(indent=1), root=run_folder)
        set_times(fresh)
    return Exported(
        out, key_path, blind.sets, heard, max(minutes), _notices(run, blind, heard), rule
    )


def require_new(out: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        ConfigError: It is not empty.
        LinkError: It is a symbolic link.
    """
    require_plain(out)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; a test gets a folder of its own. Choose another.")


def _plan(blind: Blind, lengths: dict[str, float], whom: Audience, seed: int) -> tuple[Block, ...]:
    size = blocks.fitting_size(blind.sets, blind.practice, lengths.__getitem__, whom.minutes)
    return blocks.make_blocks(blind.sets, whom.listeners, size, seed)


def _notices(run: Run, blind: Blind, plan: Sequence[Block]) -> tuple[str, ...]:
    found = [told for told in [shortfall(RULE, plan)] if told]
    if blind.practice is None:
        found.append(
            f"no pair of a style and a content is left beside the {len(blind.sets)} sets, so the "
            "test has none to practise with; give a lower --sets to have one."
        )
    return (*found, *licence_notices(run))


def licence_notices(run: Run) -> tuple[str, ...]:
    """That the sounds of a run may not be published, where that is so."""
    if sounds.with_inputs(run):
        return ()
    dataset = run.header.dataset
    told = (
        f"dataset {dataset.get('name')} may not be redistributed ({dataset.get('licence')}): "
        "let people listen on your own machines, and do not publish this folder."
    )
    return (told,)


def _write_sounds(run_folder: Path, out: Path, blind: Blind, form: Form) -> dict[str, float]:
    """Write the sounds of the sets; their lengths in seconds, by their paths in the run folder."""
    lengths: dict[str, float] = {}
    for name, source in blind.sources().items():
        file = sounds.sound_file([run_folder], source.path)
        length_s = write_clip(file, out / name, form, blind.seed(name), source.most_s)
        lengths[source.path] = max(length_s, lengths.get(source.path, 0.0))
    return lengths


def _write_trials(out: Path, blind: Blind, form: Form) -> list[Trial]:
    """Write the check of headphones: each place of the softer tone once, in any order."""
    trials = []
    for softest in range(TONES):
        name = token(blind.secret, "trial", str(softest))
        write_trial(softest, out / name, form, blind.seed(name))
        trials.append(Trial(sound=name, softest=softest))
    return sorted(trials, key=lambda one: one["sound"])


def _write_texts(out: Path, public: PublicTest) -> None:
    write_page(out, public)
    suffix = SUFFIX[public.form]
    replace_file(out / "webmushra.yaml", foreign.webmushra(public.test, public.sets, suffix))
    replace_file(out / "beaqlejs-config.js", foreign.beaqle(public.test, public.sets, suffix))
    task = golisten.golisten(public.test, public.sets, out / "sounds")
    replace_file(out / "golisten.json", task)
    replace_file(out / "golisten.sh", golisten.SCRIPT)
    replace_file(out / "README.txt", foreign.INSTRUCTIONS)


def set_times(folder: Path) -> None:
    """Give every file one time: the times of writing would tell which sounds belong together."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (WRITTEN_AT_S, WRITTEN_AT_S))
