"""What methods that hold a loaded model say where there is none."""

from __future__ import annotations

from typing import TypeVar

from bench.api import Profile, UnsupportedError
from bench.checkout import COMMAND

ModelT = TypeVar("ModelT")


def loaded(model: ModelT | None) -> ModelT:
    """The model of a method, once `load` has been called.

    Raises:
        ValueError: It has not.

    Example:
        >>> loaded("a model")
        'a model'
    """
    if model is None:
        raise ValueError("the method is not loaded; call load(profile, device) first.")
    return model


def require_full(profile: Profile, name: str) -> None:
    """Decline the mini profile for a method of which no small model has been trained.

    Raises:
        UnsupportedError: The profile is mini.
    """
    if profile == "mini":
        raise UnsupportedError(
            f"{name} has no mini model; it runs in the full profile alone. Use --profile full "
            f"after `{COMMAND} fetch {name}`."
        )
