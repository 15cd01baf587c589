"""The command `judge`: what metrics hear."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from bench.cli.commands import OneOf
from bench.cli.options import FILE, SEED, device_option, is_quiet, json_option, quiet_option
from bench.cli.progress import progress_line
from bench.cli.streams import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.api import Profile
    from bench.records.judge_cards import JudgeCard

WIDTH = 100


class JudgeOptions(TypedDict):
    """What `judge` takes; see the help texts below."""

    metrics: tuple[str, ...]
    dataset: str
    profile: Profile
    device: str
    seed: int
    out: Path | None
    as_json: bool


@click.command()
@click.argument("metrics", nargs=-1, metavar="[NAME|file.py:Class]...")
@click.option(
    "--dataset",
    default="pairs",
    show_default=True,
    help="A dataset whose card names true results.",
)
@click.option("--profile", type=OneOf(["mini", "full"]), default="mini", show_default=True)
@device_option
@click.option("--seed", type=SEED, default=0, help="Decides the noise and the intervals.")
@click.option("-o", "--out", type=FILE, help="Put the cards into this JSON file, beside others.")
@json_option
@quiet_option("Show no progress.")
def judge(**options: Unpack[JudgeOptions]) -> None:
    """Find out what metrics hear: notes, timbre, or both.

    Each is asked on clips that play the same pieces on the same instruments. Areas under the ROC
    curve say how surely it tells right notes and right timbre from wrong ones (1 always, .5 not at
    all), and which wins where they disagree; a second table says what it makes of wrong notes, an
    octave, a delay, noise and a codec. Without names the default metrics of suites are asked.

    With --json it prints one object: schema_version (1) and cards, an object of one card per metric
    by name, as `bench.records.judge_cards` describes it.
    """
    cards = _cards(options)
    if options["out"] is not None:
        from bench.records.judge_cards import write_judge_cards

        write_judge_cards(options["out"], cards)
    if options["as_json"]:
        held = {name: card.model_dump(mode="json") for name, card in cards.items()}
        say(json.dumps({"schema_version": 1, "cards": held}, indent=1))
        return
    from reports.tables.judges import hearing_table, response_table
    from reports.text.formats import terminal

    for table in (hearing_table(cards), response_table(cards)):
        say(terminal(table, WIDTH))


def _cards(options: JudgeOptions) -> Mapping[str, JudgeCard]:
    """The card of every metric that was named."""
    from bench.data.cards import load_dataset
    from bench.device import resolve_device
    from bench.judge.examination import judge_metric
    from bench.judge.material import read_material
    from bench.plan.suite import METRICS
    from bench.plugins.catalog import find_metric
    from bench.weights import quiet_loaders

    names = list(dict.fromkeys(options["metrics"] or METRICS))
    for name in names:
        find_metric(name)  # a wrong name is told before any work
    device = resolve_device(options["device"])
    material = read_material(load_dataset(options["dataset"]))
    quiet_loaders()
    progress = progress_line()
    cards = {}
    for number, name in enumerate(names):

        def share(fraction: float, text: str, done: int = number) -> None:
            progress((done + fraction) / len(names), text)

        asked = (name, material, options["profile"], device, options["seed"])
        cards[name] = judge_metric(*asked, share)
    if not is_quiet():
        say(err=True)
    return cards
