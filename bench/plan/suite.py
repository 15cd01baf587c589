"""Suites: what a benchmark run consists of, declared in one TOML file and fixed by a digest.

The suites of this project lie in `bench/plan/suites/`. A suite changed on the command line becomes
a derived suite with a name that says what was changed and a digest of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr

from bench.api import ConfigError, Json, Profile, UnknownNameError
from bench.checkout import SUITES
from bench.data.selection import StyleClips
from bench.errors import nearest
from bench.gate.snapshot import LEAST_DROP
from bench.outside.declarations import Declared, TomlFile, parse, read_toml
from bench.outside.texts import LONGEST_S, MOST_COUNT
from bench.plugins.catalog import methods as catalog_methods
from bench.plugins.catalog import metrics as catalog_metrics
from bench.plugins.choices import MethodChoice, parse_methods
from bench.records.sameness import suite_digest

CONTROLS = ("copy-content", "copy-style", "mix", "noise", "vocoder", "vae", "null")
METRICS = (
    *("cp", "sf.heldout", "sf.seen", "sf.text", "sf.margin", "sf.musicnn", "sf.musicnn.margin"),
    *("chroma", "notes", "melody"),
)
# A key that suites once had, with the only value that it could take. It stays in what is recorded
# and digested, because records and baselines hold digests that were made with it.
RETIRED = {"normalisation": "none"}
NOUNS = {
    "metrics": "metric",
    "controls": "control",
    "parameters": "table [parameters.X] of method",
    "methods": "method",
    "family": "metric of the family",
}


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} stands twice, and each may stand once")
    return names


Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_once)]
Pair = Annotated[tuple[str, str], BeforeValidator(_as_tuple)]


class Family(Declared):
    """Comparisons declared before a run, over all of which Holm's correction runs.

    Attributes:
        pairs: Labels of two methods each; a difference is the first minus the second.
        metrics: The headline metrics; every other comparison is exploratory.
    """

    pairs: Annotated[tuple[Pair, ...], BeforeValidator(_as_tuple)] = Field(min_length=1)
    metrics: Names = Field(min_length=1)


class Demands(Declared):
    """What the gate asks of this suite, the table `[gate]`.

    Attributes:
        least_drop: The drop that every lane (a method and metric, over all styles or on one) must
            be able to find, as a share of the metric's range; where one cannot, the gate ends with
            code 4. 1 asks for nothing.
    """

    least_drop: float = Field(default=LEAST_DROP, gt=0, le=1)


class Suite(Declared):
    """What is run.

    Attributes:
        name: Name of the suite; a derived one carries what was changed after a plus sign.
        version: Raised when the suite changes on purpose.
        description: One sentence for `list suites`.
        dataset: Card name, card file or folder.
        profile: Which checkpoints the methods and metrics load.
        methods: As `--methods` takes them, sweeps included.
        controls: Bounds that are run beside them.
        metrics: Names of the catalog.
        styles: Ids, or None for all of the dataset.
        contents: Ids, or how many to draw evenly from the categories, or None for all.
        pairs: How many content-style pairs to draw at random, or None for every one.
        seeds: Repetitions of every cell, each with its own seed.
        base_seed: Where all seeds start from.
        style_clips: Which clips a method may learn from, see `bench.data.selection.split_style`.
        duration_s: Cut every clip to this many seconds, or None.
        chunk_size: How many contents run as one batch.
        parameters: Per method name the parameters that differ from its defaults; a table `styles`
            in it holds those of single styles.
        family: The comparisons that this suite is run for.
        gate: What the gate asks of its runs; no part of the digest, as no number depends on it.
    """

    schema_version: Literal[1] = 1
    name: str = Field(min_length=1)
    version: int = Field(default=1, ge=1)
    description: str = ""
    dataset: str
    profile: Profile
    methods: Names = Field(min_length=1)
    controls: Names = CONTROLS
    metrics: Names = METRICS
    styles: Names | None = None
    contents: Annotated[int, Field(ge=1, le=MOST_COUNT)] | Names | None = None
    pairs: Annotated[int, Field(ge=1, le=MOST_COUNT)] | None = None
    seeds: int = Field(default=1, ge=1, le=MOST_COUNT)
    base_seed: int = Field(default=0, ge=0)
    style_clips: StyleClips = "split"
    duration_s: float | None = Field(default=None, ge=0.5, le=LONGEST_S)
    chunk_size: int = Field(default=8, ge=1, le=MOST_COUNT)
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    family: Family | None = None
    gate: Demands = Demands()
    _file: TomlFile | None = PrivateAttr(default=None)

    def remembering(self, file: TomlFile | None) -> Suite:
        """Keep the file that this suite was read from, for messages, and return the suite."""
        self._file = file
        return self

    @property
    def file(self) -> TomlFile | None:
        """The file that the suite was read from; None where it was not read from one."""
        return self._file

    def at(self, *place: str) -> str:
        """Where a key stands: `file:line`, or the suite's name where it was not read from one."""
        return self._file.at(place) if self._file else f"suite {self.name}"

    @property
    def digest(self) -> str:
        """SHA-256 of all but description, gate and absent family and pairs, 64 hex digits."""
        return suite_digest(self.recorded)

    @property
    def recorded(self) -> dict[str, Any]:
        """The suite as it stands in the header of a run."""
        return {**self.model_dump(mode="json"), **RETIRED}

    @property
    def choices(self) -> list[MethodChoice]:
        """The methods and then the controls, each variant once."""
        chosen = parse_methods(",".join(self.methods))
        labels = {choice.label for choice in chosen}
        return chosen + [MethodChoice(name, name) for name in self.controls if name not in labels]


