"""What every command that trains can be asked: budget, device, to go on, how often to report."""

from __future__ import annotations

import argparse
from dataclasses import replace

from bench.training.recipe import Recipe


def add_training_options(parser: argparse.ArgumentParser, title: str = "of a training") -> None:
    """Add the options of a training to a command.

    Args:
        parser: Of the command.
        title: Over their help.
    """
    asked = parser.add_argument_group(title)
    asked.add_argument("--budget-s", type=float, help="wall clock in all, over all starts")
    asked.add_argument("--steps", type=int, help="steps in all, in place of or beside --budget-s")
    asked.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    asked.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    asked.add_argument("--report-s", type=float, help="between two checkpoints")
    asked.add_argument("--batch-size", type=int, help="clips per step")
    asked.add_argument("--seed", type=int, default=0)


def recipe_asked(recipe: Recipe, options: argparse.Namespace) -> Recipe:
    """A recipe with what a command line says otherwise; one budget that is named replaces both.

    Raises:
        ConfigError: A budget is not above 0, or a step would have no clip.

    Example:
        >>> parser = argparse.ArgumentParser()
        >>> add_training_options(parser)
        >>> recipe = Recipe("toy", 1e-3, 4, budget_s=60)
        >>> asked = recipe_asked(recipe, parser.parse_args(["--steps", "9", "--seed", "1"]))
        >>> asked.budget_s, asked.steps, asked.seed, asked.batch_size
        (None, 9, 1, 4)
    """
    if options.budget_s is not None or options.steps is not None:
        recipe = replace(recipe, budget_s=options.budget_s, steps=options.steps)
    named = {name: getattr(options, name) for name in ("batch_size", "report_s", "seed")}
    return replace(recipe, **{name: value for name, value in named.items() if value is not None})
