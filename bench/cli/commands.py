"""Words of the command line that a user can misspell: each is answered with the nearest known one.

What newer versions of click say by themselves, older ones do not, and neither does for values.
"""

from __future__ import annotations

from typing import Any

import click

from bench.errors import nearest


class Commands(click.Group):
    """A group of commands."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, or a usage error with the nearest name."""
        name, known = args[0], self.list_commands(ctx)
        if not ctx.resilient_parsing and name not in known and not name.startswith("-"):
            ctx.fail(
                f"No such command {name!r}; there are {', '.join(known)}.{nearest(name, known)}"
            )
        return super().resolve_command(ctx, args)


class OneOf(click.Choice):  # type: ignore[type-arg] # generic only in newer versions of click
    """One of some words."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as in click
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - as in click
        """The word, or a usage error with all of them and the nearest."""
        known = [str(choice) for choice in self.choices]
        if value not in known:
            self.fail(
                f"{value!r} is not one of {', '.join(known)}.{nearest(value, known)}", param, ctx
            )
        return super().convert(value, param, ctx)
