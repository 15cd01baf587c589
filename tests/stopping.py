"""A training that somebody stops, for the tests that resume it."""

from __future__ import annotations

from typing import Generic

from bench.training.loop import Batch, Lesson


class StoppedError(Exception):
    """Somebody stopped the training."""


class Stopping(Generic[Batch]):
    """A lesson whose batch of that step never comes."""

    def __init__(self, lesson: Lesson[Batch], at: int = 2) -> None:
        self.lesson, self.at = lesson, at
        self.losses, self.evaluate = lesson.losses, lesson.evaluate

    def batch(self, step: int) -> Batch:
        if step == self.at:
            raise StoppedError
        return self.lesson.batch(step)
