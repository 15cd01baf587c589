"""A folder to carry to a machine with a GPU, and nothing else: no network, no soundfont.

It holds code, material and wheels that the machine lacks, a part for each model, and `run.sh`.
`sh run.sh MODEL` trains within a budget of seconds, goes on where it was stopped, and leaves what
is to be carried back in `$OUT`, each file below 16 MiB.

**A part** names its files and a script of shell lines. These find the folder of the training in
`$WORK`, the options of a training (`bench.training.options`) as their arguments, and `$PYTHON`;
what they put into `$OUT` is carried back.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.api import ConfigError
from bench.checkout import CHECKOUT

logger = logging.getLogger(__name__)

LARGEST_BYTES = 50 * 2**20
DEFAULT_FOLDER = Path("build/kit")
_SUFFIXES = (".py", ".toml", ".json")
_SCRIPTS = "parts"
_RUN = """#!/bin/sh
# sh run.sh MODEL trains a model, and leaves weights, card and curve in $OUT.
# BUDGET_S, STEPS, BATCH, PROCESSES, DEVICE and REPORT_S may be set; run it again to go on.
set -eu
cd "$(dirname "$0")"
MODELS=$(cd parts && ls | sed 's/[.]sh$//' | tr '\\n' ' ')
MODEL=${1:-${MODELS% }}
if [ ! -f "parts/$MODEL.sh" ]; then
    echo "error: name one model of this kit: $MODELS" >&2
    exit 2
fi
OUT=${OUT:-out}
WORK=work/$MODEL
PYTHON=${PYTHON:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [ -d wheels ]; then
    [ -d site ] || $PYTHON -m pip install -q --no-index --no-deps --target site wheels/*.whl
    export PYTHONPATH="$PYTHONPATH:$PWD/site"
fi
set -- --resume --budget-s "${BUDGET_S:-400}" ${STEPS:+--steps "$STEPS"} \\
    ${BATCH:+--batch-size "$BATCH"} --device "${DEVICE:-auto}" --report-s "${REPORT_S:-60}"
mkdir -p "$OUT" "$WORK"
. "parts/$MODEL.sh"
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What a kit carries for one model.

    Args:
        model: As `run.sh` is told.
        code: Patterns of files and folders of the checkout; weights are no code.
        carried: Files or folders of this machine, by their place in the kit.
        script: Shell lines that train.
        smaller: How to make it smaller, for a kit that became too large.
    """

    model: str
    code: tuple[str, ...]
    carried: Mapping[str, Path]
    script: str
    smaller: str


def code_of(family: str) -> tuple[str, ...]:
    """Patterns of what a trainer of this project imports: its family, the engine, the catalogs.

    Args:
        family: Folder of a family of methods or metrics.

    Example:
        >>> code_of("methods/ssvqvae")[1:]
        ('methods/*.py', 'methods/*/__init__.py', 'methods/*/catalog.py', 'methods/ssvqvae')
    """
    room = family.partition("/")[0]
    return ("bench", f"{room}/*.py", f"{room}/*/__init__.py", f"{room}/*/catalog.py", family)


def require_free(folder: Path, model: str) -> None:
    """Refuse to write a part twice.

    Raises:
        ConfigError: The kit has that model.
    """
    if (folder / _SCRIPTS / f"{model}.sh").exists():
        raise ConfigError(
            f"{folder} is there already, with {model}; a kit is written anew. Name another folder."
        )


def add_part(folder: Path, part: Part, wheels: Path | None = None) -> int:
    """Add a model to a kit, or begin one with it.

    Args:
        folder: Of the kit.
        part: Of the model.
        wheels: A folder of wheels to carry, if any.

    Returns:
        The bytes of all files of the kit.

    Raises:
        ConfigError: The kit has that model, or would be larger than 50 MiB; nothing is written.
    """
    require_free(folder, part.model)
    taken = dict(_taken(part, wheels))
    there = {path for path in folder.rglob("*") if path.is_file()}
    new = {place: path for place, path in taken.items() if folder / place not in there}
    size = sum(path.stat().st_size for path in (*there, *new.values()))
    if size > LARGEST_BYTES:
        raise ConfigError(
            f"the kit takes {size / 2**20:.1f} MiB with {part.model}, and "
            f"{LARGEST_BYTES / 2**20:.0f} may be carried; {part.smaller}."
        )
    for place, path in new.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / place)
    (folder / _SCRIPTS).mkdir(parents=True, exist_ok=True)
    (folder / _SCRIPTS / f"{part.model}.sh").write_text(part.script, encoding="utf-8")
    (folder / "run.sh").write_text(_RUN, encoding="utf-8")
    logger.info("%s: %.1f MiB; run `sh run.sh %s` in it", folder, size / 2**20, part.model)
    return size


def _taken(part: Part, wheels: Path | None) -> Iterator[tuple[Path, Path]]:
    """Place in the kit, and path here, of every file."""
    for pattern in part.code:
        for found in CHECKOUT.glob(pattern):
            for path in _files(found):
                place = path.relative_to(CHECKOUT)
                if path.suffix in _SUFFIXES and "weights" not in place.parts:
                    yield place, path
    carried = {**part.carried, **({"wheels": wheels} if wheels else {})}
    for name, source in carried.items():
        for path in _files(source):
            yield Path(name) / path.relative_to(source) if source.is_dir() else Path(name), path


def _files(found: Path) -> Iterator[Path]:
    return (
        (path for path in found.rglob("*") if path.is_file()) if found.is_dir() else iter([found])
    )
