"""A Slurm of two nodes on this machine, with files, keys and ports of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

NODES = ("n1", "n2")
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={home}/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool.%n
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.%n.pid
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=requeue_delay=1,batch_sched_delay=1,sched_interval=2,bf_interval=2
MpiDefault=none
ReturnToService=2
KillWait=30
SlurmdTimeout=10
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 State=UNKNOWN"


@dataclass
class LocalSlurm:
    """A Slurm that runs.

    Args:
        home: Its files.
        environment: With what its commands are called.
        daemons: The processes of the nodes by name.
    """

    home: Path
    environment: Mapping[str, str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return {name: self.environment[name] for name in ("SLURM_CONF", "PATH")}

    def say(self, *words: str, check: bool = True) -> str:
        """What a command prints."""
        done = subprocess.run(
            words, capture_output=True, text=True, env=self.environment, check=False, timeout=120
        )
        assert done.returncode == 0 or not check, (words, done.stdout, done.stderr)
        return done.stdout

    def queue(self, columns: str = "%i %T %N") -> list[str]:
        """A line for each task in the queue."""
        return self.say("squeue", "--noheader", "--array", f"--format={columns}").splitlines()

    def start_node(self, name: str) -> None:
        """Start a node, or start it again after its death."""
        log = (self.home / f"{name}.out").open("ab")
        with log:
            words = ["slurmd", "-D", "-N", name]
            self.daemons[name] = subprocess.Popen(
                words, env=self.environment, stdout=log, stderr=log
            )

    def kill_node(self, name: str) -> None:
        """Kill a node and all that runs on it, as a loss of power would: nothing is reported."""
        self.daemons[name].kill()
        self.daemons[name].wait()
        tasks, daemons = processes_with(f"SLURMD_NODENAME={name}")
        for process in daemons:
            send(process, signal.SIGSTOP)
        for process in (*tasks, *daemons):
            send(process, signal.SIGKILL)


def send(process: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(process, number)


def processes_with(variable: str) -> tuple[list[int], list[int]]:
    """The processes with a variable in their environment, and the daemons that started their steps.

    The daemons have it not.
    """
    tasks: list[int] = []
    daemons: dict[int, None] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                tasks.append(int(entry.name))
                parent = int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])
                if b"slurmstepd" in Path(f"/proc/{parent}/cmdline").read_bytes():
                    daemons[parent] = None
        except OSError:
            continue
    return tasks, list(daemons)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def local_slurm(home: Path, environment: Mapping[str, str]) -> Iterator[LocalSlurm]:
    """Start munge, the controller and two nodes; all end with the block.

    Args:
        home: A new folder, whose path is short: it holds a socket.
        environment: Of the commands, beside what this adds.
    """
    host = socket.gethostname()
    ports = {name: free_port() for name in NODES}
    (home / "state").mkdir(parents=True)
    (home / "key").write_bytes(os.urandom(128))
    (home / "key").chmod(0o400)
    lines = (NODE.format(name=name, host=host, port=port) for name, port in ports.items())
    (home / "slurm.conf").write_text(
        CONFIG.format(
            host=host,
            home=home,
            control=free_port(),
            nodes="\n".join(lines),
            names=",".join(NODES),
        ),
        encoding="utf-8",
    )
    slurm = LocalSlurm(home, dict(environment) | {"SLURM_CONF": str(home / "slurm.conf")})
    munge = ["munged", "--foreground", "--force", f"--socket={home}/munge.socket"]
    munge += [f"--key-file={home}/key", f"--pid-file={home}/munge.pid"]
    munge += [f"--log-file={home}/munge.log", f"--seed-file={home}/munge.seed"]
    with ExitStack() as stack:
        stack.enter_context(_daemon(munge, slurm))
        until((home / "munge.socket").exists)
        stack.enter_context(_daemon(["slurmctld", "-D"], slurm))
        until(lambda: bool(slurm.say("sinfo", "--noheader", check=False)))
        stack.callback(lambda: [_ended(one) for one in slurm.daemons.values()])
        for name in NODES:
            start = slurm.start_node
            start(name)
        until(
            lambda: (
                slurm.say("sinfo", "--noheader", "--Node", "--format=%T").split() == ["idle"] * 2
            )
        )
        yield slurm
        slurm.say("scancel", "--user=root", check=False)
        until(lambda: not slurm.queue())


def until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until something holds."""
    last = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < last, "waited in vain"
        time.sleep(0.2)


@contextmanager
def _daemon(words: list[str], slurm: LocalSlurm) -> Iterator[None]:
    with (slurm.home / f"{words[0]}.out").open("ab") as log:
        process = subprocess.Popen(words, env=slurm.environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
