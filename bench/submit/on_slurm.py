"""The tasks of a submission as an array of Slurm jobs, and a last job that writes the tables.

A task that gets a SIGTERM, because its time runs out or its machine is wanted, closes what is open
and puts itself back into the queue; one whose machine dies is put back by Slurm. A job that the
user cancels stays cancelled.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.api import ConfigError
from bench.checkout import CHECKOUT
from bench.outside.wording import one_line, some
from bench.submit.order import Order, closing_tasks
from bench.submit.resources import Resources
from bench.submit.task import SETTLED, Task, end, run_task

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

NOTICE_S = 60  # before the time of a task runs out
ENDINGS = 1000  # times that a task may go on after its time ran out
CLOSING_MINUTES = 60  # of the job that writes the tables
# A SIGTERM may come before Python listens to it: then the script sees to what the task would do.
AFTER = (
    "code=$?",
    "job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}",
    'if [ $code -eq 143 ] && [ "$(squeue --noheader --format=%T -j $job)" = RUNNING ]; then',
    "  scontrol requeue $job",
    "fi",
    "exit $code",
)


class SlurmTask:
    """What submitit calls on a node: tasks, one after the other.

    Args:
        tasks: What to run.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> list[int]:
        """Run the tasks; returns their exit codes.

        Raises:
            RuntimeError: One has not done what it was to do, so that Slurm calls the job failed.
        """
        codes = [run_task(task, self._note) for task in self.tasks]
        for task, code in zip(self.tasks, codes, strict=True):
            if code not in SETTLED:
                raise RuntimeError(f"{task.name} ended with {code}; {task.log} says why")
        return codes

    def _note(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def checkpoint(self) -> DelayedSubmission | None:
        """Close what is open; what goes on later, or None where the user has cancelled the job."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            end(self._process)
        return DelayedSubmission(SlurmTask(self.tasks)) if _goes_on() else None


def _goes_on() -> bool:
    """Whether this job was only told to end, and not cancelled."""
    state = _said(["squeue", "--noheader", "--format=%T", "-j", _this_job(os.environ)])
    return state == "RUNNING"


def _this_job(environment: Mapping[str, str]) -> str:
    """The number of this task alone; the plain number of a task can be that of its whole array.

    Example:
        >>> _this_job({"SLURM_JOB_ID": "7"})
        '7'
        >>> array = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
        >>> _this_job({"SLURM_JOB_ID": "7", **array})
        '7_3'
    """
    if "SLURM_ARRAY_TASK_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def scripts(order: Order, resources: Resources) -> tuple[str, str]:
    """What `sbatch` would be given: the script of the tasks, and that of the last job."""
    # submitit shows a script only when it submits it; this is the function that it makes it with.
    from submitit.slurm.slurm import _make_sbatch_string

    folder = str(order.jobs)
    command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(folder)}"
    count = len(order.tasks) if len(order.tasks) > 1 else None
    array = _make_sbatch_string(
        command=command, folder=folder, map_count=count, **_parameters(order, resources)
    )
    last = _make_sbatch_string(command=command, folder=folder, **_closing(order, resources, "JOB"))
    return array, last


def submit(order: Order, resources: Resources) -> tuple[str, str]:
    """Hand the tasks to Slurm; returns the numbers of the array and of the last job.

    Raises:
        ConfigError: There is no Slurm here, it refuses, or the run is in its queue already.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "there is no `sbatch` on this machine; --executor slurm hands the tasks to it. Submit "
            "from a login node of the cluster, or take --executor local."
        )
    _require_not_queued(order)
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    order.jobs.mkdir(parents=True, exist_ok=True)
    executor = SlurmExecutor(order.jobs, max_num_timeout=ENDINGS)
    try:
        executor.update_parameters(**_parameters(order, resources))
        with executor.batch():
            jobs = [executor.submit(SlurmTask([task])) for task in order.tasks]
        number = str(jobs[0].job_id).partition("_")[0]
        executor = SlurmExecutor(order.jobs, max_num_timeout=ENDINGS)
        executor.update_parameters(**_closing(order, resources, number))
        return number, str(executor.submit(SlurmTask(closing_tasks(order))).job_id)
    except (FailedJobError, FailedSubmissionError) as error:
        raise ConfigError(
            f"Slurm refused the tasks ({one_line(error, 600)}). Change --time, --memory, --gpus, "
            "--partition or --sbatch; --dry-run prints the script."
        ) from error


def _require_not_queued(order: Order) -> None:
    names = f"{_name(order)},{_name(order)}-end"
    # Under %F all tasks of an array have one number.
    queued = _said(["squeue", "--noheader", "--me", "--format=%F", f"--name={names}"]).split()
    if queued:
        known = list(dict.fromkeys(queued))
        raise ConfigError(
            f"{order.folder} is in the queue already, as job {some(known, ', ')}; a run is "
            f"submitted once. Wait for it, or end it: scancel {' '.join(known)}"
        )


def _name(order: Order) -> str:
    """The name of the jobs of a run folder."""
    digest = hashlib.sha256(str(order.folder.resolve()).encode()).hexdigest()
    return f"bench-{digest[:8]}"


def _parameters(order: Order, resources: Resources) -> dict[str, Any]:
    """What submitit is told about the array."""
    cpus = {} if resources.cpus is None else {"cpus_per_task": resources.cpus}
    gpus = {"gpus_per_node": resources.gpus} if resources.gpus else {}
    memory = {} if resources.memory_gb is None else {"mem": f"{int(resources.memory_gb * 1024)}M"}
    return {
        **_common(order, resources, memory),
        **cpus,
        **gpus,
        "job_name": _name(order),
        "time": resources.minutes,
        "array_parallelism": len(order.tasks),
        # Since version 22.05 a step does not get the cores of its job by itself.
        "srun_args": [f"--cpus-per-task={resources.cpus}"] if cpus else [],
    }


def _closing(order: Order, resources: Resources, number: str) -> dict[str, Any]:
    """What submitit is told about the last job, which begins when all tasks have ended."""
    return {
        **_common(order, resources, {}),
        "job_name": f"{_name(order)}-end",
        "time": min(CLOSING_MINUTES, resources.minutes or CLOSING_MINUTES),
        "dependency": f"afterany:{number}",
    }


def _common(order: Order, resources: Resources, more: dict[str, str]) -> dict[str, Any]:
    place = {} if resources.partition is None else {"partition": resources.partition}
    path = shlex.quote(str(CHECKOUT))
    return {
        **place,
        "signal_delay_s": NOTICE_S,
        "stderr_to_stdout": True,
        "setup": [
            "export SUBMITIT_PREEMPT_SIGNAL=TERM",
            f"export PYTHONPATH={path}${{PYTHONPATH:+:$PYTHONPATH}}",
        ],
        "teardown": list(AFTER),
        "additional_parameters": {
            "signal": f"TERM@{NOTICE_S}",
            "requeue": True,
            "chdir": str(order.tasks[0].directory),
            **more,
            **resources.more,
        },
    }


def _said(words: list[str]) -> str:
    """What a command of Slurm prints, without its last line break; empty where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    return done.stdout.strip()
