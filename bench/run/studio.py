"""Loading the methods of a run and learning styles with them.

A `Studio` is one method of a run at work: it loads the method when it is first needed, so that a
cached result loads nothing, and it times every call. `bench.run.chunks` renders in it.

A fit covers all styles of a repetition at once, because batched arithmetic depends in the last
digits on what is computed together: what was interrupted is learnt again in the same company, so a
resumed run equals an uninterrupted one. Methods that share a frozen network may learn in one call
(`fit_jointly`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from bench.api import (
    Audio,
    Entry,
    FitRequest,
    Progress,
    Style,
    StyleState,
    StyleTransferMethod,
    TransferRequest,
)
from bench.audio import as_heard
from bench.delivery.matching import Delivery
from bench.device import peak_memory_bytes
from bench.failure import STOPS_RUN, Failure, WorkerLostError, contained, failure_of
from bench.files import disk_is_full
from bench.plan.plan import PlannedMethod
from bench.plugins.catalog import find_method
from bench.plugins.kinds import MethodKind, kind_here
from bench.plugins.opening import (
    USUAL,
    Isolation,
    close,
    open_method,
    worker_peak_bytes,
)
from bench.plugins.parameters import split_parameters
from bench.plugins.returned import admit_outputs, admit_states, told_safely
from bench.records.schema import PlannedCell
from bench.run.company import Company
from bench.run.context import RunContext
from bench.run.keys import Identity, fit_key

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A style as one method has learnt it, or why it has not.

    Args:
        key: Its name in the cache.
        result: What was learnt, or the failure.
        cost_s: What learning took when it was done, seconds.
        cached: Whether it comes from the cache.
    """

    key: str
    result: StyleState | Failure
    cost_s: float = 0.0
    cached: bool = False


NOT_LEARNT = Fitted("", StyleState())  # of styles whose outputs were made elsewhere


