"""Work of the host beside a device: what overlaps, in which order, and what becomes of an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from threading import Event, Timer, current_thread

import pytest

from bench.api import ConfigError
from bench.batching import OVERLAP_VARIABLE, Aside, one_ahead, overlaps

PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OVERLAP_VARIABLE, raising=False)


def test_the_host_works_beside_accelerators_alone_or_as_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [overlaps(name) for name in ("cpu", "cuda:1", "mps")] == [False, True, True]
    for word, expected in (("on", True), ("off", False)):
        monkeypatch.setenv(OVERLAP_VARIABLE, word)
        assert [overlaps("cpu"), overlaps("cuda:0")] == [expected, expected]
    monkeypatch.setenv(OVERLAP_VARIABLE, "perhaps")
    with pytest.raises(ConfigError, match="BENCH_OVERLAP is 'perhaps'; it must be auto, on, off"):
        Aside("cpu")


def test_beside_an_accelerator_work_is_done_in_one_thread_in_order() -> None:
    done: list[int] = []
    gate = Event()

    def work(number: int) -> int:
        assert gate.wait(PATIENCE_S)
        done.append(number)
        return number

    with Aside("cuda") as aside:
        results = [aside.begin(lambda number=number: work(number)) for number in range(4)]
        thread = aside.begin(current_thread)
        gate.set()
        assert [result() for result in reversed(results)] == [3, 2, 1, 0]
        assert thread() is not current_thread()
    assert done == [0, 1, 2, 3]


def test_on_the_cpu_work_is_done_once_and_by_who_asks_for_it() -> None:
    calls: list[object] = []
    with Aside("cpu") as aside:
        result = aside.begin(lambda: calls.append(current_thread()))
        assert calls == []
        assert result() is result()
    assert calls == [current_thread()]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_an_error_is_raised_where_the_result_is_asked_for(device: str) -> None:
    with Aside(device) as aside:
        broken, sound = aside.begin(lambda: int("x")), aside.begin(lambda: 1)
        assert sound() == 1
        with pytest.raises(ValueError, match="invalid literal"):
            broken()


def test_leaving_waits_for_what_is_under_way_and_drops_the_rest() -> None:
    begun, gate, done = Event(), Event(), []

    def work() -> None:
        begun.set()
        assert gate.wait(PATIENCE_S)
        done.append("under way")

    with Aside("cuda") as aside:
        aside.begin(work)
        late = aside.begin(lambda: done.append("not begun"))
        assert begun.wait(PATIENCE_S)
        Timer(0.05, gate.set).start()
    assert done == ["under way"]
    with pytest.raises(CancelledError):
        late()


def test_at_most_one_more_item_than_is_used_has_been_made() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    used = [(item, len(made)) for item in one_ahead(items())]
    assert used == [(0, 2), (1, 3), (2, 4), (3, 5), (4, 5)]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_items_come_as_they_are(count: int) -> None:
    assert list(one_ahead(range(count))) == list(range(count))


def test_what_was_begun_ahead_is_done_while_the_present_is_used() -> None:
    """Each item waits for the next one to be made, which only a thread can do meanwhile."""
    made = [Event() for _ in range(4)]

    def begun(aside: Aside) -> Iterator[Callable[[], None]]:
        for event in made:
            yield aside.begin(event.set)

    with Aside("cuda") as aside:
        for number, result in enumerate(one_ahead(begun(aside))):
            result()
            assert made[min(number + 1, 3)].wait(PATIENCE_S)
