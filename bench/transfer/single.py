"""Rendering one content in one style, for people who just want the sound.

The request becomes a plan of a single style, which is worked through as in a run and with the same
cache keys: a fit that a run has learnt is taken from the cache, and the other way round. With the
level left as it is, the sound of a content of one channel is the one that a run would record.

The content's rate and length are kept. What is written is listened to first, see
`bench.transfer.remarks`: an output that is silent is not written, so that nothing is lost to it;
everything else that a listener should know is said in a line each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.api import (
    Audio,
    BenchError,
    ConfigError,
    DatasetError,
    MethodInfo,
    Progress,
    UnsupportedError,
)
from bench.audio import (
    DEFAULT_SUBTYPE,
    fits_integer,
    peak_of,
    peak_words,
    read_audio,
    write_audio,
)
from bench.batching import Aside
from bench.data.clips import Dataset, StyleSource
from bench.data.sifting import sift
from bench.device import require_device_name, resolve_device
from bench.failure import Failure
from bench.outputs import SILENCE_DBFS
from bench.outside.elsewhere import require_made_here
from bench.outside.names import on_disk, require_utf8
from bench.plan.plan import Plan, describe_styles, info_as_set, make_plan, prepare_method
from bench.plan.suite import Suite
from bench.plugins.choices import MethodChoice, parse_method
from bench.records.schema import CellRecord, PlannedCell, left_out_words
from bench.run.chunks import read_chunk, render_chunk
from bench.run.keys import digest, named_by
from bench.run.stopwatch import Stopwatch
from bench.run.studio import Fitted, Studio
from bench.transfer import remarks
from bench.transfer.channels import Division, at_level, divide, joined
from bench.transfer.fit_files import FitFile, read_fit
from bench.transfer.fit_use import choice_of, require_use
from bench.transfer.request import (
    Level,
    SingleRequest,
    content_of,
    require_clips,
    require_fit_alone,
    require_place,
    require_settings,
    styles_of,
    suite_of,
)
from bench.transfer.workplace import Workplace, workplace

FIT_SHARE = 0.9  # of the progress shown, where learning the style is most of the work
SOUNDS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True, slots=True)
class LoadedFit:
    """A fit that was asked for by its file.

    Args:
        path: The file.
        fit: What it holds.
        anyway: Whether it is taken where code or weights differ.
    """

    path: Path
    fit: FitFile
    anyway: bool


@dataclass(frozen=True, slots=True)
class PreparedSingle:
    """A request that has passed every check that needs no model.

    Args:
        plan: Its first cells are those of the first style, one for each source of the division.
        division: What of the content is rendered.
        device: Where.
        why_profile: Why this profile, in words.
        out: The file to write.
        level: Whether it is as loud as the content.
        fit: The style as a file has it; None learns it.
        files: Digest of the files that it is learnt from beside the clips.
        warnings: What is known before the work, a line each.
        watch: Adds up the time of every stage.
    """

    plan: Plan
    division: Division
    device: str
    why_profile: str
    out: Path
    level: Level
    fit: LoadedFit | None
    files: str
    warnings: tuple[str, ...]
    watch: Stopwatch

    @property
    def announcement(self) -> str:
        """What will be done, before it starts."""
        suite, content = self.plan.suite, self.plan.contents[0]
        way = " to ".join(map(repr, self.plan.splits))
        told = (
            f"{self.plan.cells[0].method}, profile {suite.profile} ({self.why_profile}) on "
            f"{self.device}: {content.path.name} ({content.duration_s:.2f} s) in the style {way}"
        )
        return "\n".join([told, *(f"warning: {words}" for words in self.warnings)])


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file that was written, and the records of its cells.

    Args:
        path: The file.
        audio: What it holds.
        records: One for each channel that was rendered.
        warnings: What a listener should know, a line each.
        given: Whether the fit came from a file that was named.
    """

    path: Path
    audio: Audio
    records: tuple[CellRecord, ...]
    warnings: tuple[str, ...]
    given: bool = False

    @property
    def words(self) -> str:
        """One line for the terminal."""
        facts, cost_s = self.records[0], sum(one.transfer_s or 0.0 for one in self.records)
        origin = "file" if self.given else "cache"
        fit = f"style fit {facts.fit_s:.1f} s"
        if facts.fit_cached:
            fit = f"style fit from the {origin}"
        sound = "sound from the cache" if facts.transfer_cached else f"sound {cost_s:.1f} s"
        return (
            f"wrote {self.path}: {self.audio.duration_s:.2f} s, {self.audio.sample_rate} Hz, "
            f"{SOUNDS[self.audio.waveform.shape[0]]} ({fit}, {sound})"
        )


