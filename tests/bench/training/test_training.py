"""The training loop: resumed is uninterrupted, averages, budgets, refusals, and what is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench.api import ConfigError
from bench.files import file_digest
from bench.training.card import export
from bench.training.loop import Curve, Training
from bench.training.recipe import Recipe, Schedule

RECIPE = Recipe("toy", 0.05, 4, steps=9, warm_up_steps=3, average=0.9, report_s=0.0, seed=2)


class StoppedError(Exception):
    """Somebody stopped the training."""


class Slope(nn.Module):
    """A line, a buffer that counts in floating point, and one that counts whole steps."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = nn.Linear(3, 1)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))


class Regression:
    """Learns a slope from points that follow from the step; stops before `until`."""

    def __init__(self, model: Slope, until: int = 1000, dropped: float = 0.0) -> None:
        self.model, self.until, self.dropped = model, until, dropped
        self.weights: list[Tensor] = []

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        self.weights.append(self.model.line.weight.detach().clone())
        if step >= self.until:
            raise StoppedError
        points = np.random.default_rng((RECIPE.seed, step)).standard_normal((4, 3))
        inputs = torch.from_numpy(points.astype(np.float32))
        return inputs, inputs @ torch.tensor([[1.0], [-2.0], [0.5]])

    def losses(self, batch: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
        inputs, wanted = batch
        self.model.get_buffer("seen").add_(len(inputs))
        self.model.get_buffer("steps").add_(1)
        heard = nn.functional.dropout(inputs, self.dropped)
        error = self.model.line(heard) - wanted
        return {"loss": error.square().mean(), "absolute": error.abs().mean()}

    def evaluate(self) -> Curve:
        return {"training": float(self.model.training), "steps": float(self.model.steps)}


def training_of(folder: Path, recipe: Recipe = RECIPE, *, resume: bool = False) -> Training:
    return Training(Slope(), recipe, folder, device="cpu", resume=resume)


def taught(training: Training, until: int = 1000, dropped: float = 0.0) -> Regression:
    assert isinstance(training.model, Slope)
    lesson = Regression(training.model, until, dropped)
    training.run(lesson)
    return lesson


@pytest.mark.parametrize("dropped", [0.0, 0.5])
def test_a_resumed_training_ends_as_an_uninterrupted_one_bit_by_bit(
    tmp_path: Path, dropped: float
) -> None:
    whole = training_of(tmp_path / "whole")
    taught(whole, dropped=dropped)
    with pytest.raises(StoppedError):
        taught(training_of(tmp_path / "parts"), until=5, dropped=dropped)
    torch.manual_seed(77)  # whoever goes on has drawn something else before
    resumed = training_of(tmp_path / "parts", resume=True)
    assert resumed.step == 5
    taught(resumed, dropped=dropped)
    assert resumed.step == whole.step == 9
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value)
        assert torch.equal(resumed.average[name], whole.average[name])
    first, second = (t.optimiser.state_dict()["state"] for t in (whole, resumed))
    assert all(torch.equal(first[n][k], second[n][k]) for n in first for k in first[n])
    kept = ("step", "samples", "loss", "absolute", "steps")
    rows = [[{k: row[k] for k in kept} for row in t.curve] for t in (whole, resumed)]
    assert rows[0] == rows[1]


def test_a_step_counts_once_though_its_operations_are_counted_before(tmp_path: Path) -> None:
    training = training_of(tmp_path)
    taught(training)
    assert float(training.model.get_buffer("seen")) == 9 * RECIPE.batch_size
    assert int(training.average["steps"]) == 9


