"""The reference of commands as Markdown, made from the commands themselves.

A table per command with what `--help` prints of each option.
"""

from __future__ import annotations

import html
import inspect
from collections.abc import Iterator

import click

PLACE = "<!-- every command with its options -->"
DEPTH = 3  # of the first headings


def reference(command: click.Command, name: str) -> str:
    """Describe a command and, one after the other, its sub-commands.

    Args:
        command: The command, such as `bench.cli.main.cli`.
        name: How it is called: "python -m bench".
    """
    return "\n".join(_lines(command, click.Context(command, info_name=name), DEPTH))


def _lines(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {context.command_path}\n"
    yield f"{_plain(inspect.cleandoc(command.help or ''))}\n"
    usage = [context.command_path, *command.collect_usage_pieces(context)]
    yield f"```text\n{' '.join(usage)}\n```\n"
    yield from _options(command, context)
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None and not below.hidden:
            yield from _lines(
                below, click.Context(below, info_name=name, parent=context), min(depth + 1, 4)
            )


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    named = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    records = [option.get_help_record(context) for option in named if "--help" not in option.opts]
    shown = [record for record in records if record is not None]
    if shown:
        yield "| option | what it does |"
        yield "|---|---|"
        yield from (f"| {_code(names)} | {_plain(words)} |" for names, words in shown)
        yield ""


def _code(text: str) -> str:
    return f"<code>{_plain(text)}</code>"


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is, in a table too."""
    escaped = html.escape(text.replace("\b\n", ""), quote=False)
    for sign in "|*_[]`":
        escaped = escaped.replace(sign, f"&#{ord(sign)};")
    return escaped
