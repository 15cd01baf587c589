"""Whether a learnt style from a file may be used here, and how its method is named and set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.api import ConfigError
from bench.plan.plan import PlannedMethod
from bench.plugins.choices import MethodChoice, parse_method
from bench.plugins.parameters import split_parameters
from bench.run.keys import HEAD, Identity, named_weights
from bench.transfer.fit_files import FitFile, Origin


def choice_of(path: Path, fit: FitFile, named: str | None) -> MethodChoice:
    """The method of a fit, with the parameters that it was learnt with.

    Args:
        path: The file, for messages.
        fit: What it holds.
        named: The method as the user typed it, with transfer parameters where wanted; None takes
            that of the file.

    Raises:
        ConfigError: Another method is named, none where the file cannot say where its own lies, or
            a parameter of the fit is set to another value.
    """
    origin = fit.origin
    if named is None and is_file_of_its_own(origin.method):
        raise ConfigError(
            f"fit {path} is of {origin.method}, which lies somewhere on this machine. Name it with "
            "--method path/to/file.py:Class."
        )
    choice = parse_method(named) if named else MethodChoice(origin.method, origin.method)
    if spoken_name(choice.name) != origin.method:
        raise ConfigError(
            f"fit {path} is of {origin.method}, and --method names {choice.name}; what one method "
            f"learnt means nothing to another. Name {origin.method}."
        )
    for name, value in origin.parameters.items():
        if choice.overrides.get(name, value) != value:
            raise ConfigError(
                f"fit {path} was learnt with {name}={value}, and --method says "
                f"{choice.overrides[name]}; only parameters of the transfer can be changed. Leave "
                f"{name} out."
            )
    return replace(choice, overrides={**choice.overrides, **origin.parameters})


def is_file_of_its_own(name: str) -> bool:
    """Whether a method is named by the file that it lies in."""
    return name.rpartition(":")[0].endswith(".py")


def spoken_name(name: str) -> str:
    """The name of a method without the folder that a file of its own lies in.

    Example:
        >>> spoken_name("../mine/level.py:Level"), spoken_name("tve")
        ('level.py:Level', 'tve')
    """
    return name.rpartition("/")[2] if is_file_of_its_own(name) else name


def require_use(
    path: Path, fit: FitFile, method: PlannedMethod, identity: Identity, *, anyway: bool
) -> None:
    """Check that a fit means here what it meant where it was learnt.

    Raises:
        ConfigError: The method has other parameters; or, unless it is wanted anyway, another
            version, code or weights.
    """
    origin = fit.origin
    learnt, _ = split_parameters(method.kind.parameters(origin.parameters))
    if learnt != origin.parameters:
        odd = sorted({*learnt} ^ {*origin.parameters}) or sorted(
            name for name, value in learnt.items() if origin.parameters[name] != value
        )
        raise ConfigError(
            f"fit {path} does not have the fit parameters of {origin.method} ({', '.join(odd)} "
            "differ); it is of another version of it. Learn the style again."
        )
    differing = list(_differences(origin, method, identity))
    if differing and not anyway:
        raise ConfigError(
            f"fit {path} was learnt with another {', and another '.join(differing)}; it may mean "
            "something else to this one. Learn the style again, or add --anyway."
        )


def _differences(origin: Origin, method: PlannedMethod, identity: Identity) -> Iterator[str]:
    here = named_weights(identity, method.profile)
    if origin.version != identity.version:
        yield f"version of {origin.method} ({origin.version}, here {identity.version})"
    if origin.source != identity.source:
        yield f"code of {origin.method} ({origin.source[:HEAD]}, here {identity.source[:HEAD]})"
    for name in sorted({*here, *origin.weights}):
        theirs, ours = origin.weights.get(name, "none"), here.get(name, "none")
        if theirs != ours:
            yield f"checkpoint {name} ({theirs[:HEAD]}, here {ours[:HEAD]})"