def prepare_single(request: SingleRequest) -> PreparedSingle:
    """Check a request; nothing is rendered and nothing is written.

    What takes no model and no torch comes first: files, places and options.

    Raises:
        BenchError: Anything that the user can fix; the message says how.
    """
    watch = Stopwatch()
    with watch.measure("prepare"):
        require_device_name(request.device)
        require_utf8(request.content)
        request = replace(request, content=on_disk(request.content))
        fit = _fit_of(request)
        choice = _choice(request, fit)
        require_made_here(choice.name, "rendered")
        require_settings(choice, request.profile if fit is None else fit.fit.origin.profile)
        info = info_as_set(choice)
        source, styles = content_of(request), _styles(request, choice, info, fit)
        require_place(request, styles)
        content = source.read().audio
        division = divide(source, content, each=info.channels == "each")
        _require_sound(request.content, content, division)
        dataset = Dataset("transfer", "unknown", False, division.sources, styles)
        dataset = sift(dataset, [style.id for style in styles], None)
        require_clips(dataset.styles)
        suite, why = _suite(request, fit)
        plan = _with_shared_noise(make_plan(suite, dataset, (prepare_method(choice, suite),)))
        files = "" if fit is not None else named_by(plan, plan.methods[0])
        device = resolve_device(request.device)
    warnings = _said_before(request, plan, content, division)
    out, level = request.out, request.level
    return PreparedSingle(plan, division, device, why, out, level, fit, files, warnings, watch)


def _fit_of(request: SingleRequest) -> LoadedFit | None:
    if request.fit is None:
        return None
    require_fit_alone(request)
    return LoadedFit(request.fit, read_fit(request.fit), request.anyway)


def _choice(request: SingleRequest, fit: LoadedFit | None) -> MethodChoice:
    if fit is not None:
        return choice_of(fit.path, fit.fit, request.method)
    if request.method is None:
        raise ConfigError("--method is missing; it may only be left out beside --fit. Name one.")
    return parse_method(request.method)


def _suite(request: SingleRequest, fit: LoadedFit | None) -> tuple[Suite, str]:
    """The suite of the profile; a fit was learnt in one, which is the only one it serves."""
    if fit is None:
        return suite_of(request.profile, request.seed, request.device)
    profile = fit.fit.origin.profile
    if request.profile not in {None, profile}:
        raise ConfigError(
            f"fit {fit.path} was learnt in the profile {profile}; --profile {request.profile} has "
            "other models. Leave it out."
        )
    return suite_of(profile, request.seed, request.device)[0], "that of the fit"


def _styles(
    request: SingleRequest, choice: MethodChoice, info: MethodInfo, fit: LoadedFit | None
) -> tuple[StyleSource, ...]:
    if fit is None:
        return tuple(styles_of(choice, info, request))
    origin = fit.fit.origin
    return (StyleSource(origin.style, "instrument", origin.text or "", ()),)


def _require_sound(path: Path, content: Audio, division: Division) -> None:
    """Refuse a content in which there is no music to keep."""
    if division.is_silent:
        cancel = "" if remarks.is_unusable(content) else ": its channels cancel each other"
        raise DatasetError(
            f"content {path} is silent where it is to be heard (below {SILENCE_DBFS:g} dBFS"
            f"{cancel}); there is no music to keep. Name another part with --start and --duration."
        )


def _with_shared_noise(plan: Plan) -> Plan:
    """The plan with the same seeds for all channels of the content."""
    first = plan.cells[0]
    shared = {"seed": first.seed, "content_seed": first.content_seed}
    return replace(plan, cells=tuple(cell.model_copy(update=shared) for cell in plan.cells))


def _said_before(
    request: SingleRequest, plan: Plan, content: Audio, division: Division
) -> tuple[str, ...]:
    """What is known before the work, a line each."""
    (method,) = plan.methods
    label, profile = method.choice.label, method.profile
    said = [
        remarks.short_remark(content.duration_s, request.duration),
        remarks.channel_remark(content.waveform.shape[0], division.channels, label),
        remarks.band_remark(content, profile, label),
        remarks.mini_remark(plan.suite.profile, profile),
    ]
    return (*left_out_words(describe_styles(plan)), *(words for words in said if words))


def render_single(prepared: PreparedSingle, progress: Progress) -> Rendered | Failure:
    """Fit the style, or take its fit from the cache, render the content and write the file.

    Returns:
        The written file, or why there is none; the reason names a file with the traceback, or one
        with the silent sound. Nothing is written then.

    Raises:
        UnsupportedError: The method declines this style or content.
        ConfigError: The output is louder than the format of the file can hold, or the fit from a
            file is not of this code and these weights.
        BenchError: The file cannot be written.
    """
    with workplace(
        prepared.plan, prepared.device, prepared.watch, progress, prepared.files
    ) as place:
        records = _carry_out(prepared, place.studio, progress)
        for record in records:
            if record.status == "unsupported":
                raise UnsupportedError(f"{prepared.plan.cells[0].method} declines: {record.reason}")
            if record.status != "ok":
                return place.failed(Failure(record.status, record.reason or record.status))
        return _finished(prepared, place, records)


