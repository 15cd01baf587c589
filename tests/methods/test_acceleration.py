"""Ways of faster passes: tried in turn, for few sizes, compiled once; none recorded on a CPU."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch
from torch._dynamo.utils import counters

from methods.acceleration import (
    COMPILED_IN,
    TOLERANCES,
    VARIABLE,
    Accelerated,
    choose_acceleration,
    largest_difference,
    padded_size,
)
from methods.riffusion.backbone import Backbone
from tests import passes, rounding

# The compiler uses what its library has deprecated.
COMPILING = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.*:DeprecationWarning")


@pytest.mark.slow
@COMPILING
@torch.no_grad()
def test_one_compilation_serves_all_numbers_of_rows(tiny_backbone: Backbone) -> None:
    """From two rows on; a single one is compiled by itself."""

    def plain(*inputs: torch.Tensor) -> torch.Tensor:
        return passes.plain(tiny_backbone, *inputs)

    compiled = Accelerated("it", plain, "compile", torch.float32, size_for=padded_size)
    inputs = passes.inputs(tiny_backbone, (3, 7))
    graphs = []
    for rows in (6, 4, 1):
        given = tuple(one[[0] * rows] for one in inputs)
        before = counters["stats"]["unique_graphs"]
        assert largest_difference(compiled, plain, given) <= TOLERANCES[torch.float32]
        graphs.append(counters["stats"]["unique_graphs"] - before)
    assert graphs == [1, 0, 1]


@pytest.mark.parametrize("learning", [False, True])
@pytest.mark.usefixtures("in_double")
def test_each_way_is_said_and_padding_rows_change_no_other(
    tiny_backbone: Backbone, caplog: pytest.LogCaptureFixture, *, learning: bool
) -> None:
    """Without CUDA both ways fail, and a plain pass of more rows is left."""
    if torch.cuda.is_available():
        pytest.skip("graphs can be recorded here")
    sizes = []

    def plain(*inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs[0]))
        return passes.plain(tiny_backbone, *inputs)

    padded = Accelerated("it", plain, "compile-graph", torch.float64, size_for=lambda _: 5)
    inputs = passes.inputs(tiny_backbone, (3, 7), learning=learning)
    with caplog.at_level(logging.WARNING):
        difference = largest_difference(padded, plain, inputs)
    assert set(sizes) == {2, 5}
    assert difference <= rounding.of_networks(tiny_backbone.parts.unet, passes=rounding.BACKWARD)
    assert "it: no compile-graph, graph is tried" in caplog.text
    assert "it: no graph, plain calls go on" in caplog.text
    caplog.clear()
    padded(*(one[:1] for one in inputs))
    assert "compile" not in caplog.text


def test_a_network_is_laid_out_for_the_way_that_takes_the_place_of_one_that_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once: what is found out about a later shape leaves the passes of the others alone."""
    if torch.cuda.is_available():
        pytest.skip("graphs can be recorded here")
    told: list[str] = []
    passed = Accelerated("it", torch.neg, "compile-graph", torch.float32).laid_out_by(told.append)
    assert told == []  # the first layout is that of the first way
    passed(torch.ones(1))
    assert told == ["graph", "eager"]
    passed(torch.ones(2))
    assert told == ["graph", "eager"]
    caplog.clear()
    passed(torch.ones(1))
    assert caplog.text == ""  # nothing is tried again


def test_what_was_made_before_a_way_failed_is_made_anew() -> None:
    """A pass that was made in the former layout may read memory where no weights are now."""
    passed = Accelerated("it", torch.neg, "eager", torch.float32).laid_out_by(lambda _way: None)
    passed._ways = ("compile-graph", "graph")
    former = torch.ones(1)
    passed._made[((former.shape, former.dtype, False),)] = torch.zeros_like
    assert torch.equal(passed(former), torch.zeros(1))
    if not torch.cuda.is_available():
        passed(torch.ones(2))
        assert torch.equal(passed(former), -former)


def test_few_sizes_stand_for_all_numbers_of_rows() -> None:
    sizes = [padded_size(rows) for rows in range(1, 129)]
    assert sorted(set(sizes)) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]
    assert all(rows <= size < 1.5 * rows for rows, size in enumerate(sizes, start=1))


@COMPILING
def test_a_result_that_is_no_number_is_not_trusted(caplog: pytest.LogCaptureFixture) -> None:
    def cheaper(given: torch.Tensor) -> torch.Tensor:
        return given * torch.nan

    passed = Accelerated("it", torch.neg, "compile", torch.float32).made_from(cheaper)
    with caplog.at_level(logging.WARNING), torch.compiler.set_stance("force_eager"):
        assert torch.equal(passed(torch.ones(2)), -torch.ones(2))
    assert "it: no compile, plain calls go on: results differed by nan" in caplog.text


@COMPILING
def test_what_is_compiled_stays_in_the_cache_of_the_bench(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The compiler reads its folder from the environment, and fills it in when it is imported."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv(COMPILED_IN, "elsewhere")
    with torch.compiler.set_stance("force_eager"):
        Accelerated("it", torch.neg, "compile", torch.float32)(torch.ones(2))
    assert os.environ[COMPILED_IN] == str(tmp_path / "compiled")


def test_a_small_network_is_recorded_and_none_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert choose_acceleration(torch.device("cuda")) == "graph"
    assert choose_acceleration(torch.device("cpu"), large=True) == "eager"
