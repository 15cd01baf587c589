"""The command `submit`: the shards of a run as tasks of a cluster, or as processes."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bench.api import ConfigError
from bench.cli.commands import OneOf
from bench.cli.options import COUNT, Finite, is_quiet
from bench.cli.progress import progress_line
from bench.cli.reports import write
from bench.cli.run import run
from bench.cli.streams import say
from bench.errors import ExitCode

if TYPE_CHECKING:
    from bench.run.request import RunRequest
    from bench.submit.order import Order
    from bench.submit.resources import Resources
    from bench.submit.task import Task

MOST_MEMORY_GB = 1 << 20
# A task is told a minute before its time runs out, and has to get somewhere before that.
LEAST_MINUTES, MOST_MINUTES = 5, 60 * 24 * 366
# What belongs to which executor; the others refuse it.
OWN = {
    "minutes": ("--time", ("slurm",)),
    "memory": ("--memory", ("slurm", "ray")),
    "gpus": ("--gpus", ("slurm", "ray")),
    "cpus": ("--cpus", ("slurm", "ray")),
    "partition": ("--partition", ("slurm",)),
    "sbatch": ("--sbatch", ("slurm",)),
    "address": ("--address", ("ray",)),
}
NOT_OF_SHARDS = frozenset({"shard", "fit_together", "keep_old", "dry_run"})
SET_HERE = frozenset({"html", "device", "out"})  # and not handed on as typed


@click.command(short_help="Run the shards of a run on a cluster, or as processes.")
@click.option(
    "--executor",
    type=OneOf(["slurm", "ray", "local"]),
    required=True,
    help="Who does them: an array of jobs (slurm), a Ray cluster (ray), processes here (local).",
)
@click.option("-n", "--shards", type=COUNT, required=True, help="Into how many shards it is dealt.")
@click.option(
    "--time",
    "minutes",
    type=click.IntRange(LEAST_MINUTES, MOST_MINUTES),
    help="Slurm: the longest time of a task in minutes; then it goes on in a further one.",
)
@click.option(
    "--memory",
    type=Finite(0, MOST_MEMORY_GB, min_open=True),
    help="Slurm, Ray: memory of a task in GiB.",
)
@click.option(
    "--gpus",
    type=click.IntRange(0, 1),
    help="Slurm, Ray: GPUs of a task, 0 (the default) or 1.",
)
@click.option("--cpus", type=COUNT, help="Slurm, Ray: processor cores of a task.")
@click.option("--partition", help="Slurm: the partition.")
@click.option(
    "--sbatch",
    metavar="NAME=VALUE",
    multiple=True,
    help="Slurm: a further option of sbatch, such as account=music; may be repeated.",
)
@click.option("--address", help="Ray: where the cluster is; default: RAY_ADDRESS, or a new one.")
@click.option("--dry-run", is_flag=True, help="Print what would be submitted, and stop.")
@click.pass_context
def submit(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 - as of click
    """Deal a run out to -n shards and have each done by a task: `run --shard` with these options.

    All shards share the run folder. A shard whose cells have outcomes and scores is not submitted,
    so the same command again does what is missing; with --retry also what failed. `status` says how
    far the shards are.

    With slurm an array of jobs and a last job are handed over; the last one says what is missing
    and writes the tables. A job that is told to end, or loses its machine, goes on later. With ray
    and local the command waits for the tasks and writes the tables.
    """
    resources = _resources(options)
    order = _order(context, options)
    if not is_quiet() or options["dry_run"]:
        say(order.words)
    if options["dry_run"]:
        _show(order, options["executor"], resources)
        return
    if not order.tasks:
        return
    if options["executor"] == "slurm":
        _hand_over(order, resources)
        return
    sys.exit(_carry_out(order, resources, options))


# What `run` takes, the tasks take too; --dry-run means another thing here.
submit.params += [parameter for parameter in run.params if parameter.name not in NOT_OF_SHARDS]


def _resources(options: Mapping[str, Any]) -> Resources:
    from bench.submit.resources import Resources, require_library

    executor = options["executor"]
    for name, (option, executors) in OWN.items():
        if executor not in executors and options[name] not in {None, ()}:
            raise ConfigError(
                f"{option} was given with --executor {executor}; it belongs to "
                f"{' and '.join(executors)}. Leave it out."
            )
    if executor == "slurm" and options["minutes"] is None:
        raise ConfigError(
            "--executor slurm was given without --time; Slurm ends a job after its time, and a "
            "task then goes on in a further one. Give the minutes of a task, such as --time 240."
        )
    require_library(executor)
    return Resources(
        cpus=options["cpus"],
        gpus=options["gpus"] or 0,
        memory_gb=options["memory"],
        minutes=options["minutes"],
        partition=options["partition"],
        more=dict(map(_named, options["sbatch"])),
    )


def _named(words: str) -> tuple[str, str]:
    """An option of sbatch and its value."""
    found = re.fullmatch(r"([a-z][a-z-]*)=([^\n\r]*)", words)
    if found is None:
        raise ConfigError(
            f"--sbatch {words!r:.80} is no option of sbatch with its value; write NAME=VALUE "
            "without dashes before it, such as --sbatch account=music."
        )
    return found[1], found[2]


def _order(context: click.Context, options: Mapping[str, Any]) -> Order:
    from bench.submit.order import make_order

    if options["suite"] is None:
        raise ConfigError(
            "submit was given no --suite; `run` chooses one by the device that it finds, and the "
            "machines of the tasks may have another than this one. Name it, such as --suite mini."
        )
    request = _request(options)
    return make_order(request, options["shards"], handed_on(context), _devices(options))


def _request(options: Mapping[str, Any]) -> RunRequest:
    from bench.run.request import RunRequest

    of_run = {p.name for p in run.params} - NOT_OF_SHARDS - {"html"}
    known = {name: value for name, value in options.items() if name in of_run}
    return RunRequest(**known, dry_run=options["dry_run"])


def handed_on(context: click.Context) -> list[str]:
    """The options of `run` that were typed, as a command line for the shards."""
    words: list[str] = []
    for parameter in run.params:
        name = str(parameter.name)
        typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not typed or name in NOT_OF_SHARDS | SET_HERE or name not in context.params:
            continue
        value = context.params[name]
        if isinstance(value, bool):
            words.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            words += [parameter.opts[0], str(value)]
    return words


def _devices(options: Mapping[str, Any]) -> list[str]:
    """Where shards work, in turn: on a cluster, where this machine need not have it, by --gpus."""
    asked = [name.strip() for name in str(options["device"]).split(",")]
    if options["executor"] == "local":
        return asked
    wanted = "cuda" if options["gpus"] else "cpu"
    if asked not in (["auto"], [wanted]):
        raise ConfigError(
            f"--device {','.join(asked)} was given with --executor {options['executor']}; a task "
            f"works on what the cluster gives it, here {wanted}. Use --gpus 1 for a GPU, and leave "
            "--device out."
        )
    return [wanted]


def _show(order: Order, executor: str, resources: Resources) -> None:
    for task in order.tasks:
        say(f"  {_line(task)}")
    if executor == "slurm" and order.tasks:
        from bench.submit.on_slurm import scripts

        array, last = scripts(order, resources)
        say(f"\nThe array, one task for each of these:\n\n{array}")
        say(f"The last job, when all have ended (JOB is the number of the array):\n\n{last}")


def _line(task: Task) -> str:
    from bench.checkout import COMMAND

    return f"{COMMAND} {shlex.join(task.words)}"


def _hand_over(order: Order, resources: Resources) -> None:
    from bench.checkout import COMMAND
    from bench.submit.on_slurm import submit as hand_over

    array, last = hand_over(order, resources)
    if not is_quiet():
        say(
            f"job {array}: {len(order.tasks)} tasks; job {last}: says what is missing and writes "
            f"the tables\n"
            f"  {COMMAND} status {order.folder}    how far they are; logs in {order.jobs}\n"
            f"  scancel {array} {last}    ends them; the same command goes on"
        )


def _carry_out(order: Order, resources: Resources, options: Mapping[str, Any]) -> int:
    """Run the tasks, write the tables, and say which tasks have not done what they were to do."""
    from bench.submit.following import follower

    poll = follower(order.folder, order.ids, len(order.tasks), progress_line())
    if options["executor"] == "ray":
        from bench.submit.on_ray import run_on_ray
        from bench.submit.order import code_if_whole

        whole = partial(code_if_whole, _request(options), order)
        codes = run_on_ray(order.tasks, resources, options["address"], poll, whole)
    else:
        from bench.submit.locally import run_locally

        codes = run_locally(order.tasks, poll)
    if not is_quiet():
        say(err=True)
    return _end(order, codes, page=options["html"])


def _end(order: Order, codes: Mapping[str, int | None], *, page: bool) -> int:
    from bench.submit.following import cells_done
    from bench.submit.task import SETTLED

    unsettled = [task for task in order.tasks if codes[task.name] not in SETTLED]
    for task in unsettled:
        say(_fault(task, codes[task.name]), err=True)
    done = cells_done(order.folder, order.ids)
    if done:
        written = write((order.folder,), page=page)
        if not is_quiet():
            say(written.words())
    if unsettled and done < len(order.ids):
        say(f"{len(order.ids) - done} cells are missing; the same command goes on", err=True)
    whole = not unsettled and all(code == ExitCode.DONE for code in codes.values())
    return ExitCode.DONE if whole else ExitCode.FAILED_CELLS


def _fault(task: Task, code: int | None) -> str:
    from bench.outside.wording import one_line, visible
    from bench.submit.task import last_line

    words = "was given up by Ray" if code is None else f"ended with {code}"
    return visible(f"shard {task.name} {words}: {one_line(last_line(task.log))} ({task.log})")