def _finished(
    prepared: PreparedSingle, place: Workplace, records: Sequence[CellRecord]
) -> Rendered | Failure:
    """Listen to what was rendered, and write it if there is anything to hear."""
    heard = prepared.division.heard
    raw = [read_audio(place.folder / str(record.audio)) for record in records]
    output = joined(raw, prepared.division.places)
    if remarks.is_unusable(output):
        return _silent(output, prepared, place)
    audio, missing_db = at_level(output, heard) if prepared.level == "content" else (output, 0.0)
    said = [
        remarks.silence_remark(audio, heard),
        remarks.contour_remark(audio, heard),
        remarks.softer_remark(missing_db),
        remarks.peak_remark(audio),
    ]
    _write(audio, prepared.out)
    heard_words = tuple(words for words in said if words)
    given = prepared.fit is not None
    return Rendered(prepared.out, audio, tuple(records), heard_words, given)


def _silent(output: Audio, prepared: PreparedSingle, place: Workplace) -> Failure:
    """A silent output is kept where it lies, and never replaces a file."""
    lies = place.folder / "silent.wav"
    write_audio(lies, output)
    place.kept = True
    return Failure(
        "invalid_output",
        f"the output is silent ({remarks.level_dbfs(output):.1f} dBFS; below {SILENCE_DBFS:g} dBFS "
        f"is silence), so {prepared.out} is not written; it lies in {lies}",
    )


def _carry_out(prepared: PreparedSingle, studio: Studio, progress: Progress) -> list[CellRecord]:
    """Fit the plan's style or styles and render the cells of the first."""
    cells = prepared.plan.cells
    label = cells[0].method
    share = FIT_SHARE if studio.learns and prepared.fit is None else 0.0
    progress(0.0, f"{label}: loading")
    if prepared.fit is None:
        fitted = _learnt(cells, studio, lambda part, text: progress(part * share, text))
    else:
        fitted = _from_file(prepared.fit, studio)
    progress(share, f"{label}: rendering")
    chunk = [cell for cell in cells if cell.style == cells[0].style]
    with Aside(prepared.device) as aside:
        records = render_chunk(studio, chunk, fitted, 1, read_chunk(studio, chunk, aside))()
    progress(1.0, f"{label}: done")
    return records


def _from_file(loaded: LoadedFit, studio: Studio) -> Fitted:
    require_use(loaded.path, loaded.fit, studio.planned, studio.identity, anyway=loaded.anyway)
    return Fitted(loaded.fit.origin.key(studio.identity), loaded.fit.state, cached=True)


def _learnt(cells: Sequence[PlannedCell], studio: Studio, progress: Progress) -> Fitted:
    """The style, or the way from the first style to the second."""
    by_style = {cell.style: cell for cell in reversed(cells)}
    ordered = [by_style[style] for style in dict.fromkeys(cell.style for cell in cells)]
    learnt = []
    for number, cell in enumerate(ordered):  # one by one, as the cache may hold one of them

        def advance(part: float, text: str, begun: int = number) -> None:
            progress((begun + part) / len(ordered), f"{cells[0].method}: {text}")

        learnt.append(studio.fit([cell], advance)[cell.style])
    return learnt[0] if len(learnt) == 1 else _transition(studio, learnt)


def _transition(studio: Studio, learnt: Sequence[Fitted]) -> Fitted:
    """One fit for a piece that goes from the first style to the second, or the fit that failed."""
    first, second = learnt
    if isinstance(first.result, Failure):
        return first
    if isinstance(second.result, Failure):
        return second
    return Fitted(
        key=digest([first.key, second.key]),
        result=studio.kind.transition(first.result, second.result),
        cost_s=first.cost_s + second.cost_s,
        cached=first.cached and second.cached,
    )


def _write(audio: Audio, out: Path) -> None:
    """Write the sound in the format of `out`, at its own level."""
    if DEFAULT_SUBTYPE[out.suffix.lower()].startswith("PCM") and not fits_integer(audio):
        raise ConfigError(
            f"output {out}: its peak is {peak_words(peak_of(audio))}, beyond full scale, which "
            f"{out.suffix} would clip. Name it "
            f"{out.with_suffix('.wav').name}; what was computed is kept, so that takes no time."
        )
    try:
        write_audio(out, audio)
    except OSError as error:
        raise BenchError(
            f"output {out} cannot be written ({error.strerror}); what was computed is kept. Name "
            "another place."
        ) from error
