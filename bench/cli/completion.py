"""The command `completion`: what a shell needs to complete the words of a command line."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, get_completion_class

from bench.cli.commands import OneOf
from bench.cli.streams import say

PROGRAM = "bench"  # what is installed; a shell completes after the name of a program
VARIABLE = "_BENCH_COMPLETE"  # where click looks for it, by the name of the program
SHELLS = ("bash", "zsh", "fish")


class _Bash(BashComplete):
    """Completion for bash, for any bash: which one will read it is not known here."""

    @staticmethod
    def _check_version() -> None:
        """Ask nothing of the bash of this process."""


@click.command(short_help="Print what a shell needs to complete commands.")
@click.argument("shell", type=OneOf(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options of `bench`.

    In bash 4.4 or newer: `source <(bench completion bash)`, in a line of ~/.bashrc. In zsh: the
    same with zsh in ~/.zshrc, after compinit. In fish: `bench completion fish | source` in
    ~/.config/fish/config.fish.
    """
    kind = _Bash if shell == "bash" else get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"this version of click cannot complete in {shell}. Update click.")
    say(kind(ctx.find_root().command, {}, PROGRAM, VARIABLE).source(), nl=False)