@dataclass(slots=True)
class Studio:
    """One method of a run at work; `open_studio` makes it.

    Args:
        context: What it shares with the other methods of the run.
        planned: The method with its description.
        entry: Its line of the catalog.
        kind: What knows its parameters.
        identity: The part of its cache keys that identifies it.
        isolation: What was asked about workers. A worker that is lost is started anew when the
            method is next needed.
        company: What it learns together where shards share the work.
        delivery: Its outputs, where they were made elsewhere; then nothing is loaded or learnt.
    """

    context: RunContext
    planned: PlannedMethod
    entry: Entry
    kind: MethodKind
    identity: Identity
    isolation: Isolation
    company: Company | None = None
    delivery: Delivery | None = None
    load_s: float = 0.0
    _method: StyleTransferMethod[Any] | None = field(default=None)

    @property
    def label(self) -> str:
        """What tables print: the method's name and the parameters set by hand."""
        return self.planned.choice.label

    @property
    def learns(self) -> bool:
        """Whether learning a style costs time."""
        return self.planned.info.fits_per_style

    @property
    def in_worker(self) -> bool:
        """Whether the method lives in a worker process."""
        return self.isolation.needs_worker(self.entry)

    @property
    def method(self) -> StyleTransferMethod[Any]:
        """The loaded method."""
        if self._method is None:
            context, name, before = self.context, self.identity.name, self.context.watch.total_s
            with self._calling("load"):
                method = open_method(self.entry, context.log_of(name), self.isolation)
                method.load(context.profile, context.device)
            self.load_s = context.watch.total_s - before
            self._method = method
        return self._method

    def in_a_worker(self) -> Studio:
        """The same method in a worker process, whatever was asked about workers.

        What it renders is the same to the last bit, and it cannot end this process.
        """
        if self.in_worker:
            return self
        apart = replace(self.isolation, wanted=True)
        return replace(self, kind=self.planned.kind, isolation=apart, _method=None)

    def close(self) -> None:
        """End the worker process, if there is one; what needs the method starts another."""
        if self._method is not None and self.in_worker:
            close(self._method)
            self._method = None

    @contextmanager
    def _calling(self, verb: str) -> Iterator[None]:
        """Time a call of the method, undo its change of directory, and let go of a lost worker.

        The method may raise what it likes, see `bench.failure.contained`.
        """
        try:
            with (
                self.context.watch.measure(f"{verb} {self.label}", self.context.device),
                chdir("."),
                contained(loading=verb == "load"),
            ):
                yield
        except WorkerLostError:
            self._method = None
            raise

    def fit(self, cells: Sequence[PlannedCell], progress: Progress) -> dict[str, Fitted]:
        """Learn every style of `cells` (one repetition) together, or take all from the cache.

        A style without a clip is not given to a method that would learn from its clips.
        """
        if self.delivery is not None:
            return {cell.style: NOT_LEARNT for cell in cells}
        declined = {
            cell.style: self._decline(cell) for cell in cells if self._lacks_clips(cell.style)
        }
        requests, keys = self.fits_of(cells)
        found = self._all_cached(keys)
        if found is None and self.company is not None:
            with self.company.alone(cells, progress) as whole:
                found = self._all_cached(keys)  # somebody else has learnt them meanwhile
                if found is None:
                    found = self._fit_together(*self.fits_of(whole), progress)
        if found is None:
            found = self._fit_together(requests, keys, progress)
        return declined | found

    def _lacks_clips(self, style: str) -> bool:
        hears = "style audio" in self.planned.info.conditioned_on
        return hears and not self.context.material.style(style).clips

    def _decline(self, cell: PlannedCell) -> Fitted:
        left_out = self.context.material.style(cell.style).left_out
        why = f": {'; '.join(left_out)}" if left_out else ""
        reason = f"style {cell.style!r} has no clip to learn from{why}"
        key = self._fit_key(self._fit_request(cell))
        return Fitted(key, Failure("unsupported", reason))

    def fits_of(
        self, cells: Sequence[PlannedCell]
    ) -> tuple[dict[str, FitRequest[Any]], dict[str, str]]:
        """What must be learnt for cells of one repetition, by style, and its names in the cache."""
        if self.delivery is not None:
            return {}, {}
        first = {c.style: c for c in reversed(cells) if not self._lacks_clips(c.style)}
        requests = {style: self._fit_request(cell) for style, cell in sorted(first.items())}
        return requests, {style: self._fit_key(request) for style, request in requests.items()}

    def _fit_request(self, cell: PlannedCell) -> FitRequest[Any]:
        style, rate = self.context.material.style(cell.style), self.planned.profile.sample_rate
        heldout = style.heldout_clips if self.planned.info.control else ()
        return FitRequest(
            style=Style(
                id=style.id,
                clips=tuple(as_heard(clip, rate) for clip in style.clips),
                heldout_clips=tuple(as_heard(clip, rate) for clip in heldout),
                text=style.text,
            ),
            parameters=self.kind.parameters(cell.parameters),
            seed=cell.fit_seed,
        )

    def _fit_key(self, request: FitRequest[Any]) -> str:
        fit_parameters, _ = split_parameters(request.parameters)
        return fit_key(self.identity, fit_parameters, request.style, request.seed)

    def _all_cached(self, keys: Mapping[str, str]) -> dict[str, Fitted] | None:
        """The fits of some styles, if the cache has each of them."""
        found: dict[str, Fitted] = {}
        for style, key in keys.items():
            fitted = self._cached_fit(key)
            if fitted is None:
                return None
            found[style] = fitted
        return found

    def _cached_fit(self, key: str) -> Fitted | None:
        state = self.context.cache.load_state(key)
        if state is None:
            return None
        cost = self.context.cache.load_cost(key) or {}
        return Fitted(key, state, cost.get("fit_s", 0.0), cached=True)

    def _fit_together(
        self, requests: Mapping[str, FitRequest[Any]], keys: Mapping[str, str], progress: Progress
    ) -> dict[str, Fitted]:
        """Learn all styles in one call, and keep what was learnt.

        If it raises, each is learnt in a call of its own, so that one bad style costs only itself.
        """
        try:
            states, seconds = self.timed_fit(list(requests.values()), progress)
            share_s = seconds / len(requests)
            for style, state in zip(requests, states, strict=True):
                self.context.cache.save_state(keys[style], state, {"fit_s": share_s})
        except STOPS_RUN:
            raise
        except Exception as error:
            if disk_is_full(error):
                raise
            if len(requests) == 1:
                self.keep_traceback(error)
                return {style: Fitted(keys[style], failure_of(error)) for style in requests}
            alone = [
                self._fit_together({style: request}, keys, progress)
                for style, request in requests.items()
            ]
            return {style: fitted for part in alone for style, fitted in part.items()}
        return {
            style: Fitted(keys[style], state, share_s)
            for style, state in zip(requests, states, strict=True)
        }

    def timed_fit(
        self, requests: list[FitRequest[Any]], progress: Progress
    ) -> tuple[list[StyleState], float]:
        """Learn all requests in one call; returns their states, and the seconds of the call."""
        method, before = self.method, self.context.watch.total_s
        with self._calling("fit"):
            states = admit_states(method.fit(requests, told_safely(progress)), len(requests))
        return states, self.context.watch.total_s - before

    def timed_transfer(self, requests: list[TransferRequest[Any]]) -> tuple[list[Audio], float]:
        """Render all requests in one call; returns the outputs, and the seconds of the call."""
        method, before = self.method, self.context.watch.total_s
        with self._calling("transfer"):
            outputs = admit_outputs(method.transfer(requests), len(requests))
        return outputs, self.context.watch.total_s - before

    @property
    def peak_bytes(self) -> int:
        """Largest memory so far of the process that holds the method."""
        in_worker = worker_peak_bytes(self._method)
        return peak_memory_bytes(self.context.device) if in_worker is None else in_worker

    def keep_traceback(self, error: Exception) -> None:
        """Append the traceback to the method's log; a failed cell's reason is only one line."""
        self.context.keep_traceback(self.identity.name, error)


