"""The files that let another repository judge every change by a baseline of its own.

A workflow, the two scripts that it calls, and the version that it installs. The workflow says what
is judged by what; the scripts are the same for every repository, so they can be replaced by those
of a newer version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench import __version__
from bench.api import ConfigError
from bench.checkout import COMMAND
from bench.files import replace_file, require_plain

ASSETS = Path(__file__).parent / "assets"
WORKFLOW = ".github/workflows/bench.yml"
OWN = ".github/bench"  # the folder of the scripts
REQUIREMENTS = f"{OWN}/requirements.txt"
SCRIPTS = ("gate", "history")
# Actions by the commits of their releases: a tag can be moved to other code.
ACTIONS = {
    "checkout": "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2",
    "setup_python": "actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0",
    "upload_artifact": "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2",
    "download_artifact": (
        "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093 # v4.3.0"
    ),
}
PACKAGE = "music-style-bench"
_BENCH = re.compile(rf"{PACKAGE}\s*($|[=<>!~@\[;])")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")


@dataclass(frozen=True, slots=True)
class CiRequest:
    """What the files are to say.

    Args:
        folder: The top of the repository; it may be empty.
        suite: The suite that is run: a file seen from there, or the name of one that is shipped.
        baseline: The baseline that it is judged by, a file seen from there.
        branch: The branch of which each run is kept in the history.
        force: Replace files that are there and say something else.
    """

    folder: Path
    suite: str = "suite.toml"
    baseline: str = "baseline.json"
    branch: str = "main"
    force: bool = False


def write_ci(request: CiRequest) -> list[Path]:
    """Write the files, and return those that are new or changed.

    Of requirements that are there, the line of the bench alone is renewed.

    Raises:
        ConfigError: A file says something else and `force` is not set, or a value cannot be
            written.
        LinkError: A symbolic link stands in the place of a file.
    """
    there = {request.folder / name: text for name, text in ci_files(request).items()}
    for path in there:
        require_plain(path)
    own = request.folder / REQUIREMENTS
    there[own] = _with_this_version(_text_of(own) or "")
    changed = {path: text for path, text in there.items() if _text_of(path) != text}
    other = [path for path in changed if path.exists() and path != own]
    if other and not request.force:
        raise ConfigError(
            f"{', '.join(map(str, other))} would be replaced; what was changed there would be "
            "lost. Look at the difference and name --force, or move it away."
        )
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
    return list(changed)


def ci_files(request: CiRequest) -> dict[str, str]:
    """The texts of the files, by their paths in the repository.

    Raises:
        ConfigError: A value cannot be written.

    Example:
        >>> sorted(ci_files(CiRequest(Path("."))))[:2]
        ['.github/bench/gate', '.github/bench/history']
    """
    _require_fit(request)
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML: what is filled in is written as JSON, which is YAML
    )
    template = environment.from_string((ASSETS / "bench.yml.j2").read_text("utf-8"))
    workflow = template.render(
        suite=request.suite, baseline=request.baseline, branch=request.branch, actions=ACTIONS
    )
    scripts = {f"{OWN}/{name}": (ASSETS / name).read_text("utf-8") for name in SCRIPTS}
    return {**scripts, REQUIREMENTS: _with_this_version(""), WORKFLOW: workflow}


def next_steps(request: CiRequest) -> str:
    """What is left to do by hand, in the order of doing it."""
    baseline = request.folder / request.baseline
    lines = [f"What your method needs to run goes into {request.folder / REQUIREMENTS}."]
    if not baseline.is_file():
        lines += [
            f"There is no {baseline} yet. Run the suite and keep what it gives:",
            f"  {COMMAND} run --suite {request.suite} --out runs/first",
            f'  {COMMAND} baseline runs/first --reason "first run" -o {request.baseline}',
        ]
    return "\n".join([*lines, "Then commit these files."])


def _with_this_version(requirements: str) -> str:
    """Requirements with the bench of this version, in the place of another where there is one."""
    line = f"{PACKAGE}=={__version__}"
    others = [one for one in requirements.splitlines() if not _BENCH.match(one)]
    return "\n".join([line, *others, ""])


def _text_of(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _require_fit(request: CiRequest) -> None:
    if not _BRANCH.fullmatch(request.branch):
        raise ConfigError(
            f"branch {request.branch!r} cannot be written into a workflow; it has letters, digits "
            "and . _ / - alone. Name another branch."
        )
    for what, name in (("suite", request.suite), ("baseline", request.baseline)):
        place = Path(name)
        plain = name and name.isprintable() and "${{" not in name
        if not plain or place.is_absolute() or ".." in place.parts:
            raise ConfigError(
                f"{what} {name!r} is no place in a repository; it is seen from the repository's "
                "top, and lies in it. Name it so, as in ci/suite.toml."
            )
