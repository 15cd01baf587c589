"""Fits that travel: a learnt style is exported to a file, and a file is put into the cache.

A fit that was imported has the name in the cache that it would have if it had been learnt here, so
`run` and `transfer` over the same clips take it from there; `transfer --fit` needs no clips at all.
A file is only taken where the code and the weights of the method are those that it was learnt with,
unless it is wanted anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import __version__
from bench.api import ConfigError, FitRequest, Progress, RecordError, UnknownNameError
from bench.cache import Cache
from bench.data.cards import load_dataset
from bench.data.clips import Dataset
from bench.device import resolve_device
from bench.errors import nearest
from bench.failure import Failure
from bench.outputs import SHORTEST_S
from bench.outside.elsewhere import require_made_here
from bench.plan.plan import Plan, info_as_set, make_sounding_plan, prepare_method
from bench.plan.suite import RETIRED, Suite
from bench.plugins.choices import parse_method
from bench.plugins.parameters import split_parameters
from bench.records.schema import PlannedCell
from bench.records.store import load_run
from bench.run.keys import identity_of, named_by, named_weights
from bench.run.stopwatch import Stopwatch
from bench.run.studio import Fitted, Studio
from bench.transfer.fit_files import SUFFIX, FitFile, LearntClip, Origin, read_fit, write_fit
from bench.transfer.fit_use import choice_of, require_use, spoken_name
from bench.transfer.request import (
    SingleRequest,
    require_clips,
    require_settings,
    require_writable_place,
    styles_of,
    suite_of,
)
from bench.transfer.workplace import workplace

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What `fit export` was asked for.

    Args:
        method: A name or `file.py:Class`, with parameters in brackets where wanted; of a run its
            label there.
        style: A folder of clips or one clip; of a run the name of a style.
        out: The file to write.
        run: The run folder that the fit was learnt in; None learns it from the folder of clips.
        text: The style in words, for methods that are given text.
        profile: "mini" or "full"; None takes "full" where CUDA is present.
        device: auto, cpu, cuda, cuda:N or mps.
        seed: Another number gives another fit.
        licence: Of the recordings; None takes that of the run's data set.
        made_by: Who exports it.
    """

    method: str
    style: str
    out: Path
    run: Path | None = None
    text: str | None = None
    profile: str | None = None
    device: str = "auto"
    seed: int = 0
    licence: str | None = None
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class PreparedExport:
    """An export that has passed every check that needs no model.

    Args:
        plan: Of the one method.
        cell: The cell whose fit it is.
        device: Where it is learnt.
        out: The file to write.
        licence: Of the recordings.
        made_by: Who exports it.
        recorded: The key of the fit in the run that it is taken from; None where it may be learnt.
    """

    plan: Plan
    cell: PlannedCell
    device: str
    out: Path
    licence: str
    made_by: str
    recorded: str | None = None

    @property
    def warnings(self) -> list[str]:
        """What whoever passes the file on should know."""
        (method,) = self.plan.methods
        said = []
        if not method.info.fits_per_style:
            said.append(
                f"{method.choice.label} keeps what it is given: the file may hold the sound of the "
                "clips themselves"
            )
        if self.licence == UNKNOWN:
            said.append(
                "the file says that the licence of the recordings is unknown; name it with "
                "--licence before you pass the file on"
            )
        return said


def prepare_export(request: ExportRequest) -> PreparedExport:
    """Check an export; nothing is learnt and nothing is written.

    Raises:
        BenchError: Anything that the user can fix; the message says how.
    """
    if request.out.suffix != SUFFIX or request.out.is_dir():
        raise ConfigError(
            f"output {request.out} must be a file that ends in {SUFFIX}. Name it "
            f"{request.out.with_suffix(SUFFIX).name}."
        )
    require_writable_place(request.out)
    require_made_here(request.method, "learnt")
    return _of_folder(request) if request.run is None else _of_run(request, request.run)


def _of_folder(request: ExportRequest) -> PreparedExport:
    choice = parse_method(request.method)
    require_settings(choice, request.profile)
    place = Path(request.style)
    asked = SingleRequest(request.method, place, request.out, place, request.text)
    styles = styles_of(choice, info_as_set(choice), asked)
    require_clips(styles)
    # A plan has a content; learning hears none, so any clip stands there.
    content = replace(styles[0].clips[0], duration_s=SHORTEST_S)
    licence = request.licence or UNKNOWN
    dataset = Dataset("fit", licence, redistributable=False, contents=(content,), styles=(*styles,))
    suite, _ = suite_of(request.profile, request.seed, request.device)
    plan = make_sounding_plan(suite, dataset, (prepare_method(choice, suite),))
    require_clips(plan.dataset.styles)
    device = resolve_device(request.device)
    return PreparedExport(plan, plan.cells[0], device, request.out, licence, request.made_by)