def open_studio(
    context: RunContext,
    planned: PlannedMethod,
    identity: Identity,
    isolation: Isolation = USUAL,
    delivery: Delivery | None = None,
) -> Studio:
    """The studio of one method, whose identity was found out before the work."""
    entry = replace(find_method(planned.choice.name), settings=planned.settings)
    # What is imported in this process is handed parameters of its own class.
    kind = planned.kind if isolation.needs_worker(entry) else kind_here(entry)
    return Studio(context, planned, entry, kind, identity, isolation, delivery=delivery)


def fit_jointly(
    cells: Sequence[PlannedCell], studios: Mapping[str, Studio], progress: Progress
) -> None:
    """Learn what cells need and the cache lacks, in one call per family and repetition.

    What is learnt goes to the cache, where each method finds it as if it had learnt alone. Its cost
    is an equal share of the call, and its cells say `fit_cached`: it was not measured alone. What
    fails here is left to each method alone, which records the failure.
    """
    families = {
        label: studio.kind.family or "" if not studio.in_worker else ""
        for label, studio in studios.items()
    }

    def group_of(cell: PlannedCell) -> tuple[str, int]:
        return families[cell.method], cell.repetition

    for (family, _), group in groupby(sorted(cells, key=group_of), group_of):
        if family:
            _fit_family(list(group), studios, progress)


def _fit_family(
    cells: Sequence[PlannedCell], studios: Mapping[str, Studio], progress: Progress
) -> None:
    labels = list(dict.fromkeys(cell.method for cell in cells))
    if len(labels) < 2:  # noqa: PLR2004 - one method has no others to learn with
        return
    needed: dict[str, FitRequest[Any]] = {}
    for label in labels:
        own = [cell for cell in cells if cell.method == label]
        requests, keys = studios[label].fits_of(own)
        needed |= {keys[style]: request for style, request in requests.items()}
    cache = studios[labels[0]].context.cache
    missing = {key: one for key, one in needed.items() if cache.load_state(key) is None}
    if not missing:
        return
    try:
        states, seconds = studios[labels[0]].timed_fit(list(missing.values()), progress)
    except STOPS_RUN:
        raise
    except Exception as error:
        if disk_is_full(error):
            raise
        studios[labels[0]].keep_traceback(error)
        logger.warning(
            "%s cannot be fitted together (%s); each is fitted alone",
            ", ".join(labels), failure_of(error).reason,
        )  # fmt: skip
        return
    for key, state in zip(missing, states, strict=True):
        cache.save_state(key, state, {"fit_s": seconds / len(missing)})