def test_the_average_is_that_of_the_weights_of_all_steps(tmp_path: Path) -> None:
    training = training_of(tmp_path)
    lesson = taught(training)
    # The first two batches are of step 0: its operations are counted before it is taken.
    passed = [weight.double() for weight in lesson.weights[2:]]
    passed.append(training.model.get_parameter("line.weight").detach().double())
    expected = lesson.weights[0].double()
    for step, weight in enumerate(passed, start=1):
        kept = min(0.9, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * weight
    assert len(passed) == 9
    assert training.average["line.weight"].numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_it_learns_and_says_how_fast(tmp_path: Path) -> None:
    training = training_of(tmp_path, replace(RECIPE, steps=300))
    taught(training)
    losses = [row["loss"] for row in training.curve]
    assert losses[-1] < 0.01 * losses[0]
    last = training.curve[-1]
    assert last["samples"] == 300 * 4
    assert last["training"] == 0.0
    assert training.model.training
    assert {"samples_per_s", "device_share", "data_share", "cores"} <= set(last)
    lines = (tmp_path / "toy.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == training.curve


def test_a_budget_of_seconds_ends_it(tmp_path: Path) -> None:
    training = training_of(tmp_path, replace(RECIPE, steps=None, budget_s=1e-9))
    taught(training)
    assert training.step == 1
    assert [row["step"] for row in training.curve] == [1]


def test_a_spent_budget_is_left_alone(tmp_path: Path) -> None:
    taught(training_of(tmp_path))
    again = training_of(tmp_path, resume=True)
    assert taught(again).weights[1:] == []
    assert again.step == 9


def test_a_training_is_not_overwritten(tmp_path: Path) -> None:
    taught(training_of(tmp_path))
    with pytest.raises(ConfigError, match=r"stands at step 9; .* Pass --resume"):
        training_of(tmp_path)


def test_another_recipe_does_not_go_on(tmp_path: Path) -> None:
    taught(training_of(tmp_path))
    with pytest.raises(ConfigError, match="only budget_s, steps, report_s may change"):
        training_of(tmp_path, replace(RECIPE, seed=3), resume=True)
    assert training_of(tmp_path, replace(RECIPE, steps=12), resume=True).step == 9


def test_a_checkpoint_from_before_a_choice_was_there_goes_on_as_it_was(tmp_path: Path) -> None:
    taught(training_of(tmp_path))
    state = torch.load(tmp_path / "toy.pt", weights_only=True)
    del state["recipe"]["schedule"]
    torch.save(state, tmp_path / "toy.pt")
    assert training_of(tmp_path, resume=True).step == 9
    cosine = replace(RECIPE, schedule=Schedule("cosine"))
    with pytest.raises(ConfigError, match="may change on the way"):
        training_of(tmp_path, cosine, resume=True)


def test_rates_rise_and_follow_their_schedule() -> None:
    """Warm-up over 4 steps, then half a cosine, a line in the last 30 %, or nothing more."""
    long = replace(RECIPE, learning_rate=1.0, steps=1000, warm_up_steps=4)
    for schedule, expected in (
        (Schedule("cosine", 0.1), {250: 0.1 + 0.9 * 0.8535533906, 500: 0.55, 1000: 0.1}),
        (Schedule("plateau", 0.1), {250: 1.0, 700: 1.0, 850: 0.5, 1000: 0.1}),
        (Schedule("plateau", 1.0), {250: 1.0, 850: 1.0, 1000: 1.0}),
    ):
        recipe = replace(long, schedule=schedule)
        for step, rate in expected.items():
            assert recipe.rate_at(step, step / 1000) == pytest.approx(rate)
        assert recipe.rate_at(1, 0.0) == 0.5


def test_without_an_average_the_weights_themselves_are_left(tmp_path: Path) -> None:
    training = training_of(tmp_path, replace(RECIPE, average=0.0))
    taught(training)
    for name, value in training.model.state_dict().items():
        assert torch.equal(training.average[name], value)


@pytest.mark.parametrize("budget", [{"steps": None}, {"steps": 0}, {"budget_s": -1.0}])
def test_a_recipe_needs_a_budget(budget: dict[str, float | None]) -> None:
    with pytest.raises(ConfigError, match="one of them must be above 0"):
        replace(RECIPE, **budget)  # type: ignore[arg-type]


def test_a_step_needs_a_clip() -> None:
    with pytest.raises(ConfigError, match="has 0 clips per step"):
        replace(RECIPE, batch_size=0)


def test_weights_and_card_are_left(tmp_path: Path) -> None:
    training = training_of(tmp_path)
    taught(training)
    card = json.loads(export(training, tmp_path / "out", {"sources": ["points"]}).read_text())
    weights = tmp_path / "out" / card["weights"]["file"]
    assert card["weights"]["sha256"] == file_digest(weights)
    assert (card["samples"], card["sources"]) == (36, ["points"])
    assert card["recipe"]["seed"] == 2
    assert card["curve"] == training.curve
    stored = load_file(weights)
    assert torch.equal(stored["line.weight"], training.average["line.weight"].half())
    assert stored["steps"].dtype == torch.int64