def suites() -> dict[str, Path]:
    """The suites of this checkout, by name."""
    return {path.stem: path for path in sorted(SUITES.glob("*.toml"))}


def load_suite(name: str) -> Suite:
    """Load a suite of this checkout by name, or any by the path of its TOML file.

    Raises:
        UnknownNameError: The suite does not exist, or names a metric or control that the catalog
            lacks.
        ConfigError: The file breaks a rule; the message names the line and the key.
    """
    known = suites()
    path = known.get(name, Path(name).expanduser())
    if name not in known and not (path.suffix == ".toml" and path.is_file()):
        raise UnknownNameError(
            f"suite {name!r} is not known; there are {', '.join(known)}, or give the path of a "
            f".toml file.{nearest(name, known)}"
        )
    file = read_toml(path, ConfigError)
    return _checked(parse(Suite, file.values, file.at, ConfigError).remembering(file))


def derive(suite: Suite, **overrides: Json) -> Suite:
    """Replace some values of a suite; without any change the same object is returned.

    Args:
        suite: The suite to begin with.
        overrides: Values by the names of `Suite`; those that are None are left alone.

    Returns:
        A suite named after the changes: "mini+contents=2+methods".

    Raises:
        UnknownNameError: A suite does not have a key.
        ConfigError: A value breaks a rule.
    """
    values = suite.model_dump()
    given = {key: _as_tuple(value) for key, value in overrides.items() if value is not None}
    changed = {key: value for key, value in given.items() if values.get(key, key) != value}
    for key in changed:
        if key not in values:
            raise UnknownNameError(
                f"suites have no {key!r}.{nearest(key, values)} Correct the key."
            )
    if not changed:
        return suite
    name = "+".join([suite.name, *(_named(key, value) for key, value in sorted(changed.items()))])
    merged = parse(Suite, values | changed | {"name": name}, lambda _: f"suite {name}", ConfigError)
    return _checked(merged.remembering(suite.file), tuple(changed))


def _named(key: str, value: object) -> str:
    return f"{key}={value}" if isinstance(value, int | float) else key


def _checked(suite: Suite, changed: Sequence[str] = ()) -> Suite:
    """Check the names of methods and metrics; those of styles are checked with the dataset.

    Args:
        suite: The suite.
        changed: Keys whose values do not come from the suite's file.
    """
    known = catalog_methods()
    named: list[tuple[str, Iterable[str], Mapping[str, object]]] = [
        ("metrics", suite.metrics, catalog_metrics()),
        ("controls", suite.controls, known),
        ("parameters", suite.parameters, known),
        ("methods", [choice.name for choice in suite.choices], known),
        ("family", suite.family.metrics if suite.family else (), catalog_metrics()),
    ]
    for key, names, catalog in named:
        for name in names:
            where = f"suite {suite.name}" if key in changed else suite.at(key, name)
            _require_known(name, catalog, f"{where}: {NOUNS[key]}")
    return suite


def _require_known(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known and ":" not in name:
        raise UnknownNameError(
            f"{what} {name!r} is not in the catalog; it holds {', '.join(known)}."
            f"{nearest(name, known)}"
        )


def check_style_tables(suite: Suite, styles: Iterable[str]) -> None:
    """Refuse parameters of a style that the dataset lacks: they would be ignored silently.

    Raises:
        UnknownNameError: A table `[parameters.<method>.styles.<style>]` names an unknown style.
    """
    known = list(styles)
    for method, table in suite.parameters.items():
        for name in table.get("styles", {}):
            if name not in known:
                raise UnknownNameError(
                    f"{suite.at('parameters', method, 'styles', name)}: style {name!r} is not in "
                    f"dataset {suite.dataset}; it holds {', '.join(known)}.{nearest(name, known)}"
                )


def default_suite(cuda_present: bool) -> tuple[str, str]:
    """The suite that `run` takes without `--suite`, and the reason in words."""
    if cuda_present:
        return "table2", "a CUDA device is present, so the full checkpoints can run"
    return "mini", "no CUDA device is present; the full checkpoints would take days on this machine"