def _of_run(request: ExportRequest, folder: Path) -> PreparedExport:
    """The fit of a run: of its first repetition, from the same clips, code and weights."""
    run = load_run(folder)
    header = run.header
    cell = _first_cell(request, run.plan)
    record = run.cells.get(cell.cell_id)
    if record is None or record.fit_key is None:
        raise RecordError(
            f"{folder} has not learnt {cell.style!r} with {cell.method}. Run it first."
        )
    suite = Suite.model_validate({k: v for k, v in header.suite.items() if k not in RETIRED})
    dataset = load_dataset(suite.dataset)
    (choice,) = (one for one in suite.choices if one.label == cell.method)
    plan = make_sounding_plan(suite, dataset, (prepare_method(choice, suite),))
    device = resolve_device(request.device if request.device != "auto" else header.device)
    return PreparedExport(
        plan,
        cell,
        device,
        request.out,
        request.licence or dataset.licence,
        request.made_by,
        record.fit_key,
    )


def _first_cell(request: ExportRequest, plan: Sequence[PlannedCell]) -> PlannedCell:
    for what, wanted in (("method", request.method), ("style", request.style)):
        known = list(dict.fromkeys(getattr(cell, what) for cell in plan))
        if wanted not in known:
            raise UnknownNameError(
                f"{request.run} has no {what} {wanted!r}; it has {', '.join(known)}."
                f"{nearest(wanted, known)}"
            )
    mine = [c for c in plan if (c.method, c.style) == (request.method, request.style)]
    if not mine:
        raise RecordError(f"{request.run} has no cell of {request.method} and {request.style}.")
    return min(mine, key=lambda cell: cell.repetition)


def export(prepared: PreparedExport, progress: Progress) -> FitFile | Failure:
    """Learn the style, or take its fit from the cache, and write the file.

    Returns:
        What was written, or why nothing was.

    Raises:
        RecordError: The fit of a run is not to be had any more.
    """
    cell = prepared.cell
    files = named_by(prepared.plan, prepared.plan.methods[0])
    with workplace(prepared.plan, prepared.device, Stopwatch(), progress, files) as place:
        studio = place.studio
        fitted = _fitted(prepared, studio, progress)
        if isinstance(fitted.result, Failure):
            return place.failed(fitted.result)
        (asked,) = studio.fits_of([cell])[0].values()
        made = FitFile(_origin(prepared, studio, asked), fitted.result)
        write_fit(prepared.out, made)
    progress(1.0, f"{cell.method}: done")
    return made


def _fitted(prepared: PreparedExport, studio: Studio, progress: Progress) -> Fitted:
    cell = prepared.cell
    if prepared.recorded is None:
        progress(0.0, f"{cell.method}: loading")
        return studio.fit([cell], progress)[cell.style]
    (key,) = studio.fits_of([cell])[1].values()
    if key != prepared.recorded:
        raise RecordError(
            f"the run learnt {cell.style!r} with other clips, code, weights or device than there "
            f"are now (its fit is {prepared.recorded}, here {key}). Run it again, or export where "
            "it ran."
        )
    cache = studio.context.cache
    state = cache.load_state(key)
    if state is None:  # learnt again alone, it would not be the same to the last bit
        raise RecordError(
            f"the fit {key} is not in the cache {cache.root}; a run leaves it there. Set "
            "BENCH_CACHE to the folder that it had, or run it again."
        )
    return Fitted(key, state, cached=True)


def _origin(prepared: PreparedExport, studio: Studio, asked: FitRequest[Any]) -> Origin:
    identity, planned, style = studio.identity, studio.planned, asked.style
    learnt = zip(prepared.plan.splits[style.id].clips, style.clips, strict=True)
    return Origin(
        method=spoken_name(identity.name),
        version=identity.version,
        source=identity.source,
        profile=studio.context.profile,
        weights=named_weights(identity, planned.profile),
        device_type=identity.device_type,
        parameters=split_parameters(asked.parameters)[0],
        style=style.id,
        text=style.text,
        clips=tuple(
            LearntClip(
                name=source.path.name, file_sha256=source.digest, heard_sha256=clip.audio.digest
            )
            for source, clip in learnt
        ),
        heldout=tuple(clip.audio.digest for clip in style.heldout_clips),
        seed=asked.seed,
        licence=prepared.licence,
        weights_licence=planned.profile.licence,
        made_by=prepared.made_by,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bench_version=__version__,
    )


def import_fit(path: Path, method: str | None, device: str, *, anyway: bool) -> FitFile:
    """Check a file and put its fit into the cache, under the name that it has here.

    Args:
        path: The file.
        method: The method as it is named here; None takes the name in the file.
        device: Where it will be used; results of other devices have other names.
        anyway: Whether a fit of other code or weights is taken.

    Raises:
        ConfigError: The file cannot be read, or its fit not be used here.
        CheckpointError: A checkpoint of the method is missing.
    """
    fit = read_fit(path)
    choice = choice_of(path, fit, method)
    suite, _ = suite_of(fit.origin.profile, 0, device)
    planned = prepare_method(choice, suite)
    identity = identity_of(planned, suite.profile, resolve_device(device))
    require_use(path, fit, planned, identity, anyway=anyway)
    Cache.default().save_state(fit.origin.key(identity), fit.state, {"fit_s": 0.0})
    return fit
